//! The order of rows: by journey, journeys by the time of their first record, the records of one in time
//! order. Ids, the bytes that do not compress, are then stored once per journey, and fetching a journey
//! reads a page or two per column.

use std::collections::HashMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;

use crate::model::{IdTerm, RecordId, RecordsView, Signal, UnixNanos};
use crate::terms::journey_term;

/// The records of `batch` in shard order.
pub(super) fn by_journey(signal: Signal, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let view = RecordsView::new(signal, batch);
    let mut journeys: HashMap<IdTerm, usize> = HashMap::new();
    let mut begins: Vec<UnixNanos> = Vec::new();
    let mut journey_of_row = Vec::with_capacity(view.len());
    for row in 0..view.len() {
        let next = begins.len();
        let journey = journey_term(&view, row).map_or(next, |term| *journeys.entry(term).or_insert(next));
        if journey == next {
            begins.push(UnixNanos::MAX);
        }
        begins[journey] = begins[journey].min(view.time(row));
        journey_of_row.push(journey);
    }
    let mut rows: Vec<(UnixNanos, usize, UnixNanos, RecordId, u32)> = journey_of_row
        .into_iter()
        .enumerate()
        .map(|(row, journey)| (begins[journey], journey, view.time(row), view.record_id(row), row as u32))
        .collect();
    rows.sort_unstable();
    let permutation: UInt32Array = rows.into_iter().map(|(.., row)| row).collect();
    take_record_batch(batch, &permutation)
}
