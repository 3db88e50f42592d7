//! What a journey costs among very many records, and what a journey of very many records costs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::figures::flush_and_merge;
use crate::floor::Floor;
use crate::harness::say;
use crate::load;
use crate::program::Program;
use crate::questions::{Expected, Question, ask, ask_again};
use crate::table::{Table, megabytes};
use crate::workload::{Giant, Random, Signal, Workload};

const LOOKUPS: usize = 200;
const PAGE_NODES: usize = 1_000;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Log records of ordinary journeys.
    pub(crate) records: usize,
    /// And their spans.
    pub(crate) spans: usize,
    /// The one large journey.
    pub(crate) giant: Giant,
}

/// Measures both.
pub(crate) fn measure(seed: u64, sizes: Sizes, core: Option<usize>) -> Table {
    let mut program = Program::start("", core).expect("the program starts");
    let logs = Workload { signal: Signal::Logs, seed, records: sizes.records };
    let spans = Workload { signal: Signal::Spans, seed, records: sizes.spans };
    say("sending logs and spans of the same journeys");
    let (sent_logs, sent_spans) = (Floor::measure(&logs).journeys, Floor::measure(&spans).journeys);
    load::send(&program, &logs);
    load::send(&program, &spans);
    say("sending one journey of very many records");
    for (signal, batches) in [(Signal::Spans, sizes.giant.spans()), (Signal::Logs, sizes.giant.logs())] {
        load::send_batches(&program, signal, batches);
    }
    flush_and_merge(&program);
    program.restart();
    let mut table = Table::default();
    say("asking");
    let both = sent_logs.len().min(sent_spans.len());
    let sent: Vec<usize> = (0..both).filter(|at| sent_logs[*at].traced > 0 && sent_spans[*at].traced > 0).collect();
    let mut random = Random::of(seed, 0x70e);
    let chosen: Vec<usize> = (0..LOOKUPS).map(|_| *random.pick(&sent)).collect();
    let records: usize = chosen.iter().map(|at| sent_logs[*at].records + sent_spans[*at].records).sum();
    let whole = |at: usize| Expected::Journey(sent_logs[at].records + sent_spans[at].records);
    let by_trace: Vec<Question> = chosen.iter().map(|at| Question::journey(&logs.ids(*at as u64).trace_hex(), whole(*at))).collect();
    let by_request: Vec<Question> = chosen.iter().map(|at| Question::journey(&logs.ids(*at as u64).request, whole(*at))).collect();
    let name = |of: &str| format!("a journey of {} spans and logs, {of}", records / LOOKUPS);
    table.add_cost(&name("by trace id"), &ask(&program, &by_trace), "");
    table.add_cost(&name("by request id"), &ask(&program, &by_request), "");
    services(&program, sizes, &mut table);
    giant(&program, &sizes.giant, &mut table);
    table
}

/// Who sent all of it, and who calls whom.
fn services(program: &Program, sizes: Sizes, table: &mut Table) {
    let (spans, logs) = (sizes.spans + sizes.giant.spans, sizes.records + sizes.giant.logs);
    let of_all = format!("of {logs} logs and {spans} spans");
    table.add_cost(&format!("services {of_all}"), &ask_again(program, &Question::services(Expected::Journey(logs + spans))), "");
    table.add_cost(&format!("who calls whom {of_all}"), &ask_again(program, &Question::graph()), "");
}

/// The large journey: its first page, all pages, the skeleton.
fn giant(program: &Program, giant: &Giant, table: &mut Table) {
    let before = program.memory_bytes();
    let name = |what: &str| format!("{what} of {} spans and {} logs", giant.spans, giant.logs);
    let first = Question::journey_page(&giant.ids().trace_hex(), PAGE_NODES, None, Expected::Journey(giant.spans + giant.logs));
    table.add_cost(&name("first page of a journey"), &ask(program, std::slice::from_ref(&first)), "");
    let skeleton = Question::skeleton(&giant.ids().trace_hex(), Expected::Journey(giant.spans + giant.logs));
    table.add_cost(&name("skeleton"), &ask(program, std::slice::from_ref(&skeleton)), "");
    table.add("bytes of the skeleton, gzip", format!("{:.2} MB", skeleton.compressed_bytes(program) as f64 / 1e6), "about 1 MB", "");
    let Pages { nodes, nodes_total, logs, pages } = all_pages(program, giant);
    if nodes != nodes_total || nodes < giant.spans || logs != giant.logs {
        let expected = format!("not {nodes_total} and {}", giant.logs);
        table.complain(format!("all pages of the large journey: {nodes} nodes and {logs} logs, {expected}"));
    }
    let answer = format!("{pages} pages, all {nodes} nodes and {logs} logs once");
    table.add(&name("all pages"), answer, "", "");
    table.add("memory before, and at most", format!("{}, {}", megabytes(before), megabytes(program.peak_memory_bytes())), "", "");
}

/// What all pages together hold.
struct Pages {
    nodes: usize,
    /// As each page says it.
    nodes_total: usize,
    logs: usize,
    pages: usize,
}

fn all_pages(program: &Program, giant: &Giant) -> Pages {
    let (mut nodes, mut logs, mut pages) = (BTreeSet::new(), 0, 0);
    let mut cursor: Option<String> = None;
    loop {
        let page: Value = Question::journey_page(&giant.ids().trace_hex(), 10 * PAGE_NODES, cursor, Expected::Answer).answer(program);
        for node in page["nodes"].as_array().expect("nodes") {
            nodes.insert(node["node_id"].as_str().expect("an id").to_owned());
            logs += node["logs"].as_array().expect("logs").len();
        }
        pages += 1;
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            let nodes_total = page["nodes_total"].as_u64().expect("a number") as usize;
            return Pages { nodes: nodes.len(), nodes_total, logs, pages };
        }
    }
}
