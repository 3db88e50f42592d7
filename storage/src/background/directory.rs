//! Looking after the id directory: shards that it does not cover are added, its parts are merged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Upkeep;
use crate::catalog::ShardMeta;
use crate::directory::DirectoryError;
use crate::keep::{SealError, reading};
use crate::lookup::ShardKeys;
use crate::model::IdKey;
use crate::predicate::Columns;
use crate::shard::{ShardError, ShardReader, Wanted};
use crate::store::Shared;
use crate::terms::for_each_id_key;

/// Keys that are added at once, about: 8 MiB of them. More shards at once are fewer parts to merge.
const ADDED_KEYS_MAX: usize = 1 << 20;

impl Shared {
    /// Adds the next shards that the id directory does not cover, and merges its next parts. Whether there were any.
    pub(crate) fn tick_directory(&self) -> Result<bool, DirectoryError> {
        let mut upkeep = self.upkeep.lock();
        let added = self.add_uncovered(&mut upkeep)?;
        // A seal makes its shards known before it adds them: only what is here before the shards are looked at can be
        // of a shard that is gone.
        let known = self.keep.lookup.covered();
        let shards = self.state.read().shards.clone();
        let shard_of = |origin| match shards.of_origin(origin) {
            Some(shard) => shards[shard].origins.iter().next(),
            None => Some(origin).filter(|origin| !known.contains(*origin)),
        };
        let merged = self.keep.lookup.tick_merge(shard_of, || self.closing.load(Ordering::Relaxed))?;
        Ok(added || merged)
    }

    /// The keys of a shard are of all its seals. They are added under those that are not covered yet, as one group:
    /// from any of them the way leads to this shard, where the columns decide.
    fn add_uncovered(&self, upkeep: &mut Upkeep) -> Result<bool, DirectoryError> {
        let shards = self.state.read().shards.clone();
        let uncovered = shards.origins().without(&self.keep.lookup.covered());
        let (mut added, mut count): (Vec<ShardKeys>, usize) = (Vec::new(), 0);
        for shard in shards.holding(uncovered.iter()).into_iter().map(|number| &shards[number]) {
            if self.closing.load(Ordering::Relaxed) || count >= ADDED_KEYS_MAX {
                break;
            }
            if shard.origins.is_empty() || upkeep.unreadable.contains(&shard.path) {
                continue;
            }
            match self.keys_of(shard) {
                Ok(keys) => {
                    count += keys.len();
                    added.push((shard.origins.clone(), keys));
                }
                Err(error) => {
                    tracing::error!(%error, "its ids cannot be added to the directory; each lookup asks it");
                    upkeep.unreadable.insert(shard.path.clone());
                }
            }
        }
        self.keep.lookup.add(&added)?;
        Ok(!added.is_empty())
    }

    fn keys_of(&self, shard: &Arc<ShardMeta>) -> Result<Vec<IdKey>, SealError> {
        reading(shard, || id_keys(&ShardReader::open(self.keep.objects.clone(), shard.as_ref().clone())?))
    }
}

/// The keys of all ids of a shard.
fn id_keys(shard: &ShardReader) -> Result<Vec<IdKey>, ShardError> {
    let mut keys = BTreeSet::new();
    shard.read(&shard.all(), Wanted::Columns(&Columns::of_ids()), &mut |view, _| {
        (0..view.len()).for_each(|row| for_each_id_key(view, row, |key| _ = keys.insert(key)));
        Ok(true)
    })?;
    Ok(keys.into_iter().collect())
}
