use needle_query::model::{Common, Log, RecordId, Severity, Span, SpanEvent, SpanId, SpanKind, StatusCode, TraceId, UnixNanos, Value};
use serde_json::json;

use super::*;

const TIME: UnixNanos = UnixNanos(1_772_334_000_000_000_007);

fn written(record: model::Record) -> serde_json::Value {
    serde_json::to_value(Record::from(record)).unwrap()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn common() -> Common {
    Common {
        record_id: RecordId(u64::MAX),
        time: TIME,
        trace_id: TraceId::from_hex("67891233ABCDEF012345678912345678"),
        span_id: SpanId::from_hex("00f067aa0ba902b7"),
        request_ids: vec!["req-1".to_owned(), "C-2".to_owned()],
        service: "checkout".to_owned(),
        attributes: vec![("http.response.status_code".to_owned(), Value::Int(502))],
        resource: vec![("service.name".to_owned(), text("checkout"))].into(),
        scope: vec![("name".to_owned(), text("http"))].into(),
        ..Common::default()
    }
}

#[test]
fn a_log_has_the_fields_of_the_contract() {
    let log = Log {
        common: common(),
        severity: Severity::WARN,
        severity_text: Some("warning".to_owned()),
        body: Some(text("card declined")),
        ..Log::default()
    };
    assert_eq!(
        written(model::Record::Log(log)),
        json!({
            "kind": "log",
            "timestamp": "2026-03-01T03:00:00.000000007Z",
            "service": "checkout",
            "trace_id": "67891233abcdef012345678912345678",
            "span_id": "00f067aa0ba902b7",
            "request_ids": ["req-1", "C-2"],
            "severity": "warning",
            "severity_number": 13,
            "body": "card declined",
            "attributes": {"http.response.status_code": 502},
            "resource": {"service.name": "checkout"},
            "scope": {"name": "http"},
            "record_id": "18446744073709551615",
        })
    );
}

#[test]
fn a_span_has_the_fields_of_the_contract() {
    let span = Span {
        common: common(),
        duration_ns: -5,
        parent_span_id: SpanId::from_hex("00000000000000ff"),
        name: "POST /pay".to_owned(),
        kind: SpanKind::SERVER,
        status: StatusCode::ERROR,
        status_message: Some("declined".to_owned()),
        events: vec![SpanEvent { time: TIME, name: "exception".to_owned(), ..SpanEvent::default() }],
        links: vec![model::Link { span_id: SpanId::from_hex("00000000000000aa"), flags: 1, ..model::Link::default() }],
        dropped_events_count: 3,
        ..Span::default()
    };
    assert_eq!(
        written(model::Record::Span(Box::new(span))),
        json!({
            "kind": "span",
            "timestamp": "2026-03-01T03:00:00.000000007Z",
            "service": "checkout",
            "trace_id": "67891233abcdef012345678912345678",
            "span_id": "00f067aa0ba902b7",
            "parent_span_id": "00000000000000ff",
            "request_ids": ["req-1", "C-2"],
            "name": "POST /pay",
            "span_kind": "server",
            "status": "error",
            "status_message": "declined",
            "start": "2026-03-01T03:00:00.000000007Z",
            "duration_ns": -5,
            "attributes": {"http.response.status_code": 502},
            "resource": {"service.name": "checkout"},
            "scope": {"name": "http"},
            "events": [{"timestamp": "2026-03-01T03:00:00.000000007Z", "name": "exception", "attributes": {}}],
            "links": [{"span_id": "00000000000000aa", "attributes": {}, "flags": 1}],
            "dropped_events_count": 3,
            "record_id": "18446744073709551615",
        })
    );
}

#[test]
fn absent_is_omitted() {
    let written = written(model::Record::Log(Log::default()));
    let keys: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["attributes", "kind", "record_id", "request_ids", "resource", "scope", "service", "timestamp"]);
}

#[test]
fn a_level_without_text_has_the_short_name_of_its_number() {
    let log = Log { severity: Severity(18), ..Log::default() };
    assert_eq!(written(model::Record::Log(log))["severity"], "ERROR2");
}

#[test]
fn a_structured_body_stays_structured() {
    let log = Log { body: Some(Value::Map(vec![("code".to_owned(), Value::Double(7.0))])), ..Log::default() };
    assert_eq!(serde_json::to_string(&Record::from(model::Record::Log(log)).body).unwrap(), r#"{"code":7.0}"#);
}
