//! Building record batches row by row, straight from a decoder: no tree of structs in between.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, FixedSizeBinaryBuilder, Int32Builder, Int64Builder, ListBuilder, MapArray, RecordBatch, StringArray,
    StringBuilder, StringDictionaryBuilder, StructArray, TimestampNanosecondBuilder, UInt8Builder, UInt32Builder, UInt64Array,
    UInt64Builder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Int32Type};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::ids::{SpanId, TraceId};
use super::schema::{Signal, column};
use super::severity::Severity;
use super::time::UnixNanos;
use super::value::{Value, ValueKind};

/// What a resource without `service.name` is called (OpenTelemetry semantic conventions, "service").
const UNKNOWN_SERVICE: &str = "unknown_service";

/// The ids found on one record.
#[derive(Clone, Copy, Default, Debug)]
pub struct RowIds<'a> {
    /// The trace the record belongs to.
    pub trace_id: Option<TraceId>,
    /// The span itself, or the span a log belongs to.
    pub span_id: Option<SpanId>,
    /// The first request id, as spelled.
    pub request_id: Option<&'a str>,
    /// Further request or trace ids, as spelled.
    pub more_ids: &'a [String],
}

/// One log record, without attributes, resource and scope, which the builder is given apart.
#[derive(Clone, Copy, Default, Debug)]
pub struct LogRow<'a> {
    /// Event time, else observed time, else arrival.
    pub timestamp: UnixNanos,
    /// The time as sent where `timestamp` is not it (0, when it was taken from another field).
    pub original_time: Option<u64>,
    /// When the record was observed, if the sender said so.
    pub observed_timestamp: Option<UnixNanos>,
    /// Ids.
    pub ids: RowIds<'a>,
    /// 0 to 24.
    pub severity: Severity,
    /// The level as the source wrote it; empty when absent.
    pub severity_text: &'a str,
    /// The event's name; empty when absent.
    pub event_name: &'a str,
    /// The body as column text ([`Value::write_text`]) with its kind; `None` when absent.
    pub body: Option<(ValueKind, &'a str)>,
    /// OTLP flags.
    pub flags: u32,
    /// Attributes the sender dropped.
    pub dropped_attributes_count: u32,
}

/// One span, without attributes, resource and scope.
#[derive(Clone, Copy, Default, Debug)]
pub struct SpanRow<'a> {
    /// Start time as sent.
    pub start: UnixNanos,
    /// End time as sent; before `start` is kept as it is.
    pub end: UnixNanos,
    /// Ids.
    pub ids: RowIds<'a>,
    /// The parent, none for a root.
    pub parent_span_id: Option<SpanId>,
    /// The operation.
    pub name: &'a str,
    /// OTLP's number of the kind, unknown ones kept.
    pub kind: i32,
    /// OTLP's number of the status.
    pub status_code: i32,
    /// Text of the status; empty when absent.
    pub status_message: &'a str,
    /// Typed JSON: `[{"time":<ns>,"name":..,"attributes":{..},"dropped_attributes_count":n}]`; empty when there are none.
    pub events: &'a str,
    /// Typed JSON: `[{"trace_id":"<hex>","span_id":"<hex>","trace_state":..,"attributes":{..},"flags":n,..}]`; empty when there are none.
    pub links: &'a str,
    /// W3C `tracestate`; empty when absent.
    pub trace_state: &'a str,
    /// OTLP flags.
    pub flags: u32,
    /// Attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Events the sender dropped.
    pub dropped_events_count: u32,
    /// Links the sender dropped.
    pub dropped_links_count: u32,
}

/// Builds a batch of log records.
pub struct LogsBuilder {
    common: CommonBuilder,
    observed_timestamp: TimestampNanosecondBuilder,
    severity_number: UInt8Builder,
    severity_text: StringDictionaryBuilder<Int32Type>,
    event_name: StringDictionaryBuilder<Int32Type>,
    body: StringBuilder,
    body_type: StringDictionaryBuilder<Int32Type>,
}

