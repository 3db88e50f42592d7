//! Arbitrary messages, encoded by the generated types, against both of our decoders.

use needle_storage::BodyFormat;
use needle_storage::model::{
    Attributes, Common, Link, Log, Record, RecordId, Severity, Span, SpanEvent, SpanId, SpanKind, StatusCode, TraceId, UnixNanos, Value,
};
use opentelemetry_proto::tonic::collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage, Status, span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::{ARRIVAL, decode, records};

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        any::<String>().prop_map(|text| Some(Any::StringValue(text))),
        any::<bool>().prop_map(|yes| Some(Any::BoolValue(yes))),
        any::<i64>().prop_map(|number| Some(Any::IntValue(number))),
        any::<f64>().prop_filter("NaN differs from itself", |n| !n.is_nan()).prop_map(|number| Some(Any::DoubleValue(number))),
        any::<Vec<u8>>().prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ];
    let value = leaf.prop_map(|value| AnyValue { value });
    value.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) }),
            vec((key(), inner), 0..4)
                .prop_map(|entries| AnyValue { value: Some(Any::KvlistValue(KeyValueList { values: key_values(entries) })) }),
        ]
    })
}

/// Keys of which none means an id, so that the expectation needs no id finder.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("$k".to_owned()), "[a-z]{0,6}\\.é[ \"$]?"]
}

fn key_values(entries: Vec<(String, AnyValue)>) -> Vec<KeyValue> {
    entries.into_iter().map(|(key, value)| KeyValue { key, value: Some(value), ..KeyValue::default() }).collect()
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((key(), any_value()), 0..5).prop_map(key_values)
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let named = (attributes(), option::of("[a-z]{1,8}"), any::<u32>()).prop_map(|(mut attributes, service, dropped_attributes_count)| {
        if let Some(service) = service {
            let value = Some(AnyValue { value: Some(Any::StringValue(service)) });
            attributes.push(KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() });
        }
        Resource { attributes, dropped_attributes_count, ..Resource::default() }
    });
    option::of(named)
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    option::of((any::<String>(), "[0-9.]{0,5}", attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    ))
}

fn id(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), bytes), 1 => vec(any::<u8>(), 0..20), 1 => Just(vec![0; bytes])]
}

/// Text in which no pattern finds an id.
fn prose() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("no JSON", |text| !text.trim_start().starts_with('{'))
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let body = option::of(prop_oneof![prose().prop_map(|text| AnyValue { value: Some(Any::StringValue(text)) }), any_value()]);
    let times = (prop_oneof![Just(0), any::<u64>()], prop_oneof![Just(0), 0..i64::MAX as u64]);
    let texts = (prop_oneof![Just("WARN".to_owned()), "[a-z]{0,3}"], prose());
    (times, -3i32..30, texts, body, attributes(), any::<(u32, u32)>(), id(16), id(8)).prop_map(
        |(times, severity_number, texts, body, attributes, (flags, dropped_attributes_count), trace_id, span_id)| LogRecord {
            time_unix_nano: times.0,
            observed_time_unix_nano: times.1,
            severity_number,
            severity_text: texts.0,
            event_name: texts.1,
            body,
            attributes,
            dropped_attributes_count,
            flags,
            trace_id,
            span_id,
        },
    )
}

fn logs_request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (scope(), vec(log_record(), 0..4), "[a-z/]{0,4}").prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    });
    let resource_logs = (resource(), vec(scope_logs, 0..3), "[a-z/]{0,4}").prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn event() -> impl Strategy<Value = span::Event> {
    (any::<u64>(), any::<String>(), attributes(), any::<u32>()).prop_map(|(time_unix_nano, name, attributes, dropped_attributes_count)| {
        span::Event { time_unix_nano, name, attributes, dropped_attributes_count }
    })
}

