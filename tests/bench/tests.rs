//! The workload's own tests, and all figures at a small size: that they can be measured, and that every answer is true.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod crash;
mod figures;
mod flood;
mod floor;
#[allow(dead_code)]
#[path = "../e2e/harness.rs"]
mod harness;
mod journeys;
mod load;
mod program;
mod promises;
mod questions;
mod shards;
mod table;
mod tails;
mod workload;

use workload::{Giant, Signal, Workload};

const RECORDS: usize = 6_000;

#[test]
fn figures_of_logs_are_measured_and_their_answers_are_true() {
    measures_truly(Signal::Logs, "rare word (1 hits)");
}

#[test]
fn figures_of_spans_are_measured_and_their_answers_are_true() {
    measures_truly(Signal::Spans, "by service, duration and attribute");
}

#[test]
fn a_quiet_tenant_is_answered_beside_a_flood() {
    let table = flood::measure(&Workload { signal: Signal::Logs, seed: 3, records: RECORDS }, 30, program::core());
    assert!(table.to_string().contains("answer beside a flood, 1 MB a second allowed"), "{table}");
}

#[test]
fn tails_are_told_of_everything() {
    let table = tails::measure(&Workload { signal: Signal::Logs, seed: 3, records: RECORDS }, program::core());
    assert!(table.wrong().is_empty(), "{:#?}", table.wrong());
    assert!(table.to_string().contains("from the acknowledgement to 50 tails under all of it"), "{table}");
}

fn measures_truly(signal: Signal, row: &str) {
    let workload = Workload { signal, seed: 3, records: RECORDS };
    let figures::Measured { floor, table, shard } = figures::measure(&workload, program::core());
    assert!(shard.contains("all columns"), "{shard}");
    assert!(table.wrong().is_empty(), "{:#?}", table.wrong());
    let text = table.to_string();
    assert!(text.contains(row), "{text}");
    assert!(text.contains(&format!("all {RECORDS}, once each")), "{text}");
    assert_eq!(floor.records, RECORDS);
    assert!(floor.services.values().any(|(_, sought)| *sought > 0), "some records are sought");
    assert!(floor.zstd[&3].bytes < floor.sent_bytes);
}

#[test]
fn journeys_of_spans_and_logs_are_whole_also_a_large_one() {
    let sizes = journeys::Sizes { records: RECORDS, spans: RECORDS, giant: Giant { seed: 3, spans: 1_000, logs: 10_000 } };
    let table = journeys::measure(3, sizes, program::core());
    assert!(table.wrong().is_empty(), "{:#?}", table.wrong());
    let text = table.to_string();
    assert!(text.contains("nodes and 10000 logs once"), "{text}");
}

#[test]
fn ids_are_found_over_many_shards() {
    let core = program::core();
    assert!(program::machine(core).contains("cores of"));
    assert!(shards::measure(3, &[2, 5], core).is_empty());
}
