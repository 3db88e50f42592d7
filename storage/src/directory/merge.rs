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
//! the directory, too. Such a rewrite keeps fewer origins than it forgets.

use std::sync::Arc;

use super::block::Entry;
use super::run::{Run, Walk};
use super::write::RunWriter;
use super::{DirectoryError, Origin};

/// With so many runs a lookup is within its reads, also while an eighth waits to be merged.
pub(crate) const RUNS_MAX: usize = 7;
/// Runs that are merged at once: each takes some 100 KiB of memory meanwhile.
const PARTS_MAX: usize = 32;
/// How often a merge asks whether it should stop.
const KEYS_PER_ASK: u64 = 4_096;

/// Runs to be made one.
pub(super) struct Chosen {
    pub(super) parts: Vec<Arc<Run>>,
    pub(super) generation: u8,
}

/// The next runs to merge. `place` names the shard of an origin that is not gone.
pub(super) fn choose(runs: &[Arc<Run>], place: impl Fn(Origin) -> Option<Origin>) -> Option<Chosen> {
    let weigh = |run: &Arc<Run>| Weight {
        generation: run.header.generation,
        origins: run.origins.count(),
        live: run.origins.iter().filter(|(origin, _)| place(*origin).is_some()).count() as u64,
    };
    let (parts, generation) = choose_by_weight(&runs.iter().map(weigh).collect::<Vec<_>>())?;
    Some(Chosen { parts: parts.into_iter().map(|part| runs[part].clone()).collect(), generation })
}

/// What the choice looks at.
#[derive(Clone, Copy, Debug)]
struct Weight {
    generation: u8,
    origins: u64,
    live: u64,
}

/// Which runs, oldest first, become one of which generation.
fn choose_by_weight(runs: &[Weight]) -> Option<(Vec<usize>, u8)> {
    if let Some(half_gone) = runs.iter().position(|run| 2 * run.live < run.origins) {
        return Some((vec![half_gone], runs[half_gone].generation));
    }
    if runs.len() <= RUNS_MAX {
        return None;
    }
    let mut least_merged: Vec<usize> = (0..runs.len()).collect();
    least_merged.sort_by_key(|&run| runs[run].generation);
    let seventh = runs[least_merged[runs.len() - RUNS_MAX]].generation;
    // More than a merge takes come from a time without merges; the rest has its turn.
    let parts: Vec<usize> = least_merged.into_iter().filter(|&run| runs[run].generation <= seventh).take(PARTS_MAX).collect();
    let highest = runs[*parts.last()?].generation;
    Some((parts, highest.saturating_add(1)))
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
    use std::ops::Range;

    use super::*;

    /// What merging comes to after many seals.
    #[derive(Debug, Default)]
    struct Outcome {
        runs_max: usize,
        generation_max: u8,
        /// Entries written for one that was added.
        written: f64,
        /// Most origins in the directory, as a multiple of the live ones.
        kept_max: f64,
    }

    /// Seals of these sizes, of which the last `window` are live. What is merged stands next to each other, so that a
    /// run is a range of seals.
    fn simulated(sizes: &[u64], window: usize) -> Outcome {
        let (mut outcome, mut written) = (Outcome::default(), 0);
        let mut runs = Vec::<(Range<usize>, u8)>::new();
        for (seal, size) in sizes.iter().enumerate() {
            let oldest = (seal + 1).saturating_sub(window);
            let weigh = |(seals, generation): &(Range<usize>, u8)| Weight {
                generation: *generation,
                origins: seals.len() as u64,
                live: seals.end.saturating_sub(oldest.max(seals.start)) as u64,
            };
            runs.push((seal..seal + 1, 0));
            written += size;
            while let Some((parts, generation)) = choose_by_weight(&runs.iter().map(weigh).collect::<Vec<_>>()) {
                let (start, end) = (parts.iter().map(|part| runs[*part].0.start).min(), parts.iter().map(|part| runs[*part].0.end).max());
                let merged = start.unwrap().max(oldest)..end.unwrap();
                written += sizes[merged.start.min(merged.end)..merged.end].iter().sum::<u64>();
                replace(&mut runs, &parts, (!merged.is_empty()).then_some((merged, generation)));
            }
            outcome.runs_max = outcome.runs_max.max(runs.len());
            outcome.generation_max = runs.iter().map(|run| run.1).max().unwrap_or_default().max(outcome.generation_max);
            if seal >= window {
                let kept: usize = runs.iter().map(|run| run.0.len()).sum();
                outcome.kept_max = outcome.kept_max.max(kept as f64 / window as f64);
            }
        }
        Outcome { written: written as f64 / sizes.iter().sum::<u64>() as f64, ..outcome }
    }

    fn replace<R>(runs: &mut Vec<R>, parts: &[usize], merged: Option<R>) {
        let mut run = 0..;
        runs.retain(|_| !parts.contains(&run.next().expect("endless")));
        runs.extend(merged);
    }

    #[test]
    fn there_are_seven_runs_at_most_and_an_entry_is_merged_a_bounded_number_of_times() {
        for (seals, merges_max, written_max) in [(7, 0, 1.0), (10_000, 8, 8.5), (100_000, 13, 13.0)] {
            let outcome = simulated(&vec![1; seals], seals);
            assert_eq!(outcome.runs_max, RUNS_MAX, "after {seals} seals");
            assert!(outcome.generation_max <= merges_max && outcome.written <= written_max, "{outcome:?} after {seals} seals");
        }
    }

    #[test]
    fn the_bound_of_the_merges_is_the_one_that_is_proven() {
        // T(7, 4) = C(12, 7) - 1 seals fit with four merges, one more needs a fifth.
        assert_eq!(simulated(&[1; 791], 791).generation_max, 4);
        assert_eq!(simulated(&[1; 792], 792).generation_max, 5);
    }

    #[test]
    fn the_bounds_hold_for_seals_of_any_size() {
        let sizes: Vec<u64> = (0..20_000_u64).map(|n| 1 + (n * 7_919 % 1_009).pow(2)).collect();
        let outcome = simulated(&sizes, sizes.len());
        assert_eq!(outcome.runs_max, RUNS_MAX);
        assert!(outcome.generation_max <= 10 && outcome.written <= 11.0, "{outcome:?}");
    }

    #[test]
    fn retention_keeps_the_directory_small() {
        let outcome = simulated(&[1; 100_000], 10_000);
        assert_eq!(outcome.runs_max, RUNS_MAX);
        assert!(outcome.kept_max <= 2.0 && outcome.written <= 13.0, "{outcome:?}");
    }

    #[test]
    fn many_runs_that_were_never_merged_are_merged_a_few_at_a_time() {
        let (mut runs, mut merges) = (vec![Weight { generation: 0, origins: 1, live: 1 }; 1_000], 0);
        while let Some((parts, generation)) = choose_by_weight(&runs) {
            assert!((2..=PARTS_MAX).contains(&parts.len()));
            replace(&mut runs, &parts, Some(Weight { generation, origins: 1, live: 1 }));
            merges += 1;
        }
        assert!(runs.len() <= RUNS_MAX && merges <= 34, "{merges} merges to {}", runs.len());
    }
}
