//! Records made of the rows of a view: whole ones, and outlines.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array as _;

use super::columns::DictionaryView;
use super::{RecordsView, string};
use crate::model::ids::{SpanId, TraceId};
use crate::model::record::{Common, Link, Log, Record, Span, SpanEvent};
use crate::model::schema::Signal;
use crate::model::time::UnixNanos;
use crate::model::value::{Attributes, Value, ValueKind};

impl<'a> RecordsView<'a> {
    /// The whole record.
    pub fn record(&self, row: usize) -> Record {
        self.reader().record(row)
    }

    /// Makes records of several rows.
    pub fn reader(&self) -> RecordReader<'_, 'a> {
        RecordReader { view: self, outline: None, resources: HashMap::default(), scopes: HashMap::default(), nothing: Arc::default() }
    }

    /// Makes records of several rows, of each only what tells where it belongs in a journey: ids, times, names,
    /// outcomes, links, and attributes with these keys.
    pub(crate) fn outline_reader<'v>(&'v self, attributes: &'v [&'v str]) -> RecordReader<'v, 'a> {
        RecordReader { outline: Some(attributes), ..self.reader() }
    }

    fn common(&self, row: usize, attributes: Attributes, resource: Arc<Attributes>, scope: Arc<Attributes>) -> Common {
        Common {
            record_id: self.record_id(row),
            time: self.time(row),
            original_time: self.original_time.and_then(|times| times.is_valid(row).then(|| times.value(row))),
            trace_id: self.trace_id(row),
            span_id: self.span_id(row),
            request_ids: self.request_ids(row).map(str::to_owned).collect(),
            service: self.service(row).to_owned(),
            attributes,
            resource,
            scope,
            flags: self.flags.map_or(0, |flags| flags.value(row)),
            dropped_attributes_count: self.dropped_attributes_count.map_or(0, |counts| counts.value(row)),
        }
    }

    /// By key: which of them have a column of their own changes from shard to shard, and must not show.
    pub(crate) fn sorted_attributes(&self, row: usize, is_wanted: impl Fn(&str) -> bool) -> Attributes {
        let attributes = self.attributes(row).filter(|(key, _)| is_wanted(key));
        let mut attributes: Attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_value())).collect();
        attributes.sort_by(|(one, _), (other, _)| one.cmp(other));
        attributes
    }

    fn log(&self, row: usize, common: Common) -> Log {
        let kind = self.body_type.and_then(|types| types.get(row)).and_then(|letters| letters.bytes().next());
        Log {
            common,
            observed_time: self.observed_after(row).map(|nanos| UnixNanos::from_column(self.time_column(row).wrapping_add(nanos))),
            severity: self.severity(row),
            severity_text: self.severity_text(row).map(str::to_owned),
            event_name: self.event_name(row).map(str::to_owned),
            body: self.body(row).map(|text| Value::from_text(kind.map_or(ValueKind::String, ValueKind::from_letter), text)),
        }
    }

    fn span_outline(&self, row: usize, common: Common) -> Span {
        Span {
            common,
            duration_ns: self.duration_ns(row).unwrap_or(0),
            parent_span_id: self.parent_span_id(row),
            name: self.name(row).unwrap_or("").to_owned(),
            kind: self.kind(row).unwrap_or_default(),
            status: self.status(row).unwrap_or_default(),
            links: json_list(self.links_json(row)).iter().map(link).collect(),
            ..Span::default()
        }
    }

    fn span(&self, row: usize, common: Common) -> Span {
        Span {
            status_message: self.status_message(row).map(str::to_owned),
            events: json_list(self.events_json(row)).iter().map(span_event).collect(),
            trace_state: string(self.trace_state, row).map(str::to_owned),
            dropped_events_count: self.dropped_events_count.map_or(0, |counts| counts.value(row)),
            dropped_links_count: self.dropped_links_count.map_or(0, |counts| counts.value(row)),
            ..self.span_outline(row, common)
        }
    }
}

