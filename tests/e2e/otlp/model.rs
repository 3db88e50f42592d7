//! Checks 67 to 73: the data model, the same at every door, live and sealed.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use serde_json::{Value, json};

use super::transport::{one_log, one_span};
use super::wire::{DOORS, Door, Signal, Success, export, export_bytes};
use crate::harness::{Server, metric};
use crate::otlp::{self, MS, attribute};

/// Looks at what is stored while it is live and when it is sealed.
fn live_and_sealed(server: &Server, look: impl Fn()) {
    look();
    server.flush();
    look();
}

#[test]
fn otlp_67_spans_without_valid_ids_are_rejected_alone() {
    let server = Server::start();
    for door in DOORS {
        let time = otlp::now();
        let span = |trace: &[u8], id: &[u8]| {
            let mut span = otlp::span(trace, "bad", time, time + MS);
            span.span_id = id.to_vec();
            span
        };
        let good = otlp::span(&otlp::unique(16), "good", time, time + MS);
        let bad = [([0; 16].as_slice(), [7; 8].as_slice()), (&[7; 15], &[7; 8]), (&[7; 16], &[0; 8]), (&[7; 16], &[7; 9]), (&[], &[7; 8])];
        let spans = bad.iter().map(|(trace, id)| span(trace, id)).chain([good]).collect();
        let success = export(&server, door, "identity", &otlp::traces(vec![otlp::spans_of("cart", spans)])).unwrap();
        assert_eq!(success.rejected, 5, "{door:?}: {}", success.message);
    }
    assert_eq!((server.search("good").len(), server.search("bad").len()), (3, 0));
}

#[test]
fn otlp_68_logs_without_valid_ids_are_kept_and_belong_to_no_trace() {
    let server = Server::start();
    for door in DOORS {
        for (trace, span) in [([0; 16].as_slice(), [0; 8].as_slice()), (&[7; 3], &[7; 8]), (&[], &[])] {
            let mut request = one_log("unlinked");
            let record = &mut request.resource_logs[0].scope_logs[0].log_records[0];
            (record.trace_id, record.span_id) = (trace.to_vec(), span.to_vec());
            assert_eq!(export(&server, door, "identity", &request).unwrap().rejected, 0, "{door:?}");
        }
    }
    let found = server.search("unlinked");
    assert_eq!(found.len(), 9);
    assert!(found.iter().all(|record| record.get("trace_id").is_none()), "{found:?}");
    assert_eq!(metric(&server, "needle_ingest_lenient_forms_total{form=\"unlinked_log\"}"), 3);
}

/// A message with a field of a future version: number 1000, in every wire type.
fn with_future_fields(message: &[u8]) -> Vec<u8> {
    let key = |kind: u32| {
        let mut key = Vec::new();
        prost::encoding::encode_varint(u64::from(1000 << 3 | kind), &mut key);
        key
    };
    [message, &key(0), &[7], &key(1), &[7; 8], &key(2), &[2, 1, 2], &key(5), &[7; 4], &key(3), &key(0), &[1], &key(4)].concat()
}

#[test]
fn otlp_69_fields_of_future_versions_are_ignored_at_every_level() {
    let server = Server::start();
    let field = |number: u8, message: &[u8]| {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(message.len() as u64, &mut field);
        [field, message.to_vec()].concat()
    };
    // From the inside out: a text as the body of a log in a scope of a resource.
    let any = with_future_fields(&field(1, b"from the future"));
    let record = with_future_fields(&field(5, &any));
    let scope = with_future_fields(&[field(1, &with_future_fields(b"")), field(2, &record)].concat());
    let body = with_future_fields(&field(1, &with_future_fields(&field(2, &scope))));
    for door in [Door::Grpc, Door::Protobuf] {
        assert_eq!(export_bytes(&server, door, Signal::Logs, "identity", &body), Ok(Success::default()), "{door:?}");
    }
    assert_eq!(server.search("\"from the future\"").len(), 2);
}

