//! Services that only log: each visit to one becomes a node, placed by the calls that name it and by time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use needle_storage::model::{Log, NormalId, RecordId, SpanKind, TraceId, UnixNanos};

use super::clocks::offset_for;
use super::close::low_half;
use super::enclose::{Call, Sweep};
use super::logs::{Context, Groups};
use super::tree::{Role, Tree, TreeNode};
use crate::answer::{ClockOffset, Inference};
use crate::limits::{CLOCK_ERROR_MAX_NS, VISIT_GAP_NS};

/// The lines of one visit to a service, and where it belongs.
struct Visit {
    logs: Vec<Log>,
    offset_ns: i64,
    parent: Option<usize>,
    inference: Inference,
}

/// What visits are placed in.
struct Places<'a> {
    tree: &'a Tree,
    depths: &'a [usize],
    context: &'a Context,
    calls: &'a [Call],
}

/// Turns the lines of services without a span into nodes with a parent. Clock offsets that only a call's name
/// reveals are added to `clock`.
pub(super) fn place(tree: &mut Tree, depths: &[usize], context: &Context, calls: &[Call], groups: Groups, clock: &mut Vec<ClockOffset>) {
    let mut nodes = Vec::new();
    let places = Places { tree, depths, context, calls };
    for ((traces, service, instance), logs) in groups {
        let weakly = logs.iter().all(|log| joined_by_low_half(log, &traces));
        for mut visit in places.visits(&traces, &service, instance.as_ref(), logs, clock) {
            if weakly {
                visit.inference.reason.push_str("; only the low 64 bits of the trace id join them");
                visit.inference.confidence *= 0.8;
            }
            nodes.push(visit_node(visit, &service, instance.clone()));
        }
    }
    if context.spans_of.is_empty() {
        under_the_first(&mut nodes, tree.nodes.len());
    }
    tree.nodes.extend(nodes);
}

/// Whether a log belongs to the traces by nothing but the 64-bit form of a trace id.
fn joined_by_low_half(log: &Log, traces: &BTreeSet<TraceId>) -> bool {
    let halves: BTreeSet<NormalId> = traces.iter().filter_map(|trace_id| low_half(&NormalId::of_trace(*trace_id))).collect();
    let mut ids = log.common.request_ids.iter().filter_map(|id| NormalId::of(id)).peekable();
    log.common.trace_id.is_none() && ids.peek().is_some() && ids.all(|id| halves.contains(&id))
}

/// The logs of services that no span places, one node for each service, as the senders sent them: nothing is inferred.
pub(super) fn as_they_are(tree: &mut Tree, logs: Vec<Log>) {
    let mut by_service: BTreeMap<String, Vec<Log>> = BTreeMap::new();
    for log in logs {
        by_service.entry(log.common.service.clone()).or_default().push(log);
    }
    tree.nodes.extend(by_service.into_iter().map(|(service, logs)| lines_node(logs, &service, None, 0)));
}

fn lines_node(logs: Vec<Log>, service: &str, instance: Option<String>, offset_ns: i64) -> TreeNode {
    TreeNode {
        role: Role::Lines,
        span: None,
        trace_id: None,
        span_id: None,
        service: service.to_owned(),
        instance,
        kind: SpanKind::default(),
        start: logs.iter().map(|log| log.common.time).min().unwrap_or_default(),
        end: logs.iter().map(|log| log.common.time).max().unwrap_or_default(),
        offset_ns,
        parent: None,
        flags: Vec::new(),
        inferred: None,
        first_record: logs.iter().map(|log| log.common.record_id).min().unwrap_or(RecordId(0)),
        logs,
    }
}

fn visit_node(visit: Visit, service: &str, instance: Option<String>) -> TreeNode {
    let mut node = lines_node(visit.logs, service, instance, visit.offset_ns);
    node.parent = visit.parent;
    node.inferred = Some(visit.inference);
    node
}

