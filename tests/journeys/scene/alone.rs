//! Requests of which there is no span.

use crate::graph::{Graph, Window};

/// Services that only log: the first one calls the others in turn.
pub(super) fn without_spans(graph: &mut Graph<'_>, window: Window) {
    graph.by_request_only = true;
    let process = graph.fleet.log_only(&mut graph.random);
    let first = graph.visit(None, process, window);
    graph.log_around(first);
    let parts = graph.random.between(1, 2);
    for part in window.in_turn(parts, &mut graph.random) {
        let callee = graph.fleet.log_only(&mut graph.random);
        if callee.service != process.service {
            let handled = part.behind_the_network(&mut graph.random);
            let visit = graph.visit(Some(first), callee, handled);
            graph.log_visit(visit);
        }
    }
}
