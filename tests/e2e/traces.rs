//! Traces of Jaeger and Zipkin: a small converter to OTLP, and trees that are exactly what the source says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Server, post, shared_data};
use crate::source::{Above, SourceSpan, assert_told, by_trace, parents, send_spans};

/// OTLP's numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

#[test]
fn a_dump_of_jaeger_is_the_tree_that_it_tells() {
    let Some(spans) = social_network() else { return };
    assert_eq!((spans.len(), by_trace(&spans).len()), (660, 20));
    let server = Server::start();
    let check = |state: &str| {
        for (trace, spans) in by_trace(&spans) {
            let parents = parents(&spans);
            assert_eq!(parents.iter().filter(|above| **above == Above::Nothing).count(), 1, "{trace}");
            let journey = server.journey(trace);
            assert_told(&journey, &spans, &parents);
            // Jaeger names a trace by 64 bits.
            assert_eq!(server.journey(&trace[16..])["nodes"], journey["nodes"], "{trace} {state}");
        }
    };
    send_spans(&server, &spans);
    check("live");
    server.flush();
    // An exporter that was not answered sends again.
    send_spans(&server, &spans[..400]);
    check("sealed, and some of it live as well");
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    check("merged");
}

#[test]
fn a_parent_that_the_dump_lacks_has_a_place() {
    let Some(spans) = social_network() else { return };
    let server = Server::start();
    // Another one is lost in each trace: each inner span but the root, once.
    let mut left_over = Vec::new();
    for (number, spans) in by_trace(&spans).into_values().enumerate() {
        let inner: BTreeSet<&String> = spans.iter().filter_map(|span| span.parent_id.as_ref()).collect();
        let lost = inner.into_iter().filter(|id| **id != spans[0].trace_id[16..]).nth(number).unwrap().clone();
        left_over.push(spans.into_iter().filter(|span| span.span_id != lost).collect::<Vec<_>>());
    }
    send_spans(&server, left_over.iter().flatten());
    for sealed in [false, true] {
        if sealed {
            server.flush();
        }
        for spans in &left_over {
            assert_eq!(spans.len(), 32);
            assert_told(&server.journey(&spans[0].trace_id), spans, &parents(spans));
        }
    }
}

/// Zipkin's libraries give the span of a call and the span of its handling one id (B3 calls it shared): a child that names
/// it is the handling's, if it is of the same service.
#[test]
fn spans_that_share_an_id_are_kept_apart() {
    let Some(spans) = social_network() else { return };
    let server = Server::start();
    let traces: Vec<_> = by_trace(&spans).into_values().map(|spans| (with_shared_ids(&spans), parents(&spans))).collect();
    send_spans(&server, traces.iter().flat_map(|(spans, _)| spans));
    for sealed in [false, true] {
        if sealed {
            server.flush();
        }
        for (spans, parents) in &traces {
            let ids: BTreeSet<&String> = spans.iter().map(|span| &span.span_id).collect();
            assert_eq!((spans.len(), ids.len()), (33, 22), "eleven ids are shared");
            assert_told(&server.journey(&spans[0].trace_id), spans, parents);
        }
    }
}

/// The spans as Zipkin's libraries would have sent them. The dump has no kinds, but names that say them.
fn with_shared_ids(spans: &[SourceSpan]) -> Vec<SourceSpan> {
    let parents = parents(spans);
    let kind = |index: usize| match &spans[index].name {
        name if name.ends_with("_server") => SERVER,
        name if name.ends_with("_client") => CLIENT,
        _ => 0,
    };
    let call_handled_by = |index: usize| match parents[index] {
        Above::Span(call) if (kind(index), kind(call)) == (SERVER, CLIENT) => Some(call),
        _ => None,
    };
    let shared = |(index, span): (usize, &SourceSpan)| {
        let call = call_handled_by(index);
        let parent_id = match parents[call.unwrap_or(index)] {
            Above::Span(parent) => Some(spans[call_handled_by(parent).unwrap_or(parent)].span_id.clone()),
            _ => None,
        };
        SourceSpan { span_id: spans[call.unwrap_or(index)].span_id.clone(), parent_id, kind: kind(index), ..span.clone() }
    };
    spans.iter().enumerate().map(shared).collect()
}