#[test]
fn otlp_70_indexes_into_a_string_table_leave_the_value_empty_and_are_said() {
    let server = Server::start();
    let indexed = KeyValue { key: "indexed".into(), value: Some(AnyValue { value: Some(Any::StringValueStrindex(5)) }), key_strindex: 0 };
    let keyless = KeyValue { key: String::new(), value: Some(otlp::text("x")), key_strindex: 3 };
    for door in [Door::Grpc, Door::Protobuf] {
        let (mut logs, mut traces) = (one_log("indexed"), one_span("indexed"));
        logs.resource_logs[0].scope_logs[0].log_records[0].attributes = vec![indexed.clone(), keyless.clone()];
        traces.resource_spans[0].scope_spans[0].spans[0].attributes = vec![indexed.clone(), keyless.clone()];
        for success in [export(&server, door, "identity", &logs).unwrap(), export(&server, door, "identity", &traces).unwrap()] {
            assert_eq!(success.rejected, 0);
            assert!(success.message.contains("2 keys or values") && success.message.contains("string table"), "{}", success.message);
        }
    }
    let found = server.search("*");
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|record| record["attributes"] == json!({"indexed": null, "": "x"})), "{found:?}");
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValueStrindex":4},"attributes":[{"keyStrindex":1}]}]}]}]}"#;
    let success = export_bytes(&server, Door::Json, Signal::Logs, "identity", json.as_bytes()).unwrap();
    assert!(success.message.contains("2 keys or values"), "{success:?}");
    assert_eq!(metric(&server, "needle_ingest_lenient_forms_total{form=\"string_index\"}"), 10);
}

#[test]
fn otlp_71_all_bits_of_flags_are_kept() {
    let server = Server::start();
    let all = [1, 0x100, 0x301, 0xffff_ff00, u32::MAX];
    for (door, flags) in DOORS.iter().flat_map(|door| all.map(|flags| (*door, flags))) {
        let (mut logs, mut traces) = (one_log("flagged"), one_span("flagged"));
        logs.resource_logs[0].scope_logs[0].log_records[0].flags = flags;
        let span = &mut traces.resource_spans[0].scope_spans[0].spans[0];
        span.flags = flags;
        span.links = vec![Link { trace_id: vec![7; 16], span_id: vec![7; 8], flags, ..Default::default() }];
        export(&server, door, "identity", &logs).unwrap();
        export(&server, door, "identity", &traces).unwrap();
    }
    live_and_sealed(&server, || {
        for kind in ["log", "span"] {
            let found = server.search(&format!("flagged kind:{kind}"));
            let mut flags: Vec<u64> = found.iter().map(|record| record["flags"].as_u64().unwrap()).collect();
            flags.sort_unstable();
            let mut expected = all.repeat(3);
            expected.sort_unstable();
            assert_eq!(flags, expected.into_iter().map(u64::from).collect::<Vec<_>>());
            assert!(found.iter().all(|record| record["kind"] == "log" || record["links"][0]["flags"] == record["flags"]));
        }
    });
}

#[test]
fn otlp_72_a_log_without_a_time_takes_the_observed_one_then_the_arrival() {
    let server = Server::start();
    let before = otlp::now();
    for door in DOORS {
        for (time, observed) in [(0, 5 * MS), (3 * MS, 5 * MS), (0, 0)] {
            let mut request = one_log(&format!("timed {door:?} {time} {observed}"));
            let record = &mut request.resource_logs[0].scope_logs[0].log_records[0];
            (record.time_unix_nano, record.observed_time_unix_nano) = (time, observed);
            export(&server, door, "identity", &request).unwrap();
        }
    }
    let after = otlp::now();
    live_and_sealed(&server, || {
        for door in DOORS {
            let of = |time: u64, observed: u64| server.search(&format!("\"timed {door:?} {time} {observed}\"")).remove(0);
            let observed = of(0, 5 * MS);
            assert_eq!((&observed["timestamp"], &observed["original_time"]), (&json!("1970-01-01T00:00:00.005000000Z"), &json!("0")));
            let own = of(3 * MS, 5 * MS);
            assert_eq!((&own["timestamp"], own.get("original_time")), (&json!("1970-01-01T00:00:00.003000000Z"), None));
            assert_eq!(own["observed_timestamp"], "1970-01-01T00:00:00.005000000Z");
            let neither = of(0, 0);
            let arrival = crate::ingest::nanoseconds(&neither["timestamp"]);
            assert!((i128::from(before)..=i128::from(after)).contains(&arrival), "{neither}");
            assert_eq!(neither["original_time"], "0");
        }
    });
}

