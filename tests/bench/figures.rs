//! All figures of one kind of records, in the order in which a day goes: load, seal and merge, ask, start again, crash.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::crash;
use crate::floor::Floor;
use crate::harness::say;
use crate::load::{self, Sender, agent};
use crate::program::Program;
use crate::questions::{self, Expected, Question, ask, ask_again};
use crate::table::{Table, megabytes, microseconds_each, milliseconds};
use crate::workload::bodies::{COMMON_WORD, RARE_EXPRESSION, RARE_WORD, is_rare};
use crate::workload::{Random, SERVICES, Signal, Workload};

/// Ids that are looked for, of each sort.
const LOOKUPS: usize = 200;
const PAGE_RECORDS: usize = 100;
const STARTS: usize = 5;
const VISIBLE_RECORDS: usize = 100;
/// Asked for its newest records.
const SERVICE: &str = "checkout";

/// Records that are asked for while they are live; a seal begins at less by default.
const LIVE_RECORDS: usize = 100_000;
const NOTHING_IS_SEALED: &str = "[storage]\nlive_bytes_seal = 500_000_000\nlive_bytes_max = 1_000_000_000\nseal_interval_ms = 3_600_000\n";

/// What the figures are to become.
#[derive(Clone, Copy)]
struct Goals {
    load: &'static str,
    merged: &'static str,
    disk: &'static str,
    id: &'static str,
    newest: &'static str,
    memory: &'static str,
}

fn goals(signal: Signal) -> Goals {
    match signal {
        Signal::Logs => Goals { load: "<= 7 us", merged: "<= 10 us", disk: "<= 42", id: "<= 0.5 ms", newest: "", memory: "<= 200 MB" },
        Signal::Spans => {
            Goals { load: "<= 7 us", merged: "<= 11 us", disk: "<= 52", id: "<= 0.8 ms", newest: "<= 3 ms", memory: "<= 250 MB" }
        }
    }
}

struct Run<'run> {
    workload: &'run Workload,
    floor: &'run Floor,
    goals: Goals,
    program: Program,
    table: Table,
}

/// All figures of one kind of records.
pub(crate) struct Measured {
    pub(crate) floor: Floor,
    pub(crate) table: Table,
    /// What the largest shard consists of, as `needle shard` says it.
    pub(crate) shard: String,
}

/// Measures everything.
pub(crate) fn measure(workload: &Workload, core: Option<usize>) -> Measured {
    let started = Instant::now();
    let step = |what: &str| say(&format!("[{:4} s] {:?}: {what}", started.elapsed().as_secs(), workload.signal));
    step("measuring the floor");
    let floor = Floor::measure(workload);
    let program = Program::start("", core).expect("the program starts");
    let mut run = Run { workload, floor: &floor, goals: goals(workload.signal), program, table: Table::default() };
    step("sending");
    run.ingest();
    let shard = run.program.largest_shard();
    step("asking");
    run.ask();
    step("asking what is not sealed");
    run.ask_live(core);
    step("starting again");
    run.start_again();
    run.visible();
    let mut table = run.table;
    drop(run.program);
    step("killing");
    crash::measure(workload, &floor, core, &mut table);
    Measured { floor, table, shard }
}

