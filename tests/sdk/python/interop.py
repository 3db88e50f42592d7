"""Sends a known number of spans and logs with the exporter that the environment names, and ends."""

import os

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

COUNT = int(os.environ["COUNT"])
ATTRIBUTES = {"text": "ä\u0000\U0001f600", "int": -(2**63), "double": 0.1, "bool": True, "list": ["a", "b"], "empty": ""}


def exporters():
    protocol = os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    elif protocol == "http/json":
        from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter(), OTLPLogExporter()


spans, logs = exporters()
resource = Resource.create({"service.name": os.environ["OTEL_SERVICE_NAME"]})
tracing = TracerProvider(resource=resource)
tracing.add_span_processor(BatchSpanProcessor(spans))
logging = LoggerProvider(resource=resource)
logging.add_log_record_processor(BatchLogRecordProcessor(logs))
tracer, logger = tracing.get_tracer("interop", "1.2.3"), logging.get_logger("interop", "1.2.3")

for n in range(COUNT):
    with tracer.start_as_current_span(f"span {n}", kind=SpanKind.CLIENT, attributes={**ATTRIBUTES, "n": n}) as span:
        span.add_event("event", {"n": n})
        span.add_link(span.get_span_context(), {"n": n})
        span.set_status(Status(StatusCode.ERROR, "failed"))
        logger.emit(LogRecord(body=f"line {n}", severity_number=SeverityNumber.WARN, severity_text="WARN", attributes={**ATTRIBUTES, "n": n}))
tracing.shutdown()
logging.shutdown()
