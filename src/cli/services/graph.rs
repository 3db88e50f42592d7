//! `needle services --graph`: who calls whom.

use super::super::Exit;
use super::super::arguments::Format;
use super::super::client::{Client, Parameters};
use super::super::output::{HIT, commas, csv_row, logfmt_pairs, shown, verdict};
use super::super::terminal::{Output, continued, visible_json};
use super::super::wire::{Graph, GraphEdge, GraphNode};
use super::{ServicesCommand, duration, table};
use anyhow::Context;

const HEADER: [&str; 8] = ["CALLER", "CALLEE", "", "CALLS", "ERRORS", "P50", "P95", "P99"];
const NAMES: usize = 3;

/// Runs it.
pub(super) fn run(command: &ServicesCommand, client: &Client, mut parameters: Parameters) -> anyhow::Result<Exit> {
    parameters.extend(command.query.clone().map(|query| ("q", query)));
    let path = "/api/v1/services/graph";
    let graph: Graph =
        client.get(path, &parameters)?.with_context(|| format!("{} does not know {path}: is it an older needle?", client.url()))?;
    let mut output = command.output.stdout()?;
    if !command.output.quiet {
        print(command, &graph, &mut output)?;
    }
    output.flush()?;
    for note in notes(&graph) {
        command.output.note(&note);
    }
    Ok(verdict(!graph.edges.is_empty(), &graph.completeness, command.allow_partial))
}

fn print(command: &ServicesCommand, graph: &Graph, output: &mut Output) -> anyhow::Result<()> {
    let format = command.output.format();
    if format == Format::Json && !command.dot {
        for raw in &graph.edges {
            let json = if output.terminal { visible_json(raw.get()) } else { raw.get().into() };
            output.line(&json)?;
        }
        return Ok(());
    }
    let edges = graph.edges.iter().map(|raw| serde_json::from_str(raw.get())).collect::<Result<Vec<GraphEdge>, _>>()?;
    let lines: Vec<String> = match format {
        _ if command.dot => dot(&graph.nodes, &edges),
        Format::Human | Format::Json if edges.is_empty() => Vec::new(),
        Format::Human | Format::Json => return print_table(&graph.nodes, &edges, output),
        Format::Raw => edges.iter().map(|edge| continued(&format!("{} {}", edge.caller, edge.callee)).into_owned()).collect(),
        Format::Csv => [CSV_HEADER.to_owned()].into_iter().chain(edges.iter().map(csv)).collect(),
        Format::Logfmt => edges.iter().map(logfmt).collect(),
    };
    for line in lines {
        output.line(&if output.terminal { shown(&line) } else { line })?;
    }
    Ok(())
}

/// Calls that failed in the colour of errors.
fn print_table(nodes: &[GraphNode], edges: &[GraphEdge], output: &mut Output) -> anyhow::Result<()> {
    let lines = table(HEADER, edges.iter().map(|edge| cells(nodes, edge)), NAMES);
    let failed = [false].into_iter().chain(edges.iter().map(|edge| edge.errors > 0));
    for (line, failed) in lines.into_iter().zip(failed) {
        let line = if failed { output.paint.on(HIT, &line) } else { line };
        output.line(&line)?;
    }
    Ok(())
}

fn cells(nodes: &[GraphNode], edge: &GraphEdge) -> [String; 8] {
    let duration = |ns| duration(ns, edge.percentiles_exact);
    [
        shown(&edge.caller),
        shown(&edge.callee),
        shown(&remark(nodes, edge)),
        commas(edge.calls),
        commas(edge.errors),
        duration(edge.p50_ns),
        duration(edge.p95_ns),
        duration(edge.p99_ns),
    ]
}

/// What is special about a call, in a few words.
fn remark(nodes: &[GraphNode], edge: &GraphEdge) -> String {
    let external = nodes.iter().find(|node| node.external && node.service == edge.callee);
    let system = external.map(|node| node.system.clone().unwrap_or_else(|| "external".to_owned()));
    let inferred = edge.inferred.then(|| format!("~inferred {:.2}", edge.confidence.unwrap_or_default()));
    let message = (edge.kind == "message").then(|| "message".to_owned());
    [message, system, inferred].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the table does not say.
fn notes(graph: &Graph) -> Vec<String> {
    let from = &graph.inferred_from;
    let mut notes = Vec::new();
    if from.ids < from.of || from.more {
        let more = if from.more { "more than " } else { "" };
        let (ids, of) = (commas(from.ids), commas(from.of));
        notes
            .push(format!("inferred calls are those of the journeys of {ids} ids, out of {more}{of}: narrow them with --query or --since"));
    }
    if graph.missing_parents > 0 {
        notes.push(format!("{} spans name a parent that is not there: who called them is not known", commas(graph.missing_parents)));
    }
    notes
}

const CSV_HEADER: &str = "caller,callee,kind,inferred,confidence,calls,errors,p50_ns,p95_ns,p99_ns";

fn values(edge: &GraphEdge) -> [(&'static str, String); 10] {
    let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
    [
        ("caller", edge.caller.clone()),
        ("callee", edge.callee.clone()),
        ("kind", edge.kind.clone()),
        ("inferred", edge.inferred.to_string()),
        ("confidence", edge.confidence.map(|confidence| confidence.to_string()).unwrap_or_default()),
        ("calls", edge.calls.to_string()),
        ("errors", edge.errors.to_string()),
        ("p50_ns", number(edge.p50_ns)),
        ("p95_ns", number(edge.p95_ns)),
        ("p99_ns", number(edge.p99_ns)),
    ]
}

fn csv(edge: &GraphEdge) -> String {
    csv_row(values(edge).into_iter().map(|(_, value)| value))
}

fn logfmt(edge: &GraphEdge) -> String {
    logfmt_pairs(values(edge).into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.to_owned(), value)))
}

