//! Builds what SDKs send, with the types generated from the specification; and below it the checks of a conformant receiver, by
//! their numbers (README of `ingest`).

mod encoding;
mod failure;
mod json;
mod model;
mod size;
mod success;
mod transport;
pub(crate) mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;

/// Nanoseconds since the epoch.
pub(crate) fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// An id that no other call returns, in this run or the last one.
pub(crate) fn unique(bytes: usize) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let seed = (u128::from(now()) << 64) | (u128::from(std::process::id()) << 32) | u128::from(count);
    // Spread the few changing bits over the whole id.
    let spread = seed.wrapping_mul(0x2545_F491_4F6C_DD1D_9E37_79B9_7F4A_7C15) ^ (seed >> 61);
    spread.to_be_bytes()[16 - bytes..].to_vec()
}

/// A request id as proxies make them.
pub(crate) fn unique_uuid() -> String {
    let hex = hex(&unique(16));
    format!("{}-{}-4{}-8{}-{}", &hex[0..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }
}

pub(crate) fn texts(values: &[&str]) -> AnyValue {
    AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values: values.iter().map(|value| text(value)).collect() })) }
}

pub(crate) fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

pub(crate) fn text_attribute(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

/// A server span of `trace`, `start` to `end`, with an id of its own.
pub(crate) fn span(trace: &[u8], name: &str, start: u64, end: u64) -> Span {
    Span {
        trace_id: trace.to_vec(),
        span_id: unique(8),
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Default::default()
    }
}

/// What a span needs to be another's child.
pub(crate) fn child_of(parent: &Span, name: &str, start: u64, end: u64) -> Span {
    Span { parent_span_id: parent.span_id.clone(), ..span(&parent.trace_id, name, start, end) }
}

pub(crate) fn failed(message: &str) -> Option<Status> {
    Some(Status { code: 2, message: message.to_owned() })
}

/// A log of severity `INFO`.
pub(crate) fn log(body: &str, time: u64) -> LogRecord {
    LogRecord { time_unix_nano: time, severity_number: 9, severity_text: "INFO".to_owned(), body: Some(text(body)), ..Default::default() }
}

/// A log written inside a span.
pub(crate) fn log_in(span: &Span, body: &str, time: u64) -> LogRecord {
    LogRecord { trace_id: span.trace_id.clone(), span_id: span.span_id.clone(), ..log(body, time) }
}

/// A log that knows its trace but not its span.
pub(crate) fn log_of_trace(trace: &[u8], body: &str, time: u64) -> LogRecord {
    LogRecord { trace_id: trace.to_vec(), ..log(body, time) }
}

pub(crate) fn resource(service: &str) -> Resource {
    Resource { attributes: vec![text_attribute("service.name", service)], ..Default::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "e2e".to_owned(), version: "1.2.3".to_owned(), ..Default::default() }
}

pub(crate) fn spans_of(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..Default::default() }];
    ResourceSpans { resource: Some(resource(service)), scope_spans, ..Default::default() }
}

pub(crate) fn logs_of(service: &str, log_records: Vec<LogRecord>) -> ResourceLogs {
    let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records, ..Default::default() }];
    ResourceLogs { resource: Some(resource(service)), scope_logs, ..Default::default() }
}

pub(crate) fn traces(resource_spans: Vec<ResourceSpans>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest { resource_spans }
}

pub(crate) fn logs(resource_logs: Vec<ResourceLogs>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest { resource_logs }
}

/// A server with these settings, and the folder that keeps their file.
pub(crate) fn configured(settings: &str) -> (tempfile::TempDir, crate::harness::Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("needle.toml");
    std::fs::write(&file, settings).unwrap();
    let server = crate::harness::Server::start_with(&["--config", file.to_str().unwrap()]);
    (folder, server)
}