#[test]
fn fixtures_of_jaeger_are_the_trees_that_they_tell() {
    let Some(data) = shared_data("jaeger/traces") else { return };
    let server = Server::start();
    let mut spans = Vec::new();
    for file in files(&data, ".json") {
        let text = std::fs::read(file).unwrap();
        send_json(&server, &text);
        spans.extend(read_otlp(&serde_json::from_slice(&text).unwrap()));
    }
    assert_eq!((spans.len(), by_trace(&spans).len()), (20, 14));
    assert_all_told(&server, &spans);
}

/// `*.otlp.ndjson` is the same data as its collector exported it.
#[test]
fn traces_of_zipkin_are_the_trees_that_they_tell() {
    let Some(data) = shared_data("zipkin") else { return };
    let server = Server::start();
    let mut spans = Vec::new();
    for file in files(&data, ".ndjson") {
        std::fs::read_to_string(&file).unwrap().lines().for_each(|line| send_json(&server, line.as_bytes()));
        let source = file.to_str().unwrap().replace(".otlp.ndjson", ".json");
        spans.extend(read_zipkin(&serde_json::from_slice(&std::fs::read(source).unwrap()).unwrap()));
    }
    assert_eq!((spans.len(), by_trace(&spans).len()), (9, 2));
    assert_all_told(&server, &spans);
}

fn assert_all_told(server: &Server, spans: &[SourceSpan]) {
    for flush in ["", "/api/v1/admin/flush", "/api/v1/admin/flush?merge=true"] {
        if !flush.is_empty() {
            server.post(flush, "application/json", "").expect(200);
        }
        for (trace, spans) in by_trace(spans) {
            assert_told(&server.journey(trace), &spans, &parents(&spans));
        }
    }
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
}

fn send_json(server: &Server, body: &[u8]) {
    let answer = post(&(server.otlp_http() + "/v1/traces"), &[("content-type", "application/json")], body);
    assert_eq!((answer.status, answer.text()), (200, "{}".to_owned()));
}

/// A post to a social network of twelve services, twenty times: a dump from the page of Jaeger.
pub(crate) fn social_network() -> Option<Vec<SourceSpan>> {
    let data = shared_data("deathstarbench")?;
    let dump: Value = serde_json::from_slice(&std::fs::read(data.join("traces-1695947455229.json")).unwrap()).unwrap();
    Some(read_jaeger(&dump))
}

/// The spans of a dump from the page or the API of Jaeger.
fn read_jaeger(dump: &Value) -> Vec<SourceSpan> {
    let traces = dump["data"].as_array().unwrap().iter();
    let spans = traces.flat_map(|trace| trace["spans"].as_array().unwrap().iter().map(|span| (&trace["processes"], span)));
    spans.map(|(processes, span)| read_jaeger_span(&processes[span["processID"].as_str().unwrap()], span)).collect()
}

/// A span has one parent in OTLP: the first that it is a child of, else the first that it follows, in its own trace; whatever
/// else it refers to are links.
fn read_jaeger_span(process: &Value, span: &Value) -> SourceSpan {
    let trace_id = trace_id_of(&span["traceID"]);
    let references: Vec<(&str, (String, String))> = span["references"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| (to["refType"].as_str().unwrap(), (trace_id_of(&to["traceID"]), text(&to["spanID"]))))
        .collect();
    let first = |kind: &str| references.iter().position(|(found, (trace, _))| *found == kind && *trace == trace_id);
    let parent = first("CHILD_OF").or_else(|| first("FOLLOWS_FROM"));
    let links = references.iter().enumerate().filter(|(index, _)| Some(*index) != parent).map(|(_, (_, to))| to.clone());
    let start_ns = span["startTime"].as_u64().unwrap() * 1000;
    let tags = |tags: &Value| -> Vec<(String, String)> {
        tags.as_array().unwrap().iter().map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect()
    };
    let keys = |log: &Value| tags(&log["fields"]).into_iter().map(|(key, _)| key).collect();
    let attributes = tags(&span["tags"]);
    let kind = attributes.iter().find(|(key, _)| key == "span.kind").map_or(0, |(_, kind)| kind_of(kind));
    SourceSpan {
        span_id: text(&span["spanID"]),
        parent_id: parent.map(|index| references[index].1.1.clone()),
        service: text(&process["serviceName"]),
        name: text(&span["operationName"]),
        kind,
        start_ns,
        end_ns: start_ns + span["duration"].as_u64().unwrap() * 1000,
        attributes,
        events: span["logs"].as_array().unwrap().iter().map(|log| (log["timestamp"].as_u64().unwrap() * 1000, keys(log))).collect(),
        links: links.collect(),
        instance: None,
        trace_id,
    }
}