fn link() -> impl Strategy<Value = span::Link> {
    (id(16), id(8), "[a-z=]{0,4}", attributes(), any::<(u32, u32)>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, (dropped_attributes_count, flags))| span::Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

fn span() -> impl Strategy<Value = SpanMessage> {
    let ids = (id(16), id(8), id(8));
    let texts = (any::<String>(), "[a-z=]{0,4}");
    let status = option::of((any::<String>(), 0i32..5).prop_map(|(message, code)| Status { message, code }));
    let times = (0..i64::MAX as u64, 0..i64::MAX as u64);
    (ids, texts, times, -1i32..9, attributes(), any::<[u32; 4]>(), vec(event(), 0..3), vec(link(), 0..3), status).prop_map(
        |(ids, texts, times, kind, attributes, counts, events, links, status)| SpanMessage {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            name: texts.0,
            trace_state: texts.1,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            kind,
            attributes,
            flags: counts[0],
            dropped_attributes_count: counts[1],
            dropped_events_count: counts[2],
            dropped_links_count: counts[3],
            events,
            links,
            status,
        },
    )
}

fn traces_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans =
        (scope(), vec(span(), 0..4), "[a-z/]{0,4}").prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (resource(), vec(scope_spans, 0..3), "[a-z/]{0,4}")
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

// What the records of a message are, said in the plainest way.

fn value_of(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => Value::String(text.clone()),
        Some(Any::BoolValue(yes)) => Value::Bool(*yes),
        Some(Any::IntValue(number)) => Value::Int(*number),
        Some(Any::DoubleValue(number)) => Value::Double(*number),
        Some(Any::BytesValue(bytes)) => Value::Bytes(bytes.clone()),
        Some(Any::ArrayValue(array)) => Value::Array(array.values.iter().map(|value| value_of(Some(value))).collect()),
        Some(Any::KvlistValue(list)) => Value::Map(entries_of(&list.values)),
        _ => Value::Empty,
    }
}

fn entries_of(list: &[KeyValue]) -> Attributes {
    list.iter().map(|entry| (entry.key.clone(), value_of(entry.value.as_ref()))).collect()
}

/// Of a repeated key the last value counts.
/// A record shows its attributes in the order of their keys.
fn by_key(mut attributes: Attributes) -> Attributes {
    attributes.sort_by(|(one, _), (other, _)| one.cmp(other));
    attributes
}

fn distinct(entries: &[(String, Value)]) -> Attributes {
    let kept = entries.iter().enumerate().filter(|(n, (key, _))| !entries[n + 1..].iter().any(|(later, _)| later == key));
    kept.map(|(_, entry)| entry.clone()).collect()
}

fn resource_of(resource: Option<&Resource>, schema_url: &str) -> (Attributes, String) {
    let mut entries = resource.map_or_else(Attributes::new, |resource| entries_of(&resource.attributes));
    let service = entries.iter().rev().find(|(key, _)| key == "service.name").map(|(_, value)| value.text());
    let dropped = resource.map_or(0, |resource| resource.dropped_attributes_count);
    if dropped != 0 {
        entries.push(("$dropped_attributes_count".to_owned(), Value::Int(dropped.into())));
    }
    if !schema_url.is_empty() {
        entries.push(("$schema_url".to_owned(), Value::String(schema_url.to_owned())));
    }
    (entries, service.unwrap_or_else(|| "unknown_service".to_owned()))
}

