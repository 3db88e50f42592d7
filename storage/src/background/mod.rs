//! Background work: what the store's threads do when, one step at a time.

mod bell;
mod collect;
mod directory;
mod join;
mod merge;
mod replay;
mod reserve;
mod retention;
mod retire;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::catalog::ShardMeta;
use crate::commit;
use crate::keep::{Effort, SealError, Sealed, SteadyTime};
use crate::lookup::ShardKeys;
use crate::priority::give_way;
use crate::recover::OWN_FOLDER;
use crate::state::Frozen;
use crate::store::Shared;
use crate::wal::Sequence;

pub(crate) use bell::Bell;
pub(crate) use collect::Garbage;
pub(crate) use replay::Replay;
pub(crate) use reserve::Reserve;
pub(crate) use retention::RetentionGuard;
use retire::Looked;

/// How often background work is looked at when nothing wakes it.
const KEEPER_INTERVAL: Duration = Duration::from_millis(250);
/// How often shards to merge, to retire and to remove are looked for.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What work on shards remembers between its turns.
pub(crate) struct Upkeep {
    /// Files of shards that others took the place of.
    garbage: Vec<Garbage>,
    /// Shards that are too large in memory to be merged.
    too_large: HashSet<String>,
    /// Shards that cannot be read: they stay as they are.
    unreadable: HashSet<String>,
    /// What is known of shards without reading them again.
    looked: HashMap<String, Looked>,
    time: SteadyTime,
    retention: RetentionGuard,
}

impl Upkeep {
    pub(crate) fn new(garbage: Vec<Garbage>, time: SteadyTime, retention: RetentionGuard) -> Upkeep {
        Upkeep { garbage, too_large: HashSet::new(), unreadable: HashSet::new(), looked: HashMap::new(), time, retention }
    }

    /// Remembers nothing of shards that are no more.
    fn keep_only(&mut self, shards: &[Arc<ShardMeta>]) {
        if self.looked.len() + self.too_large.len() + self.unreadable.len() > 2 * shards.len() {
            let there: HashSet<&str> = shards.iter().map(|shard| shard.path.as_str()).collect();
            self.looked.retain(|path, _| there.contains(path.as_str()));
            self.too_large.retain(|path| there.contains(path.as_str()));
            self.unreadable.retain(|path| there.contains(path.as_str()));
        }
    }
}

impl Shared {
    /// Commits until the queue is closed. What a fault in it left on disk is unknown, so nothing is accepted after one.
    pub(crate) fn run_committer(shared: &Shared) {
        if catch_unwind(AssertUnwindSafe(|| commit::run(shared))).is_err() {
            let reason = shared.poisoned.get_or_init(|| "the commit thread failed".to_owned());
            tracing::error!(%reason, "no more records are accepted until a restart");
            shared.queue.close();
            shared.queue.discard();
        }
    }

    /// Does background work until the store closes. A fault in it costs that one attempt.
    pub(crate) fn run_keeper(shared: &Shared) {
        give_way();
        while catch_unwind(AssertUnwindSafe(|| shared.keep_house())).is_err() {
            *shared.last_seal_failure.lock() = Some("background work failed and was started again".to_owned());
        }
    }

    fn keep_house(&self) {
        while !self.closing.load(Ordering::Relaxed) {
            self.wake_keeper.wait_for(KEEPER_INTERVAL);
            self.window.forget(self.keep.seen_since(), self.wal.lock().oldest());
            self.look_for_space();
            if let Err(error) = self.tick_seal() {
                tracing::warn!(%error, "live records stay in memory and in the log; sealing is tried again");
            }
        }
    }

    /// After the log could not be written: whether it could be now. A server that is not ready is sent nothing, so it would
    /// never find out by itself.
    fn look_for_space(&self) {
        if self.last_append_failure.lock().is_none() || self.poisoned.get().is_some() {
            return;
        }
        let path = self.settings.data.join(OWN_FOLDER).join("space");
        let tried = self.disk.create(&path).and_then(|file| file.allocate(self.settings.wal_segment_bytes));
        let removed = self.disk.remove(&path);
        if tried.and(removed).is_ok() {
            *self.last_append_failure.lock() = None;
        }
    }

    pub(crate) fn tick_seal(&self) -> Result<bool, SealError> {
        // What is frozen just now is sealed just now; waiting for that would seal what comes after it, too.
        if self.sealing.is_locked() {
            return Ok(false);
        }
        let due = {
            let state = self.state.read();
            let age = state.accepted.oldest.map(|since| self.keep.clock.monotonic().saturating_sub(since));
            let old = age.is_some_and(|age| age >= Duration::from_millis(self.settings.seal_interval_ms));
            old || state.accepted.frozen.is_some() || state.accepted.bytes() >= self.settings.live_bytes_seal
        };
        if due { self.seal_once() } else { Ok(false) }
    }

