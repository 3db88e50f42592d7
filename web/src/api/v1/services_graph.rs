//! `GET /api/v1/services/graph`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, Timed, TimeoutParameter, time_range};
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Which calls to look at.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GraphParameters {
    /// In the query language: calls of which the calling or the called span matches, and inferred calls of journeys with a
    /// match; empty or `*` is everything.
    q: Option<String>,
    /// Calls whose spans began from this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
}

/// Who calls whom.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct GraphAnswer {
    /// Services and other peers, by name.
    nodes: Vec<GraphNode>,
    /// Calls, by caller and callee.
    edges: Vec<GraphEdge>,
    /// Matching spans whose parent did not begin in the time asked for, or was not received: who called them is not known.
    missing_parents: u64,
    /// Matching calling spans that no span answered, and that name nobody, or a service of `nodes`. Those of services that
    /// only log are what inferred calls explain.
    unanswered: u64,
    /// The journeys in which inferred calls were counted.
    inferred_from: InferredFrom,
    /// What was searched.
    completeness: Completeness,
}

/// One service or peer. Numbers are of matching records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct GraphNode {
    /// `service.name`; of a peer that is none the name its callers use.
    service: String,
    /// Spans.
    spans: u64,
    /// Log records.
    logs: u64,
    /// Spans with status error plus logs of severity error and above.
    errors: u64,
    /// It only logs, so that calls to it are inferred.
    inferred: bool,
    /// It sends neither spans nor logs: a database, a queue, somebody else's service.
    external: bool,
    /// What its callers say it is, as `postgresql` or `kafka`; null where they do not.
    #[schema(required)]
    system: Option<String>,
}

/// How a caller calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallKind {
    /// It waits for the answer.
    Call,
    /// It does not.
    Message,
}

/// Calls from one to another. Counted and inferred ones stand apart, and are never summed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct GraphEdge {
    /// Who calls.
    caller: String,
    /// Whom.
    callee: String,
    /// How often; of inferred calls, in the journeys of `inferred_from`.
    calls: u64,
    /// Calls that failed by the status of either span, or by an error among the callee's lines.
    errors: u64,
    /// Median duration as the caller saw it; of messages, and where the caller has no span for the call, as the callee did.
    #[schema(required)]
    p50_ns: Option<i64>,
    /// 95th percentile.
    #[schema(required)]
    p95_ns: Option<i64>,
    /// 99th percentile.
    #[schema(required)]
    p99_ns: Option<i64>,
    /// Whether the percentiles are exact; of more than 65,536 durations they are within half a percent.
    percentiles_exact: bool,
    /// Whether the caller waits.
    kind: CallKind,
    /// No span tells of the callee: stitching placed its lines under the caller.
    inferred: bool,
    /// How sure that is, 0 to 1; null where it is not inferred.
    #[schema(required)]
    confidence: Option<f64>,
}

/// The journeys in which inferred calls were counted. Nothing is extrapolated to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InferredFrom {
    /// Ids whose journeys were stitched: all, or some chosen by chance.
    ids: u64,
    /// Of so many.
    of: u64,
    /// There are more than `of`, which is where counting stopped.
    more: bool,
}

/// Who calls whom, how often, with how many errors and how fast.
#[utoipa::path(
    get,
    path = "/api/v1/services/graph",
    tag = "services",
    params(GraphParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Services and their calls", body = GraphAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn graph(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<GraphParameters>,
) -> Result<Response, ApiError> {
    let (start, end) = time_range(parameters.start, parameters.end)?;
    let request = query::GraphRequest { query: parameters.q.unwrap_or_default(), start, end };
    let answer = web.within(timeout, web.engine().graph(&tenant, request)).await?;
    Ok(respond::json(move || GraphAnswer::from(answer)).await)
}

impl From<query::GraphAnswer> for GraphAnswer {
    fn from(answer: query::GraphAnswer) -> GraphAnswer {
        let query::InferredFrom { ids, of, more } = answer.inferred_from;
        GraphAnswer {
            nodes: answer.nodes.into_iter().map(GraphNode::from).collect(),
            edges: answer.edges.into_iter().map(GraphEdge::from).collect(),
            missing_parents: answer.missing_parents,
            unanswered: answer.unanswered,
            inferred_from: InferredFrom { ids, of, more },
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::GraphNode> for GraphNode {
    fn from(node: query::GraphNode) -> GraphNode {
        let query::GraphNode { service, spans, logs, errors, inferred, external, system } = node;
        GraphNode { service, spans, logs, errors, inferred, external, system }
    }
}

impl From<query::GraphEdge> for GraphEdge {
    fn from(edge: query::GraphEdge) -> GraphEdge {
        GraphEdge {
            caller: edge.caller,
            callee: edge.callee,
            calls: edge.calls,
            errors: edge.errors,
            p50_ns: edge.p50_ns,
            p95_ns: edge.p95_ns,
            p99_ns: edge.p99_ns,
            percentiles_exact: edge.exact,
            kind: if edge.is_message { CallKind::Message } else { CallKind::Call },
            inferred: edge.confidence.is_some(),
            confidence: edge.confidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inferred_calls_say_so() {
        let edge = query::GraphEdge { caller: "web".to_owned(), callee: "auth".to_owned(), calls: 3, ..query::GraphEdge::default() };
        let inferred = query::GraphEdge { confidence: Some(0.75), p50_ns: Some(7), is_message: true, ..edge.clone() };
        let written = serde_json::to_value([edge, inferred].map(GraphEdge::from)).unwrap();
        assert_eq!(
            written,
            json!([
                {"caller": "web", "callee": "auth", "calls": 3, "errors": 0, "p50_ns": null, "p95_ns": null, "p99_ns": null,
                 "percentiles_exact": false, "kind": "call", "inferred": false, "confidence": null},
                {"caller": "web", "callee": "auth", "calls": 3, "errors": 0, "p50_ns": 7, "p95_ns": null, "p99_ns": null,
                 "percentiles_exact": false, "kind": "message", "inferred": true, "confidence": 0.75},
            ])
        );
    }
}
