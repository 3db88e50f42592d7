//! Several runs become one: which, and how.
//!
//! A run's *generation* says how often its entries were merged at most; a new run has generation 0. When there
//! are more than [`RUNS_MAX`] runs, let g be the generation of the seventh when the highest come first: all runs
//! of generation g and below become one of generation g + 1. Afterwards there are seven runs at most, whatever
//! their sizes. Let T(k, g) be how many new runs k places take in without an entry being merged more than g times.
//! They take T(k, g-1); one more makes all of it one run of generation g, which occupies the first place; the
//! other places go on: T(k, g) = T(k, g-1) + 1 + T(k-1, g), so that T(k, g) + 1 = C(k+g+1, k). With seven places
//! 10,000 seals cost an entry 8 merges at most, 100,000 seals 13.
//!
//! A run of which more than half the origins are gone is rewritten alone, so that what retention takes leaves
//! the directory, too; that costs an entry less than one more merge for each that goes.

use std::sync::Arc;

use super::block::Entry;
use super::run::{Run, Walk};
use super::write::RunWriter;
use super::{DirectoryError, Origin};

/// With so many runs a lookup is within its reads, also while an eighth waits to be merged.
pub(super) const RUNS_MAX: usize = 7;
/// Runs that are merged at once; each takes some 100 KiB of memory meanwhile.
const PARTS_MAX: usize = 32;
/// How often a merge asks whether it should stop.
const KEYS_PER_ASK: u64 = 4_096;

/// Runs to be made one.
pub(super) struct Chosen {
    pub(super) parts: Vec<Arc<Run>>,
    pub(super) generation: u8,
}

/// The next runs to merge.
pub(super) fn choose(runs: &[Arc<Run>], place: impl Fn(Origin) -> Option<Origin>) -> Option<Chosen> {
    let half_gone = |run: &&Arc<Run>| {
        let live = run.origins.iter().filter(|(origin, _)| place(*origin).is_some()).count() as u64;
        2 * live < run.origins.count()
    };
    if let Some(run) = runs.iter().find(half_gone) {
        return Some(Chosen { parts: vec![run.clone()], generation: run.header.generation });
    }
    let generations: Vec<u8> = runs.iter().map(|run| run.header.generation).collect();
    let generation_max = merged_up_to(&generations)?;
    let mut parts: Vec<Arc<Run>> = runs.iter().filter(|run| run.header.generation <= generation_max).cloned().collect();
    // More than there should be come from a time without merges; the least merged are first, the rest has its turn.
    parts.sort_by_key(|run| (run.header.generation, run.header.run));
    parts.truncate(PARTS_MAX);
    let generation = parts.iter().map(|run| run.header.generation).max().unwrap_or_default().saturating_add(1);
    Some(Chosen { parts, generation })
}

/// The highest generation that is merged; none when there are few enough runs.
fn merged_up_to(generations: &[u8]) -> Option<u8> {
    let mut highest_first = generations.to_vec();
    highest_first.sort_unstable_by(|one, other| other.cmp(one));
    if generations.len() > RUNS_MAX { Some(highest_first[RUNS_MAX - 1]) } else { None }
}

/// Writes the entries of the parts, each once; `regroup` gives their groups in the new run. Whether it came to the
/// end before `stop` told it to.
pub(super) fn merge(
    parts: &[Arc<Run>],
    regroup: &[Vec<Option<u32>>],
    writer: &mut RunWriter,
    stop: impl Fn() -> bool,
) -> Result<bool, DirectoryError> {
    let mut walks: Vec<Walk<'_>> = parts.iter().map(|run| run.walk()).collect::<Result<_, _>>()?;
    let (mut groups, mut keys) = (Vec::new(), 0_u64);
    while let Some(key) = walks.iter().filter_map(Walk::head).map(|entry| entry.key).min() {
        for (walk, regroup) in walks.iter_mut().zip(regroup) {
            while let Some(entry) = walk.head().filter(|entry| entry.key == key) {
                groups.extend(regroup[entry.group as usize]);
                walk.advance()?;
            }
        }
        groups.sort_unstable();
        groups.dedup();
        groups.drain(..).try_for_each(|group| writer.push(Entry { key, group }))?;
        keys += 1;
        if keys.is_multiple_of(KEYS_PER_ASK) && stop() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs without those that another one covers whole: a crash between writing a merged run and removing its parts
/// leaves both.
pub(super) fn without_copies(mut runs: Vec<Run>) -> (Vec<Arc<Run>>, Vec<Arc<Run>>) {
    runs.sort_by_key(|run| std::cmp::Reverse((run.origins.count(), run.header.run)));
    let (mut kept, mut copies) = (Vec::<Arc<Run>>::new(), Vec::new());
    for run in runs.into_iter().map(Arc::new) {
        let is_copy = kept.iter().any(|other| run.origins.are_within(&other.origins));
        if is_copy { copies.push(run) } else { kept.push(run) }
    }
    kept.sort_by_key(|run| run.header.run);
    (kept, copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes and generations of runs after so many seals, the entries written, and the most runs there were after a merge.
    fn simulated(seals: impl Iterator<Item = u64>) -> (Vec<(u64, u8)>, u64, usize) {
        let (mut runs, mut written, mut runs_max) = (Vec::<(u64, u8)>::new(), 0, 0);
        for size in seals {
            runs.push((size, 0));
            written += size;
            while let Some(up_to) = merged_up_to(&runs.iter().map(|run| run.1).collect::<Vec<_>>()) {
                let merged: u64 = runs.iter().filter(|run| run.1 <= up_to).map(|run| run.0).sum();
                runs.retain(|run| run.1 > up_to);
                runs.push((merged, up_to + 1));
                written += merged;
            }
            runs_max = runs_max.max(runs.len());
        }
        (runs, written, runs_max)
    }

    fn generation(runs: &[(u64, u8)]) -> u8 {
        runs.iter().map(|run| run.1).max().unwrap()
    }

    #[test]
    fn there_are_seven_runs_at_most_and_an_entry_is_merged_a_bounded_number_of_times() {
        for (seals, merges_max, written_max) in [(7, 0, 1.0), (10_000, 8, 8.0), (100_000, 13, 12.0)] {
            let (runs, written, runs_max) = simulated(std::iter::repeat_n(1, seals));
            assert_eq!(runs_max, RUNS_MAX, "after {seals} seals");
            assert!(generation(&runs) <= merges_max, "{runs:?}");
            assert!((written as f64) <= written_max * seals as f64, "{written} entries written for {seals}");
        }
    }

    #[test]
    fn the_bound_of_the_merges_is_the_one_that_is_proven() {
        // T(7, 4) = C(12, 7) - 1 seals fit with four merges, one more needs a fifth.
        assert_eq!(generation(&simulated(std::iter::repeat_n(1, 791)).0), 4);
        assert_eq!(generation(&simulated(std::iter::repeat_n(1, 792)).0), 5);
    }

    #[test]
    fn the_bounds_hold_for_seals_of_any_size() {
        let sizes = (0..20_000_u64).map(|n| 1 + (n * 7_919 % 1_009).pow(2));
        let (runs, written, runs_max) = simulated(sizes.clone());
        assert_eq!(runs_max, RUNS_MAX);
        assert!(generation(&runs) <= 10, "{runs:?}");
        assert!(written <= 10 * sizes.sum::<u64>(), "{written}");
    }
}
