//! Contexts that are lost, shared or incomplete.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::calls::{any, work};
use crate::graph::{Graph, Window};

/// Share of the spans that never arrive.
const LOST: f64 = 0.12;

/// A service that does not understand the caller's trace context and begins a trace of its own; perhaps called twice.
pub(super) fn lost(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    let parts = window.in_turn(3, &mut graph.random);
    work(graph, root, parts[0], 2);
    let callee = graph.fleet.traced(&mut graph.random);
    let calls = graph.random.between(1, 2) as usize;
    for part in &parts[1..=calls] {
        let callee = graph.fleet.sibling(callee, &mut graph.random);
        let call = graph.call(root, *part, callee);
        begin_anew(graph, call, callee, *part);
    }
}

fn begin_anew(graph: &mut Graph<'_>, caller: usize, callee: crate::fleet::Process, call: Window) {
    let handled = call.behind_the_network(&mut graph.random);
    let trace = graph.random.bytes();
    let served = graph.serve(Some(caller), trace, callee, handled);
    work(graph, served, handled, 2);
}

/// The same, where the caller is a service that only logs.
pub(super) fn lost_behind_log_only(graph: &mut Graph<'_>, window: Window) {
    let root = graph.begin(window);
    let parts = window.in_turn(2, &mut graph.random);
    work(graph, root, parts[0], 2);
    let proxy = graph.fleet.log_only(&mut graph.random);
    let call = graph.call(root, parts[1], proxy);
    let handled = parts[1].behind_the_network(&mut graph.random);
    let visit = graph.visit(Some(call), proxy, handled);
    graph.log_around(visit);
    let callee = graph.fleet.traced(&mut graph.random);
    begin_anew(graph, visit, callee, Window { from: handled.share(0.1), to: handled.share(0.9) });
}

/// Zipkin's model: the server's span has the id of the client's.
pub(super) fn shared_span_ids(graph: &mut Graph<'_>, window: Window) {
    any(graph, window);
    for place in 0..graph.places.len() {
        let Some(above) = graph.places[place].above else { continue };
        let kind_of = |place: usize| graph.places[place].span.as_ref().map(|span| span.kind);
        if (kind_of(above), kind_of(place)) != (Some(SpanKind::Client), Some(SpanKind::Server)) {
            continue;
        }
        let (of_client, of_server) = (graph.edit(above).clone(), graph.edit(place).id);
        let server = graph.edit(place);
        (server.id, server.parent) = (of_client.id, of_client.parent);
        for other in 0..graph.places.len() {
            if let Some(span) = graph.places[other].span.as_mut().filter(|span| span.parent == Some(of_server)) {
                span.parent = Some(of_client.id);
            }
        }
    }
}

/// Some spans never arrive, but those that join the ids do.
pub(super) fn missing(graph: &mut Graph<'_>, window: Window) {
    any(graph, window);
    for place in 1..graph.places.len() {
        if graph.random.happens(LOST)
            && let Some(span) = &mut graph.places[place].span
        {
            span.lost = true;
        }
    }
}
