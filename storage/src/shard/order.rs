//! The order of rows: by journey, journeys by the time of their first record, the records of one in time
//! order. Ids, the bytes that do not compress, are then stored once per journey, and fetching a journey
//! reads a page or two per column.

use std::collections::HashMap;

use crate::model::{IdKey, NormalId, RecordId, RecordsView, UnixNanos};

/// The rows of all views in shard order, by view and row.
pub(super) fn by_journey(views: &[RecordsView<'_>]) -> Vec<(usize, usize)> {
    let mut journeys = Journeys::default();
    let mut rows: Vec<(u32, UnixNanos, RecordId, u32, u32)> = Vec::with_capacity(views.iter().map(RecordsView::len).sum());
    for (number, view) in views.iter().enumerate() {
        for row in 0..view.len() {
            let time = view.time(row);
            rows.push((journeys.of(view, row, time), time, view.record_id(row), number as u32, row as u32));
        }
    }
    let begin = |journey: u32| journeys.begins[journey as usize];
    rows.sort_unstable_by_key(|(journey, time, record, ..)| (begin(*journey), *journey, *time, *record));
    rows.into_iter().map(|(.., number, row)| (number as usize, row as usize)).collect()
}

/// An id that keeps more records than this together may be a session or a load test: then traces part again.
const JOINED_ROWS_MAX: u32 = 1_024;

/// Which records are kept together: those of a trace, and those of a request id that some of them carry.
#[derive(Default)]
struct Journeys {
    traces: HashMap<IdKey, u32, ahash::RandomState>,
    requests: HashMap<IdKey, u32, ahash::RandomState>,
    /// Of each journey: the time of its first record, and how many records there are.
    begins: Vec<UnixNanos>,
    rows: Vec<u32>,
}

impl Journeys {
    fn of(&mut self, view: &RecordsView<'_>, row: usize, time: UnixNanos) -> u32 {
        let trace = view.trace_id(row).map(IdKey::of_trace);
        let request = view.request_ids(row).find_map(NormalId::of).map(|id| id.key());
        let of_trace = trace.and_then(|key| self.traces.get(&key).copied());
        let of_request = || request.and_then(|key| self.requests.get(&key).copied());
        let joined = || of_request().filter(|journey| trace.is_none() || self.rows[*journey as usize] < JOINED_ROWS_MAX);
        let journey = of_trace.or_else(joined).unwrap_or(self.begins.len() as u32);
        if journey as usize == self.begins.len() {
            self.begins.push(UnixNanos::MAX);
            self.rows.push(0);
        }
        trace.into_iter().for_each(|key| {
            self.traces.entry(key).or_insert(journey);
        });
        request.into_iter().for_each(|key| {
            self.requests.entry(key).or_insert(journey);
        });
        let at = journey as usize;
        self.begins[at] = self.begins[at].min(time);
        self.rows[at] += 1;
        journey
    }
}
