//! What is readable at a moment: live batches and shards, swapped together so that a reader sees each
//! record once.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{SeenRequest, ShardMeta};
use crate::live::{self, LiveBatch};
use crate::model::RecordId;
use crate::wal::Sequence;

/// Live records and shards.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Being made into shards; read until the shards are published.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// Accepted since.
    pub(crate) current: Vec<Arc<LiveBatch>>,
    /// Requests of `current`, for the catalog.
    pub(crate) seen: Vec<SeenRequest>,
    /// Published shards, by latest time.
    pub(crate) shards: Arc<Vec<Arc<ShardMeta>>>,
    /// The first and last frame of `current`.
    pub(crate) applied: Option<(Sequence, Sequence)>,
    /// The number the next record gets.
    pub(crate) next_record: RecordId,
    /// When the oldest of `current` was applied, by the monotonic clock.
    pub(crate) oldest: Option<Duration>,
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
        let mut shards: Vec<Arc<ShardMeta>> = self.shards.as_ref().clone();
        shards.retain(|old| !published.iter().any(|new| new.path == old.path));
        shards.extend(published.into_iter().map(Arc::new));
        shards.sort_by_key(|shard| shard.time_max);
        self.shards = Arc::new(shards);
        self.frozen = None;
    }

    /// Puts a shard in the place of those it was merged from.
    pub(crate) fn replace(&mut self, merged: ShardMeta, replaced: &[Arc<ShardMeta>]) {
        let mut shards: Vec<Arc<ShardMeta>> = self.shards.as_ref().clone();
        shards.retain(|old| !replaced.iter().any(|gone| gone.path == old.path));
        shards.push(Arc::new(merged));
        shards.sort_by_key(|shard| shard.time_max);
        self.shards = Arc::new(shards);
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
