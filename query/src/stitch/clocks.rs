//! How far the clocks of service instances are off, by the rule that a call's handling lies within the
//! call: a server span must fit its client span. Messages are no evidence, they wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use needle_storage::model::SpanKind;

use super::tree::{Role, Tree, TreeNode};
use crate::answer::ClockOffset;

/// A process with a clock: service and instance.
type Instance = (String, Option<String>);

/// The offsets that make one call fit: at least, and at most unless the callee outlived the call.
#[derive(Clone, Copy)]
struct Bounds {
    at_least_ns: i64,
    at_most_ns: Option<i64>,
}

/// The offsets of all instances that calls connect with the main root's, which is taken as right; that one left out.
pub(super) fn estimate(tree: &Tree) -> Vec<ClockOffset> {
    let Some(reference) = tree.main_root().and_then(|root| reference_instance(tree, root)) else { return Vec::new() };
    let mut calls: BTreeMap<(Instance, Instance), Vec<Bounds>> = BTreeMap::new();
    for node in &tree.nodes {
        if let Some(caller) = node.parent.map(|parent| &tree.nodes[parent]).filter(|caller| is_call(caller, node)) {
            calls.entry((instance(caller), instance(node))).or_default().push(bounds(caller, node));
        }
    }
    let mut neighbours: BTreeMap<&Instance, Vec<(&Instance, i64, f64)>> = BTreeMap::new();
    for ((caller, callee), bounds) in &calls {
        let (offset_ns, confidence) = offset_of(bounds);
        neighbours.entry(caller).or_default().push((callee, offset_ns, confidence));
        neighbours.entry(callee).or_default().push((caller, offset_ns.saturating_neg(), confidence));
    }
    let mut known = BTreeSet::from([&reference]);
    let mut queue = VecDeque::from([(&reference, 0_i64, 1.0_f64)]);
    let mut offsets = Vec::new();
    while let Some((from, from_offset_ns, from_confidence)) = queue.pop_front() {
        for (to, offset_ns, confidence) in neighbours.get(from).into_iter().flatten() {
            if known.insert(to) {
                let (offset_ns, confidence) = (from_offset_ns.saturating_add(*offset_ns), from_confidence * confidence);
                offsets.push(ClockOffset { service: to.0.clone(), instance: to.1.clone(), offset_ns, confidence });
                queue.push_back((to, offset_ns, confidence));
            }
        }
    }
    offsets.sort_by(|a, b| (&a.service, &a.instance).cmp(&(&b.service, &b.instance)));
    offsets
}

/// Sets the offset of every node whose instance has one.
pub(super) fn apply(tree: &mut Tree, offsets: &[ClockOffset]) {
    for node in &mut tree.nodes {
        node.offset_ns = offset_for(offsets, &node.service, node.instance.as_ref());
    }
    // The place of a missing parent moves with what is below it.
    for index in 0..tree.nodes.len() {
        if let Some(parent) = tree.nodes[index].parent.filter(|&parent| tree.nodes[parent].role == Role::Missing)
            && tree.nodes[index].first_record == tree.nodes[parent].first_record
        {
            tree.nodes[parent].offset_ns = tree.nodes[index].offset_ns;
        }
    }
}

/// The offset of an instance; of its service's only instance when the record names none.
pub(super) fn offset_for(offsets: &[ClockOffset], service: &str, instance: Option<&String>) -> i64 {
    let mut of_service = offsets.iter().filter(|offset| offset.service == service);
    match instance {
        Some(_) => of_service.find(|offset| offset.instance.as_ref() == instance).map_or(0, |offset| offset.offset_ns),
        None => {
            let first = of_service.next();
            first.filter(|_| of_service.next().is_none()).map_or(0, |offset| offset.offset_ns)
        }
    }
}

/// The instance of a root; of its first child when the root is missing.
fn reference_instance(tree: &Tree, root: usize) -> Option<Instance> {
    if tree.nodes[root].role == Role::Span {
        return Some(instance(&tree.nodes[root]));
    }
    tree.nodes
        .iter()
        .filter(|node| node.parent == Some(root) && node.role == Role::Span)
        .min_by_key(|node| (node.start, node.first_record))
        .map(instance)
}

fn instance(node: &TreeNode) -> Instance {
    (node.service.clone(), node.instance.clone())
}

fn is_call(caller: &TreeNode, callee: &TreeNode) -> bool {
    let kinds = caller.kind == SpanKind::CLIENT && callee.kind == SpanKind::SERVER;
    kinds && (&caller.service, &caller.instance) != (&callee.service, &callee.instance)
}

fn bounds(caller: &TreeNode, callee: &TreeNode) -> Bounds {
    let at_least_ns = caller.start.since(callee.start);
    let at_most_ns = caller.end.since(callee.end);
    // A callee that outlived the call (the caller gave up) only tells that it did not begin earlier.
    Bounds { at_least_ns, at_most_ns: (at_most_ns >= at_least_ns).then_some(at_most_ns) }
}

/// The callee's offset and how sure it is. Zero when it fits as it is: the middle of the slack would be a guess.
fn offset_of(calls: &[Bounds]) -> (i64, f64) {
    let at_least_ns = calls.iter().map(|call| call.at_least_ns).max().unwrap_or(i64::MIN);
    let at_most_ns = calls.iter().filter_map(|call| call.at_most_ns).min();
    let fits = |call: &&Bounds| call.at_least_ns <= 0 && call.at_most_ns.is_none_or(|most| most >= 0);
    let fitting = calls.iter().filter(fits).count();
    match at_most_ns {
        _ if fitting == calls.len() => (0, 0.9),
        // Most calls fit: the others are odd, not the clock.
        _ if fitting * 2 > calls.len() => (0, 0.5),
        None => (at_least_ns, 0.3),
        Some(at_most_ns) if at_least_ns <= at_most_ns => {
            let offset_ns = middle(at_least_ns, at_most_ns);
            let half_width = (at_most_ns as f64 - at_least_ns as f64) / 2.0;
            (offset_ns, 0.5 + 0.45 * offset_ns.unsigned_abs() as f64 / (offset_ns.unsigned_abs() as f64 + half_width + 1.0))
        }
        Some(_) => {
            let mut middles: Vec<i64> =
                calls.iter().map(|call| call.at_most_ns.map_or(call.at_least_ns, |most| middle(call.at_least_ns, most))).collect();
            middles.sort_unstable();
            (middles[middles.len() / 2], 0.5)
        }
    }
}

fn middle(a: i64, b: i64) -> i64 {
    ((i128::from(a) + i128::from(b)) / 2) as i64
}