/// Builds a batch of spans.
pub struct SpansBuilder {
    common: CommonBuilder,
    duration: Int64Builder,
    original_end: UInt64Builder,
    parent_span_id: FixedSizeBinaryBuilder,
    name: StringDictionaryBuilder<Int32Type>,
    kind: Int32Builder,
    status_code: Int32Builder,
    status_message: StringBuilder,
    events: StringBuilder,
    links: StringBuilder,
    trace_state: StringBuilder,
    dropped_events_count: UInt32Builder,
    dropped_links_count: UInt32Builder,
}

macro_rules! row_context {
    () => {
        /// The resource of the rows that follow, as typed JSON ([`Value::write_json`] of a map), and its `service.name`.
        pub fn set_resource(&mut self, json: Option<&str>, service_name: Option<&str>) {
            self.common.set_resource(json, service_name);
        }

        /// The service of the rows that follow, where it is not the resource that tells.
        pub fn set_service(&mut self, service_name: Option<&str>) {
            self.common.set_service(service_name);
        }

        /// The service of the rows that follow.
        pub fn service(&self) -> &str {
            self.common.service.current.as_deref().unwrap_or(UNKNOWN_SERVICE)
        }

        /// The scope of the rows that follow, as typed JSON: `{"name":..,"version":..,"attributes":{..},"schema_url":..}`.
        pub fn set_scope(&mut self, json: Option<&str>) {
            self.common.set_scope(json);
        }

        /// The attributes of the row that will be appended next.
        pub fn attributes(&mut self) -> &mut AttributesBuilder {
            &mut self.common.attributes
        }

        /// Rows appended so far.
        pub fn len(&self) -> usize {
            self.common.rows
        }

        /// Whether no row was appended.
        pub fn is_empty(&self) -> bool {
            self.common.rows == 0
        }
    };
}

impl LogsBuilder {
    /// A builder with room for `rows` records.
    pub fn with_capacity(rows: usize) -> LogsBuilder {
        LogsBuilder {
            common: CommonBuilder::with_capacity(rows),
            observed_timestamp: TimestampNanosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            severity_number: UInt8Builder::with_capacity(rows),
            severity_text: StringDictionaryBuilder::new(),
            event_name: StringDictionaryBuilder::new(),
            body: StringBuilder::with_capacity(rows, 0),
            body_type: StringDictionaryBuilder::new(),
        }
    }

    /// The same, with room for so many bytes of messages: where they are most of what comes, growing would cost as
    /// much again.
    pub fn with_message_capacity(rows: usize, bytes: usize) -> LogsBuilder {
        LogsBuilder { body: StringBuilder::with_capacity(rows, bytes), ..LogsBuilder::with_capacity(rows) }
    }

    row_context!();

    /// Appends a record with the attributes pushed since the last one.
    pub fn append(&mut self, row: &LogRow<'_>) {
        self.common.append(row.timestamp, row.original_time, &row.ids, row.flags, row.dropped_attributes_count);
        self.observed_timestamp.append_option(row.observed_timestamp.map(UnixNanos::saturating_i64));
        self.severity_number.append_value(row.severity.0);
        self.severity_text.append_option(non_empty(row.severity_text));
        self.event_name.append_option(non_empty(row.event_name));
        self.body.append_option(row.body.map(|(_, text)| text));
        self.body_type.append_option(row.body.map(|(kind, _)| kind).filter(|kind| *kind != ValueKind::String).map(letter_text));
    }

    /// The batch; its record ids are zero until the records are committed.
    pub fn finish(mut self) -> RecordBatch {
        let mut columns = self.common.finish();
        columns.extend([
            Arc::new(self.observed_timestamp.finish()) as ArrayRef,
            Arc::new(self.severity_number.finish()),
            Arc::new(self.severity_text.finish()),
            Arc::new(self.event_name.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.body_type.finish()),
        ]);
        RecordBatch::try_new(Signal::Logs.schema(), columns).expect("the builders follow the schema")
    }
}

