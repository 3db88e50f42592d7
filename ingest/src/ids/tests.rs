use super::*;
use crate::settings::IngestSettings;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const UUID: &str = "125a4afb-6f55-44ba-ad80-413f09f48a28";

fn finder() -> IdFinder {
    IdFinder::new(&IngestSettings::default().request_id_keys)
}

fn in_attribute(key: &str, value: &Value) -> RecordIds {
    let mut found = FoundIds::default();
    finder().attribute(Place::Record, key, value.kind(), &value.text(), &mut found);
    found.resolve(None, None)
}

fn in_text(text: &str) -> RecordIds {
    let mut found = FoundIds::default();
    finder().body(text, &mut found);
    found.resolve(None, None)
}

fn shown(ids: &RecordIds) -> (Option<String>, Option<String>, Vec<String>) {
    let requests = ids.request_id.iter().chain(&ids.more_ids).cloned().collect();
    (ids.trace_id.map(|id| id.to_string()), ids.span_id.map(|id| id.to_string()), requests)
}

#[test]
fn request_ids_are_found_under_every_spelling_of_their_keys() {
    let keys = [
        "request_id",
        "request.id",
        "requestId",
        "RequestID",
        "REQUEST-ID",
        "x-request-id",
        "X_Request_Id",
        "http.request.header.x-request-id",
        "http.response.header.x_request_id",
        "http.request_id",
        "correlation_id",
        "correlationId",
        "CorrelationID",
        "x-correlation-id",
        "aws.request_id",
        "awsRequestId",
        "faas.invocation_id",
        "req_id",
        "reqId",
        "X-Openstack-Request-Id",
    ];
    for key in keys {
        assert_eq!(in_attribute(key, &Value::String("abc-1".into())).request_id.as_deref(), Some("abc-1"), "{key}");
    }
    for key in ["request", "id", "request_idle", "user_id", "request_ids_total", ""] {
        assert_eq!(in_attribute(key, &Value::String("abc-1".into())), RecordIds::default(), "{key}");
    }
}

#[test]
fn the_values_of_a_header_are_an_array() {
    let values = Value::Array(vec![Value::String("a-1".into()), Value::String("-".into()), Value::String("b-2".into())]);
    let ids = in_attribute("http.request.header.x-request-id", &values);
    assert_eq!((ids.request_id.as_deref(), ids.more_ids), (Some("a-1"), vec!["b-2".to_owned()]));
}

#[test]
fn placeholders_are_no_ids() {
    for value in ["-", "null", "0", "00000000-0000-0000-0000-000000000000", "", " "] {
        assert_eq!(in_attribute("request_id", &Value::String(value.into())), RecordIds::default(), "{value:?}");
    }
}

