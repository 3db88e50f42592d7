//! What is readable at a moment: live batches and shards, swapped together so that a reader sees each
//! record once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;

use crate::catalog::{SeenRequest, ShardMeta};
use crate::live::LiveBatch;
use crate::model::{RecordId, Tenant, UnixNanos};
use crate::places::ShardList;
use crate::tombstones::{Tombstone, Tombstones};
use crate::wal::Sequence;

/// Deletions, by whose records they are of.
pub(crate) type TombstonesByTenant = HashMap<Tenant, Arc<Tombstones>>;

/// Live records and shards.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What the log held at the start, as far as it is replayed and not yet in shards.
    pub(crate) replayed: Lane,
    /// What was accepted since; all of it came after what is replayed.
    pub(crate) accepted: Lane,
    /// While the log is replayed, how far.
    pub(crate) replay: Option<Progress>,
    /// Shards of what was accepted while the log is replayed. They are read like others, but the catalog does not know
    /// them until all that came before is in shards, too: after a crash the log brings their records back.
    pub(crate) unpublished: Unpublished,
    /// Shards that are read, published or not.
    pub(crate) shards: Arc<ShardList>,
    /// Those of each tenant.
    tenants: HashMap<Tenant, Arc<ShardList>>,
    /// The number the next record gets.
    pub(crate) next_record: RecordId,
    /// The number that the first record after the start got.
    pub(crate) opened_at: RecordId,
    /// What the start found and could not read: every answer says it.
    pub(crate) unreadable: Vec<Unreadable>,
    /// What readers must not see although it is still there.
    pub(crate) tombstones: TombstonesByTenant,
}

/// Records on their way from the log into shards, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Being made into shards; read until the shards are.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// Those after.
    pub(crate) current: Vec<Arc<LiveBatch>>,
    /// Requests of `current`, for the catalog.
    pub(crate) seen: Vec<SeenRequest>,
    /// The first and last frame of `current`.
    pub(crate) applied: Option<(Sequence, Sequence)>,
    /// When the oldest of `current` was applied, by the monotonic clock.
    pub(crate) oldest: Option<Duration>,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) bytes_read: u64,
    pub(crate) bytes: u64,
    /// Records before this one are readable.
    pub(crate) readable: RecordId,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(f, "replaying the log: {:.0} of {:.0} MB", megabytes(self.bytes_read).floor(), megabytes(self.bytes).ceil())
    }
}

/// What the next publication says beside its own.
#[derive(Debug, Default)]
pub(crate) struct Unpublished {
    pub(crate) shards: Vec<ShardMeta>,
    pub(crate) seen: Vec<SeenRequest>,
    /// The last frame of them.
    pub(crate) last: Option<Sequence>,
}

/// Something that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Whose it is, where that is known.
    pub(crate) tenant: Option<Tenant>,
    pub(crate) reason: String,
}

impl Unreadable {
    /// A shard that the catalog does not list.
    pub(crate) fn unlisted(location: &Path) -> Unreadable {
        Unreadable {
            tenant: location.parts().next().and_then(|tenant| Tenant::new(tenant.as_ref()).ok()),
            reason: format!("shard {location} is not in the catalog: run `needle repair`"),
        }
    }
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

impl Lane {
    /// Adds a committed batch.
    pub(crate) fn apply(&mut self, sequence: Sequence, batch: LiveBatch, seen: Option<SeenRequest>, now: Duration) {
        self.applied = Some((self.applied.map_or(sequence, |(first, _)| first), sequence));
        self.oldest.get_or_insert(now);
        self.seen.extend(seen);
        self.current.push(Arc::new(batch));
    }

    /// Takes the current batches for sealing, unless others still wait.
    fn freeze(&mut self, next_record: RecordId) -> Option<Arc<Frozen>> {
        if self.frozen.is_none()
            && let Some((first, last)) = self.applied.take()
        {
            self.oldest = None;
            let (batches, seen) = (std::mem::take(&mut self.current), std::mem::take(&mut self.seen));
            self.frozen = Some(Arc::new(Frozen { batches, seen, first, last, next_record }));
        }
        self.frozen.clone()
    }

