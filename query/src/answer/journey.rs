//! Journeys: the records of a request as one tree.

use std::sync::Arc;

use needle_storage::model::{Record, Span, SpanId, SpanKind, StatusCode, TraceId, UnixNanos};

use super::Completeness;

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
    pub node_id: Arc<str>,
    /// The node above; none for a root.
    pub parent_node_id: Option<Arc<str>>,
    /// Nodes above.
    pub depth: usize,
    /// `service.name`; empty for a missing parent.
    pub service: Arc<str>,
    /// The operation.
    pub name: Arc<str>,
    /// The span's role.
    pub kind: SpanKind,
    /// Start, corrected if that was asked for.
    pub start: UnixNanos,
    /// By how much its start was corrected, nanoseconds. Its records have their times as they were sent: so much further on they
    /// stand beside it.
    pub corrected_by_ns: i64,
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
    /// What is odd about it: `self_parent`, `cycle`, `conflict`, `negative_duration`, `long_duration` (more than 30 days).
    pub flags: Vec<&'static str>,
    /// Whether a span was received.
    pub is_span: bool,
    /// The span, where it was read: pages have theirs, outlines have none.
    pub span: Option<Box<Span>>,
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
