//! `ExportLogsServiceRequest` in protobuf, walked straight into columns.

use needle_storage::RawRequest;
use needle_storage::model::{SpanId, TraceId};

use super::value::{Any, key_value, push_attribute, write_map};
use super::wire::Fields;
use super::{Budget, DecodeError};
use crate::decode::{Decoder, Outcome};
use crate::ids::{IdFinder, Place};
use crate::notices::{Notices, count};
use crate::rows::{LogRows, RawLog, Resource};

pub(crate) fn decode(decoder: &Decoder, request: &RawRequest) -> Result<Outcome, DecodeError> {
    let mut budget = Budget::new(&decoder.settings, request.body.len());
    let records = count_records(&request.body)?;
    budget.rows(records)?;
    let mut walk = Walk { rows: LogRows::new(decoder, request, records), decoder, budget, place: 0, scratch: Scratch::default() };
    let mut fields = Fields::of(&request.body);
    while let Some((field, wire)) = fields.next()? {
        if field == 1 {
            walk.resource_logs(wire.bytes()?)?;
        }
    }
    Ok(walk.rows.finish(&walk.budget))
}

/// Counts the records (of logs and traces alike) before any is built.
pub(super) fn count_records(request: &[u8]) -> Result<usize, DecodeError> {
    let mut records = 0;
    let mut fields = Fields::of(request);
    while let Some((field, wire)) = fields.next()? {
        let mut groups = Fields::of(if field == 1 { wire.bytes()? } else { &[] });
        while let Some((field, wire)) = groups.next()? {
            let mut scopes = Fields::of(if field == 2 { wire.bytes()? } else { &[] });
            while let Some((field, _)) = scopes.next()? {
                records += usize::from(field == 2);
            }
        }
    }
    Ok(records)
}

struct Walk<'d> {
    rows: LogRows<'d>,
    decoder: &'d Decoder,
    budget: Budget,
    place: usize,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    value: String,
    body: String,
    scope: String,
}

impl Walk<'_> {
    fn resource_logs(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        self.rows.set_resource(resource(message, &self.decoder.ids, &mut self.budget)?);
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            if field == 2 {
                self.scope_logs(wire.bytes()?)?;
            }
        }
        Ok(())
    }

    fn scope_logs(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        scope(message, &mut self.scratch.scope, &mut self.budget)?;
        self.rows.set_scope(&self.scratch.scope);
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            if field == 2 {
                self.log_record(wire.bytes()?)?;
                self.place += 1;
            }
        }
        Ok(())
    }

    fn log_record(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let mut raw = RawLog { bytes: message.len(), ..RawLog::default() };
        let (mut body, mut trace_id, mut span_id) = (None, &[][..], &[][..]);
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            match field {
                1 => raw.time = wire.fixed64()?,
                2 => raw.severity_number = wire.low_u32()? as i32,
                3 => raw.severity_text = wire.text()?,
                5 => body.get_or_insert(Any::Empty).read(wire.bytes()?, &self.budget)?,
                6 => push_attribute(wire.bytes()?, self.rows.builder.attributes(), &mut self.scratch.value, &mut self.budget)?,
                7 => raw.dropped_attributes_count = wire.low_u32()?,
                8 => raw.flags = wire.fixed32()?,
                9 => trace_id = wire.bytes()?,
                10 => span_id = wire.bytes()?,
                11 => raw.observed_time = wire.fixed64()?,
                12 => raw.event_name = wire.text()?,
                _ => {}
            }
        }
        (raw.trace_id, raw.span_id) = log_ids(trace_id, span_id, &self.budget.notices);
        raw.body = match &body {
            Some(any) => Some(any.column(&mut self.scratch.body, &mut self.budget)?),
            None => None,
        };
        self.rows.append(self.place, &raw);
        Ok(())
    }
}

/// The ids of a log, as far as they are ids. All zero means none; a wrong length is a fault of the sender, who is told.
pub(super) fn log_ids(trace_id: &[u8], span_id: &[u8], notices: &Notices) -> (Option<TraceId>, Option<SpanId>) {
    if ![0, 16].contains(&trace_id.len()) || ![0, 8].contains(&span_id.len()) {
        count(&notices.unlinked_logs);
    }
    (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id))
}

/// The resource of a `ResourceLogs` or `ResourceSpans`, wherever in the message it stands.
pub(super) fn resource(message: &[u8], finder: &IdFinder, budget: &mut Budget) -> Result<Resource, DecodeError> {
    let (mut parts, mut schema_url) = (Vec::new(), "");
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => parts.push(wire.bytes()?),
            3 => schema_url = wire.text()?,
            _ => {}
        }
    }
    // Protobuf merges a message that is sent in parts as if their bytes stood in one row.
    let merged = match parts.as_slice() {
        [one] => std::borrow::Cow::Borrowed(*one),
        parts => std::borrow::Cow::Owned(parts.concat()),
    };
    let mut resource = Resource::default();
    let mut dropped = 0;
    let mut scratch = String::new();
    let mut fields = Fields::of(&merged);
    let mut object = super::typed_json::Object::begin(&mut resource.json);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => {
                budget.element()?;
                let (key, any) = key_value(wire.bytes()?, budget)?;
                any.write_json(object.attribute(key), budget)?;
                let (kind, text) = any.column(&mut scratch, budget)?;
                if key == "service.name" {
                    resource.service = Some(text.to_owned());
                }
                finder.attribute(Place::Resource, key, kind, text, &mut resource.ids);
            }
            2 => dropped = wire.low_u32()?,
            _ => {}
        }
    }
    object.number("$dropped_attributes_count", dropped.into());
    object.text("$schema_url", schema_url);
    object.end();
    Ok(resource)
}

/// Writes the scope of a `ScopeLogs` or `ScopeSpans` to `json`.
pub(super) fn scope(message: &[u8], json: &mut String, budget: &mut Budget) -> Result<(), DecodeError> {
    let (mut parts, mut schema_url) = (Vec::new(), "");
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => parts.push(wire.bytes()?),
            3 => schema_url = wire.text()?,
            _ => {}
        }
    }
    let merged = parts.concat();
    let (mut name, mut version, mut dropped) = ("", "", 0);
    let mut fields = Fields::of(&merged);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => name = wire.text()?,
            2 => version = wire.text()?,
            4 => dropped = wire.low_u32()?,
            _ => {}
        }
    }
    let mut attributes = String::new();
    write_map(&merged, 3, &mut attributes, budget)?;
    json.clear();
    let mut object = super::typed_json::Object::begin(json);
    object.text("name", name);
    object.text("version", version);
    object.json("attributes", &attributes);
    object.number("dropped_attributes_count", dropped.into());
    object.text("schema_url", schema_url);
    object.end();
    Ok(())
}
