//! What an id costs when there are very many shards: each of a few small requests, none of them merged.

use crate::harness::say;
use crate::load::{Sender, agent};
use crate::program::Program;
use crate::questions::{Cost, Expected, Question, ask};
use crate::table::milliseconds;
use crate::workload::{Batch, Random, Signal, Workload};

const REQUEST_RECORDS: usize = 20;
const REQUESTS_PER_SHARD: usize = 3;
const LOOKUPS: usize = 100;
/// One row is as much as a merge may make, so that nothing is merged.
const UNMERGED: &str = "[storage]\nmerged_rows_max = 1\n";

/// The metric that counts them, where the program has one.
const DIRECTORY_READS: &str = "directory_reads";

/// Rows of the table for each of these numbers of shards, in rising order; the complaints about wrong answers.
pub(crate) fn measure(seed: u64, steps: &[usize], core: Option<usize>) -> Vec<String> {
    let (mut program, merged) = start(core);
    let mut sending = Sending::new(seed, steps.last().copied().unwrap_or_default());
    let mut complaints = Vec::new();
    print_head(merged);
    for wanted in steps {
        say(&format!("making {wanted} shards"));
        sending.until(*wanted, &program);
        let shards = program.metric("needle_storage_shards ").unwrap_or(f64::NAN);
        // Started a moment ago, nothing of the data is in its memory; the pages of the system may still be.
        program.restart();
        let started = milliseconds(program.start);
        for (when, random) in [("cold", 1), ("warm", 2)] {
            let row = Row { program: &program, shards, when, started: &started };
            let journeys = sending.some_journeys(random);
            complaints.extend(row.print("a request id", &sending.hits(&journeys)));
            complaints.extend(row.print("none has the id", &sending.misses(&journeys)));
        }
    }
    complaints
}

/// The program, and whether it merges because it does not know the setting.
fn start(core: Option<usize>) -> (Program, bool) {
    match Program::start(UNMERGED, core) {
        Ok(program) => (program, false),
        Err(said) => {
            say(&format!("shards will be merged, as the program refuses the setting that forbids it: {}", said.trim()));
            (Program::start("", core).expect("the program starts"), true)
        }
    }
}

fn print_head(merged: bool) {
    if merged {
        println!("This program has no setting that forbids merges; the shards that are left are counted.\n");
    }
    println!("| shards | start | lookup | CPU | p50 / p99 | directory reads each |\n|---|---|---|---|---|---|");
}

/// Makes shards of one sequence of requests.
struct Sending {
    workload: Workload,
    batches: Box<dyn Iterator<Item = Batch> + Send>,
    shards: usize,
    journeys: Vec<usize>,
}

impl Sending {
    fn new(seed: u64, shards: usize) -> Sending {
        let workload = Workload { signal: Signal::Logs, seed, records: shards * REQUEST_RECORDS * REQUESTS_PER_SHARD };
        Sending { workload, batches: workload.batches_of(REQUEST_RECORDS), shards: 0, journeys: Vec::new() }
    }

    /// Sends a few requests and seals, again and again, until that was done `wanted` times.
    fn until(&mut self, wanted: usize, program: &Program) {
        let (sender, agent) = (Sender::of(program, self.workload.signal), agent());
        let flush = format!("{}/api/v1/admin/flush", program.api());
        while self.shards < wanted {
            let batches: Vec<Batch> = self.batches.by_ref().take(REQUESTS_PER_SHARD).collect();
            for batch in batches {
                sender.send(&batch.body);
                self.note(&batch);
            }
            let answer = agent.post(&flush).send_empty().expect("an answer over HTTP");
            assert_eq!(answer.status(), 200, "the server could not seal");
            self.shards += 1;
        }
    }

    fn note(&mut self, batch: &Batch) {
        for origin in &batch.origins {
            let journey = origin.journey as usize;
            self.journeys.resize(self.journeys.len().max(journey + 1), 0);
            self.journeys[journey] += 1;
        }
    }

    fn some_journeys(&self, random: u64) -> Vec<usize> {
        let mut random = Random::of(self.workload.seed, random);
        let sent: Vec<usize> = (0..self.journeys.len()).filter(|journey| self.journeys[*journey] > 0).collect();
        (0..LOOKUPS).map(|_| *random.pick(&sent)).collect()
    }

    fn hits(&self, journeys: &[usize]) -> Vec<Question> {
        let question = |journey: &usize| {
            let request = self.workload.ids(*journey as u64).request;
            Question::search(format!("request:{request}"), 1_000, Expected::Records(self.journeys[*journey]))
        };
        journeys.iter().map(question).collect()
    }

    fn misses(&self, journeys: &[usize]) -> Vec<Question> {
        let other = Workload { seed: !self.workload.seed, ..self.workload };
        let question =
            |journey: &usize| Question::search(format!("request:{}", other.ids(*journey as u64).request), 1_000, Expected::Nothing);
        journeys.iter().map(question).collect()
    }
}

/// A line of the table.
struct Row<'row> {
    program: &'row Program,
    shards: f64,
    when: &'row str,
    started: &'row str,
}

impl Row<'_> {
    fn print(&self, lookup: &str, questions: &[Question]) -> Option<String> {
        let before = self.program.metric(DIRECTORY_READS);
        let Cost { cpu, p50, p99, asked, wrong } = ask(self.program, questions);
        let after = self.program.metric(DIRECTORY_READS);
        let reads = before.zip(after).map_or("not counted".to_owned(), |(before, after)| format!("{:.1}", (after - before) / asked as f64));
        let (cpu, p50, p99) = (milliseconds(cpu), milliseconds(p50), milliseconds(p99));
        println!("| {} | {} | {}, {lookup} | {cpu} | {p50} / {p99} | {reads} |", self.shards, self.started, self.when);
        wrong
    }
}