impl Run<'_> {
    fn ingest(&mut self) {
        let (floor, records) = (self.floor, self.floor.records);
        let before = self.program.cpu();
        let load = load::send(&self.program, self.workload);
        let loaded = self.program.cpu().since(&before);
        let before_merge = self.program.cpu();
        flush_and_merge(&self.program);
        let merging = self.program.cpu().since(&before_merge);
        let merged = self.program.cpu().since(&before);
        let rewritten = self.program.metric("needle_storage_merged_records_total").unwrap_or(0.0);
        let (disk, disk_with_log) = self.program.disk_bytes();
        let each = |bytes: u64| format!("{:.1} ({:.1} : 1)", bytes as f64 / records as f64, floor.sent_bytes as f64 / bytes as f64);
        let rate = format!("{:.0} a second, {} pushed back", records as f64 / load.taken.as_secs_f64(), load.pushed_back);
        let table = &mut self.table;
        table.add("ingest, CPU a record, during load", microseconds_each(loaded, records), self.goals.load, floor_cpu(floor, 1));
        table.add("ingest, CPU a record, with seal and merges", microseconds_each(merged, records), self.goals.merged, floor_cpu(floor, 3));
        table.add("the last seal and merges after the load, CPU a record", microseconds_each(merging, records), "", "");
        table.add(
            "write amplification: times a record was written into a shard",
            format!("{:.2}", 1.0 + rewritten / records as f64),
            "",
            "",
        );
        table.add("rate of four senders that share the machine", rate, "", "");
        table.add("bytes on disk a record", each(disk), self.goals.disk, each(floor.zstd[&3].bytes as u64));
        table.add("the same with the log that is kept ready", each(disk_with_log), "", "");
        table.add("peak memory, ingest", megabytes(self.program.peak_memory_bytes()), self.goals.memory, "");
    }

    fn ask(&mut self) {
        self.ask_for_ids();
        match self.workload.signal {
            Signal::Logs => self.ask_for_words(),
            Signal::Spans => self.ask_for_slow_spans(),
        }
        let (of_service, _) = self.of_service();
        let newest = Question::search(format!("service:{SERVICE}"), PAGE_RECORDS, page_of(of_service));
        self.again("newest 100 of a service", &newest, self.goals.newest);
        self.again("count of everything", &Question::count("*", Expected::Count(self.floor.records)), "");
        self.again("count of a service", &Question::count(format!("service:{SERVICE}"), Expected::Count(of_service)), "");
        self.count_per_minute();
        self.compute();
        let memory = self.program.peak_memory_bytes();
        self.table.add("peak memory, with queries", megabytes(memory), self.goals.memory, "");
    }

    fn ask_for_ids(&mut self) {
        let (workload, floor, goal) = (self.workload, self.floor, self.goals.id);
        let mut random = Random::of(workload.seed, 0x1d5);
        let sent: Vec<usize> =
            (0..floor.journeys.len()).filter(|at| floor.journeys[*at].traced > 0 && floor.journeys[*at].requested > 0).collect();
        let chosen: Vec<usize> = (0..LOOKUPS).map(|_| *random.pick(&sent)).collect();
        let questions = |question: &dyn Fn(usize) -> Question| chosen.iter().map(|journey| question(*journey)).collect::<Vec<_>>();
        let ids = |journey: usize| workload.ids(journey as u64);
        let by_trace = questions(&|journey| {
            let query = format!("trace:{}", ids(journey).trace_hex());
            Question::search(query, 1_000, Expected::Records(floor.journeys[journey].traced))
        });
        let by_request = questions(&|journey| {
            let query = format!("request:{}", ids(journey).request);
            Question::search(query, 1_000, Expected::Records(floor.journeys[journey].requested))
        });
        let whole = |journey: usize| Expected::Journey(floor.journeys[journey].records);
        let journeys_of_traces = questions(&|journey| Question::journey(&ids(journey).trace_hex(), whole(journey)));
        let journeys_of_requests = questions(&|journey| Question::journey(&ids(journey).request, whole(journey)));
        // Nothing that was sent has these.
        let unknown = |journey: usize| Workload { seed: !workload.seed, ..*workload }.ids(journey as u64);
        let misses = questions(&|journey| Question::search(format!("trace:{}", unknown(journey).trace_hex()), 1_000, Expected::Nothing));
        let missed_requests = questions(&|journey| Question::journey(&unknown(journey).request, Expected::Nothing));
        self.each("by trace id, records", &by_trace, goal);
        self.each("by request id, records", &by_request, goal);
        self.each("by trace id, the stitched journey", &journeys_of_traces, goal);
        self.each("by request id, the stitched journey", &journeys_of_requests, goal);
        self.each("a trace id that nothing carries", &misses, "");
        self.each("a request id that nothing carries, the journey", &missed_requests, "");
    }

    fn ask_for_words(&mut self) {
        let rare = (0..self.floor.records as u64).filter(|record| is_rare(*record)).count();
        let common = self.floor.services.values().map(|(_, sought)| sought).sum();
        let name = format!("rare word ({rare} hits)");
        self.again(&name, &Question::search(RARE_WORD, PAGE_RECORDS, Expected::Records(rare)), "<= 1 ms");
        let newest = Question::search(COMMON_WORD, PAGE_RECORDS, page_of(common));
        self.again("common word, newest 100", &newest, "<= 3 ms");
        let expression = format!("/{RARE_EXPRESSION}/");
        self.again("rare regular expression over all", &Question::search(expression, PAGE_RECORDS, Expected::Records(rare)), "<= 100 ms");
        self.again("count of a common word", &Question::count(COMMON_WORD, Expected::Count(common)), "");
    }

    fn ask_for_slow_spans(&mut self) {
        let slow = slow_spans(self.of_service().1);
        self.again("by service, duration and attribute, newest 100", &slow, "<= 8 ms");
    }

    /// Records of the service that is asked for, and those of them that are sought.
    fn of_service(&self) -> (usize, usize) {
        let service = SERVICES.iter().position(|service| service.name == SERVICE).expect("one of the services");
        self.floor.services.get(&service).copied().unwrap_or_default()
    }

    fn count_per_minute(&mut self) {
        let goal = if self.workload.signal == Signal::Logs { "<= 10 ms" } else { "" };
        let records = self.floor.records;
        self.again("count by service per minute over all", &Question::per_minute("*", "service", records), goal);
        self.again("count by level per minute over all", &Question::per_minute("*", "level", records), "");
    }

    /// What is computed from rows. One of the counts is told from codes by the histogram, as a pipe is.
    fn compute(&mut self) {
        let all = Expected::InRows(self.floor.records);
        let table = match self.workload.signal {
            Signal::Logs => "logs",
            Signal::Spans => "spans",
        };
        let by_service = format!("SELECT service, count(*) FROM {table} GROUP BY service");
        self.again("SQL: count by service over all", &Question::sql(&by_service, all), "");
        let by_status = format!("SELECT attributes['http.response.status_code'], count(*) FROM {table} GROUP BY 1");
        self.again("SQL: count by an attribute over all", &Question::sql(&by_status, all), "");
        self.again("pipe: count by service over all", &Question::aggregate("| count() by service", all), "");
        self.again("pipe: count by an attribute over all", &Question::aggregate("| count() by http.response.status_code", all), "");
        if self.workload.signal == Signal::Spans {
            self.again("pipe: p95 of durations by service", &Question::aggregate("| p95(duration), count() by service", all), "");
        } else {
            self.each("patterns of all messages, the first time", &[Question::patterns("*", self.floor.records)], "");
            self.again("patterns of all messages, again", &Question::patterns("*", self.floor.records), "");
        }
        let (of_service, _) = self.of_service();
        self.again("compare a service with all others", &Question::compare(format!("service:{SERVICE}"), of_service), "");
    }

    /// The same of records that are in no shard yet: a fresh program that seals nothing.
    fn ask_live(&mut self, core: Option<usize>) {
        let workload = Workload { records: self.workload.records.min(LIVE_RECORDS), ..*self.workload };
        let floor = Floor::measure(&workload);
        let program = Program::start(NOTHING_IS_SEALED, core).expect("the program starts");
        load::send(&program, &workload);
        let table = std::mem::take(&mut self.table);
        let mut live = Run { workload: &workload, floor: &floor, goals: self.goals, program, table };
        let name = |name: &str| format!("of {} live records: {name}", workload.records);
        let (of_service, slow) = live.of_service();
        let journey = floor.journeys.iter().position(|journey| journey.traced > 0).expect("most journeys have a trace");
        let by_trace = format!("trace:{}", workload.ids(journey as u64).trace_hex());
        let by_trace = Question::search(by_trace, 1_000, Expected::Records(floor.journeys[journey].traced));
        live.again(&name("by trace id"), &by_trace, "");
        if workload.signal == Signal::Logs {
            let rare = (0..workload.records as u64).filter(|record| is_rare(*record)).count();
            let common = floor.services.values().map(|(_, sought)| sought).sum();
            live.again(&name("rare word"), &Question::search(RARE_WORD, PAGE_RECORDS, Expected::Records(rare)), "");
            live.again(&name("common word, newest 100"), &Question::search(COMMON_WORD, PAGE_RECORDS, page_of(common)), "");
            let expression = format!("/{RARE_EXPRESSION}/");
            live.again(&name("rare regular expression"), &Question::search(expression, PAGE_RECORDS, Expected::Records(rare)), "");
        } else {
            live.again(&name("by service, duration and attribute"), &slow_spans(slow), "");
        }
        let newest = Question::search(format!("service:{SERVICE}"), PAGE_RECORDS, page_of(of_service));
        live.again(&name("newest 100 of a service"), &newest, "");
        live.again(&name("count by service per minute"), &Question::per_minute("*", "service", floor.records), "");
        self.table = live.table;
    }

    fn each(&mut self, name: &str, questions: &[Question], goal: &str) {
        self.table.add_cost(name, &ask(&self.program, questions), goal);
    }

    fn again(&mut self, name: &str, question: &Question, goal: &str) {
        self.table.add_cost(name, &ask_again(&self.program, question), goal);
    }

    fn start_again(&mut self) {
        let start = |program: &mut Program| {
            program.restart();
            program.start
        };
        let mut starts: Vec<Duration> = (0..STARTS).map(|_| start(&mut self.program)).collect();
        starts.sort_unstable();
        let taken = format!("{} (of {STARTS}: at most {})", milliseconds(questions::share(&starts, 0.5)), milliseconds(starts[STARTS - 1]));
        self.table.add("start with data, until ready", taken, "<= 0.1 s", "");
    }

    /// Sends single records, and looks for each as soon as it is acknowledged.
    fn visible(&mut self) {
        let more = Workload { seed: self.workload.seed + 1, records: VISIBLE_RECORDS, ..*self.workload };
        let sender = Sender::of(&self.program, more.signal);
        let mut sent = BTreeMap::<u64, usize>::new();
        let (mut at_once, mut times) = (0, Vec::new());
        for batch in more.batches_of(1) {
            sender.send(&batch.body);
            let acknowledged = Instant::now();
            let journey = batch.origins[0].journey;
            let expected = sent.entry(journey).or_default();
            *expected += 1;
            let ids = more.ids(journey);
            let id = if more.signal == Signal::Logs { ids.request } else { ids.trace_hex() };
            let question = Question::journey(&id, Expected::Journey(*expected));
            at_once += usize::from(ask(&self.program, std::slice::from_ref(&question)).wrong.is_none());
            times.push(acknowledged.elapsed());
        }
        times.sort_unstable();
        let figure = format!(
            "{at_once} of {VISIBLE_RECORDS} found by a question asked at once, answered in {}",
            milliseconds(questions::share(&times, 0.5))
        );
        self.table.add("acknowledgement to visible", figure, "0", "");
    }
}

/// Slow failed spans of the service, of which there are so many.
fn slow_spans(sought: usize) -> Question {
    let query = format!("service:{SERVICE} duration>500ms http.response.status_code>=500");
    Question::search(query, PAGE_RECORDS, page_of(sought))
}

/// As many as there are, up to a page.
fn page_of(records: usize) -> Expected {
    Expected::Records(records.min(PAGE_RECORDS))
}

fn floor_cpu(floor: &Floor, level: i32) -> String {
    microseconds_each(floor.cpu(level), floor.records)
}

/// Seals and merges until nothing is left to do.
pub(crate) fn flush_and_merge(program: &Program) {
    let url = format!("{}/api/v1/admin/flush?merge=true", program.api());
    let status = agent().post(url).send_empty().expect("an answer over HTTP").status();
    assert_eq!(status, 200, "the server could not seal and merge");
}
