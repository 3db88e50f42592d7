//! A journey and its truth side by side, for whoever looks into a difference. Times are milliseconds since the first span.

use std::collections::BTreeSet;
use std::io::Write as _;

use needle_web::query::model::{Record, UnixNanos};
use needle_web::query::{Journey, Node};

use crate::graph::{Graph, Line};
use crate::scene::Scene;
use crate::score::numbers_in;

/// The truth as a tree, what of it is not found, and the journey.
pub(crate) fn print(scene: Scene, graph: &Graph<'_>, journey: &Journey) {
    let mut out = std::io::stdout();
    _ = writeln!(out, "\n{scene:?} {}, truth:", graph.number);
    for (place, depth) in in_pre_order(graph) {
        _ = writeln!(out, "{}{}", "  ".repeat(depth), place_in_words(graph, place));
    }
    for line in lines_not_found(graph, journey) {
        _ = writeln!(out, "not found: {:?} {:?}", line.body, line.attributes);
    }
    _ = writeln!(out, "told:");
    for node in &journey.nodes {
        _ = writeln!(out, "{}{}", "  ".repeat(node.depth), node_in_words(graph, node));
    }
    for offset in &journey.clock {
        let off_ms = offset.offset_ns as f64 / 1e6;
        _ = writeln!(out, "clock {} {:?} {off_ms:+.1} ms ({:.2})", offset.service, offset.instance, offset.confidence);
    }
}

fn in_pre_order(graph: &Graph<'_>) -> Vec<(usize, usize)> {
    let (mut order, mut walk) = (Vec::new(), vec![(0, 0)]);
    while let Some((place, depth)) = walk.pop() {
        order.push((place, depth));
        let children = (0..graph.places.len()).rev().filter(|child| graph.places[*child].above == Some(place));
        walk.extend(children.map(|child| (child, depth + 1)));
    }
    order
}

fn place_in_words(graph: &Graph<'_>, number: usize) -> String {
    let place = &graph.places[number];
    let (service, instance) = (graph.fleet.service(place.process), graph.fleet.instance(place.process));
    let kind = match &place.span {
        Some(span) => format!("{:?}{}", span.kind, if span.lost { " (lost)" } else { "" }),
        None => "logs only".to_owned(),
    };
    let lines: Vec<String> = graph.lines.iter().filter(|line| line.place == number).map(|line| ms(graph, line.at)).collect();
    let more = match &place.span {
        Some(span) => {
            let value = |attribute: &opentelemetry_proto::tonic::common::v1::KeyValue| {
                format!("{}={:?}", attribute.key, attribute.value.as_ref().and_then(|value| value.value.as_ref()))
            };
            span.attributes.iter().map(value).collect::<Vec<_>>().join(" ")
        }
        None => format!("{:?} {:?}", service.identity, service.door),
    };
    let (from, to, clock_ms) = (ms(graph, place.window.from), ms(graph, place.window.to), instance.clock_ns / 1_000_000);
    format!("{} {kind} {from}..{to} clock {clock_ms:+} [{}] {more}", instance.name, lines.join(" "))
}

fn node_in_words(graph: &Graph<'_>, node: &Node) -> String {
    let time = |log: &Record| ms(graph, log.common().time.0);
    let lines: Vec<String> = node.logs.iter().map(time).collect();
    let why = node.inferred.as_ref().map_or(String::new(), |why| format!(" ~ {} ({:.2})", why.reason, why.confidence));
    let end = UnixNanos(node.start.0).saturating_add_signed(node.duration_ns);
    let (from, to) = (ms(graph, node.start.0), ms(graph, end.0));
    format!("{} {} {from}..{to} [{}]{why}", node.service, node.kind.name(), lines.join(" "))
}

fn ms(graph: &Graph<'_>, at: u64) -> String {
    format!("{:.1}", (at as f64 - graph.places[0].window.from as f64) / 1e6)
}

/// Lines that the journey does not show.
fn lines_not_found<'g>(graph: &'g Graph<'_>, journey: &Journey) -> Vec<&'g Line> {
    let shown: BTreeSet<u64> = journey.nodes.iter().flat_map(numbers_in).collect();
    let lost = graph.lines.iter().enumerate().filter(|(number, _)| !shown.contains(&graph.number_of_line(*number)));
    lost.map(|(_, line)| line).collect()
}
