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

/// Clocks are compared as they are corrected, whatever is shown: a child whose clock is off was going on all the same.
fn gaps(nodes: &[Node], beside: &[Beside], parents: &[Option<usize>], duration_ns: i64) -> Vec<Gap> {
    let long_ns = (duration_ns / GAP_SHARE).max(1);
    let ahead_of_shown = |index: usize| beside[index].offset_ns.saturating_sub(nodes[index].corrected_by_ns);
    let start_of = |index: usize| nodes[index].start.saturating_add_signed(ahead_of_shown(index));
    let end_of = |index: usize| start_of(index).saturating_add_signed(nodes[index].duration_ns.max(0));
    // When something was going on below or beside the span itself.
    let mut busy: HashMap<usize, Vec<(UnixNanos, UnixNanos)>> = HashMap::new();
    let may_have = |node: &Node| node.critical && node.is_span && node.duration_ns >= long_ns;
    for (index, _) in nodes.iter().enumerate().filter(|(_, node)| may_have(node)) {
        let times = beside[index].lines.iter().map(|line| line.time.saturating_add_signed(beside[index].offset_ns));
        busy.insert(index, times.map(|time| (time, time)).collect());
    }
    for (index, parent) in parents.iter().enumerate() {
        if let Some(times) = parent.and_then(|parent| busy.get_mut(&parent)) {
            times.push((start_of(index), end_of(index)));
        }
    }
    let mut gaps: Vec<(usize, Gap)> = Vec::new();
    for (index, mut times) in busy {
        let (start, end) = (start_of(index), end_of(index));
        times.push((end, end));
        times.sort_unstable();
        let mut silent_since = start;
        for (from, to) in times {
            let length_ns = from.min(end).since(silent_since);
            if length_ns >= long_ns {
                let start = silent_since.saturating_add_signed(ahead_of_shown(index).saturating_neg());
                gaps.push((index, Gap { node_id: nodes[index].node_id.to_string(), start, duration_ns: length_ns }));
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