impl SpansBuilder {
    /// A builder with room for `rows` spans.
    pub fn with_capacity(rows: usize) -> SpansBuilder {
        SpansBuilder {
            common: CommonBuilder::with_capacity(rows),
            duration: Int64Builder::with_capacity(rows),
            original_end: UInt64Builder::new(),
            parent_span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            name: StringDictionaryBuilder::new(),
            kind: Int32Builder::with_capacity(rows),
            status_code: Int32Builder::with_capacity(rows),
            status_message: StringBuilder::new(),
            events: StringBuilder::new(),
            links: StringBuilder::new(),
            trace_state: StringBuilder::new(),
            dropped_events_count: UInt32Builder::with_capacity(rows),
            dropped_links_count: UInt32Builder::with_capacity(rows),
        }
    }

    row_context!();

    /// Appends a span with the attributes pushed since the last one.
    pub fn append(&mut self, row: &SpanRow<'_>) {
        self.common.append(row.start, None, &row.ids, row.flags, row.dropped_attributes_count);
        self.duration.append_value(row.end.since(row.start));
        let exact = row.start.saturating_add_signed(row.end.since(row.start)) == row.end;
        self.original_end.append_option((!exact).then_some(row.end.0));
        append_id(&mut self.parent_span_id, row.parent_span_id.map(|id| id.0).as_ref());
        self.name.append_value(row.name);
        self.kind.append_value(row.kind);
        self.status_code.append_value(row.status_code);
        self.status_message.append_option(non_empty(row.status_message));
        self.events.append_option(non_empty(row.events));
        self.links.append_option(non_empty(row.links));
        self.trace_state.append_option(non_empty(row.trace_state));
        self.dropped_events_count.append_value(row.dropped_events_count);
        self.dropped_links_count.append_value(row.dropped_links_count);
    }

    /// The batch; its record ids are zero until the records are committed.
    pub fn finish(mut self) -> RecordBatch {
        let mut columns = self.common.finish();
        columns.extend([
            Arc::new(self.duration.finish()) as ArrayRef,
            Arc::new(self.original_end.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.status_code.finish()),
            Arc::new(self.status_message.finish()),
            Arc::new(self.events.finish()),
            Arc::new(self.links.finish()),
            Arc::new(self.trace_state.finish()),
            Arc::new(self.dropped_events_count.finish()),
            Arc::new(self.dropped_links_count.finish()),
        ]);
        RecordBatch::try_new(Signal::Spans.schema(), columns).expect("the builders follow the schema")
    }
}

/// The columns both signals share.
struct CommonBuilder {
    rows: usize,
    time: TimestampNanosecondBuilder,
    original_time: UInt64Builder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    request_id: StringBuilder,
    more_ids: ListBuilder<StringBuilder>,
    service: DictionaryColumn,
    attributes: AttributesBuilder,
    resource: DictionaryColumn,
    scope: DictionaryColumn,
    flags: UInt32Builder,
    dropped_attributes_count: UInt32Builder,
}

impl CommonBuilder {
    fn with_capacity(rows: usize) -> CommonBuilder {
        let mut common = CommonBuilder {
            rows: 0,
            time: TimestampNanosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            original_time: UInt64Builder::new(),
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            request_id: StringBuilder::with_capacity(rows, 0),
            more_ids: ListBuilder::new(StringBuilder::new()),
            service: DictionaryColumn::default(),
            attributes: AttributesBuilder::default(),
            resource: DictionaryColumn::default(),
            scope: DictionaryColumn::default(),
            flags: UInt32Builder::with_capacity(rows),
            dropped_attributes_count: UInt32Builder::with_capacity(rows),
        };
        common.set_service(None);
        common
    }

    fn set_resource(&mut self, json: Option<&str>, service_name: Option<&str>) {
        self.resource.set(json);
        self.set_service(service_name);
    }

    fn set_service(&mut self, service_name: Option<&str>) {
        self.service.set(Some(service_name.filter(|name| !name.is_empty()).unwrap_or(UNKNOWN_SERVICE)));
    }

    fn set_scope(&mut self, json: Option<&str>) {
        self.scope.set(json);
    }