fn scope_of(scope: Option<&InstrumentationScope>, schema_url: &str) -> Attributes {
    let scope = scope.cloned().unwrap_or_default();
    let members = [
        ("name", Value::String(scope.name)),
        ("version", Value::String(scope.version)),
        ("attributes", Value::Map(entries_of(&scope.attributes))),
        ("dropped_attributes_count", Value::Int(scope.dropped_attributes_count.into())),
        ("schema_url", Value::String(schema_url.to_owned())),
    ];
    let empty = [Value::String(String::new()), Value::Map(vec![]), Value::Int(0)];
    members.into_iter().filter(|(_, value)| !empty.contains(value)).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn text_of(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn expected_logs(request: &ExportLogsServiceRequest) -> Vec<Record> {
    let mut expected = Vec::new();
    for group in &request.resource_logs {
        let (resource, service) = resource_of(group.resource.as_ref(), &group.schema_url);
        for scope in &group.scope_logs {
            for log in &scope.log_records {
                let common = Common {
                    record_id: RecordId(0),
                    time: UnixNanos(
                        [log.time_unix_nano, log.observed_time_unix_nano, ARRIVAL.0].into_iter().find(|time| *time != 0).unwrap(),
                    ),
                    original_time: match log.time_unix_nano {
                        0 => Some(0),
                        time => Some(time).filter(|time| *time > i64::MAX as u64),
                    },
                    trace_id: TraceId::from_bytes(&log.trace_id),
                    span_id: SpanId::from_bytes(&log.span_id),
                    request_ids: vec![],
                    service: service.clone(),
                    attributes: by_key(distinct(&entries_of(&log.attributes))),
                    resource: resource.clone().into(),
                    scope: scope_of(scope.scope.as_ref(), &scope.schema_url).into(),
                    flags: log.flags,
                    dropped_attributes_count: log.dropped_attributes_count,
                };
                let named = if log.severity_text == "WARN" { Severity::WARN } else { Severity::UNSPECIFIED };
                expected.push(Record::Log(Log {
                    common,
                    observed_time: Some(log.observed_time_unix_nano).filter(|time| *time != 0).map(UnixNanos),
                    severity: if (1..=24).contains(&log.severity_number) { Severity(log.severity_number as u8) } else { named },
                    severity_text: text_of(&log.severity_text),
                    event_name: text_of(&log.event_name),
                    body: log.body.as_ref().map(|body| value_of(Some(body))),
                }));
            }
        }
    }
    expected
}

fn expected_spans(request: &ExportTraceServiceRequest) -> Vec<Record> {
    let mut expected = Vec::new();
    for group in &request.resource_spans {
        let (resource, service) = resource_of(group.resource.as_ref(), &group.schema_url);
        for scope in &group.scope_spans {
            for span in &scope.spans {
                let (Some(trace_id), Some(span_id)) = (TraceId::from_bytes(&span.trace_id), SpanId::from_bytes(&span.span_id)) else {
                    continue;
                };
                let status = span.status.clone().unwrap_or_default();
                let common = Common {
                    record_id: RecordId(0),
                    time: UnixNanos(span.start_time_unix_nano),
                    original_time: None,
                    trace_id: Some(trace_id),
                    span_id: Some(span_id),
                    request_ids: vec![],
                    service: service.clone(),
                    attributes: by_key(distinct(&entries_of(&span.attributes))),
                    resource: resource.clone().into(),
                    scope: scope_of(scope.scope.as_ref(), &scope.schema_url).into(),
                    flags: span.flags,
                    dropped_attributes_count: span.dropped_attributes_count,
                };
                let events = span.events.iter().map(|event| SpanEvent {
                    time: UnixNanos(event.time_unix_nano),
                    name: event.name.clone(),
                    attributes: entries_of(&event.attributes),
                    dropped_attributes_count: event.dropped_attributes_count,
                });
                let links = span.links.iter().map(|link| Link {
                    trace_id: TraceId::from_bytes(&link.trace_id),
                    span_id: SpanId::from_bytes(&link.span_id),
                    trace_state: text_of(&link.trace_state),
                    attributes: entries_of(&link.attributes),
                    dropped_attributes_count: link.dropped_attributes_count,
                    flags: link.flags,
                });
                expected.push(Record::Span(Box::new(Span {
                    common,
                    duration_ns: span.end_time_unix_nano as i64 - span.start_time_unix_nano as i64,
                    parent_span_id: SpanId::from_bytes(&span.parent_span_id),
                    name: span.name.clone(),
                    kind: SpanKind(span.kind),
                    status: StatusCode(status.code),
                    status_message: text_of(&status.message),
                    events: events.collect(),
                    links: links.collect(),
                    trace_state: text_of(&span.trace_state),
                    dropped_events_count: span.dropped_events_count,
                    dropped_links_count: span.dropped_links_count,
                })));
            }
        }
    }
    expected
}

// OTLP/JSON as the specification has it: lowerCamelCase, ids in hex, 64-bit integers as strings. The
// generated types' own serialisation is not it (no NaN, no unknown enums, no empty values).

fn json_any(any: Option<&AnyValue>) -> serde_json::Value {
    use base64::Engine as _;
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => json!({"stringValue": text}),
        Some(Any::BoolValue(yes)) => json!({"boolValue": yes}),
        Some(Any::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(Any::DoubleValue(number)) if *number == f64::INFINITY => json!({"doubleValue": "Infinity"}),
        Some(Any::DoubleValue(number)) if *number == f64::NEG_INFINITY => json!({"doubleValue": "-Infinity"}),
        Some(Any::DoubleValue(number)) => json!({"doubleValue": number}),
        Some(Any::BytesValue(bytes)) => json!({"bytesValue": base64::engine::general_purpose::STANDARD.encode(bytes)}),
        Some(Any::ArrayValue(array)) => {
            json!({"arrayValue": {"values": array.values.iter().map(|value| json_any(Some(value))).collect::<Vec<_>>()}})
        }
        Some(Any::KvlistValue(list)) => json!({"kvlistValue": {"values": json_attributes(&list.values)}}),
        _ => json!({}),
    }
}

fn json_attributes(list: &[KeyValue]) -> Vec<serde_json::Value> {
    list.iter().map(|entry| json!({"key": entry.key, "value": json_any(entry.value.as_ref())})).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn json_resource(resource: Option<&Resource>) -> serde_json::Value {
    resource.map_or(serde_json::Value::Null, |resource| {
        json!({"attributes": json_attributes(&resource.attributes), "droppedAttributesCount": resource.dropped_attributes_count})
    })
}

fn json_scope(scope: Option<&InstrumentationScope>) -> serde_json::Value {
    scope.map_or(serde_json::Value::Null, |scope| {
        json!({"name": scope.name, "version": scope.version, "attributes": json_attributes(&scope.attributes),
            "droppedAttributesCount": scope.dropped_attributes_count})
    })
}

fn json_logs(request: &ExportLogsServiceRequest) -> serde_json::Value {
    let log = |log: &LogRecord| {
        let mut json = json!({"timeUnixNano": log.time_unix_nano.to_string(), "observedTimeUnixNano": log.observed_time_unix_nano,
            "severityNumber": log.severity_number, "severityText": log.severity_text, "eventName": log.event_name,
            "attributes": json_attributes(&log.attributes), "droppedAttributesCount": log.dropped_attributes_count,
            "flags": log.flags.to_string(), "traceId": hex(&log.trace_id), "spanId": hex(&log.span_id)});
        if log.body.is_some() {
            json["body"] = json_any(log.body.as_ref());
        }
        json
    };
    let scope = |scope: &ScopeLogs| json!({"logRecords": scope.log_records.iter().map(log).collect::<Vec<_>>(), "scope": json_scope(scope.scope.as_ref()), "schemaUrl": scope.schema_url});
    let group = |group: &ResourceLogs| json!({"scopeLogs": group.scope_logs.iter().map(scope).collect::<Vec<_>>(), "resource": json_resource(group.resource.as_ref()), "schemaUrl": group.schema_url});
    json!({"resourceLogs": request.resource_logs.iter().map(group).collect::<Vec<_>>()})
}

fn json_spans(request: &ExportTraceServiceRequest) -> serde_json::Value {
    let event = |event: &span::Event| {
        json!({"timeUnixNano": event.time_unix_nano.to_string(), "name": event.name, "attributes": json_attributes(&event.attributes),
            "droppedAttributesCount": event.dropped_attributes_count})
    };
    let link = |link: &span::Link| {
        json!({"traceId": hex(&link.trace_id), "spanId": hex(&link.span_id), "traceState": link.trace_state, "flags": link.flags,
            "attributes": json_attributes(&link.attributes), "droppedAttributesCount": link.dropped_attributes_count})
    };
    let span = |span: &SpanMessage| {
        let status = span.status.as_ref().map(|status| json!({"code": status.code, "message": status.message}));
        json!({"traceId": hex(&span.trace_id), "spanId": hex(&span.span_id), "parentSpanId": hex(&span.parent_span_id), "name": span.name,
            "traceState": span.trace_state, "kind": span.kind, "startTimeUnixNano": span.start_time_unix_nano.to_string(),
            "endTimeUnixNano": span.end_time_unix_nano, "attributes": json_attributes(&span.attributes), "flags": span.flags,
            "droppedAttributesCount": span.dropped_attributes_count, "droppedEventsCount": span.dropped_events_count,
            "droppedLinksCount": span.dropped_links_count, "events": span.events.iter().map(event).collect::<Vec<_>>(),
            "links": span.links.iter().map(link).collect::<Vec<_>>(), "status": status})
    };
    let scope = |scope: &ScopeSpans| json!({"spans": scope.spans.iter().map(span).collect::<Vec<_>>(), "scope": json_scope(scope.scope.as_ref()), "schemaUrl": scope.schema_url});
    let group = |group: &ResourceSpans| json!({"scopeSpans": group.scope_spans.iter().map(scope).collect::<Vec<_>>(), "resource": json_resource(group.resource.as_ref()), "schemaUrl": group.schema_url});
    json!({"resourceSpans": request.resource_spans.iter().map(group).collect::<Vec<_>>()})
}

/// A field of bytes, as it stands in a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encode_length_delimiter(bytes.len(), &mut field).unwrap();
    field.extend(bytes);
    field
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn otlp_73_logs_decode_to_what_was_sent_in_either_encoding(request in logs_request()) {
        let expected = expected_logs(&request);
        let protobuf = decode(BodyFormat::OtlpLogsProtobuf, &request.encode_to_vec()).unwrap();
        prop_assert_eq!(&records(&protobuf), &expected);
        let json = decode(BodyFormat::OtlpLogsJson, json_logs(&request).to_string().as_bytes()).unwrap();
        prop_assert_eq!(&records(&json), &expected);
        prop_assert_eq!(protobuf.rejections.count, 0);
        prop_assert_eq!(protobuf.decoded.own_times, json.decoded.own_times);
    }

    #[test]
    fn otlp_73_spans_decode_to_what_was_sent_in_either_encoding(request in traces_request()) {
        let expected = expected_spans(&request);
        let sent: usize = request.resource_spans.iter().flat_map(|group| &group.scope_spans).map(|scope| scope.spans.len()).sum();
        let protobuf = decode(BodyFormat::OtlpTracesProtobuf, &request.encode_to_vec()).unwrap();
        prop_assert_eq!(&records(&protobuf), &expected);
        prop_assert_eq!(protobuf.rejections.count, sent - expected.len());
        let json = decode(BodyFormat::OtlpTracesJson, json_spans(&request).to_string().as_bytes()).unwrap();
        prop_assert_eq!(&records(&json), &expected);
        prop_assert_eq!(&json.rejections, &protobuf.rejections);
    }

    #[test]
    fn values_that_are_sent_in_parts_are_merged(bodies in vec(any_value(), 0..5), values in vec(any_value(), 0..5)) {
        let parts = |number, parts: &[AnyValue]| parts.iter().flat_map(|part| field(number, &part.encode_to_vec())).collect::<Vec<u8>>();
        let attribute = [field(1, b"a"), parts(2, &values)].concat();
        let record = [parts(5, &bodies), field(6, &attribute)].concat();
        let message = field(1, &field(2, &field(2, &record)));
        let request = ExportLogsServiceRequest::decode(&message[..]).unwrap();
        prop_assert_eq!(records(&decode(BodyFormat::OtlpLogsProtobuf, &message).unwrap()), expected_logs(&request));
    }

    #[test]
    fn otlp_39_no_bytes_make_a_decoder_panic(body in vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>(), request in logs_request()) {
        let message = request.encode_to_vec();
        let cut_message = &message[..cut.index(message.len() + 1)];
        for bytes in [body.as_slice(), cut_message] {
            for number in 1..=6 {
                let _ = decode(BodyFormat::from_number(number).unwrap(), bytes);
            }
        }
    }
}
