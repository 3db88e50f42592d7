//! Records as their senders put them on the wire, in the clocks of the senders.

use std::collections::BTreeMap;

use needle_ingest::storage::BodyFormat;
use needle_ingest::storage::model::UnixNanos;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::json;

use crate::attributes::{integer, text, text_value};
use crate::fleet::{Door, Fleet, Identity, Process, TextStyle};
use crate::graph::{Graph, Line, Place, TrueSpan};

/// By which the oracle knows a record again.
pub(crate) const NUMBER: &str = "n";
const MILLISECOND: u64 = 1_000_000;
/// Senders retry after this long.
const COPY_AFTER_NS: u64 = 2_000 * MILLISECOND;

/// What a record is on the wire.
#[derive(Clone, Debug)]
enum Wire {
    Span(Box<Span>),
    Log(Box<LogRecord>),
    JsonLine(serde_json::Value),
    TextLine(String),
}

/// A record on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When it leaves, in true time.
    pub(crate) at: u64,
    pub(crate) late: bool,
    process: Process,
    wire: Wire,
}

/// A request body.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) format: BodyFormat,
    /// Of plain lines, which do not say it themselves.
    pub(crate) service: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// All records of a request.
pub(crate) fn records(graph: &mut Graph<'_>) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (number, place) in graph.places.iter().enumerate() {
        let Some(span) = place.span.as_ref().filter(|span| !span.lost) else { continue };
        let mut wire = span_on_wire(graph.fleet, place, span, graph.number_of_span(number));
        wire.attributes.extend(graph.shared.iter().map(|id| text("x-correlation-id", id)));
        for copy in 0..span.copies as u64 {
            sent.push(Sent {
                at: place.window.to + copy * COPY_AFTER_NS,
                late: false,
                process: place.process,
                wire: Wire::Span(Box::new(wire.clone())),
            });
        }
    }
    for (number, line) in graph.lines.iter().enumerate() {
        let process = graph.places[line.place].process;
        let wire = line_on_wire(graph.fleet, process, line, graph.number_of_line(number));
        sent.push(Sent { at: line.at, late: false, process, wire });
    }
    if graph.late {
        sent.iter_mut().for_each(|sent| sent.late = graph.random.happens(0.3));
    }
    sent
}

fn clocked(fleet: &Fleet, process: Process, at: u64) -> u64 {
    at.saturating_add_signed(fleet.instance(process).clock_ns)
}

fn span_on_wire(fleet: &Fleet, place: &Place, span: &TrueSpan, number: u64) -> Span {
    let link = |(trace, span): &([u8; 16], [u8; 8])| Link { trace_id: trace.to_vec(), span_id: span.to_vec(), ..Link::default() };
    let mut attributes = span.attributes.clone();
    attributes.extend([integer(NUMBER, number), text("session.id", "s-4711"), text("tenant.id", "acme")]);
    Span {
        trace_id: place.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.to_vec()),
        name: span.name.clone(),
        kind: span.kind as i32,
        start_time_unix_nano: clocked(fleet, place.process, place.window.from),
        end_time_unix_nano: clocked(fleet, place.process, place.window.to),
        attributes,
        links: span.links.iter().map(link).collect(),
        status: span.failed.then(|| Status { code: 2, message: "unavailable".to_owned() }),
        ..Span::default()
    }
}

fn line_on_wire(fleet: &Fleet, process: Process, line: &Line, number: u64) -> Wire {
    let service = fleet.service(process);
    let time = clocked(fleet, process, line.at);
    if service.door == Door::Otlp {
        // What nobody set reads so in many loggers.
        let mut attributes = vec![integer(NUMBER, number), text("user.request_id", "-")];
        attributes.extend(line.attributes.iter().cloned());
        return Wire::Log(Box::new(LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time,
            severity_number: 9,
            body: Some(text_value(&line.body)),
            attributes,
            trace_id: line.trace.map_or_else(Vec::new, |id| id.to_vec()),
            span_id: line.span.map_or_else(Vec::new, |id| id.to_vec()),
            ..LogRecord::default()
        }));
    }
    if let Door::Text(style) = service.door {
        return Wire::TextLine(text_line(style, service.name, time, line, number));
    }
    // Loggers of JSON write milliseconds.
    let mut object = json!({"time": time / MILLISECOND, "level": "info", "service": service.name, "msg": line.body, NUMBER: number, "correlation_id": null});
    for attribute in &line.attributes {
        object[&attribute.key] = json_of(attribute.value.as_ref());
    }
    if service.identity == Identity::Host {
        object["hostname"] = fleet.instance(process).name.clone().into();
    }
    if service.names_machine {
        object["kubernetes"] = json!({"host": fleet.instance(process).machine});
    }
    Wire::JsonLine(object)
}