/// Without any span, the service that logged first holds the others if its lines enclose theirs.
fn under_the_first(nodes: &mut [TreeNode], index_of_first_node: usize) {
    let Some(first) = (0..nodes.len()).min_by_key(|&index| (nodes[index].start, Reverse(nodes[index].end), nodes[index].first_record))
    else {
        return;
    };
    let (start, end, service) = (nodes[first].start, nodes[first].end, nodes[first].service.clone());
    for (index, node) in nodes.iter_mut().enumerate() {
        if index != first && start <= node.start && node.end <= end && start < end {
            node.parent = Some(index_of_first_node + first);
            let reason = format!("no span was received; its lines lie between the first and the last line of {service}");
            node.inferred = Some(Inference { reason, confidence: 0.3 });
        }
    }
}

impl Places<'_> {
    fn visits(
        &self,
        traces: &BTreeSet<TraceId>,
        service: &str,
        instance: Option<&String>,
        logs: Vec<Log>,
        clock: &mut Vec<ClockOffset>,
    ) -> Vec<Visit> {
        if self.context.spans_of.is_empty() {
            let reason = "no span was received; its lines carry the id".to_owned();
            return vec![Visit { logs, offset_ns: 0, parent: None, inference: Inference { reason, confidence: 0.3 } }];
        }
        let offset_ns = offset_for(clock, service, instance);
        let mut callers = self.callers(traces, service);
        if callers.is_empty() {
            return self.visits_by_time(traces, offset_ns, logs);
        }
        let shift_ns = self.shift_into(&callers, offset_ns, &logs);
        if let Some(shift_ns) = shift_ns.filter(|shift_ns| *shift_ns != offset_ns) {
            clock.push(ClockOffset { service: service.to_owned(), instance: instance.cloned(), offset_ns: shift_ns, confidence: 0.4 });
        }
        callers.sort_by_key(|(index, _, _)| *index);
        match shift_ns {
            Some(shift_ns) => self.visits_by_caller(&callers, shift_ns, offset_ns, logs),
            None => self.visits_by_time(traces, offset_ns, logs),
        }
    }

    /// Calls that name the service: those that name it best.
    fn callers(&self, traces: &BTreeSet<TraceId>, service: &str) -> Vec<(usize, f64, String)> {
        let in_traces = |call: &&Call| traces.is_empty() || self.tree.nodes[call.index].trace_id.is_some_and(|id| traces.contains(&id));
        let named = self.calls.iter().filter(in_traces);
        let rated: Vec<(usize, f64, String)> =
            named.filter_map(|call| call.names(service).map(|(likeness, peer)| (call.index, likeness, peer.to_owned()))).collect();
        let best = rated.iter().map(|(_, likeness, _)| *likeness).fold(0.0, f64::max);
        rated.into_iter().filter(|(_, likeness, _)| *likeness == best).collect()
    }

    /// By how much the lines must be moved to lie in the calls: not at all, if the first one does not come before
    /// them. Lines after the call are no sign of a wrong clock: work goes on after an answer. `None`: too far off.
    fn shift_into(&self, callers: &[(usize, f64, String)], offset_ns: i64, logs: &[Log]) -> Option<i64> {
        let start = callers.iter().map(|(index, _, _)| self.tree.nodes[*index].placed_start()).min()?;
        let end = callers.iter().map(|(index, _, _)| self.tree.nodes[*index].placed_end()).max()?;
        let first = logs.iter().map(|log| log.common.time).min()?.saturating_add_signed(offset_ns);
        if first >= start {
            let after_ns = first.since(end);
            return (after_ns <= CLOCK_ERROR_MAX_NS).then_some(offset_ns);
        }
        // The least that will do: how much room there was before the first line is not known.
        let shift_ns = start.since(first);
        (shift_ns <= CLOCK_ERROR_MAX_NS).then(|| offset_ns.saturating_add(shift_ns))
    }

    /// One visit for each call: a line belongs to the innermost call around it, else to the nearest.
    fn visits_by_caller(&self, callers: &[(usize, f64, String)], shift_ns: i64, offset_ns: i64, logs: Vec<Log>) -> Vec<Visit> {
        let mut sweep = Sweep::new(self.tree, self.depths, callers.iter().map(|(index, _, _)| *index));
        let mut by_caller: BTreeMap<usize, (Vec<Log>, bool)> = BTreeMap::new();
        for log in logs {
            let at = log.common.time.saturating_add_signed(shift_ns);
            let within = sweep.innermost(at, at);
            let caller = within.or_else(|| sweep.nearest(at)).expect("there is at least one call");
            let (lines, outside) = by_caller.entry(caller).or_default();
            lines.push(log);
            *outside |= within.is_none();
        }
        let visit = |(caller, (logs, outside)): (usize, (Vec<Log>, bool))| {
            let (_, likeness, peer) = callers.iter().find(|(index, _, _)| *index == caller).expect("lines are assigned to callers");
            let service = &logs[0].common.service;
            let named = format!("no span was received from {service}; {} names it ({peer})", self.describe(caller));
            let (reason, confidence) = match (shift_ns == offset_ns, outside) {
                (true, false) => (format!("{named} and encloses its lines"), 0.95 * likeness),
                (true, true) => (format!("{named}, and its lines go on after the call returned"), 0.7 * likeness),
                (false, _) => {
                    let off_ms = shift_ns as f64 / 1e6;
                    (format!("{named}; its lines fit if its clock is moved by {off_ms:+.1} ms"), 0.6 * likeness)
                }
            };
            Visit { logs, offset_ns: shift_ns, parent: Some(caller), inference: Inference { reason, confidence } }
        };
        by_caller.into_iter().map(visit).collect()
    }

    /// No call names the service: its lines belong to the innermost span around them. Lines with a gap between
    /// them are two visits if different spans are around the two sides.
    fn visits_by_time(&self, traces: &BTreeSet<TraceId>, offset_ns: i64, logs: Vec<Log>) -> Vec<Visit> {
        let mut sweep = Sweep::new(self.tree, self.depths, self.context.spans_in(traces));
        let mut visits: Vec<Visit> = Vec::new();
        for piece in pieces(logs) {
            let placed = |log: Option<&Log>| log.map_or(UnixNanos::MIN, |log| log.common.time.saturating_add_signed(offset_ns));
            let (from, to) = (placed(piece.first()), placed(piece.last()));
            let (parent, inference) = self.around(&mut sweep, traces, &piece[0].common.service, from, to);
            match visits.last_mut().filter(|last| last.parent == parent) {
                Some(last) => last.logs.extend(piece),
                None => visits.push(Visit { logs: piece, offset_ns, parent, inference }),
            }
        }
        visits
    }

    fn around(
        &self,
        sweep: &mut Sweep<'_>,
        traces: &BTreeSet<TraceId>,
        service: &str,
        from: UnixNanos,
        to: UnixNanos,
    ) -> (Option<usize>, Inference) {
        let (parent, reason, confidence) = match sweep.innermost_and_doubt(from, to) {
            Some((index, false)) => {
                (Some(index), format!("its lines lie within {}, the innermost span around them", self.describe(index)), 0.6)
            }
            Some((index, true)) => (Some(index), format!("its lines lie within {}, and within others", self.describe(index)), 0.4),
            None => {
                let spans = self.context.spans_in(traces);
                let first = spans.into_iter().min_by_key(|&index| (self.tree.nodes[index].placed_start(), index));
                (
                    first.map(|index| self.tree.root_of(index)),
                    "no span encloses its lines in time, so they stand under the root".to_owned(),
                    0.2,
                )
            }
        };
        (parent, Inference { reason: format!("no span was received from {service}; {reason}"), confidence })
    }

    fn describe(&self, index: usize) -> String {
        let node = &self.tree.nodes[index];
        let name = node.span.as_ref().map_or("", |span| span.name.as_str());
        format!("{}'s {} span \"{name}\"", node.service, node.kind.name())
    }
}

/// Lines in time order, cut at the gaps.
fn pieces(logs: Vec<Log>) -> Vec<Vec<Log>> {
    let mut pieces: Vec<Vec<Log>> = Vec::new();
    for log in logs {
        let follows = |last: &Log| log.common.time.since(last.common.time) <= VISIT_GAP_NS;
        match pieces.last_mut().filter(|piece| piece.last().is_some_and(follows)) {
            Some(piece) => piece.push(log),
            None => pieces.push(vec![log]),
        }
    }
    pieces
}
