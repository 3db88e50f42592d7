//! A journey as columns, for drawing very many spans at once.

use std::collections::HashMap;
use std::sync::Arc;

use needle_query as query;
use needle_query::model::UnixNanos;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{Inference, JourneyHead};

/// The whole tree as columns. What is said of few nodes is listed with their places. Attributes and texts are left out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Skeleton {
    #[serde(flatten)]
    head: JourneyHead,
    columns: Columns,
    /// Places of nodes on the (estimated) critical path.
    critical: Vec<usize>,
    /// Places of parents that were never received.
    missing: Vec<usize>,
    /// Nodes that stand where no span says so, and why.
    inferred: Vec<InferredNode>,
    /// Nodes with something odd about them.
    flags: Vec<FlaggedNode>,
}

/// One entry for each node, in pre-order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Columns {
    /// Unique in the journey; by it the node is found in pages of the journey.
    #[serde(serialize_with = "texts")]
    #[schema(value_type = Vec<String>)]
    node_id: Vec<Arc<str>>,
    /// The place of the node above; -1 for a root.
    parent: Vec<i64>,
    /// `service.name`.
    service: Dictionary,
    /// The operation.
    name: Dictionary,
    /// `internal`, `server`, `client`, `producer`, `consumer`, `unspecified`.
    kind: Dictionary,
    /// `unset`, `ok`, `error`.
    status: Dictionary,
    /// Nanoseconds from the journey's start to the node's.
    start_after_ns: Vec<i64>,
    /// End minus start.
    duration_ns: Vec<i64>,
    /// Duration not covered by children.
    self_time_ns: Vec<i64>,
    /// How many logs belong to it.
    logs: Vec<usize>,
    /// How many of them say error or worse.
    log_errors: Vec<usize>,
}

/// A column of few different values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Dictionary {
    /// The values.
    values: Vec<String>,
    /// For each node the place of its value among them.
    codes: Vec<usize>,
    #[serde(skip)]
    places: HashMap<String, usize>,
}

impl Dictionary {
    fn push(&mut self, value: &str) {
        let code = match self.places.get(value) {
            Some(known) => *known,
            None => {
                self.values.push(value.to_owned());
                self.places.insert(value.to_owned(), self.values.len() - 1);
                self.values.len() - 1
            }
        };
        self.codes.push(code);
    }
}

fn texts<S: serde::Serializer>(texts: &[Arc<str>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.iter().map(AsRef::as_ref))
}

/// Why a node stands where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct InferredNode {
    /// Its place.
    node: usize,
    #[serde(flatten)]
    why: Inference,
}

/// What is odd about a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FlaggedNode {
    /// Its place.
    node: usize,
    /// `self_parent`, `cycle`, `conflict`, `negative_duration`, `long_duration` (more than 30 days).
    flags: Vec<&'static str>,
}

impl From<query::Journey> for Skeleton {
    fn from(mut journey: query::Journey) -> Skeleton {
        let nodes = std::mem::take(&mut journey.nodes);
        let start = journey.start;
        let mut columns = Columns::default();
        let (mut critical, mut missing, mut inferred, mut flags) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // In pre-order the parent is the last node that is one level up.
        let mut above: Vec<usize> = Vec::new();
        for (place, node) in nodes.into_iter().enumerate() {
            above.truncate(node.depth);
            columns.parent.push(above.last().map_or(-1, |parent| *parent as i64));
            above.push(place);
            columns.push(&node, start);
            critical.extend(node.critical.then_some(place));
            missing.extend(node.missing.then_some(place));
            inferred.extend(node.inferred.map(|why| InferredNode { node: place, why: Inference::from(why) }));
            if !node.flags.is_empty() {
                flags.push(FlaggedNode { node: place, flags: node.flags });
            }
        }
        Skeleton { head: JourneyHead::from(journey), columns, critical, missing, inferred, flags }
    }
}

impl Columns {
    fn push(&mut self, node: &query::Node, start: UnixNanos) {
        self.node_id.push(node.node_id.clone());
        self.service.push(&node.service);
        self.name.push(&node.name);
        self.kind.push(node.kind.name());
        self.status.push(node.status.name());
        self.start_after_ns.push(node.start.since(start));
        self.duration_ns.push(node.duration_ns);
        self.self_time_ns.push(node.self_time_ns);
        self.logs.push(node.logs_total);
        self.log_errors.push(node.log_errors);
    }
}

#[cfg(test)]
mod tests;
