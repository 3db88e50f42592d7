//! The tree of a journey: spans under their parents, places of missing ones, cycles cut.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use needle_storage::model::{RecordId, SpanId, SpanKind, TraceId, UnixNanos, Value};

use super::bar::Bar;
use super::copies::Received;
use super::line::Line;
use crate::answer::Inference;
use crate::limits::LONG_SPAN_NS;

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A span that was received.
    Span,
    /// A parent that was not.
    Missing,
    /// The lines of a service that belong to no span.
    Lines,
}

/// A node, with its parent by index.
#[derive(Clone, Debug)]
pub(super) struct TreeNode {
    pub(super) role: Role,
    pub(super) span: Option<Bar>,
    pub(super) trace_id: Option<TraceId>,
    /// Of the span, or of the missing one.
    pub(super) span_id: Option<SpanId>,
    pub(super) service: Arc<str>,
    pub(super) process: Arc<Process>,
    pub(super) kind: SpanKind,
    /// As recorded.
    pub(super) start: UnixNanos,
    /// As recorded, not before `start`.
    pub(super) end: UnixNanos,
    /// To be added to the times of this node's service, nanoseconds.
    pub(super) offset_ns: i64,
    pub(super) parent: Option<usize>,
    pub(super) lines: Vec<Line>,
    pub(super) flags: Vec<&'static str>,
    pub(super) inferred: Option<Inference>,
    /// Nodes that may as well be its parent, where that is not decided.
    pub(super) candidates: Vec<usize>,
    /// Settles the order of nodes that start at the same time.
    pub(super) first_record: RecordId,
}

impl TreeNode {
    /// Start by the estimated clock.
    pub(super) fn placed_start(&self) -> UnixNanos {
        self.start.saturating_add_signed(self.offset_ns)
    }

    /// End by the estimated clock.
    pub(super) fn placed_end(&self) -> UnixNanos {
        self.end.saturating_add_signed(self.offset_ns)
    }

    fn of_span(received: Received) -> TreeNode {
        let Received { span, mut flags } = received;
        if span.duration_ns < 0 {
            flags.push("negative_duration");
        }
        if span.duration_ns > LONG_SPAN_NS {
            flags.push("long_duration");
        }
        TreeNode {
            role: Role::Span,
            trace_id: span.trace_id,
            span_id: span.span_id,
            service: span.source.service.clone(),
            process: span.source.process.clone(),
            kind: span.kind,
            start: span.start,
            end: span.end(),
            offset_ns: 0,
            parent: None,
            lines: Vec::new(),
            flags,
            inferred: None,
            candidates: Vec::new(),
            first_record: span.record_id,
            span: Some(span),
        }
    }
}

/// Which process of a service sent a record, as far as the record tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Process {
    pub(super) instance: Option<String>,
    /// Whose clock it goes by.
    pub(super) machine: Option<String>,
}

/// A service and one of its processes.
pub(super) type OfService = (Arc<str>, Arc<Process>);

/// What tells processes of one service apart, the most telling first: as SDKs and collectors put it into the resource.
const INSTANCE_KEYS: [&str; 5] = ["service.instance.id", "k8s.pod.uid", "k8s.pod.name", "container.id", "host.name"];
/// The same, as loggers and shippers of logs write it on each line.
const INSTANCE_KEYS_OF_LINES: [&str; 6] = ["hostname", "host.name", "host", "pod", "pod_name", "kubernetes.pod_name"];
/// The machine, in the resource or on the line.
const MACHINE_KEYS: [&str; 4] = ["k8s.node.name", "host.id", "kubernetes.host", "kubernetes.node_name"];

/// Keys under which a record may name its instance.
pub(crate) static ALL_INSTANCE_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut keys: Vec<&str> = INSTANCE_KEYS.into_iter().chain(INSTANCE_KEYS_OF_LINES).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
});

/// The keys of attributes that processes are told by.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    INSTANCE_KEYS_OF_LINES.into_iter().chain(MACHINE_KEYS)
}

impl Process {
    /// As a resource and attributes tell.
    pub(super) fn of(resource: &[(String, Value)], attributes: &[(String, Value)]) -> Process {
        let find = |attributes: &[(String, Value)], keys: &[&str]| {
            let of_key = |key: &&str| attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.text());
            keys.iter().filter_map(of_key).find(|text| !text.is_empty())
        };
        Process {
            instance: find(resource, &INSTANCE_KEYS).or_else(|| find(attributes, &INSTANCE_KEYS_OF_LINES)),
            machine: find(resource, &MACHINE_KEYS).or_else(|| find(attributes, &MACHINE_KEYS)),
        }
    }
}

/// Nodes in no particular order; parents by index.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<TreeNode>,
    /// Spans by their identity; several share it in Zipkin's client and server pairs, and in conflicts.
    pub(super) by_span: HashMap<(Option<TraceId>, SpanId), Vec<usize>, ahash::RandomState>,
    /// Places of missing parents.
    pub(super) missing: BTreeMap<(Option<TraceId>, SpanId), usize>,
}

