//! Records as columns: which columns can be asked for, and how they are made of the rows of a batch.

mod arrays;
mod file;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField};

use crate::model::{UnixNanos, column, time_type};
use crate::predicate::{Columns, Facet, Field, Predicate};

pub(crate) use arrays::{batch, batch_of_nothing};
pub use file::parquet_file;

/// A question for rows as columns.
#[derive(Clone, Debug)]
pub struct TableScan {
    /// What matches.
    pub predicate: Predicate,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// The columns, in their order. Nothing else is read, but for what decides whether a row matches.
    pub columns: Vec<TableColumn>,
}

/// One of several parts of all there is, which are read apart and together hold each record once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which, from 0 on.
    pub number: usize,
    /// How many there are; at least 1.
    pub of: usize,
}

/// A column of rows of either signal. Where a record has no value it is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableColumn {
    /// Something that records have for themselves.
    Record(RecordColumn),
    /// What records are told apart by, as text.
    Text(Facet),
    /// The first of these fields that has a value, if it is of this type.
    Value(Vec<Field>, ValueType),
}

/// Types of values that are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Integers.
    Int,
    /// Any numbers, also those that stand in a text.
    Double,
    /// Truth values.
    Bool,
}

/// What records have for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordColumn {
    /// The number given at acceptance.
    RecordId,
    /// Event time of a log, start of a span; times after 2262-04-11 are that day.
    Time,
    /// 32 hex digits.
    TraceId,
    /// 16 hex digits.
    SpanId,
    /// 16 hex digits.
    ParentSpanId,
    /// The first request id, as spelled.
    RequestId,
    /// All of them, and further ids.
    RequestIds,
    /// Of a log: the level as its source wrote it, else the short name of the number.
    Severity,
    /// Of a log: 1 to 24.
    SeverityNumber,
    /// Of a log: the message; of any other type than text, its text form.
    Body,
    /// Of a log: when it was observed.
    ObservedTime,
    /// Of a span, in nanoseconds.
    Duration,
    /// Of a span: text of the status.
    StatusMessage,
    /// All attributes by key, as typed JSON.
    Attributes,
    /// The resource as typed JSON.
    Resource,
    /// The instrumentation scope as typed JSON.
    Scope,
    /// Of a span: events as typed JSON.
    Events,
    /// Of a span: links as typed JSON.
    Links,
    /// Of a span: W3C `tracestate`.
    TraceState,
    /// Flags of OTLP.
    Flags,
    /// Attributes the sender dropped.
    DroppedAttributesCount,
    /// Of a span: events the sender dropped.
    DroppedEventsCount,
    /// Of a span: links the sender dropped.
    DroppedLinksCount,
}

impl TableColumn {
    /// The type of its values in Arrow.
    pub fn data_type(&self) -> DataType {
        match self {
            TableColumn::Record(record) => record.data_type(),
            TableColumn::Text(_) => DataType::Utf8View,
            TableColumn::Value(_, ValueType::Int) => DataType::Int64,
            TableColumn::Value(_, ValueType::Double) => DataType::Float64,
            TableColumn::Value(_, ValueType::Bool) => DataType::Boolean,
        }
    }

    /// Whether the time of each row is looked at.
    pub(crate) fn shows_time(&self) -> bool {
        match self {
            TableColumn::Record(record) => matches!(record, RecordColumn::Time | RecordColumn::ObservedTime),
            TableColumn::Text(Facet::First(fields)) | TableColumn::Value(fields, _) => fields.contains(&Field::Time),
            TableColumn::Text(Facet::Signal) => false,
        }
    }

    /// These columns, and what this one is made of.
    pub(crate) fn add_to(&self, columns: Columns) -> Columns {
        match self {
            TableColumn::Record(RecordColumn::Attributes) => {
                columns.with(&[column::ATTRIBUTES, column::ATTRIBUTE_TYPES]).with_every_attribute()
            }
            TableColumn::Record(record) => columns.with(record.made_of()),
            TableColumn::Text(facet) => columns.with_facet(facet),
            TableColumn::Value(fields, _) => columns.with_facet(&Facet::First(fields.clone())),
        }
    }
}

impl RecordColumn {
    fn data_type(self) -> DataType {
        match self {
            RecordColumn::RecordId => DataType::UInt64,
            RecordColumn::Time | RecordColumn::ObservedTime => time_type(),
            RecordColumn::RequestIds => DataType::List(Arc::new(ArrowField::new("item", DataType::Utf8View, true))),
            RecordColumn::SeverityNumber => DataType::UInt8,
            RecordColumn::Duration => DataType::Int64,
            RecordColumn::Flags
            | RecordColumn::DroppedAttributesCount
            | RecordColumn::DroppedEventsCount
            | RecordColumn::DroppedLinksCount => DataType::UInt32,
            _ => DataType::Utf8View,
        }
    }

    /// The columns of a batch that it is made of.
    fn made_of(self) -> &'static [&'static str] {
        match self {
            RecordColumn::RecordId => &[column::RECORD_ID],
            RecordColumn::Time => &[column::TIMESTAMP, column::START],
            RecordColumn::TraceId => &[column::TRACE_ID],
            RecordColumn::SpanId => &[column::SPAN_ID],
            RecordColumn::ParentSpanId => &[column::PARENT_SPAN_ID],
            RecordColumn::RequestId => &[column::REQUEST_ID],
            RecordColumn::RequestIds => &[column::REQUEST_ID, column::MORE_IDS],
            RecordColumn::Severity => &[column::SEVERITY_NUMBER, column::SEVERITY_TEXT],
            RecordColumn::SeverityNumber => &[column::SEVERITY_NUMBER],
            RecordColumn::Body => &[column::BODY],
            RecordColumn::ObservedTime => &[column::TIMESTAMP, column::OBSERVED_TIMESTAMP, column::OBSERVED_AFTER],
            RecordColumn::Duration => &[column::DURATION],
            RecordColumn::StatusMessage => &[column::STATUS_MESSAGE],
            RecordColumn::Attributes => &[column::ATTRIBUTES, column::ATTRIBUTE_TYPES],
            RecordColumn::Resource => &[column::RESOURCE],
            RecordColumn::Scope => &[column::SCOPE],
            RecordColumn::Events => &[column::EVENTS],
            RecordColumn::Links => &[column::LINKS],
            RecordColumn::TraceState => &[column::TRACE_STATE],
            RecordColumn::Flags => &[column::FLAGS],
            RecordColumn::DroppedAttributesCount => &[column::DROPPED_ATTRIBUTES_COUNT],
            RecordColumn::DroppedEventsCount => &[column::DROPPED_EVENTS_COUNT],
            RecordColumn::DroppedLinksCount => &[column::DROPPED_LINKS_COUNT],
        }
    }
}
