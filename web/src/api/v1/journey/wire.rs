//! The journey on the wire.

use needle_query as query;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::v1::completeness::CompletenessState;
use crate::api::v1::record::Record;
use crate::api::v1::time::Time;

/// All records reached from one id, in one tree.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Journey {
    #[serde(flatten)]
    head: JourneyHead,
    /// The tree in pre-order.
    nodes: Vec<Node>,
    /// `cursor` of the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What is said of a journey as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct JourneyHead {
    /// The id asked for.
    id: String,
    /// Traces in it, 32 hex digits each.
    trace_ids: Vec<String>,
    /// Request ids in it, as spelled.
    request_ids: Vec<String>,
    /// Ids that were not followed because too much shares them.
    hubs: Vec<Hub>,
    /// Earliest record.
    start: Time,
    /// Latest end.
    end: Time,
    /// End minus start.
    duration_ns: i64,
    /// Per service, in order of first appearance.
    services: Vec<JourneyService>,
    /// Nodes in the whole tree, also beyond this page.
    nodes_total: usize,
    /// Where a span of the critical path had neither child nor log for a tenth of the journey or more, the longest first.
    gaps: Vec<Gap>,
    /// Siblings that are alike, five or more, in tree order of the first of them.
    groups: Vec<SiblingGroup>,
    /// Journeys that span links lead to.
    linked: Vec<LinkedJourney>,
    /// Estimated clock offsets.
    clock: Vec<ClockOffset>,
    /// What is known to be missing.
    completeness: JourneyCompleteness,
}

/// An id that was not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Hub {
    /// As spelled.
    id: String,
    /// Why.
    reason: String,
}

/// A service's part in a journey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct JourneyService {
    /// `service.name`.
    name: String,
    /// Its spans.
    spans: usize,
    /// Its log records.
    logs: usize,
    /// Spans with status error and logs of severity error and above.
    errors: usize,
    /// The time in its spans that none of their children covers.
    self_time_ns: i64,
    /// Whether it sent no span, so that its place in the tree is inferred.
    inferred: bool,
}

/// A stretch in which a span was going on and nothing of it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Gap {
    /// The span.
    node_id: String,
    /// When it fell silent.
    start: Time,
    /// For how long.
    duration_ns: i64,
}

/// Spans of one service and name below one parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SiblingGroup {
    /// Their parent; null for roots.
    #[schema(required)]
    parent_node_id: Option<String>,
    /// Their service.
    service: String,
    /// Their operation.
    name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer`, `unspecified`.
    kind: &'static str,
    /// How many.
    count: usize,
    /// How many of them failed.
    errors: usize,
    /// Their durations together.
    total_ns: i64,
    /// The one that took longest.
    slowest_node_id: String,
    /// Its duration.
    slowest_ns: i64,
}

/// A node of the tree: a span, a log-only service, or the place of a missing parent.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Node {
    /// Unique in the journey.
    node_id: String,
    /// The node above; null for a root.
    #[schema(required)]
    parent_node_id: Option<String>,
    /// Nodes above.
    depth: usize,
    /// `service.name`; empty for a missing parent.
    service: String,
    /// The operation.
    name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer`, `unspecified`.
    kind: &'static str,
    /// Start, corrected if that was asked for.
    start: Time,
    /// By how much the start was corrected, nanoseconds; 0 unless that was asked for. `span` and `logs` have their times as they
    /// were sent: so much further on they stand beside it.
    corrected_by_ns: i64,
    /// End minus start.
    duration_ns: i64,
    /// Duration not covered by children.
    self_time_ns: i64,
    /// `unset`, `ok`, `error`.
    status: &'static str,
    /// Whether it lies on the (estimated) critical path.
    critical: bool,
    /// Why it stands here, when no span says so.
    #[schema(required)]
    inferred: Option<Inference>,
    /// Whether it stands for a parent that was never received.
    missing: bool,
    /// What is odd about it: `self_parent`, `cycle`, `conflict`, `negative_duration`, `long_duration` (more than 30 days).
    flags: Vec<&'static str>,
    /// The span; null for an inferred or missing one.
    #[schema(required)]
    span: Option<Record>,
    /// Logs that belong here, in time order. A node with very many goes on, as the first node, on the next page.
    logs: Vec<Record>,
    /// How many logs belong here, on all pages.
    logs_total: usize,
    /// How many children it has.
    children: usize,
}

/// Why something is where it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Inference {
    /// In words.
    reason: String,
    /// How likely it is that it stands where it belongs, 0 to 1.
    confidence: f64,
    /// Nodes under which it may stand as well, the likeliest first: it is not decided, so it stands under what is above them
    /// all. Empty where it is decided.
    candidates: Vec<String>,
}

/// Another journey that a span link names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LinkedJourney {
    /// The other trace, 32 hex digits.
    trace_id: String,
    /// The span of this journey that names it (or is named by it), 16 hex digits.
    #[schema(required)]
    span_id: Option<String>,
    /// Whether the other one names this one.
    incoming: bool,
}

