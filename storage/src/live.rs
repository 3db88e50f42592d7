//! Records that are accepted and not yet in a shard: batches in memory, searched without an index but
//! for their ids.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

use crate::accept::Decoded;
use crate::fields::FieldCounts;
use crate::model::{IdKey, IdTerm, RecordId, RecordsView, Signal, Tenant, UnixNanos};
use crate::terms::{for_each_id_key, for_each_id_term};

/// Small batches are joined up to this many rows, so that a query looks at few of them.
const JOINED_ROWS_MAX: usize = 16_384;
/// And up to this many bytes, far below the 2 GiB that offsets of a text column can address.
const JOINED_BYTES_MAX: usize = 32 << 20;

/// Accepted records of one tenant and signal, in order of acceptance.
#[derive(Debug)]
pub(crate) struct LiveBatch {
    pub(crate) tenant: Tenant,
    pub(crate) signal: Signal,
    pub(crate) records: RecordBatch,
    pub(crate) bytes: usize,
    pub(crate) time_min: UnixNanos,
    pub(crate) time_max: UnixNanos,
    /// The keys of ids and the rows that carry them, sorted.
    ids: Vec<(IdKey, u32)>,
    /// Which fields they have, once it was asked for.
    fields: OnceLock<FieldCounts>,
}

impl LiveBatch {
    /// The batch of a decoded request. Its record ids are given when it is committed.
    pub(crate) fn new(tenant: Tenant, decoded: Decoded) -> LiveBatch {
        let Decoded { signal, records, .. } = decoded;
        // Builders reserve room for many rows; a request of one line would be counted, and kept, as a hundred.
        let (schema, mut columns, _) = records.into_parts();
        columns.iter_mut().for_each(Array::shrink_to_fit);
        let records = RecordBatch::try_new(schema, columns).expect("the columns keep their types");
        let view = RecordsView::new(signal, &records);
        let mut ids = Vec::with_capacity(records.num_rows() * 3);
        let (mut time_min, mut time_max) = (UnixNanos::MAX, UnixNanos::MIN);
        for row in 0..view.len() {
            for_each_id_key(&view, row, |key| ids.push((key, row as u32)));
            time_min = time_min.min(view.time(row));
            time_max = time_max.max(view.time(row));
        }
        ids.sort_unstable();
        let bytes = records.get_array_memory_size() + ids.len() * size_of::<(IdKey, u32)>();
        LiveBatch { tenant, signal, records, bytes, time_min, time_max, ids, fields: OnceLock::new() }
    }

    /// Numbers the records from `first` on.
    pub(crate) fn number(&mut self, first: RecordId) {
        let rows = self.records.num_rows() as u64;
        let mut columns: Vec<ArrayRef> = self.records.columns().to_vec();
        columns[0] = Arc::new(UInt64Array::from_iter_values(first.0..first.0 + rows));
        self.records = RecordBatch::try_new(self.records.schema(), columns).expect("the record id column keeps its type");
    }

