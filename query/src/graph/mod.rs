//! Who calls whom: from parents and children across services, and for services that only log from stitched journeys.

mod edges;
mod inferred;
mod peers;
mod spans;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use needle_storage::model::{RecordsView, Signal, UnixNanos};
use needle_storage::predicate::Predicate;
use needle_storage::{Coverage, Look, ReadError};

use crate::answer::{CompletenessState, GraphAnswer, GraphNode};
use crate::journey;
use crate::limits::GRAPH_SPANS_AT_ONCE;
use crate::search::completeness;
use crate::services::{self, Tally};
use edges::{Callee, Edges};
use peers::Peer;
use spans::Spans;

/// What graphs are made of.
pub(crate) trait Read: journey::Read {
    /// Calls `visit` with the rows that are asked for.
    fn look(&self, look: &Look<'_>, visit: &mut Visit<'_>) -> Result<Coverage, ReadError>;
    /// How many records match.
    fn count(&self, predicate: &Predicate, start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<u64, ReadError>;
}

/// Takes some rows of a view.
pub(crate) type Visit<'a> = dyn FnMut(&RecordsView<'_>, &[u32]) + 'a;

/// Which calls are asked for.
pub(crate) struct Wanted {
    pub(crate) predicate: Predicate,
    pub(crate) start: Option<UnixNanos>,
    pub(crate) end: Option<UnixNanos>,
}

impl Wanted {
    /// Whether every call is wanted that began in time.
    fn wants_all(&self) -> bool {
        matches!(self.predicate, Predicate::All)
    }

    /// Whether something that began then is wanted.
    fn contains(&self, time: UnixNanos) -> bool {
        self.start.is_none_or(|start| time >= start) && self.end.is_none_or(|end| time < end)
    }
}

/// The graph of the calls that are wanted.
pub(crate) fn answer(read: &impl Read, wanted: &Wanted, now: UnixNanos) -> Result<GraphAnswer, ReadError> {
    let mut coverage = Coverage::default();
    let all = tally(read, wanted, &Predicate::All, &mut coverage)?;
    let matching = if wanted.wants_all() { None } else { Some(tally(read, wanted, &wanted.predicate, &mut coverage)?) };
    let mut edges = Edges::default();
    count_calls(read, wanted, &mut edges, &mut coverage)?;
    let unanswered_by_name = edges.leave_out_peers_like(all.services().map(|(name, _)| name));

    let log_only: BTreeSet<&str> = all.services().filter(|(_, service)| service.spans == 0).map(|(name, _)| name).collect();
    let sample = inferred::sample(read, wanted, &log_only, &mut coverage)?;
    let inferred_from = inferred::count_calls(read, wanted, &log_only, sample, now, &mut edges)?;

    let mut completeness = completeness(&coverage);
    for reason in all.beyond().into_iter().chain(edges.beyond()) {
        completeness.state = CompletenessState::Partial;
        completeness.reasons.push(reason);
    }
    let nodes = nodes(matching.as_ref().unwrap_or(&all), &log_only, &edges);
    let (missing_parents, unanswered) = (edges.missing_parents, edges.unanswered + unanswered_by_name);
    Ok(GraphAnswer { nodes, edges: edges.finish(), missing_parents, unanswered, inferred_from, completeness })
}

/// The services of matching records.
fn tally(read: &impl Read, wanted: &Wanted, predicate: &Predicate, coverage: &mut Coverage) -> Result<Tally, ReadError> {
    let mut tally = Tally::default();
    let look = services::look(wanted.start, wanted.end, predicate);
    cover(coverage, read.look(&look, &mut |view, rows| tally.add(view, rows))?);
    Ok(tally)
}

/// Counts calls between spans, those of some traces at a time, so that memory is bounded.
fn count_calls(read: &impl Read, wanted: &Wanted, edges: &mut Edges, coverage: &mut Coverage) -> Result<(), ReadError> {
    let are_spans = Predicate::Signal(Signal::Spans);
    let parts = read.count(&are_spans, wanted.start, wanted.end)?.div_ceil(GRAPH_SPANS_AT_ONCE);
    for part in 0..parts {
        let mut spans = Spans::of_part(part, parts);
        let look = Look {
            predicate: &are_spans,
            start: wanted.start,
            end: wanted.end,
            columns: &spans::COLUMNS,
            attributes: &peers::KEYS,
            also: (!wanted.wants_all()).then_some(&wanted.predicate),
        };
        cover(coverage, read.look(&look, &mut |view, rows| spans.add(view, rows, look.also, edges))?);
        spans.count_calls(edges);
    }
    Ok(())
}

/// Adds what was read by another sweep over the same shards.
fn cover(coverage: &mut Coverage, other: Coverage) {
    coverage.shards_searched = coverage.shards_searched.max(other.shards_searched);
    for failure in other.failures {
        if !coverage.failures.contains(&failure) {
            coverage.failures.push(failure);
        }
    }
}

/// Everybody who has matching records, or a part in a call.
fn nodes(matching: &Tally, log_only: &BTreeSet<&str>, edges: &Edges) -> Vec<GraphNode> {
    let named = |service: &str| GraphNode { service: service.to_owned(), inferred: log_only.contains(service), ..GraphNode::default() };
    let mut nodes: BTreeMap<&str, GraphNode> = BTreeMap::new();
    for (name, service) in matching.services() {
        nodes.insert(name, GraphNode { spans: service.spans, logs: service.logs, errors: service.errors, ..named(name) });
    }
    for (caller, callee) in edges.pairs() {
        nodes.entry(caller).or_insert_with(|| named(caller));
        match callee {
            Callee::Service(service) => _ = nodes.entry(service).or_insert_with(|| named(service)),
            Callee::Peer(Peer { name, system }) => {
                let node = nodes.entry(name).or_insert_with(|| GraphNode { external: true, ..named(name) });
                // Where callers differ, the same one is shown every time.
                node.system = node.system.take().max(system.clone());
            }
        }
    }
    nodes.into_values().collect()
}