/// Every kind of value, and how the API shows it.
fn every_kind() -> (Vec<KeyValue>, Value) {
    let any = |value| AnyValue { value: Some(value) };
    let list = |values| Any::ArrayValue(ArrayValue { values });
    let map = |values| Any::KvlistValue(KeyValueList { values });
    let everything = list(vec![
        AnyValue { value: None },
        any(Any::StringValue("\u{0}\u{1f600}\u{202e}\"\\".to_owned())),
        any(Any::BoolValue(false)),
        any(Any::IntValue(i64::MAX)),
        any(Any::DoubleValue(-1.5e-300)),
        any(Any::BytesValue((0..=255).collect())),
        any(list(vec![])),
        any(map(vec![])),
        any(map(vec![attribute("deep", list(vec![any(Any::IntValue(1)), any(Any::StringValue("1".into()))]))])),
    ]);
    let attributes = vec![
        KeyValue { key: "empty".into(), value: Some(AnyValue { value: None }), ..Default::default() },
        KeyValue { key: "missing".into(), value: None, ..Default::default() },
        attribute("text", Any::StringValue(String::new())),
        attribute("digits", Any::StringValue("0123".into())),
        attribute("int", Any::IntValue(i64::MIN)),
        attribute("double", Any::DoubleValue(0.1)),
        attribute("whole", Any::DoubleValue(3.0)),
        attribute("bool", Any::BoolValue(true)),
        attribute("bytes", Any::BytesValue(vec![0, 255, 0x1f])),
        attribute("no bytes", Any::BytesValue(vec![])),
        attribute("$dollar", Any::StringValue("$".into())),
        attribute("Case", Any::IntValue(1)),
        attribute("case", Any::IntValue(2)),
        attribute("everything", everything),
    ];
    // All 256 bytes in base64, written out independently of the program.
    let bytes = {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        for chunk in all.chunks(3) {
            let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let sextet = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
                text.push(if place > chunk.len() { '=' } else { char::from(sextet) });
            }
        }
        text
    };
    let shown = json!({
        "empty": null, "missing": null, "text": "", "digits": "0123", "int": i64::MIN, "double": 0.1, "whole": 3.0,
        "bool": true, "bytes": "AP8f", "no bytes": "", "$dollar": "$", "Case": 1, "case": 2,
        "everything": [null, "\u{0}\u{1f600}\u{202e}\"\\", false, i64::MAX, -1.5e-300, bytes, [], {}, {"deep": [1, "1"]}],
    });
    (attributes, shown)
}

#[test]
fn otlp_73_every_kind_of_value_survives_everywhere_it_may_stand() {
    let server = Server::start();
    let (attributes, shown) = every_kind();
    for door in DOORS {
        let (mut logs, mut traces) = (one_log("all kinds"), one_span("all kinds"));
        let group = &mut logs.resource_logs[0];
        group.resource.as_mut().unwrap().attributes.extend(attributes.clone());
        group.scope_logs[0].scope.as_mut().unwrap().attributes = attributes.clone();
        let record = &mut group.scope_logs[0].log_records[0];
        record.attributes = attributes.clone();
        record.body = Some(AnyValue { value: Some(Any::KvlistValue(KeyValueList { values: attributes.clone() })) });
        let span = &mut traces.resource_spans[0].scope_spans[0].spans[0];
        span.attributes = attributes.clone();
        span.events = vec![Event { name: "event".into(), attributes: attributes.clone(), ..Default::default() }];
        span.links = vec![Link { trace_id: vec![7; 16], span_id: vec![7; 8], attributes: attributes.clone(), ..Default::default() }];
        assert_eq!(export(&server, door, "identity", &logs), Ok(Success::default()));
        assert_eq!(export(&server, door, "identity", &traces), Ok(Success::default()));
    }
    live_and_sealed(&server, || {
        let (logs, spans) = (server.search("kind:log"), server.search("kind:span"));
        assert_eq!((logs.len(), spans.len()), (3, 3));
        for log in logs {
            assert_eq!(log["attributes"], shown);
            assert_eq!(log["body"], shown);
            assert_eq!(log["scope"]["attributes"], shown);
            let mut resource = log["resource"].clone();
            resource.as_object_mut().unwrap().remove("service.name");
            // In a resource, keys that begin with a dollar have it doubled in the column; here they are as sent.
            assert_eq!(resource, shown);
        }
        for span in spans {
            assert_eq!(span["attributes"], shown);
            assert_eq!(span["events"][0]["attributes"], shown);
            assert_eq!(span["links"][0]["attributes"], shown);
        }
    });
}

