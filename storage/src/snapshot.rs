//! Reading: a consistent view of everything accepted, each record once (signatures; the body is being written).

use crate::model::{IdTerm, Record, RecordId, RecordsView, UnixNanos};
use crate::predicate::Predicate;

/// A question for records.
#[derive(Clone, Debug)]
pub struct Search {
    /// What matches.
    pub predicate: Predicate,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// Only what comes after this place in the order asked for.
    pub after: Option<(UnixNanos, RecordId)>,
    /// At most this many.
    pub limit: usize,
}

/// Records found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order asked for; total, by time and record id.
    pub records: Vec<Record>,
    /// Whether there are more.
    pub more: bool,
    /// What was read.
    pub coverage: Coverage,
}

/// What was read for an answer.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Shards read, or ruled out by time or index.
    pub shards_searched: usize,
    /// Shards that could not be read, and why.
    pub failures: Vec<String>,
}

/// Records in the order they were accepted.
#[derive(Clone, Debug, Default)]
pub struct AcceptedAfter {
    /// Matching ones, in commit order.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next: RecordId,
}

/// Why a read failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The question was withdrawn.
    #[error("cancelled")]
    Cancelled,
}

/// A consistent view of one tenant's records. Methods block; call them on a blocking thread.
/// `cancelled` is asked between steps.
pub struct Snapshot {}

impl Snapshot {
    /// Matching records in order, up to the limit.
    pub fn search(&self, _search: &Search, _cancelled: &dyn Fn() -> bool) -> Result<Found, ReadError> {
        todo!()
    }

    /// Every record that carries one of the ids, oldest first.
    pub fn by_ids(&self, _terms: &[IdTerm], _cancelled: &dyn Fn() -> bool) -> Result<Found, ReadError> {
        todo!()
    }

    /// Calls `visit` with every matching row, in no order; each record once.
    pub fn for_each(
        &self,
        _predicate: &Predicate,
        _start: Option<UnixNanos>,
        _end: Option<UnixNanos>,
        _cancelled: &dyn Fn() -> bool,
        _visit: &mut dyn FnMut(&RecordsView<'_>, usize),
    ) -> Result<Coverage, ReadError> {
        todo!()
    }

    /// Matching records accepted from `from` on, in commit order, at most `limit`.
    pub fn accepted_from(&self, _from: RecordId, _predicate: &Predicate, _limit: usize) -> Result<AcceptedAfter, ReadError> {
        todo!()
    }

    /// The number the next accepted record will get.
    pub fn next_record_id(&self) -> RecordId {
        todo!()
    }
}
