//! What a record is: times, ids, typed values, and the columns they stand in.

mod build;
mod ids;
mod record;
mod schema;
mod severity;
mod time;
mod value;
mod view;
mod words;

pub use build::{AttributesBuilder, LogRow, LogsBuilder, RowIds, SpanRow, SpansBuilder};
pub(crate) use ids::{IdKey, IdSort};
pub use ids::{IdTerm, NormalId, SpanId, TraceId};
pub use record::{Common, Link, Log, Record, RecordId, Span, SpanEvent, SpanKind, StatusCode};
pub use schema::{Signal, Tenant, TenantError, column, logs_schema, spans_schema};
pub(crate) use schema::{attribute_column, attribute_key, dictionary_type, time_type};
pub use severity::Severity;
pub use time::UnixNanos;
pub(crate) use value::write_json_map;
pub use value::{Attributes, ColumnValue, Value, ValueKind};
pub use view::{AttributeColumn, DictionaryView, RecordReader, RecordsView};
pub(crate) use words::has_ascii_word;
pub use words::{words, words_lowercase};
