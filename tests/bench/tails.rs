//! What tails cost: those that match nothing while records come in at full speed, and how soon those that match are told.

use std::io::{BufRead, BufReader};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::say;
use crate::load::{self, Sender, agent};
use crate::program::Program;
use crate::table::{Table, microseconds_each, milliseconds};
use crate::workload::{Signal, Workload};

/// Tails that match nothing.
const SILENT: usize = 200;
/// Tails that are told of every mark.
const TOLD: usize = 50;
/// Records whose way to the tails is timed.
const MARKS: usize = 300;
/// One every so often: else the readers are timed, which all have the one core that the server leaves them.
const MARK_INTERVAL: Duration = Duration::from_millis(20);
const GOAL: Duration = Duration::from_millis(200);

/// What the tail with a number follows.
type Query = fn(usize) -> String;

/// Measures both.
pub(crate) fn measure(workload: &Workload, core: Option<usize>) -> Table {
    let mut table = Table::default();
    let ways: [(&str, usize, Query); 4] = [
        ("no tail", 0, |_| String::new()),
        ("200 tails of one query that match nothing", SILENT, |_| "service:nobody".to_owned()),
        ("200 tails of 200 services that send nothing", SILENT, |n| format!("service:nobody-{n}")),
        ("200 tails of 200 words that nobody says", SILENT, |n| format!("unheard{n}")),
    ];
    let mut alone = None;
    for (name, tails, query) in ways {
        say(&format!("sending to {name}"));
        let cpu = ingest_cpu(workload, core, (0..tails).map(query));
        let more = cpu.as_secs_f64() / alone.get_or_insert(cpu).as_secs_f64() * 100.0 - 100.0;
        let figure = if tails == 0 { String::new() } else { format!(", {more:+.0} %") };
        let goal = if tails == 0 { "" } else { "little" };
        table.add(&format!("CPU of a record sent to {name}"), microseconds_each(cpu, workload.records) + &figure, goal, "");
    }
    let loads = [("under half the load it can take", true), ("under all of it", false)];
    for (load, rests) in loads {
        say(&format!("timing the way to tails {load}"));
        let (p50, p99) = latencies(workload, core, rests, &mut table);
        let name = format!("from the acknowledgement to {TOLD} tails {load}, p50 and p99 of {MARKS} records");
        table.add(&name, format!("{}, {}", milliseconds(p50), milliseconds(p99)), &format!("p99 < {}", milliseconds(GOAL)), "");
    }
    table
}

/// What the server uses while it takes in all records.
fn ingest_cpu(workload: &Workload, core: Option<usize>, queries: impl Iterator<Item = String>) -> Duration {
    let program = Program::start("", core).expect("the program starts");
    // Nobody reads them: what they are sent, a sign of life now and then, fits into the buffers of the connection.
    let tails: Vec<_> = queries.map(|query| open(&program, &query)).collect();
    let before = program.cpu();
    load::send(&program, workload);
    let used = program.cpu().since(&before);
    drop(tails);
    used
}

/// An open tail; when this returns, it has begun.
fn open(program: &Program, query: &str) -> BufReader<ureq::BodyReader<'static>> {
    let response = agent().get(format!("{}/api/v1/tail", program.api())).query("q", query).call().expect("a tail");
    assert_eq!(response.status(), 200);
    BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader())
}

/// Median and 99th percentile of the time from the acknowledgement of a record to each tail that it matches, while another
/// sends as fast as it can, or rests as long as each batch took.
fn latencies(workload: &Workload, core: Option<usize>, rests: bool, table: &mut Table) -> (Duration, Duration) {
    let program = Program::start("", core).expect("the program starts");
    let arrivals: Mutex<Vec<(usize, Instant)>> = Mutex::default();
    let mut acknowledged = Vec::with_capacity(MARKS);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for tail in (0..TOLD).map(|_| open(&program, "service:mark")) {
            scope.spawn(|| {
                // Not while the list is held, which the others wait for.
                let seen = marks(tail);
                arrivals.lock().unwrap().extend(seen);
            });
        }
        scope.spawn(|| {
            let sender = Sender::of(&program, Signal::Logs);
            while !is_over.load(Ordering::Relaxed) {
                for batch in workload.batches().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    let began = Instant::now();
                    sender.send(&batch.body);
                    if rests {
                        std::thread::park_timeout(began.elapsed());
                    }
                }
            }
        });
        let agent = agent();
        for mark in 0..MARKS {
            let line = format!("{{\"service\":\"mark\",\"msg\":\"{mark}\"}}\n");
            let answer = agent.post(format!("{}/api/v1/logs", program.api())).content_type("application/x-ndjson").send(&line);
            assert_eq!(answer.expect("an answer").status(), 200);
            acknowledged.push(Instant::now());
            std::thread::park_timeout(MARK_INTERVAL);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let arrivals = arrivals.into_inner().unwrap();
    if arrivals.len() != TOLD * MARKS {
        table.complain(format!("tails were told of {} records, not of {}", arrivals.len(), TOLD * MARKS));
    }
    // A record may be shown before the sender has heard that it is there.
    let mut taken: Vec<Duration> = arrivals.iter().map(|(mark, at)| at.saturating_duration_since(acknowledged[*mark])).collect();
    taken.sort_unstable();
    (taken[taken.len() / 2], taken[taken.len() * 99 / 100])
}

/// When each mark came, until the last.
fn marks(tail: BufReader<ureq::BodyReader<'static>>) -> Vec<(usize, Instant)> {
    let mut seen = Vec::with_capacity(MARKS);
    for line in tail.lines() {
        let line = line.expect("the tail goes on");
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let at = Instant::now();
        let record: serde_json::Value = serde_json::from_str(data).expect("data are JSON");
        let Some(mark) = record["body"].as_str().and_then(|body| body.parse().ok()) else { continue };
        seen.push((mark, at));
        if mark == MARKS - 1 {
            break;
        }
    }
    seen
}
