//! What a request costs in memory while it is decoded, by an allocator that counts: at most 4 times its body, or as much
//! as any body may take. A binary of its own, since every test of it allocates from the same counter.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code, unused_imports)]
#[path = "../bench/workload/mod.rs"]
mod workload;

use std::sync::Mutex;

use bytes::Bytes;
use needle_ingest::storage::model::{Tenant, UnixNanos};
use needle_ingest::storage::{BodyFormat, RawRequest};
use needle_ingest::{IngestSettings, decoder};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use peak_alloc::PeakAlloc;
use prost::Message as _;
use workload::{Signal, Workload};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A batch may take this many times its body.
const TIMES_MAX: usize = 4;
/// Bodies of nearly nothing but records may take so much instead.
const FREE_BYTES: usize = 64 << 20;
/// What a decoder may take whatever the body is: its columns when they are empty.
const CONSTANT_BYTES: usize = 1 << 20;

/// Only what one test allocates is to be counted.
static ALONE: Mutex<()> = Mutex::new(());

/// The most that decoding took at one time, beside the body, and whether the request was accepted.
fn peak_of(format: BodyFormat, body: &Bytes) -> (usize, bool) {
    let settings = IngestSettings { request_bytes_max: 1 << 30, ..IngestSettings::default() };
    let decode = decoder(&settings);
    let request =
        RawRequest { tenant: Tenant::default(), format, arrival: UnixNanos(1), service: None, timezone: None, body: body.clone() };
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let decoded = decode(&request);
    (ALLOCATOR.peak_usage() - before, decoded.is_ok())
}

fn realistic(signal: Signal) -> Vec<u8> {
    let workload = Workload { signal, seed: 3, records: 60_000 };
    workload.batches_of(60_000).next().unwrap().body
}

fn text(text: String) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text)) })
}

fn logs(records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }.encode_to_vec()
}

/// One attribute that is a list of so many short texts.
fn long_list(values: usize) -> LogRecord {
    let values = (0..values).map(|n| text(n.to_string()).unwrap()).collect();
    let value = Some(AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) });
    LogRecord { attributes: vec![KeyValue { key: "list".to_owned(), value, ..KeyValue::default() }], ..LogRecord::default() }
}

fn keys_of_its_own(record: usize) -> LogRecord {
    let attributes = (0..50).map(|n| KeyValue { key: format!("key.{record}.{n}"), value: text("v".to_owned()), ..KeyValue::default() });
    LogRecord { attributes: attributes.collect(), ..LogRecord::default() }
}

fn resource_each(count: usize) -> Vec<u8> {
    let spans = |n: usize| ScopeSpans { spans: vec![Span { name: format!("span {n}"), ..Span::default() }], ..ScopeSpans::default() };
    let resource_spans = (0..count).map(|n| ResourceSpans { scope_spans: vec![spans(n)], ..ResourceSpans::default() }).collect();
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

const NEARLY_EMPTY: [&str; 2] = ["a resource for each span", "empty records"];

fn bodies() -> Vec<(&'static str, BodyFormat, Vec<u8>)> {
    let (of_logs, of_spans) = (realistic(Signal::Logs), realistic(Signal::Spans));
    let logs_json = serde_json::to_vec(&ExportLogsServiceRequest::decode(&of_logs[..]).unwrap()).unwrap();
    let spans_json = serde_json::to_vec(&ExportTraceServiceRequest::decode(&of_spans[..]).unwrap()).unwrap();
    let json_lines = (0..60_000).map(|n| format!("{{\"msg\":\"line {n}\",\"service\":\"shop\",\"request_id\":\"r-{n}\",\"n\":{n}}}\n"));
    let text_lines = (0..100_000).map(|n| format!("2026-06-01T12:00:00Z INFO request r-{n} done in {n} ms\n"));
    let one_text = LogRecord { body: text("long ".repeat(3 << 20)), ..LogRecord::default() };
    vec![
        ("logs as services send them", BodyFormat::OtlpLogsProtobuf, of_logs),
        ("spans as services send them", BodyFormat::OtlpTracesProtobuf, of_spans),
        ("the logs as JSON", BodyFormat::OtlpLogsJson, logs_json),
        ("the spans as JSON", BodyFormat::OtlpTracesJson, spans_json),
        ("JSON lines", BodyFormat::JsonLogs, json_lines.collect::<String>().into_bytes()),
        ("text lines", BodyFormat::TextLogs, text_lines.collect::<String>().into_bytes()),
        ("one long text", BodyFormat::OtlpLogsProtobuf, logs(vec![one_text])),
        ("lists", BodyFormat::OtlpLogsProtobuf, logs((0..10).map(|_| long_list(20_000)).collect())),
        ("keys that no other record has", BodyFormat::OtlpLogsProtobuf, logs((0..4_000).map(keys_of_its_own).collect())),
        (NEARLY_EMPTY[0], BodyFormat::OtlpTracesProtobuf, resource_each(65_536)),
        (NEARLY_EMPTY[1], BodyFormat::OtlpLogsProtobuf, logs(vec![LogRecord::default(); 300_000])),
        ("more empty records than memory for them", BodyFormat::OtlpLogsProtobuf, logs(vec![LogRecord::default(); 1_000_000])),
    ]
}

#[test]
fn decoding_takes_a_small_multiple_of_the_body() {
    let _alone = ALONE.lock();
    let mut beyond = Vec::new();
    for (name, format, body) in bodies() {
        let body = Bytes::from(body);
        let (peak, accepted) = peak_of(format, &body);
        let outcome = if accepted { "accepted" } else { "refused" };
        let line = format!("{name}: body {}, peak {}, {:.1} times, {outcome}", body.len(), peak, peak as f64 / body.len() as f64);
        println!("{line}");
        let free = if NEARLY_EMPTY.contains(&name) { FREE_BYTES } else { CONSTANT_BYTES };
        if peak > (TIMES_MAX * body.len()).max(free) {
            beyond.push(line);
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

#[test]
fn cut_and_flipped_bodies_take_no_more() {
    let _alone = ALONE.lock();
    let mut random = workload::Random::of(5, 5);
    for signal in [Signal::Logs, Signal::Spans] {
        let workload = Workload { signal, seed: 4, records: 500 };
        let body = workload.batches_of(500).next().unwrap().body;
        let format = if signal == Signal::Logs { BodyFormat::OtlpLogsProtobuf } else { BodyFormat::OtlpTracesProtobuf };
        for _ in 0..200 {
            let mut body = body.clone();
            body.truncate(body.len() - random.below(2) as usize * random.below(body.len() as u64) as usize);
            for _ in 0..random.below(4) {
                let at = random.below(body.len().max(1) as u64) as usize;
                body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8));
            }
            let body = Bytes::from(body);
            let (peak, _) = peak_of(format, &body);
            assert!(peak <= (TIMES_MAX * body.len()).max(CONSTANT_BYTES), "{} bytes took {peak}", body.len());
        }
    }
}
