//! Deleted ids: which records are gone although their bytes are still there.

use crate::live::LiveBatch;
use crate::model::{IdTerm, RecordId, Tenant, column};
use crate::predicate::Columns;
use crate::shard::{RowRanges, ShardError, ShardReader, Wanted};

/// A deletion of one term: it holds for the records that carry it and were accepted before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// In order of deletion, never given twice.
    pub(crate) number: u64,
    pub(crate) tenant: Tenant,
    pub(crate) term: IdTerm,
    /// Records from this number on came later and stay.
    pub(crate) before: RecordId,
}

/// The deletions of one tenant that still have something to hide.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tombstones {
    all: Vec<Tombstone>,
}

impl Tombstones {
    pub(crate) fn new(all: Vec<Tombstone>) -> Tombstones {
        Tombstones { all }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.all.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number of the newest; 0 when there are none.
    pub(crate) fn newest(&self) -> u64 {
        self.all.iter().map(|tombstone| tombstone.number).max().unwrap_or(0)
    }

    /// Those that are newer than the one of that number.
    pub(crate) fn since(&self, number: u64) -> Tombstones {
        Tombstones { all: self.all.iter().filter(|tombstone| tombstone.number > number).cloned().collect() }
    }

    /// The deleted rows of a live batch.
    pub(crate) fn rows_of_batch(&self, batch: &LiveBatch) -> RowRanges {
        let view = batch.view();
        let mut rows = Vec::new();
        for tombstone in self.all.iter().filter(|tombstone| batch.record_first() < tombstone.before) {
            let carrying = batch.rows_with(std::slice::from_ref(&tombstone.term));
            rows.extend(carrying.into_iter().filter(|row| view.record_id(*row) < tombstone.before).map(|row| row as u32));
        }
        RowRanges::of_rows(rows)
    }

    /// The deleted rows of a shard. By its index, so that it costs little beside reading rows.
    pub(crate) fn rows_of_shard(&self, shard: &ShardReader) -> Result<RowRanges, ShardError> {
        let concerned = self.all.iter().filter(|tombstone| shard.meta.record_min < tombstone.before);
        let (whole, partly): (Vec<_>, Vec<_>) = concerned.partition(|tombstone| shard.meta.record_max < tombstone.before);
        let terms: Vec<IdTerm> = whole.into_iter().map(|tombstone| tombstone.term.clone()).collect();
        let mut rows = if terms.is_empty() { RowRanges::default() } else { shard.rows_with(&terms)? };
        let numbers = Columns::default().with(&[column::RECORD_ID]);
        for tombstone in partly {
            let mut before = Vec::new();
            let carrying = shard.rows_with(std::slice::from_ref(&tombstone.term))?;
            shard.read(&carrying, Wanted::Columns(&numbers), &mut |view, rows| {
                before.extend(rows.iter().enumerate().filter(|(local, _)| view.record_id(*local) < tombstone.before).map(|(_, row)| *row));
                Ok(true)
            })?;
            rows = rows.or(&RowRanges::of_rows(before));
        }
        Ok(rows)
    }
}
