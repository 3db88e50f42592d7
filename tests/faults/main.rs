//! The real program on a file system that kills it, loses what was not synced, is full, fails or is slow. Afterwards
//! everything that was acknowledged is there, once, as it was sent.
//!
//! `make faults FAULTS=500 SEED=1 DURATION=600`; without these it is a short run, for `make test`. It mounts file systems
//! of its own, for which it has to be root; where it cannot it says so.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod errors;
mod fuse;
#[allow(dead_code)]
#[path = "../e2e/harness.rs"]
mod harness;
mod long_log;
#[path = "../cuts/oracle.rs"]
mod oracle;
mod overload;
mod points;
mod program;
#[allow(dead_code)]
#[path = "../bench/workload/random.rs"]
mod random;
#[path = "../kills/senders.rs"]
mod senders;
mod volume;

use std::time::{Duration, Instant};

use oracle::Verdict;
use points::{POINTS, at_start};
use program::{Tally, live};

/// Kills of a short run; each point once.
const KILLS_SHORT: u64 = POINTS.len() as u64;
/// On one volume.
const KILLS_OF_A_VOLUME: u64 = 13;

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// Kills at the points, one after the other, on volume after volume. None where nothing can be mounted.
fn kill_at_points(seed: u64, kills: u64, with_cuts: bool, lies: bool, until: Instant) -> Option<(Verdict, Tally)> {
    let (mut verdict, mut tally) = (Verdict::default(), Tally::default());
    while tally.kills < kills && Instant::now() < until && verdict.is_good() {
        let (first, of_this) = (tally.kills, (kills - tally.kills).min(KILLS_OF_A_VOLUME));
        let mut unmet = Vec::new();
        let (found, happened) = live(seed, first, lies, |life, process| {
            for number in 0..of_this {
                let point = &POINTS[((first + number) % POINTS.len() as u64) as usize];
                let trap = point.trap(&mut life.random);
                let with_cut = with_cuts && life.random.happens(0.7);
                let hits = life.hits;
                if !life.kill_at(process, trap, with_cut) {
                    // All that was acknowledged is lost then.
                    assert!(lies, "SEED={seed}, kill {}, {point}: it does not start again", first + number);
                    return;
                }
                if life.hits == hits {
                    unmet.push(point.to_string());
                }
            }
        })?;
        verdict.add(&found);
        tally.add(happened);
        if !unmet.is_empty() {
            println!("SEED={seed}, kills {first} to {}, not met: {}", first + of_this, unmet.join("; "));
        }
        if !found.is_good() {
            println!("SEED={seed}, volume at kill {first}: {found}");
        }
    }
    Some((verdict, tally))
}

fn until() -> Instant {
    Instant::now() + number("DURATION").map_or(Duration::from_secs(86_400), Duration::from_secs)
}

fn say(what: &str, seed: u64, begun: Instant, (verdict, tally): &(Verdict, Tally)) {
    let Tally { kills, hits, cuts, starts_in_vain } = tally;
    let seconds = begun.elapsed().as_secs();
    println!(
        "SEED={seed}: {what}: {kills} kills, {hits} of them at their point, {cuts} with the power, {starts_in_vain} before it was ready, in {seconds} s; {verdict}"
    );
}

#[test]
fn a_kill_at_any_point_loses_and_doubles_nothing() {
    let (kills, seed, begun) = (number("FAULTS").unwrap_or(KILLS_SHORT), number("SEED").unwrap_or(1), Instant::now());
    let Some(done) = kill_at_points(seed, kills, false, false, until()) else { return };
    say("kills at named points", seed, begun, &done);
    let (verdict, tally) = done;
    assert!(verdict.is_good(), "{verdict}");
    assert!(tally.hits * 2 > tally.kills, "most of the points were not met");
}

#[test]
fn a_power_cut_at_any_point_loses_and_doubles_nothing() {
    let (kills, seed, begun) = (number("FAULTS").unwrap_or(KILLS_SHORT), number("SEED").unwrap_or(1), Instant::now());
    let Some(done) = kill_at_points(seed, kills, true, false, until()) else { return };
    say("power cuts at named points", seed, begun, &done);
    assert!(done.0.is_good(), "{}", done.0);
    assert!(done.1.cuts > done.1.kills / 3);
}

/// Fault 14: ten times in a row while it starts, and it gets there all the same.
#[test]
fn kills_while_it_starts_are_recovered_from() {
    let (kills, seed, begun) = (number("FAULTS").unwrap_or(10), number("SEED").unwrap_or(1), Instant::now());
    let (mut verdict, mut all) = (Verdict::default(), Tally::default());
    let until = until();
    while all.kills < kills && Instant::now() < until {
        let number = 10_000 + all.kills;
        let Some((found, tally)) = live(seed, number, false, |life, process| {
            let with_cut = life.random.happens(0.5);
            life.kill_starts(process, 10, with_cut, at_start);
        }) else {
            return;
        };
        assert!(found.is_good(), "SEED={seed}, volume {number}: {found}");
        verdict.add(&found);
        all.add(tally);
    }
    say("kills while it starts", seed, begun, &(verdict, all));
    assert!(all.starts_in_vain > 0, "no start was hindered");
}

/// A file system whose syncs do nothing is noticed: so would be a program that does not sync.
#[test]
fn a_planted_bug_is_found() {
    let Some((verdict, _)) = kill_at_points(3, 60, true, true, until()) else { return };
    println!("nothing is synced: {verdict}");
    assert!(!verdict.is_good(), "nobody noticed");
}

/// Errors of every kind at every kind of file: what was acknowledged stays, and the program lives.
#[test]
fn errors_of_the_disk_lose_and_double_nothing() {
    let (errors, seed, begun) = (number("FAULTS").unwrap_or(20), number("SEED").unwrap_or(1), Instant::now());
    let Some((verdict, tally, errors)) = errors::fail_at_random(seed, errors, until()) else { return };
    let Tally { kills, hits, .. } = tally;
    println!(
        "SEED={seed}: {errors} times errors of the disk ({hits} before one of {kills} restarts), in {} s; {verdict}",
        begun.elapsed().as_secs()
    );
    assert!(verdict.audited > errors, "there was little to lose");
}
