//! What queries find: the language and storage's evaluation together.

use needle_storage::model::{
    LogRow, LogsBuilder, RecordsView, RowIds, Severity, Signal, SpanId, SpanRow, SpansBuilder, TraceId, UnixNanos, Value, ValueKind,
};

use super::parse;

const REQUEST: &str = "req-125A4AFB-6F55-44BA-AD80-413F09F48A28";

/// Names of the records that match: `refused`, `slow`, `ok` are logs; `cart`, `pay` are spans.
fn found(query: &str) -> Vec<&'static str> {
    let predicate = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let (logs, spans) = (logs().finish(), spans().finish());
    let (logs, spans) = (RecordsView::new(Signal::Logs, &logs), RecordsView::new(Signal::Spans, &spans));
    let of_logs = ["refused", "slow", "ok"].into_iter().enumerate().filter(|(row, _)| predicate.matches(&logs, *row));
    let of_spans = ["cart", "pay"].into_iter().enumerate().filter(|(row, _)| predicate.matches(&spans, *row));
    of_logs.chain(of_spans).map(|(_, name)| name).collect()
}

fn logs() -> LogsBuilder {
    let mut logs = LogsBuilder::with_capacity(3);
    logs.set_resource(Some(r#"{"service.name":"web","deployment.environment":"production"}"#), Some("web"));
    let mut log = |severity, body, (key, value): (&str, Value), request_id| {
        logs.attributes().push(key, &value);
        let ids = RowIds { request_id, ..RowIds::default() };
        logs.append(&LogRow { timestamp: UnixNanos(1), severity, body: Some((ValueKind::String, body)), ids, ..LogRow::default() });
    };
    let status = ("status", Value::String("200".to_owned()));
    log(Severity::ERROR, "Connection refused by db-1: card-declined", ("user.id", Value::Int(42)), Some(REQUEST));
    log(Severity(14), "slow answer from http://shop/api/v1/cart", ("http.status_code", Value::Int(503)), None);
    log(Severity::INFO, "ok; audit-7 done", status, Some("audit-7"));
    logs
}

fn spans() -> SpansBuilder {
    let mut spans = SpansBuilder::with_capacity(2);
    let parent_span_id = Some(SpanId([7; 8]));
    for (service, name, parent_span_id, kind, end_ms, status_code, code) in
        [("cart", "GET /cart", None, 2, 800, 0, 200), ("pay", "POST /charge", parent_span_id, 3, 20, 2, 502)]
    {
        spans.set_resource(None, Some(service));
        spans.attributes().push("http.response.status_code", &Value::Int(code));
        spans.attributes().push("url.path", &Value::String(format!("/api/{service}")));
        let ids = RowIds { trace_id: Some(TraceId([0x4b; 16])), span_id: Some(SpanId([kind as u8; 8])), ..RowIds::default() };
        let (start, end) = (UnixNanos(0), UnixNanos(end_ms * 1_000_000));
        spans.append(&SpanRow { start, end, ids, parent_span_id, name, kind, status_code, ..SpanRow::default() });
    }
    spans
}

#[test]
fn queries_find_what_a_reader_expects() {
    let trace = "4b".repeat(16);
    let all = ["refused", "slow", "ok", "cart", "pay"];
    let expected: Vec<(&str, &[&str])> = vec![
        ("*", &all),
        ("connection REFUSED", &["refused"]),
        ("\"connection refused\"", &["refused"]),
        ("\"refused connection\"", &[]),
        ("card-declined", &["refused"]),
        ("declin*", &["refused"]),
        ("/api/v1/cart", &["slow"]),
        ("cart", &["slow", "cart"]),
        ("db-1", &["refused"]),
        ("/refused by db-[0-9]/", &["refused"]),
        ("\"GET /cart\"", &["cart"]),
        ("service:web", &["refused", "slow", "ok"]),
        ("-service:web", &["cart", "pay"]),
        ("service!=web", &["cart", "pay"]),
        ("service:(cart OR pay)", &["cart", "pay"]),
        ("level>=warn", &["refused", "slow"]),
        ("level:warn", &["slow"]),
        ("level!=info", &["refused", "slow"]),
        ("level:14", &["slow"]),
        ("duration>500ms", &["cart"]),
        ("duration:(>10ms <1s) -kind:server", &["pay"]),
        ("http.response.status_code>=500", &["slow", "pay"]),
        ("http.status_code:503", &["slow"]),
        ("status>=500", &["slow", "pay"]),
        ("status:200", &["ok", "cart"]),
        ("status:error", &["pay"]),
        ("url.path:/api/*", &["cart", "pay"]),
        ("url.path:/api/cart", &["cart"]),
        ("user.id:*", &["refused"]),
        ("attr.user.id:42", &["refused"]),
        ("user.id>=42 user.id<43", &["refused"]),
        ("env:production", &["refused", "slow", "ok"]),
        ("body:refused", &["refused"]),
        ("name:\"POST /charge\"", &["pay"]),
        ("kind:span is:root", &["cart"]),
        ("has:error", &["refused", "pay"]),
        ("id:125a4afb6f5544baad80413f09f48a28", &["refused"]),
        ("125a4afb-6f55-44ba-ad80-413f09f48a28", &["refused"]),
        ("audit-7", &["ok"]),
        ("request:audit-7", &["ok"]),
        ("span:0303030303030303", &["pay"]),
        (&trace, &["cart", "pay"]),
        ("kind:log NOT (refused OR slow)", &["ok"]),
        ("refused OR slow kind:span", &["refused"]),
        ("nowhere-to-be-found", &[]),
    ];
    for (query, names) in expected {
        assert_eq!(found(query), names, "{query}");
    }
}
