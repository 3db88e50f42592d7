//! What a record costs, and an answer: the whole program from outside, beside goals and beside a floor of the same run.
//!
//! Prints Markdown on stdout and what it is doing on stderr; ends with 1 when an answer was wrong. BENCHMARKS.md says what the
//! rows mean.
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
mod questions;
mod shards;
mod table;
mod tails;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use workload::{Giant, Signal, Workload};

/// Further records would tell no more about tails.
const TAILED_RECORDS_MAX: usize = 200_000;

/// A hundredth of it is ten.
const QUIET_TIMES: usize = 1_000;

/// What to measure.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Log records.
    #[arg(long, default_value_t = 300_000)]
    records: usize,
    /// Spans; as many as log records unless told otherwise.
    #[arg(long)]
    spans: Option<usize>,
    /// Of one seed the same records are made in every run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only journeys: among the records, and one of so many spans and ten times as many logs.
    #[arg(long)]
    journey: Option<usize>,
    /// Only lookups over so many shards, in rising order, as 10,1000,10000.
    #[arg(long, value_delimiter = ',')]
    shards: Vec<usize>,
    /// Only tails: what 200 cost while RECORDS logs are sent, and how soon 50 are told.
    #[arg(long)]
    tails: bool,
    /// Only what a tenant notices of another that floods.
    #[arg(long)]
    flood: bool,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let core = program::core();
    println!("{}\n", program::machine(core));
    let wrong = match arguments.journey {
        _ if arguments.tails => tails(&arguments, core),
        _ if arguments.flood => flood(&arguments, core),
        Some(spans) => journeys(&arguments, spans, core),
        None if arguments.shards.is_empty() => figures(&arguments, core),
        None => shards::measure(arguments.seed, &arguments.shards, core),
    };
    for complaint in &wrong {
        harness::say(&format!("wrong: {complaint}"));
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn journeys(arguments: &Arguments, spans: usize, core: Option<usize>) -> Vec<String> {
    let giant = Giant { seed: arguments.seed, spans, logs: 10 * spans };
    let sizes = journeys::Sizes { records: arguments.records, spans: arguments.spans.unwrap_or(arguments.records), giant };
    let table = journeys::measure(arguments.seed, sizes, core);
    println!("{} logs and {} spans of other journeys.\n\n{table}", sizes.records, sizes.spans);
    table.wrong().to_vec()
}

fn tails(arguments: &Arguments, core: Option<usize>) -> Vec<String> {
    let table = tails::measure(&Workload { signal: Signal::Logs, seed: arguments.seed, records: arguments.records }, core);
    println!("{} logs.\n\n{table}", arguments.records);
    table.wrong().to_vec()
}

fn flood(arguments: &Arguments, core: Option<usize>) -> Vec<String> {
    let workload = Workload { signal: Signal::Logs, seed: arguments.seed, records: arguments.records };
    let table = flood::measure(&workload, QUIET_TIMES, core);
    println!("A tenant that sends a record and asks for it, {QUIET_TIMES} times.\n\n{table}");
    table.wrong().to_vec()
}

fn figures(arguments: &Arguments, core: Option<usize>) -> Vec<String> {
    let mut wrong = Vec::new();
    let spans = arguments.spans.unwrap_or(arguments.records);
    for (signal, name, records) in [(Signal::Logs, "Logs", arguments.records), (Signal::Spans, "Spans", spans)] {
        let workload = Workload { signal, seed: arguments.seed, records };
        let figures::Measured { floor, table, shard } = figures::measure(&workload, core);
        let bytes = floor.sent_bytes as f64 / floor.records as f64;
        println!("### {name}\n\n{} records of {} journeys, {bytes:.0} bytes of OTLP each.\n\n{table}", floor.records, floor.journeys.len());
        println!(
            "The largest shard, as `needle shard` shows it (bytes a record by column and part of the index):\n\n```text\n{shard}```\n"
        );
        wrong.extend_from_slice(table.wrong());
    }
    print!("### Tails\n\n");
    wrong.extend(tails(&Arguments { records: arguments.records.min(TAILED_RECORDS_MAX), ..arguments.clone() }, core));
    wrong
}
