//! Logs on spans: by span id, else on the span of their service that was going on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use needle_storage::model::{NormalId, SpanId, SpanKind, TraceId};

use super::close::low_half;
use super::enclose::Sweep;
use super::line::Line;
use super::tree::{Process, Role, Tree};

/// Hangs each log with a span id on that span, or on its place when the span is missing; the others come back.
pub(super) fn on_their_spans(tree: &mut Tree, logs: Vec<Line>) -> Vec<Line> {
    let named = Named::of(tree);
    let mut others = Vec::new();
    for log in logs {
        match named.by(tree, &log) {
            Some(node) => tree.nodes[node].lines.push(log),
            None => others.push(log),
        }
    }
    others
}

/// The same for spans of the log's own service. A service cannot write on the span of another: what it logs then is the
/// header it was given, and the span is its caller's; these come back with that span, before those that name none.
pub(super) fn on_own_spans(tree: &mut Tree, logs: Vec<Line>) -> (Vec<(usize, Line)>, Vec<Line>) {
    let named = Named::of(tree);
    let (mut given, mut others) = (Vec::new(), Vec::new());
    for log in logs {
        match named.by(tree, &log) {
            Some(node) if tree.nodes[node].role == Role::Missing || tree.nodes[node].service == log.source.service => {
                tree.nodes[node].lines.push(log);
            }
            Some(node) => given.push((node, log)),
            None => others.push(log),
        }
    }
    (given, others)
}

/// Which spans are named by logs.
pub(super) struct Named {
    /// Of the spans with an id the only trace; none where there are several.
    trace_of: HashMap<SpanId, Option<Option<TraceId>>, ahash::RandomState>,
}

impl Named {
    pub(super) fn of(tree: &Tree) -> Named {
        let mut named = Named { trace_of: HashMap::default() };
        for (trace_id, span_id) in tree.by_span.keys().chain(tree.missing.keys()) {
            let known = named.trace_of.entry(*span_id).or_insert(Some(*trace_id));
            *known = known.filter(|known| known == trace_id);
        }
        named
    }

    /// The node of the span that a log names.
    pub(super) fn by(&self, tree: &Tree, log: &Line) -> Option<usize> {
        let span_id = log.span_id?;
        // Without a trace id the span id must do, if it means one span only.
        let trace_id = match log.trace_id {
            Some(trace_id) => Some(trace_id),
            None => self.trace_of.get(&span_id).copied().flatten()?,
        };
        node_of(tree, (trace_id, span_id), &log.source.service)
    }
}

/// Of the spans that share the id the one of the log's service.
fn node_of(tree: &Tree, key: (Option<TraceId>, SpanId), service: &str) -> Option<usize> {
    let same_id = tree.by_span.get(&key).map_or(&[][..], Vec::as_slice);
    let own = same_id.iter().copied().find(|&index| *tree.nodes[index].service == *service);
    own.or_else(|| same_id.first().copied()).or_else(|| tree.missing.get(&key).copied())
}

/// To which traces the ids of a journey belong.
pub(super) struct Context {
    traces_of: BTreeMap<NormalId, BTreeSet<TraceId>>,
    /// Spans of each trace.
    pub(super) spans_of: BTreeMap<TraceId, Vec<usize>>,
    /// Traces joined by request ids have one number.
    families: BTreeMap<TraceId, usize>,
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
        let families = families(&spans_of, &traces_of);
        Context { traces_of, spans_of, families }
    }

    /// The traces with spans that a log belongs to: its own, else those its request ids are found on.
    pub(super) fn traces_of_log(&self, log: &Line) -> BTreeSet<TraceId> {
        if let Some(trace_id) = log.trace_id.filter(|trace_id| self.spans_of.contains_key(trace_id)) {
            return BTreeSet::from([trace_id]);
        }
        let ids = log.source.ids.iter();
        ids.flat_map(|id| self.traces_of.get(id).into_iter().flatten().copied().collect::<Vec<_>>()).collect()
    }

    /// Whether two traces belong to one request, by request ids on them or on traces between them.
    pub(super) fn related(&self, a: TraceId, b: TraceId) -> bool {
        self.families.get(&a).is_some_and(|family| self.families.get(&b) == Some(family))
    }

    /// The spans of some traces; of all when none is given.
    pub(super) fn spans_in(&self, traces: &BTreeSet<TraceId>) -> Vec<usize> {
        let wanted = |trace_id: &TraceId| traces.is_empty() || traces.contains(trace_id);
        self.spans_of.iter().filter(|(trace_id, _)| wanted(trace_id)).flat_map(|(_, spans)| spans.iter().copied()).collect()
    }
}

