//! OTLP in both encodings: what is accepted is what the generated types make of it, and the same in the other encoding.

use needle_ingest::storage::BodyFormat;
use needle_ingest::storage::model::{Record, RecordsView, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Sent;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde::Serialize;

use super::decoded::every_record;
use super::{DECODER_BYTES, decode, same};
use crate::Target;
use crate::files::{shared, workload};
use crate::workload::Signal;

const WORDS: &[&str] = &[
    "service.name",
    "request_id",
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-request-id",
    "$bytes",
    "\u{202e}",
    "\x0a\x00",
    "\x12\x00",
    "\x1a\x02\x0a\x00",
    "\x2a\x02\x0a\x00",
    "\x32\x02\x0a\x00",
    "\x09",
    "\x59",
    "NaN",
    "schema_url",
];
const JSON_WORDS: &[&str] = &[
    "\"resourceLogs\":[",
    "\"scopeLogs\":[",
    "\"logRecords\":[",
    "\"resourceSpans\":[",
    "\"scopeSpans\":[",
    "\"spans\":[",
    "\"body\":",
    "{\"stringValue\":\"",
    "{\"arrayValue\":{\"values\":[",
    "{\"kvlistValue\":{\"values\":[",
    "{\"intValue\":",
    "{\"doubleValue\":",
    "{\"bytesValue\":\"",
    "\"attributes\":[",
    "{\"key\":\"",
    "\"value\":",
    "\"timeUnixNano\":",
    "\"traceId\":\"",
    "\"spanId\":\"",
    "null",
    "1e400",
    "-0",
    "\"NaN\"",
    "\"Infinity\"",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "18446744073709551615",
    "-9223372036854775808",
    "\"flags\":",
    "\"kind\":",
    "\"SPAN_KIND_SERVER\"",
    "\"status\":{\"code\":",
    "\"events\":[",
    "\"links\":[",
    "\"severityNumber\":",
    "true",
    "[]",
    "{}",
];

pub(super) const LOGS: Target = Target {
    name: "otlp_logs",
    read: logs,
    seeds: || workload(Signal::Logs),
    words: WORDS,
    bytes_max: 4096,
    memory_bytes: DECODER_BYTES,
    short_runs: 20_000,
};
pub(super) const TRACES: Target = Target { name: "otlp_traces", read: traces, seeds: || workload(Signal::Spans), ..LOGS };
pub(super) const LOGS_JSON: Target = Target { name: "otlp_logs_json", read: logs_json, seeds: json_seeds, words: JSON_WORDS, ..LOGS };
pub(super) const TRACES_JSON: Target = Target { name: "otlp_traces_json", read: traces_json, ..LOGS_JSON };

/// Limits of ours, which the generated types do not have.
const LIMITS: [&str; 3] = ["nested more than", "records, attributes and values", "nearly all of them empty"];

fn logs(input: &[u8]) {
    let ours = records_of(BodyFormat::OtlpLogsProtobuf, input);
    let Ok(message) = ExportLogsServiceRequest::decode(input) else { return };
    let Some(ours) = accepted(ours) else { return };
    let sent: Vec<&LogRecord> =
        message.resource_logs.iter().flat_map(|group| &group.scope_logs).flat_map(|scope| &scope.log_records).collect();
    same(&ours.len(), &sent.len(), "records of ours, and sent");
    for (ours, sent) in ours.iter().zip(&sent) {
        let Record::Log(ours) = ours else { panic!("a span among logs") };
        same(&ours.severity_text.as_deref().unwrap_or_default(), &sent.severity_text.as_str(), "severity text");
        same(&ours.event_name.as_deref().unwrap_or_default(), &sent.event_name.as_str(), "event name");
        if let Some(text) = text_of(sent.body.as_ref()) {
            same(&ours.body.as_ref().and_then(Value::as_str), &Some(text), "body");
        }
    }
    in_json(BodyFormat::OtlpLogsJson, &message, &ours, sent.iter().all(|log| is_finite(log.body.as_ref())));
}

fn traces(input: &[u8]) {
    let ours = records_of(BodyFormat::OtlpTracesProtobuf, input);
    let Ok(message) = ExportTraceServiceRequest::decode(input) else { return };
    let Some(ours) = accepted(ours) else { return };
    let sent = message.resource_spans.iter().flat_map(|group| &group.scope_spans).flat_map(|scope| &scope.spans);
    let usable = |span: &&Span| is_id(&span.trace_id, 16) && is_id(&span.span_id, 8);
    let sent: Vec<&Span> = sent.filter(usable).collect();
    same(&ours.len(), &sent.len(), "spans of ours, and sent with ids");
    for (ours, sent) in ours.iter().zip(&sent) {
        let Record::Span(ours) = ours else { panic!("a log among spans") };
        same(&ours.name.as_str(), &sent.name.as_str(), "name");
        same(&ours.kind.0, &sent.kind, "kind");
    }
    in_json(BodyFormat::OtlpTracesJson, &message, &ours, true);
}

fn logs_json(input: &[u8]) {
    drop(records_of(BodyFormat::OtlpLogsJson, input));
}

fn traces_json(input: &[u8]) {
    drop(records_of(BodyFormat::OtlpTracesJson, input));
}

/// What is accepted; a refusal has to be for a limit of ours.
#[track_caller]
fn accepted(ours: Result<Vec<Record>, String>) -> Option<Vec<Record>> {
    match ours {
        Ok(records) => Some(records),
        Err(error) if LIMITS.iter().any(|limit| error.contains(limit)) => None,
        Err(error) => panic!("refused, though it is a message: {error}"),
    }
}

/// The same message in JSON makes the same records. JSON has no numbers that are not finite, so those are left out.
fn in_json(format: BodyFormat, message: &impl Serialize, ours: &[Record], finite: bool) {
    let json = serde_json::to_string(message).expect("a message can be written");
    if !finite || json.contains("\"doubleValue\":null") {
        return;
    }
    let other = match records_of(format, json.as_bytes()) {
        Ok(records) => records,
        Err(error) if LIMITS.iter().any(|limit| error.contains(limit)) => return,
        Err(error) => panic!("the same in JSON is refused: {error}\n{json}"),
    };
    assert!(ours == other, "the same in JSON differs: {json}\n{ours:?}\n{other:?}");
}

fn records_of(format: BodyFormat, input: &[u8]) -> Result<Vec<Record>, String> {
    let decoded = decode(format, input)?;
    Ok(every_record(&RecordsView::new(decoded.signal, &decoded.records)))
}

fn text_of(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        Sent::StringValue(text) => Some(text),
        _ => None,
    }
}

fn is_finite(value: Option<&AnyValue>) -> bool {
    !matches!(value.and_then(|value| value.value.as_ref()), Some(Sent::DoubleValue(number)) if !number.is_finite())
}

fn is_id(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.iter().any(|byte| *byte != 0)
}

fn json_seeds() -> Vec<Vec<u8>> {
    let logs = workload(Signal::Logs).into_iter().filter_map(|body| {
        let message = ExportLogsServiceRequest::decode(&body[..]).ok()?;
        serde_json::to_vec(&message).ok()
    });
    let spans = workload(Signal::Spans).into_iter().filter_map(|body| {
        let message = ExportTraceServiceRequest::decode(&body[..]).ok()?;
        serde_json::to_vec(&message).ok()
    });
    logs.chain(spans).chain(shared("otlp_examples")).collect()
}
