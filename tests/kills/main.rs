//! The real program, killed with `kill -9` while it takes in, seals, merges and starts again; afterwards everything that
//! was acknowledged is there, once, as it was sent.
//!
//! `make kills KILLS=1000 SEED=1 DURATION=600`; without these it is a short run, for `make test`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code)]
#[path = "../e2e/harness.rs"]
mod harness;
#[path = "../cuts/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../bench/workload/random.rs"]
mod random;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use harness::{Server, poll, try_post};
use oracle::{Answer, Batch, Oracle, Told, Verdict};
use random::Random;
use serde_json::Value;

const KILLS_SHORT: u64 = 8;
/// Of one data folder; then everything is read.
const KILLS_OF_A_FOLDER: u64 = 20;
const SENDERS: u64 = 3;

/// Seals, merges and new files of the log come so often that kills meet them.
const SETTINGS: &str = "[storage]
live_bytes_seal = 200000
live_bytes_max = 2000000
seal_interval_ms = 100
wal_segment_bytes = 200000
";

/// Where the server is, and the how many-th it is; none while it is dead.
#[derive(Default)]
struct Address {
    current: Mutex<(u64, Option<String>)>,
    changed: Condvar,
}

impl Address {
    fn set(&self, url: Option<String>) {
        let mut current = self.current.lock().unwrap();
        *current = (current.0 + 1, url);
        self.changed.notify_all();
    }

    /// Waits for a server that is not the one that did not answer.
    fn after(&self, dead: u64) -> (u64, String) {
        let mut current = self.current.lock().unwrap();
        loop {
            match &*current {
                (number, Some(url)) if *number > dead => return (*number, url.clone()),
                _ => current = self.changed.wait(current).unwrap(),
            }
        }
    }
}

/// What senders and the killer share.
#[derive(Default)]
struct Round {
    address: Address,
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Round {
    /// Sends one batch after the other until the round ends; each until it is answered. What the producer knows of them.
    fn send(&self, producers: u64, mut random: Random) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut dead = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let is_repetition = !batches.is_empty() && random.happens(0.1);
            if !is_repetition {
                let (records, first) = (random.between(1, 60), random.below(1_000));
                let producer = producers + batches.len() as u64;
                batches.push(Batch { producer, first, records, answer: Answer::Unknown, deletion: Answer::No });
            }
            let at = if is_repetition { random.below(batches.len() as u64) as usize } else { batches.len() - 1 };
            let body = batches[at].body();
            loop {
                let (number, url) = self.address.after(dead);
                let sent = try_post(&format!("{url}/api/v1/logs"), &[("content-type", "application/x-ndjson")], &body);
                match sent.map(|answer| answer.status) {
                    Ok(200) => break,
                    // Pushed back: the server lives.
                    Ok(429 | 503) => {}
                    Ok(status) => panic!("a batch was answered with {status}"),
                    Err(_) => dead = number,
                }
            }
            batches[at].answer = Answer::Yes;
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        batches
    }

    /// Asks for seals and merges, so that kills meet them.
    fn press(&self) {
        let mut dead = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let (number, url) = self.address.after(dead);
            if try_post(&format!("{url}/api/v1/admin/flush?merge=true"), &[], b"").is_err() {
                dead = number;
            }
        }
    }

    /// Kills the server at random moments and starts it again.
    fn kill(&self, server: &mut Server, kills: u64, random: &mut Random) {
        self.address.set(Some(server.url()));
        for _ in 0..kills {
            let target = self.acknowledged.load(Ordering::Relaxed) + random.between(1, 80);
            // The look every 10 ms spreads the moment over what the server does after an acknowledgement.
            poll("acknowledgements", || (self.acknowledged.load(Ordering::Relaxed) >= target).then_some(()));
            self.address.set(None);
            server.kill();
            server.start_again();
            self.address.set(Some(server.url()));
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Some kills of a server on one folder, and what is in it afterwards.
fn round(seed: u64, number: u64, kills: u64) -> Verdict {
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
        round.kill(&mut server, kills, &mut random);
        for sender in senders {
            oracle.batches.extend(sender.join().unwrap());
        }
    });
    let verdict = oracle.judge(server.search_with(&[("q", "*"), ("limit", "5000")]).iter().map(told));
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    let later = oracle.judge(server.search_with(&[("q", "*"), ("limit", "5000")]).iter().map(told));
    assert!(later == verdict || !verdict.is_good(), "after merging everything: {later}");
    assert_eq!(server.stop(), Some(0), "it ends as it should");
    verdict
}

fn told(record: &Value) -> Told<'_> {
    Told {
        service: record["service"].as_str().unwrap_or_default(),
        message: record["body"].as_str().unwrap_or_default(),
        sequence: record["attributes"]["sequence"].as_i64(),
        padding: record["attributes"]["padding"].as_str(),
    }
}

#[test]
fn kills_lose_and_double_nothing() {
    let number = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse::<u64>().unwrap());
    let (kills, seed) = (number("KILLS").unwrap_or(KILLS_SHORT), number("SEED").unwrap_or(1));
    let begun = Instant::now();
    let until = number("DURATION").map_or(Duration::MAX, Duration::from_secs);
    let (mut verdict, mut done) = (Verdict::default(), 0);
    while done < kills && begun.elapsed() < until {
        let of_this = (kills - done).min(KILLS_OF_A_FOLDER);
        verdict.add(&round(seed, done, of_this));
        done += of_this;
        println!("SEED={seed}: {done} kills in {} s; {verdict}", begun.elapsed().as_secs());
        assert!(verdict.is_good(), "SEED={seed}, after {done} kills: {verdict}");
    }
    assert!(verdict.audited > kills, "there was little to lose");
}
