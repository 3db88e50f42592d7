//! The forms of OTLP/JSON that senders write and the generated types refuse.

use needle_storage::BodyFormat;
use needle_storage::model::{Record, Severity, UnixNanos, Value};

use super::{decode, json_log, json_span, log_request, records, span_request};
use crate::decode::DecodeError;

fn body(any: &str) -> Option<Value> {
    json_log(&log_request(&format!(r#""body":{any}"#))).body
}

#[test]
fn otlp_52_ids_are_hex_in_any_case() {
    let span = json_span(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0AF7651916cd43dd8448eb211C80319C","spanId":"B7ad6b7169203331",
        "parentSpanId":"00F067AA0BA902B7","links":[{"traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"B7AD6B7169203331"}]}]}]}]}"#,
    );
    assert_eq!(span.common.trace_id.unwrap().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_span_id.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(span.links[0].span_id, span.common.span_id);
}

#[test]
fn otlp_53_base64_ids_cost_their_record_only_and_the_reason_names_the_fix() {
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"t61rcWkgMzE="},
        {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"good"}]}]}]}"#;
    let outcome = decode(BodyFormat::OtlpTracesJson, json.as_bytes()).unwrap();
    assert_eq!((records(&outcome).len(), outcome.rejections.count), (1, 1));
    let reason = &outcome.rejections.first[0].reason;
    assert!(reason.contains("base64") && reason.contains("32 hex digits"), "{reason}");
}

#[test]
fn otlp_54_55_enums_are_numbers_or_names() {
    assert_eq!(json_span(&span_request(r#""kind":99"#)).kind.0, 99);
    assert_eq!(json_span(&span_request(r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#)).kind.0, 2);
    assert_eq!(json_span(&span_request(r#""status":{"code":"2"}"#)).status.0, 2);
    assert_eq!(json_log(&log_request(r#""severityNumber":"SEVERITY_NUMBER_WARN2""#)).severity, Severity(14));
}

#[test]
fn otlp_56_unknown_fields_are_ignored_at_every_level() {
    let json = r#"{"x":[{}],"resourceLogs":[{"x":1,"resource":{"x":{},"attributes":[{"x":1,"key":"k","value":{"x":[[]],"intValue":1}}]},
        "scopeLogs":[{"x":"","scope":{"x":null},"logRecords":[{"x":{"y":[1]},"body":{"futureValue":{"a":1},"stringValue":"b"}}]}]}]}"#;
    let log = json_log(json);
    assert_eq!(log.body, Some(Value::String("b".into())));
    assert_eq!(*log.common.resource, [("k".to_owned(), Value::Int(1))]);
}

#[test]
fn otlp_58_snake_case_keys_are_aliases() {
    let json = r#"{"resource_logs":[{"schema_url":"u","scope_logs":[{"log_records":[{"time_unix_nano":"7","severity_number":9,"severity_text":"I",
        "trace_id":"0af7651916cd43dd8448eb211c80319c","event_name":"e","body":{"string_value":"b"},"dropped_attributes_count":3}]}]}]}"#;
    let log = json_log(json);
    assert_eq!((log.common.time, log.severity, log.event_name.as_deref()), (UnixNanos(7), Severity(9), Some("e")));
    assert!(log.common.trace_id.is_some());
    assert_eq!((log.body, log.common.dropped_attributes_count), (Some(Value::String("b".into())), 3));
}

#[test]
fn otlp_59_60_integers_are_numbers_strings_or_have_an_exponent() {
    for time in ["1500000000000000000", "\"1500000000000000000\"", "1.5e18", "\"1.5e18\"", "1500000000000000000.0"] {
        assert_eq!(
            json_log(&log_request(&format!(r#""timeUnixNano":{time}"#))).common.time,
            UnixNanos(1_500_000_000_000_000_000),
            "{time}"
        );
    }
    assert_eq!(json_log(&log_request(r#""flags":"257","droppedAttributesCount":1e3"#)).common.flags, 257);
    assert_eq!(body(r#"{"intValue":"-9223372036854775808"}"#), Some(Value::Int(i64::MIN)));
    assert_eq!(body(r#"{"intValue":1e3}"#), Some(Value::Int(1000)));
    let json = log_request(r#""timeUnixNano":"18446744073709551615""#);
    assert_eq!(json_log(&json).common.time, UnixNanos(u64::MAX));
}

#[test]
fn an_integer_that_does_not_fit_costs_its_record_only() {
    for value in [
        r#"{"intValue":1.5}"#,
        r#"{"intValue":"9223372036854775808"}"#,
        r#"{"intValue":true}"#,
        r#"{"boolValue":7}"#,
        r#"{"stringValue":5}"#,
    ] {
        let json =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{value}}},{{"body":{{"stringValue":"ok"}}}}]}}]}}]}}"#);
        let outcome = decode(BodyFormat::OtlpLogsJson, json.as_bytes()).unwrap();
        assert_eq!((records(&outcome).len(), outcome.rejections.count, outcome.rejections.first[0].place), (1, 1, 0), "{value}");
    }
}

#[test]
fn a_rejected_record_leaves_no_attribute_behind() {
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"a","value":{"intValue":1}}],"traceId":"zz"},{"body":{"stringValue":"ok"}}]}]}]}"#;
    let outcome = decode(BodyFormat::OtlpLogsJson, json.as_bytes()).unwrap();
    assert!(records(&outcome)[0].common().attributes.is_empty());
}