/// A plain line, with the oracle's number at its end.
fn text_line(style: TextStyle, service: &str, time: u64, line: &Line, number: u64) -> String {
    let (at, body) = (UnixNanos(time / MILLISECOND * MILLISECOND), &line.body);
    let said: String = line.attributes.iter().fold(String::new(), |said, attribute| {
        let value = json_of(attribute.value.as_ref());
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{said} {}={value}", attribute.key)
    });
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap();
    match style {
        TextStyle::Plain => format!("{} INFO {body}{said} {NUMBER}={number}", at.strftime("%Y-%m-%d %H:%M:%S,%3f")),
        TextStyle::Logfmt => {
            let quoted = body.replace('"', "\\\"");
            format!("time={} level=info msg=\"{quoted}\"{said} {NUMBER}={number}", at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
        }
        TextStyle::Syslog => {
            format!("<134>1 {} host-1 {service} 4711 - - {body}{said} {NUMBER}={number}", at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
        }
    }
}

fn json_of(value: Option<&AnyValue>) -> serde_json::Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone().into(),
        Some(Value::IntValue(number)) => (*number).into(),
        Some(Value::DoubleValue(number)) => (*number).into(),
        Some(Value::ArrayValue(array)) => array.values.iter().map(|value| json_of(Some(value))).collect(),
        other => panic!("{other:?} is not among the attributes of a line"),
    }
}

/// The bodies that bring these records: spans, logs, lines of JSON, plain lines of each service.
pub(crate) fn bodies(fleet: &Fleet, records: &[Sent]) -> Vec<Body> {
    let (mut spans, mut logs) = (BTreeMap::<Process, Vec<Span>>::new(), BTreeMap::<Process, Vec<LogRecord>>::new());
    let mut lines = String::new();
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for sent in records {
        match &sent.wire {
            Wire::Span(span) => spans.entry(sent.process).or_default().push((**span).clone()),
            Wire::Log(log) => logs.entry(sent.process).or_default().push((**log).clone()),
            Wire::JsonLine(line) => lines.push_str(&format!("{line}\n")),
            Wire::TextLine(line) => texts.entry(fleet.service(sent.process).name).or_default().push_str(&format!("{line}\n")),
        }
    }
    let spans: Vec<ResourceSpans> = spans.into_iter().map(|(process, spans)| resource_spans(fleet, process, spans)).collect();
    let logs: Vec<ResourceLogs> = logs.into_iter().map(|(process, logs)| resource_logs(fleet, process, logs)).collect();
    let bodies = [
        (!spans.is_empty()).then(|| Body {
            format: BodyFormat::OtlpTracesProtobuf,
            service: None,
            bytes: ExportTraceServiceRequest { resource_spans: spans }.encode_to_vec(),
        }),
        (!logs.is_empty()).then(|| Body {
            format: BodyFormat::OtlpLogsProtobuf,
            service: None,
            bytes: ExportLogsServiceRequest { resource_logs: logs }.encode_to_vec(),
        }),
        (!lines.is_empty()).then(|| Body { format: BodyFormat::JsonLogs, service: None, bytes: lines.into_bytes() }),
    ];
    let of_text = |(service, lines): (&str, String)| Body {
        format: BodyFormat::TextLogs,
        service: Some(service.to_owned()),
        bytes: lines.into_bytes(),
    };
    bodies.into_iter().flatten().chain(texts.into_iter().map(of_text)).collect()
}

fn resource_spans(fleet: &Fleet, process: Process, spans: Vec<Span>) -> ResourceSpans {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ResourceSpans { resource: Some(resource(fleet, process)), scope_spans, ..ResourceSpans::default() }
}

fn resource_logs(fleet: &Fleet, process: Process, log_records: Vec<LogRecord>) -> ResourceLogs {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ResourceLogs { resource: Some(resource(fleet, process)), scope_logs, ..ResourceLogs::default() }
}

fn resource(fleet: &Fleet, process: Process) -> Resource {
    let (service, instance) = (fleet.service(process), fleet.instance(process));
    let mut attributes: Vec<KeyValue> = vec![text("service.name", service.name), text("deployment.environment.name", "prod")];
    match service.identity {
        Identity::Instance => attributes.push(text("service.instance.id", &instance.name)),
        Identity::Pod => attributes.extend([text("k8s.pod.name", &instance.name), text("k8s.pod.ip", &instance.address)]),
        Identity::Host | Identity::Nothing => {}
    }
    attributes.extend(service.names_machine.then(|| text("k8s.node.name", &instance.machine)));
    Resource { attributes, ..Resource::default() }
}
