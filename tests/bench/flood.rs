//! What one tenant notices of another that sends as fast as it can: how long its acknowledgements and answers take.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::say;
use crate::load::{Sender, agent};
use crate::program::Program;
use crate::table::{Table, milliseconds};
use crate::workload::{Signal, Workload};

/// Senders of the tenant that floods.
const FLOODING: usize = 4;
/// Sent again and again.
const FLOOD_BATCHES: usize = 64;
/// A limit that a tenant of a few services never meets.
const LIMITED: &str = "[ingest]\ntenant_bytes_per_second_max = 1000000\n";

/// What the quiet tenant waited for.
struct Waited {
    acknowledgements: Vec<Duration>,
    answers: Vec<Duration>,
    /// Batches of the other that were taken, and those that were not.
    taken: usize,
    refused: usize,
    /// How long the quiet one took for all of it.
    lasted: Duration,
}

/// Measures the quiet tenant alone, and beside a flood with and without a limit. It sends and asks so often each time.
pub(crate) fn measure(workload: &Workload, times: usize, core: Option<usize>) -> Table {
    let mut table = Table::default();
    let alone = wait(workload, times, 0, "", core);
    say_of(&mut table, "alone", &alone, None);
    for (name, settings) in [("beside a flood", ""), ("beside a flood, 1 MB a second allowed", LIMITED)] {
        let beside = wait(workload, times, FLOODING, settings, core);
        let sent = format!("{} taken in {:.1} s, {} refused", beside.taken, beside.lasted.as_secs_f64(), beside.refused);
        table.add(&format!("batches of the other {name}"), sent, "", "");
        say_of(&mut table, name, &beside, Some(&alone));
    }
    table
}

fn say_of(table: &mut Table, name: &str, waited: &Waited, alone: Option<&Waited>) {
    let mut add = |what: &str, times: &[Duration], alone: Option<&Vec<Duration>>| {
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
        let ratio = alone.map(|alone| format!(", {:.1} x", p99.as_secs_f64() / percentile(alone, 99).as_secs_f64()));
        let figure = format!("{}, {}{}", milliseconds(p50), milliseconds(p99), ratio.unwrap_or_default());
        table.add(&format!("{what} {name}, p50 and p99"), figure, if alone.is_some() { "p99 <= 1.2 x" } else { "" }, "");
    };
    add("acknowledgement", &waited.acknowledgements, alone.map(|alone| &alone.acknowledgements));
    add("answer", &waited.answers, alone.map(|alone| &alone.answers));
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn wait(workload: &Workload, times: usize, flooding: usize, settings: &str, core: Option<usize>) -> Waited {
    say(&format!("timing a quiet tenant beside {flooding} senders of another"));
    let program = Program::start(settings, core).expect("the program starts");
    let [loud, quiet] = ["loud", "quiet"].map(|tenant| program.token("admin", tenant));
    // Made before: who floods shares its core with the one who is timed.
    let batches: Vec<_> = workload.batches().take(FLOOD_BATCHES).collect();
    let (is_over, taken, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let (mut acknowledgements, mut answers) = (Vec::with_capacity(times), Vec::with_capacity(times));
    std::thread::scope(|scope| {
        for _ in 0..flooding {
            scope.spawn(|| {
                // On this side the one who is timed comes first: what is asked is how long the server takes.
                rustix::process::nice(19).expect("a thread may always give way");
                let sender = Sender::of(&program, Signal::Logs).with_token(&loud);
                for batch in batches.iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    // Who is refused hears it, also in the midst of what it sends.
                    let count = if sender.try_send(&batch.body) == 200 { &taken } else { &refused };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (agent, bearer) = (agent(), format!("Bearer {quiet}"));
        for number in 0..times {
            let line = format!("{{\"service\":\"quiet\",\"msg\":\"{number}\"}}\n");
            let began = Instant::now();
            let sent = agent.post(format!("{}/api/v1/logs", program.api())).header("authorization", &bearer);
            assert_eq!(sent.content_type("application/x-ndjson").send(&line).expect("an answer").status(), 200);
            acknowledgements.push(began.elapsed());
            let began = Instant::now();
            let asked = agent.get(format!("{}/api/v1/search?q=service:quiet&limit=10", program.api())).header("authorization", &bearer);
            let mut answer = asked.call().expect("an answer");
            assert_eq!(answer.status(), 200);
            let text = answer.body_mut().read_to_string().expect("text");
            answers.push(began.elapsed());
            assert!(text.contains(&format!("\"body\":\"{number}\"")), "what was acknowledged is found: {text}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let lasted = acknowledgements.iter().chain(&answers).sum();
    acknowledgements.sort_unstable();
    answers.sort_unstable();
    Waited { acknowledgements, answers, taken: taken.into_inner(), refused: refused.into_inner(), lasted }
}
