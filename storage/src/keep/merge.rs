//! Merging: small shards become large ones. The new shard and the end of the old ones are one transaction;
//! files of the old ones stay until no query reads them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use futures::executor::block_on;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::name::ShardName;
use super::seal::{Keep, SealError, ShardPlace};
use crate::catalog::{Origins, ShardMeta};
use crate::shard::{ShardError, ShardReader};

/// Columns of one merge, encoded but not compressed. They take a few times as much while they are decoded,
/// joined and sorted.
const MERGED_MEMORY_BYTES_MAX: u64 = 96 << 20;

impl Keep {
    /// Writes one shard of all records of `shards`, and publishes it in their place. `None`: together they are
    /// too large in memory.
    pub(crate) fn merge(&self, shards: &[&ShardMeta]) -> Result<Option<ShardMeta>, SealError> {
        let failed = |shard: &ShardMeta| {
            let path = shard.path.clone();
            move |error| SealError::Read { path, error }
        };
        let readers = shards.iter().map(|shard| ShardReader::open(self.objects.clone(), (*shard).clone()).map_err(failed(shard)));
        let readers: Vec<ShardReader> = readers.collect::<Result<_, _>>()?;
        if readers.iter().map(ShardReader::memory_bytes).sum::<u64>() > MERGED_MEMORY_BYTES_MAX {
            return Ok(None);
        }
        let mut batches: Vec<RecordBatch> = Vec::new();
        for reader in &readers {
            // Damaged bytes may make a decoder panic; then this shard stays as it is.
            let read = catch_unwind(AssertUnwindSafe(|| reader.batches()));
            let read = read.unwrap_or_else(|_| Err(ShardError::Form("its bytes make the decoder fail".to_owned())));
            batches.extend(read.map_err(failed(&reader.meta))?);
        }
        let rows: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        if rows != shards.iter().map(|shard| shard.rows).sum::<u64>() {
            let error = ShardError::Form(format!("the shards hold {rows} rows, the catalog says otherwise"));
            return Err(SealError::Read { path: shards[0].path.clone(), error });
        }
        let place = ShardPlace {
            id: merged_id(shards),
            tenant: shards[0].tenant.clone(),
            signal: shards[0].signal,
            origins: Origins::union(shards.iter().map(|shard| &shard.origins)),
        };
        let merged = self.write_shard(place, &batches)?;
        self.catalog.replace(&merged, shards)?;
        Ok(Some(merged))
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

/// Named after the frames of the log that its records came in, and how many rows went into it.
fn merged_id(shards: &[&ShardMeta]) -> String {
    let names = || shards.iter().filter_map(|shard| ShardName::parse(&shard.id));
    let first = names().map(|name| name.first).min().unwrap_or_default();
    let last = names().map(|name| name.last).max().unwrap_or_default();
    ShardName { first, last, merged_rows: Some(shards.iter().map(|shard| shard.rows).sum()) }.id()
}
