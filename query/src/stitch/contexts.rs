//! What lost its context: parents that were never received, and traces that begin anew in the middle of a request.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use needle_storage::model::{SpanKind, TraceId};

use super::calls::Calls;
use super::clocks::Clocks;
use super::enclose::Sweep;
use super::fit::{Lies, Offer, Stay, Wanted, fits};
use super::joint;
use super::logs::Context;
use super::logs_only::describe;
use super::tree::{Process, Role, Tree};
use super::unnamed::{Guest, What};
use crate::answer::Inference;
use crate::limits::{ANEW_ROUNDS_MAX, CLOCK_ERROR_MAX_NS};

/// Puts the place of a missing parent under the innermost call of its trace that nobody answered and that encloses it in
/// time: who was called there is missing. Else under the innermost span around it that is no call.
pub(super) fn missing_under_callers(tree: &mut Tree, calls: &Calls) {
    if tree.missing.is_empty() {
        return;
    }
    let unanswered = |index: &usize| calls.at(*index).is_some_and(|call| calls.all[call].may_be_lost());
    let working = |index: &usize| !matches!(tree.nodes[*index].kind, SpanKind::CLIENT | SpanKind::PRODUCER);
    let waiting = around_missing(tree, unanswered);
    let at_work = around_missing(tree, working);
    let mut places: Vec<usize> = tree.missing.values().copied().collect();
    // The outer ones first: of two within each other's trees only one can be the caller.
    places.sort_by_key(|&place| (Reverse(tree.nodes[place].end.since(tree.nodes[place].start)), tree.nodes[place].start, place));
    for place in places {
        let reasons = ["it lies within {}, a call that nobody answered", "it lies within {}, the innermost span around it"];
        for ((hosts, reason), confidence) in [&waiting, &at_work].into_iter().zip(reasons).zip([0.6, 0.5]) {
            let Some(&host) = hosts.get(&place).filter(|host| tree.root_of(**host) != place) else { continue };
            let reason = format!("this parent span was never received; {}", reason.replace("{}", &describe(tree, host)));
            tree.nodes[place].parent = Some(host);
            tree.nodes[place].inferred = Some(Inference::of(reason, confidence));
            break;
        }
    }
}

/// For each place of a missing parent the innermost of some spans of its trace that encloses it in time.
fn around_missing(tree: &Tree, may_hold: impl Fn(&usize) -> bool) -> BTreeMap<usize, usize> {
    let mut places: BTreeMap<Option<TraceId>, Vec<usize>> = BTreeMap::new();
    for &place in tree.missing.values() {
        places.entry(tree.nodes[place].trace_id).or_default().push(place);
    }
    let mut spans: BTreeMap<Option<TraceId>, Vec<usize>> = BTreeMap::new();
    for index in (0..tree.nodes.len()).filter(|index| places.contains_key(&tree.nodes[*index].trace_id) && may_hold(index)) {
        spans.entry(tree.nodes[index].trace_id).or_default().push(index);
    }
    let depths = super::nodes::depths(tree);
    let mut hosts = BTreeMap::new();
    for (trace_id, mut places) in places {
        let mut sweep = Sweep::new(tree, &depths, spans.remove(&trace_id).unwrap_or_default());
        places.sort_by_key(|&place| (tree.nodes[place].placed_start(), place));
        for place in places {
            let (from, to) = (tree.nodes[place].placed_start(), tree.nodes[place].placed_end());
            let around = sweep.innermost_and_doubt(from, to, |index| tree.root_of(index) != place);
            hosts.extend(around.map(|(host, _)| (place, host)));
        }
    }
    hosts
}

/// A call has one callee: where lines turned out to be its visit, the missing parent in it was called by that one.
pub(super) fn missing_under_visits(tree: &mut Tree, calls: &Calls) {
    for &place in tree.missing.values() {
        let call = tree.nodes[place].parent.and_then(|parent| calls.at(parent));
        let Some(visit) = call.and_then(|call| calls.all[call].callee).filter(|&visit| tree.nodes[visit].role == Role::Lines) else {
            continue;
        };
        let service = &tree.nodes[visit].service;
        let reason = format!("this parent span was never received; it lies within a call that {service} answered");
        tree.nodes[place].parent = Some(visit);
        tree.nodes[place].inferred = Some(Inference::of(reason, 0.6));
    }
}

