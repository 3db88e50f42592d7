//! OTLP requests as JSON: one a line, or one document. Requests are cut and joined at their resources, so that batches
//! have a good size whatever the file's.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::input::{Reader, Unreadable, read_line};
use super::{Batch, Pending, Piece, Signal, Sink, Target};

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "resourceSpans", alias = "resource_spans", default)]
    spans: Option<Vec<Box<RawValue>>>,
    #[serde(rename = "resourceLogs", alias = "resource_logs", default)]
    logs: Option<Vec<Box<RawValue>>>,
    #[serde(rename = "resourceMetrics", alias = "resource_metrics", default)]
    metrics: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "scopeSpans", alias = "scopeLogs", alias = "scope_spans", alias = "scope_logs", default)]
    scopes: Option<Vec<Scope>>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(rename = "spans", alias = "logRecords", alias = "log_records", default)]
    records: Option<Vec<IgnoredAny>>,
}

/// Reads requests into batches per signal.
pub(super) fn read(name: &str, reader: &mut Reader, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut joined = Joined { sink, pending: BTreeMap::new() };
    let mut line = Vec::new();
    let mut number = 0;
    while read_line(name, reader, &mut line)? {
        number += 1;
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        match requests_of(text) {
            Ok(requests) => requests.into_iter().try_for_each(|request| joined.add(number, request))?,
            // A value that goes on behind its line: a document.
            Err(error) if error.is_eof() => {
                let first = std::io::Cursor::new(line);
                let rest = std::mem::replace(reader, Box::new(std::io::Cursor::new(Vec::new())));
                document(name, &mut std::io::Read::chain(first, rest), number, &mut joined)?;
                break;
            }
            Err(error) => joined.sink.reject(number, &format!("no OTLP/JSON request: {error}")),
        }
    }
    joined.send_all()
}

/// A request, or an array of them.
fn requests_of(text: &[u8]) -> serde_json::Result<Vec<Request>> {
    if text.starts_with(b"[") { serde_json::from_slice(text) } else { serde_json::from_slice(text).map(|request| vec![request]) }
}

/// Requests over several lines, one after the other.
fn document(name: &str, reader: &mut dyn BufRead, first_line: u64, joined: &mut Joined<'_>) -> anyhow::Result<()> {
    let requests = serde_json::Deserializer::from_reader(reader).into_iter::<Box<RawValue>>();
    for raw in requests {
        let parsed = raw.and_then(|raw| requests_of(raw.get().as_bytes()));
        match parsed {
            Ok(parsed) => parsed.into_iter().try_for_each(|request| joined.add(first_line, request))?,
            Err(error) if error.is_io() => return Err(Unreadable::new(name, error).into()),
            Err(error) => {
                let line = first_line + (error.line() as u64).saturating_sub(1);
                joined.sink.reject(line, &format!("no OTLP/JSON request ({error}): the rest of the file is not read"));
                break;
            }
        }
    }
    Ok(())
}

struct Joined<'s> {
    sink: &'s mut dyn Sink,
    pending: BTreeMap<Signal, Pending>,
}

impl Joined<'_> {
    fn add(&mut self, line: u64, request: Request) -> anyhow::Result<()> {
        if request.metrics.is_some_and(|metrics| !metrics.is_empty()) {
            self.sink.reject(line, "metrics are not taken, only logs and traces");
        }
        for (signal, resources) in [(Signal::Traces, request.spans), (Signal::Logs, request.logs)] {
            for resource in resources.unwrap_or_default() {
                self.resource(signal, line, &resource)?;
            }
        }
        Ok(())
    }

    fn resource(&mut self, signal: Signal, line: u64, resource: &RawValue) -> anyhow::Result<()> {
        let records = match serde_json::from_str::<Resource>(resource.get()) {
            Ok(parsed) => {
                parsed.scopes.unwrap_or_default().iter().map(|scope| scope.records.as_ref().map_or(0, Vec::len) as u64).sum::<u64>()
            }
            Err(error) => {
                self.sink.reject(line, &format!("no OTLP/JSON resource: {error}"));
                return Ok(());
            }
        };
        if self.pending.get(&signal).is_some_and(|pending| pending.is_full_for(resource.get().len())) {
            self.send(signal)?;
        }
        self.pending.entry(signal).or_default().push(Piece { bytes: resource.get().into(), line, records });
        Ok(())
    }

    fn send(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(pending) = self.pending.remove(&signal) else { return Ok(()) };
        self.sink.batch(Batch::of_pieces(Target::OtlpJson(signal), pending.pieces))
    }

    fn send_all(&mut self) -> anyhow::Result<()> {
        self.send(Signal::Traces)?;
        self.send(Signal::Logs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Collected;
    use super::*;

    fn collected(text: &str) -> Collected {
        let mut sink = Collected::default();
        let mut reader: Reader = Box::new(std::io::Cursor::new(text.to_owned().into_bytes()));
        read("x", &mut reader, &mut sink).unwrap();
        sink
    }

    #[test]
    fn requests_are_joined_per_signal_and_bad_lines_named() {
        let sink = collected(
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{},{}]}]}]}\n\n{oops\n{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}],\"resourceSpans\":null}\n{\"resourceSpans\":[{\"a\":1}]}\n{\"resourceMetrics\":[{}]}\n",
        );
        let bodies: Vec<_> =
            sink.batches.iter().map(|batch| (batch.target, batch.records, String::from_utf8(batch.body.clone()).unwrap())).collect();
        assert_eq!(
            bodies,
            [
                (Target::OtlpJson(Signal::Traces), 2, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{},{}]}]},{\"a\":1}]}".to_owned()),
                (Target::OtlpJson(Signal::Logs), 1, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}".to_owned()),
            ]
        );
        assert_eq!(sink.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 6]);
    }

    #[test]
    fn a_document_over_several_lines_is_cut_at_its_resources() {
        let resource = format!("{{\"scopeSpans\":[{{\"spans\":[{{\"name\":\"{}\"}}]}}]}}", "x".repeat(400_000));
        let sink = collected(&format!("{{\n \"resourceSpans\": [\n{}\n]\n}}\n", [resource.as_str(); 5].join(",\n")));
        assert_eq!(sink.batches.iter().map(|batch| batch.records).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
