//! Background work: what the store's threads do when, one step at a time.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::catalog::ShardMeta;
use crate::commit;
use crate::keep::{Effort, SealError, choose};
use crate::model::{Signal, Tenant};
use crate::store::Shared;

/// How often background work is looked at when nothing wakes it.
const KEEPER_INTERVAL: Duration = Duration::from_millis(250);
/// How often shards to merge are looked for.
const MERGER_INTERVAL: Duration = Duration::from_secs(5);

/// What merging remembers between its turns.
#[derive(Default)]
pub(crate) struct Merging {
    /// Replaced shards whose files are still there, because queries may read them.
    replaced: Vec<Arc<ShardMeta>>,
    /// Shards that cannot be merged: too large in memory, or unreadable.
    left_alone: HashSet<String>,
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
        while catch_unwind(AssertUnwindSafe(|| shared.keep_house())).is_err() {
            *shared.last_seal_failure.lock() = Some("background work failed and was started again".to_owned());
        }
    }

    fn keep_house(&self) {
        while !self.closing.load(Ordering::Relaxed) {
            {
                let (woken, condition) = &self.wake_keeper;
                let mut woken = woken.lock();
                if !*woken {
                    condition.wait_for(&mut woken, KEEPER_INTERVAL);
                }
                *woken = false;
            }
            self.window.forget(self.keep.seen_since());
            if let Err(error) = self.tick_seal() {
                tracing::warn!(%error, "live records stay in memory and in the log; sealing is tried again");
            }
        }
    }

    pub(crate) fn tick_seal(&self) -> Result<bool, SealError> {
        let due = {
            let state = self.state.read();
            let age = state.oldest.map(|since| self.keep.clock.monotonic().saturating_sub(since));
            let old = age.is_some_and(|age| age >= Duration::from_millis(self.settings.seal_interval_ms));
            old || state.frozen.is_some() || state.live_bytes() >= self.settings.live_bytes_seal
        };
        if due { self.seal_once() } else { Ok(false) }
    }

    pub(crate) fn seal_all(&self) -> Result<(), SealError> {
        // What was frozen by a seal that failed comes first, then what came since.
        while self.seal_once()? {}
        Ok(())
    }

    /// Seals what is live now. Whether there was anything.
    fn seal_once(&self) -> Result<bool, SealError> {
        let _one_at_a_time = self.sealing.lock();
        let Some(frozen) = self.state.write().freeze() else { return Ok(false) };
        let sealed = self.keep.seal(&frozen);
        *self.last_seal_failure.lock() = sealed.as_ref().err().map(ToString::to_string);
        let shards = sealed.inspect_err(|_| {
            self.metrics.seal_failures.inc();
        })?;
        self.metrics.seals.inc();
        {
            let mut state = self.state.write();
            state.thaw(shards);
            self.measure(&state);
        }
        if let Err(error) = self.wal.lock().forget(frozen.last) {
            tracing::warn!(%error, "a file of the log that is no longer needed stays until the next seal");
        }
        Ok(true)
    }

    /// Merges until the store closes, one merge at a time. A fault in it costs that one attempt.
    pub(crate) fn run_merger(shared: &Shared) {
        while !shared.closing.load(Ordering::Relaxed) {
            let merged = catch_unwind(AssertUnwindSafe(|| shared.merge_once(Effort::Steady)));
            match merged {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "shards stay as they are"),
                Err(_) => tracing::error!("a merge failed; its shards stay as they are"),
            }
            shared.closed_within(MERGER_INTERVAL);
        }
    }

    /// Waits for so long, or until the store closes.
    fn closed_within(&self, interval: Duration) {
        let (closed, condition) = &self.closed;
        let mut closed = closed.lock();
        if !*closed {
            condition.wait_for(&mut closed, interval);
        }
    }

    /// Merges the next shards there are to merge. Whether there were any.
    pub(crate) fn merge_once(&self, effort: Effort) -> Result<bool, SealError> {
        let mut merging = self.merging.lock();
        self.collect(&mut merging)?;
        let Some(chosen) = self.choose_merge(&merging, effort) else { return Ok(false) };
        let metas: Vec<&ShardMeta> = chosen.iter().map(Arc::as_ref).collect();
        match self.keep.merge(&metas) {
            Ok(Some(merged)) => {
                self.metrics.merges.inc();
                self.metrics.merged_records.inc_by(merged.rows);
                let mut state = self.state.write();
                state.replace(merged, &chosen);
                self.measure(&state);
                drop(state);
                merging.replaced.extend(chosen);
                self.collect(&mut merging)?;
            }
            Ok(None) => {
                let largest = chosen.iter().max_by_key(|shard| shard.bytes).expect("a merge is of two at least");
                merging.left_alone.insert(largest.path.clone());
            }
            Err(SealError::Read { path, error }) => {
                tracing::error!(shard = %path, %error, "cannot be merged and stays as it is");
                self.metrics.merge_failures.inc();
                merging.left_alone.insert(path);
            }
            Err(error) => {
                self.metrics.merge_failures.inc();
                return Err(error);
            }
        }
        Ok(true)
    }

    fn choose_merge(&self, merging: &Merging, effort: Effort) -> Option<Vec<Arc<ShardMeta>>> {
        let shards = self.state.read().shards.clone();
        let mut groups: BTreeMap<(&Tenant, Signal), Vec<&Arc<ShardMeta>>> = BTreeMap::new();
        for shard in shards.iter().filter(|shard| !merging.left_alone.contains(&shard.path)) {
            groups.entry((&shard.tenant, shard.signal)).or_default().push(shard);
        }
        groups.into_values().find_map(|mut group| {
            group.sort_by_key(|shard| (shard.time_min, shard.record_min));
            let metas: Vec<&ShardMeta> = group.iter().map(|shard| shard.as_ref()).collect();
            choose(&metas, effort).map(|run| group[run].iter().map(|shard| Arc::clone(shard)).collect())
        })
    }

    /// Removes the files of replaced shards that no snapshot holds any more.
    fn collect(&self, merging: &mut Merging) -> Result<(), SealError> {
        let (unread, read): (Vec<_>, Vec<_>) = merging.replaced.drain(..).partition(|shard| Arc::strong_count(shard) == 1);
        merging.replaced = read;
        unread.iter().for_each(|shard| self.cache.close(&shard.path));
        if !unread.is_empty() {
            self.keep.collect(&unread.iter().map(|shard| shard.path.as_str()).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}
