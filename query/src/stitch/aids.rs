//! What helps to read a large tree: silent gaps, siblings that are alike, and what each service did itself.

use std::collections::HashMap;

use needle_storage::model::{SpanKind, StatusCode, UnixNanos};

use super::Beside;
use crate::answer::{Gap, Node, SiblingGroup};
use crate::limits::{GAP_SHARE, SIBLINGS_MIN};

/// Found in a tree that is listed in pre-order.
pub(super) struct Aids<'a> {
    /// Stretches in which a span of the critical path has neither child nor log, the longest first.
    pub(super) gaps: Vec<Gap>,
    /// In tree order of their first.
    pub(super) groups: Vec<SiblingGroup>,
    /// By service, nanoseconds.
    pub(super) self_times_ns: HashMap<&'a str, i64, ahash::RandomState>,
}

/// The aids for a journey that takes so long.
pub(super) fn of<'a>(nodes: &'a [Node], beside: &[Beside], duration_ns: i64) -> Aids<'a> {
    let parents = parents(nodes);
    let mut self_times_ns: HashMap<&str, i64, ahash::RandomState> = HashMap::default();
    for node in nodes.iter().filter(|node| node.is_span) {
        *self_times_ns.entry(&node.service).or_default() += node.self_time_ns;
    }
    Aids { gaps: gaps(nodes, beside, &parents, duration_ns), groups: groups(nodes, &parents), self_times_ns }
}

/// In pre-order the parent is the last node that is one level up.
fn parents(nodes: &[Node]) -> Vec<Option<usize>> {
    let mut above: Vec<usize> = Vec::new();
    let parent_of = |(index, node): (usize, &Node)| {
        above.truncate(node.depth);
        let parent = above.last().copied();
        above.push(index);
        parent
    };
    nodes.iter().enumerate().map(parent_of).collect()
}

fn end_of(node: &Node) -> UnixNanos {
    node.start.saturating_add_signed(node.duration_ns.max(0))
}

fn gaps(nodes: &[Node], beside: &[Beside], parents: &[Option<usize>], duration_ns: i64) -> Vec<Gap> {
    let long_ns = (duration_ns / GAP_SHARE).max(1);
    // When something was going on below or beside the span itself.
    let mut busy: HashMap<usize, Vec<(UnixNanos, UnixNanos)>> = HashMap::new();
    let may_have = |node: &Node| node.critical && node.is_span && node.duration_ns >= long_ns;
    for (index, _) in nodes.iter().enumerate().filter(|(_, node)| may_have(node)) {
        busy.insert(index, beside[index].lines.iter().map(|line| (line.time, line.time)).collect());
    }
    for (node, parent) in nodes.iter().zip(parents) {
        if let Some(times) = parent.and_then(|parent| busy.get_mut(&parent)) {
            times.push((node.start, end_of(node)));
        }
    }
    let mut gaps: Vec<(usize, Gap)> = Vec::new();
    for (index, mut times) in busy {
        let node = &nodes[index];
        times.push((end_of(node), end_of(node)));
        times.sort_unstable();
        let mut silent_since = node.start;
        for (from, to) in times {
            let from = from.min(end_of(node));
            if from.since(silent_since) >= long_ns {
                let gap = Gap { node_id: node.node_id.to_string(), start: silent_since, duration_ns: from.since(silent_since) };
                gaps.push((index, gap));
            }
            silent_since = silent_since.max(to);
        }
    }
    gaps.sort_by_key(|(index, gap)| (std::cmp::Reverse(gap.duration_ns), *index));
    gaps.into_iter().map(|(_, gap)| gap).collect()
}

fn groups(nodes: &[Node], parents: &[Option<usize>]) -> Vec<SiblingGroup> {
    type Alike<'a> = (Option<usize>, &'a str, &'a str, SpanKind);
    let mut alike: HashMap<Alike<'_>, Vec<usize>, ahash::RandomState> = HashMap::default();
    for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.is_span) {
        alike.entry((parents[index], &node.service, &node.name, node.kind)).or_default().push(index);
    }
    let mut groups: Vec<(usize, SiblingGroup)> = Vec::new();
    for ((parent, service, name, kind), members) in alike.into_iter().filter(|(_, members)| members.len() >= SIBLINGS_MIN) {
        let slowest = members.iter().copied().max_by_key(|&index| (nodes[index].duration_ns, std::cmp::Reverse(index)));
        let slowest = &nodes[slowest.expect("a group has members")];
        let group = SiblingGroup {
            parent_node_id: parent.map(|parent| nodes[parent].node_id.to_string()),
            service: service.to_owned(),
            name: name.to_owned(),
            kind,
            count: members.len(),
            errors: members.iter().filter(|&&index| nodes[index].status == StatusCode::ERROR).count(),
            total_ns: members.iter().map(|&index| nodes[index].duration_ns).fold(0, i64::saturating_add),
            slowest_node_id: slowest.node_id.to_string(),
            slowest_ns: slowest.duration_ns,
        };
        groups.push((members[0], group));
    }
    groups.sort_by_key(|(first, _)| *first);
    groups.into_iter().map(|(_, group)| group).collect()
}
