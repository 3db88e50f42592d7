//! Records that are accepted and not yet in a shard: batches in memory, searched without an index but
//! for their ids.

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

    fn join(first: &LiveBatch, second: &LiveBatch) -> Result<LiveBatch, ArrowError> {
        let records = concat_batches(&first.records.schema(), [&first.records, &second.records])?;
        let shift = first.records.num_rows() as u32;
        let mut ids: Vec<(IdKey, u32)> = first.ids.iter().copied().chain(second.ids.iter().map(|(key, row)| (*key, row + shift))).collect();
        ids.sort_unstable();
        Ok(LiveBatch {
            tenant: first.tenant.clone(),
            signal: first.signal,
            bytes: records.get_array_memory_size() + ids.len() * size_of::<(IdKey, u32)>(),
            records,
            time_min: first.time_min.min(second.time_min),
            time_max: first.time_max.max(second.time_max),
            ids,
            fields: OnceLock::new(),
        })
    }
}

/// Adds a batch. Neighbours of like size are joined, so that a record is copied a logarithmic number of
/// times and the number of batches stays small.
pub(crate) fn push(batches: &mut Vec<Arc<LiveBatch>>, batch: LiveBatch) {
    let mut newest = Arc::new(batch);
    let joins = |older: &LiveBatch, newer: &LiveBatch| {
        let rows = older.records.num_rows() + newer.records.num_rows();
        let same_kind = older.tenant == newer.tenant && older.signal == newer.signal;
        let like_size = older.records.num_rows() <= 2 * newer.records.num_rows();
        same_kind && like_size && rows <= JOINED_ROWS_MAX && older.bytes + newer.bytes <= JOINED_BYTES_MAX
    };
    while let Some(at) = batches.iter().rposition(|older| older.tenant == newest.tenant && older.signal == newest.signal) {
        if !joins(&batches[at], &newest) {
            break;
        }
        match LiveBatch::join(&batches[at], &newest) {
            Ok(joined) => {
                batches.remove(at);
                newest = Arc::new(joined);
            }
            Err(error) => {
                tracing::warn!(%error, "live batches stay apart");
                break;
            }
        }
    }
    batches.push(newest);
}

/// Whether a record carries an id.
pub(crate) fn carries(view: &RecordsView<'_>, row: usize, wanted: &IdTerm) -> bool {
    let mut found = false;
    for_each_id_term(view, row, |term| found |= term == *wanted);
    found
}