#[test]
fn otlp_61_doubles_are_numbers_digits_or_names() {
    assert_eq!(body(r#"{"doubleValue":3}"#), Some(Value::Double(3.0)));
    assert_eq!(body(r#"{"doubleValue":"3.5"}"#), Some(Value::Double(3.5)));
    assert_eq!(body(r#"{"doubleValue":"-Infinity"}"#), Some(Value::Double(f64::NEG_INFINITY)));
    assert_eq!(body(r#"{"doubleValue":"Infinity"}"#), Some(Value::Double(f64::INFINITY)));
    assert!(matches!(body(r#"{"doubleValue":"NaN"}"#), Some(Value::Double(number)) if number.is_nan()));
}

#[test]
fn otlp_62_null_means_unset_everywhere() {
    assert_eq!(decode(BodyFormat::OtlpLogsJson, br#"{"resourceLogs":null}"#).unwrap().received, 0);
    assert_eq!(decode(BodyFormat::OtlpTracesJson, br#"{"resourceSpans":[null,{"scopeSpans":null}]}"#).unwrap().received, 0);
    let log = json_log(&log_request(
        r#""timeUnixNano":null,"traceId":null,"attributes":null,"body":null,"severityNumber":null,"severityText":null"#,
    ));
    assert_eq!((log.body, log.common.trace_id, log.common.attributes), (None, None, vec![]));
    let span = json_span(&span_request(r#""status":null,"events":null,"links":null,"name":null,"attributes":[{"key":"k","value":null}]"#));
    assert_eq!(span.common.attributes, [("k".to_owned(), Value::Empty)]);
}

#[test]
fn otlp_63_empty_values_are_values() {
    assert_eq!(body("{}"), Some(Value::Empty));
    assert_eq!(body(r#"{"arrayValue":{}}"#), Some(Value::Array(vec![])));
    assert_eq!(body(r#"{"kvlistValue":{}}"#), Some(Value::Map(vec![])));
    assert_eq!(body(r#"{"arrayValue":{"values":null}}"#), Some(Value::Array(vec![])));
    assert_eq!(body(r#"{"arrayValue":{"values":[{},{"intValue":1}]}}"#), Some(Value::Array(vec![Value::Empty, Value::Int(1)])));
}

#[test]
fn otlp_64_bytes_are_base64_of_either_alphabet_padded_or_not() {
    for text in ["+/8=", "-_8=", "+/8", "-_8"] {
        assert_eq!(body(&format!(r#"{{"bytesValue":"{text}"}}"#)), Some(Value::Bytes(vec![0xfb, 0xff])), "{text}");
    }
}

#[test]
fn otlp_65_the_last_of_a_repeated_key_wins() {
    let log = json_log(&log_request(
        r#""severityNumber":1,"severityNumber":9,"body":{"stringValue":"a","stringValue":"b"},"attributes":[{"key":"x"}],"attributes":[]"#,
    ));
    assert_eq!((log.severity, log.body, log.common.attributes), (Severity(9), Some(Value::String("b".into())), vec![]));
}

#[test]
fn otlp_66_a_byte_order_mark_is_skipped_and_broken_text_is_refused() {
    let json = format!("\u{feff}{}", log_request(""));
    assert_eq!(json_log(&json).body, None);
    let lone = log_request(r#""body":{"stringValue":"\ud800"}"#);
    assert!(matches!(decode(BodyFormat::OtlpLogsJson, lone.as_bytes()), Err(DecodeError::Json(_))));
    assert!(matches!(decode(BodyFormat::OtlpLogsJson, b"{\"x\":\"\xff\"}"), Err(DecodeError::Utf8(6))));
}

#[test]
fn otlp_32_39_what_is_no_json_is_refused_with_its_place() {
    for body in ["", "[", "nope", "{} trailing", r#"{"resourceLogs":[{]}"#, r#"{"resourceLogs":7}"#, "[]"] {
        let Err(DecodeError::Json(reason)) = decode(BodyFormat::OtlpLogsJson, body.as_bytes()) else { panic!("{body} was not refused") };
        assert!(reason.contains("line"), "{body}: {reason}");
    }
}

#[test]
fn the_resource_may_stand_after_the_scopes() {
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}],"scope":{"name":"late"}}],"resource":{"attributes":[{"value":{"stringValue":"shop"},"key":"service.name"}]}}]}"#;
    let log = json_log(json);
    assert_eq!(log.common.service, "shop");
    assert_eq!(*log.common.scope, [("name".to_owned(), Value::String("late".into()))]);
}

#[test]
fn the_examples_of_the_specification_are_read() {
    let folder = std::path::Path::new("../../shared/data/otlp_examples");
    let (Ok(logs), Ok(trace)) = (std::fs::read(folder.join("logs.json")), std::fs::read(folder.join("trace.json"))) else {
        eprintln!("skipped: there is no {}", folder.display());
        return;
    };
    let logs = decode(BodyFormat::OtlpLogsJson, &logs).unwrap();
    let spans = decode(BodyFormat::OtlpTracesJson, &trace).unwrap();
    assert_eq!((logs.rejections.count, spans.rejections.count), (0, 0));
    assert!(matches!(&records(&logs)[0], Record::Log(log) if log.common.service == "my.service"));
    assert!(matches!(&records(&spans)[0], Record::Span(span) if span.name == "I'm a server span"));
}