#[test]
fn otlp_73_doubles_that_are_no_numbers_survive() {
    let server = Server::start();
    for door in [Door::Grpc, Door::Protobuf] {
        let mut request = one_log("");
        let doubles = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 2.0, f64::MAX];
        let values = doubles.iter().map(|double| AnyValue { value: Some(Any::DoubleValue(*double)) }).collect();
        request.resource_logs[0].scope_logs[0].log_records[0].body = Some(AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) });
        assert_eq!(export(&server, door, "identity", &request), Ok(Success::default()));
    }
    live_and_sealed(&server, || {
        let found = server.search("*");
        assert_eq!(found.len(), 2);
        for log in found {
            assert_eq!(log["body"], json!(["NaN", "Infinity", "-Infinity", -0.0, f64::MIN_POSITIVE / 2.0, f64::MAX]));
        }
    });
}

#[test]
fn otlp_73_counts_of_what_was_dropped_and_schema_urls_are_kept() {
    let server = Server::start();
    for door in DOORS {
        let (mut logs, mut traces) = (one_log("dropped"), one_span("dropped"));
        let group = &mut logs.resource_logs[0];
        group.schema_url = "https://example.org/resource".to_owned();
        group.resource.as_mut().unwrap().dropped_attributes_count = 1;
        group.scope_logs[0].schema_url = "https://example.org/scope".to_owned();
        group.scope_logs[0].scope.as_mut().unwrap().dropped_attributes_count = 2;
        group.scope_logs[0].log_records[0].dropped_attributes_count = 3;
        let group = &mut traces.resource_spans[0];
        group.schema_url = "https://example.org/resource".to_owned();
        group.resource.as_mut().unwrap().dropped_attributes_count = 1;
        group.scope_spans[0].schema_url = "https://example.org/scope".to_owned();
        group.scope_spans[0].scope.as_mut().unwrap().dropped_attributes_count = 2;
        let span = &mut group.scope_spans[0].spans[0];
        (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) = (3, u32::MAX, 5);
        span.trace_state = "a=1,b=2".to_owned();
        span.events = vec![Event { name: "event".into(), dropped_attributes_count: 6, ..Default::default() }];
        span.links = vec![Link {
            trace_id: vec![7; 16],
            span_id: vec![7; 8],
            trace_state: "c=3".into(),
            dropped_attributes_count: 7,
            ..Default::default()
        }];
        export(&server, door, "identity", &logs).unwrap();
        export(&server, door, "identity", &traces).unwrap();
    }
    live_and_sealed(&server, || {
        let found = server.search("dropped");
        assert_eq!(found.len(), 6);
        for record in found {
            assert_eq!(record["dropped_attributes_count"], 3);
            assert_eq!(record["resource"]["$schema_url"], "https://example.org/resource", "{record}");
            assert_eq!(record["resource"]["$dropped_attributes_count"], 1);
            assert_eq!(
                (&record["scope"]["schema_url"], &record["scope"]["dropped_attributes_count"]),
                (&json!("https://example.org/scope"), &json!(2))
            );
            if record["kind"] == "span" {
                assert_eq!((&record["dropped_events_count"], &record["dropped_links_count"]), (&json!(u32::MAX), &json!(5)));
                assert_eq!(record["trace_state"], "a=1,b=2");
                assert_eq!(record["events"][0]["dropped_attributes_count"], 6);
                assert_eq!(
                    (&record["links"][0]["dropped_attributes_count"], &record["links"][0]["trace_state"]),
                    (&json!(7), &json!("c=3"))
                );
            }
        }
    });
}
