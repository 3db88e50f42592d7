//! Writing shards anew: small ones become large ones, and what is deleted or past its retention is left out.
//! The new shard and the end of the old ones are one transaction; files of the old ones stay until no query
//! reads them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use futures::executor::block_on;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::leaving::Leaving;
use super::name::{Rewrite, ShardName};
use super::seal::{Keep, SealError, ShardPlace};
use crate::catalog::{Origins, ShardMeta};
use crate::shard::{ShardError, ShardReader};

/// Columns of one merge, encoded but not compressed. They take a few times as much while they are decoded,
/// joined and sorted.
const MERGED_MEMORY_BYTES_MAX: u64 = 96 << 20;

/// What became of shards that were to be written anew.
#[derive(Debug)]
pub(crate) enum Rewritten {
    /// They are one shard now.
    Shard(ShardMeta),
    /// None of their records was left.
    Nothing,
    /// Nothing was done: together they are too large in memory.
    TooLarge,
}

impl Keep {
    /// Writes one shard of the records of `shards` that stay, and publishes it in their place.
    pub(crate) fn rewrite(&self, shards: &[&ShardMeta], leaving: &Leaving) -> Result<Rewritten, SealError> {
        let readers = shards.iter().map(|shard| reading(shard, || ShardReader::open(self.objects.clone(), (*shard).clone())));
        let readers: Vec<ShardReader> = readers.collect::<Result<_, _>>()?;
        // A single one was built in memory of its size before.
        if readers.len() > 1 && readers.iter().map(ShardReader::memory_bytes).sum::<u64>() > MERGED_MEMORY_BYTES_MAX {
            return Ok(Rewritten::TooLarge);
        }
        let mut batches: Vec<RecordBatch> = Vec::new();
        for reader in &readers {
            batches.extend(reading(&reader.meta, || leaving.stay(reader))?);
        }
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            self.catalog.replace(None, shards)?;
            return Ok(Rewritten::Nothing);
        }
        let place = ShardPlace {
            id: rewritten_id(shards),
            tenant: shards[0].tenant.clone(),
            signal: shards[0].signal,
            origins: Origins::union(shards.iter().map(|shard| &shard.origins)),
        };
        // The directory knows these ids: they came with the seals that the shards are made of.
        let (written, _) = self.write_shard(place, &batches)?;
        self.catalog.replace(Some(&written), shards)?;
        Ok(Rewritten::Shard(written))
    }

    /// Removes the files of shards that were replaced and that nobody reads.
    pub(crate) fn collect(&self, replaced: &[&str]) -> Result<(), SealError> {
        for path in replaced {
            match block_on(self.objects.delete(&Path::from(*path))) {
                // Removed before a crash, and not yet forgotten.
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.catalog.forget_replaced(replaced)?;
        Ok(())
    }
}

/// Reads something of a shard. Damaged bytes may make a decoder panic; then this shard stays as it is.
pub(crate) fn reading<T>(shard: &ShardMeta, read: impl FnOnce() -> Result<T, ShardError>) -> Result<T, SealError> {
    let read = catch_unwind(AssertUnwindSafe(read));
    let read = read.unwrap_or_else(|_| Err(ShardError::Form("its bytes make the decoder fail".to_owned())));
    read.map_err(|error| SealError::Read { path: shard.path.clone(), error })
}

/// Named after the frames of the log that its records came in, and how many rows went into it.
fn rewritten_id(shards: &[&ShardMeta]) -> String {
    let names = || shards.iter().filter_map(|shard| ShardName::parse(&shard.id));
    let first = names().map(|name| name.first).min().unwrap_or_default();
    let last = names().map(|name| name.last).max().unwrap_or_default();
    let rows = shards.iter().map(|shard| shard.rows).sum();
    let times = names().filter_map(|name| name.rewrite).map(|rewrite| rewrite.times).max().unwrap_or(0) + 1;
    ShardName { first, last, rewrite: Some(Rewrite { rows, times }) }.id()
}
