//! Retiring: records that are deleted or past their retention leave the shards.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Upkeep;
use super::collect::Garbage;
use crate::catalog::ShardMeta;
use crate::keep::{Leaving, SealError, reading};
use crate::model::{IdTerm, RecordId, UnixNanos};
use crate::shard::ShardReader;
use crate::state::State;
use crate::store::Shared;
use crate::tombstones::Tombstone;

/// What is known of a shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    /// Nothing in it is hidden by tombstones up to this number.
    clean: u64,
    /// When it is worth the effort to write it anew without what expired.
    due: Option<UnixNanos>,
}

impl Upkeep {
    /// When it is worth the effort to write a shard anew is not known any more.
    pub(super) fn forget_due(&mut self) {
        self.looked.values_mut().for_each(|looked| looked.due = None);
    }

    /// Nothing in that shard is hidden by tombstones up to that number.
    pub(super) fn note_clean(&mut self, path: &str, number: u64) {
        self.looked.entry(path.to_owned()).or_default().clean = number;
    }
}

impl Shared {
    /// Retires what there is to retire of the next shard, or several that end as a whole. Whether there was anything.
    pub(crate) fn tick_retire(&self) -> Result<bool, SealError> {
        let mut upkeep = self.upkeep.lock();
        let now = self.steady_now(&mut upkeep);
        let shards = self.state.read().published();
        upkeep.keep_only(&shards);
        self.tick_retention(&mut upkeep, &shards, now)?;
        if now.is_none() && self.state.read().tombstones.is_empty() {
            return Ok(false);
        }
        if self.retire_whole(&mut upkeep, &shards, now)? {
            return Ok(true);
        }
        for shard in &shards {
            if self.closing.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let leaving = self.leaving(&upkeep, &shard.tenant, now);
            if !upkeep.unreadable.contains(&shard.path) && self.has_leaving(&mut upkeep, shard, &leaving) {
                self.rewrite(&mut upkeep, vec![shard.clone()], &leaving)?;
                return Ok(true);
            }
        }
        self.lift_tombstones(&upkeep)?;
        Ok(false)
    }

    /// The time, if it can be believed.
    pub(super) fn steady_now(&self, upkeep: &mut Upkeep) -> Option<UnixNanos> {
        let state = self.state.read();
        upkeep.time.now(self.keep.clock.as_ref(), state.next_record, |now| state.newest(now))
    }

    /// Ends the shards of which every record is past its retention, in one transaction.
    fn retire_whole(&self, upkeep: &mut Upkeep, shards: &[Arc<ShardMeta>], now: Option<UnixNanos>) -> Result<bool, SealError> {
        let whole: Vec<_> = shards.iter().filter(|shard| self.leaving(upkeep, &shard.tenant, now).whole(shard)).cloned().collect();
        if whole.is_empty() {
            return Ok(false);
        }
        self.keep.catalog.replace(None, &whole.iter().map(Arc::as_ref).collect::<Vec<_>>())?;
        self.metrics.records_removed.inc_by(whole.iter().map(|shard| shard.rows).sum());
        self.end(upkeep, None, whole);
        Ok(true)
    }

    /// Whether it is time to write a shard anew. One that cannot be read is left alone.
    fn has_leaving(&self, upkeep: &mut Upkeep, shard: &Arc<ShardMeta>, leaving: &Leaving) -> bool {
        let looked = upkeep.looked.get(&shard.path).copied().unwrap_or_default();
        match self.look(shard, leaving, looked) {
            Ok((looked, has_leaving)) => {
                upkeep.looked.insert(shard.path.clone(), looked);
                has_leaving
            }
            Err(error) => {
                tracing::error!(%error, "it stays as it is, with what should leave it");
                upkeep.unreadable.insert(shard.path.clone());
                false
            }
        }
    }

    fn look(&self, shard: &ShardMeta, leaving: &Leaving, mut looked: Looked) -> Result<(Looked, bool), SealError> {
        let newer = leaving.tombstones.since(looked.clean);
        let concerned = newer.iter().filter(|tombstone| shard.record_min < tombstone.before);
        let terms: Vec<IdTerm> = concerned.map(|tombstone| tombstone.term.clone()).collect();
        if !terms.is_empty() && self.keep.lookup.may_hold(&shard.origins, &terms) {
            let deleted = self.read_shard(shard, |reader| newer.rows_of_shard(reader))?;
            if !deleted.is_empty() {
                return Ok((looked, true));
            }
        }
        looked.clean = leaving.tombstones.newest().max(looked.clean);
        if !leaving.some(shard) {
            return Ok((looked, false));
        }
        let due = match looked.due {
            Some(due) => due,
            None => self.read_shard(shard, |reader| leaving.due(reader))?,
        };
        looked.due = Some(due);
        Ok((looked, leaving.now.is_some_and(|now| due <= now)))
    }

    pub(super) fn read_shard<T>(
        &self,
        shard: &ShardMeta,
        read: impl FnOnce(&ShardReader) -> Result<T, crate::shard::ShardError>,
    ) -> Result<T, SealError> {
        reading(shard, || read(self.cache.get(shard)?.as_ref()))
    }

    /// Puts a shard, or nothing, in the place of others for queries. The others are garbage now.
    pub(super) fn end(&self, upkeep: &mut Upkeep, written: Option<ShardMeta>, ended: Vec<Arc<ShardMeta>>) {
        let mut state = self.state.write();
        state.replace(written, &ended);
        self.measure(&state);
        drop(state);
        let since = self.keep.clock.monotonic();
        upkeep.garbage.extend(ended.into_iter().map(|shard| Garbage::of(shard, since)));
    }

    /// Forgets tombstones that hide nothing any more: no live record is older, and every older shard was looked at.
    fn lift_tombstones(&self, upkeep: &Upkeep) -> Result<(), SealError> {
        let lifted: Vec<u64> = {
            let state = self.state.read();
            let all = state.tombstones.values().flat_map(|own| own.iter());
            all.filter(|tombstone| hides_nothing(tombstone, &state, upkeep)).map(|tombstone| tombstone.number).collect()
        };
        if !lifted.is_empty() {
            self.keep.catalog.forget_tombstones(&lifted)?;
            let mut state = self.state.write();
            state.unearth(&lifted);
            self.measure(&state);
        }
        Ok(())
    }
}

fn hides_nothing(tombstone: &Tombstone, state: &State, upkeep: &Upkeep) -> bool {
    if state.replay.is_some() {
        // What it hides may still be in the log.
        return false;
    }
    let concerned = |first: RecordId| first < tombstone.before;
    let live = state.live().any(|batch| batch.tenant == tombstone.tenant && concerned(batch.record_first()));
    let looked_at = |shard: &ShardMeta| upkeep.looked.get(&shard.path).is_some_and(|looked| looked.clean >= tombstone.number);
    let sealed = state.shards.iter().any(|shard| shard.tenant == tombstone.tenant && concerned(shard.record_min) && !looked_at(shard));
    !live && !sealed
}
