//! Finding matching rows in one live batch or one shard.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cache::ShardCache;
use crate::catalog::ShardMeta;
use crate::live::LiveBatch;
use crate::model::RecordsView;
use crate::predicate::{Matcher, Predicate};
use crate::shard::{Candidates, Rows, ShardError, ShardReader};
use crate::tombstones::Tombstones;

/// Why a shard gave no rows.
pub(super) enum ScanError {
    Cancelled,
    Unreadable(String),
}

/// Calls `visit` with every matching row of a live batch that is not deleted.
pub(super) fn live(batch: &LiveBatch, tombstones: &Tombstones, predicate: &Predicate, visit: &mut dyn FnMut(&RecordsView<'_>, usize)) {
    let view = batch.view();
    let matcher = Matcher::new(predicate, &view);
    let deleted = tombstones.rows_of_batch(batch);
    for row in (0..view.len()).filter(|row| matcher.matches(*row) && deleted.binary_search(row).is_err()) {
        visit(&view, row);
    }
}

/// Calls `visit` with every matching row of a shard that is not deleted: a view, the row's place in it, and the row's number.
pub(super) fn shard(
    cache: &ShardCache,
    meta: &ShardMeta,
    tombstones: &Tombstones,
    predicate: &Predicate,
    columns: &[&str],
    cancelled: &dyn Fn() -> bool,
    visit: &mut dyn FnMut(&RecordsView<'_>, usize, u32),
) -> Result<(), ScanError> {
    let mut stopped = false;
    guarded(cache, meta, &mut |reader| {
        let deleted = tombstones.rows_of_shard(reader)?;
        let candidates = reader.narrow(predicate);
        let rows = match &candidates {
            Candidates::All => Rows::All,
            Candidates::Rows(rows) => Rows::Some(rows),
        };
        reader.for_each_batch(rows, Some(columns), &mut |view, first| {
            let matcher = Matcher::new(predicate, view);
            for local in (0..view.len()).filter(|local| matcher.matches(*local)) {
                let at = first as usize + local;
                let row = if let Rows::Some(rows) = rows { rows[at] } else { at as u32 };
                if deleted.binary_search(&row).is_err() {
                    visit(view, local, row);
                }
            }
            stopped = cancelled();
            Ok(!stopped)
        })
    })?;
    if stopped { Err(ScanError::Cancelled) } else { Ok(()) }
}

/// Opens a shard and reads it. Damaged bytes may make a decoder panic; then this shard is unreadable and
/// the others are read.
pub(super) fn guarded(
    cache: &ShardCache,
    meta: &ShardMeta,
    read: &mut dyn FnMut(&ShardReader) -> Result<(), ShardError>,
) -> Result<(), ScanError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let reader = cache.get(meta)?;
        if let Some(failure) = reader.index_failure() {
            tracing::warn!(shard = %reader.meta.path, %failure, "the index is not used; columns are scanned");
        }
        read(&reader)
    }));
    match attempt {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ScanError::Unreadable(error.to_string())),
        Err(_) => Err(ScanError::Unreadable("its bytes make the decoder fail".to_owned())),
    }
}
