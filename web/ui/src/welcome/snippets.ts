// How to send the first record, filled with the host that this page came from.

export interface Snippet {
  name: string;
  about: string;
  text: string;
}

export function snippets(hostname: string, origin: string): Snippet[] {
  const host = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  // OTLP over HTTP is taken where this page comes from, too; of the gRPC port only the default is known here.
  const grpc = `http://${host}:4317`;
  const http = origin;
  return [
    {
      name: "curl",
      about: "One log line as JSON. No SDK needed; a request id is enough to be part of a journey.",
      text: `curl -s ${origin}/api/v1/logs \\\n  -H 'content-type: application/json' \\\n  -d '{"service":"hello","level":"info","message":"first light","request_id":"req-000001"}'`,
    },
    {
      name: "OTel environment",
      about: "Any application with an OpenTelemetry SDK or agent.",
      text: `export OTEL_SERVICE_NAME=checkout\nexport OTEL_EXPORTER_OTLP_ENDPOINT=${http}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_TRACES_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp\n\n# or gRPC (4317, unless needle was told another port):\n# export OTEL_EXPORTER_OTLP_ENDPOINT=${grpc}\n# export OTEL_EXPORTER_OTLP_PROTOCOL=grpc`,
    },
    {
      name: "Python",
      about: "Flask, FastAPI, Django and others, without a change to the code.",
      text: `pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\n\nOTEL_SERVICE_NAME=checkout \\\nOTEL_EXPORTER_OTLP_ENDPOINT=${http} \\\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \\\nOTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true \\\nopentelemetry-instrument python app.py`,
    },
    {
      name: "Node",
      about: "Express, Fastify and others, without a change to the code.",
      text: `npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node\n\nOTEL_SERVICE_NAME=checkout \\\nOTEL_EXPORTER_OTLP_ENDPOINT=${http} \\\nOTEL_LOGS_EXPORTER=otlp \\\nnode --require @opentelemetry/auto-instrumentations-node/register app.js`,
    },
  ];
}
