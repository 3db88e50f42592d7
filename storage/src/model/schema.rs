//! The columns of both signals. The first ones are common, so that code that searches by time, id,
//! service or attribute is the same for logs and spans.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// What kind of record a batch, a shard or a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Spans,
}

impl Signal {
    /// Both signals.
    pub const ALL: [Signal; 2] = [Signal::Logs, Signal::Spans];

    /// `logs` or `spans`, as in paths and table names.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Spans => "spans",
        }
    }

    /// The columns of this signal.
    pub fn schema(self) -> SchemaRef {
        match self {
            Signal::Logs => logs_schema(),
            Signal::Spans => spans_schema(),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose data a record is: 1 to 64 letters, digits, `_`, `.` or `-`, so that it is safe in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

/// A name that cannot be a tenant's.
#[derive(Debug, thiserror::Error)]
#[error("tenant name {0:?} is not usable: 1 to 64 letters, digits, `_`, `.` or `-`, starting with a letter or digit")]
pub struct TenantError(String);

impl Tenant {
    /// The tenant of that name.
    pub fn new(name: &str) -> Result<Tenant, TenantError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && name.len() <= 64 && name.chars().all(allowed) {
            Ok(Tenant(name.into()))
        } else {
            Err(TenantError(name.to_owned()))
        }
    }

    /// The tenant's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Tenant("default".into())
    }
}

/// Names of the columns.
pub mod column {
    /// The record's number in order of acceptance; unique in a data folder.
    pub const RECORD_ID: &str = "record_id";
    /// Logs: event time, else observed time, else arrival.
    pub const TIMESTAMP: &str = "timestamp";
    /// Spans: start time.
    pub const START: &str = "start";
    /// The time as sent, where the time column cannot say it: 0, or after the year 2262.
    pub const ORIGINAL_TIME: &str = "original_time";
    /// 16 bytes.
    pub const TRACE_ID: &str = "trace_id";
    /// 8 bytes.
    pub const SPAN_ID: &str = "span_id";
    /// The first request id found, as spelled.
    pub const REQUEST_ID: &str = "request_id";
    /// In a shard: the attribute whose value is the request id. It is stored there only.
    pub const REQUEST_ID_KEY: &str = "request_id_key";
    /// Further ids found on the record, as spelled.
    pub const MORE_IDS: &str = "more_ids";
    /// `service.name` of the resource.
    pub const SERVICE_NAME: &str = "service_name";
    /// Keys and values as text.
    pub const ATTRIBUTES: &str = "attributes";
    /// One letter per attribute for its type (null: all are strings).
    pub const ATTRIBUTE_TYPES: &str = "attribute_types";
    /// The resource as typed JSON.
    pub const RESOURCE: &str = "resource";
    /// The instrumentation scope as typed JSON.
    pub const SCOPE: &str = "scope";
    /// W3C trace flags and OTLP's bits 8 and 9.
    pub const FLAGS: &str = "flags";
    /// Attributes the sender dropped.
    pub const DROPPED_ATTRIBUTES_COUNT: &str = "dropped_attributes_count";
    /// Logs: when the record was observed.
    pub const OBSERVED_TIMESTAMP: &str = "observed_timestamp";
    /// Logs, in a shard: nanoseconds from the time to when the record was observed. (Two times would be twice the
    /// bytes that do not compress.)
    pub const OBSERVED_AFTER: &str = "observed_after";
    /// Logs: 0 to 24.
    pub const SEVERITY_NUMBER: &str = "severity_number";
    /// Logs: the level as the source wrote it.
    pub const SEVERITY_TEXT: &str = "severity_text";
    /// Logs: what makes a record an event.
    pub const EVENT_NAME: &str = "event_name";
    /// Logs: the message.
    pub const BODY: &str = "body";
    /// Logs: the letter of the body's type (null: string).
    pub const BODY_TYPE: &str = "body_type";
    /// Spans: end minus start, nanoseconds.
    pub const DURATION: &str = "duration";
    /// Spans: the end as sent, where start plus duration cannot say it.
    pub const ORIGINAL_END: &str = "original_end";
    /// Spans: 8 bytes.
    pub const PARENT_SPAN_ID: &str = "parent_span_id";
    /// Spans: the operation.
    pub const NAME: &str = "name";
    /// Spans: OTLP's number of the kind.
    pub const KIND: &str = "kind";
    /// Spans: 0 unset, 1 ok, 2 error.
    pub const STATUS_CODE: &str = "status_code";
    /// Spans: text of the status.
    pub const STATUS_MESSAGE: &str = "status_message";
    /// Spans: events as typed JSON.
    pub const EVENTS: &str = "events";
    /// Spans: links as typed JSON.
    pub const LINKS: &str = "links";
    /// Spans: W3C `tracestate`.
    pub const TRACE_STATE: &str = "trace_state";
    /// Spans: events the sender dropped.
    pub const DROPPED_EVENTS_COUNT: &str = "dropped_events_count";
    /// Spans: links the sender dropped.
    pub const DROPPED_LINKS_COUNT: &str = "dropped_links_count";
}

