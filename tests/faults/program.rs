//! The program on a mounted volume: started, killed by what happens to its disk, started again.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fuse::Mounted;
use crate::harness::{Process, for_each_page_at, needle, poll, try_get, try_post};
use crate::oracle::{Oracle, Verdict};
use crate::random::Random;
use crate::senders::{GoneOnDrop, Round, told, wait_replayed};
use crate::volume::Trap;

/// Seals, merges and new files of the log come often, and every start replays in the background.
pub(crate) const SETTINGS: &str = "[storage]
live_bytes_seal = 200000
live_bytes_max = 2000000
seal_interval_ms = 100
wal_segment_bytes = 50000
replay_at_open_bytes_max = 5000
reserve_bytes = 65536
";

const SENDERS: u64 = 3;
/// How long a fault is waited for. A program that does nothing more of the kind is killed at some moment.
const TRAP_WAIT: Duration = Duration::from_secs(4);

/// Starts the program on a folder; none when it ends before it is ready.
pub(crate) fn start(data: &Path, settings: &Path, before: impl FnOnce(&Process)) -> Option<Process> {
    let any = "127.0.0.1:0";
    let mut command = needle(&["serve", "--otlp-grpc", any, "--otlp-http", any, "--http", any, "--data"]);
    let process = Process::spawn(command.arg(data).arg("--config").arg(settings));
    before(&process);
    let is_ready = poll("a start, or its end", || {
        let is_ready = process.stderr().lines().any(|line| line == "ready");
        (is_ready || process.has_ended()).then_some(is_ready)
    });
    is_ready.then_some(process)
}

pub(crate) fn url(process: &Process) -> String {
    format!("http://{}", process.address("http"))
}

/// One volume, the program on it, and what became of what was sent.
pub(crate) struct Life<'a> {
    pub(crate) mounted: Mounted,
    settings: tempfile::NamedTempFile,
    round: &'a Round,
    pub(crate) random: Random,
    /// How often the program was killed, by a fault or not, and how often the power went with it.
    pub(crate) kills: u64,
    pub(crate) hits: u64,
    pub(crate) cuts: u64,
    pub(crate) starts_in_vain: u64,
}

