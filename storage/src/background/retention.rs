//! A retention that is shorter than before and would take most of what is stored is not followed until it is said to be
//! meant: `7m` for `7d` costs nothing then. What was kept before is kept so long.

use std::sync::Arc;

use super::Upkeep;
use crate::catalog::{Catalog, CatalogError, ShardMeta};
use crate::keep::{Leaving, SealError};
use crate::model::UnixNanos;
use crate::retention::Retention;
use crate::settings::StoreSettings;
use crate::store::Shared;
use crate::tombstones::Tombstones;

/// Which retention holds.
#[derive(Debug)]
pub(crate) struct RetentionGuard {
    /// What the settings say.
    asked: Arc<Retention>,
    in_force: Arc<Retention>,
    /// Whether what is asked was found to take too much.
    is_held: bool,
}

/// What a retention would take.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    rows: u64,
    /// Of so many.
    all: u64,
}

impl RetentionGuard {
    /// The retention of the settings, unless it is shorter than the one before: that one holds until it is known
    /// what would go.
    pub(crate) fn open(catalog: &dyn Catalog, settings: &StoreSettings, is_empty: bool) -> Result<RetentionGuard, CatalogError> {
        let asked = Arc::new(settings.retention.clone());
        let before = catalog.retention()?.unwrap_or_default();
        let is_clear = is_empty || settings.shorter_retention_is_meant || !asked.is_shorter_than(&before);
        if is_clear && *asked != before {
            catalog.note_retention(&asked)?;
        }
        let in_force = if is_clear { asked.clone() } else { Arc::new(before) };
        Ok(RetentionGuard { asked, in_force, is_held: false })
    }

    pub(super) fn in_force(&self) -> Arc<Retention> {
        self.in_force.clone()
    }

    fn is_decided(&self) -> bool {
        self.is_held || Arc::ptr_eq(&self.asked, &self.in_force)
    }
}

impl Shared {
    /// Follows a shorter retention, if it takes no more than half of the records, or says why not. `now` is the time
    /// that can be believed; before there is one, only what speaks against it counts.
    pub(super) fn tick_retention(&self, upkeep: &mut Upkeep, shards: &[Arc<ShardMeta>], now: Option<UnixNanos>) -> Result<(), SealError> {
        if upkeep.retention.is_decided() {
            return Ok(());
        }
        let taken = self.taken(upkeep, shards, now.unwrap_or_else(|| self.keep.clock.now()));
        if taken.rows > taken.all / 2 {
            upkeep.retention.is_held = true;
            self.metrics.retention_held.set(1);
            tracing::error!(
                records = taken.rows,
                of = taken.all,
                "the retention is shorter than before and would take more than half of the records: none is taken, and those \
                 of before are kept as before; if it is meant, start once with --yes, else correct it"
            );
        } else if now.is_some() {
            self.keep.catalog.note_retention(&upkeep.retention.asked)?;
            upkeep.retention.in_force = upkeep.retention.asked.clone();
            upkeep.forget_due();
        }
        Ok(())
    }

    /// What the asked retention would take that the one in force does not. A shard that cannot be read keeps its records.
    fn taken(&self, upkeep: &Upkeep, shards: &[Arc<ShardMeta>], now: UnixNanos) -> Taken {
        let leaving = |retention: &Arc<Retention>| Leaving {
            tombstones: Arc::new(Tombstones::default()),
            retention: retention.clone(),
            now: Some(now),
        };
        let (asked, before) = (leaving(&upkeep.retention.asked), leaving(&upkeep.retention.in_force));
        let mut taken = Taken::default();
        for shard in shards {
            let past_before = self.past(shard, &before);
            taken.all += shard.rows - past_before;
            taken.rows += self.past(shard, &asked).saturating_sub(past_before);
        }
        taken
    }

    fn past(&self, shard: &ShardMeta, leaving: &Leaving) -> u64 {
        if leaving.none(shard) {
            0
        } else if leaving.whole(shard) {
            shard.rows
        } else {
            self.read_shard(shard, |reader| leaving.past(reader)).unwrap_or(0)
        }
    }
}
