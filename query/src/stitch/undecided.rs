//! Where something is put of which several may be the caller: under the likeliest if it is likelier by far, else under what
//! is above them all. A coin's toss would be believed.

use std::collections::HashMap;

use needle_storage::model::SpanKind;

use super::logs_only::describe;
use super::tree::{Role, Tree};
use crate::answer::Inference;
use crate::limits::{CANDIDATES_MAX, DECIDED_BY};

/// What may be the caller, and how likely that is against others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) node: usize,
    pub(super) weight: f64,
}

/// What may be the callers of something, the likeliest first, and why that one.
pub(super) struct Placing {
    pub(super) choices: Vec<Choice>,
    /// What is to be placed, in words.
    pub(super) what: String,
    /// Why under the likeliest, and how sure that is.
    pub(super) why: Inference,
}

impl Placing {
    /// Hangs a node under the likeliest caller, or under what is above all that are about as likely.
    pub(super) fn put(mut self, tree: &mut Tree, node: usize) {
        let best = self.choices[0];
        self.choices[1..].sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.node.cmp(&b.node)));
        let likely = |choice: &&Choice| choice.weight * DECIDED_BY > best.weight;
        let mut candidates: Vec<usize> = self.choices.iter().filter(likely).map(|choice| choice.node).collect();
        candidates.dedup();
        let parent = above_all(tree, best.node, candidates[1..].iter().copied());
        let reason = if candidates.len() == 1 || parent == best.node {
            candidates.clear();
            self.why.reason
        } else {
            let named: Vec<String> = candidates.iter().take(NAMED_MAX).map(|candidate| describe(tree, *candidate)).collect();
            let more = if candidates.len() > NAMED_MAX { " and others" } else { "" };
            let (times, named) = (candidates.len(), named.join(", "));
            format!(
                "{}; not decided: one of {times} may have called it, each about as likely ({named}{more}), so it stands above them",
                self.what
            )
        };
        candidates.truncate(CANDIDATES_MAX);
        let node = &mut tree.nodes[node];
        node.parent = Some(if candidates.is_empty() { best.node } else { parent });
        node.candidates = candidates;
        node.inferred = Some(Inference::of(reason, self.why.confidence));
    }
}

/// Candidates that a reason names.
const NAMED_MAX: usize = 3;

/// A node, unless others that are not above it may be meant as well: then the innermost span at work above them all.
pub(super) fn above_all(tree: &Tree, best: usize, others: impl Iterator<Item = usize>) -> usize {
    let upward = |from: usize| std::iter::successors(Some(from), |&index| tree.nodes[index].parent);
    let path: Vec<usize> = upward(best).collect();
    let place_of: HashMap<usize, usize> = path.iter().copied().zip(0..).collect();
    let meets = |other: usize| upward(other).find_map(|index| place_of.get(&index).copied()).unwrap_or(path.len() - 1);
    let first = others.filter(|other| !place_of.contains_key(other)).map(meets).max().unwrap_or(0);
    let at_work = |&&index: &&usize| {
        let node = &tree.nodes[index];
        node.role == Role::Span && !matches!(node.kind, SpanKind::CLIENT | SpanKind::PRODUCER)
    };
    path[first..].iter().find(at_work).copied().unwrap_or(path[path.len() - 1])
}