impl<'a> Life<'a> {
    pub(crate) fn new(mounted: Mounted, round: &'a Round, random: Random) -> Life<'a> {
        let settings = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(settings.path(), SETTINGS).unwrap();
        Life { mounted, settings, round, random, kills: 0, hits: 0, cuts: 0, starts_in_vain: 0 }
    }

    /// Starts the program; it is where its senders find it.
    pub(crate) fn start(&mut self) -> Process {
        let process = self.try_start().expect("a start that nothing hinders");
        self.round.address.set(Some(url(&process)));
        process
    }

    fn try_start(&mut self) -> Option<Process> {
        let volume = &self.mounted;
        start(&volume.data(), self.settings.path(), |process| volume.volume().victim = Some(process.id()))
    }

    /// Lets the program run into a fault that kills it, and starts it again: with its disk as it was, or after a power cut.
    /// Whether it started.
    pub(crate) fn kill_at(&mut self, process: &mut Process, trap: Trap, with_cut: bool) -> bool {
        self.mounted.volume().traps = vec![trap];
        let deadline = Instant::now() + TRAP_WAIT;
        poll("a kill", || (process.has_ended() || Instant::now() > deadline).then_some(()));
        self.end(process, with_cut);
        let started = self.try_start();
        let is_started = started.is_some();
        if let Some(started) = started {
            self.round.address.set(Some(url(&started)));
            *process = started;
        }
        is_started
    }

    /// Starts the program so that it is killed while it starts or soon after, so many times in a row.
    pub(crate) fn kill_starts(&mut self, process: &mut Process, times: u64, with_cut: bool, trap: impl Fn(&mut Random) -> Trap) {
        let target = self.round.acknowledged.load(Ordering::Relaxed) + 30;
        poll("acknowledgements", || (self.round.acknowledged.load(Ordering::Relaxed) >= target).then_some(()));
        self.end(process, with_cut);
        for _ in 0..times {
            let trap = trap(&mut self.random);
            self.mounted.volume().traps = vec![trap];
            let started = self.try_start();
            self.starts_in_vain += u64::from(started.is_none());
            if let Some(mut started) = started {
                let deadline = Instant::now() + Duration::from_millis(300);
                poll("a kill", || (started.has_ended() || Instant::now() > deadline).then_some(()));
                self.end(&mut started, with_cut);
            } else {
                self.after_end(with_cut);
            }
        }
        *process = self.start();
    }

    /// Kills it now.
    pub(crate) fn end(&mut self, process: &mut Process, with_cut: bool) {
        self.round.address.set(None);
        process.kill();
        self.after_end(with_cut);
    }

    fn after_end(&mut self, with_cut: bool) {
        self.kills += 1;
        self.hits += std::mem::take(&mut self.mounted.volume().hits);
        if with_cut {
            self.cuts += 1;
            self.mounted.cut(&mut self.random);
        } else {
            self.mounted.volume().mend();
        }
    }
}

/// Lives with senders at work; then everything is read and judged, as it is and after merging everything.
pub(crate) fn live(seed: u64, number: u64, lies: bool, act: impl FnOnce(&mut Life<'_>, &mut Process)) -> Option<(Verdict, Tally)> {
    let mounted = mounted()?;
    mounted.volume().lies = lies;
    let round = Round::default();
    let mut life = Life::new(mounted, &round, Random::of(seed, number));
    let mut oracle = Oracle::default();
    let mut process = life.start();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (round, random) = (&round, Random::of(seed ^ (sender + 1), number));
                scope.spawn(move || round.send((sender + 1) * 1_000_000_000, random))
            })
            .collect();
        scope.spawn(|| round.press());
        let gone = GoneOnDrop(&round);
        act(&mut life, &mut process);
        round.stop.store(true, Ordering::Relaxed);
        // Nobody will answer any more.
        let gone = (!process.has_ended()).then_some(gone);
        senders.into_iter().for_each(|sender| oracle.batches.extend(sender.join().unwrap()));
        drop(gone);
    });
    let verdict = match lies {
        true if process.has_ended() => oracle.judge(std::iter::empty()),
        true => judge_what_is_there(&oracle, &url(&process)),
        false => judge(&oracle, &url(&process)),
    };
    assert!(life.mounted.volume().bytes() > 0);
    Some((verdict, Tally { kills: life.kills, hits: life.hits, cuts: life.cuts, starts_in_vain: life.starts_in_vain }))
}

/// What happened in a life, or in several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    pub(crate) hits: u64,
    pub(crate) cuts: u64,
    pub(crate) starts_in_vain: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.kills += other.kills;
        self.hits += other.hits;
        self.cuts += other.cuts;
        self.starts_in_vain += other.starts_in_vain;
    }
}

/// Holds everything that the server at `url` has against the truth.
pub(crate) fn judge(oracle: &Oracle, url: &str) -> Verdict {
    wait_replayed(url);
    let judge = || {
        let mut audit = oracle.audit();
        for_each_page_at(url, &[("q", "*"), ("limit", "5000")], &mut |page| page.iter().for_each(|record| audit.add(&told(record))));
        audit.verdict()
    };
    let verdict = judge();
    let merged = try_post(&format!("{url}/api/v1/admin/flush?merge=true"), &[], b"").unwrap();
    assert_eq!(merged.status, 200, "{}", merged.text());
    let later = judge();
    assert!(later == verdict || !verdict.is_good(), "after merging everything: {later}, before: {verdict}");
    verdict
}

/// Also where the server says that something is missing.
fn judge_what_is_there(oracle: &Oracle, url: &str) -> Verdict {
    let found = try_get(&format!("{url}/api/v1/search"), &[("q", "*"), ("limit", "10000")]).unwrap().expect(200);
    oracle.judge(found["records"].as_array().unwrap().iter().map(told))
}

/// A volume; where none can be mounted it is said.
pub(crate) fn mounted() -> Option<Mounted> {
    Mounted::new().inspect_err(|reason| crate::harness::skip("a file system that loses what was not synced", reason)).ok()
}