/// The columns of `logs`, in order.
pub fn logs_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = common_fields(column::TIMESTAMP);
        fields.extend([
            Field::new(column::OBSERVED_TIMESTAMP, time_type(), true),
            Field::new(column::SEVERITY_NUMBER, DataType::UInt8, false),
            Field::new(column::SEVERITY_TEXT, dictionary_type(), true),
            Field::new(column::EVENT_NAME, dictionary_type(), true),
            Field::new(column::BODY, DataType::Utf8, true),
            Field::new(column::BODY_TYPE, dictionary_type(), true),
        ]);
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

/// The columns of `spans`, in order.
pub fn spans_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = common_fields(column::START);
        fields.extend([
            Field::new(column::DURATION, DataType::Int64, false),
            Field::new(column::ORIGINAL_END, DataType::UInt64, true),
            Field::new(column::PARENT_SPAN_ID, DataType::FixedSizeBinary(8), true),
            Field::new(column::NAME, dictionary_type(), false),
            Field::new(column::KIND, DataType::Int32, false),
            Field::new(column::STATUS_CODE, DataType::Int32, false),
            Field::new(column::STATUS_MESSAGE, DataType::Utf8, true),
            Field::new(column::EVENTS, DataType::Utf8, true),
            Field::new(column::LINKS, DataType::Utf8, true),
            Field::new(column::TRACE_STATE, DataType::Utf8, true),
            Field::new(column::DROPPED_EVENTS_COUNT, DataType::UInt32, false),
            Field::new(column::DROPPED_LINKS_COUNT, DataType::UInt32, false),
        ]);
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

fn common_fields(time: &str) -> Vec<Field> {
    vec![
        Field::new(column::RECORD_ID, DataType::UInt64, false),
        Field::new(time, time_type(), false),
        Field::new(column::ORIGINAL_TIME, DataType::UInt64, true),
        Field::new(column::TRACE_ID, DataType::FixedSizeBinary(16), true),
        Field::new(column::SPAN_ID, DataType::FixedSizeBinary(8), true),
        Field::new(column::REQUEST_ID, DataType::Utf8, true),
        Field::new(column::MORE_IDS, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true),
        Field::new(column::SERVICE_NAME, dictionary_type(), false),
        Field::new(column::ATTRIBUTES, attributes_type(), false),
        Field::new(column::ATTRIBUTE_TYPES, dictionary_type(), true),
        Field::new(column::RESOURCE, dictionary_type(), true),
        Field::new(column::SCOPE, dictionary_type(), true),
        Field::new(column::FLAGS, DataType::UInt32, false),
        Field::new(column::DROPPED_ATTRIBUTES_COUNT, DataType::UInt32, false),
    ]
}

/// What the name of an attribute's own column begins with.
const ATTRIBUTE_PREFIX: &str = "attributes.";

/// The name of the column of its own that a frequent attribute key has in a shard.
pub(crate) fn attribute_column(key: &str) -> String {
    format!("{ATTRIBUTE_PREFIX}{key}")
}

/// The attribute key whose column that is, if it is one.
pub(crate) fn attribute_key(column: &str) -> Option<&str> {
    column.strip_prefix(ATTRIBUTE_PREFIX)
}

pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

pub(crate) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The field names Arrow's own map builder is told to use, so that arrays and schema agree.
pub(crate) const MAP_FIELD_NAMES: (&str, &str, &str) = ("key_value", "key", "value");

fn attributes_type() -> DataType {
    let (entry, key, value) = MAP_FIELD_NAMES;
    let entries = Fields::from(vec![Field::new(key, DataType::Utf8, false), Field::new(value, DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new(entry, DataType::Struct(entries), false)), false)
}
