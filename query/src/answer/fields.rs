//! Fields, patterns and comparisons: what records have in common, and in what they differ.

use needle_storage::model::{Record, UnixNanos};

use super::Completeness;

/// A question for the fields of records.
#[derive(Clone, Debug, Default)]
pub struct FieldsRequest {
    /// In the query language; empty is everything.
    pub query: String,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
}

/// Fields of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldsAnswer {
    /// The most frequent first.
    pub fields: Vec<FieldSummary>,
    /// Whether there are so many keys of attributes that some are not listed.
    pub more: bool,
    /// What was searched.
    pub completeness: Completeness,
}

/// A field that some records have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSummary {
    /// As a query names it.
    pub name: String,
    /// Where it stands.
    pub place: FieldPlace,
    /// Records that have it.
    pub count: u64,
    /// The types of its values and how many records have each, the most frequent first.
    pub types: Vec<(&'static str, u64)>,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldPlace {
    /// It is part of every record of its signal.
    Record,
    /// It is an attribute of records.
    Attribute,
    /// It is an attribute of what sent them.
    Resource,
}

/// A question for the values of a field.
#[derive(Clone, Debug, Default)]
pub struct FieldValuesRequest {
    /// In any of its names.
    pub name: String,
    /// Of which records, and when.
    pub of: FieldsRequest,
    /// Only values that begin so, in any case.
    pub prefix: String,
    /// At most so many; none for the largest 20.
    pub limit: Option<usize>,
}

/// The values of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldValuesAnswer {
    /// The value and how many records have it, the most frequent first.
    pub values: Vec<(String, u64)>,
    /// Records with other values.
    pub other: u64,
    /// Records without the field.
    pub without: u64,
    /// Whether these are the most frequent values for certain: there were not too many to keep apart.
    pub exact: bool,
    /// What was searched.
    pub completeness: Completeness,
}

/// A question for the patterns of log messages.
#[derive(Clone, Debug, Default)]
pub struct PatternsRequest {
    /// In the query language; empty is everything. It may end with `| patterns`.
    pub query: String,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// At most so many buckets; none for some that fit into a line.
    pub buckets: Option<usize>,
    /// At most so many patterns; none for the most frequent 50.
    pub limit: Option<usize>,
    /// Patterns without a record before this time, in the time that is searched, are new and come first.
    pub since: Option<UnixNanos>,
}

/// The patterns of log messages.
#[derive(Clone, Debug, Default)]
pub struct PatternsAnswer {
    /// New ones first, then the most frequent.
    pub patterns: Vec<Pattern>,
    /// How many patterns there are, also beyond the limit.
    pub total: usize,
    /// How many of them are new; none unless that was asked.
    pub new_total: Option<usize>,
    /// Records with a pattern.
    pub records: u64,
    /// Records that have none because there are too many different messages to keep apart.
    pub beyond: u64,
    /// Where the first bucket begins; none where there are no buckets, because there is no record and no time was given.
    pub start: Option<UnixNanos>,
    /// The width of a bucket.
    pub interval_ns: u64,
    /// What was searched.
    pub completeness: Completeness,
}

/// Messages that are alike but for what varies in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// `user <*> logged in from <ip>`.
    pub pattern: String,
    /// Records.
    pub count: u64,
    /// The earliest of them.
    pub first: UnixNanos,
    /// The latest of them.
    pub last: UnixNanos,
    /// Whether none of them is from before the time that was asked for.
    pub is_new: bool,
    /// Services and their records, the most frequent first.
    pub services: Vec<(String, u64)>,
    /// Levels and their records, from trace to fatal.
    pub levels: Vec<(&'static str, u64)>,
    /// By bucket.
    pub buckets: Vec<u64>,
    /// Some of the records, the newest first.
    pub samples: Vec<Record>,
}

/// A question for what tells records from others.
#[derive(Clone, Debug, Default)]
pub struct CompareRequest {
    /// The records, in the query language.
    pub query: String,
    /// The others, in the query language; none for all that are not selected.
    pub baseline: Option<String>,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// At most so many fields; none for the 20 that differ most.
    pub limit: Option<usize>,
}

/// What tells records from others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompareAnswer {
    /// The most different first.
    pub fields: Vec<FieldDifference>,
    /// How many fields differ, also beyond the limit.
    pub total: usize,
    /// All selected records.
    pub selected_total: u64,
    /// All others.
    pub baseline_total: u64,
    /// Fields that say nothing of the difference, and why.
    pub skipped: Vec<SkippedField>,
    /// Whether there are so many fields that some were not looked at.
    pub more: bool,
    /// What was searched.
    pub completeness: Completeness,
}

/// A field whose values are shared out differently.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDifference {
    /// As a query names it.
    pub field: String,
    /// The most different first; some of them.
    pub values: Vec<ValueDifference>,
    /// The largest score of a value, without its sign.
    pub score: f64,
}

/// A value on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueDifference {
    /// The value; none where the field is absent.
    pub value: Option<String>,
    /// Selected records that have it.
    pub selected: u64,
    /// Of so many that have the field; of all, where it is absent.
    pub selected_total: u64,
    /// Others that have it.
    pub baseline: u64,
    /// Of so many that have the field; of all, where it is absent.
    pub baseline_total: u64,
    /// How far the shares differ for certain, from -1 to 1; above 0 if the value is more frequent among the selected.
    pub score: f64,
}

/// A field that was not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedField {
    /// As a query names it.
    pub field: String,
    /// Why not, in words.
    pub reason: String,
}
