//! Services that call each other and wait.

use super::MILLISECOND;
use crate::graph::{Graph, Window};
use crate::naming::Naming;

/// Shorter stretches are not divided further.
const WORK_MIN_NS: u64 = 4 * MILLISECOND;
const DEPTH_MAX: u32 = 4;

/// A request through services with and without spans.
pub(super) fn any(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    work(graph, root, window, 0);
}

/// What a service with spans does in a stretch of its time.
pub(super) fn work(graph: &mut Graph<'_>, place: usize, window: Window, depth: u32) {
    if window.length() < WORK_MIN_NS || depth >= DEPTH_MAX {
        return;
    }
    let parts = graph.random.between(1, 3);
    let parts = if graph.random.happens(0.2) { window.at_once(parts, &mut graph.random) } else { window.in_turn(parts, &mut graph.random) };
    for part in parts {
        match graph.random.below(100) {
            0..30 => call_log_only(graph, place, part),
            30..42 => drop(graph.ask_database(place, part)),
            42..46 => drop(graph.ask_stranger(place, part)),
            46..60 => {
                let inner = graph.compute(place, part);
                work(graph, inner, part, depth + 1);
            }
            _ => {
                let callee = graph.fleet.traced(&mut graph.random);
                let call = graph.call(place, part, callee);
                let handled = part.behind_the_network(&mut graph.random);
                let served = graph.serve(Some(call), graph.places[call].trace, callee, handled);
                work(graph, served, handled, depth + 1);
            }
        }
    }
}

pub(super) fn call_log_only(graph: &mut Graph<'_>, place: usize, window: Window) {
    let callee = graph.fleet.log_only(&mut graph.random);
    let call = graph.call(place, window, callee);
    let handled = window.behind_the_network(&mut graph.random);
    let visit = graph.visit(Some(call), callee, handled);
    graph.log_visit(visit);
}

/// One service that only logs, called several times at once, beside others.
pub(super) fn fan_out(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    let parts = graph.random.between(2, 4);
    let callee = graph.fleet.log_only(&mut graph.random);
    let naming = Naming::any(&mut graph.random);
    let mut first = None;
    for part in window.at_once(parts, &mut graph.random) {
        let callee = graph.fleet.sibling(callee, &mut graph.random);
        let call = graph.call_named(root, part, callee, naming);
        let handled = part.behind_the_network(&mut graph.random);
        let visit = match first {
            None => graph.visit(Some(call), callee, handled),
            Some(first) => graph.visit_like(first, Some(call), callee, handled),
        };
        first = first.or(Some(visit));
        graph.log_visit(visit);
    }
    let rest = Window { from: window.share(0.06), to: window.share(0.9) };
    let inner = graph.compute(root, rest);
    work(graph, inner, rest, 2);
}

/// A service that only logs is called again until it answers; the first call may not even have reached it.
pub(super) fn retries(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    let halves = window.in_turn(2, &mut graph.random);
    work(graph, root, halves[0], 2);
    let attempts = graph.random.between(2, 3);
    let callee = graph.fleet.log_only(&mut graph.random);
    let naming = Naming::any(&mut graph.random);
    let first_arrives = graph.random.happens(0.75);
    let says_attempt = graph.random.happens(0.4);
    let mut earlier = None;
    for (part, attempt) in halves[1].in_turn(attempts, &mut graph.random).into_iter().zip(1..) {
        let callee = graph.fleet.sibling(callee, &mut graph.random);
        let call = graph.call_named(root, part, callee, naming);
        graph.edit(call).failed = attempt < attempts;
        if attempt == 1 && !first_arrives {
            continue;
        }
        let handled = part.behind_the_network(&mut graph.random);
        let visit = match earlier {
            None => graph.visit(Some(call), callee, handled),
            Some(earlier) => graph.visit_like(earlier, Some(call), callee, handled),
        };
        earlier = Some(visit);
        graph.log_visit(visit);
        if says_attempt {
            graph.log_attempt(visit, attempt);
        }
    }
}

/// A service that only logs calls another one, and that perhaps a third.
pub(super) fn chain_of_log_only(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    let parts = window.in_turn(2, &mut graph.random);
    work(graph, root, parts[0], 2);
    let links = graph.random.between(2, 3);
    let mut above = None;
    let mut within = parts[1];
    for link in 0..links {
        let callee = graph.fleet.log_only(&mut graph.random);
        if link == 0 {
            above = Some(graph.call(root, within, callee));
        }
        let handled = within.behind_the_network(&mut graph.random);
        let visit = graph.visit(above, callee, handled);
        if link + 1 < links {
            graph.log_around(visit);
        } else {
            graph.log_visit(visit);
        }
        above = Some(visit);
        within = Window { from: handled.share(0.1), to: handled.share(0.9) };
    }
}

/// The client library of the caller is not instrumented.
pub(super) fn without_client_spans(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    for part in window.in_turn(2, &mut graph.random) {
        let callee = graph.fleet.traced(&mut graph.random);
        let served = graph.serve(Some(root), graph.places[root].trace, callee, part);
        let inner = graph.compute(served, Window { from: part.share(0.05), to: part.share(0.9) });
        let callee = graph.fleet.log_only(&mut graph.random);
        let visit = graph.visit(Some(inner), callee, Window { from: part.share(0.1), to: part.share(0.8) });
        graph.log_visit(visit);
    }
}
