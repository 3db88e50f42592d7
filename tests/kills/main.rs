//! The real program, killed with `kill -9` while it takes in, seals, merges and starts again, or by the kernel for want of
//! memory; afterwards everything that was acknowledged is there, once, as it was sent.
//!
//! `make kills KILLS=1000 SEED=1 DURATION=600`; without these it is a short run, for `make test`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cage;
#[allow(dead_code)]
#[path = "../e2e/harness.rs"]
mod harness;
#[path = "../cuts/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../bench/workload/random.rs"]
mod random;
mod senders;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cage::Cage;
use harness::{Server, poll, skip};
use oracle::{Oracle, Verdict};
use random::Random;
use senders::{GoneOnDrop, Round, told, wait_replayed};

const KILLS_SHORT: u64 = 8;
/// Of one data folder; then everything is read.
const KILLS_OF_A_FOLDER: u64 = 20;
const SENDERS: u64 = 3;
/// For want of memory; in a campaign a tenth of the others.
const STARVED_SHORT: u64 = 4;
const STARVED_SHARE: u64 = 10;

/// Seals, merges and new files of the log come so often that kills meet them.
const SETTINGS: &str = "[storage]
live_bytes_seal = 200000
live_bytes_max = 2000000
seal_interval_ms = 100
wal_segment_bytes = 200000
replay_at_open_bytes_max = 20000
";

impl Round {
    /// Kills the server at random moments and starts it again.
    fn kill(&self, server: &mut Server, kills: u64, random: &mut Random, kill: impl Fn(&mut Server)) {
        self.address.set(Some(server.url()));
        for _ in 0..kills {
            let target = self.acknowledged.load(Ordering::Relaxed) + random.between(1, 80);
            // The look every 10 ms spreads the moment over what the server does after an acknowledgement.
            poll("acknowledgements", || (self.acknowledged.load(Ordering::Relaxed) >= target).then_some(()));
            kill(server);
            self.address.set(None);
            server.start_again();
            self.address.set(Some(server.url()));
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Some kills of a server on one folder, and what is in it afterwards.
fn round(seed: u64, number: u64, kills: u64, kill: impl Fn(&mut Server)) -> Verdict {
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), SETTINGS).unwrap();
    let mut server = Server::start_with(&["--config", &settings.path().display().to_string()]);
    let (round, mut random) = (Round::default(), Random::of(seed, number));
    let mut oracle = Oracle::default();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (round, random) = (&round, Random::of(seed ^ (sender + 1), number));
                scope.spawn(move || round.send((sender + 1) * 1_000_000_000, random))
            })
            .collect();
        scope.spawn(|| round.press());
        let gone = GoneOnDrop(&round);
        round.kill(&mut server, kills, &mut random, kill);
        for sender in senders {
            oracle.batches.extend(sender.join().unwrap());
        }
        drop(gone);
    });
    wait_replayed(&server.url());
    let verdict = oracle.judge(server.search_with(&[("q", "*"), ("limit", "5000")]).iter().map(told));
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    let later = oracle.judge(server.search_with(&[("q", "*"), ("limit", "5000")]).iter().map(told));
    assert!(later == verdict || !verdict.is_good(), "after merging everything: {later}");
    assert_eq!(server.stop(), Some(0), "it ends as it should");
    verdict
}

/// Kills until so many or so much time, on one folder after the other, and demands that nothing is lost.
fn campaign(what: &str, kills_short: u64, share: u64, kill: impl Fn(&mut Server)) {
    let number = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse::<u64>().unwrap());
    let (kills, seed) = (number("KILLS").map_or(kills_short, |kills| kills.div_ceil(share)), number("SEED").unwrap_or(1));
    let begun = Instant::now();
    let until = number("DURATION").map_or(Duration::MAX, Duration::from_secs);
    let (mut verdict, mut done) = (Verdict::default(), 0);
    while done < kills && begun.elapsed() < until {
        let of_this = (kills - done).min(KILLS_OF_A_FOLDER);
        verdict.add(&round(seed, done, of_this, &kill));
        done += of_this;
        println!("SEED={seed}: {done} {what} in {} s; {verdict}", begun.elapsed().as_secs());
        assert!(verdict.is_good(), "SEED={seed}, after {done} {what}: {verdict}");
    }
    assert!(verdict.audited > kills, "there was little to lose");
}

#[test]
fn kills_lose_and_double_nothing() {
    campaign("kills", KILLS_SHORT, 1, Server::kill);
}

/// Fault 17.
#[test]
fn kills_for_want_of_memory_lose_and_double_nothing() {
    match Cage::new() {
        Some(cage) => campaign("kills for want of memory", STARVED_SHORT, STARVED_SHARE, |server| cage.starve(server)),
        None => skip("kills for want of memory", "no control group of memory can be made here (as root it can)"),
    }
}
