//! Logs on spans: by span id, else on the span of their service that was going on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use needle_storage::model::{Common, Log, NormalId, RecordId, SpanId, TraceId, UnixNanos};

use super::close::low_half;
use super::enclose::Sweep;
use super::tree::{Tree, instance_of};

/// Hangs each log with a span id on that span, or on its place when the span is missing; the others come back.
pub(super) fn on_their_spans(tree: &mut Tree, logs: Vec<Log>) -> Vec<Log> {
    let mut by_span_id: HashMap<SpanId, BTreeSet<Option<TraceId>>> = HashMap::new();
    for (trace_id, span_id) in tree.by_span.keys().chain(tree.missing.keys()) {
        by_span_id.entry(*span_id).or_default().insert(*trace_id);
    }
    let mut others = Vec::new();
    for log in logs {
        let node = log.common.span_id.and_then(|span_id| {
            // Without a trace id the span id must do, if it means one span only.
            let trace_id = match (log.common.trace_id, by_span_id.get(&span_id)) {
                (Some(trace_id), _) => Some(trace_id),
                (None, Some(traces)) if traces.len() == 1 => traces.first().copied().flatten(),
                (None, _) => return None,
            };
            node_of(tree, (trace_id, span_id), &log.common.service)
        });
        match node {
            Some(node) => tree.nodes[node].logs.push(log),
            None => others.push(log),
        }
    }
    others
}

/// Of the spans that share the id the one of the log's service.
fn node_of(tree: &Tree, key: (Option<TraceId>, SpanId), service: &str) -> Option<usize> {
    let same_id = tree.by_span.get(&key).map_or(&[][..], Vec::as_slice);
    let own = same_id.iter().copied().find(|&index| tree.nodes[index].service == service);
    own.or_else(|| same_id.first().copied()).or_else(|| tree.missing.get(&key).copied())
}

/// To which traces the ids of a journey belong.
pub(super) struct Context {
    traces_of: BTreeMap<NormalId, BTreeSet<TraceId>>,
    /// Spans of each trace.
    pub(super) spans_of: BTreeMap<TraceId, Vec<usize>>,
}

impl Context {
    /// The context that spans and logs tell.
    pub(super) fn of(tree: &Tree, spans: &[(TraceId, Vec<NormalId>)]) -> Context {
        let mut spans_of: BTreeMap<TraceId, Vec<usize>> = BTreeMap::new();
        for (index, node) in tree.nodes.iter().enumerate() {
            if let (Some(trace_id), true) = (node.trace_id, node.span.is_some()) {
                spans_of.entry(trace_id).or_default().push(index);
            }
        }
        let mut traces_of: BTreeMap<NormalId, BTreeSet<TraceId>> = BTreeMap::new();
        for (trace_id, ids) in spans.iter().filter(|(trace_id, _)| spans_of.contains_key(trace_id)) {
            for id in ids.iter().cloned().chain(ids.iter().filter_map(low_half)) {
                traces_of.entry(id).or_default().insert(*trace_id);
            }
        }
        Context { traces_of, spans_of }
    }

    /// The traces with spans that a log belongs to: its own, else those its request ids are found on.
    pub(super) fn traces_of_log(&self, log: &Log) -> BTreeSet<TraceId> {
        if let Some(trace_id) = log.common.trace_id.filter(|trace_id| self.spans_of.contains_key(trace_id)) {
            return BTreeSet::from([trace_id]);
        }
        let ids = log.common.request_ids.iter().filter_map(|id| NormalId::of(id));
        ids.flat_map(|id| self.traces_of.get(&id).into_iter().flatten().copied().collect::<Vec<_>>()).collect()
    }

    /// Request ids by trace.
    pub(super) fn ids_of_traces(&self) -> BTreeMap<TraceId, BTreeSet<&NormalId>> {
        let mut ids: BTreeMap<TraceId, BTreeSet<&NormalId>> = BTreeMap::new();
        for (id, traces) in &self.traces_of {
            for trace_id in traces {
                ids.entry(*trace_id).or_default().insert(id);
            }
        }
        ids
    }

    /// The spans of some traces; of all when none is given.
    pub(super) fn spans_in(&self, traces: &BTreeSet<TraceId>) -> Vec<usize> {
        let wanted = |trace_id: &TraceId| traces.is_empty() || traces.contains(trace_id);
        self.spans_of.iter().filter(|(trace_id, _)| wanted(trace_id)).flat_map(|(_, spans)| spans.iter().copied()).collect()
    }
}

/// Logs that no span id places, by what places them otherwise: the traces they belong to, the service and its instance.
pub(super) type Groups = BTreeMap<(BTreeSet<TraceId>, String, Option<String>), Vec<Log>>;

/// Hangs logs on the innermost span of their own service that was going on when they were written, else on
/// the nearest one; logs of services without a span come back, grouped.
pub(super) fn on_spans_of_their_service(tree: &mut Tree, depths: &[usize], context: &Context, logs: Vec<Log>) -> Groups {
    let mut groups = Groups::new();
    for log in logs {
        let instance = instance_of(&log.common.resource);
        groups.entry((context.traces_of_log(&log), log.common.service.clone(), instance)).or_default().push(log);
    }
    let mut by_service: BTreeMap<(BTreeSet<TraceId>, String), Vec<usize>> = BTreeMap::new();
    for traces in groups.keys().map(|(traces, _, _)| traces).collect::<BTreeSet<_>>() {
        for index in context.spans_in(traces) {
            by_service.entry((traces.clone(), tree.nodes[index].service.clone())).or_default().push(index);
        }
    }
    let mut without_span = Groups::new();
    for ((traces, service, instance), logs) in groups {
        match by_service.get(&(traces.clone(), service.clone())) {
            None => {
                without_span.insert((traces, service, instance), logs);
            }
            Some(spans) => hang(tree, depths, spans, instance.as_ref(), logs),
        }
    }
    without_span
}

fn hang(tree: &mut Tree, depths: &[usize], spans: &[usize], instance: Option<&String>, logs: Vec<Log>) {
    let own: Vec<usize> =
        spans.iter().copied().filter(|&index| instance.is_some() && tree.nodes[index].instance.as_ref() == instance).collect();
    let spans = if own.is_empty() { spans } else { own.as_slice() };
    // Logs and spans of one instance have one clock.
    let offset_ns = tree.nodes[spans[0]].offset_ns;
    let mut sweep = Sweep::new(tree, depths, spans.iter().copied());
    let places: Vec<usize> = logs
        .iter()
        .map(|log| {
            let at = log.common.time.saturating_add_signed(offset_ns);
            let innermost = sweep.innermost(at, at);
            innermost.or_else(|| sweep.nearest(at)).expect("a service with a span has a nearest one")
        })
        .collect();
    for (log, place) in logs.into_iter().zip(places) {
        tree.nodes[place].logs.push(log);
    }
}

/// The order of logs: by time, then by record id.
pub(super) fn order(log: &Log) -> (UnixNanos, RecordId) {
    (log.common.time, log.common.record_id)
}

/// The normal forms of a span's or a log's ids, with its trace.
pub(super) fn ids_with_trace(common: &Common) -> Option<(TraceId, Vec<NormalId>)> {
    let trace_id = common.trace_id?;
    let mut ids: Vec<NormalId> = common.request_ids.iter().filter_map(|id| NormalId::of(id)).collect();
    ids.push(NormalId::of_trace(trace_id));
    ids.dedup();
    Some((trace_id, ids))
}
