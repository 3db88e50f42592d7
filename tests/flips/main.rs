//! Flips single bits, cuts, empties, removes and exchanges files of a small data folder, one at a time, and asks the
//! store what it makes of it: an answer may be partial and say so, a start may be refused with a way out, but no
//! record is ever wrong, doubled, or missing in silence.
//!
//! `make flips FLIPS=10000 SEED=1 DURATION=600`; without these it is a short run, for `make test`.
#![allow(clippy::unwrap_used)]

mod damage;
mod folder;
mod table;
mod verdict;

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use damage::Damage;
use folder::{End, Original};
use table::Table;

const FLIPS_SHORT: u64 = 300;
/// Every so many flips the folder is also repaired and asked again.
const REPAIR_EVERY: u64 = 5;

/// Panics since the start, caught or not.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn damage_is_found_and_never_returned_as_records() {
    let number = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse::<u64>().unwrap());
    let (flips, seed) = (number("FLIPS").unwrap_or(FLIPS_SHORT), number("SEED").unwrap_or(1));
    let duration = number("DURATION").map_or(Duration::MAX, Duration::from_secs);
    let begun = Instant::now();
    // Caught panics would print thousands of backtraces.
    panic::set_hook(Box::new(|_| _ = PANICS.fetch_add(1, Ordering::Relaxed)));
    let originals = [End::Crash, End::Closed].map(Original::make);
    let mut table = Table::default();
    let mut wrong = Vec::new();
    for number in 0..flips {
        if begun.elapsed() > duration {
            break;
        }
        let original = &originals[usize::from(number.is_multiple_of(3))];
        let damage = Damage::choose(original, seed, number);
        match verdict::of(original, &damage, number.is_multiple_of(REPAIR_EVERY)) {
            Ok(outcome) => table.count(&damage, outcome),
            Err(complaint) => wrong.push(format!("SEED={seed}, number {number}, {damage}: {complaint}")),
        }
        if wrong.len() >= 20 {
            break;
        }
    }
    _ = panic::take_hook();
    table.print(seed, begun.elapsed(), PANICS.load(Ordering::Relaxed));
    assert!(wrong.is_empty(), "{} of {flips} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
    assert!(table.found() > 0, "no damage was found: none was done");
}
