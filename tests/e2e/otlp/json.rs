//! Checks 52 to 66: OTLP/JSON in every form that senders write.

use serde_json::{Value, json};

use super::wire::{Door, Refused, Signal, Success, export_bytes};
use crate::harness::{Server, metric};
use crate::otlp::{hex, unique};

fn send(server: &Server, signal: Signal, body: &str) -> Result<Success, Refused> {
    export_bytes(server, Door::Json, signal, "identity", body.as_bytes())
}

/// Stores one log with these fields; the record as it is read back.
#[track_caller]
fn log(server: &Server, fields: &str) -> Value {
    let marker = hex(&unique(8));
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{marker}"}}}}]}},
            "scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#
    );
    assert_eq!(send(server, Signal::Logs, &body), Ok(Success::default()), "{fields}");
    let mut found = server.search(&format!("service:{marker}"));
    assert_eq!(found.len(), 1, "{fields}");
    found.remove(0)
}

/// The body of a log whose `body` is this `AnyValue`.
#[track_caller]
fn body(server: &Server, any: &str) -> Value {
    log(server, &format!(r#""timeUnixNano":"1","body":{any}"#))["body"].clone()
}

/// Stores one span with these fields beside its ids.
#[track_caller]
fn span(server: &Server, fields: &str) -> Value {
    let (trace, span) = (hex(&unique(16)), hex(&unique(8)));
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{trace}","spanId":"{span}",{fields}}}]}}]}}]}}"#);
    assert_eq!(send(server, Signal::Traces, &body), Ok(Success::default()), "{fields}");
    let mut found = server.search(&format!("trace:{trace}"));
    assert_eq!(found.len(), 1, "{fields}");
    found.remove(0)
}

fn lenient(server: &Server, form: &str) -> u64 {
    metric(server, &format!("needle_ingest_lenient_forms_total{{form=\"{form}\"}}"))
}

#[test]
fn otlp_52_ids_are_hex_in_any_case() {
    let server = Server::start();
    let (trace, id, parent) = (hex(&unique(16)), hex(&unique(8)), hex(&unique(8)));
    for (n, [trace_as, id_as, parent_as]) in
        [[trace.clone(), id.clone(), parent.clone()], [trace.to_uppercase(), id.to_uppercase(), parent.to_uppercase()]].iter().enumerate()
    {
        let body = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{trace_as}","spanId":"{id_as}","parentSpanId":"{parent_as}",
                "name":"span {n}","links":[{{"traceId":"{trace_as}","spanId":"{id_as}"}}]}}]}}]}}]}}"#
        );
        assert_eq!(send(&server, Signal::Traces, &body), Ok(Success::default()));
    }
    let found = server.search(&format!("trace:{trace}"));
    assert_eq!(found.len(), 2);
    for span in found {
        assert_eq!((&span["trace_id"], &span["span_id"], &span["parent_span_id"]), (&json!(trace), &json!(id), &json!(parent)));
        assert_eq!(span["links"][0], json!({"trace_id": trace, "span_id": id, "attributes": {}}));
    }
}

#[test]
fn otlp_53_ids_in_base64_cost_their_record_and_the_reason_names_the_fix() {
    let server = Server::start();
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"t61rcWkgMzE="},
        {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"good"}]}]}]}"#;
    let success = send(&server, Signal::Traces, body).unwrap();
    assert_eq!((success.rejected, server.search("*").len()), (1, 1));
    assert!(success.message.contains("base64") && success.message.contains("32 hex digits"), "{}", success.message);
}

