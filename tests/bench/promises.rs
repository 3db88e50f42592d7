//! What the generator promises about its records.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::workload::bodies::{COMMON_WORD, RARE_HITS, RARE_RECORDS, RARE_WORD, is_rare};
use crate::workload::{Signal, Workload};

const RECORDS: usize = 60_000;

fn workload(signal: Signal, seed: u64) -> Workload {
    Workload { signal, seed, records: RECORDS }
}

fn bytes_per_record(signal: Signal) -> f64 {
    let bytes: usize = workload(signal, 1).batches().map(|batch| batch.body.len()).sum();
    bytes as f64 / RECORDS as f64
}

fn logs() -> Vec<LogRecord> {
    let requests = workload(Signal::Logs, 1).batches().map(|batch| ExportLogsServiceRequest::decode(&*batch.body).unwrap());
    requests.flat_map(|request| request.resource_logs).flat_map(|logs| logs.scope_logs).flat_map(|logs| logs.log_records).collect()
}

fn spans() -> Vec<Span> {
    let requests = workload(Signal::Spans, 1).batches().map(|batch| ExportTraceServiceRequest::decode(&*batch.body).unwrap());
    requests.flat_map(|request| request.resource_spans).flat_map(|spans| spans.scope_spans).flat_map(|spans| spans.spans).collect()
}

fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn one_seed_gives_one_sequence_of_bytes() {
    for signal in [Signal::Logs, Signal::Spans] {
        let batches = |seed| Workload { records: 5_000, ..workload(signal, seed) }.batches().collect::<Vec<_>>();
        assert_eq!(batches(7), batches(7));
        assert_ne!(batches(7), batches(8));
    }
}

#[test]
fn a_log_record_takes_404_bytes() {
    let bytes = bytes_per_record(Signal::Logs);
    assert!((394.0..=414.0).contains(&bytes), "{bytes}");
}

#[test]
fn a_span_takes_362_bytes() {
    let bytes = bytes_per_record(Signal::Spans);
    assert!((352.0..=372.0).contains(&bytes), "{bytes}");
}

#[test]
fn batches_hold_what_was_asked_for_in_requests_of_a_thousand() {
    for signal in [Signal::Logs, Signal::Spans] {
        let sizes: Vec<usize> = workload(signal, 1).batches().map(|batch| batch.origins.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), RECORDS);
        assert!(sizes.iter().filter(|size| **size != 1_000).count() <= 15, "at most one part of a batch is left per node: {sizes:?}");
    }
}

#[test]
fn seventy_percent_of_the_logs_know_their_trace() {
    let logs = logs();
    let traced = logs.iter().filter(|record| record.trace_id.len() == 16 && record.span_id.len() == 8).count();
    let bare = logs.iter().filter(|record| record.trace_id.is_empty() && record.span_id.is_empty()).count();
    assert_eq!(traced + bare, RECORDS);
    assert!((0.68..0.72).contains(&(traced as f64 / RECORDS as f64)), "{traced}");
}

#[test]
fn every_log_has_a_request_id_and_about_twelve_typed_attributes() {
    let logs = logs();
    let attributes: usize = logs.iter().map(|record| record.attributes.len()).sum();
    assert!((11.0..13.0).contains(&(attributes as f64 / RECORDS as f64)), "{attributes}");
    let has_request_id = |record: &LogRecord| record.attributes.iter().any(|attribute| attribute.key == "request_id");
    assert!(logs.iter().all(has_request_id));
    let values = logs[0].attributes.iter().filter_map(|attribute| attribute.value.as_ref()?.value.as_ref());
    let kinds: BTreeSet<_> = values.map(|value| format!("{:?}", std::mem::discriminant(value))).collect();
    assert_eq!(kinds.len(), 4, "texts, integers, doubles and truth values");
}

#[test]
fn thirty_eight_of_two_million_say_the_rare_word() {
    assert_eq!((0..RARE_RECORDS).filter(|record| is_rare(*record)).count() as u64, RARE_HITS);
    let expected = (0..RECORDS as u64).filter(|record| is_rare(*record)).count();
    assert_eq!(logs().iter().filter(|record| body(record).contains(RARE_WORD)).count(), expected);
    assert!(expected > 0);
}

#[test]
fn a_common_word_is_common_and_sentences_are_many() {
    let logs = logs();
    let common = logs.iter().filter(|record| body(record).split(' ').any(|word| word == COMMON_WORD)).count();
    assert!((0.2..0.5).contains(&(common as f64 / RECORDS as f64)), "{common}");
    let beginnings: BTreeSet<&str> = logs.iter().filter_map(|record| body(record).split(' ').next()).collect();
    assert!(beginnings.len() > 30, "{beginnings:?}");
}

#[test]
fn journeys_are_interleaved_and_have_twenty_to_thirty_records() {
    let origins: Vec<u64> = workload(Signal::Logs, 1).batches().flat_map(|batch| batch.origins).map(|origin| origin.journey).collect();
    let mut counts = BTreeMap::<u64, usize>::new();
    for journey in origins {
        *counts.entry(journey).or_default() += 1;
    }
    let whole = counts.values().filter(|count| (20..=30).contains(*count)).count();
    let under_way = counts.len() - whole;
    assert!(counts.values().all(|count| *count <= 30));
    assert!((100..500).contains(&under_way), "{under_way} journeys were under way at the end");
}

#[test]
fn traces_have_8_to_40_spans_whose_parents_enclose_them() {
    let spans = spans();
    let mut traces = BTreeMap::<&[u8], Vec<&Span>>::new();
    for span in &spans {
        traces.entry(&span.trace_id).or_default().push(span);
    }
    // The first have all come to their end.
    let whole: Vec<_> = traces.values().filter(|spans| spans.iter().any(|span| span.parent_span_id.is_empty())).collect();
    assert!(whole.len() > 1_000);
    let many = whole.iter().filter(|spans| (8..=40).contains(&spans.len())).count();
    assert!(many * 100 > whole.len() * 95, "{many} of {}", whole.len());
    for spans in whole {
        let by_id: BTreeMap<_, _> = spans.iter().map(|span| (&span.span_id, span)).collect();
        assert_eq!(by_id.len(), spans.len());
        for span in spans.iter().filter(|span| span.kind != 5) {
            let Some(parent) = by_id.get(&span.parent_span_id) else { continue };
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{span:?} of {parent:?}");
            assert!(
                span.end_time_unix_nano <= parent.end_time_unix_nano || span.end_time_unix_nano < parent.start_time_unix_nano + 40_000,
                "{span:?}"
            );
        }
    }
}

#[test]
fn spans_have_about_ten_attributes_and_servers_the_request_id() {
    let spans = spans();
    let attributes: usize = spans.iter().map(|span| span.attributes.len()).sum();
    assert!((9.0..11.0).contains(&(attributes as f64 / RECORDS as f64)), "{attributes}");
    let has_request_id = |span: &Span| span.attributes.iter().any(|attribute| attribute.key == "request_id");
    assert!(spans.iter().all(|span| has_request_id(span) == (span.kind == 2)));
    let failed = spans.iter().filter(|span| span.status.is_some()).count();
    assert!((0.02..0.04).contains(&(failed as f64 / RECORDS as f64)), "{failed}");
    assert!(spans.iter().any(|span| span.events.iter().any(|event| event.name == "exception")));
}
