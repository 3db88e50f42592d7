//! Typed access to the rows of a batch, whichever columns it holds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, TimestampNanosecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type};

use super::ids::{SpanId, TraceId};
use super::record::{Common, Link, Log, Record, RecordId, Span, SpanEvent, SpanKind, StatusCode};
use super::schema::{Signal, attribute_key, column};
use super::severity::Severity;
use super::time::UnixNanos;
use super::value::{Attributes, ColumnValue, Value, ValueKind};

/// A text column with a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct DictionaryView<'a> {
    keys: &'a Int32Array,
    values: &'a StringArray,
}

impl<'a> DictionaryView<'a> {
    fn new(array: &'a dyn Array) -> DictionaryView<'a> {
        let dictionary = array.as_dictionary::<Int32Type>();
        DictionaryView { keys: dictionary.keys(), values: dictionary.values().as_string() }
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.code(row).map(|code| self.values.value(code))
    }

    /// The place of a row's text in the dictionary.
    pub fn code(&self, row: usize) -> Option<usize> {
        self.keys.is_valid(row).then(|| self.keys.value(row) as usize)
    }

    /// The places of all rows' texts in the dictionary; none when some row has no text.
    pub(crate) fn codes(&self) -> Option<&'a [i32]> {
        (self.keys.null_count() == 0).then(|| self.keys.values().as_ref())
    }

    /// How many texts the dictionary has.
    pub fn texts(&self) -> usize {
        self.values.len()
    }

    /// The texts of the dictionary.
    pub fn values(&self) -> &'a StringArray {
        self.values
    }
}

/// The column that an attribute key has of its own.
#[derive(Clone, Copy, Debug)]
pub struct AttributeColumn<'a> {
    /// The key.
    pub key: &'a str,
    values: AttributeValues<'a>,
}

#[derive(Clone, Copy, Debug)]
enum AttributeValues<'a> {
    Text(&'a StringArray),
    Dictionary(DictionaryView<'a>),
    Int(&'a Int64Array),
    Double(&'a Float64Array),
    Bool(&'a BooleanArray),
}

impl<'a> AttributeColumn<'a> {
    fn of(name: &'a str, array: &'a dyn Array) -> Option<AttributeColumn<'a>> {
        let key = attribute_key(name)?;
        let values = match array.data_type() {
            DataType::Utf8 => AttributeValues::Text(array.as_string()),
            DataType::Dictionary(..) => AttributeValues::Dictionary(DictionaryView::new(array)),
            DataType::Int64 => AttributeValues::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => AttributeValues::Double(array.as_primitive::<Float64Type>()),
            DataType::Boolean => AttributeValues::Bool(array.as_boolean()),
            _ => return None,
        };
        Some(AttributeColumn { key, values })
    }

    /// The value of a row, if it has one of the column's kind.
    pub fn get(&self, row: usize) -> Option<ColumnValue<'a>> {
        match self.values {
            AttributeValues::Text(texts) => texts.is_valid(row).then(|| ColumnValue::Text(ValueKind::String, texts.value(row))),
            AttributeValues::Dictionary(texts) => texts.get(row).map(|text| ColumnValue::Text(ValueKind::String, text)),
            AttributeValues::Int(numbers) => numbers.is_valid(row).then(|| ColumnValue::Int(numbers.value(row))),
            AttributeValues::Double(numbers) => numbers.is_valid(row).then(|| ColumnValue::Double(numbers.value(row))),
            AttributeValues::Bool(values) => values.is_valid(row).then(|| ColumnValue::Bool(values.value(row))),
        }
    }

    /// The kind of its values, and how many rows have one.
    pub(crate) fn present(&self) -> (ValueKind, usize) {
        let valid = |array: &dyn Array| array.len() - array.null_count();
        match self.values {
            AttributeValues::Text(texts) => (ValueKind::String, valid(texts)),
            AttributeValues::Dictionary(texts) => (ValueKind::String, valid(texts.keys)),
            AttributeValues::Int(numbers) => (ValueKind::Int, valid(numbers)),
            AttributeValues::Double(numbers) => (ValueKind::Double, valid(numbers)),
            AttributeValues::Bool(values) => (ValueKind::Bool, valid(values)),
        }
    }

    /// The dictionary of the column, if it has one.
    pub fn dictionary(&self) -> Option<DictionaryView<'a>> {
        match self.values {
            AttributeValues::Dictionary(texts) => Some(texts),
            _ => None,
        }
    }
}

/// The rows of a batch of either signal. Columns that were not read are absent and read as "nothing there".
#[derive(Clone, Debug)]
pub struct RecordsView<'a> {
    /// What the rows are.
    pub signal: Signal,
    batch: &'a RecordBatch,
    record_id: Option<&'a UInt64Array>,
    time: Option<&'a TimestampNanosecondArray>,
    original_time: Option<&'a UInt64Array>,
    trace_id: Option<&'a FixedSizeBinaryArray>,
    span_id: Option<&'a FixedSizeBinaryArray>,
    request_id: Option<&'a StringArray>,
    request_id_key: Option<DictionaryView<'a>>,
    more_ids: Option<&'a ListArray>,
    service: Option<DictionaryView<'a>>,
    attributes: Option<&'a MapArray>,
    attribute_types: Option<DictionaryView<'a>>,
    attribute_columns: Vec<AttributeColumn<'a>>,
    resource: Option<DictionaryView<'a>>,
    scope: Option<DictionaryView<'a>>,
    flags: Option<&'a UInt32Array>,
    dropped_attributes_count: Option<&'a UInt32Array>,
    observed_timestamp: Option<&'a TimestampNanosecondArray>,
    observed_after: Option<&'a Int64Array>,
    severity_number: Option<&'a UInt8Array>,
    severity_text: Option<DictionaryView<'a>>,
    event_name: Option<DictionaryView<'a>>,
    body: Option<&'a StringArray>,
    body_type: Option<DictionaryView<'a>>,
    duration: Option<&'a Int64Array>,
    parent_span_id: Option<&'a FixedSizeBinaryArray>,
    name: Option<DictionaryView<'a>>,
    kind: Option<&'a Int32Array>,
    status_code: Option<&'a Int32Array>,
    status_message: Option<&'a StringArray>,
    events: Option<&'a StringArray>,
    links: Option<&'a StringArray>,
    trace_state: Option<&'a StringArray>,
    dropped_events_count: Option<&'a UInt32Array>,
    dropped_links_count: Option<&'a UInt32Array>,
}

