//! Where the time went: the critical path and the time of each node's own.

use needle_storage::model::SpanKind;

use super::tree::{Role, Tree};

/// Marks the nodes that the end of `root` waited for: from its end back, always the child that ended last
/// before. An estimate, since spans do not say what waited for what. Nobody waits for whoever takes a message.
pub(super) fn critical_path(tree: &Tree, children: &[Vec<usize>], root: usize) -> Vec<bool> {
    let mut critical = vec![false; tree.nodes.len()];
    let mut walk = vec![(root, tree.nodes[root].placed_end())];
    while let Some((index, until)) = walk.pop() {
        critical[index] = true;
        let node = &tree.nodes[index];
        let mut waited_for = node.placed_end().min(until);
        let mut by_end: Vec<usize> = children[index].clone();
        by_end.sort_by_key(|&child| (std::cmp::Reverse(tree.nodes[child].placed_end()), child));
        for child in by_end {
            let (start, end) = (tree.nodes[child].placed_start(), tree.nodes[child].placed_end().min(node.placed_end()));
            let asynchronous = node.kind == SpanKind::PRODUCER || tree.nodes[child].kind == SpanKind::CONSUMER;
            if !asynchronous && end <= waited_for && start < end && start >= node.placed_start() {
                walk.push((child, end));
                waited_for = start;
            }
        }
    }
    critical
}

/// Nanoseconds of each node's duration that no child covers.
pub(super) fn self_times_ns(tree: &Tree, children: &[Vec<usize>]) -> Vec<i64> {
    let self_time = |(node, children): (&super::tree::TreeNode, &Vec<usize>)| {
        if node.role == Role::Missing {
            return 0;
        }
        let (start, end) = (node.placed_start(), node.placed_end());
        let mut covered: Vec<_> = children
            .iter()
            .map(|&child| (tree.nodes[child].placed_start().max(start), tree.nodes[child].placed_end().min(end)))
            .filter(|(from, to)| from < to)
            .collect();
        covered.sort_unstable();
        let mut own_ns = end.since(start);
        let mut until = start;
        for (from, to) in covered {
            let from = from.max(until);
            if from < to {
                own_ns -= to.since(from);
                until = to;
            }
        }
        own_ns
    };
    tree.nodes.iter().zip(children).map(self_time).collect()
}
