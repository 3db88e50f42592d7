//! Sealing: live records become shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use chrono::DateTime;
use futures::executor::block_on;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::name::ShardName;
use crate::catalog::{Catalog, CatalogError, Origins, Position, Publication, SeenRequest, ShardMeta};
use crate::clock::Clock;
use crate::lookup::{Lookup, ShardKeys};
use crate::model::{IdKey, RecordId, Signal, Tenant, UnixNanos};
use crate::shard::{self, RowRanges, ShardError};
use crate::state::{Frozen, TombstonesByTenant};
use crate::wal::Sequence;

/// Why records could not be sealed or merged. They stay readable where they are, and it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("building shard {path}: {error}")]
    Build { path: String, error: ShardError },
    #[error("reading shard {path}: {error}")]
    Read { path: String, error: ShardError },
    #[error("writing shard: {0}")]
    Put(#[from] object_store::Error),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// What sealing works with.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) repetition_window_ms: u64,
    /// The number the next seal of a tenant's signal gets. Those of seals that failed are not used again.
    pub(crate) next_origin: AtomicU32,
    /// Where ids are looked up.
    pub(crate) lookup: Arc<Lookup>,
}

/// What a seal wrote.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    pub(crate) shards: Vec<ShardMeta>,
    /// The ids in them. They go to the directory once queries know the shards.
    pub(crate) keys: Vec<ShardKeys>,
}

/// What a shard is called and whose it is.
#[derive(Clone, Debug)]
pub(super) struct ShardPlace {
    pub(super) id: String,
    pub(super) tenant: Tenant,
    pub(super) signal: Signal,
    pub(super) origins: Origins,
}

impl Keep {
    /// Writes the shards of these batches, without what is deleted: when this returns they are durable, and nobody knows
    /// of them yet.
    pub(crate) fn seal(&self, frozen: &Frozen, tombstones: &TombstonesByTenant) -> Result<Sealed, SealError> {
        let mut groups: BTreeMap<(Tenant, Signal), Vec<RecordBatch>> = BTreeMap::new();
        for batch in &frozen.batches {
            let deleted = tombstones.get(&batch.tenant).map(|tombstones| tombstones.rows_of_batch(batch)).unwrap_or_default();
            if deleted.len() < batch.records.num_rows() as u64 {
                groups.entry((batch.tenant.clone(), batch.signal)).or_default().push(without(&batch.records, &deleted)?);
            }
        }
        let (mut shards, mut keys) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        for ((tenant, signal), batches) in groups {
            let origins = Origins::one(self.next_origin.fetch_add(1, Ordering::Relaxed));
            let place = ShardPlace { id: shard_id(frozen), tenant, signal, origins: origins.clone() };
            let (shard, own_keys) = self.write_shard(place, &batches)?;
            shards.push(shard);
            keys.push((origins, own_keys));
        }
        Ok(Sealed { shards, keys })
    }

    /// Publishes shards: when this returns, the log's frames up to `sealed` are no longer needed. `next_record` is later
    /// than any record in a shard.
    pub(crate) fn publish(
        &self,
        shards: &[ShardMeta],
        seen: &[SeenRequest],
        sealed: Sequence,
        next_record: RecordId,
    ) -> Result<(), SealError> {
        let publication = Publication {
            shards: shards.to_vec(),
            position: Position { sealed, next_record, next_origin: self.next_origin.load(Ordering::Relaxed) },
            seen: seen.to_vec(),
            seen_since: self.seen_since(),
        };
        Ok(self.catalog.publish(&publication)?)
    }

    /// Requests that arrived before this are no longer recognised.
    pub(crate) fn seen_since(&self) -> UnixNanos {
        UnixNanos(self.clock.now().0.saturating_sub(self.repetition_window_ms.saturating_mul(1_000_000)))
    }

    /// Writes a shard. With it come the keys of its ids.
    pub(super) fn write_shard(&self, place: ShardPlace, batches: &[RecordBatch]) -> Result<(ShardMeta, Vec<IdKey>), SealError> {
        let ShardPlace { id, tenant, signal, origins } = place;
        let name = || format!("{tenant}/{signal}/{id}", tenant = tenant.as_str());
        let built = shard::build(&id, &tenant, signal, &origins, batches).map_err(|error| SealError::Build { path: name(), error })?;
        let path = format!("{}/{signal}/{}/{id}.parquet", tenant.as_str(), day(built.time_min));
        let bytes = built.bytes.len() as u64;
        block_on(self.objects.put(&Path::from(path.as_str()), built.bytes.into()))?;
        let meta = ShardMeta {
            id,
            tenant,
            signal,
            path,
            time_min: built.time_min,
            time_max: built.time_max,
            record_min: built.record_min,
            record_max: built.record_max,
            rows: built.rows,
            bytes,
            format: shard::FORMAT,
            origins,
            tail: built.tail,
        };
        Ok((meta, built.keys))
    }
}

/// The records but for these rows.
fn without(records: &RecordBatch, rows: &RowRanges) -> Result<RecordBatch, SealError> {
    if rows.is_empty() {
        return Ok(records.clone());
    }
    let stay: BooleanArray = (0..records.num_rows()).map(|row| Some(!rows.contains(row as u32))).collect();
    filter_record_batch(records, &stay).map_err(|error| SealError::Build { path: "of live records".to_owned(), error: error.into() })
}

/// A shard is named after the frames of the log it was made of.
fn shard_id(frozen: &Frozen) -> String {
    ShardName { first: frozen.first, last: frozen.last, rewrite: None }.id()
}

fn day(time: UnixNanos) -> String {
    DateTime::from_timestamp_nanos(time.saturating_i64()).format("%Y-%m-%d").to_string()
}