#[test]
fn otlp_54_55_enums_are_numbers_known_or_not_and_names_are_read_and_counted() {
    let server = Server::start();
    assert_eq!(span(&server, r#""kind":3"#)["span_kind"], "client");
    assert_eq!(span(&server, r#""kind":99,"status":{"code":77}"#)["span_kind"], "unspecified");
    assert_eq!(lenient(&server, "enum_name"), 0);
    let named = span(&server, r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#);
    assert_eq!((&named["span_kind"], &named["status"]), (&json!("server"), &json!("error")));
    assert_eq!(log(&server, r#""severityNumber":"SEVERITY_NUMBER_WARN2""#)["severity_number"], 14);
    assert_eq!(lenient(&server, "enum_name"), 3);
    let digits = span(&server, r#""kind":"2","status":{"code":"2"}"#);
    assert_eq!((&digits["span_kind"], &digits["status"]), (&json!("server"), &json!("error")));
    assert_eq!(lenient(&server, "enum_name"), 3, "numbers in quotes are allowed");
}

#[test]
fn otlp_56_57_unknown_fields_are_ignored_at_every_level() {
    let server = Server::start();
    let body = r#"{"x":[{}],"resourceLogs":[{"x":1,"resource":{"x":{},"attributes":[{"x":1,"key":"k","value":{"x":[[]],"intValue":1}}]},
        "scopeLogs":[{"x":"","scope":{"x":null,"name":"s"},"logRecords":[{"x":{"y":[1]},"timeUnixNano":"7","observedTimeUnixNano":"8",
        "severityText":"S","droppedAttributesCount":3,"eventName":"e","body":{"futureValue":{"a":1},"stringValue":"b"}}]}]}]}"#;
    assert_eq!(send(&server, Signal::Logs, body), Ok(Success::default()));
    let record = server.search("*").remove(0);
    assert_eq!((&record["body"], &record["severity"], &record["event_name"]), (&json!("b"), &json!("S"), &json!("e")));
    assert_eq!((&record["resource"], &record["scope"]["name"]), (&json!({"k": 1}), &json!("s")));
    assert_eq!((&record["timestamp"], &record["dropped_attributes_count"]), (&json!("1970-01-01T00:00:00.000000007Z"), &json!(3)));
}

#[test]
fn otlp_58_names_in_snake_case_are_read_and_counted() {
    let server = Server::start();
    let body = r#"{"resource_logs":[{"schema_url":"u","scope_logs":[{"log_records":[{"time_unix_nano":"7","severity_number":9,
        "trace_id":"0af7651916cd43dd8448eb211c80319c","event_name":"e","body":{"kvlist_value":{"values":[{"key":"a_key","value":{"int_value":1}}]}}}]}]}]}"#;
    assert_eq!(send(&server, Signal::Logs, body), Ok(Success::default()));
    let record = server.search("*").remove(0);
    assert_eq!((&record["trace_id"], &record["severity_number"]), (&json!("0af7651916cd43dd8448eb211c80319c"), &json!(9)));
    assert_eq!((&record["event_name"], &record["body"]), (&json!("e"), &json!({"a_key": 1})));
    assert_eq!(lenient(&server, "snake_case_name"), 10);
    let body = r#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"0af7651916cd43dd8448eb211c80319d","span_id":"b7ad6b7169203331",
        "parent_span_id":"b7ad6b7169203332","start_time_unix_nano":"5","end_time_unix_nano":"9","trace_state":"a=b"}]}]}]}"#;
    assert_eq!(send(&server, Signal::Traces, body), Ok(Success::default()));
    let span = server.search("kind:span").remove(0);
    assert_eq!(
        (&span["parent_span_id"], &span["duration_ns"], &span["trace_state"]),
        (&json!("b7ad6b7169203332"), &json!(4), &json!("a=b"))
    );
}

