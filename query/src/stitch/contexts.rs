//! What lost its context: parents that were never received, and traces that begin anew in the middle of a request.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use needle_storage::model::TraceId;

use super::enclose::{Call, Sweep};
use super::logs::Context;
use super::tree::{Role, Tree};
use crate::answer::Inference;

/// Puts the place of a missing parent under its trace's root, if there is one root and it encloses the place in time.
pub(super) fn missing_under_root(tree: &mut Tree) {
    let mut roots: BTreeMap<Option<TraceId>, Vec<usize>> = BTreeMap::new();
    for index in tree.roots() {
        let node = &tree.nodes[index];
        if node.role == Role::Span {
            roots.entry(node.trace_id).or_default().push(index);
        }
    }
    for place in tree.missing.values().copied().collect::<Vec<_>>() {
        let Some([root]) = roots.get(&tree.nodes[place].trace_id).map(Vec::as_slice) else { continue };
        let (node, root_node) = (&tree.nodes[place], &tree.nodes[*root]);
        if root_node.placed_start() <= node.placed_start() && node.placed_end() <= root_node.placed_end() {
            let reason = "this parent span was never received; it is shown under the only root of its trace, which encloses it in time";
            tree.nodes[place].parent = Some(*root);
            tree.nodes[place].inferred = Some(Inference { reason: reason.to_owned(), confidence: 0.5 });
        }
    }
}

/// Hangs the roots of a trace under the span of another trace with the same request id that was going on:
/// a call that names the root's service, else the innermost.
pub(super) fn broken(tree: &mut Tree, depths: &[usize], context: &Context, calls: &[Call]) {
    let ids = context.ids_of_traces();
    let mut traces: Vec<TraceId> = context.spans_of.keys().copied().collect();
    // A trace only hangs under one that began before it, so that no two hang under each other.
    traces.sort_by_key(|trace_id| {
        let spans = &context.spans_of[trace_id];
        let start = spans.iter().map(|&index| tree.nodes[index].placed_start()).min();
        let end = spans.iter().map(|&index| tree.nodes[index].placed_end()).max();
        (start, Reverse(end), *trace_id)
    });
    let mut roots_of: BTreeMap<TraceId, Vec<usize>> = BTreeMap::new();
    for index in tree.roots() {
        if let Some(trace_id) = tree.nodes[index].trace_id {
            roots_of.entry(trace_id).or_default().push(index);
        }
    }
    let mut placed = Vec::new();
    for (n, trace_id) in traces.iter().enumerate().skip(1) {
        let own_ids = &ids[trace_id];
        let related: BTreeSet<TraceId> = traces[..n].iter().copied().filter(|earlier| !ids[earlier].is_disjoint(own_ids)).collect();
        if related.is_empty() {
            continue;
        }
        let mut roots = roots_of.get(trace_id).cloned().unwrap_or_default();
        roots.sort_by_key(|&index| (tree.nodes[index].placed_start(), index));
        let mut sweep = Sweep::new(tree, depths, context.spans_in(&related));
        for root in roots {
            placed.extend(place(tree, root, &related, &mut sweep, calls).map(|(parent, inference)| (root, parent, inference)));
        }
    }
    for (root, parent, inference) in placed {
        tree.nodes[root].parent = Some(parent);
        tree.nodes[root].inferred = Some(inference);
    }
}

fn place(tree: &Tree, root: usize, related: &BTreeSet<TraceId>, sweep: &mut Sweep<'_>, calls: &[Call]) -> Option<(usize, Inference)> {
    let node = &tree.nodes[root];
    let (from, to) = (node.placed_start(), node.placed_end());
    let (innermost, ambiguous) = sweep.innermost_and_doubt(from, to)?;
    let named = calls
        .iter()
        .filter(|call| {
            let caller = &tree.nodes[call.index];
            caller.trace_id.is_some_and(|trace_id| related.contains(&trace_id))
                && caller.placed_start() <= from
                && to <= caller.placed_end()
        })
        .filter_map(|call| call.names(&node.service).map(|(likeness, _)| (likeness, call.index)))
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let (parent, confidence, how) = match named {
        Some((likeness, caller)) => (caller, 0.9 * likeness, "within a call that names its service"),
        None if ambiguous => (innermost, 0.4, "within this span, and within others"),
        None => (innermost, 0.6, "within this span"),
    };
    let reason = format!("a trace of its own with the same request id: the trace context was lost; it lies {how}");
    Some((parent, Inference { reason, confidence }))
}
