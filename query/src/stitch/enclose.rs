//! Which span was going on: the innermost one around a stretch of time.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use needle_storage::model::UnixNanos;

use super::tree::{Role, Tree};

/// Answers for stretches of time in the order of their starts, over spans by their estimated clocks.
pub(super) struct Sweep<'a> {
    tree: &'a Tree,
    depths: &'a [usize],
    by_start: Vec<usize>,
    opened: usize,
    /// Spans that have begun and, as far as is known, not ended: the shortest first, of equal ones the deepest.
    open: BTreeSet<(i64, Reverse<usize>, usize)>,
    /// Of the spans that have begun, the one that ends last.
    last_to_end: Option<usize>,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(tree: &'a Tree, depths: &'a [usize], spans: impl IntoIterator<Item = usize>) -> Sweep<'a> {
        let mut by_start: Vec<usize> = spans.into_iter().filter(|&index| tree.nodes[index].role == Role::Span).collect();
        by_start.sort_by_key(|&index| (tree.nodes[index].placed_start(), index));
        Sweep { tree, depths, by_start, opened: 0, open: BTreeSet::new(), last_to_end: None }
    }

    /// The shortest span that lasts from `from` to `to`. `from` never goes back.
    pub(super) fn innermost(&mut self, from: UnixNanos, to: UnixNanos) -> Option<usize> {
        self.innermost_two(from, to, |_| true).first().copied()
    }

    /// The same of those that are accepted, and whether another one is that is not above it, so that either may be meant.
    pub(super) fn innermost_and_doubt(&mut self, from: UnixNanos, to: UnixNanos, accept: impl Fn(usize) -> bool) -> Option<(usize, bool)> {
        let two = self.innermost_two(from, to, accept);
        let innermost = *two.first()?;
        Some((innermost, two.get(1).is_some_and(|&other| !is_above(self.tree, other, innermost))))
    }

    fn innermost_two(&mut self, from: UnixNanos, to: UnixNanos, accept: impl Fn(usize) -> bool) -> Vec<usize> {
        self.open_until(from);
        let mut ended = Vec::new();
        let mut around = Vec::new();
        for entry in &self.open {
            let end = self.tree.nodes[entry.2].placed_end();
            if end < from {
                ended.push(*entry);
            } else if end >= to && accept(entry.2) {
                around.push(entry.2);
                if around.len() == 2 {
                    break;
                }
            }
        }
        ended.iter().for_each(|entry| {
            self.open.remove(entry);
        });
        around
    }

    /// The span that is nearest in time, where none is around it.
    pub(super) fn nearest(&mut self, at: UnixNanos) -> Option<usize> {
        self.open_until(at);
        let before = self.last_to_end;
        let after = self.by_start.get(self.opened).copied();
        let distance = |index: &usize| {
            let node = &self.tree.nodes[*index];
            at.since(node.placed_end()).max(node.placed_start().since(at))
        };
        before.into_iter().chain(after).min_by_key(distance)
    }

    fn open_until(&mut self, time: UnixNanos) {
        while let Some(&index) = self.by_start.get(self.opened) {
            let node = &self.tree.nodes[index];
            if node.placed_start() > time {
                break;
            }
            if self.last_to_end.is_none_or(|last| self.tree.nodes[last].placed_end() < node.placed_end()) {
                self.last_to_end = Some(index);
            }
            self.open.insert((node.end.since(node.start), Reverse(self.depths[index]), index));
            self.opened += 1;
        }
    }
}

/// Whether a node is an ancestor of another.
pub(super) fn is_above(tree: &Tree, above: usize, mut index: usize) -> bool {
    while let Some(parent) = tree.nodes[index].parent {
        if parent == above {
            return true;
        }
        index = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use needle_storage::model::SpanKind;
    use proptest::prelude::*;

    use super::*;
    use crate::stitch::tests::builder::{Shop, at, tree_of};

    proptest! {
        #[test]
        fn a_sweep_finds_what_looking_at_every_span_finds(
            spans in prop::collection::vec((0..50_i64, 0..30_i64), 1..30),
            mut stretches in prop::collection::vec((-5..60_i64, 0..10_i64), 1..20),
        ) {
            let mut shop = Shop::default();
            for (id, (start, length)) in (1..).zip(&spans) {
                shop.span("a", SpanKind::INTERNAL, id, 0, *start, start + length);
            }
            let tree = tree_of(&shop);
            let depths = vec![0; tree.nodes.len()];
            let mut sweep = Sweep::new(&tree, &depths, 0..tree.nodes.len());
            stretches.sort_unstable();
            for (from, length) in stretches {
                let (from, to) = (at(from), at(from + length));
                let around = (0..tree.nodes.len()).filter(|&n| tree.nodes[n].start <= from && to <= tree.nodes[n].end);
                let expected = around.min_by_key(|&n| (tree.nodes[n].end.since(tree.nodes[n].start), n));
                prop_assert_eq!(sweep.innermost(from, to), expected);
                if sweep.innermost(from, from).is_none() {
                    let distance = |n: usize| from.since(tree.nodes[n].end).max(tree.nodes[n].start.since(from));
                    let nearest = sweep.nearest(from).expect("there are spans");
                    prop_assert_eq!(Some(distance(nearest)), (0..tree.nodes.len()).map(distance).min());
                }
            }
        }
    }
}
