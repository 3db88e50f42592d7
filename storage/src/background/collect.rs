//! Collecting garbage: files of shards that others took the place of, or that ended.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::ShardMeta;
use crate::keep::SealError;
use crate::store::Shared;

/// A file that no new query reads.
#[derive(Debug)]
pub(crate) struct Garbage {
    path: String,
    /// The shard it was, which queries may hold; none after a restart, which no query outlives.
    shard: Option<Arc<ShardMeta>>,
    /// Since when, by the monotonic clock. Readers from outside do not know of a restart, so it begins anew there.
    since: Duration,
}

impl Garbage {
    pub(super) fn of(shard: Arc<ShardMeta>, since: Duration) -> Garbage {
        Garbage { path: shard.path.clone(), shard: Some(shard), since }
    }

    /// What was left by the process before.
    pub(crate) fn left(path: String, since: Duration) -> Garbage {
        Garbage { path, shard: None, since }
    }

    fn is_unread(&self) -> bool {
        self.shard.as_ref().is_none_or(|shard| Arc::strong_count(shard) == 1)
    }
}

impl Shared {
    /// Removes the files that no query reads and whose grace has passed. Whether there were any.
    pub(crate) fn tick_collect(&self) -> Result<bool, SealError> {
        let mut upkeep = self.upkeep.lock();
        let grace = Duration::from_millis(self.settings.garbage_grace_ms);
        let now = self.keep.clock.monotonic();
        let is_due = |garbage: &Garbage| garbage.is_unread() && now.saturating_sub(garbage.since) >= grace;
        let due: Vec<String> = upkeep.garbage.iter().filter(|garbage| is_due(garbage)).map(|garbage| garbage.path.clone()).collect();
        if due.is_empty() {
            return Ok(false);
        }
        due.iter().for_each(|path| self.cache.close(path));
        self.keep.collect(&due.iter().map(String::as_str).collect::<Vec<_>>())?;
        upkeep.garbage.retain(|garbage| !due.contains(&garbage.path));
        Ok(true)
    }
}