/// Hangs the root of a trace under the span of another trace of the request that it links to: whoever takes a message
/// links to who sent it.
pub(super) fn under_links(tree: &mut Tree, context: &Context) {
    for root in tree.roots() {
        let links = tree.nodes[root].span.iter().flat_map(|span| &span.links);
        let linked: Vec<usize> = links
            .filter_map(|link| tree.by_span.get(&(link.trace_id, link.span_id?)))
            .filter_map(|same_id| same_id.first().copied())
            .collect();
        let [cause] = linked.as_slice() else { continue };
        if is_related(tree, context, root, *cause) && tree.root_of(*cause) != root {
            let reason = "a trace of its own with the same request id, whose first span links to this one".to_owned();
            tree.nodes[root].parent = Some(*cause);
            tree.nodes[root].inferred = Some(Inference::of(reason, 0.9));
        }
    }
}

/// Hangs the roots of traces under the calls of other traces of the request that name their service and that they fit
/// into. What is found out about clocks by one may place the next.
pub(super) fn under_calls(tree: &mut Tree, context: &Context, calls: &mut Calls, clocks: &mut Clocks) {
    if context.spans_of.len() < 2 {
        return;
    }
    for _ in 0..ANEW_ROUNDS_MAX {
        let mut placed = 0;
        for (service, processes) in roots_by_service(tree) {
            placed += place_roots(tree, context, calls, clocks, (&service, &processes));
        }
        if placed == 0 {
            break;
        }
        *clocks = clocks.again(tree);
        clocks.apply(tree);
    }
}

/// The roots of traces that found no caller by name, to be placed by time.
pub(super) fn without_caller(tree: &Tree, context: &Context, clocks: &Clocks) -> Vec<Guest> {
    if context.spans_of.len() < 2 {
        return Vec::new();
    }
    let roots = tree.roots().into_iter().filter(|&root| tree.nodes[root].role == Role::Span && tree.nodes[root].trace_id.is_some());
    roots.map(|root| Guest::of_root(tree, clocks, root)).collect()
}

/// Roots by service, and by process: those of one have one clock.
fn roots_by_service(tree: &Tree) -> BTreeMap<Arc<str>, BTreeMap<Arc<Process>, Vec<usize>>> {
    let mut roots: BTreeMap<Arc<str>, BTreeMap<Arc<Process>, Vec<usize>>> = BTreeMap::new();
    for index in tree.roots().into_iter().filter(|&index| tree.nodes[index].role == Role::Span) {
        let node = &tree.nodes[index];
        roots.entry(node.service.clone()).or_default().entry(node.process.clone()).or_default().push(index);
    }
    roots
}

