//! Work that goes on after the answer.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::MILLISECOND;
use super::calls::work;
use crate::graph::{Graph, Window};

/// A message takes up to this long to be taken.
const WAIT_MAX_NS: u64 = 4_000 * MILLISECOND;

/// A service publishes, another consumes later: as a child, or in a trace of its own that links back, with or without the
/// request's id.
pub(super) fn between_services<'f>(mut graph: Graph<'f>, seed: u64, window: Window) -> Vec<Graph<'f>> {
    let (producer, handled) = published(&mut graph, window, "orders.created");
    let consumer = graph.fleet.traced(&mut graph.random);
    match graph.random.below(3) {
        0 => {
            let consumed = graph.span(Some(producer), graph.places[producer].trace, consumer, SpanKind::Consumer, handled);
            graph.places[consumed].asynchronous = true;
            work(&mut graph, consumed, handled, 2);
            vec![graph]
        }
        _ => {
            let mut other = Graph::new(graph.fleet, seed, graph.number + 1);
            link(&mut other, &mut [(&mut graph, producer)], consumer, handled);
            vec![graph, other]
        }
    }
}

/// A job takes the messages of several requests at once; its trace links to each of theirs.
pub(super) fn linked_batch<'f>(first: Graph<'f>, seed: u64, window: Window) -> Vec<Graph<'f>> {
    let (fleet, number) = (first.fleet, first.number);
    let mut requests = vec![first];
    requests.extend((1..4).map(|n| Graph::new(fleet, seed, number + n)));
    let mut job = Graph::new(fleet, seed, number + 4);
    let mut handled = window;
    let mut producers = Vec::new();
    for graph in &mut requests {
        let (producer, then) = published(graph, window, "invoices.due");
        producers.push(producer);
        handled = then;
    }
    let consumer = fleet.traced(&mut job.random);
    let mut links: Vec<(&mut Graph<'f>, usize)> = requests.iter_mut().zip(producers).collect();
    link(&mut job, &mut links, consumer, handled);
    requests.push(job);
    requests
}

fn link(consumer: &mut Graph<'_>, producers: &mut [(&mut Graph<'_>, usize)], process: crate::fleet::Process, window: Window) {
    let trace = consumer.random.bytes();
    let consumed = consumer.span(None, trace, process, SpanKind::Consumer, window);
    let id = crate::conventions::spellings(&consumer.passed_to(consumed)).swap_remove(0);
    consumer.edit(consumed).attributes.push(crate::attributes::text("request_id", id));
    for (graph, producer) in producers {
        let (trace_of_producer, span) = (graph.places[*producer].trace, graph.edit(*producer).id);
        consumer.edit(consumed).links.push((trace_of_producer, span));
        consumer.linked.push(trace_of_producer);
        graph.linked.push(trace);
    }
    work(consumer, consumed, window, 2);
}

fn published(graph: &mut Graph<'_>, window: Window, topic: &str) -> (usize, Window) {
    let root = graph.begin(window);
    let parts = window.in_turn(2, &mut graph.random);
    work(graph, root, parts[0], 2);
    let sent = Window { from: parts[1].from, to: parts[1].from + parts[1].length() / 10 };
    let producer = graph.publish(root, sent, topic);
    let from = sent.to + graph.random.below(WAIT_MAX_NS);
    (producer, Window { from, to: from + graph.random.between(20, 400) * MILLISECOND })
}

/// A service that only logs takes the message, perhaps long after the answer.
pub(super) fn to_log_only(graph: &mut Graph<'_>, window: Window) {
    let consumer = graph.fleet.log_only(&mut graph.random);
    let topic = format!("{}.inbox", graph.fleet.service(consumer).name);
    let (producer, handled) = published(graph, window, &topic);
    let visit = graph.visit(Some(producer), consumer, handled);
    graph.places[visit].asynchronous = true;
    graph.log_visit(visit);
}