    /// Every batch, in order of acceptance.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Arc<LiveBatch>> {
        self.frozen.iter().flat_map(|frozen| &frozen.batches).chain(&self.current)
    }

    /// Memory of its batches.
    pub(crate) fn bytes(&self) -> usize {
        self.live().map(|batch| batch.bytes).sum()
    }

    /// Puts what another lane holds behind its own.
    fn append(&mut self, later: Lane) {
        let span = self.applied.into_iter().chain(later.applied).reduce(|(first, _), (_, last)| (first, last));
        self.applied = span;
        self.oldest = self.oldest.or(later.oldest);
        self.seen.extend(later.seen);
        self.current.extend(later.current);
    }
}

impl State {
    /// Makes a committed batch readable.
    pub(crate) fn apply(&mut self, sequence: Sequence, batch: LiveBatch, seen: Option<SeenRequest>, now: Duration) {
        self.next_record = RecordId(self.next_record.0.max(batch.record_last().0 + 1));
        self.accepted.apply(sequence, batch, seen, now);
    }

    /// Takes what was accepted for sealing, unless some of it still waits.
    pub(crate) fn freeze(&mut self) -> Option<Arc<Frozen>> {
        self.accepted.freeze(self.next_record)
    }

    /// Takes what was replayed for sealing, unless some of it still waits.
    pub(crate) fn freeze_replayed(&mut self) -> Option<Arc<Frozen>> {
        self.replayed.freeze(self.next_record)
    }

    /// Whether nothing of the replay has to be sealed by itself.
    pub(crate) fn can_join_lanes(&self) -> bool {
        self.replayed.frozen.is_none() && self.accepted.frozen.is_none() && self.unpublished.last.is_none()
    }

    /// Ends the replay: what was replayed and what came since are one again.
    pub(crate) fn join_lanes(&mut self) {
        let later = std::mem::take(&mut self.accepted);
        self.accepted = std::mem::take(&mut self.replayed);
        self.accepted.append(later);
        self.replay = None;
    }

    /// Remembers what a seal wrote, to publish it when the replay is over.
    pub(crate) fn hold_back(&mut self, shards: &[ShardMeta], frozen: &Frozen) {
        self.unpublished.shards.extend(shards.iter().cloned());
        self.unpublished.seen.extend(&frozen.seen);
        self.unpublished.last = Some(frozen.last);
    }

    /// Whether a shard is not in the catalog yet.
    fn is_unpublished(&self, shard: &ShardMeta) -> bool {
        self.unpublished.shards.iter().any(|unpublished| unpublished.path == shard.path)
    }

    /// The shards that the catalog lists: only these are written anew or end.
    pub(crate) fn published(&self) -> Vec<Arc<ShardMeta>> {
        self.shards.iter().filter(|shard| !self.is_unpublished(shard)).cloned().collect()
    }

    /// Puts shards in the place of batches that were accepted and frozen.
    pub(crate) fn thaw(&mut self, sealed: Vec<ShardMeta>) {
        self.add_shards(sealed);
        self.accepted.frozen = None;
    }

    /// Puts shards in the place of batches that were replayed and frozen.
    pub(crate) fn thaw_replayed(&mut self, sealed: Vec<ShardMeta>) {
        self.add_shards(sealed);
        self.replayed.frozen = None;
    }

    fn add_shards(&mut self, sealed: Vec<ShardMeta>) {
        let mut shards: Vec<Arc<ShardMeta>> = self.shards.to_vec();
        shards.retain(|old| !sealed.iter().any(|new| new.path == old.path));
        shards.extend(sealed.into_iter().map(Arc::new));
        self.set_shards(shards);
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

    /// What of a tenant's records may be missing just now.
    pub(crate) fn unreadable_of(&self, tenant: &Tenant) -> Vec<String> {
        self.damaged_of(tenant).into_iter().chain(self.replay.map(|progress| progress.to_string())).collect()
    }

    /// What of a tenant's records the start could not read.
    pub(crate) fn damaged_of(&self, tenant: &Tenant) -> Vec<String> {
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
        self.replayed.live().chain(self.accepted.live())
    }
}
