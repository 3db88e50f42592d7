//! OTLP/JSON, read element by element into the same rows as protobuf.
//!
//! Values of a wrong type and bad ids cost their record only, with a reason that names the fix; text
//! that is no JSON costs the request.

use std::borrow::Cow;

use needle_storage::RawRequest;
use needle_storage::model::{Attributes, AttributesBuilder, SpanId, SpanRow, TraceId, UnixNanos, Value};
use serde_json::value::RawValue;

use super::json_any::{JsonError, JsonResult, any_value, attributes, each_field, each_item, scalar};
use super::logs::log_ids;
use super::spans::{RawLink, close_list, event_json, link_json, next_item};
use super::typed_json::Object;
use super::{Budget, DecodeError};
use crate::decode::{Decoder, Outcome};
use crate::ids::{IdFinder, Place};
use crate::notices::Notices;
use crate::rows::{LogRows, RawLog, Resource, SpanRows};

const SEVERITY_NAMES: [(&str, i32); 25] = [
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
const KIND_NAMES: [(&str, i32); 6] = [
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];
const STATUS_NAMES: [(&str, i32); 3] = [("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

pub(crate) fn decode_logs(decoder: &Decoder, request: &RawRequest) -> Result<Outcome, DecodeError> {
    let text = body_text(&request.body)?;
    let mut rows = LogRows::new(decoder, request, 0);
    let mut budget = Budget::new(&decoder.settings, text.len());
    let notices = budget.notices.clone();
    let mut place = 0;
    walk(text, &notices, "resourceLogs", |json| {
        let group = Group::read(json, &notices, "scopeLogs")?;
        rows.set_resource(group.resource(&decoder.ids, &mut budget)?);
        group.each_scope(|json| {
            let scope = Scope::read(json, &notices, "logRecords")?;
            rows.set_scope(&scope.json(&mut budget)?);
            scope.each_record(|json| {
                budget.rows(1)?;
                let record = log_record(json, &mut rows, place, &mut budget);
                place += 1;
                reject_record(record, |reason| rows.reject(place - 1, reason))
            })
        })
    })?;
    Ok(rows.finish(&budget))
}

pub(crate) fn decode_spans(decoder: &Decoder, request: &RawRequest) -> Result<Outcome, DecodeError> {
    let text = body_text(&request.body)?;
    let mut rows = SpanRows::new(decoder, request, 0);
    let mut budget = Budget::new(&decoder.settings, text.len());
    let notices = budget.notices.clone();
    let mut place = 0;
    walk(text, &notices, "resourceSpans", |json| {
        let group = Group::read(json, &notices, "scopeSpans")?;
        rows.set_resource(group.resource(&decoder.ids, &mut budget)?);
        group.each_scope(|json| {
            let scope = Scope::read(json, &notices, "spans")?;
            rows.set_scope(&scope.json(&mut budget)?);
            scope.each_record(|json| {
                budget.rows(1)?;
                let record = span(json, &mut rows, place, &mut budget);
                place += 1;
                reject_record(record, |reason| rows.reject(place - 1, reason))
            })
        })
    })?;
    Ok(rows.finish(&budget))
}

/// The body as text, a byte order mark skipped.
pub(super) fn body_text(body: &[u8]) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| DecodeError::Utf8(error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Calls `group` with each element of the request's one list.
fn walk<'a>(
    text: &'a str,
    notices: &Notices,
    list_name: &str,
    group: impl FnMut(&'a RawValue) -> JsonResult<()>,
) -> Result<(), DecodeError> {
    let request: &RawValue = serde_json::from_str(text).map_err(|error| DecodeError::Json(error.to_string()))?;
    let mut list = None;
    let walked = each_field(notices, request, |name, value| {
        if name == list_name {
            list = Some(value);
        }
        Ok(())
    });
    let walked = walked.and_then(|()| list.map_or(Ok(()), |list| each_item(list, group)));
    walked.map_err(|error| match error {
        JsonError::Record(reason) => DecodeError::Json(reason),
        JsonError::Request(error) => error,
    })
}

/// A reason concerns the record it was found in; all else is passed on.
fn reject_record(record: JsonResult<()>, reject: impl FnOnce(String)) -> JsonResult<()> {
    match record {
        Err(JsonError::Record(reason)) => {
            reject(reason);
            Ok(())
        }
        other => other,
    }
}

/// A `ResourceLogs` or `ResourceSpans`; its resource may stand after the scopes.
#[derive(Default)]
struct Group<'a> {
    resource: Option<&'a RawValue>,
    scopes: Option<&'a RawValue>,
    schema_url: Cow<'a, str>,
}

impl<'a> Group<'a> {
    fn read(json: &'a RawValue, notices: &Notices, scopes: &str) -> JsonResult<Group<'a>> {
        let mut group = Group::default();
        each_field(notices, json, |name, value| {
            match name {
                "resource" => group.resource = Some(value),
                "schemaUrl" => group.schema_url = scalar(name, value)?.text()?,
                _ if name == scopes => group.scopes = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        Ok(group)
    }

    fn each_scope(&self, scope: impl FnMut(&'a RawValue) -> JsonResult<()>) -> JsonResult<()> {
        self.scopes.map_or(Ok(()), |scopes| each_item(scopes, scope))
    }

    fn resource(&self, finder: &IdFinder, budget: &mut Budget) -> JsonResult<Resource> {
        let (mut entries, mut dropped) = (Attributes::new(), 0);
        let notices = budget.notices.clone();
        if let Some(json) = self.resource {
            each_field(&notices, json, |name, value| {
                match name {
                    "attributes" => entries = attributes(value, budget)?,
                    "droppedAttributesCount" => dropped = scalar(name, value)?.unsigned_32()?,
                    _ => {}
                }
                Ok(())
            })?;
        }
        let mut resource = Resource::default();
        let mut object = Object::begin(&mut resource.json);
        for (key, value) in &entries {
            value.write_json(object.attribute(key));
            let text = value.text();
            finder.attribute(Place::Resource, key, value.kind(), &text, &mut resource.ids);
            if key == "service.name" {
                resource.service = Some(text);
            }
        }
        object.number("$dropped_attributes_count", dropped.into());
        object.text("$schema_url", &self.schema_url);
        object.end();
        Ok(resource)
    }
}

/// A `ScopeLogs` or `ScopeSpans`.
#[derive(Default)]
struct Scope<'a> {
    scope: Option<&'a RawValue>,
    records: Option<&'a RawValue>,
    schema_url: Cow<'a, str>,
}

impl<'a> Scope<'a> {
    fn read(json: &'a RawValue, notices: &Notices, records: &str) -> JsonResult<Scope<'a>> {
        let mut scope = Scope::default();
        each_field(notices, json, |name, value| {
            match name {
                "scope" => scope.scope = Some(value),
                "schemaUrl" => scope.schema_url = scalar(name, value)?.text()?,
                _ if name == records => scope.records = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        Ok(scope)
    }

    fn each_record(&self, record: impl FnMut(&'a RawValue) -> JsonResult<()>) -> JsonResult<()> {
        self.records.map_or(Ok(()), |records| each_item(records, record))
    }

    fn json(&self, budget: &mut Budget) -> JsonResult<String> {
        let (mut label, mut version, mut entries, mut dropped) = (Cow::Borrowed(""), Cow::Borrowed(""), Attributes::new(), 0);
        let notices = budget.notices.clone();
        if let Some(json) = self.scope {
            each_field(&notices, json, |name, value| {
                match name {
                    "name" => label = scalar(name, value)?.text()?,
                    "version" => version = scalar(name, value)?.text()?,
                    "attributes" => entries = attributes(value, budget)?,
                    "droppedAttributesCount" => dropped = scalar(name, value)?.unsigned_32()?,
                    _ => {}
                }
                Ok(())
            })?;
        }
        let mut json = String::new();
        let mut object = Object::begin(&mut json);
        object.text("name", &label);
        object.text("version", &version);
        object.json("attributes", &map_json(entries));
        object.number("dropped_attributes_count", dropped.into());
        object.text("schema_url", &self.schema_url);
        object.end();
        Ok(json)
    }
}

fn map_json(entries: Attributes) -> String {
    let mut json = String::new();
    Value::Map(entries).write_json(&mut json);
    json
}

fn push_attributes(json: Option<&RawValue>, builder: &mut AttributesBuilder, budget: &mut Budget) -> JsonResult<()> {
    if let Some(json) = json {
        for (key, value) in attributes(json, budget)? {
            builder.push(&key, &value);
        }
    }
    Ok(())
}

fn log_record(json: &RawValue, rows: &mut LogRows<'_>, place: usize, budget: &mut Budget) -> JsonResult<()> {
    let mut raw = RawLog { bytes: json.get().len(), ..RawLog::default() };
    let (mut trace_id, mut span_id) = (Vec::new(), Vec::new());
    let (mut severity_text, mut event_name, mut body, mut listed) = (Cow::Borrowed(""), Cow::Borrowed(""), None, None);
    let notices = budget.notices.clone();
    each_field(&notices, json, |name, value| {
        match name {
            "timeUnixNano" => raw.time = scalar(name, value)?.unsigned()?,
            "observedTimeUnixNano" => raw.observed_time = scalar(name, value)?.unsigned()?,
            "severityNumber" => raw.severity_number = scalar(name, value)?.enumeration(&SEVERITY_NAMES, &notices)?,
            "severityText" => severity_text = scalar(name, value)?.text()?,
            "eventName" => event_name = scalar(name, value)?.text()?,
            "body" => body = Some(value),
            "attributes" => listed = Some(value),
            "droppedAttributesCount" => raw.dropped_attributes_count = scalar(name, value)?.unsigned_32()?,
            "flags" => raw.flags = scalar(name, value)?.unsigned_32()?,
            "traceId" => trace_id = hex_id(name, value, 16)?,
            "spanId" => span_id = hex_id(name, value, 8)?,
            _ => {}
        }
        Ok(())
    })?;
    (raw.trace_id, raw.span_id) = log_ids(&trace_id, &span_id, &notices);
    let body = match body {
        Some(json) => Some(any_value(json, budget)?),
        None => None,
    };
    let text = body.as_ref().map(|body| (body.kind(), body.text()));
    push_attributes(listed, rows.builder.attributes(), budget)?;
    raw.body = text.as_ref().map(|(kind, text)| (*kind, text.as_str()));
    raw.severity_text = &severity_text;
    raw.event_name = &event_name;
    rows.append(place, &raw);
    Ok(())
}

fn span(json: &RawValue, rows: &mut SpanRows<'_>, place: usize, budget: &mut Budget) -> JsonResult<()> {
    let mut row = SpanRow::default();
    let (mut trace_id, mut span_id) = (Vec::new(), Vec::new());
    let (mut name_text, mut trace_state, mut message) = (Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed(""));
    let (mut listed, mut events, mut links) = (None, None, None);
    let notices = budget.notices.clone();
    each_field(&notices, json, |name, value| {
        match name {
            "traceId" => trace_id = hex_id(name, value, 16)?,
            "spanId" => span_id = hex_id(name, value, 8)?,
            "parentSpanId" => row.parent_span_id = SpanId::from_bytes(&hex_id(name, value, 8)?),
            "traceState" => trace_state = scalar(name, value)?.text()?,
            "name" => name_text = scalar(name, value)?.text()?,
            "kind" => row.kind = scalar(name, value)?.enumeration(&KIND_NAMES, &notices)?,
            "startTimeUnixNano" => row.start = UnixNanos(scalar(name, value)?.unsigned()?),
            "endTimeUnixNano" => row.end = UnixNanos(scalar(name, value)?.unsigned()?),
            "attributes" => listed = Some(value),
            "droppedAttributesCount" => row.dropped_attributes_count = scalar(name, value)?.unsigned_32()?,
            "events" => events = Some(value),
            "droppedEventsCount" => row.dropped_events_count = scalar(name, value)?.unsigned_32()?,
            "links" => links = Some(value),
            "droppedLinksCount" => row.dropped_links_count = scalar(name, value)?.unsigned_32()?,
            "status" => (row.status_code, message) = status(value, &notices)?,
            "flags" => row.flags = scalar(name, value)?.unsigned_32()?,
            _ => {}
        }
        Ok(())
    })?;
    let (events, links) = (event_list(events, budget)?, link_list(links, budget)?);
    push_attributes(listed, rows.builder.attributes(), budget)?;
    let row = SpanRow { name: &name_text, trace_state: &trace_state, status_message: &message, events: &events, links: &links, ..row };
    rows.append(place, &trace_id, &span_id, json.get().len(), row);
    Ok(())
}

fn status<'a>(json: &'a RawValue, notices: &Notices) -> JsonResult<(i32, Cow<'a, str>)> {
    let (mut code, mut message) = (0, Cow::Borrowed(""));
    each_field(notices, json, |name, value| {
        match name {
            "code" => code = scalar(name, value)?.enumeration(&STATUS_NAMES, notices)?,
            "message" => message = scalar(name, value)?.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((code, message))
}

fn event_list(json: Option<&RawValue>, budget: &mut Budget) -> JsonResult<String> {
    let mut list = String::new();
    let Some(json) = json else { return Ok(list) };
    let notices = budget.notices.clone();
    each_item(json, |json| {
        budget.element()?;
        let (mut time, mut name_text, mut entries, mut dropped) = (0, Cow::Borrowed(""), Attributes::new(), 0);
        each_field(&notices, json, |name, value| {
            match name {
                "timeUnixNano" => time = scalar(name, value)?.unsigned()?,
                "name" => name_text = scalar(name, value)?.text()?,
                "attributes" => entries = attributes(value, budget)?,
                "droppedAttributesCount" => dropped = scalar(name, value)?.unsigned_32()?,
                _ => {}
            }
            Ok(())
        })?;
        event_json(time, &name_text, &map_json(entries), dropped, next_item(&mut list));
        Ok(())
    })?;
    close_list(&mut list);
    Ok(list)
}

fn link_list(json: Option<&RawValue>, budget: &mut Budget) -> JsonResult<String> {
    let mut list = String::new();
    let Some(json) = json else { return Ok(list) };
    let notices = budget.notices.clone();
    each_item(json, |json| {
        budget.element()?;
        let mut link = RawLink::default();
        let (mut trace_state, mut entries) = (Cow::Borrowed(""), Attributes::new());
        each_field(&notices, json, |name, value| {
            match name {
                "traceId" => link.trace_id = TraceId::from_bytes(&hex_id(name, value, 16)?),
                "spanId" => link.span_id = SpanId::from_bytes(&hex_id(name, value, 8)?),
                "traceState" => trace_state = scalar(name, value)?.text()?,
                "attributes" => entries = attributes(value, budget)?,
                "droppedAttributesCount" => {
                    link.dropped_attributes_count = scalar(name, value)?.unsigned_32()?;
                }
                "flags" => link.flags = scalar(name, value)?.unsigned_32()?,
                _ => {}
            }
            Ok(())
        })?;
        let json = map_json(entries);
        link_json(&RawLink { trace_state: &trace_state, attributes: &json, ..link }, next_item(&mut list));
        Ok(())
    })?;
    close_list(&mut list);
    Ok(list)
}

/// The bytes of an id in hex, of any length: whether the length is right is the record's affair.
/// Base64, as older senders write it, is told apart by its characters and refused with a hint.
fn hex_id(name: &str, json: &RawValue, bytes: usize) -> JsonResult<Vec<u8>> {
    let text = scalar(name, json)?.text()?;
    let digit = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        let base64 = [16, 8].iter().any(|n: &usize| text.trim_end_matches('=').len() == (n * 4).div_ceil(3));
        let hint = if base64 { " (this looks like base64, which is protobuf's JSON and not OTLP's)" } else { "" };
        JsonError::Record(format!("{name} {shown:?} is not hex{hint}: write it as {} hex digits", 2 * bytes))
    })
}
