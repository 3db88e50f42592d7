//! Shards, and from the number of a seal to the shard that holds its records today.

use std::collections::BTreeSet;
use std::ops::{Deref, RangeInclusive};
use std::sync::Arc;

use crate::catalog::{Origins, ShardMeta};
use crate::directory::Hits;

/// Shards by latest time. A list never changes; readers share it.
#[derive(Debug, Default)]
pub(crate) struct ShardList {
    shards: Vec<Arc<ShardMeta>>,
    /// Which seals are in which shard, by its number in the list; in order of the seals.
    places: Vec<(RangeInclusive<u32>, usize)>,
    /// All of these seals.
    origins: Origins,
    /// Shards of which no seal is known.
    unnumbered: Vec<usize>,
}

impl ShardList {
    pub(crate) fn new(mut shards: Vec<Arc<ShardMeta>>) -> ShardList {
        shards.sort_by_key(|shard| shard.time_max);
        let numbered = || shards.iter().enumerate();
        let mut places: Vec<_> =
            numbered().flat_map(|(number, shard)| shard.origins.ranges().iter().map(move |range| (range.clone(), number))).collect();
        places.sort_unstable_by_key(|(range, _)| *range.start());
        let origins = Origins::of_ranges(places.iter().map(|(range, _)| range.clone()).collect());
        let unnumbered = numbered().filter(|(_, shard)| shard.origins.is_empty()).map(|(number, _)| number).collect();
        ShardList { shards, places, origins, unnumbered }
    }

    /// The seals whose records are in these shards.
    pub(crate) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// The shard of a seal.
    pub(crate) fn of_origin(&self, origin: u32) -> Option<usize> {
        let at = self.places.partition_point(|(range, _)| *range.end() < origin);
        self.places.get(at).filter(|(range, _)| range.contains(&origin)).map(|(_, shard)| *shard)
    }

    /// The shards that hold some of these seals, and those of which no seal is known; by latest time.
    pub(crate) fn holding(&self, origins: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let shards: BTreeSet<usize> =
            origins.into_iter().filter_map(|origin| self.of_origin(origin)).chain(self.unnumbered.iter().copied()).collect();
        shards.into_iter().collect()
    }

    /// The shards that a lookup does not rule out: with a seal that was found, or that the lookup did not cover.
    pub(crate) fn not_ruled_out(&self, hits: &Hits) -> Vec<usize> {
        let uncovered = self.origins.without(hits.covered());
        self.holding(hits.origins.iter().map(|origin| origin.0).chain(uncovered.iter()))
    }
}

impl Deref for ShardList {
    type Target = [Arc<ShardMeta>];

    fn deref(&self) -> &[Arc<ShardMeta>] {
        &self.shards
    }
}
