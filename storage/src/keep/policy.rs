//! Which shards to merge.
//!
//! Shards of one tenant and signal are looked at in order of time, so that what is merged stays narrow in
//! time. A shard belongs to a tier by its rows, each tier [`FAN_IN`] times the one below; neighbours of one
//! tier are merged when there are enough of them, or when they fill a shard; large ones stay as they are. So a record is rewritten at
//! most once per tier: from seals of 1,000 rows to the largest shards that is four times.

use std::ops::Range;

use crate::catalog::ShardMeta;

/// Neighbours that are merged into one.
const FAN_IN: usize = 8;
/// Shards of so large a part of the largest stay as they are: two or three of them would be written anew for one, and seals under a
/// steady load are such (76,000 logs of the benchmarks), so that each of their records would be written twice.
const LARGE_OF: u64 = 3;
/// Rows of the lowest tier.
const TIER_ROWS_MIN: u64 = 1_024;
/// A merge makes at most so many rows unless told otherwise, and reads at most so many bytes: it has to fit into
/// memory.
pub(crate) const MERGED_ROWS_MAX: u64 = 200_000;
const MERGED_BYTES_MAX: u64 = 32 << 20;

const _: () = assert!(TIER_ROWS_MIN * (FAN_IN * FAN_IN) as u64 <= MERGED_ROWS_MAX);

/// How much is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// As much as bounds the rewriting.
    Steady,
    /// Whatever fits together, however often it was rewritten.
    Everything,
}

/// The next neighbours to merge among the shards of one tenant and signal in order of time.
pub(crate) fn choose(shards: &[&ShardMeta], effort: Effort, rows_max: u64) -> Option<Range<usize>> {
    (0..shards.len()).map(|start| run_from(shards, start, effort, rows_max)).find(|run| run.worthwhile).map(|run| run.range)
}

struct Run {
    range: Range<usize>,
    worthwhile: bool,
}

/// The shards that fit together with the one at `start`.
fn run_from(shards: &[&ShardMeta], start: usize, effort: Effort, rows_max: u64) -> Run {
    let (mut rows, mut bytes, mut end, mut smallest) = (0, 0, start, u64::MAX);
    let mut full = false;
    for shard in &shards[start..] {
        let together = effort == Effort::Everything || (tier(shard) == tier(shards[start]) && end - start < FAN_IN);
        if !together {
            break;
        }
        full = rows + shard.rows > rows_max || bytes + shard.bytes > MERGED_BYTES_MAX;
        if full {
            break;
        }
        rows += shard.rows;
        bytes += shard.bytes;
        smallest = smallest.min(shard.rows);
        end += 1;
    }
    let count = end - start;
    let are_large = smallest.saturating_mul(LARGE_OF) >= rows_max;
    let enough = effort == Effort::Everything || count == FAN_IN || (full && 2 * rows >= rows_max);
    Run { range: start..end, worthwhile: count >= 2 && !are_large && enough }
}

fn tier(shard: &ShardMeta) -> u32 {
    (shard.rows / TIER_ROWS_MIN).max(1).ilog(FAN_IN as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Origins;
    use crate::model::{RecordId, Signal, Tenant, UnixNanos};

    fn shard(rows: u64) -> ShardMeta {
        ShardMeta {
            id: String::new(),
            tenant: Tenant::default(),
            signal: Signal::Logs,
            path: String::new(),
            time_min: UnixNanos(0),
            time_max: UnixNanos(0),
            record_min: RecordId(0),
            record_max: RecordId(0),
            rows,
            bytes: rows * 60,
            format: 1,
            origins: Origins::default(),
            tail: crate::shard::Tail::default(),
        }
    }

    fn chosen(rows: &[u64], effort: Effort) -> Option<Range<usize>> {
        let shards: Vec<ShardMeta> = rows.iter().map(|rows| shard(*rows)).collect();
        choose(&shards.iter().collect::<Vec<_>>(), effort, MERGED_ROWS_MAX)
    }

    #[test]
    fn neighbours_of_one_tier_are_merged_when_there_are_enough() {
        assert_eq!(chosen(&[100; 7], Effort::Steady), None);
        assert_eq!(chosen(&[100; 9], Effort::Steady), Some(0..8));
        assert_eq!(chosen(&[90_000, 100, 100, 100, 100, 100, 100, 100, 100], Effort::Steady), Some(1..9));
    }

    #[test]
    fn everything_that_fits_is_merged_on_demand() {
        assert_eq!(chosen(&[90_000, 100, 5_000], Effort::Everything), Some(0..3));
        assert_eq!(chosen(&[120_000, 110_000], Effort::Everything), None);
        assert_eq!(chosen(&[80_000, 80_000], Effort::Everything), None, "they are large");
        assert_eq!(chosen(&[120_000, 110_000, 100], Effort::Everything), Some(1..3));
        assert_eq!(chosen(&[100], Effort::Everything), None);
    }

    #[test]
    fn neighbours_that_fill_a_shard_are_merged_although_they_are_few() {
        assert_eq!(chosen(&[60_000, 60_000, 60_000, 60_000], Effort::Steady), Some(0..3));
        assert_eq!(chosen(&[60_000, 60_000, 60_000], Effort::Steady), None, "more may come that fits");
        assert_eq!(chosen(&[80_000, 80_000, 80_000], Effort::Steady), None, "they are large");
        assert_eq!(chosen(&[160_000, 80_000], Effort::Steady), None);
    }

    #[test]
    fn a_bound_of_one_row_merges_nothing() {
        let shards: Vec<ShardMeta> = [1, 1, 90, 90, 5].map(shard).into();
        let shards: Vec<&ShardMeta> = shards.iter().collect();
        for effort in [Effort::Steady, Effort::Everything] {
            assert_eq!(choose(&shards, effort, 1), None);
        }
        assert_eq!(choose(&shards, Effort::Everything, 100), Some(0..3));
    }

    #[test]
    fn a_record_is_rewritten_a_bounded_number_of_times() {
        // Half a million rows, sealed by thousands and merged as the policy says.
        let mut shards: Vec<(ShardMeta, u32)> = Vec::new();
        for _ in 0..512 {
            shards.push((shard(1_000), 0));
            while let Some(run) = choose(&shards.iter().map(|(shard, _)| shard).collect::<Vec<_>>(), Effort::Steady, MERGED_ROWS_MAX) {
                let rows = shards[run.clone()].iter().map(|(shard, _)| shard.rows).sum();
                let rewritten = shards[run.clone()].iter().map(|(_, times)| *times).max().unwrap() + 1;
                shards.splice(run, [(shard(rows), rewritten)]);
            }
        }
        assert!(shards.iter().all(|(_, times)| *times <= 4), "{:?}", shards.iter().map(|(s, t)| (s.rows, *t)).collect::<Vec<_>>());
        assert!(shards.len() <= 4 * FAN_IN, "{}", shards.len());
    }
}
