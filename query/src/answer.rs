//! Answers, as plain structs. The web room owns their JSON form.

use std::sync::{Arc, OnceLock};

use needle_storage::model::{Record, RecordId, SpanId, SpanKind, StatusCode, TraceId, UnixNanos};

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

/// A question for journeys.
#[derive(Clone, Debug)]
pub struct JourneyRequest {
    /// Any id in any spelling.
    pub id: String,
    /// Whether to place log-only services and broken contexts by inference.
    pub inferred: bool,
    /// Whether to show times moved by the estimated clock offsets.
    pub corrected: bool,
    /// At most this many nodes; none for all.
    pub limit: Option<usize>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// All records reached from one id, in one tree.
#[derive(Clone, Debug)]
pub struct Journey {
    /// The id asked for.
    pub id: String,
    /// Traces in it.
    pub trace_ids: Vec<TraceId>,
    /// Request ids in it, as spelled.
    pub request_ids: Vec<String>,
    /// Ids that were not followed because too much shares them.
    pub hubs: Vec<Hub>,
    /// Earliest record.
    pub start: UnixNanos,
    /// Latest end.
    pub end: UnixNanos,
    /// Per service, in order of first appearance.
    pub services: Vec<JourneyService>,
    /// The tree in pre-order.
    pub nodes: Vec<Node>,
    /// Nodes in the whole tree, also beyond this page.
    pub nodes_total: usize,
    /// Where a span of the critical path was silent for long, the longest first.
    pub gaps: Vec<Gap>,
    /// Siblings that are alike, in tree order of the first of them.
    pub groups: Vec<SiblingGroup>,
    /// Journeys that span links lead to.
    pub linked: Vec<LinkedJourney>,
    /// Estimated clock offsets.
    pub clock: Vec<ClockOffset>,
    /// What is known to be missing.
    pub completeness: Completeness,
    /// Spans that others name as their parent and that were never received.
    pub missing_parents: usize,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// An id that was not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// As spelled.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// A service's part in a journey.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct JourneyService {
    /// `service.name`.
    pub name: String,
    /// Its spans.
    pub spans: usize,
    /// Its log records.
    pub logs: usize,
    /// Spans with status error and logs of severity error and above.
    pub errors: usize,
    /// The time in its spans that none of their children covers, nanoseconds.
    pub self_time_ns: i64,
    /// Whether it sent no span, so that its place in the tree is inferred.
    pub inferred: bool,
}

/// A stretch in which a span was going on and nothing of it was recorded: neither a child nor a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The span.
    pub node_id: String,
    /// When it fell silent.
    pub start: UnixNanos,
    /// For how long, nanoseconds.
    pub duration_ns: i64,
}

/// Spans of one service and name below one parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingGroup {
    /// Their parent; none for roots.
    pub parent_node_id: Option<String>,
    /// Their service.
    pub service: String,
    /// Their operation.
    pub name: String,
    /// Their role.
    pub kind: SpanKind,
    /// How many.
    pub count: usize,
    /// How many of them failed.
    pub errors: usize,
    /// Their durations together, nanoseconds.
    pub total_ns: i64,
    /// The one that took longest.
    pub slowest_node_id: String,
    /// Its duration, nanoseconds.
    pub slowest_ns: i64,
}

/// A node of the tree: a span, a log-only service, or the place of a missing parent.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique in the journey.
    pub node_id: String,
    /// The node above; none for a root.
    pub parent_node_id: Option<String>,
    /// Nodes above.
    pub depth: usize,
    /// `service.name`; empty for a missing parent.
    pub service: String,
    /// The operation.
    pub name: String,
    /// The span's role.
    pub kind: SpanKind,
    /// Start, corrected if that was asked for.
    pub start: UnixNanos,
    /// Nanoseconds.
    pub duration_ns: i64,
    /// Duration not covered by children, nanoseconds.
    pub self_time_ns: i64,
    /// The span's outcome.
    pub status: StatusCode,
    /// Whether it lies on the (estimated) critical path.
    pub critical: bool,
    /// Why it stands here, when no span says so.
    pub inferred: Option<Inference>,
    /// Whether it stands for a parent that was never received.
    pub missing: bool,
    /// What is odd about it: `self_parent`, `cycle`, `conflict`, `negative_duration`.
    pub flags: Vec<&'static str>,
    /// The span, unless inferred or missing.
    pub span: Option<Record>,
    /// Logs that belong here, in time order; those of them that are on this page.
    pub logs: Vec<Record>,
    /// How many logs belong here.
    pub logs_total: usize,
    /// How many of them say error or worse.
    pub log_errors: usize,
    /// How many children it has.
    pub children: usize,
}

/// Why something is where it is, and how sure that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inference {
    /// In words.
    pub reason: String,
    /// How likely it is that it stands where it belongs, 0 to 1.
    pub confidence: f64,
    /// Where it may stand as well as anywhere else, by node, the likeliest first. Empty where that is decided; else it stands
    /// under what is above them all.
    pub candidates: Vec<String>,
}

impl Inference {
    pub(crate) fn of(reason: String, confidence: f64) -> Inference {
        Inference { reason, confidence, candidates: Vec::new() }
    }
}

/// Another journey that a span link names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedJourney {
    /// The other trace.
    pub trace_id: TraceId,
    /// The span of this journey that names it (or is named by it).
    pub span_id: Option<SpanId>,
    /// Whether the other one names this one.
    pub incoming: bool,
}

/// An estimate of how far a service's clock is off.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockOffset {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`, where known.
    pub instance: Option<String>,
    /// To be added to its times, nanoseconds.
    pub offset_ns: i64,
    /// 0 to 1.
    pub confidence: f64,
}

