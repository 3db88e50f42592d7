//! Traces as their source tells them, whatever its format: sent as OTLP, and what the tree must then be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use serde_json::Value;

use crate::harness::Server;
use crate::journey::assert_is_a_tree;
use crate::otlp::{self, text_attribute};

/// Spans or lines of one request.
const REQUEST_RECORDS: usize = 1000;

/// A span as its source tells it.
#[derive(Clone, Default)]
pub(crate) struct SourceSpan {
    /// 32 hex digits.
    pub(crate) trace_id: String,
    /// 16 hex digits.
    pub(crate) span_id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) service: String,
    pub(crate) instance: Option<String>,
    pub(crate) name: String,
    /// As OTLP numbers them; 0 where the source does not say.
    pub(crate) kind: i32,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: Vec<(String, String)>,
    /// Their times, in the source's order, with the names of their attributes.
    pub(crate) events: Vec<(u64, BTreeSet<String>)>,
    /// Trace and span of each.
    pub(crate) links: Vec<(String, String)>,
}

/// A line of text, and the span in which it was written, whether or not it says so.
#[derive(Clone)]
pub(crate) struct SourceLine {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) service: String,
    pub(crate) instance: Option<String>,
    pub(crate) time_ns: u64,
    pub(crate) text: String,
}

/// What a line says of where it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    Span,
    Trace,
    /// Only the request id that the root span of its trace names.
    Request,
}

/// Which span is above a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    Nothing,
    /// The place in the list of spans.
    Span(usize),
    /// Its id; the source does not have it.
    Missing(String),
}

/// The attribute that tells which line of the source a log is.
pub(crate) const LINE: &str = "source.line";

/// The spans of each trace.
pub(crate) fn by_trace(spans: &[SourceSpan]) -> BTreeMap<&str, Vec<SourceSpan>> {
    let mut traces: BTreeMap<&str, Vec<SourceSpan>> = BTreeMap::new();
    for span in spans {
        traces.entry(&span.trace_id).or_default().push(span.clone());
    }
    traces
}

/// What is above each span of one trace, where no two spans share an id.
pub(crate) fn parents(spans: &[SourceSpan]) -> Vec<Above> {
    let by_id: HashMap<&str, usize> = spans.iter().enumerate().map(|(index, span)| (&*span.span_id, index)).collect();
    assert_eq!(by_id.len(), spans.len(), "span ids are shared");
    let above = |span: &SourceSpan| match &span.parent_id {
        None => Above::Nothing,
        Some(parent) => by_id.get(&**parent).map_or_else(|| Above::Missing(parent.clone()), |index| Above::Span(*index)),
    };
    spans.iter().map(above).collect()
}

pub(crate) fn send_spans<'spans>(server: &Server, spans: impl IntoIterator<Item = &'spans SourceSpan>) {
    let spans: Vec<&SourceSpan> = spans.into_iter().collect();
    for spans in spans.chunks(REQUEST_RECORDS) {
        let by_sender = by_sender(spans.iter().copied(), |span| (&span.service, span.instance.as_deref()));
        let resources = by_sender.into_iter().map(|((service, instance), spans)| {
            let spans = otlp::spans_of(service, spans.into_iter().map(otlp_span).collect());
            ResourceSpans { resource: Some(resource(service, instance)), ..spans }
        });
        post(server, "/v1/traces", &otlp::traces(resources.collect()));
    }
}

/// Each line with its number.
pub(crate) fn send_lines<'lines>(server: &Server, lines: impl IntoIterator<Item = (usize, &'lines SourceLine)>, says: Says) {
    let lines: Vec<(usize, &SourceLine)> = lines.into_iter().collect();
    for lines in lines.chunks(REQUEST_RECORDS) {
        let by_sender = by_sender(lines.iter().copied(), |(_, line)| (&line.service, line.instance.as_deref()));
        let resources = by_sender.into_iter().map(|((service, instance), lines)| {
            let records = lines.into_iter().map(|(number, line)| {
                let mut log = otlp::log(&line.text, line.time_ns);
                log.attributes.push(text_attribute(LINE, &format!("line {number}")));
                match says {
                    Says::Span => (log.trace_id, log.span_id) = (bytes(&line.trace_id), bytes(&line.span_id)),
                    Says::Trace => log.trace_id = bytes(&line.trace_id),
                    Says::Request => log.attributes.push(text_attribute("request_id", &request_id(&line.trace_id))),
                }
                log
            });
            ResourceLogs { resource: Some(resource(service, instance)), ..otlp::logs_of(service, records.collect()) }
        });
        post(server, "/v1/logs", &otlp::logs(resources.collect()));
    }
}

