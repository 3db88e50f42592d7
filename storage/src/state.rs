//! What is readable at a moment: live batches and shards, swapped together so that a reader sees each
//! record once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{SeenRequest, ShardMeta};
use crate::live::{self, LiveBatch};
use crate::model::{RecordId, Tenant, UnixNanos};
use crate::places::ShardList;
use crate::tombstones::{Tombstone, Tombstones};
use crate::wal::Sequence;

/// Deletions, by whose records they are of.
pub(crate) type TombstonesByTenant = HashMap<Tenant, Arc<Tombstones>>;

/// Live records and shards.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Being made into shards; read until the shards are published.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// Accepted since.
    pub(crate) current: Vec<Arc<LiveBatch>>,
    /// Requests of `current`, for the catalog.
    pub(crate) seen: Vec<SeenRequest>,
    /// Published shards.
    pub(crate) shards: Arc<ShardList>,
    /// Those of each tenant.
    tenants: HashMap<Tenant, Arc<ShardList>>,
    /// The first and last frame of `current`.
    pub(crate) applied: Option<(Sequence, Sequence)>,
    /// The number the next record gets.
    pub(crate) next_record: RecordId,
    /// When the oldest of `current` was applied, by the monotonic clock.
    pub(crate) oldest: Option<Duration>,
    /// What the start found and could not read: every answer says it.
    pub(crate) unreadable: Vec<Unreadable>,
    /// What readers must not see although it is still there.
    pub(crate) tombstones: TombstonesByTenant,
}

/// Something that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Whose it is, where that is known.
    pub(crate) tenant: Option<Tenant>,
    pub(crate) reason: String,
}

/// Batches on their way into shards.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) batches: Vec<Arc<LiveBatch>>,
    pub(crate) seen: Vec<SeenRequest>,
    /// First and last frame of the log they came in.
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    /// The number of the first record that came after them.
    pub(crate) next_record: RecordId,
}

impl State {
    /// Makes a committed batch readable.
    pub(crate) fn apply(&mut self, sequence: Sequence, batch: LiveBatch, seen: Option<SeenRequest>, now: Duration) {
        self.next_record = RecordId(self.next_record.0.max(batch.record_last().0 + 1));
        self.applied = Some((self.applied.map_or(sequence, |(first, _)| first), sequence));
        self.oldest.get_or_insert(now);
        self.seen.extend(seen);
        live::push(&mut self.current, batch);
    }

    /// Takes the current batches for sealing, unless others still wait.
    pub(crate) fn freeze(&mut self) -> Option<Arc<Frozen>> {
        if self.frozen.is_none()
            && let Some((first, last)) = self.applied.take()
        {
            self.oldest = None;
            self.frozen = Some(Arc::new(Frozen {
                batches: std::mem::take(&mut self.current),
                seen: std::mem::take(&mut self.seen),
                first,
                last,
                next_record: self.next_record,
            }));
        }
        self.frozen.clone()
    }

    /// Puts shards in the place of the frozen batches.
    pub(crate) fn thaw(&mut self, published: Vec<ShardMeta>) {
        let mut shards: Vec<Arc<ShardMeta>> = self.shards.to_vec();
        shards.retain(|old| !published.iter().any(|new| new.path == old.path));
        shards.extend(published.into_iter().map(Arc::new));
        self.set_shards(shards);
        self.frozen = None;
    }

    /// Puts a shard in the place of those it was made of, or nothing.
    pub(crate) fn replace(&mut self, written: Option<ShardMeta>, replaced: &[Arc<ShardMeta>]) {
        let mut shards: Vec<Arc<ShardMeta>> = self.shards.to_vec();
        shards.retain(|old| !replaced.iter().any(|gone| gone.path == old.path));
        shards.extend(written.map(Arc::new));
        self.set_shards(shards);
    }

    /// Makes these the shards that readers see.
    pub(crate) fn set_shards(&mut self, shards: Vec<Arc<ShardMeta>>) {
        let mut tenants: HashMap<Tenant, Vec<Arc<ShardMeta>>> = HashMap::new();
        for shard in &shards {
            match tenants.get_mut(&shard.tenant) {
                Some(own) => own.push(shard.clone()),
                None => _ = tenants.insert(shard.tenant.clone(), vec![shard.clone()]),
            }
        }
        self.tenants = tenants.into_iter().map(|(tenant, own)| (tenant, Arc::new(ShardList::new(own)))).collect();
        self.shards = Arc::new(ShardList::new(shards));
    }

    /// A tenant's shards.
    pub(crate) fn shards_of(&self, tenant: &Tenant) -> Arc<ShardList> {
        self.tenants.get(tenant).cloned().unwrap_or_default()
    }

    /// Hides what these deletions are of.
    pub(crate) fn bury(&mut self, tombstones: Vec<Tombstone>) {
        let mut all: Vec<Tombstone> = self.tombstones.values().flat_map(|own| own.iter().cloned()).collect();
        all.extend(tombstones);
        self.set_tombstones(all);
    }

    /// Forgets deletions that have nothing left to hide.
    pub(crate) fn unearth(&mut self, numbers: &[u64]) {
        let left = self.tombstones.values().flat_map(|own| own.iter()).filter(|tombstone| !numbers.contains(&tombstone.number));
        let left = left.cloned().collect();
        self.set_tombstones(left);
    }

    fn set_tombstones(&mut self, all: Vec<Tombstone>) {
        let mut tenants: HashMap<Tenant, Vec<Tombstone>> = HashMap::new();
        for tombstone in all {
            tenants.entry(tombstone.tenant.clone()).or_default().push(tombstone);
        }
        self.tombstones = tenants.into_iter().map(|(tenant, own)| (tenant, Arc::new(Tombstones::new(own)))).collect();
    }

    /// What of a tenant's records may be missing.
    pub(crate) fn unreadable_of(&self, tenant: &Tenant) -> Vec<String> {
        let own = self.unreadable.iter().filter(|unreadable| unreadable.tenant.as_ref().is_none_or(|owner| owner == tenant));
        own.map(|unreadable| unreadable.reason.clone()).collect()
    }

    /// A tenant's deletions.
    pub(crate) fn tombstones_of(&self, tenant: &Tenant) -> Arc<Tombstones> {
        self.tombstones.get(tenant).cloned().unwrap_or_default()
    }

    /// The time of the newest record that is not later than `now`, as near as it is known without reading.
    pub(crate) fn newest(&self, now: UnixNanos) -> Option<UnixNanos> {
        let times = self.live().map(|batch| batch.time_max).chain(self.shards.iter().map(|shard| shard.time_max));
        times.filter(|time| *time <= now).max()
    }

    /// Every live batch, in order of acceptance.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Arc<LiveBatch>> {
        self.frozen.iter().flat_map(|frozen| &frozen.batches).chain(&self.current)
    }

    /// Memory of live batches.
    pub(crate) fn live_bytes(&self) -> usize {
        self.live().map(|batch| batch.bytes).sum()
    }
}