#[test]
fn headers_that_carry_a_trace_give_a_trace_id() {
    let uuid_trace = "125a4afb6f5544baad80413f09f48a28";
    let padded = "00000000000000005af7183fb1d4cf5f";
    let cases = [
        ("trace_id", TRACE.to_owned(), TRACE, None),
        ("traceId", TRACE.to_uppercase(), TRACE, None),
        ("trace.id", UUID.to_owned(), uuid_trace, None),
        ("otel.trace_id", TRACE.to_owned(), TRACE, None),
        ("traceparent", format!("00-{TRACE}-{SPAN}-01"), TRACE, Some(SPAN)),
        ("http.request.header.traceparent", format!("cc-{TRACE}-{SPAN}-01-later"), TRACE, Some(SPAN)),
        ("b3", format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"), TRACE, Some(SPAN)),
        ("b3", format!("5af7183fb1d4cf5f-{SPAN}"), padded, Some(SPAN)),
        ("X-B3-TraceId", "5AF7183FB1D4CF5F".to_owned(), padded, None),
        ("dd.trace_id", "6554734444506566495".to_owned(), padded, None),
        ("dd.trace_id", "9461933312994806".to_owned(), "000000000000000000219d9406026df6", None),
        ("x-datadog-trace-id", "0021930312994806".to_owned(), "00000000000000000021930312994806", None),
        ("dd.trace_id", "12345678901234567890123456789012".to_owned(), "12345678901234567890123456789012", None),
        ("trace_id", "9461933312994806".to_owned(), "00000000000000009461933312994806", None),
        (
            "X-Amzn-Trace-Id",
            "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1".to_owned(),
            "67891233abcdef012345678912345678",
            Some("53995c3f42cd8ad8"),
        ),
        ("X-Cloud-Trace-Context", format!("{TRACE}/6554734444506566495;o=1"), TRACE, Some("5af7183fb1d4cf5f")),
        ("logging.googleapis.com/trace", format!("projects/p/traces/{TRACE}"), TRACE, None),
    ];
    for (key, value, trace, span) in cases {
        let ids = in_attribute(key, &Value::String(value.clone()));
        assert_eq!(shown(&ids), (Some(trace.to_owned()), span.map(str::to_owned), vec![]), "{key}: {value}");
    }
}

#[test]
fn malformed_trace_headers_name_none() {
    let cases = [
        ("traceparent", format!("ff-{TRACE}-{SPAN}-01")),
        ("traceparent", format!("00-{}-{SPAN}-01", "0".repeat(32))),
        ("traceparent", format!("00-{TRACE}-{SPAN}-01-later")),
        ("traceparent", format!("00-{TRACE}-{SPAN}")),
        ("b3", "0".to_owned()),
        ("X-Amzn-Trace-Id", "Root=1-x-y".to_owned()),
        ("X-Cloud-Trace-Context", "é/1".to_owned()),
        ("span_id", "nonsense".to_owned()),
    ];
    for (key, value) in cases {
        assert_eq!(in_attribute(key, &Value::String(value.clone())), RecordIds::default(), "{key}: {value}");
    }
}

#[test]
fn a_trace_id_that_is_no_trace_id_is_still_an_id() {
    assert_eq!(in_attribute("trace_id", &Value::String("job-77".into())).request_id.as_deref(), Some("job-77"));
}

#[test]
fn log_lines_name_their_ids() {
    let req = format!("req-{UUID}");
    let cases = [
        (format!("2018-06-27 06:39:57.993 1900 DEBUG nova.osapi [{req} - - - - -] accepted"), None, None, vec![req.clone()]),
        (format!("16:51:24.967 INFO u.c.UserController#48 TraceID: {TRACE} SpanID: {SPAN} [x]"), Some(TRACE), Some(SPAN), vec![]),
        ("POST /cart request_id=abc.DEF-1, took 3 ms".to_owned(), None, None, vec!["abc.DEF-1".to_owned()]),
        ("Request-ID: a1b2.".to_owned(), None, None, vec!["a1b2".to_owned()]),
        (format!("(HTTP 409) (Request-ID: {req})"), None, None, vec![req.clone()]),
        (format!("INFO [{UUID}] done"), None, None, vec![UUID.to_owned()]),
        (format!(r#"{{\"correlationId\":\"c-9\"}} trace_id={TRACE}"#), Some(TRACE), None, vec!["c-9".to_owned()]),
        (format!("dd.trace_id=6554734444506566495 dd.span_id={SPAN}"), Some("00000000000000005af7183fb1d4cf5f"), Some(SPAN), vec![]),
        (
            "dd.trace_id=9461933312994806 dd.span_id=1000000000000001".to_owned(),
            Some("000000000000000000219d9406026df6"),
            Some("00038d7ea4c68001"),
            vec![],
        ),
        ("x-datadog-trace-id: 1000000000000001".to_owned(), Some("000000000000000000038d7ea4c68001"), None, vec![]),
        (format!("[orders,{TRACE},{SPAN},true] paid"), Some(TRACE), Some(SPAN), vec![]),
        (format!("curl -H 'traceparent: 00-{TRACE}-{SPAN}-01'"), Some(TRACE), Some(SPAN), vec![]),
        ("the request id: is missing; request_id: none; request_id=-".to_owned(), None, None, vec![]),
        (format!("volume {UUID} attached"), None, None, vec![]),
    ];
    for (text, trace, span, requests) in cases {
        assert_eq!(shown(&in_text(&text)), (trace.map(str::to_owned), span.map(str::to_owned), requests), "{text}");
    }
}

#[test]
fn top_level_keys_of_a_json_body_are_found_before_its_text() {
    let ids =
        in_text(&format!(r#"{{"note":"request_id=second","nested":{{"request_id":"third"}},"requestId":"first","traceId":"{TRACE}"}}"#));
    assert_eq!(ids.request_id.as_deref(), Some("first"));
    assert!(ids.more_ids.contains(&"second".to_owned()));
    assert_eq!(ids.trace_id.map(|id| id.to_string()).as_deref(), Some(TRACE));
}

#[test]
fn the_list_decides_which_of_several_ids_is_the_first() {
    let mut found = FoundIds::default();
    let finder = IdFinder::new(&["order_ref".to_owned(), "requestId".to_owned()]);
    for (place, key, value) in
        [(Place::Resource, "order_ref", "r0"), (Place::Record, "request_id", "r2"), (Place::Record, "Order-Ref", "r1")]
    {
        finder.attribute(place, key, ValueKind::String, value, &mut found);
    }
    finder.body("order_ref=r3 requestId=r2", &mut found);
    let ids = found.resolve(None, None);
    assert_eq!(shown(&ids).2, ["r1", "r2", "r0", "r3"]);
}

#[test]
fn spellings_of_one_id_are_one_id() {
    let ids = in_text(&format!("request_id={UUID} req-{UUID} request_id={}", UUID.to_uppercase()));
    assert_eq!(shown(&ids).2, [UUID]);
}

#[test]
fn another_trace_than_the_records_own_is_a_further_id() {
    let mut found = FoundIds::default();
    finder().attribute(Place::Record, "trace_id", ValueKind::String, TRACE, &mut found);
    let own = TraceId::from_hex("11111111111111111111111111111111");
    let ids = found.clone().resolve(own, None);
    assert_eq!((ids.trace_id, ids.more_ids), (own, vec![TRACE.to_owned()]));
    let same = found.resolve(TraceId::from_hex(TRACE), None);
    assert!(same.more_ids.is_empty());
}
