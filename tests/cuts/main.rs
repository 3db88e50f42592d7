//! Simulated power cuts and failing disks under the real storage: whatever is cut, and wherever, every acknowledged record
//! is there afterwards, once, as it was sent, and no batch is there by halves.
//!
//! `make cuts CUTS=10000 SEED=1 DURATION=600`; without these it is a short run, for `make test`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod disk;
mod life;
mod oracle;
#[allow(dead_code)]
#[path = "../bench/workload/random.rs"]
mod random;

use std::io;
use std::time::{Duration, Instant};

use disk::{Fault, Lies};
use life::{Bug, Ends, Life};
use oracle::Verdict;
use random::Random;
use tokio::runtime::Runtime;

const CUTS_SHORT: u64 = 60;
const STEPS: usize = 25;
/// After so many it is clear that something is wrong.
const COMPLAINTS_MAX: usize = 5;
/// Lives of one disk.
const LIVES_MAX: u64 = 6;

/// What a campaign did.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    ends: Ends,
    failures: u64,
    verdict: Verdict,
    complaints: Vec<String>,
}

impl Tally {
    fn judge(&mut self, what: &str, runtime: &Runtime, life: &mut Life) {
        match runtime.block_on(life.judge()) {
            Ok(verdict) => {
                if !verdict.is_good() {
                    self.complaints.push(format!("{what}: {verdict}"));
                }
                self.verdict.add(&verdict);
            }
            Err(error) => self.complaints.push(format!("{what}: it does not start: {error}")),
        }
    }

