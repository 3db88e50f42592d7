//! Answers, as plain structs. The web room owns their JSON form.

mod fields;
mod journey;
mod services;
mod tail;

use needle_storage::model::{Record, UnixNanos};

pub use self::fields::*;
pub use self::journey::*;
pub use self::services::*;
pub use self::tail::*;

/// What was searched, and what was not.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Completeness {
    /// Whether all that should be searched was.
    pub state: CompletenessState,
    /// Why not, in words.
    pub reasons: Vec<String>,
    /// Shards read or ruled out by their index, time range or ids.
    pub shards_searched: usize,
    /// Shards that could not be read.
    pub shards_failed: usize,
}

/// How far an answer can be trusted to be all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CompletenessState {
    /// All there is.
    #[default]
    Complete,
    /// Records may still be on their way.
    Arriving,
    /// Something is missing.
    Partial,
}

/// In which order records are returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

/// A question for records.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// In the query language; empty is everything.
    pub query: String,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// At most this many records.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Order by time, then record id.
    pub order: Order,
}

/// Records found.
#[derive(Clone, Debug, Default)]
pub struct SearchAnswer {
    /// In the order asked for.
    pub records: Vec<Record>,
    /// Where the next page begins; none when this was the last.
    pub next_cursor: Option<String>,
    /// What else is to be known, if the answer may not be what was meant: a field that no record has.
    pub notes: Vec<String>,
    /// What was searched.
    pub completeness: Completeness,
}

/// How many records match.
#[derive(Clone, Debug, Default)]
pub struct CountAnswer {
    /// Matching records.
    pub count: u64,
    /// What else is to be known, if the answer may not be what was meant: a field that no record has.
    pub notes: Vec<String>,
    /// What was searched.
    pub completeness: Completeness,
}

/// A question for numbers of records.
#[derive(Clone, Debug, Default)]
pub struct AggregateRequest {
    /// In the query language, with a pipe that says what to count.
    pub query: String,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
}

/// A question for numbers of records over time.
#[derive(Clone, Debug, Default)]
pub struct HistogramRequest {
    /// In the query language; empty is everything.
    pub query: String,
    /// From this time on, inclusive; from the earliest record on, where it is open.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive; up to the latest record, where it is open.
    pub end: Option<UnixNanos>,
    /// At most this many buckets of a width that people count in. None for some that fill a screen.
    pub buckets: Option<usize>,
    /// The width of a bucket, as `1m`, instead of how many there are.
    pub interval: Option<String>,
    /// Counted apart by the values of this field, in any of its names.
    pub by: Option<String>,
    /// At most so many values by themselves; none for the largest 20.
    pub values_max: Option<usize>,
}

/// Numbers of records over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramAnswer {
    /// Where the first bucket begins; none where there are no buckets, because there is no record and no time was given.
    pub start: Option<UnixNanos>,
    /// The width of a bucket.
    pub interval_ns: u64,
    /// All records, by bucket.
    pub counts: Vec<u64>,
    /// Records by value, the largest first, those without a value last; empty unless asked for.
    pub groups: Vec<HistogramGroup>,
    /// Records with other values than these.
    pub other: Option<OtherValues>,
    /// What was searched.
    pub completeness: Completeness,
}

/// Numbers of records that have one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramGroup {
    /// The value; none of records without one.
    pub value: Option<String>,
    /// By bucket.
    pub counts: Vec<u64>,
    /// In all buckets.
    pub total: u64,
}

/// Numbers of records whose values are not shown by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherValues {
    /// How many values; none when there were too many to keep apart. Then a value that came late may be among
    /// these though it is larger than some that are shown.
    pub values: Option<usize>,
    /// By bucket.
    pub counts: Vec<u64>,
    /// In all buckets.
    pub total: u64,
}
