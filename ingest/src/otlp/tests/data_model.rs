//! What is kept, what is rejected, and what is refused before it costs memory.

use needle_storage::BodyFormat;
use needle_storage::model::{Record, UnixNanos, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::{ARRIVAL, decode, decode_with, log_request, records};
use crate::decode::DecodeError;
use crate::settings::IngestSettings;

fn spans(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }.encode_to_vec()
}

fn logs(log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }.encode_to_vec()
}

/// A length-delimited field.
fn field(number: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(message.len() as u64, &mut out);
    [out, message.to_vec()].concat()
}

#[test]
fn otlp_67_spans_without_valid_ids_are_rejected_by_place_and_reason() {
    let span = |trace_id: &[u8], span_id: &[u8]| Span { trace_id: trace_id.to_vec(), span_id: span_id.to_vec(), ..Span::default() };
    let body = spans(vec![
        span(&[1; 16], &[1; 8]),
        span(&[0; 16], &[1; 8]),
        span(&[1; 15], &[1; 8]),
        span(&[1; 16], &[0; 8]),
        span(&[1; 16], &[]),
    ]);
    let outcome = decode(BodyFormat::OtlpTracesProtobuf, &body).unwrap();
    assert_eq!((outcome.decoded.records.num_rows(), outcome.received), (1, 5));
    let reasons: Vec<(usize, &str)> =
        outcome.rejections.first.iter().map(|rejection| (rejection.place, rejection.reason.as_str())).collect();
    assert!(reasons[0].0 == 1 && reasons[0].1.contains("trace_id is all zero"), "{reasons:?}");
    assert!(reasons[1].0 == 2 && reasons[1].1.contains("trace_id is 15 bytes long"), "{reasons:?}");
    assert!(reasons[2].0 == 3 && reasons[2].1.contains("span_id is all zero"), "{reasons:?}");
    assert!(reasons[3].0 == 4 && reasons[3].1.contains("span_id is 0 bytes long"), "{reasons:?}");
}

#[test]
fn otlp_68_logs_with_invalid_ids_are_kept_unlinked() {
    let record = LogRecord { trace_id: vec![7; 3], span_id: vec![0; 8], ..LogRecord::default() };
    let outcome = decode(BodyFormat::OtlpLogsProtobuf, &logs(vec![record])).unwrap();
    let kept = records(&outcome);
    assert_eq!((kept[0].common().trace_id, kept[0].common().span_id, outcome.rejections.count), (None, None, 0));
    let json = log_request(r#""traceId":"abcd","spanId":"""#);
    let outcome = decode(BodyFormat::OtlpLogsJson, json.as_bytes()).unwrap();
    assert_eq!((outcome.decoded.records.num_rows(), outcome.rejections.count), (1, 0));
}

#[test]
fn otlp_70_an_index_into_a_string_table_leaves_the_value_empty() {
    // KeyValue { key: "k", value: AnyValue { 8: 5 } } as an attribute of a log record.
    let key_value = [field(1, b"k"), field(2, &[0x40, 0x05])].concat();
    let body = field(1, &field(2, &field(2, &field(6, &key_value))));
    let outcome = decode(BodyFormat::OtlpLogsProtobuf, &body).unwrap();
    assert_eq!(records(&outcome)[0].common().attributes, [("k".to_owned(), Value::Empty)]);
}

#[test]
fn otlp_71_all_bits_of_flags_are_kept() {
    let outcome = decode(BodyFormat::OtlpLogsProtobuf, &logs(vec![LogRecord { flags: 0xffff_ff01, ..LogRecord::default() }])).unwrap();
    assert_eq!(records(&outcome)[0].common().flags, 0xffff_ff01);
}

#[test]
fn otlp_72_a_log_without_a_time_takes_the_observed_time_then_the_arrival() {
    let observed = LogRecord { observed_time_unix_nano: 5, ..LogRecord::default() };
    let outcome = decode(BodyFormat::OtlpLogsProtobuf, &logs(vec![observed.clone()])).unwrap();
    let record = &records(&outcome)[0];
    assert_eq!((record.common().time, record.common().original_time), (UnixNanos(5), Some(0)));
    assert!(outcome.decoded.own_times);
    let outcome = decode(BodyFormat::OtlpLogsProtobuf, &logs(vec![observed, LogRecord::default()])).unwrap();
    assert_eq!(records(&outcome)[1].common().time, ARRIVAL);
    assert!(!outcome.decoded.own_times);
}

#[test]
fn otlp_33_empty_envelopes_hold_nothing() {
    let body = [field(1, b""), field(1, &field(2, b"")), field(1, &field(1, b""))].concat();
    for format in [BodyFormat::OtlpLogsProtobuf, BodyFormat::OtlpTracesProtobuf] {
        assert_eq!(decode(format, &body).unwrap().received, 0);
        assert_eq!(decode(format, b"").unwrap().received, 0);
    }
}

#[test]
fn otlp_27_a_small_body_never_becomes_a_large_batch() {
    // 1.9 million empty spans or records in 3.8 MB.
    let body = field(1, &field(2, &[0x12, 0x00].repeat(1_900_000)));
    for format in [BodyFormat::OtlpTracesProtobuf, BodyFormat::OtlpLogsProtobuf] {
        let error = decode(format, &body).unwrap_err();
        assert!(matches!(error, DecodeError::Amplification(..)), "{error}");
    }
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}{{}}]}}]}}]}}"#, "{},".repeat(1_900_000));
    assert!(matches!(decode(BodyFormat::OtlpLogsJson, json.as_bytes()), Err(DecodeError::Amplification(..))));
    let settings = IngestSettings { elements_max: 100, ..IngestSettings::default() };
    let values = format!(r#""body":{{"arrayValue":{{"values":[{}{{}}]}}}}"#, "{},".repeat(200));
    assert!(matches!(decode_with(settings, BodyFormat::OtlpLogsJson, log_request(&values).as_bytes()), Err(DecodeError::Elements(100))));
}