    fn append(&mut self, time: UnixNanos, original_time: Option<u64>, ids: &RowIds<'_>, flags: u32, dropped_attributes_count: u32) {
        self.rows += 1;
        self.time.append_value(time.saturating_i64());
        let beyond_column = (i64::try_from(time.0).is_err()).then_some(time.0);
        self.original_time.append_option(original_time.or(beyond_column));
        append_id(&mut self.trace_id, ids.trace_id.map(|id| id.0).as_ref());
        append_id(&mut self.span_id, ids.span_id.map(|id| id.0).as_ref());
        self.request_id.append_option(ids.request_id);
        for id in ids.more_ids {
            self.more_ids.values().append_value(id);
        }
        self.more_ids.append(!ids.more_ids.is_empty());
        self.service.append();
        self.attributes.finish_row();
        self.resource.append();
        self.scope.append();
        self.flags.append_value(flags);
        self.dropped_attributes_count.append_value(dropped_attributes_count);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let (attributes, attribute_types) = self.attributes.finish();
        vec![
            Arc::new(UInt64Array::from(vec![0; self.rows])),
            Arc::new(self.time.finish()),
            Arc::new(self.original_time.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.request_id.finish()),
            Arc::new(self.more_ids.finish()),
            self.service.finish(),
            attributes,
            attribute_types,
            self.resource.finish(),
            self.scope.finish(),
            Arc::new(self.flags.finish()),
            Arc::new(self.dropped_attributes_count.finish()),
        ]
    }
}

/// A dictionary column whose value changes seldom: the text is hashed once per change, not per row.
#[derive(Default)]
struct DictionaryColumn {
    builder: StringDictionaryBuilder<Int32Type>,
    current: Option<String>,
    run: usize,
}

impl DictionaryColumn {
    fn set(&mut self, text: Option<&str>) {
        if self.current.as_deref() != text {
            self.flush();
            self.current = text.map(str::to_owned);
        }
    }

    fn append(&mut self) {
        self.run += 1;
    }

    fn flush(&mut self) {
        match &self.current {
            Some(text) => self.builder.append_values(text, self.run),
            None => self.builder.append_nulls(self.run),
        }
        self.run = 0;
    }

    fn finish(&mut self) -> ArrayRef {
        self.flush();
        Arc::new(self.builder.finish())
    }
}

/// Collects the attributes of a row. A key that comes twice keeps its last value.
pub struct AttributesBuilder {
    scratch: String,
    /// Of each attribute of the row: where key and value begin and end in `scratch`, and the letter of its kind.
    entries: Vec<StagedAttribute>,
    keys: StringBuilder,
    values: StringBuilder,
    offsets: Vec<i32>,
    types: StringDictionaryBuilder<Int32Type>,
}

#[derive(Debug, Clone, Copy)]
struct StagedAttribute {
    key_start: usize,
    key_end: usize,
    value_end: usize,
    kind: ValueKind,
}

impl Default for AttributesBuilder {
    fn default() -> Self {
        AttributesBuilder {
            scratch: String::new(),
            entries: Vec::new(),
            keys: StringBuilder::new(),
            values: StringBuilder::new(),
            offsets: vec![0],
            types: StringDictionaryBuilder::new(),
        }
    }
}

impl AttributesBuilder {
    /// Adds an attribute of any kind.
    pub fn push(&mut self, key: &str, value: &Value) {
        self.push_with(key, value.kind(), |text| value.write_text(text));
    }

    /// Adds a string.
    pub fn push_str(&mut self, key: &str, value: &str) {
        self.push_with(key, ValueKind::String, |text| text.push_str(value));
    }

    /// Adds an integer.
    pub fn push_int(&mut self, key: &str, value: i64) {
        self.push_with(key, ValueKind::Int, |text| text.push_str(itoa::Buffer::new().format(value)));
    }

    /// Adds a double.
    pub fn push_double(&mut self, key: &str, value: f64) {
        self.push_with(key, ValueKind::Double, |text| Value::Double(value).write_text(text));
    }

    /// Adds a boolean.
    pub fn push_bool(&mut self, key: &str, value: bool) {
        self.push_with(key, ValueKind::Bool, |text| text.push_str(if value { "true" } else { "false" }));
    }

    /// Adds bytes.
    pub fn push_bytes(&mut self, key: &str, value: &[u8]) {
        self.push_with(key, ValueKind::Bytes, |text| BASE64.encode_string(value, text));
    }

