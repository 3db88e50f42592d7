//! Typed access to the rows of a batch, whichever columns it holds.

mod columns;
mod reader;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type};

pub use self::columns::{AttributeColumn, DictionaryView};
pub use self::reader::RecordReader;
use super::ids::{SpanId, TraceId};
use super::record::{RecordId, SpanKind, StatusCode};
use super::schema::{Signal, column};
use super::severity::Severity;
use super::time::UnixNanos;
use super::value::{ColumnValue, ValueKind};

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
