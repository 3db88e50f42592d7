//! `ExportTraceServiceRequest` in protobuf, walked straight into columns.

use needle_storage::RawRequest;
use needle_storage::model::{SpanId, SpanRow, TraceId, UnixNanos};

use super::logs::{count_records, resource, scope};
use super::typed_json::Object;
use super::value::{push_attribute, write_map};
use super::wire::Fields;
use super::{Budget, DecodeError};
use crate::decode::{Decoder, Outcome};
use crate::rows::SpanRows;

pub(crate) fn decode(decoder: &Decoder, request: &RawRequest) -> Result<Outcome, DecodeError> {
    let mut budget = Budget::new(&decoder.settings, request.body.len());
    let spans = count_records(&request.body)?;
    budget.rows(spans)?;
    let mut walk = Walk { rows: SpanRows::new(decoder, request, spans), decoder, budget, place: 0, scratch: Scratch::default() };
    let mut fields = Fields::of(&request.body);
    while let Some((field, wire)) = fields.next()? {
        if field == 1 {
            walk.resource_spans(wire.bytes()?)?;
        }
    }
    Ok(walk.rows.finish(&walk.budget))
}

struct Walk<'d> {
    rows: SpanRows<'d>,
    decoder: &'d Decoder,
    budget: Budget,
    place: usize,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    value: String,
    scope: String,
    events: String,
    links: String,
}

impl Walk<'_> {
    fn resource_spans(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        self.rows.set_resource(resource(message, &self.decoder.ids, &mut self.budget)?);
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            if field == 2 {
                self.scope_spans(wire.bytes()?)?;
            }
        }
        Ok(())
    }

    fn scope_spans(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        scope(message, &mut self.scratch.scope, &mut self.budget)?;
        self.rows.set_scope(&self.scratch.scope);
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            if field == 2 {
                self.span(wire.bytes()?)?;
                self.place += 1;
            }
        }
        Ok(())
    }

    fn span(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let Scratch { value, events, links, .. } = &mut self.scratch;
        events.clear();
        links.clear();
        let mut row = SpanRow::default();
        let (mut trace_id, mut span_id) = (&[][..], &[][..]);
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            match field {
                1 => trace_id = wire.bytes()?,
                2 => span_id = wire.bytes()?,
                3 => row.trace_state = wire.text()?,
                4 => row.parent_span_id = SpanId::from_bytes(wire.bytes()?),
                5 => row.name = wire.text()?,
                6 => row.kind = wire.low_u32()? as i32,
                7 => row.start = UnixNanos(wire.fixed64()?),
                8 => row.end = UnixNanos(wire.fixed64()?),
                9 => push_attribute(wire.bytes()?, self.rows.builder.attributes(), value, &mut self.budget)?,
                10 => row.dropped_attributes_count = wire.low_u32()?,
                11 => write_event(wire.bytes()?, next_item(events), &mut self.budget)?,
                12 => row.dropped_events_count = wire.low_u32()?,
                13 => write_link(wire.bytes()?, next_item(links), &mut self.budget)?,
                14 => row.dropped_links_count = wire.low_u32()?,
                15 => status(wire.bytes()?, &mut row)?,
                16 => row.flags = wire.fixed32()?,
                _ => {}
            }
        }
        close_list(events);
        close_list(links);
        row.events = events;
        row.links = links;
        self.rows.append(self.place, trace_id, span_id, message.len(), row);
        Ok(())
    }
}

/// Begins the next item of a JSON list that is closed later.
pub(super) fn next_item(list: &mut String) -> &mut String {
    list.push(if list.is_empty() { '[' } else { ',' });
    list
}

/// Closes a list that has items; one without stays the empty text.
pub(super) fn close_list(list: &mut String) {
    if !list.is_empty() {
        list.push(']');
    }
}

fn status<'a>(message: &'a [u8], row: &mut SpanRow<'a>) -> Result<(), DecodeError> {
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            2 => row.status_message = wire.text()?,
            3 => row.status_code = wire.low_u32()? as i32,
            _ => {}
        }
    }
    Ok(())
}

fn write_event(message: &[u8], out: &mut String, budget: &mut Budget) -> Result<(), DecodeError> {
    budget.element()?;
    let (mut time, mut name, mut dropped) = (0, "", 0);
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => time = wire.fixed64()?,
            2 => name = wire.text()?,
            4 => dropped = wire.low_u32()?,
            _ => {}
        }
    }
    let mut attributes = String::new();
    write_map(message, 3, &mut attributes, budget)?;
    event_json(time, name, &attributes, dropped, out);
    Ok(())
}

/// The typed JSON of a span event.
pub(super) fn event_json(time: u64, name: &str, attributes: &str, dropped: u32, out: &mut String) {
    let mut object = Object::begin(out);
    object.number("time", time);
    object.text("name", name);
    object.json("attributes", attributes);
    object.number("dropped_attributes_count", dropped.into());
    object.end();
}

/// A span link as decoded; `attributes` is typed JSON.
#[derive(Default)]
pub(super) struct RawLink<'a> {
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) trace_state: &'a str,
    pub(super) attributes: &'a str,
    pub(super) dropped_attributes_count: u32,
    pub(super) flags: u32,
}

fn write_link(message: &[u8], out: &mut String, budget: &mut Budget) -> Result<(), DecodeError> {
    budget.element()?;
    let mut link = RawLink::default();
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => link.trace_id = TraceId::from_bytes(wire.bytes()?),
            2 => link.span_id = SpanId::from_bytes(wire.bytes()?),
            3 => link.trace_state = wire.text()?,
            5 => link.dropped_attributes_count = wire.low_u32()?,
            6 => link.flags = wire.fixed32()?,
            _ => {}
        }
    }
    let mut attributes = String::new();
    write_map(message, 4, &mut attributes, budget)?;
    link_json(&RawLink { attributes: &attributes, ..link }, out);
    Ok(())
}

/// The typed JSON of a span link.
pub(super) fn link_json(link: &RawLink<'_>, out: &mut String) {
    let mut object = Object::begin(out);
    if let Some(id) = link.trace_id {
        object.text("trace_id", &id.to_string());
    }
    if let Some(id) = link.span_id {
        object.text("span_id", &id.to_string());
    }
    object.text("trace_state", link.trace_state);
    object.json("attributes", link.attributes);
    object.number("dropped_attributes_count", link.dropped_attributes_count.into());
    object.number("flags", link.flags.into());
    object.end();
}
