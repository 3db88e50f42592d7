//! Services, and who calls whom.

use needle_storage::model::UnixNanos;

use super::Completeness;

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
