//! What a journey tells for certain of clocks, for other journeys of the same processes: a clock is kept by a machine, not
//! by a request, so what one journey leaves open another one may tell.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::Calls;
use super::clocks::{Bounds, Keeper, calls_between};
use super::close::Closed;
use super::copies;
use super::fit::Stay;
use super::line::Line;
use super::logs::Named;
use super::logs_only::{resolution_ns, stay, strands};
use super::tree::{OfService, Process, Role, Tree};

/// The bounds that one call sets for the clock of its callee against that of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Testimony {
    pub(super) caller: Keeper,
    pub(super) callee: Keeper,
    pub(super) bounds: Bounds,
    pub(super) witness: Witness,
}

/// Who says that this one called that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    /// A span that names its parent.
    Spans,
    /// Lines of a service that one call only can have caused.
    Lines,
}

/// Lines of a process without the spans of its service.
type Visits = BTreeMap<OfService, Vec<Line>>;

/// All that the records of a journey tell without a doubt.
pub(crate) fn told_by(mut closed: Closed) -> Vec<Testimony> {
    // As they are in order, the answer is the same however they arrived.
    closed.spans.sort_by_key(|span| (span.start, span.span_id, span.record_id));
    let tree = Tree::of_spans(copies::merge(closed.spans));
    let calls = Calls::of(&tree, &closed.lines);
    let mut told: Vec<Testimony> = Vec::new();
    for ((caller, callee), bounds) in calls_between(&tree) {
        told.extend(bounds.into_iter().map(|bounds| Testimony {
            caller: caller.clone(),
            callee: callee.clone(),
            bounds,
            witness: Witness::Spans,
        }));
    }
    let named_by = Named::of(&tree);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for line in closed.lines {
        match named_by.by(&tree, &line) {
            Some(node) => named.push((node, line)),
            None => others.push(line),
        }
    }
    told.extend(in_spans_they_name(&tree, &calls, named));
    told.extend(in_the_only_call(&tree, &calls, visits(&tree, others)));
    told
}

/// Lines that name a span of another service as the one that called.
fn in_spans_they_name(tree: &Tree, calls: &Calls, named: Vec<(usize, Line)>) -> Vec<Testimony> {
    let mut visits: BTreeMap<(usize, OfService), Vec<Line>> = BTreeMap::new();
    for (node, line) in named {
        if tree.nodes[node].role == Role::Span && tree.nodes[node].service != line.source.service {
            let of_service = (line.source.service.clone(), line.source.process.clone());
            visits.entry((node, of_service)).or_default().push(line);
        }
    }
    let waits = |node: usize| calls.at(node).is_some_and(|call| !calls.all[call].asynchronous);
    let waited_for = visits.iter().filter(|((node, _), _)| waits(*node));
    waited_for.filter_map(|((node, (service, process)), lines)| told_of(tree, *node, (service, process), lines)).collect()
}

/// Lines of services without a span here.
fn visits(tree: &Tree, lines: Vec<Line>) -> Visits {
    let traced: BTreeSet<&str> = tree.nodes.iter().filter(|node| node.role == Role::Span).map(|node| &*node.service).collect();
    let mut visits = Visits::new();
    for line in lines.into_iter().filter(|line| !traced.contains(&*line.source.service)) {
        visits.entry((line.source.service.clone(), line.source.process.clone())).or_default().push(line);
    }
    visits
}

/// Where one call names the service, or the instance, and no other may mean it, and the lines of one process only may be
/// its answer.
fn in_the_only_call(tree: &Tree, calls: &Calls, visits: Visits) -> Vec<Testimony> {
    let mut processes: BTreeMap<&str, usize> = BTreeMap::new();
    visits.keys().for_each(|(service, _)| *processes.entry(service).or_default() += 1);
    let mut told = Vec::new();
    for ((service, process), lines) in &visits {
        let to_it: Vec<usize> = calls.to(service, process.instance.as_ref()).collect();
        let [call] = to_it.as_slice() else { continue };
        let call = &calls.all[*call];
        let names_instance = call.names.as_ref().is_some_and(|named| named.instance.is_some());
        if call.asynchronous || call.failed || !(names_instance || processes[&**service] == 1) || strands(lines) > 1 {
            continue;
        }
        told.extend(told_of(tree, call.node, (service, process), lines));
    }
    told
}

/// What it means that lines were written within a call; nothing if they go on for longer than it took.
fn told_of(tree: &Tree, caller: usize, (service, process): (&str, &Process), lines: &[Line]) -> Option<Testimony> {
    let caller = &tree.nodes[caller];
    let stays = || lines.iter().map(|line| stay(line, 0));
    let whole = Stay { from: stays().map(|stay| stay.from).min()?, to: stays().map(|stay| stay.to).max()? };
    let at_least_ns = caller.start.since(whole.from).saturating_sub(resolution_ns(lines));
    let at_most_ns = caller.end.since(whole.to);
    let (caller, callee) = (Keeper::of(&caller.service, &caller.process), Keeper::of(service, process));
    let bounds = Bounds { at_least_ns, at_most_ns: Some(at_most_ns) };
    (at_least_ns <= at_most_ns && caller != callee).then_some(Testimony { caller, callee, bounds, witness: Witness::Lines })
}
