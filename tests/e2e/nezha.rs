//! Traces and logs of a real shop (Nezha's slice of Train Ticket), through a small converter from its CSV to OTLP.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;

use crate::harness::{Server, shared_data};
use crate::journey::assert_is_a_tree;
use crate::otlp::{self, text_attribute};

const REQUEST_RECORDS: usize = 1000;

/// A row of a CSV file, by the names of its columns.
type Row = BTreeMap<String, String>;

#[test]
fn journeys_are_complete_and_every_log_hangs_on_its_span() {
    let Some(data) = shared_data("nezha_trainticket/2023-01-29") else { return };
    let (spans, logs) = (rows(&data, "_trace.csv"), rows(&data, "_log.csv"));
    assert!(spans.len() > 10_000 && logs.len() > 5_000);
    let server = Server::start();
    // Half of it sealed, half of it live: the minutes overlap, so that some spans are in both.
    send_spans(&server, &spans[..spans.len() / 2]);
    send_logs(&server, &logs[..logs.len() / 2]);
    server.flush();
    send_spans(&server, &spans[spans.len() / 2..]);
    send_logs(&server, &logs[logs.len() / 2..]);

    let mut traces: BTreeMap<&str, Expected> = BTreeMap::new();
    for row in &spans {
        traces.entry(&row["TraceID"]).or_default().parents.insert(&row["SpanID"], &row["ParentID"]);
    }
    for row in &logs {
        let trace = traces.entry(&row["TraceID"]).or_default();
        *trace.logs.entry(&row["SpanID"]).or_default() += 1;
    }
    assert!(traces.len() > 100);
    for (trace, expected) in &traces {
        assert_complete(&server.journey(trace), expected);
    }
}

/// What the CSV says about a trace.
#[derive(Default)]
struct Expected<'csv> {
    /// Each span's parent, `root` for none.
    parents: BTreeMap<&'csv str, &'csv str>,
    /// How many logs each span has.
    logs: BTreeMap<&'csv str, usize>,
}

impl Expected<'_> {
    /// Parents that the CSV itself lacks.
    fn missing(&self) -> BTreeSet<&str> {
        self.parents.values().filter(|parent| **parent != "root" && !self.parents.contains_key(*parent)).copied().collect()
    }
}

fn assert_complete(journey: &Value, expected: &Expected) {
    assert_is_a_tree(journey);
    let nodes = journey["nodes"].as_array().unwrap();
    let missing = nodes.iter().filter(|node| node["missing"] == true).count();
    assert_eq!(missing, expected.missing().len(), "placeholders: {}", journey["id"]);
    assert_eq!(journey["completeness"]["missing_parents"], missing, "{}", journey["id"]);
    assert!(nodes.iter().all(|node| node["inferred"].is_null()), "nothing has to be guessed: {}", journey["id"]);
    let span_of: BTreeMap<&str, &str> =
        nodes.iter().filter_map(|node| Some((node["node_id"].as_str()?, node["span"]["span_id"].as_str()?))).collect();
    assert_eq!(span_of.len(), expected.parents.len(), "one node a span: {}", journey["id"]);
    for node in nodes.iter().filter(|node| node["missing"] == false) {
        let span = span_of[node["node_id"].as_str().unwrap()];
        let above = node["parent_node_id"].as_str().map_or("root", |parent| span_of.get(parent).copied().unwrap_or("missing"));
        let parent = expected.parents[span];
        let known = parent == "root" || expected.parents.contains_key(parent);
        assert_eq!(above, if known { parent } else { "missing" }, "the parent of {span} of {}", journey["id"]);
        let logs = node["logs"].as_array().unwrap();
        assert_eq!(logs.len(), expected.logs.get(span).copied().unwrap_or(0), "the logs of {span} of {}", journey["id"]);
        assert!(logs.iter().all(|log| log["span_id"] == span));
    }
}

/// The rows of all files whose names end so, without those that the next minute repeats.
fn rows(folder: &Path, ending: &str) -> Vec<Row> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(ending));
    files.sort();
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for file in files {
        let mut records = csv_records(&std::fs::read_to_string(file).unwrap()).into_iter();
        let names = records.next().expect("a header");
        for record in records.filter(|record| seen.insert(record.clone())) {
            assert_eq!(record.len(), names.len(), "{record:?}");
            rows.push(names.iter().cloned().zip(record).collect());
        }
    }
    rows
}

/// RFC 4180: fields in quotes may hold commas, line ends and doubled quotes.
fn csv_records(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let record = records.last_mut().expect("never empty");
        let field = record.last_mut().expect("never empty");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\r' if !quoted => {}
            '\n' if !quoted => records.push(vec![String::new()]),
            _ => field.push(character),
        }
    }
    records.retain(|record| record.iter().any(|field| !field.is_empty()));
    records
}

#[test]
fn csv_is_read_with_its_quotes() {
    let records = csv_records("a,b\r\n\"1,\"\"x\"\"\n2\",\n");
    assert_eq!(records, [["a", "b"], ["1,\"x\"\n2", ""]]);
}

fn send_spans(server: &Server, rows: &[Row]) {
    for rows in rows.chunks(REQUEST_RECORDS) {
        let by_pod = by_pod(rows).into_iter();
        let resources = by_pod.map(|(pod, rows)| {
            let mut resource = otlp::spans_of(service(pod), rows.iter().map(|row| span(row)).collect());
            resource.resource.as_mut().expect("a resource").attributes.push(text_attribute("service.instance.id", pod));
            resource
        });
        post(server, "/v1/traces", &otlp::traces(resources.collect()).encode_to_vec());
    }
}

fn send_logs(server: &Server, rows: &[Row]) {
    for rows in rows.chunks(REQUEST_RECORDS) {
        let by_pod = by_pod(rows).into_iter();
        let resources = by_pod.map(|(pod, rows)| {
            let mut resource = otlp::logs_of(service(pod), rows.iter().map(|row| log(row)).collect());
            resource.resource.as_mut().expect("a resource").attributes.push(text_attribute("service.instance.id", pod));
            resource
        });
        post(server, "/v1/logs", &otlp::logs(resources.collect()).encode_to_vec());
    }
}

fn post(server: &Server, path: &str, body: &[u8]) {
    let answer = crate::harness::post(&(server.otlp_http() + path), &[("content-type", "application/x-protobuf")], body);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
}

fn by_pod(rows: &[Row]) -> BTreeMap<&str, Vec<&Row>> {
    let mut pods: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        pods.entry(&row["PodName"]).or_default().push(row);
    }
    pods
}

/// `ts-user-service` for the pod `ts-user-service-687d654649-lrcwv`.
fn service(pod: &str) -> &str {
    pod.rsplitn(3, '-').nth(2).unwrap_or(pod)
}

fn span(row: &Row) -> Span {
    Span {
        span_id: bytes(&row["SpanID"]),
        parent_span_id: if row["ParentID"] == "root" { Vec::new() } else { bytes(&row["ParentID"]) },
        ..otlp::span(&bytes(&row["TraceID"]), &row["OperationName"], number(&row["StartTimeUnixNano"]), number(&row["EndTimeUnixNano"]))
    }
}

fn log(row: &Row) -> LogRecord {
    // The text stands in the JSON that the container runtime wrote around it.
    let wrapped: Value = serde_json::from_str(&row["Log"]).unwrap();
    LogRecord {
        trace_id: bytes(&row["TraceID"]),
        span_id: bytes(&row["SpanID"]),
        ..otlp::log(wrapped["log"].as_str().expect("a text"), number(&row["TimeUnixNano"]))
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