/// Makes records of rows. What many of them share, a resource or a scope, is made once.
#[derive(Debug)]
pub struct RecordReader<'v, 'a> {
    view: &'v RecordsView<'a>,
    /// The attributes of an outline, if that is all that is wanted.
    outline: Option<&'v [&'v str]>,
    resources: HashMap<usize, Arc<Attributes>, ahash::RandomState>,
    scopes: HashMap<usize, Arc<Attributes>, ahash::RandomState>,
    /// Of rows without a resource or a scope.
    nothing: Arc<Attributes>,
}

impl RecordReader<'_, '_> {
    /// The record of a row.
    pub fn record(&mut self, row: usize) -> Record {
        let view = self.view;
        let resource = shared(&mut self.resources, view.resource, row).unwrap_or_else(|| self.nothing.clone());
        let scope = view.scope.filter(|_| self.outline.is_none());
        let scope = shared(&mut self.scopes, scope, row).unwrap_or_else(|| self.nothing.clone());
        let attributes = match self.outline {
            None => view.sorted_attributes(row, |_| true),
            Some([]) => Attributes::new(),
            Some(keys) => view.sorted_attributes(row, |key| keys.contains(&key)),
        };
        let common = view.common(row, attributes, resource, scope);
        match (view.signal, self.outline) {
            (Signal::Logs, None) => Record::Log(view.log(row, common)),
            (Signal::Logs, Some(_)) => Record::Log(Log { common, severity: view.severity(row), ..Log::default() }),
            (Signal::Spans, None) => Record::Span(Box::new(view.span(row, common))),
            (Signal::Spans, Some(_)) => Record::Span(Box::new(view.span_outline(row, common))),
        }
    }
}

/// The attributes of a row in a column of typed JSON.
fn shared(
    made: &mut HashMap<usize, Arc<Attributes>, ahash::RandomState>,
    column: Option<DictionaryView<'_>>,
    row: usize,
) -> Option<Arc<Attributes>> {
    let column = column?;
    let code = column.code(row)?;
    Some(made.entry(code).or_insert_with(|| Arc::new(json_map(Some(column.values().value(code))))).clone())
}

fn json_map(json: Option<&str>) -> Attributes {
    match json.map(Value::from_json) {
        Some(Ok(Value::Map(entries))) => entries,
        _ => Attributes::new(),
    }
}

fn json_list(json: Option<&str>) -> Vec<Value> {
    match json.map(Value::from_json) {
        Some(Ok(Value::Array(values))) => values,
        _ => Vec::new(),
    }
}

fn span_event(value: &Value) -> SpanEvent {
    SpanEvent {
        time: UnixNanos(unsigned(value.get("time"))),
        name: value.get("name").and_then(Value::as_str).unwrap_or("").to_owned(),
        attributes: attributes_of(value),
        dropped_attributes_count: unsigned(value.get("dropped_attributes_count")) as u32,
    }
}

fn link(value: &Value) -> Link {
    Link {
        trace_id: value.get("trace_id").and_then(Value::as_str).and_then(TraceId::from_hex),
        span_id: value.get("span_id").and_then(Value::as_str).and_then(SpanId::from_hex),
        trace_state: value.get("trace_state").and_then(Value::as_str).map(str::to_owned),
        attributes: attributes_of(value),
        dropped_attributes_count: unsigned(value.get("dropped_attributes_count")) as u32,
        flags: unsigned(value.get("flags")) as u32,
    }
}

fn attributes_of(value: &Value) -> Attributes {
    match value.get("attributes") {
        Some(Value::Map(entries)) => entries.clone(),
        _ => Attributes::new(),
    }
}

/// Integers beyond `i64` read back from JSON as their digits.
fn unsigned(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Value::String(digits)) => digits.parse().unwrap_or(0),
        _ => 0,
    }
}
