//! One service of the shop: its own SDK, its own resource, its own clock.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider};

use super::exporter::{self, Transport};

/// Batches are sent this often.
const SEND_INTERVAL: Duration = Duration::from_millis(500);

/// Headers between services.
pub(super) type Headers = HashMap<String, String>;

/// A service.
pub(super) struct Service {
    name: &'static str,
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
    tracer: SdkTracer,
    logger: SdkLogger,
    /// How far its clock is ahead.
    ahead: Duration,
}

/// Something that a service does: a span that has begun.
pub(super) struct Work<'s> {
    service: &'s Service,
    context: Context,
}

impl Service {
    /// A service with a clock that is `ahead`. Called within a runtime.
    pub(super) fn new(name: &'static str, version: &'static str, transport: Transport, ahead: Duration) -> anyhow::Result<Service> {
        let resource = Resource::builder_empty()
            .with_service_name(name)
            .with_attributes([
                KeyValue::new("service.version", version),
                KeyValue::new("service.instance.id", format!("{name}-1")),
                KeyValue::new("deployment.environment.name", "demo"),
                KeyValue::new("telemetry.sdk.language", "rust"),
                KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            ])
            .build();
        let spans = BatchSpanProcessor::builder(exporter::spans(transport)?)
            .with_batch_config(opentelemetry_sdk::trace::BatchConfigBuilder::default().with_scheduled_delay(SEND_INTERVAL).build())
            .build();
        let records = BatchLogProcessor::builder(exporter::logs(transport)?)
            .with_batch_config(opentelemetry_sdk::logs::BatchConfigBuilder::default().with_scheduled_delay(SEND_INTERVAL).build())
            .build();
        let traces = SdkTracerProvider::builder().with_span_processor(spans).with_resource(resource.clone()).build();
        let logs = SdkLoggerProvider::builder().with_log_processor(records).with_resource(resource).build();
        let (tracer, logger) = (traces.tracer("needle.demo"), logs.logger("needle.demo"));
        Ok(Service { name, traces, logs, tracer, logger, ahead })
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Takes a call: a span of kind server (or consumer) whose parent is in the headers.
    pub(super) fn receive(&self, headers: &Headers, kind: SpanKind, name: &'static str, attributes: Vec<KeyValue>) -> Work<'_> {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), headers);
        self.begin(&parent, kind, name, attributes)
    }

    fn begin(&self, parent: &Context, kind: SpanKind, name: &'static str, attributes: Vec<KeyValue>) -> Work<'_> {
        let builder = self.tracer.span_builder(name).with_kind(kind).with_start_time(self.now()).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, parent);
        Work { service: self, context: parent.with_span(span) }
    }

    /// By its own clock.
    fn now(&self) -> SystemTime {
        SystemTime::now() + self.ahead
    }

    /// Sends what it holds. Waits, so not to be called on the runtime's threads.
    pub(super) fn flush(&self) -> anyhow::Result<()> {
        self.traces.force_flush()?;
        self.logs.force_flush()?;
        Ok(())
    }

    /// Sends what it holds and stops its SDK. Waits likewise.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        self.traces.shutdown()?;
        self.logs.shutdown()?;
        Ok(())
    }
}

impl<'s> Work<'s> {
    /// A part of it, within the same service.
    pub(super) fn begin(&self, kind: SpanKind, name: &'static str, attributes: Vec<KeyValue>) -> Work<'s> {
        self.service.begin(&self.context, kind, name, attributes)
    }

    /// A call to another service, about to be made.
    pub(super) fn call(&self, name: &'static str, service: &Service) -> Work<'s> {
        let attributes = vec![KeyValue::new("http.request.method", "POST"), KeyValue::new("server.address", service.name())];
        self.begin(SpanKind::Client, name, attributes)
    }

    /// What a call carries: `traceparent`.
    pub(super) fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        TraceContextPropagator::new().inject_context(&self.context, &mut headers);
        headers
    }

    /// Its trace id.
    pub(super) fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Adds an attribute.
    pub(super) fn set(&self, attribute: KeyValue) {
        self.context.span().set_attribute(attribute);
    }

    /// Logs a line within it.
    pub(super) fn log(&self, severity: Severity, body: String, attributes: Vec<(&'static str, String)>) {
        let span = self.context.span().span_context().clone();
        let mut record = self.service.logger.create_log_record();
        record.set_timestamp(self.service.now());
        record.set_observed_timestamp(self.service.now());
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_body(body.into());
        record.add_attributes(attributes);
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        self.service.logger.emit(record);
    }

    /// It failed with an exception.
    pub(super) fn fail(&self, exception: &'static str, message: &str) {
        let attributes = vec![KeyValue::new("exception.type", exception), KeyValue::new("exception.message", message.to_owned())];
        self.context.span().add_event_with_timestamp("exception", self.service.now(), attributes);
        self.context.span().set_status(Status::error(message.to_owned()));
    }

    /// It ends now.
    pub(super) fn end(self) {
        self.context.span().end_with_timestamp(self.service.now());
    }
}