/// The request id of a trace, of which its trace id cannot be read off.
pub(crate) fn request_id(trace_id: &str) -> String {
    let hex: String = trace_id.chars().rev().zip("5a3c96e1f0785a3c96e1f0785a3c96e1".chars()).map(masked).collect();
    format!("{}-{}-{}-{}-{}", &hex[0..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

fn masked((digit, mask): (char, char)) -> char {
    char::from_digit(digit.to_digit(16).unwrap() ^ mask.to_digit(16).unwrap(), 16).unwrap()
}

/// Who sent something: a service and its instance.
type Sender<'source> = (&'source str, Option<&'source str>);

fn by_sender<'source, T: Copy>(
    items: impl Iterator<Item = T>,
    sender: impl Fn(T) -> (&'source String, Option<&'source str>),
) -> BTreeMap<Sender<'source>, Vec<T>> {
    let mut senders: BTreeMap<Sender<'source>, Vec<T>> = BTreeMap::new();
    for item in items {
        let (service, instance) = sender(item);
        senders.entry((service, instance)).or_default().push(item);
    }
    senders
}

fn resource(service: &str, instance: Option<&str>) -> Resource {
    let mut resource = otlp::resource(service);
    resource.attributes.extend(instance.map(|instance| text_attribute("service.instance.id", instance)));
    resource
}

fn otlp_span(span: &SourceSpan) -> Span {
    let event = |(time, keys): &(u64, BTreeSet<String>)| span::Event {
        time_unix_nano: *time,
        attributes: keys.iter().map(|key| text_attribute(key, "")).collect(),
        ..Default::default()
    };
    let link = |(trace, id): &(String, String)| span::Link { trace_id: bytes(trace), span_id: bytes(id), ..Default::default() };
    Span {
        span_id: bytes(&span.span_id),
        parent_span_id: span.parent_id.as_deref().map(bytes).unwrap_or_default(),
        kind: span.kind,
        attributes: span.attributes.iter().map(|(key, value)| text_attribute(key, value)).collect(),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        ..otlp::span(&bytes(&span.trace_id), &span.name, span.start_ns, span.end_ns)
    }
}

fn post(server: &Server, path: &str, request: &impl Message) {
    let body = request.encode_to_vec();
    let answer = crate::harness::post(&(server.otlp_http() + path), &[("content-type", "application/x-protobuf")], &body);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
}

/// The bytes of hex digits.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Nanoseconds since the epoch, of a time in an answer.
pub(crate) fn nanoseconds(time: &Value) -> u64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().unwrap();
    u64::try_from(time.as_nanosecond()).unwrap()
}

/// The journey of one trace is what the source says: each span once, under its parent, as it was; a place for each
/// parent that the source lacks; nothing guessed but where such a place stands.
pub(crate) fn assert_told(journey: &Value, spans: &[SourceSpan], parents: &[Above]) {
    assert_is_a_tree(journey);
    let id = &journey["id"];
    let nodes = journey["nodes"].as_array().unwrap();
    assert_eq!(journey["nodes_total"], nodes.len(), "{id}");
    let mut span_of: HashMap<&str, usize> = HashMap::new();
    let mut placed = BTreeSet::new();
    for node in nodes.iter().filter(|node| node["missing"] == false) {
        let index = spans.iter().position(|span| is_span(node, span)).unwrap_or_else(|| panic!("{id}: not in the source: {node}"));
        assert!(placed.insert(index), "{id}: twice: {node}");
        assert!(node["inferred"].is_null(), "{id}: guessed: {node}");
        assert_eq!(node["flags"], serde_json::json!([]), "{id}: {node}");
        span_of.insert(node["node_id"].as_str().unwrap(), index);
    }
    assert_eq!(placed.len(), spans.len(), "{id}: spans are not in the tree");
    let missing: BTreeSet<&String> =
        parents.iter().filter_map(|above| if let Above::Missing(id) = above { Some(id) } else { None }).collect();
    let places = nodes.iter().filter(|node| node["missing"] == true).count();
    assert_eq!((places, &journey["completeness"]["missing_parents"]), (missing.len(), &Value::from(missing.len())), "{id}");
    for node in nodes.iter().filter(|node| node["missing"] == false) {
        let index = span_of[node["node_id"].as_str().unwrap()];
        let above = match node["parent_node_id"].as_str() {
            None => Above::Nothing,
            Some(parent) => span_of.get(parent).map_or_else(|| missing_of(parent), |above| Above::Span(*above)),
        };
        assert_eq!(above, parents[index], "{id}: above {node}");
        if missing.is_empty() {
            assert_eq!(node["depth"], depth(parents, index), "{id}: {node}");
        }
    }
    assert_services(journey, spans);
    let start = spans.iter().map(|span| span.start_ns).min().unwrap();
    let end = spans.iter().map(|span| span.end_ns).max().unwrap();
    assert_eq!((nanoseconds(&journey["start"]), &journey["duration_ns"]), (start, &Value::from(end - start)), "{id}");
}

/// The id of the parent that a place stands for.
fn missing_of(node_id: &str) -> Above {
    Above::Missing(node_id.strip_prefix("missing-").unwrap_or_else(|| panic!("{node_id} is no place of a parent")).to_owned())
}

fn depth(parents: &[Above], mut index: usize) -> usize {
    let mut depth = 0;
    while let Above::Span(parent) = &parents[index] {
        (index, depth) = (*parent, depth + 1);
    }
    depth
}

fn is_span(node: &Value, span: &SourceSpan) -> bool {
    const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    let told = &node["span"];
    told["span_id"] == span.span_id
        && told["parent_span_id"].as_str() == span.parent_id.as_deref()
        && node["service"] == span.service
        && node["name"] == span.name
        && node["kind"] == KINDS[usize::try_from(span.kind).unwrap()]
        && nanoseconds(&node["start"]) == span.start_ns
        && node["duration_ns"] == span.end_ns - span.start_ns
        && events(told) == span.events
}

fn events(span: &Value) -> Vec<(u64, BTreeSet<String>)> {
    let keys = |event: &Value| event["attributes"].as_object().unwrap().keys().cloned().collect();
    let events = span["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().map(|event| (nanoseconds(&event["timestamp"]), keys(event))).collect()
}

fn assert_services(journey: &Value, spans: &[SourceSpan]) {
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for span in spans {
        *expected.entry(&span.service).or_default() += 1;
    }
    let services = journey["services"].as_array().unwrap();
    let found: BTreeMap<&str, u64> =
        services.iter().map(|service| (service["name"].as_str().unwrap(), service["spans"].as_u64().unwrap())).collect();
    assert_eq!(found, expected, "{}", journey["id"]);
}