impl<'a> RecordsView<'a> {
    /// A view of `batch`, whose columns are those of `signal` or some of them.
    pub fn new(signal: Signal, batch: &'a RecordBatch) -> RecordsView<'a> {
        let column = |name: &str| batch.column_by_name(name).map(AsRef::as_ref);
        let text = |name: &str| column(name).map(|array: &dyn Array| array.as_string::<i32>());
        let dictionary = |name: &str| column(name).map(DictionaryView::new);
        let id = |name: &str| column(name).map(|array: &dyn Array| array.as_fixed_size_binary());
        let time = |name: &str| column(name).map(|array: &dyn Array| array.as_primitive::<TimestampNanosecondType>());
        let u32s = |name: &str| column(name).map(|array: &dyn Array| array.as_primitive::<UInt32Type>());
        let u64s = |name: &str| column(name).map(|array: &dyn Array| array.as_primitive::<UInt64Type>());
        let i32s = |name: &str| column(name).map(|array: &dyn Array| array.as_primitive::<Int32Type>());
        RecordsView {
            signal,
            batch,
            record_id: u64s(column::RECORD_ID),
            time: time(match signal {
                Signal::Logs => column::TIMESTAMP,
                Signal::Spans => column::START,
            }),
            original_time: u64s(column::ORIGINAL_TIME),
            trace_id: id(column::TRACE_ID),
            span_id: id(column::SPAN_ID),
            request_id: text(column::REQUEST_ID),
            request_id_key: dictionary(column::REQUEST_ID_KEY),
            more_ids: column(column::MORE_IDS).map(|array| array.as_list()),
            service: dictionary(column::SERVICE_NAME),
            attributes: column(column::ATTRIBUTES).map(|array| array.as_map()),
            attribute_types: dictionary(column::ATTRIBUTE_TYPES),
            attribute_columns: attribute_columns(batch),
            resource: dictionary(column::RESOURCE),
            scope: dictionary(column::SCOPE),
            flags: u32s(column::FLAGS),
            dropped_attributes_count: u32s(column::DROPPED_ATTRIBUTES_COUNT),
            observed_timestamp: time(column::OBSERVED_TIMESTAMP),
            observed_after: column(column::OBSERVED_AFTER).map(|array| array.as_primitive::<Int64Type>()),
            severity_number: column(column::SEVERITY_NUMBER).map(|array| array.as_primitive::<UInt8Type>()),
            severity_text: dictionary(column::SEVERITY_TEXT),
            event_name: dictionary(column::EVENT_NAME),
            body: text(column::BODY),
            body_type: dictionary(column::BODY_TYPE),
            duration: column(column::DURATION).map(|array| array.as_primitive::<Int64Type>()),
            parent_span_id: id(column::PARENT_SPAN_ID),
            name: dictionary(column::NAME),
            kind: i32s(column::KIND),
            status_code: i32s(column::STATUS_CODE),
            status_message: text(column::STATUS_MESSAGE),
            events: text(column::EVENTS),
            links: text(column::LINKS),
            trace_state: text(column::TRACE_STATE),
            dropped_events_count: u32s(column::DROPPED_EVENTS_COUNT),
            dropped_links_count: u32s(column::DROPPED_LINKS_COUNT),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.batch.num_rows() == 0
    }

    /// A column as it is in the batch.
    pub(crate) fn array(&self, name: &str) -> Option<&'a ArrayRef> {
        self.batch.column_by_name(name)
    }

    /// The record's number.
    pub fn record_id(&self, row: usize) -> RecordId {
        RecordId(self.record_id.map_or(0, |ids| ids.value(row)))
    }

    /// What the time column holds.
    pub(crate) fn time_column(&self, row: usize) -> i64 {
        self.time.map_or(0, |times| times.value(row))
    }

    /// Nanoseconds from the time column of a log to when it was observed.
    pub(crate) fn observed_after(&self, row: usize) -> Option<i64> {
        let after = self.observed_after.and_then(|nanos| nanos.is_valid(row).then(|| nanos.value(row)));
        let observed = || self.observed_timestamp.and_then(|times| times.is_valid(row).then(|| times.value(row)));
        // Wrapping there and back gives the same, also at the ends of time.
        after.or_else(|| Some(observed()?.wrapping_sub(self.time_column(row))))
    }

    /// Event time of a log, start of a span.
    pub fn time(&self, row: usize) -> UnixNanos {
        let column = self.time_column(row);
        if column == i64::MAX
            && let Some(exact) = self.original_time.and_then(|times| times.is_valid(row).then(|| times.value(row)))
        {
            return UnixNanos(exact);
        }
        UnixNanos::from_column(column)
    }

    /// The trace.
    pub fn trace_id(&self, row: usize) -> Option<TraceId> {
        binary(self.trace_id, row).and_then(TraceId::from_bytes)
    }

    /// The span, or the span a log belongs to.
    pub fn span_id(&self, row: usize) -> Option<SpanId> {
        binary(self.span_id, row).and_then(SpanId::from_bytes)
    }

    /// The parent span.
    pub fn parent_span_id(&self, row: usize) -> Option<SpanId> {
        binary(self.parent_span_id, row).and_then(SpanId::from_bytes)
    }

    /// The first request id, as spelled.
    pub fn request_id(&self, row: usize) -> Option<&'a str> {
        string(self.request_id, row)
    }