impl Tree {
    /// The tree of spans in time order, with what is odd about each.
    pub(super) fn of_spans(spans: Vec<Received>) -> Tree {
        let mut tree = Tree { nodes: spans.into_iter().map(TreeNode::of_span).collect(), ..Tree::default() };
        for (index, node) in tree.nodes.iter().enumerate() {
            if let Some(span_id) = node.span_id {
                tree.by_span.entry((node.trace_id, span_id)).or_default().push(index);
            }
        }
        for index in 0..tree.nodes.len() {
            tree.link_to_parent(index);
        }
        cut_cycles(&mut tree.nodes);
        tree.settle_missing();
        tree
    }

    fn link_to_parent(&mut self, index: usize) {
        if let Some(caller) = self.caller_with_same_id(index) {
            self.nodes[index].parent = Some(caller);
            return;
        }
        let node = &self.nodes[index];
        let Some(parent_id) = node.span.as_ref().and_then(|span| span.parent_span_id) else { return };
        if Some(parent_id) == node.span_id {
            self.nodes[index].flags.push("self_parent");
            return;
        }
        let key = (node.trace_id, parent_id);
        if let Some(parent) = self.by_span.get(&key).and_then(|same_id| self.parent_among(same_id, &node.service)) {
            self.nodes[index].parent = Some(parent);
            return;
        }
        let place = *self.missing.entry(key).or_insert(self.nodes.len());
        if place == self.nodes.len() {
            self.nodes.push(missing_node(key));
        }
        self.nodes[index].parent = Some(place);
    }

    /// In Zipkin's model the server's span has the id of the client's: it hangs below it.
    fn caller_with_same_id(&self, index: usize) -> Option<usize> {
        let node = &self.nodes[index];
        let calling = match node.kind {
            SpanKind::SERVER => SpanKind::CLIENT,
            SpanKind::CONSUMER => SpanKind::PRODUCER,
            _ => return None,
        };
        let same_id = self.by_span.get(&(node.trace_id, node.span_id?))?;
        same_id.iter().copied().find(|&other| self.nodes[other].kind == calling)
    }

    /// Of the spans that share the parent's id, the one that runs in the child's service; else the
    /// handling one, which is the innermost.
    fn parent_among(&self, same_id: &[usize], service: &str) -> Option<usize> {
        let handles = |index: usize| matches!(self.nodes[index].kind, SpanKind::SERVER | SpanKind::CONSUMER);
        let rank = |index: usize| (*self.nodes[index].service == *service, handles(index));
        let best = same_id.iter().copied().map(rank).max()?;
        same_id.iter().copied().find(|&index| rank(index) == best)
    }

    /// A missing parent lasts as long as what is known of it.
    fn settle_missing(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(parent) = self.nodes[index].parent else { continue };
            if self.nodes[parent].role == Role::Missing {
                let (start, end, first) = (self.nodes[index].start, self.nodes[index].end, self.nodes[index].first_record);
                let node = &mut self.nodes[parent];
                node.start = node.start.min(start);
                node.end = node.end.max(end);
                node.first_record = node.first_record.min(first);
            }
        }
    }

    /// Indices of nodes without a parent.
    pub(super) fn roots(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].parent.is_none()).collect()
    }

    /// The root above a node.
    pub(super) fn root_of(&self, mut index: usize) -> usize {
        while let Some(parent) = self.nodes[index].parent {
            index = parent;
        }
        index
    }

    /// The root that stands for the whole journey: a span without a parent before the place of a missing
    /// one, the earliest first.
    pub(super) fn main_root(&self) -> Option<usize> {
        self.roots().into_iter().min_by_key(|&index| {
            let node = &self.nodes[index];
            (node.role != Role::Span, node.start, std::cmp::Reverse(node.end), node.span_id, node.first_record)
        })
    }
}

fn missing_node((trace_id, span_id): (Option<TraceId>, SpanId)) -> TreeNode {
    TreeNode {
        role: Role::Missing,
        span: None,
        trace_id,
        span_id: Some(span_id),
        service: "".into(),
        process: Arc::default(),
        kind: SpanKind::default(),
        start: UnixNanos::MAX,
        end: UnixNanos::MIN,
        offset_ns: 0,
        parent: None,
        lines: Vec::new(),
        flags: Vec::new(),
        inferred: None,
        candidates: Vec::new(),
        first_record: RecordId(u64::MAX),
    }
}

/// Cuts each cycle above its member that starts last.
fn cut_cycles(nodes: &mut [TreeNode]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnThisWalk(usize),
        Before,
    }
    let mut seen = vec![Seen::No; nodes.len()];
    for first in 0..nodes.len() {
        let mut path = Vec::new();
        let mut next = Some(first);
        while let Some(index) = next {
            match seen[index] {
                Seen::Before => break,
                Seen::OnThisWalk(at) => {
                    let cut = path[at..]
                        .iter()
                        .copied()
                        .max_by_key(|&member: &usize| (nodes[member].start, nodes[member].span_id, nodes[member].first_record));
                    let cut = cut.expect("a cycle has a member");
                    nodes[cut].parent = None;
                    nodes[cut].flags.push("cycle");
                    break;
                }
                Seen::No => {
                    seen[index] = Seen::OnThisWalk(path.len());
                    path.push(index);
                    next = nodes[index].parent;
                }
            }
        }
        path.into_iter().for_each(|index| seen[index] = Seen::Before);
    }
}
