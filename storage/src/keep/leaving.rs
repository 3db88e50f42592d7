//! Which records go when shards are written anew: deleted ones, and those past their retention.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use crate::catalog::ShardMeta;
use crate::model::{RecordsView, UnixNanos, column};
use crate::predicate::Columns;
use crate::retention::Retention;
use crate::shard::{ShardError, ShardReader, Wanted};
use crate::tombstones::Tombstones;

/// How long, in nanoseconds, a record at most stays in a shard after the end of its retention, if others of the
/// shard stay longer.
const OVERDUE_NS_MAX: u64 = 86_400_000_000_000;

/// What goes from the shards of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) tombstones: Arc<Tombstones>,
    pub(crate) retention: Arc<Retention>,
    /// The time, when it can be believed; without it nothing expires.
    pub(crate) now: Option<UnixNanos>,
}

impl Leaving {
    /// Whether every record of the shard is past its retention.
    pub(crate) fn whole(&self, shard: &ShardMeta) -> bool {
        self.now.is_some_and(|now| self.retention.end_of_all(shard.signal, shard.time_max) <= now)
    }

    /// Whether no record of the shard is past its retention.
    pub(crate) fn none(&self, shard: &ShardMeta) -> bool {
        self.now.is_none_or(|now| self.retention.end_of_any(shard.signal, shard.time_min) > now)
    }

    /// Whether some records of the shard may be past their retention long before others.
    pub(crate) fn some(&self, shard: &ShardMeta) -> bool {
        let first = self.retention.end_of_any(shard.signal, shard.time_min);
        let last = self.retention.end_of_all(shard.signal, shard.time_max);
        self.now.is_some_and(|now| first <= now) && last.0 - first.0 > OVERDUE_NS_MAX
    }

    fn is_past(&self, view: &RecordsView<'_>, row: usize) -> bool {
        self.now.is_some_and(|now| self.retention.end(view.signal, view.service(row), view.time(row)) <= now)
    }

    /// When it is worth the effort to write the shard anew without what is past its retention by then: as soon
    /// as half of it is, and a day after its first record is at the latest. If all of it ends within that day,
    /// it is left to end as a whole.
    pub(crate) fn due(&self, shard: &ShardReader) -> Result<UnixNanos, ShardError> {
        let mut ends = self.ends(shard)?;
        ends.sort_unstable();
        let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return Ok(UnixNanos::MAX) };
        let latest = UnixNanos(first.0.saturating_add(OVERDUE_NS_MAX));
        Ok(if *last <= latest { *last } else { ends[(ends.len() - 1) / 2].min(latest) })
    }

    /// How many records of the shard are past their retention.
    pub(crate) fn past(&self, shard: &ShardReader) -> Result<u64, ShardError> {
        let Some(now) = self.now else { return Ok(0) };
        Ok(self.ends(shard)?.into_iter().filter(|end| *end <= now).count() as u64)
    }

    /// When each record of the shard is past its retention.
    fn ends(&self, shard: &ShardReader) -> Result<Vec<UnixNanos>, ShardError> {
        let columns = Columns::default().with(&[column::TIMESTAMP, column::START, column::ORIGINAL_TIME, column::SERVICE_NAME]);
        let mut ends = Vec::new();
        shard.read(&shard.all(), Wanted::Columns(&columns), &mut |view, _| {
            ends.extend((0..view.len()).map(|row| self.retention.end(view.signal, view.service(row), view.time(row))));
            Ok(true)
        })?;
        Ok(ends)
    }

    /// The records of a shard that stay.
    pub(crate) fn stay(&self, shard: &ShardReader) -> Result<Vec<RecordBatch>, ShardError> {
        let deleted = self.tombstones.rows_of_shard(shard)?;
        let mut first = 0;
        let mut stay = Vec::new();
        for batch in shard.batches()? {
            let view = RecordsView::new(shard.meta.signal, &batch);
            let rows = (0..view.len()).map(|row| !deleted.contains(first + row as u32) && !self.is_past(&view, row));
            let rows: BooleanArray = rows.map(Some).collect();
            first += view.len() as u32;
            stay.push(filter_record_batch(&batch, &rows)?);
        }
        if u64::from(first) != shard.meta.rows {
            return Err(ShardError::Form(format!("it holds {first} rows, the catalog says {}", shard.meta.rows)));
        }
        Ok(stay)
    }
}