/// One line of a list of journeys.
#[derive(Clone, Debug)]
pub struct JourneySummary {
    /// An id that opens it.
    pub id: String,
    /// Earliest record found.
    pub start: UnixNanos,
    /// Nanoseconds from first to last.
    pub duration_ns: i64,
    /// Name of the root, service and operation.
    pub root: String,
    /// Services in it.
    pub services: Vec<String>,
    /// Spans in it.
    pub spans: usize,
    /// Logs in it.
    pub logs: usize,
    /// Errors in it.
    pub errors: usize,
}

/// Journeys that contain a match.
#[derive(Clone, Debug, Default)]
pub struct JourneysAnswer {
    /// Newest match first.
    pub journeys: Vec<JourneySummary>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// What was searched.
    pub completeness: Completeness,
}

/// Services seen.
#[derive(Clone, Debug, Default)]
pub struct ServicesAnswer {
    /// By name.
    pub services: Vec<ServiceSummary>,
    /// The time they were observed over, seconds.
    pub seconds: f64,
    /// What was searched.
    pub completeness: Completeness,
}

/// One service.
#[derive(Clone, Debug, Default)]
pub struct ServiceSummary {
    /// `service.name`.
    pub name: String,
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Spans with status error plus logs of severity error and above.
    pub errors: u64,
    /// Records per second.
    pub rate: f64,
    /// Errors per record, 0 to 1.
    pub error_ratio: f64,
    /// Median duration of its server and consumer spans (of all its spans when it has none), nanoseconds.
    pub p50_ns: Option<i64>,
    /// 95th percentile.
    pub p95_ns: Option<i64>,
    /// 99th percentile.
    pub p99_ns: Option<i64>,
    /// Whether the percentiles are exact; of very many durations they are within half a percent.
    pub exact: bool,
    /// Latest record.
    pub last_seen: UnixNanos,
}

/// A question for who calls whom.
#[derive(Clone, Debug, Default)]
pub struct GraphRequest {
    /// In the query language: calls of which either side matches.
    pub query: String,
    /// Calls that began from this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Calls that began up to this time, exclusive.
    pub end: Option<UnixNanos>,
}

/// Who calls whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphAnswer {
    /// Services and other peers, by name.
    pub nodes: Vec<GraphNode>,
    /// Calls, by caller and callee.
    pub edges: Vec<GraphEdge>,
    /// Spans whose parent did not begin in the time asked for, or was not received: who called them is not known.
    pub missing_parents: u64,
    /// Calling spans that no span answered and that name a service or nobody.
    pub unanswered: u64,
    /// What inferred calls were found in.
    pub inferred_from: InferredFrom,
    /// What was searched.
    pub completeness: Completeness,
}

/// One service or peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphNode {
    /// `service.name`, or the name by which callers call it.
    pub service: String,
    /// Matching spans.
    pub spans: u64,
    /// Matching log records.
    pub logs: u64,
    /// Spans with status error plus logs of severity error and above.
    pub errors: u64,
    /// It only logs: calls to it are inferred.
    pub inferred: bool,
    /// It sends neither spans nor logs: a database, a queue, somebody else's service.
    pub external: bool,
    /// What callers say it is: `postgresql`, `kafka`.
    pub system: Option<String>,
}

/// Calls from one service to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphEdge {
    /// Who calls.
    pub caller: String,
    /// Whom.
    pub callee: String,
    /// How often; of an inferred one in the journeys that were stitched.
    pub calls: u64,
    /// Calls that failed: the called span has status error, or the calling one, or a line of the callee is an error.
    pub errors: u64,
    /// Median duration in nanoseconds: as the caller saw it, of a message and without a calling span as the callee did.
    pub p50_ns: Option<i64>,
    /// 95th percentile.
    pub p95_ns: Option<i64>,
    /// 99th percentile.
    pub p99_ns: Option<i64>,
    /// Whether the percentiles are exact; of very many durations they are within half a percent.
    pub exact: bool,
    /// A message: the caller does not wait.
    pub is_message: bool,
    /// How sure it is, 0 to 1, where no span tells of the callee; none where spans do.
    pub confidence: Option<f64>,
}

/// The journeys in which calls to services that only log were looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InferredFrom {
    /// Ids whose journeys were stitched, chosen by chance.
    pub ids: u64,
    /// Of so many.
    pub of: u64,
    /// There are more than `of`.
    pub more: bool,
}

/// A record on its way to tails, with what they show of it.
#[derive(Debug)]
pub struct TailedRecord {
    record: Record,
    shown: OnceLock<Box<str>>,
}

impl TailedRecord {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is shown of it: made by the first tail, for all of them.
    pub fn shown(&self, show: impl FnOnce(&Record) -> String) -> &str {
        self.shown.get_or_init(|| show(&self.record).into())
    }
}

impl From<Record> for TailedRecord {
    fn from(record: Record) -> Self {
        TailedRecord { record, shown: OnceLock::new() }
    }
}

/// What a tail delivers.
#[derive(Clone, Debug)]
pub enum TailEvent {
    /// A record, and the cursor behind it.
    Record {
        /// The record, shared by all tails that it matches.
        record: Arc<TailedRecord>,
        /// To resume after it.
        cursor: RecordId,
    },
    /// The reader was too slow, or resumed too late: so many records were not shown.
    Gap {
        /// Records accepted in between, matching or not.
        skipped: u64,
        /// To resume after the gap.
        cursor: RecordId,
    },
    /// Nothing matched for a while.
    Heartbeat {
        /// To resume from here.
        cursor: RecordId,
    },
}
