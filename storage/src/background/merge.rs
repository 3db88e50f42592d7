//! Merging: small shards become large ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Upkeep;
use crate::catalog::ShardMeta;
use crate::keep::{Effort, Leaving, Rewritten, SealError, choose};
use crate::model::{Signal, Tenant, UnixNanos};
use crate::store::Shared;

impl Shared {
    /// Merges the next shards there are to merge. Whether there were any.
    pub(crate) fn tick_merge(&self, effort: Effort) -> Result<bool, SealError> {
        let mut upkeep = self.upkeep.lock();
        let Some(chosen) = self.choose_merge(&upkeep, effort) else { return Ok(false) };
        let now = self.steady_now(&mut upkeep);
        let leaving = self.leaving(&upkeep, &chosen[0].tenant, now);
        self.rewrite(&mut upkeep, chosen, &leaving)?;
        Ok(true)
    }

    fn choose_merge(&self, upkeep: &Upkeep, effort: Effort) -> Option<Vec<Arc<ShardMeta>>> {
        let shards = self.state.read().published();
        let left_alone = |shard: &ShardMeta| upkeep.too_large.contains(&shard.path) || upkeep.unreadable.contains(&shard.path);
        let mut groups: BTreeMap<(&Tenant, Signal), Vec<&Arc<ShardMeta>>> = BTreeMap::new();
        for shard in shards.iter().filter(|shard| !left_alone(shard)) {
            groups.entry((&shard.tenant, shard.signal)).or_default().push(shard);
        }
        groups.into_values().find_map(|mut group| {
            group.sort_by_key(|shard| (shard.time_min, shard.record_min));
            let metas: Vec<&ShardMeta> = group.iter().map(|shard| shard.as_ref()).collect();
            let run = choose(&metas, effort, self.settings.merged_rows_max)?;
            Some(group[run].iter().map(|shard| Arc::clone(shard)).collect())
        })
    }

    /// What has to go of a tenant's records.
    pub(super) fn leaving(&self, upkeep: &Upkeep, tenant: &Tenant, now: Option<UnixNanos>) -> Leaving {
        Leaving { tombstones: self.state.read().tombstones_of(tenant), retention: upkeep.retention.in_force(), now }
    }

    /// Writes shards anew as one, without what has to go.
    pub(super) fn rewrite(&self, upkeep: &mut Upkeep, chosen: Vec<Arc<ShardMeta>>, leaving: &Leaving) -> Result<(), SealError> {
        let metas: Vec<&ShardMeta> = chosen.iter().map(Arc::as_ref).collect();
        let written = match self.keep.rewrite(&metas, leaving) {
            Ok(Rewritten::Shard(written)) => Some(written),
            Ok(Rewritten::Nothing) => None,
            Ok(Rewritten::TooLarge) => {
                let largest = chosen.iter().max_by_key(|shard| shard.bytes).expect("a merge is of two at least");
                upkeep.too_large.insert(largest.path.clone());
                return Ok(());
            }
            Err(SealError::Read { path, error }) => {
                tracing::error!(shard = %path, %error, "cannot be written anew and stays as it is");
                self.metrics.merge_failures.inc();
                upkeep.unreadable.insert(path);
                return Ok(());
            }
            Err(error) => {
                self.metrics.merge_failures.inc();
                return Err(error);
            }
        };
        let rows_read: u64 = chosen.iter().map(|shard| shard.rows).sum();
        let rows_written = written.as_ref().map_or(0, |written| written.rows);
        self.metrics.merges.inc_by(u64::from(chosen.len() > 1));
        self.metrics.merged_records.inc_by(rows_written);
        self.metrics.records_removed.inc_by(rows_read - rows_written);
        if let Some(written) = &written {
            upkeep.note_clean(&written.path, leaving.tombstones.newest());
        }
        self.end(upkeep, written, chosen);
        Ok(())
    }
}
