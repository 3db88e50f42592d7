use bytes::Bytes;
use needle_storage::model::{Log, Record, RecordsView, Signal, Tenant, UnixNanos, Value};
use needle_storage::{BodyFormat, RawRequest};

use crate::decode::{DecodeError, Decoder, Outcome};
use crate::settings::IngestSettings;

fn try_decode(body: &[u8]) -> Result<Outcome, DecodeError> {
    let request = RawRequest {
        tenant: Tenant::default(),
        format: BodyFormat::JsonLogs,
        arrival: UnixNanos(1_795_176_000_000_000_000),
        service: Some("fallback".to_owned()),
        timezone: None,
        body: Bytes::copy_from_slice(body),
    };
    Decoder::new(IngestSettings::default()).decode(&request)
}

fn decode(body: &str) -> (Vec<Log>, Vec<(usize, String)>) {
    let outcome = try_decode(body.as_bytes()).unwrap();
    let view = RecordsView::new(Signal::Logs, &outcome.decoded.records);
    let logs = (0..view.len()).map(|row| match view.record(row) {
        Record::Log(log) => log,
        Record::Span(_) => panic!("a span among logs"),
    });
    (logs.collect(), outcome.rejections.first.into_iter().map(|rejection| (rejection.place, rejection.reason)).collect())
}

fn one(body: &str) -> Log {
    let (mut logs, rejected) = decode(body);
    assert_eq!((logs.len(), rejected.len()), (1, 0), "{body}");
    logs.remove(0)
}

fn text(log: &Log) -> &str {
    log.body.as_ref().and_then(Value::as_str).unwrap_or("")
}

#[test]
fn recognised_keys_become_fields_and_the_rest_attributes_with_their_types() {
    let log =
        one(r#"{"time": 1761019822.3152757, "service": "legacy-auth", "level": "warn", "msg": "token near expiry", "request_id": "A-1",
        "n": 1, "x": 1.5, "ok": true, "none": null, "list": [1, "a"], "user": {"id": 7, "geo": {"city": "Ulm"}}, "empty": {}}"#);
    assert_eq!(log.common.time, UnixNanos(1_761_019_822_315_275_700));
    assert_eq!((log.common.service.as_str(), text(&log)), ("legacy-auth", "token near expiry"));
    assert_eq!((log.severity.name(), log.severity_text.as_deref()), ("WARN", Some("warn")));
    assert_eq!(log.common.request_ids, ["A-1"]);
    let expected = vec![
        ("request_id", Value::String("A-1".into())),
        ("n", Value::Int(1)),
        ("x", Value::Double(1.5)),
        ("ok", Value::Bool(true)),
        ("none", Value::Empty),
        ("list", Value::Array(vec![Value::Int(1), Value::String("a".into())])),
        ("user.id", Value::Int(7)),
        ("user.geo.city", Value::String("Ulm".into())),
        ("empty", Value::Map(vec![])),
    ];
    let mut expected: Vec<(String, Value)> = expected.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(log.common.attributes, expected);
}