#[test]
fn otlp_59_60_integers_are_numbers_or_strings_and_may_have_an_exponent() {
    let server = Server::start();
    for time in ["1500000000000000000", "\"1500000000000000000\"", "1.5e18", "\"1.5e18\"", "1500000000000000000.0"] {
        let record = log(&server, &format!(r#""timeUnixNano":{time}"#));
        assert_eq!(record["timestamp"], "2017-07-14T02:40:00.000000000Z", "{time}");
    }
    let record = log(&server, r#""flags":"257","droppedAttributesCount":1e3"#);
    assert_eq!((&record["flags"], &record["dropped_attributes_count"]), (&json!(257), &json!(1000)));
    assert_eq!(body(&server, r#"{"intValue":"-9223372036854775808"}"#), json!(i64::MIN));
    assert_eq!(body(&server, r#"{"intValue":9223372036854775807}"#), json!(i64::MAX));
    assert_eq!(body(&server, r#"{"intValue":1e3}"#), json!(1000));
    let wrong = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":1.5}},{"body":{"stringValue":"right"}}]}]}]}"#;
    assert_eq!(send(&server, Signal::Logs, wrong).unwrap().rejected, 1, "what is not integral costs its record");
}

#[test]
fn otlp_61_doubles_are_numbers_digits_or_names() {
    let server = Server::start();
    for (written, read) in [("3", json!(3.0)), ("\"3.5\"", json!(3.5)), ("1e-3", json!(0.001)), ("-0.0", json!(-0.0))] {
        assert_eq!(body(&server, &format!(r#"{{"doubleValue":{written}}}"#)), read, "{written}");
    }
    for name in ["NaN", "Infinity", "-Infinity"] {
        assert_eq!(body(&server, &format!(r#"{{"doubleValue":"{name}"}}"#)), json!(name));
    }
}

#[test]
fn otlp_62_null_means_unset_everywhere() {
    let server = Server::start();
    for empty in [r#"{"resourceLogs":null}"#, r#"{"resourceLogs":[{"scopeLogs":null,"resource":null}]}"#, r#"{"resourceLogs":[null]}"#] {
        assert_eq!(send(&server, Signal::Logs, empty), Ok(Success::default()), "{empty}");
    }
    let record = log(
        &server,
        r#""timeUnixNano":null,"observedTimeUnixNano":null,"traceId":null,"spanId":null,"attributes":null,"body":null,
        "severityNumber":null,"severityText":null,"flags":null,"eventName":null,"droppedAttributesCount":null"#,
    );
    assert_eq!((record.get("body"), record.get("trace_id"), &record["attributes"]), (None, None, &json!({})));
    let span = span(
        &server,
        r#""status":null,"events":null,"links":null,"name":null,"kind":null,"startTimeUnixNano":null,"parentSpanId":null,
        "attributes":[{"key":"k","value":null},{"key":"l","value":{"stringValue":null}}]"#,
    );
    assert_eq!((&span["name"], &span["attributes"]), (&json!(""), &json!({"k": null, "l": null})));
}

#[test]
fn otlp_63_empty_values_are_values() {
    let server = Server::start();
    let attributes = r#""attributes":[{"key":"empty","value":{}},{"key":"list","value":{"arrayValue":{}}},{"key":"map","value":{"kvlistValue":{}}},
        {"key":"nothing"},{"key":"text","value":{"stringValue":""}},{"key":"mixed","value":{"arrayValue":{"values":[{},{"intValue":1}]}}}]"#;
    let expected = json!({"empty": null, "list": [], "map": {}, "nothing": null, "text": "", "mixed": [null, 1]});
    assert_eq!(log(&server, attributes)["attributes"], expected);
}

#[test]
fn otlp_64_bytes_are_base64_of_either_alphabet_padded_or_not() {
    let server = Server::start();
    for text in ["+/8=", "-_8=", "+/8", "-_8"] {
        assert_eq!(body(&server, &format!(r#"{{"bytesValue":"{text}"}}"#)), json!("+/8="), "{text}");
    }
}

#[test]
fn otlp_65_the_last_of_a_repeated_name_counts() {
    let server = Server::start();
    let record = log(&server, r#""severityNumber":1,"severityNumber":9,"body":{"stringValue":"a","stringValue":"b"}"#);
    assert_eq!((&record["severity_number"], &record["body"]), (&json!(9), &json!("b")));
}

#[test]
fn otlp_66_broken_text_is_refused_and_a_byte_order_mark_skipped() {
    let server = Server::start();
    let request =
        |text: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{text}"}}}}]}}]}}]}}"#);
    let invalid = [request("a").as_bytes(), b"\xff"].concat();
    for broken in [request("\\ud800").into_bytes(), request("\\ud800x\\udc00").into_bytes(), invalid] {
        let refused = export_bytes(&server, Door::Json, Signal::Logs, "identity", &broken).unwrap_err();
        assert_eq!((refused.http, refused.code), (400, 3), "{}", refused.message);
    }
    assert!(server.search("*").is_empty());
    assert_eq!(send(&server, Signal::Logs, &format!("\u{feff}{}", request("marked"))), Ok(Success::default()));
    assert_eq!(send(&server, Signal::Logs, &request("\\ud83d\\ude00 paired")), Ok(Success::default()));
    let bodies: Vec<Value> = server.search_with(&[("q", "*"), ("order", "asc")]).iter().map(|record| record["body"].clone()).collect();
    assert_eq!(bodies, ["marked", "\u{1f600} paired"]);
}