/// An estimate of how far a service's clock is off.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ClockOffset {
    /// `service.name`.
    service: String,
    /// `service.instance.id`, where known.
    #[schema(required)]
    instance: Option<String>,
    /// To be added to its times.
    offset_ns: i64,
    /// How sure that is, 0 to 1.
    confidence: f64,
}

/// What a journey does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct JourneyCompleteness {
    /// Whether all of it is here.
    state: CompletenessState,
    /// Spans whose parent was never received.
    missing_parents: usize,
    /// What is missing, in words.
    reasons: Vec<String>,
    /// Shards read or ruled out by their index, time range or ids.
    shards_searched: usize,
    /// Shards that could not be read.
    shards_failed: usize,
}

impl From<query::Journey> for Journey {
    fn from(mut journey: query::Journey) -> Journey {
        let nodes = std::mem::take(&mut journey.nodes).into_iter().map(Node::from).collect();
        let next_cursor = journey.next_cursor.take();
        Journey { head: JourneyHead::from(journey), nodes, next_cursor }
    }
}

impl From<query::Journey> for JourneyHead {
    fn from(journey: query::Journey) -> JourneyHead {
        let completeness = journey.completeness;
        JourneyHead {
            id: journey.id,
            trace_ids: journey.trace_ids.iter().map(ToString::to_string).collect(),
            request_ids: journey.request_ids,
            hubs: journey.hubs.into_iter().map(|hub| Hub { id: hub.id, reason: hub.reason }).collect(),
            start: journey.start.into(),
            end: journey.end.into(),
            duration_ns: journey.end.since(journey.start),
            services: journey.services.into_iter().map(JourneyService::from).collect(),
            nodes_total: journey.nodes_total,
            gaps: journey.gaps.into_iter().map(Gap::from).collect(),
            groups: journey.groups.into_iter().map(SiblingGroup::from).collect(),
            linked: journey.linked.into_iter().map(LinkedJourney::from).collect(),
            clock: journey.clock.into_iter().map(ClockOffset::from).collect(),
            completeness: JourneyCompleteness {
                state: completeness.state.into(),
                missing_parents: journey.missing_parents,
                reasons: completeness.reasons,
                shards_searched: completeness.shards_searched,
                shards_failed: completeness.shards_failed,
            },
        }
    }
}

impl From<query::JourneyService> for JourneyService {
    fn from(service: query::JourneyService) -> JourneyService {
        JourneyService {
            name: service.name,
            spans: service.spans,
            logs: service.logs,
            errors: service.errors,
            self_time_ns: service.self_time_ns,
            inferred: service.inferred,
        }
    }
}

impl From<query::Node> for Node {
    fn from(node: query::Node) -> Node {
        Node {
            node_id: node.node_id.to_string(),
            parent_node_id: node.parent_node_id.map(|id| id.to_string()),
            depth: node.depth,
            service: node.service.to_string(),
            name: node.name.to_string(),
            kind: node.kind.name(),
            start: node.start.into(),
            duration_ns: node.duration_ns,
            corrected_by_ns: node.corrected_by_ns,
            self_time_ns: node.self_time_ns,
            status: node.status.name(),
            critical: node.critical,
            inferred: node.inferred.map(Inference::from),
            missing: node.missing,
            flags: node.flags,
            span: node.span.map(|span| Record::from(query::model::Record::Span(span))),
            logs: node.logs.into_iter().map(Record::from).collect(),
            logs_total: node.logs_total,
            children: node.children,
        }
    }
}

impl From<query::Gap> for Gap {
    fn from(gap: query::Gap) -> Gap {
        Gap { node_id: gap.node_id, start: gap.start.into(), duration_ns: gap.duration_ns }
    }
}

impl From<query::SiblingGroup> for SiblingGroup {
    fn from(group: query::SiblingGroup) -> SiblingGroup {
        SiblingGroup {
            parent_node_id: group.parent_node_id,
            service: group.service,
            name: group.name,
            kind: group.kind.name(),
            count: group.count,
            errors: group.errors,
            total_ns: group.total_ns,
            slowest_node_id: group.slowest_node_id,
            slowest_ns: group.slowest_ns,
        }
    }
}

impl From<query::Inference> for Inference {
    fn from(why: query::Inference) -> Inference {
        Inference { reason: why.reason, confidence: why.confidence, candidates: why.candidates }
    }
}

impl From<query::LinkedJourney> for LinkedJourney {
    fn from(linked: query::LinkedJourney) -> LinkedJourney {
        LinkedJourney { trace_id: linked.trace_id.to_string(), span_id: linked.span_id.map(|id| id.to_string()), incoming: linked.incoming }
    }
}

impl From<query::ClockOffset> for ClockOffset {
    fn from(offset: query::ClockOffset) -> ClockOffset {
        ClockOffset { service: offset.service, instance: offset.instance, offset_ns: offset.offset_ns, confidence: offset.confidence }
    }
}

#[cfg(test)]
pub(super) mod tests;
