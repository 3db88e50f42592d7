//! What is counted of each caller and callee.

use std::collections::HashMap;

use crate::answer::GraphEdge;
use crate::durations::{Durations, Percentiles};
use crate::limits::{GRAPH_EDGES_MAX, SERVICES_MAX};

use super::peers::Peer;

/// Names, by the numbers given to them.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    numbers: HashMap<T, u32, ahash::RandomState>,
    all: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { numbers: HashMap::default(), all: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbered<T> {
    /// The number of one; none when there are too many.
    fn number<Q>(&mut self, wanted: &Q, max: usize) -> Option<u32>
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(number) = self.numbers.get(wanted) {
            return Some(*number);
        }
        let number = u32::try_from(self.all.len()).ok().filter(|number| (*number as usize) < max)?;
        self.numbers.insert(wanted.to_owned(), number);
        self.all.push(wanted.to_owned());
        Some(number)
    }
}

/// The number of peers that are not kept apart.
const BEYOND: u32 = u32::MAX;

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Callee<'a> {
    Service(&'a str),
    Peer(&'a Peer),
}

/// Caller and callee by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) caller: u32,
    pub(super) callee: Target,
    pub(super) is_message: bool,
}

/// A callee by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Service(u32),
    /// No span tells of the callee.
    Inferred(u32),
    Peer(u32),
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) failed: bool,
    pub(super) duration_ns: i64,
    /// How sure it is that there was one.
    pub(super) confidence: f64,
}

#[derive(Debug, Default)]
struct Counts {
    calls: u64,
    errors: u64,
    durations: Durations,
    confidence: f64,
}

/// All calls.
#[derive(Debug, Default)]
pub(super) struct Edges {
    services: Numbered<String>,
    peers: Numbered<Peer>,
    counts: HashMap<Pair, Counts, ahash::RandomState>,
    /// Spans whose parent was not found.
    pub(super) missing_parents: u64,
    /// Calling spans that nobody answered and that name nobody.
    pub(super) unanswered: u64,
    /// What was not counted because there was too much to keep apart.
    left_out: u64,
}

impl Edges {
    /// The number of a service; none when there are too many, which is counted.
    pub(super) fn service(&mut self, name: &str) -> Option<u32> {
        let number = self.services.number(name, SERVICES_MAX);
        self.left_out += u64::from(number.is_none());
        number
    }

    /// The number of a peer. When there are too many, calls to it are left out.
    pub(super) fn peer(&mut self, peer: &Peer) -> u32 {
        self.peers.number(peer, GRAPH_EDGES_MAX).unwrap_or(BEYOND)
    }

    pub(super) fn add(&mut self, pair: Pair, call: Call) {
        let is_too_much = self.counts.len() >= GRAPH_EDGES_MAX && !self.counts.contains_key(&pair);
        if is_too_much || pair.callee == Target::Peer(BEYOND) {
            self.left_out += 1;
            return;
        }
        let counts = self.counts.entry(pair).or_default();
        counts.calls += 1;
        counts.errors += u64::from(call.failed);
        counts.durations.add(call.duration_ns);
        counts.confidence += call.confidence;
    }

    /// Calls by peers' names that mean a service were not answered by it; how many that were.
    pub(super) fn leave_out_peers_like<'a>(&mut self, services: impl Iterator<Item = &'a str>) -> u64 {
        let services: Vec<String> = services.map(str::to_lowercase).collect();
        let mut known: HashMap<u32, bool> = HashMap::new();
        let mut left_out = 0;
        self.counts.retain(|pair, counts| {
            let Target::Peer(number) = pair.callee else { return true };
            let peer = &self.peers.all[number as usize];
            let stays = !*known.entry(number).or_insert_with(|| services.iter().any(|service| peer.means(service)));
            left_out += if stays { 0 } else { counts.calls };
            stays
        });
        left_out
    }

    /// Who calls whom.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, Callee<'_>)> {
        self.counts.keys().map(|pair| (self.services.all[pair.caller as usize].as_str(), self.callee(pair.callee)))
    }

    fn callee(&self, target: Target) -> Callee<'_> {
        match target {
            Target::Service(service) | Target::Inferred(service) => Callee::Service(&self.services.all[service as usize]),
            Target::Peer(peer) => Callee::Peer(&self.peers.all[peer as usize]),
        }
    }

    /// What was not counted, in words.
    pub(super) fn beyond(&self) -> Option<String> {
        let words = "calls are not shown: there are too many services or peers to keep apart, ask for less time";
        (self.left_out > 0).then(|| format!("{} spans or {words}", self.left_out))
    }

    /// By caller and callee; what spans tell before what is inferred.
    pub(super) fn finish(mut self) -> Vec<GraphEdge> {
        let counts = std::mem::take(&mut self.counts);
        let mut edges: Vec<GraphEdge> = counts.into_iter().map(|(pair, counts)| self.edge(pair, counts)).collect();
        let place = |edge: &GraphEdge| (edge.caller.clone(), edge.callee.clone(), edge.confidence.is_some(), edge.is_message, edge.calls);
        edges.sort_by_cached_key(place);
        edges
    }

    fn edge(&self, pair: Pair, counts: Counts) -> GraphEdge {
        let Percentiles { p50_ns, p95_ns, p99_ns, exact } = counts.durations.percentiles();
        GraphEdge {
            caller: self.services.all[pair.caller as usize].clone(),
            callee: match self.callee(pair.callee) {
                Callee::Service(service) => service.to_owned(),
                Callee::Peer(peer) => peer.name.clone(),
            },
            calls: counts.calls,
            errors: counts.errors,
            p50_ns,
            p95_ns,
            p99_ns,
            exact,
            is_message: pair.is_message,
            confidence: matches!(pair.callee, Target::Inferred(_)).then(|| counts.confidence / counts.calls as f64),
        }
    }
}