/// Places the roots of the processes of one service so that, taken together, the least is odd; how many were.
fn place_roots(
    tree: &mut Tree,
    context: &Context,
    calls: &mut Calls,
    clocks: &Clocks,
    (service, processes): (&str, &BTreeMap<Arc<Process>, Vec<usize>>),
) -> usize {
    let mut options = Vec::new();
    let mut guests = Vec::new();
    for (process, roots) in processes {
        let (callers, offers) = callers_of(tree, context, calls, process, roots);
        // A root that is longer than every call was not called by any of them, unless the caller gave up.
        let room_ns = |offer: &Offer| if offer.failed { i64::MAX } else { offer.to.since(offer.from) };
        let longest_ns = offers.iter().map(room_ns).max().unwrap_or(0);
        let fitting: Vec<usize> =
            roots.iter().copied().filter(|&root| tree.nodes[root].end.since(tree.nodes[root].start) <= longest_ns).collect();
        let stay = |&root: &usize| Stay { from: tree.nodes[root].placed_start(), to: tree.nodes[root].placed_end() };
        let stays: Vec<Stay> = fitting.iter().map(stay).collect();
        let wanted = Wanted {
            shift_max_ns: CLOCK_ERROR_MAX_NS,
            resolution_ns: 0,
            to_be_answered: 0,
            one_each: true,
            usual: clocks.usual(service, process),
        };
        let fits = fits(&stays, &offers, wanted);
        options.push((callers, offers, fits));
        guests.push(fitting);
    }
    let chosen = joint::choose(&options).swap_remove(0).choices;
    let mut placed = 0;
    for (((callers, offers, mut fits), roots), choice) in options.into_iter().zip(guests).zip(chosen) {
        let Some(choice) = choice else { continue };
        let fit = fits.swap_remove(choice);
        for (root, (at, lies)) in roots.into_iter().zip(fit.places) {
            let gave_up = lies == Lies::Late && offers[at].failed && tree.nodes[root].placed_start() <= offers[at].to;
            if lies == Lies::Within || gave_up {
                placed += usize::from(place_root(tree, context, calls, (root, callers[at]), fit.shift_ns));
            }
        }
    }
    placed
}

/// The calls that name a process and may have caused one of its roots.
fn callers_of(tree: &Tree, context: &Context, calls: &Calls, process: &Process, roots: &[usize]) -> (Vec<usize>, Vec<Offer>) {
    let service = &tree.nodes[roots[0]].service;
    let may_hold = |call: &usize| roots.iter().any(|&root| is_related(tree, context, root, calls.all[*call].node));
    let mut callers: Vec<usize> = calls.to(service, process.instance.as_ref()).filter(may_hold).collect();
    callers.sort_by_key(|&call| (calls.all[call].reach(tree), call));
    let offers = callers.iter().map(|&call| offer(tree, calls, call, true)).collect();
    (callers, offers)
}

/// Hangs a root under a call that names its service, unless another is there, or the call is its own.
fn place_root(tree: &mut Tree, context: &Context, calls: &mut Calls, (root, call): (usize, usize), shift_ns: i64) -> bool {
    let caller = calls.all[call].node;
    if calls.all[call].callee.is_some() || !is_related(tree, context, root, caller) || tree.root_of(caller) == root {
        return false;
    }
    let likeness = calls.all[call].names.as_ref().map_or(0.0, |named| named.likeness);
    let (how, confidence) = if shift_ns == 0 {
        ("it lies within a call that names its service".to_owned(), 0.98 * likeness)
    } else {
        (format!("it fits a call that names its service if its clock is moved by {:+.1} ms", shift_ns as f64 / 1e6), 0.95 * likeness)
    };
    let reason = format!("a trace of its own with the same request id: the trace context was lost; {how}");
    tree.nodes[root].parent = Some(caller);
    tree.nodes[root].inferred = Some(Inference::of(reason, confidence));
    calls.all[call].callee = Some(root);
    true
}

/// What a call offers to the services it names, or to others.
pub(super) fn offer(tree: &Tree, calls: &Calls, call: usize, named: bool) -> Offer {
    let (from, to) = calls.all[call].reach(tree);
    Offer { from, to, named, failed: calls.all[call].failed }
}

/// Whether two nodes are of different traces of one request.
fn is_related(tree: &Tree, context: &Context, a: usize, b: usize) -> bool {
    match (tree.nodes[a].trace_id, tree.nodes[b].trace_id) {
        (Some(a), Some(b)) => a != b && context.related(a, b),
        _ => false,
    }
}

impl Guest {
    fn of_root(tree: &Tree, clocks: &Clocks, root: usize) -> Guest {
        let node = &tree.nodes[root];
        Guest {
            service: node.service.clone(),
            process: node.process.clone(),
            traces: node.trace_id.into_iter().collect(),
            from: node.placed_start(),
            to: node.placed_end(),
            offset_ns: node.offset_ns,
            resolution_ns: 0,
            usual: clocks.usual(&node.service, &node.process),
            what: What::Root(root),
        }
    }
}