    /// Adds an attribute whose column text `write` appends.
    pub fn push_with(&mut self, key: &str, kind: ValueKind, write: impl FnOnce(&mut String)) {
        let key_start = self.scratch.len();
        self.scratch.push_str(key);
        let key_end = self.scratch.len();
        write(&mut self.scratch);
        self.entries.push(StagedAttribute { key_start, key_end, value_end: self.scratch.len(), kind });
    }

    /// Forgets the attributes pushed for a row that will not be appended.
    pub fn discard_row(&mut self) {
        self.scratch.clear();
        self.entries.clear();
    }

    /// The attributes pushed for the row so far: key, kind and column text.
    pub fn staged(&self) -> impl Iterator<Item = (&str, ValueKind, &str)> {
        self.entries.iter().map(|e| (&self.scratch[e.key_start..e.key_end], e.kind, &self.scratch[e.key_end..e.value_end]))
    }

    /// Ends a row.
    pub(crate) fn finish_row(&mut self) {
        self.drop_repeated_keys();
        for entry in &self.entries {
            self.keys.append_value(&self.scratch[entry.key_start..entry.key_end]);
            if entry.kind == ValueKind::Empty {
                self.values.append_null();
            } else {
                self.values.append_value(&self.scratch[entry.key_end..entry.value_end]);
            }
        }
        let end = i32::try_from(self.keys.len()).expect("a request holds fewer than 2^31 attributes");
        self.offsets.push(end);
        if self.entries.iter().all(|e| e.kind == ValueKind::String) {
            self.types.append_null();
        } else {
            let letters: String = self.entries.iter().map(|e| char::from(e.kind.letter())).collect();
            self.types.append_value(letters);
        }
        self.discard_row();
    }

    /// Parquet maps (and DuckDB's) hold a key once; the last value wins, as for OTLP and JSON.
    fn drop_repeated_keys(&mut self) {
        /// Up to here comparing every pair is cheaper than hashing.
        const PAIRWISE_MAX: usize = 24;
        let scratch = &self.scratch;
        let key = |e: &StagedAttribute| &scratch[e.key_start..e.key_end];
        let repeated = if self.entries.len() <= PAIRWISE_MAX {
            self.entries.iter().enumerate().any(|(n, e)| self.entries[..n].iter().any(|before| key(before) == key(e)))
        } else {
            let distinct: std::collections::HashSet<&str> = self.entries.iter().map(key).collect();
            distinct.len() < self.entries.len()
        };
        if repeated {
            let mut seen = std::collections::HashSet::new();
            let mut kept: Vec<StagedAttribute> = self.entries.iter().rev().filter(|e| seen.insert(key(e))).copied().collect();
            kept.reverse();
            self.entries = kept;
        }
    }

    /// The map of all rows, and the letters of their kinds.
    pub(crate) fn finish(&mut self) -> (ArrayRef, ArrayRef) {
        let DataType::Map(entry_field, _) =
            Signal::Logs.schema().field_with_name(column::ATTRIBUTES).expect("a common column").data_type().clone()
        else {
            unreachable!("attributes are a map")
        };
        let DataType::Struct(fields) = entry_field.data_type().clone() else { unreachable!("map entries are a struct") };
        let keys: StringArray = self.keys.finish();
        let values: StringArray = self.values.finish();
        let entries = StructArray::new(fields, vec![Arc::new(keys), Arc::new(values)], None);
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        let map = MapArray::new(entry_field, offsets, entries, None, false);
        (Arc::new(map), Arc::new(self.types.finish()))
    }
}

fn append_id<const N: usize>(builder: &mut FixedSizeBinaryBuilder, id: Option<&[u8; N]>) {
    match id {
        Some(bytes) => builder.append_value(bytes).expect("ids have the width of their column"),
        None => builder.append_null(),
    }
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn letter_text(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Empty => "e",
        ValueKind::String => "s",
        ValueKind::Int => "i",
        ValueKind::Double => "d",
        ValueKind::Bool => "b",
        ValueKind::Bytes => "x",
        ValueKind::Array => "a",
        ValueKind::Map => "m",
    }
}
