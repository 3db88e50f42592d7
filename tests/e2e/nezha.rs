//! Traces and logs of a real shop (Nezha's slice of Train Ticket), through a small converter from its CSV.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::harness::{Server, shared_data};
use crate::source::{Says, SourceLine, SourceSpan, assert_told, by_trace, parents, send_lines, send_spans};

/// A row of a CSV file, by the names of its columns.
type Row = BTreeMap<String, String>;

#[test]
fn journeys_are_complete_and_every_log_hangs_on_its_span() {
    let Some((spans, lines)) = source() else { return };
    assert!(spans.len() > 10_000 && lines.len() > 5_000);
    let server = Server::start();
    // Half of it sealed, half of it live: the minutes overlap, so that some spans are in both.
    let numbered: Vec<_> = lines.iter().enumerate().collect();
    send_spans(&server, &spans[..spans.len() / 2]);
    send_lines(&server, numbered[..lines.len() / 2].iter().copied(), Says::Span);
    server.flush();
    send_spans(&server, &spans[spans.len() / 2..]);
    send_lines(&server, numbered[lines.len() / 2..].iter().copied(), Says::Span);

    let traces = by_trace(&spans);
    assert!(traces.len() > 100);
    for (trace, spans) in traces {
        let journey = server.journey(trace);
        assert_told(&journey, &spans, &parents(&spans));
        assert_logs(&journey, lines.iter().filter(|line| line.trace_id == trace));
    }
}

/// Each line hangs on the span, or on the place of the span, that it names.
fn assert_logs<'lines>(journey: &Value, lines: impl Iterator<Item = &'lines SourceLine>) {
    let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        *expected.entry(&line.span_id).or_default() += 1;
    }
    let nodes = journey["nodes"].as_array().unwrap();
    let logs = nodes.iter().flat_map(|node| node["logs"].as_array().unwrap().iter().map(move |log| (node, log)));
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (node, log) in logs {
        let at = node["span"]["span_id"].as_str().or_else(|| node["node_id"].as_str().unwrap().strip_prefix("missing-"));
        assert_eq!(log["span_id"].as_str(), at, "{}: {log}", journey["id"]);
        *found.entry(at.unwrap()).or_default() += 1;
    }
    assert_eq!(found, expected, "{}", journey["id"]);
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

/// The spans and lines of the shop.
pub(crate) fn source() -> Option<(Vec<SourceSpan>, Vec<SourceLine>)> {
    let data = shared_data("nezha_trainticket/2023-01-29")?;
    let spans = rows(&data, "_trace.csv").iter().map(span).collect();
    Some((spans, rows(&data, "_log.csv").iter().map(line).collect()))
}

/// `ts-user-service` for the pod `ts-user-service-687d654649-lrcwv`.
fn service(pod: &str) -> String {
    pod.rsplitn(3, '-').nth(2).unwrap_or(pod).to_owned()
}

fn span(row: &Row) -> SourceSpan {
    SourceSpan {
        trace_id: row["TraceID"].clone(),
        span_id: row["SpanID"].clone(),
        parent_id: Some(row["ParentID"].clone()).filter(|parent| parent != "root"),
        service: service(&row["PodName"]),
        instance: Some(row["PodName"].clone()),
        name: row["OperationName"].clone(),
        kind: kind(&row["OperationName"]),
        start_ns: number(&row["StartTimeUnixNano"]),
        end_ns: number(&row["EndTimeUnixNano"]),
        ..SourceSpan::default()
    }
}

/// The CSV has lost the kinds; OpenTelemetry's agent for Java gives these to spans with such names.
fn kind(name: &str) -> i32 {
    const INTERNAL: i32 = 1;
    const SERVER: i32 = 2;
    const CLIENT: i32 = 3;
    const PRODUCER: i32 = 4;
    const CONSUMER: i32 = 5;
    let statement = ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| name.starts_with(&format!("{verb} ts.")));
    match name {
        _ if name.starts_with('/') => SERVER,
        _ if name.starts_with("HTTP ") || statement => CLIENT,
        _ if name.ends_with(" send") => PRODUCER,
        _ if name.ends_with(" process") => CONSUMER,
        _ => INTERNAL,
    }
}

fn line(row: &Row) -> SourceLine {
    // The text stands in the JSON that the container runtime wrote around it.
    let wrapped: Value = serde_json::from_str(&row["Log"]).unwrap();
    SourceLine {
        trace_id: row["TraceID"].clone(),
        span_id: row["SpanID"].clone(),
        service: service(&row["PodName"]),
        instance: Some(row["PodName"].clone()),
        time_ns: number(&row["TimeUnixNano"]),
        text: wrapped["log"].as_str().expect("a text").to_owned(),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}