#[test]
fn what_a_span_of_jaeger_refers_to_is_its_parent_or_a_link() {
    let to = |kind: &str, trace: &str, span: &str| serde_json::json!({"refType": kind, "traceID": trace, "spanID": span});
    let (own, other) = ("00000000000000aa", "00000000000000bb");
    let mut span = serde_json::json!({
        "traceID": own, "spanID": "01", "operationName": "pack", "startTime": 7, "duration": 2, "tags": [{"key": "span.kind", "value": "consumer"}],
        "references": [to("CHILD_OF", other, "02"), to("FOLLOWS_FROM", own, "03"), to("CHILD_OF", own, "04")],
        "logs": [{"timestamp": 8, "fields": [{"key": "event", "value": "sealed"}]}],
    });
    let process = serde_json::json!({"serviceName": "mill"});
    let read = read_jaeger_span(&process, &span);
    assert_eq!((read.parent_id.as_deref(), read.kind, read.start_ns, read.end_ns), (Some("04"), 5, 7000, 9000));
    assert_eq!(read.links, [(trace_id_of(&other.into()), "02".to_owned()), (trace_id_of(&own.into()), "03".to_owned())]);
    assert_eq!(read.events, [(8000, BTreeSet::from(["event".to_owned()]))]);
    span["references"].as_array_mut().unwrap().pop();
    assert_eq!(read_jaeger_span(&process, &span).parent_id.as_deref(), Some("03"));
}

/// The spans of an export in OTLP's JSON.
fn read_otlp(export: &Value) -> Vec<SourceSpan> {
    let resources = export["resourceSpans"].as_array().unwrap().iter();
    let scopes = resources.flat_map(|resource| resource["scopeSpans"].as_array().unwrap().iter().map(move |scope| (resource, scope)));
    let spans = scopes.flat_map(|(resource, scope)| scope["spans"].as_array().unwrap().iter().map(move |span| (resource, span)));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let key = |attribute: &Value| text(&attribute["key"]);
    let time = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let read = |(resource, span): (&Value, &Value)| SourceSpan {
        trace_id: text(&span["traceId"]),
        span_id: text(&span["spanId"]),
        parent_id: span["parentSpanId"].as_str().map(str::to_owned),
        service: list(&resource["resource"]["attributes"])
            .iter()
            .find(|attribute| attribute["key"] == "service.name")
            .map(|attribute| text(&attribute["value"]["stringValue"]))
            .unwrap(),
        name: text(&span["name"]),
        kind: i32::try_from(span["kind"].as_i64().unwrap_or(0)).unwrap(),
        start_ns: time(&span["startTimeUnixNano"]),
        end_ns: time(&span["endTimeUnixNano"]),
        events: list(&span["events"])
            .iter()
            .map(|event| (time(&event["timeUnixNano"]), list(&event["attributes"]).iter().map(key).collect()))
            .collect(),
        ..SourceSpan::default()
    };
    spans.map(read).collect()
}

/// The spans of a trace in Zipkin's second format.
fn read_zipkin(spans: &Value) -> Vec<SourceSpan> {
    let read = |span: &Value| {
        let start_ns = span["timestamp"].as_u64().unwrap() * 1000;
        SourceSpan {
            trace_id: trace_id_of(&span["traceId"]),
            span_id: text(&span["id"]),
            parent_id: span["parentId"].as_str().map(str::to_owned),
            service: text(&span["localEndpoint"]["serviceName"]),
            name: text(&span["name"]),
            kind: span["kind"].as_str().map_or(0, |kind| kind_of(&kind.to_lowercase())),
            start_ns,
            end_ns: start_ns + span["duration"].as_u64().unwrap() * 1000,
            ..SourceSpan::default()
        }
    };
    spans.as_array().unwrap().iter().map(read).collect()
}

fn kind_of(name: &str) -> i32 {
    let kind = ["internal", "server", "client", "producer", "consumer"].iter().position(|kind| *kind == name);
    i32::try_from(kind.expect("a kind of a span")).unwrap() + 1
}

/// 128 bits, of which older tracers give 64.
fn trace_id_of(id: &Value) -> String {
    format!("{:0>32}", id.as_str().unwrap())
}

/// A text as it is, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