    /// All request ids and further ids, as spelled, the first one first.
    pub fn request_ids(&self, row: usize) -> impl Iterator<Item = &'a str> {
        let more = self.more_ids.filter(|lists| lists.is_valid(row)).map(|lists| {
            let offsets = lists.value_offsets();
            let values = lists.values().as_string::<i32>();
            (offsets[row] as usize..offsets[row + 1] as usize).map(move |n| values.value(n))
        });
        self.request_id(row).into_iter().chain(more.into_iter().flatten())
    }

    /// `service.name`.
    pub fn service(&self, row: usize) -> &'a str {
        self.service.and_then(|services| services.get(row)).unwrap_or("")
    }

    /// The column of names of spans.
    pub fn names(&self) -> Option<DictionaryView<'a>> {
        self.name
    }

    /// The column of event names of logs.
    pub fn event_names(&self) -> Option<DictionaryView<'a>> {
        self.event_name
    }

    /// The column of services.
    pub fn services(&self) -> Option<DictionaryView<'a>> {
        self.service
    }

    /// The attributes of a row: those with a column of their own, then the others in the order they came in.
    pub fn attributes(&self, row: usize) -> impl Iterator<Item = (&'a str, ColumnValue<'a>)> {
        let own = self.attribute_columns.iter().filter_map(move |column| Some((column.key, column.get(row)?)));
        own.chain(self.other_attributes(row))
    }

    /// The attributes that have a column of their own.
    pub fn attribute_columns(&self) -> &[AttributeColumn<'a>] {
        &self.attribute_columns
    }

    /// The attributes that stand in the column of request ids only.
    pub(crate) fn request_keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.request_id_key.into_iter().flat_map(|keys| keys.values().iter().flatten())
    }

    /// The keys in the general column of attributes, as often as they stand there.
    pub(crate) fn general_keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.attributes.into_iter().flat_map(|map| map.keys().as_string::<i32>().iter().flatten())
    }

    /// The attribute of a row that stands in the column of request ids only.
    fn request_attribute(&self, row: usize) -> Option<(&'a str, ColumnValue<'a>)> {
        let key = self.request_id_key.and_then(|keys| keys.get(row))?;
        Some((key, ColumnValue::Text(ValueKind::String, self.request_id(row)?)))
    }

    /// Whether any row may have an attribute without a column of its own.
    pub(crate) fn may_have_other_attributes(&self) -> bool {
        self.attributes.is_some() || self.request_id_key.is_some()
    }

    /// The attributes of a row that have no column of their own.
    pub fn other_attributes(&self, row: usize) -> impl Iterator<Item = (&'a str, ColumnValue<'a>)> + use<'a> {
        self.request_attribute(row).into_iter().chain(self.general_attributes(row))
    }

    fn general_attributes(&self, row: usize) -> impl Iterator<Item = (&'a str, ColumnValue<'a>)> + use<'a> {
        let letters = self.attribute_types.and_then(|types| types.get(row)).unwrap_or("").as_bytes();
        self.attributes.into_iter().flat_map(move |map| {
            let offsets = map.value_offsets();
            let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
            (offsets[row] as usize..offsets[row + 1] as usize).enumerate().map(move |(n, at)| {
                let kind = letters.get(n).map_or(ValueKind::String, |letter| ValueKind::from_letter(*letter));
                (keys.value(at), ColumnValue::Text(kind, if values.is_valid(at) { values.value(at) } else { "" }))
            })
        })
    }

    /// The resource as typed JSON.
    pub fn resource(&self) -> Option<DictionaryView<'a>> {
        self.resource
    }

    /// The scope as typed JSON.
    pub fn scope(&self) -> Option<DictionaryView<'a>> {
        self.scope
    }

    /// Severity of a log.
    pub fn severity(&self, row: usize) -> Severity {
        Severity(self.severity_number.map_or(0, |numbers| numbers.value(row)))
    }

    /// The level as the source wrote it.
    pub fn severity_text(&self, row: usize) -> Option<&'a str> {
        self.severity_text.and_then(|texts| texts.get(row))
    }

    /// What makes a log an event.
    pub fn event_name(&self, row: usize) -> Option<&'a str> {
        self.event_name.and_then(|names| names.get(row))
    }

    /// The body's column text.
    pub fn body(&self, row: usize) -> Option<&'a str> {
        string(self.body, row)
    }

    /// The span's name.
    pub fn name(&self, row: usize) -> Option<&'a str> {
        self.name.and_then(|names| names.get(row))
    }

    /// End minus start, in nanoseconds.
    pub fn duration_ns(&self, row: usize) -> Option<i64> {
        self.duration.map(|durations| durations.value(row))
    }

    /// The span's role.
    pub fn kind(&self, row: usize) -> Option<SpanKind> {
        self.kind.map(|kinds| SpanKind(kinds.value(row)))
    }

    /// The span's outcome.
    pub fn status(&self, row: usize) -> Option<StatusCode> {
        self.status_code.map(|codes| StatusCode(codes.value(row)))
    }

    /// Text of the span's outcome.
    pub fn status_message(&self, row: usize) -> Option<&'a str> {
        string(self.status_message, row)
    }

    /// The span's events as typed JSON.
    pub fn events_json(&self, row: usize) -> Option<&'a str> {
        string(self.events, row)
    }

    /// The span's links as typed JSON.
    pub fn links_json(&self, row: usize) -> Option<&'a str> {
        string(self.links, row)
    }

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
    Some(made.entry(code).or_insert_with(|| Arc::new(json_map(Some(column.values.value(code))))).clone())
}

fn attribute_columns(batch: &RecordBatch) -> Vec<AttributeColumn<'_>> {
    let named = batch.schema_ref().fields().iter().zip(batch.columns());
    named.filter_map(|(field, array)| AttributeColumn::of(field.name(), array.as_ref())).collect()
}

fn binary(column: Option<&FixedSizeBinaryArray>, row: usize) -> Option<&[u8]> {
    column.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row))
}

fn string(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
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