/// Numbers the traces so that those with an id in common, and those joined by others, have one number.
fn families(spans_of: &BTreeMap<TraceId, Vec<usize>>, traces_of: &BTreeMap<NormalId, BTreeSet<TraceId>>) -> BTreeMap<TraceId, usize> {
    let mut families = BTreeMap::new();
    let mut ids_of: BTreeMap<TraceId, Vec<&NormalId>> = BTreeMap::new();
    for (id, traces) in traces_of {
        traces.iter().for_each(|trace_id| ids_of.entry(*trace_id).or_default().push(id));
    }
    let mut visited: BTreeSet<&NormalId> = BTreeSet::new();
    for (number, first) in spans_of.keys().enumerate() {
        let mut next = vec![*first];
        while let Some(trace_id) = next.pop() {
            if families.contains_key(&trace_id) {
                continue;
            }
            families.insert(trace_id, number);
            for id in ids_of.get(&trace_id).into_iter().flatten() {
                if visited.insert(id) {
                    next.extend(traces_of[*id].iter().copied());
                }
            }
        }
    }
    families
}

/// Logs that no span id places, by what places them otherwise: the traces they belong to, the service and its instance.
pub(super) type Groups = BTreeMap<(BTreeSet<TraceId>, Arc<str>, Arc<Process>), Vec<Line>>;

/// Hangs logs on the innermost span of their own service that was going on when they were written, else on
/// the nearest one; logs of services without a span come back, grouped.
pub(super) fn on_spans_of_their_service(tree: &mut Tree, depths: &[usize], context: &Context, logs: Vec<Line>) -> Groups {
    let mut groups = Groups::new();
    for log in logs {
        let process = log.source.process.clone();
        groups.entry((context.traces_of_log(&log), log.source.service.clone(), process)).or_default().push(log);
    }
    let mut by_service: BTreeMap<(BTreeSet<TraceId>, Arc<str>), Vec<usize>> = BTreeMap::new();
    for traces in groups.keys().map(|(traces, _, _)| traces).collect::<BTreeSet<_>>() {
        for index in context.spans_in(traces) {
            by_service.entry((traces.clone(), tree.nodes[index].service.clone())).or_default().push(index);
        }
    }
    let mut without_span = Groups::new();
    for ((traces, service, process), logs) in groups {
        match by_service.get(&(traces.clone(), service.clone())) {
            None => {
                without_span.insert((traces, service, process), logs);
            }
            Some(spans) => hang(tree, depths, spans, process.instance.as_ref(), logs),
        }
    }
    without_span
}

fn hang(tree: &mut Tree, depths: &[usize], spans: &[usize], instance: Option<&String>, logs: Vec<Line>) {
    let own: Vec<usize> =
        spans.iter().copied().filter(|&index| instance.is_some() && tree.nodes[index].process.instance.as_ref() == instance).collect();
    let spans = if own.is_empty() { spans } else { own.as_slice() };
    // While a call waits, the service's own code is in the span above it.
    let working: Vec<usize> =
        spans.iter().copied().filter(|&index| !matches!(tree.nodes[index].kind, SpanKind::CLIENT | SpanKind::PRODUCER)).collect();
    let spans = if working.is_empty() { spans } else { working.as_slice() };
    // Logs and spans of one instance have one clock.
    let offset_ns = tree.nodes[spans[0]].offset_ns;
    let mut sweep = Sweep::new(tree, depths, spans.iter().copied());
    let places: Vec<usize> = logs
        .iter()
        .map(|log| {
            let at = log.time.saturating_add_signed(offset_ns);
            let innermost = sweep.innermost(at, at);
            innermost.or_else(|| sweep.nearest(at)).expect("a service with a span has a nearest one")
        })
        .collect();
    for (log, place) in logs.into_iter().zip(places) {
        tree.nodes[place].lines.push(log);
    }
}

/// The normal forms of request ids, with their trace.
pub(super) fn ids_with_trace(trace_id: Option<TraceId>, ids: impl Iterator<Item = NormalId>) -> Option<(TraceId, Vec<NormalId>)> {
    let trace_id = trace_id?;
    let mut ids: Vec<NormalId> = ids.chain([NormalId::of_trace(trace_id)]).collect();
    ids.dedup();
    Some((trace_id, ids))
}