/// For Graphviz: peers that are no services are boxes, what is inferred is dashed.
fn dot(nodes: &[GraphNode], edges: &[GraphEdge]) -> Vec<String> {
    let mut lines = vec!["digraph services {".to_owned(), "  rankdir=LR;".to_owned()];
    for node in nodes {
        let shape = if node.external { "box" } else { "ellipse" };
        let style = if node.inferred { "dashed" } else { "solid" };
        lines.push(format!("  {} [shape={shape}, style={style}];", quoted(&node.service)));
    }
    for edge in edges {
        let style = if edge.inferred { "dashed" } else { "solid" };
        let errors = if edge.errors > 0 { format!(", {} errors", commas(edge.errors)) } else { String::new() };
        let label = quoted(&format!("{}{errors}, p95 {}", commas(edge.calls), duration(edge.p95_ns, edge.percentiles_exact)));
        lines.push(format!("  {} -> {} [label={label}, style={style}];", quoted(&edge.caller), quoted(&edge.callee)));
    }
    lines.push("}".to_owned());
    lines
}

/// A name as Graphviz reads it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", shown(name).replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> (Vec<GraphNode>, Vec<GraphEdge>) {
        let nodes = r#"[{"service":"gateway"},{"service":"legacy-auth","inferred":true},{"service":"orders"},
                        {"service":"orders-\"db\"","external":true,"system":"postgresql"}]"#;
        let edges = r#"[{"caller":"gateway","callee":"orders","calls":1200,"errors":12,"p50_ns":90000000,"p95_ns":410000000,"p99_ns":1838000000,"kind":"call"},
                        {"caller":"gateway","callee":"legacy-auth","calls":300,"p95_ns":7000000,"kind":"call","inferred":true,"confidence":0.9},
                        {"caller":"orders","callee":"orders-\"db\"","calls":9,"p50_ns":1000000,"percentiles_exact":false,"kind":"message"}]"#;
        (serde_json::from_str(nodes).unwrap(), serde_json::from_str(edges).unwrap())
    }

    #[test]
    fn a_table_for_reading() {
        let (nodes, edges) = graph();
        insta::assert_snapshot!(table(HEADER, edges.iter().map(|edge| cells(&nodes, edge)), NAMES).join("\n"), @r#"
    CALLER   CALLEE                            CALLS  ERRORS   P50    P95    P99
    gateway  orders                            1,200      12  90ms  410ms  1.84s
    gateway  legacy-auth  ~inferred 0.90         300       0     -    7ms      -
    orders   orders-"db"  message, postgresql      9       0  ~1ms      -      -
    "#);
    }

    #[test]
    fn a_graph_for_graphviz() {
        let (nodes, edges) = graph();
        insta::assert_snapshot!(dot(&nodes, &edges).join("\n"), @r#"
    digraph services {
      rankdir=LR;
      "gateway" [shape=ellipse, style=solid];
      "legacy-auth" [shape=ellipse, style=dashed];
      "orders" [shape=ellipse, style=solid];
      "orders-\"db\"" [shape=box, style=solid];
      "gateway" -> "orders" [label="1,200, 12 errors, p95 410ms", style=solid];
      "gateway" -> "legacy-auth" [label="300, p95 7ms", style=dashed];
      "orders" -> "orders-\"db\"" [label="9, p95 -", style=solid];
    }
    "#);
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        let graph =
            |from: &str| serde_json::from_str(&format!(r#"{{"nodes":[],"edges":[],"inferred_from":{from},"missing_parents":2}}"#)).unwrap();
        let all: Graph = graph(r#"{"ids":7,"of":7,"more":false}"#);
        assert_eq!(notes(&all), ["2 spans name a parent that is not there: who called them is not known"]);
        let some: Graph = graph(r#"{"ids":300,"of":48112,"more":true}"#);
        assert!(notes(&some)[0].contains("the journeys of 300 ids, out of more than 48,112"), "{:?}", notes(&some));
    }
}