    pub(crate) fn seal_all(&self) -> Result<(), SealError> {
        // What was frozen by a seal that failed comes first, then what came since.
        while self.seal_once()? {}
        Ok(())
    }

    /// Seals what was accepted. Whether there was anything.
    fn seal_once(&self) -> Result<bool, SealError> {
        let _one_at_a_time = self.sealing.lock();
        let (frozen, is_replaying) = {
            let mut state = self.state.write();
            let Some(frozen) = state.freeze() else { return Ok(false) };
            // A replay ends under the same lock.
            (frozen, state.replay.is_some())
        };
        let Sealed { shards, keys } = self.write_shards(&frozen)?;
        if !is_replaying {
            self.note_seal(self.keep.publish(&shards, &frozen.seen, frozen.last, frozen.next_record))?;
        }
        {
            let mut state = self.state.write();
            if is_replaying {
                state.hold_back(&shards, &frozen);
            }
            state.thaw(shards);
            self.measure(&state);
        }
        self.sealed(&keys, if is_replaying { Sequence(0) } else { frozen.last });
        Ok(true)
    }

    /// Writes the shards of what is frozen.
    pub(crate) fn write_shards(&self, frozen: &Frozen) -> Result<Sealed, SealError> {
        let tombstones = self.state.read().tombstones.clone();
        let sealed = self.keep.seal(frozen, &tombstones);
        self.note_seal(sealed)
    }

    /// Remembers whether a seal, or a part of it, failed.
    pub(crate) fn note_seal<T>(&self, result: Result<T, SealError>) -> Result<T, SealError> {
        *self.last_seal_failure.lock() = result.as_ref().err().map(ToString::to_string);
        result.inspect_err(|_| {
            self.metrics.seal_failures.inc();
        })
    }

    /// What follows when queries know the shards of a seal, and the frames up to `through` are not needed any more.
    pub(crate) fn sealed(&self, keys: &[ShardKeys], through: Sequence) {
        self.metrics.seals.inc();
        // Only now: the directory forgets what is of no shard, and meanwhile the shards are asked themselves.
        self.keep.lookup.add_sealed(keys);
        if self.keep.lookup.has_too_many_parts() {
            self.closed.1.notify_all();
        }
        if let Err(error) = self.wal.lock().forget(through) {
            tracing::warn!(%error, "a file of the log that is no longer needed stays until the next seal");
        }
    }

    /// Looks after shards until the store closes, one piece of work at a time. A fault in it costs that one attempt.
    pub(crate) fn run_upkeep(shared: &Shared) {
        give_way();
        while !shared.closing.load(Ordering::Relaxed) {
            match catch_unwind(AssertUnwindSafe(|| shared.look_after_shards(Effort::Steady))) {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "shards stay as they are"),
                Err(_) => tracing::error!("work on shards failed; they stay as they are"),
            }
            shared.closed_within(UPKEEP_INTERVAL);
        }
    }

    /// Takes out of shards what has to go, merges the next ones, removes files, and looks after the id directory. Whether
    /// there was anything to write.
    pub(crate) fn look_after_shards(&self, effort: Effort) -> Result<bool, SealError> {
        // First of all what frees space: the rest may fail for want of it.
        let retired = match self.free_space() {
            Err(error) if self.reserve.lock().release() => {
                tracing::warn!(%error, "tried again with the room that was kept free for it");
                self.free_space()
            }
            result => result,
        }?;
        self.reserve.lock().hold();
        let wrote = retired || self.tick_merge(effort)?;
        self.tick_collect()?;
        // Whatever fails in the directory costs reads only, and is tried again.
        let indexed = self.tick_directory().unwrap_or_else(|error| {
            tracing::warn!(%error, "the id directory stays as it is");
            false
        });
        Ok(wrote || indexed)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Removes what nobody reads, and ends what is past its retention. Whether there was any of that.
    fn free_space(&self) -> Result<bool, SealError> {
        self.tick_collect()?;
        let retired = self.tick_retire()?;
        self.tick_collect()?;
        Ok(retired)
    }

    /// Waits for so long, until there is work that should not wait, or until the store closes.
    fn closed_within(&self, interval: Duration) {
        let (closed, condition) = &self.closed;
        let mut closed = closed.lock();
        if !*closed {
            condition.wait_for(&mut closed, interval);
        }
    }
}