    fn is_enough(&self) -> bool {
        self.complaints.len() >= COMPLAINTS_MAX
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Lives that end by kills and cuts at random, each disk several times.
fn cut_at_random(seed: u64, cuts: u64, bug: Bug, until: Instant) -> Tally {
    let (runtime, mut tally) = (runtime(), Tally::default());
    for number in 0.. {
        let mut life = Life::new(seed, number, bug);
        let mut random = Random::of(seed ^ 0xc075, number);
        for lives in 0..LIVES_MAX {
            let scale = random.between(3, 9);
            let at = random.between(1, 1 << scale);
            runtime.block_on(life.live_and_be_killed(STEPS));
            // A start that the cut prevents is judged by the next one.
            _ = runtime.block_on(life.live_with(at, Fault::Cut, STEPS));
            life.cut();
            tally.cuts += 1;
            tally.judge(&format!("SEED={seed}, disk {number}, life {lives}, cut after {at} operations"), &runtime, &mut life);
            if tally.cuts >= cuts || tally.is_enough() || Instant::now() > until {
                tally.ends.add(life.ends);
                return tally;
            }
        }
        tally.ends.add(life.ends);
    }
    tally
}

#[test]
fn power_cuts_lose_and_double_nothing() {
    let (cuts, seed) = (number("CUTS").unwrap_or(CUTS_SHORT), number("SEED").unwrap_or(1));
    let begun = Instant::now();
    let until = begun + number("DURATION").map_or(Duration::from_secs(86_400), Duration::from_secs);
    let tally = cut_at_random(seed, cuts, Bug::default(), until);
    println!(
        "SEED={seed}: {} cuts, {} kills before them, {} ends while it opened, in {} s; {}",
        tally.cuts,
        tally.ends.killed,
        tally.ends.while_opening,
        begun.elapsed().as_secs(),
        tally.verdict
    );
    assert!(tally.complaints.is_empty(), "{}", tally.complaints.join("\n"));
    assert!(tally.verdict.audited > cuts, "there was little to lose");
}

/// The same life, cut at each of its operations in turn.
#[test]
fn a_cut_at_any_operation_loses_and_doubles_nothing() {
    let seed = number("SEED").unwrap_or(1);
    let (runtime, mut tally) = (runtime(), Tally::default());
    let mut whole = Life::new(seed, 7, Bug::default());
    runtime.block_on(whole.live(STEPS)).unwrap();
    let operations = whole.operations();
    // Every one of them in a campaign.
    let step = if number("CUTS").is_some() { 1 } else { operations.div_ceil(30) };
    for at in (1..=operations).step_by(step as usize) {
        let mut life = Life::new(seed, 7, Bug::default());
        _ = runtime.block_on(life.live_with(at, Fault::Cut, STEPS));
        life.cut();
        tally.cuts += 1;
        tally.judge(&format!("SEED={seed}, cut after {at} of {operations} operations"), &runtime, &mut life);
    }
    println!("SEED={seed}: cut at {} of {operations} operations of one life; {}", tally.cuts, tally.verdict);
    assert!(tally.complaints.is_empty(), "{}", tally.complaints.join("\n"));
}

/// And one whose log is replayed meanwhile, cut at each operation since it was opened.
#[test]
fn a_cut_at_any_operation_of_a_replay_loses_and_doubles_nothing() {
    let seed = number("SEED").unwrap_or(1);
    let (runtime, mut tally) = (runtime(), Tally::default());
    let mut whole = Life::replaying_behind(seed, 9);
    runtime.block_on(whole.live(STEPS)).unwrap();
    let before = whole.operations();
    runtime.block_on(whole.live(STEPS)).unwrap();
    let operations = whole.operations() - before;
    let step = if number("CUTS").is_some() { 1 } else { operations.div_ceil(30) };
    for at in (1..=operations).step_by(step as usize) {
        let mut life = Life::replaying_behind(seed, 9);
        runtime.block_on(life.live(STEPS)).unwrap();
        _ = runtime.block_on(life.live_with(at, Fault::Cut, STEPS));
        life.cut();
        tally.cuts += 1;
        tally.judge(&format!("SEED={seed}, cut after {at} of {operations} operations of a replay"), &runtime, &mut life);
    }
    println!("SEED={seed}: cut at {} of {operations} operations while a log is replayed; {}", tally.cuts, tally.verdict);
    assert!(tally.complaints.is_empty(), "{}", tally.complaints.join("\n"));
}

/// A disk that is full for a while, or fails once, costs no more than the answers of that while.
#[test]
fn failures_of_the_disk_lose_and_double_nothing() {
    let (lives, seed) = (number("CUTS").map_or(30, |cuts| cuts / 4), number("SEED").unwrap_or(1));
    let (runtime, mut tally) = (runtime(), Tally::default());
    for number in 0..lives {
        let mut life = Life::new(seed, 1_000_000 + number, Bug::default());
        let mut random = Random::of(seed ^ 0xfa11, number);
        let kind = *random.pick(&[
            io::ErrorKind::StorageFull,
            io::ErrorKind::Other,
            io::ErrorKind::QuotaExceeded,
            io::ErrorKind::ReadOnlyFilesystem,
        ]);
        let fault = if random.happens(0.5) { Fault::Once(kind) } else { Fault::From(kind) };
        let at = random.between(1, 90);
        _ = runtime.block_on(life.live_with(at, fault, STEPS));
        tally.failures += u64::from(life.was_hit());
        // The process ends, or the machine does.
        if random.happens(0.5) {
            life.cut();
        }
        tally.judge(&format!("SEED={seed}, disk {number}, {fault:?} after {at} operations"), &runtime, &mut life);
        if tally.is_enough() {
            break;
        }
    }
    println!("SEED={seed}: {} failures of the disk in {lives} lives; {}", tally.failures, tally.verdict);
    assert!(tally.complaints.is_empty(), "{}", tally.complaints.join("\n"));
    assert!(tally.failures > lives / 2, "the disk hardly failed: {} of {lives}", tally.failures);
}

#[test]
fn planted_bugs_are_found() {
    let until = Instant::now() + Duration::from_secs(86_400);
    let planted = [
        ("acknowledged before the sync", Bug { lies: Lies { files: true, folders: false }, ..Bug::default() }),
        ("folders are not synced", Bug { lies: Lies { files: false, folders: true }, ..Bug::default() }),
        ("what a killed process left is not synced", Bug { starts_unsynced: true, ..Bug::default() }),
        ("repetitions are forgotten", Bug { forgets_repetitions: true, ..Bug::default() }),
    ];
    for (name, bug) in planted {
        let tally = cut_at_random(3, 60, bug, until);
        println!("{name}: {} complaints, the first: {}", tally.complaints.len(), tally.complaints.first().map_or("none", |first| first));
        assert!(!tally.complaints.is_empty(), "{name}: nobody noticed");
    }
}