#[test]
fn otlp_29_values_nested_thousands_deep_are_refused() {
    let mut value = vec![];
    for _ in 0..20_000 {
        value = field(5, &field(1, &value));
    }
    let body = field(1, &field(2, &field(2, &field(5, &value))));
    assert_eq!(decode(BodyFormat::OtlpLogsProtobuf, &body).unwrap_err(), DecodeError::Nesting(32));
    let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(20_000), "]}}".repeat(20_000));
    let json = log_request(&format!(r#""body":{open}{{}}{close}"#));
    assert_eq!(decode(BodyFormat::OtlpLogsJson, json.as_bytes()).unwrap_err(), DecodeError::Nesting(32));
}

#[test]
fn values_as_deep_as_allowed_are_kept_in_both_encodings() {
    let depth = IngestSettings::default().nesting_max;
    let mut value = vec![];
    for _ in 0..depth {
        value = field(5, &field(1, &value));
    }
    let body = field(1, &field(2, &field(2, &field(5, &value))));
    let protobuf = decode(BodyFormat::OtlpLogsProtobuf, &body).unwrap();
    let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
    let json = decode(BodyFormat::OtlpLogsJson, log_request(&format!(r#""body":{open}{{}}{close}"#)).as_bytes()).unwrap();
    assert_eq!(records(&protobuf), records(&json));
}

#[test]
fn records_over_a_limit_are_rejected_and_the_others_kept() {
    let retention = needle_storage::Retention { logs_ms: Some(1000), ..needle_storage::Retention::default() };
    let settings = IngestSettings { record_bytes_max: 100, retention, ..IngestSettings::default() };
    let large = LogRecord { severity_text: "x".repeat(200), time_unix_nano: ARRIVAL.0, ..LogRecord::default() };
    let old = LogRecord { time_unix_nano: ARRIVAL.0 - 60_000_000_000, ..LogRecord::default() };
    let good = LogRecord { time_unix_nano: ARRIVAL.0, ..LogRecord::default() };
    let outcome = decode_with(settings, BodyFormat::OtlpLogsProtobuf, &logs(vec![large, old, good])).unwrap();
    assert_eq!(outcome.decoded.records.num_rows(), 1);
    let reasons: Vec<&str> = outcome.rejections.first.iter().map(|rejection| rejection.reason.as_str()).collect();
    assert!(reasons[0].contains("more than the limit of 100") && reasons[1].contains("past the retention"), "{reasons:?}");
}

#[test]
fn a_level_that_is_only_text_gets_its_number() {
    let record = LogRecord { severity_text: "Error".to_owned(), ..LogRecord::default() };
    let outcome = decode(BodyFormat::OtlpLogsProtobuf, &logs(vec![record])).unwrap();
    assert!(matches!(&records(&outcome)[0], Record::Log(log) if log.severity.is_error()));
}

#[test]
fn a_span_that_ends_before_it_starts_is_kept_as_sent() {
    let span = Span { trace_id: vec![1; 16], span_id: vec![1; 8], start_time_unix_nano: 10, end_time_unix_nano: 4, ..Span::default() };
    let outcome = decode(BodyFormat::OtlpTracesProtobuf, &spans(vec![span])).unwrap();
    assert!(matches!(&records(&outcome)[0], Record::Span(span) if span.duration_ns == -6));
}
