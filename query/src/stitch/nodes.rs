//! From the tree to the answer: order, names, depth, one list in pre-order.

use std::collections::HashMap;
use std::sync::Arc;

use needle_storage::model::{RecordId, SpanId, SpanKind, StatusCode, UnixNanos};

use super::Beside;
use super::bar::Whole;
use super::critical_path::{critical_path, self_times_ns};
use super::tree::{Process, Role, Tree, TreeNode};
use crate::answer::{Inference, Node};

/// Children of each node and the roots, both by time, then record id.
pub(super) struct Order {
    pub(super) children: Vec<Vec<usize>>,
    pub(super) roots: Vec<usize>,
}

impl Order {
    pub(super) fn of(tree: &Tree, corrected: bool) -> Order {
        let mut order = Order { children: vec![Vec::new(); tree.nodes.len()], roots: Vec::new() };
        let mut by_time: Vec<usize> = (0..tree.nodes.len()).collect();
        by_time.sort_by(|&a, &b| sort_key(&tree.nodes[a], corrected, a).cmp(&sort_key(&tree.nodes[b], corrected, b)));
        for index in by_time {
            match tree.nodes[index].parent {
                Some(parent) => order.children[parent].push(index),
                None => order.roots.push(index),
            }
        }
        order
    }

    /// Nodes in pre-order, each with its depth.
    fn pre_order(&self) -> Vec<(usize, usize)> {
        let mut walk: Vec<(usize, usize)> = self.roots.iter().rev().map(|&root| (root, 0)).collect();
        let mut visited = Vec::with_capacity(self.children.len());
        while let Some((index, depth)) = walk.pop() {
            visited.push((index, depth));
            walk.extend(self.children[index].iter().rev().map(|&child| (child, depth + 1)));
        }
        visited
    }
}

/// By time; what starts at the same time by what it says of itself, so that the order of arrival does not matter.
fn sort_key(node: &TreeNode, corrected: bool, index: usize) -> (UnixNanos, bool, Option<SpanId>, &str, &Process, RecordId, usize) {
    let first = node.role != Role::Missing;
    (shown_start(node, corrected), first, node.span_id, &node.service, &node.process, node.first_record, index)
}

fn shown_start(node: &TreeNode, corrected: bool) -> UnixNanos {
    if corrected { node.placed_start() } else { node.start }
}

/// Depths of all nodes.
pub(super) fn depths(tree: &Tree) -> Vec<usize> {
    let mut depths = vec![0; tree.nodes.len()];
    for (index, depth) in Order::of(tree, false).pre_order() {
        depths[index] = depth;
    }
    depths
}

/// The whole tree as a list in pre-order.
///
/// Beside each node stands what of it may not have been read.
pub(super) fn in_pre_order(mut tree: Tree, corrected: bool) -> (Vec<Node>, Vec<Beside>) {
    let order = Order::of(&tree, corrected);
    let self_times_ns = self_times_ns(&tree, &order.children);
    let main_root = order.roots.iter().copied().min_by_key(|&root| tree.nodes[root].role != Role::Span);
    let critical = main_root.map_or_else(Vec::new, |root| critical_path(&tree, &order.children, root));
    let visited = order.pre_order();
    let names = node_ids(&tree, &visited);
    // Of a million spans as much as their nodes take.
    tree.by_span = HashMap::default();
    let mut nodes = Vec::with_capacity(visited.len());
    let mut beside = Vec::with_capacity(visited.len());
    let [missing, logs_only]: [Arc<str>; 2] = ["missing parent".into(), "logs only".into()];
    for (place, (index, depth)) in visited.into_iter().enumerate() {
        let node = &mut tree.nodes[index];
        let mut lines = std::mem::take(&mut node.lines);
        lines.sort_by_key(|line| (line.time, line.record_id));
        let candidates = node.candidates.iter().map(|candidate| names[*candidate].to_string()).collect();
        let inferred = node.inferred.take().map(|why| Inference { candidates, ..why });
        let span = node.span.take();
        let name = match (&span, node.role) {
            (Some(span), _) => span.name.clone(),
            (None, Role::Missing) => missing.clone(),
            (None, _) => logs_only.clone(),
        };
        nodes.push(Node {
            node_id: names[index].clone(),
            parent_node_id: node.parent.map(|parent| names[parent].clone()),
            depth,
            service: node.service.clone(),
            name,
            kind: span.as_ref().map_or(SpanKind::default(), |span| span.kind),
            start: shown_start(node, corrected),
            corrected_by_ns: if corrected { node.offset_ns } else { 0 },
            duration_ns: span.as_ref().map_or(node.end.since(node.start), |span| span.duration_ns),
            self_time_ns: self_times_ns[index],
            status: span.as_ref().map_or(StatusCode::UNSET, |span| span.status),
            critical: critical[index],
            inferred,
            missing: node.role == Role::Missing,
            flags: std::mem::take(&mut node.flags),
            is_span: span.is_some(),
            span: None,
            logs: Vec::new(),
            logs_total: lines.len(),
            log_errors: lines.iter().filter(|line| line.is_error).count(),
            children: order.children[index].len(),
        });
        let mut span_at = None;
        match span.map(|span| (span.record_id, span.whole)) {
            Some((_, Whole::Here(whole))) => nodes[place].span = Some(whole),
            Some((record_id, Whole::At(at))) => span_at = Some((record_id, at)),
            None => {}
        }
        beside.push(Beside { span_at, lines, offset_ns: node.offset_ns });
    }
    (nodes, beside)
}

/// A name for each node by which it is found again: the span id; with the kind or a number where an id is shared.
fn node_ids(tree: &Tree, visited: &[(usize, usize)]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = vec![Arc::from(""); tree.nodes.len()];
    let mut used: HashMap<Arc<str>, usize, ahash::RandomState> = HashMap::default();
    for &(index, _) in visited {
        let node = &tree.nodes[index];
        let plain = match (node.role, node.span_id) {
            (Role::Missing, Some(span_id)) => format!("missing-{span_id}"),
            (Role::Span, Some(span_id)) => span_id.to_string(),
            (Role::Lines, _) if node.inferred.is_some() => format!("inferred-{}", node.service),
            (Role::Lines, _) => format!("logs-{}", node.service),
            (_, None) => format!("record-{}", node.first_record.0),
        };
        let by_kind =
            || Some(format!("{plain}-{}", node.kind.name())).filter(|name| node.role == Role::Span && !used.contains_key(&**name));
        let always_numbered = node.role == Role::Lines && node.inferred.is_some();
        let name: Arc<str> = if !always_numbered && !used.contains_key(&*plain) {
            plain.into()
        } else if let Some(by_kind) = by_kind() {
            by_kind.into()
        } else {
            let mut number = used.get(&*plain).copied().unwrap_or(0) + 1;
            while used.contains_key(&*format!("{plain}-{number}")) {
                number += 1;
            }
            used.insert(plain.as_str().into(), number);
            format!("{plain}-{number}").into()
        };
        used.entry(name.clone()).or_insert(1);
        names[index] = name;
    }
    names
}