    pub(crate) fn view(&self) -> RecordsView<'_> {
        RecordsView::new(self.signal, &self.records)
    }

    /// How many rows have which fields.
    pub(crate) fn fields(&self) -> &FieldCounts {
        self.fields.get_or_init(|| {
            let mut counts = FieldCounts::default();
            counts.add(&self.view(), &(0..self.records.num_rows() as u32).collect::<Vec<_>>());
            counts
        })
    }

    /// The lowest record id in it.
    pub(crate) fn record_first(&self) -> RecordId {
        self.view().record_id(0)
    }

    /// The highest record id in it.
    pub(crate) fn record_last(&self) -> RecordId {
        self.view().record_id(self.records.num_rows() - 1)
    }

    /// The rows that carry one of the ids, ascending, each once.
    pub(crate) fn rows_with(&self, terms: &[IdTerm]) -> Vec<usize> {
        let view = self.view();
        let mut rows: Vec<usize> = Vec::new();
        for (term, wanted) in terms.iter().flat_map(|term| term.keys().map(move |key| (term, key))) {
            let from = self.ids.partition_point(|(key, _)| *key < wanted);
            let candidates = self.ids[from..].iter().take_while(|(key, _)| *key == wanted).map(|(_, row)| *row as usize);
            rows.extend(candidates.filter(|row| carries(&view, *row, term)));
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// One batch of several of one tenant and signal.
    pub(crate) fn join(run: &[Arc<LiveBatch>]) -> Result<LiveBatch, ArrowError> {
        let first = &run[0];
        let records = concat_batches(&first.records.schema(), run.iter().map(|batch| &batch.records))?;
        let mut ids: Vec<(IdKey, u32)> = Vec::with_capacity(run.iter().map(|batch| batch.ids.len()).sum());
        let mut rows = 0;
        for batch in run {
            ids.extend(batch.ids.iter().map(|(key, row)| (*key, row + rows)));
            rows += batch.records.num_rows() as u32;
        }
        ids.sort_unstable();
        Ok(LiveBatch {
            tenant: first.tenant.clone(),
            signal: first.signal,
            bytes: records.get_array_memory_size() + ids.len() * size_of::<(IdKey, u32)>(),
            records,
            time_min: run.iter().map(|batch| batch.time_min).min().unwrap_or(UnixNanos::MAX),
            time_max: run.iter().map(|batch| batch.time_max).max().unwrap_or(UnixNanos::MIN),
            ids,
            fields: OnceLock::new(),
        })
    }
}

/// Batches that are better one, in order of acceptance: of one tenant and signal, with none of theirs in between. What is joined is no
/// larger than twice what came after it, so that a record is copied a logarithmic number of times and the number of batches stays small.
pub(crate) fn to_join(batches: &[Arc<LiveBatch>]) -> Option<Vec<Arc<LiveBatch>>> {
    let mut runs: HashMap<(&Tenant, Signal), Run> = HashMap::new();
    for batch in batches.iter().rev() {
        let run = runs.entry((&batch.tenant, batch.signal)).or_default();
        if run.takes(batch) {
            run.add(batch);
        } else if run.batches.len() > 1 {
            break;
        } else {
            *run = Run::default();
            run.add(batch);
        }
    }
    let mut run = runs.into_values().map(|run| run.batches).find(|batches| batches.len() > 1)?;
    run.reverse();
    Some(run)
}

/// Batches to join, the newest first.
#[derive(Default)]
struct Run {
    batches: Vec<Arc<LiveBatch>>,
    rows: usize,
    bytes: usize,
}

impl Run {
    fn takes(&self, older: &LiveBatch) -> bool {
        let rows = older.records.num_rows();
        let is_like = self.batches.is_empty() || rows <= 2 * self.rows;
        is_like && self.rows + rows <= JOINED_ROWS_MAX && self.bytes + older.bytes <= JOINED_BYTES_MAX
    }

    fn add(&mut self, older: &Arc<LiveBatch>) {
        self.batches.push(older.clone());
        self.rows += older.records.num_rows();
        self.bytes += older.bytes;
    }
}

/// Puts a batch in the place of those that were joined to it. False when they are not there any more: they come and go together.
pub(crate) fn replace(batches: &mut Vec<Arc<LiveBatch>>, run: &[Arc<LiveBatch>], joined: &Arc<LiveBatch>) -> bool {
    let Some(place) = run.last().and_then(|last| batches.iter().position(|batch| Arc::ptr_eq(batch, last))) else { return false };
    batches[place] = joined.clone();
    let replaced: HashSet<*const LiveBatch> = run.iter().map(Arc::as_ptr).collect();
    batches.retain(|batch| !replaced.contains(&Arc::as_ptr(batch)));
    true
}

/// Whether a record carries an id.
pub(crate) fn carries(view: &RecordsView<'_>, row: usize, wanted: &IdTerm) -> bool {
    let mut found = false;
    for_each_id_term(view, row, |term| found |= term == *wanted);
    found
}

#[cfg(test)]
mod tests;