#[test]
fn the_first_usable_key_wins() {
    let log =
        one(r#"{"timestamp":"tomorrow","ts":"2013-09-06T20:00:48.124817Z","message":"a","msg":"b","level":30,"log":{"level":"error"}}"#);
    assert_eq!(log.common.time, UnixNanos(1_378_497_648_124_817_000));
    assert_eq!((text(&log), log.severity.name(), log.severity_text.as_deref()), ("a", "INFO", Some("30")));
    let keys: Vec<&str> = log.common.attributes.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["log.level", "msg", "timestamp"]);
    let log = one(r#"{"@timestamp":"2025-01-13T09:58:13.631Z","log":{"level":"debug"},"log.logger":"app","service":{"name":"es"}}"#);
    assert_eq!((log.severity.name(), log.common.service.as_str(), log.body), ("DEBUG", "es", None));
}

#[test]
fn one_object_an_array_and_lines_are_the_same() {
    let object = "{\n \"msg\": \"a\"\n}";
    assert_eq!(text(&one(object)), "a");
    for body in [
        "[{\"msg\":\"a\"},{\"msg\":\"b\"}]",
        "{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n",
        "\u{feff}{\"msg\":\"a\"}\r\n\r\n{\"msg\":\"b\"}",
        "{\n\"msg\":\"a\"}\n{\n\"msg\":\"b\"}",
    ] {
        let (logs, rejected) = decode(body);
        assert_eq!(logs.iter().map(text).collect::<Vec<_>>(), ["a", "b"], "{body}");
        assert!(rejected.is_empty());
    }
}

#[test]
fn a_line_that_is_not_json_is_a_record_with_that_text() {
    let (logs, rejected) = decode("{\"msg\":\"a\"}\n2020-01-01T00:00:00Z ERROR boom\n{\"msg\": \n");
    assert_eq!(logs.iter().map(text).collect::<Vec<_>>(), ["a", "2020-01-01T00:00:00Z ERROR boom", "{\"msg\": "]);
    assert_eq!((logs[1].severity.name(), logs[1].common.time), ("ERROR", UnixNanos(1_577_836_800_000_000_000)));
    assert!(rejected.is_empty());
}

#[test]
fn bad_elements_are_named_and_the_others_stored() {
    let (logs, rejected) = decode(r#"[{"msg":"a"}, 42, {"msg":"\ud800"}, {"msg":"d"}]"#);
    assert_eq!(logs.iter().map(text).collect::<Vec<_>>(), ["a", "d"]);
    assert_eq!(rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    let deep = format!("{{\"msg\":\"a\"}}\n{{\"x\":{}1{}}}\n{{\"msg\":\"c\"}}", "[".repeat(100), "]".repeat(100));
    let (logs, rejected) = decode(&deep);
    assert_eq!((logs.len(), rejected[0].0), (2, 2));
    assert!(rejected[0].1.contains("nested"), "{}", rejected[0].1);
}

#[test]
fn lines_that_are_not_utf8_are_named() {
    let outcome = try_decode(b"{\"msg\":\"a\"}\n{\"msg\":\"\xff\"}\n").unwrap();
    assert_eq!((outcome.decoded.records.num_rows(), outcome.rejections.first[0].place), (1, 2));
}

#[test]
fn an_array_that_ends_early_is_refused_with_its_place() {
    let Err(DecodeError::Json(reason)) = try_decode(b"[{\"msg\":\"a\"},") else { panic!("not refused") };
    assert!(reason.contains("line 1 column"), "{reason}");
}

#[test]
fn ids_come_from_nested_loggers_contexts_and_from_trace_keys() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let log = one(&format!(r#"{{"msg":"x","req":{{"id":"r-1"}},"mdc":{{"traceId":"{trace}"}},"span_id":"b7ad6b7169203331"}}"#));
    assert_eq!(log.common.request_ids, ["r-1"]);
    assert_eq!(log.common.trace_id.map(|id| id.to_string()).as_deref(), Some(trace));
    assert_eq!(log.common.span_id.map(|id| id.to_string()).as_deref(), Some("b7ad6b7169203331"));
}

#[test]
fn numbers_beyond_an_integer_keep_their_digits() {
    let log = one(r#"{"msg":"x","n":18446744073709551615}"#);
    assert_eq!(log.common.attributes, [("n".to_owned(), Value::String("18446744073709551615".into()))]);
}

#[test]
fn a_service_is_taken_from_the_line_before_the_request() {
    let (logs, _) = decode("{\"msg\":\"a\",\"app\":\"x\"}\n{\"msg\":\"b\"}\nplain\n");
    assert_eq!(logs.iter().map(|log| log.common.service.as_str()).collect::<Vec<_>>(), ["x", "fallback", "fallback"]);
}
