// Sends a known number of spans and logs with the exporter that the environment names, and ends.
const { logs, resources, tracing } = require("@opentelemetry/sdk-node");
const { SpanKind, SpanStatusCode, context, trace } = require("@opentelemetry/api");
const { SeverityNumber } = require("@opentelemetry/api-logs");

const kind = { grpc: "grpc", "http/protobuf": "proto", "http/json": "http" }[process.env.OTEL_EXPORTER_OTLP_PROTOCOL];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${kind}`);

const resource = resources.resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME });
const tracer = new tracing.BasicTracerProvider({ resource, spanProcessors: [new tracing.BatchSpanProcessor(new OTLPTraceExporter())] });
const logger = new logs.LoggerProvider({ resource, processors: [new logs.BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
const attributes = { text: "ä\u0000\u{1f600}", int: -(2 ** 53), double: 0.1, bool: true, list: ["a", "b"], empty: "" };

for (let n = 0; n < Number(process.env.COUNT); n++) {
  const span = tracer.getTracer("interop", "1.2.3").startSpan(`span ${n}`, { kind: SpanKind.CLIENT, attributes: { ...attributes, n } });
  span.addEvent("event", { n });
  span.addLink({ context: span.spanContext(), attributes: { n } });
  span.setStatus({ code: SpanStatusCode.ERROR, message: "failed" });
  logger.getLogger("interop", "1.2.3").emit({
    body: `line ${n}`,
    severityNumber: SeverityNumber.WARN,
    severityText: "WARN",
    attributes: { ...attributes, n },
    context: trace.setSpan(context.active(), span),
  });
  span.end();
}
Promise.all([tracer.shutdown(), logger.shutdown()]).then(() => process.exit(0));
