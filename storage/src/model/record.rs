//! One record, materialised from the columns.

use std::sync::Arc;

use super::ids::{SpanId, TraceId};
use super::severity::Severity;
use super::time::UnixNanos;
use super::value::{Attributes, Value};

/// The number a record got when it was accepted: unique and rising in a data folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

/// A log record or a span.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most records are logs: a box would be an allocation for each")]
pub enum Record {
    /// A log record.
    Log(Log),
    /// A span.
    Span(Box<Span>),
}

fn attributes_bytes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(key, value)| size_of::<(String, Value)>() + key.len() + value.size_bytes()).sum()
}

/// What logs and spans share.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Common {
    /// The record's number.
    pub record_id: RecordId,
    /// Event time of a log, start of a span.
    pub time: UnixNanos,
    /// The time as sent, where `time` is not it.
    pub original_time: Option<u64>,
    /// The trace.
    pub trace_id: Option<TraceId>,
    /// The span, or the span a log belongs to.
    pub span_id: Option<SpanId>,
    /// Request ids and further ids, as spelled, the first one first.
    pub request_ids: Vec<String>,
    /// `service.name`.
    pub service: String,
    /// Attributes in the order of their keys.
    pub attributes: Attributes,
    /// Resource attributes.
    pub resource: Arc<Attributes>,
    /// Scope: `name`, `version`, `attributes`, `schema_url`.
    pub scope: Arc<Attributes>,
    /// OTLP flags.
    pub flags: u32,
    /// Attributes the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A log record.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Log {
    /// Shared fields.
    pub common: Common,
    /// When it was observed.
    pub observed_time: Option<UnixNanos>,
    /// Severity number.
    pub severity: Severity,
    /// The level as the source wrote it.
    pub severity_text: Option<String>,
    /// What makes it an event.
    pub event_name: Option<String>,
    /// The message.
    pub body: Option<Value>,
}

/// A span.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Span {
    /// Shared fields; `time` is the start.
    pub common: Common,
    /// End minus start in nanoseconds; negative when the sender said so.
    pub duration_ns: i64,
    /// The parent; none for a root.
    pub parent_span_id: Option<SpanId>,
    /// The operation.
    pub name: String,
    /// Its role.
    pub kind: SpanKind,
    /// Its outcome.
    pub status: StatusCode,
    /// Text of the outcome.
    pub status_message: Option<String>,
    /// Events in it.
    pub events: Vec<SpanEvent>,
    /// Other spans it names.
    pub links: Vec<Link>,
    /// W3C `tracestate`.
    pub trace_state: Option<String>,
    /// Events the sender dropped.
    pub dropped_events_count: u32,
    /// Links the sender dropped.
    pub dropped_links_count: u32,
}

/// An event in a span.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SpanEvent {
    /// When.
    pub time: UnixNanos,
    /// What.
    pub name: String,
    /// Details.
    pub attributes: Attributes,
    /// Attributes the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A link to another span, often of another trace.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Link {
    /// The other trace.
    pub trace_id: Option<TraceId>,
    /// The other span.
    pub span_id: Option<SpanId>,
    /// W3C `tracestate`.
    pub trace_state: Option<String>,
    /// Details.
    pub attributes: Attributes,
    /// Attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// OTLP flags.
    pub flags: u32,
}

/// A span's role (`Span.SpanKind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanKind(pub i32);

impl SpanKind {
    /// Within a service.
    pub const INTERNAL: SpanKind = SpanKind(1);
    /// The handling of a request.
    pub const SERVER: SpanKind = SpanKind(2);
    /// A request to another service.
    pub const CLIENT: SpanKind = SpanKind(3);
    /// The sending of a message.
    pub const PRODUCER: SpanKind = SpanKind(4);
    /// The handling of a message.
    pub const CONSUMER: SpanKind = SpanKind(5);

    /// `server`, `client` and so on; an unknown number is `unspecified`.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "internal",
            2 => "server",
            3 => "client",
            4 => "producer",
            5 => "consumer",
            _ => "unspecified",
        }
    }
}

/// A span's outcome (`Status.StatusCode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusCode(pub i32);

impl StatusCode {
    /// Nothing said.
    pub const UNSET: StatusCode = StatusCode(0);
    /// Validated as successful.
    pub const OK: StatusCode = StatusCode(1);
    /// An error.
    pub const ERROR: StatusCode = StatusCode(2);

    /// `unset`, `ok` or `error`.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "ok",
            2 => "error",
            _ => "unset",
        }
    }
}

impl Record {
    /// About how many bytes it takes in memory, without what it shares with others.
    pub fn size_bytes(&self) -> usize {
        let common = self.common();
        let texts: usize = common.request_ids.iter().map(|id| size_of::<String>() + id.len()).sum();
        let own = match self {
            Record::Log(log) => size_of::<Log>() + log.body.as_ref().map_or(0, Value::size_bytes),
            Record::Span(span) => {
                let events =
                    span.events.iter().map(|event| size_of::<SpanEvent>() + event.name.len() + attributes_bytes(&event.attributes));
                let links = span.links.iter().map(|link| size_of::<Link>() + attributes_bytes(&link.attributes));
                size_of::<Span>() + span.name.len() + events.sum::<usize>() + links.sum::<usize>()
            }
        };
        own + texts + attributes_bytes(&common.attributes)
    }

    /// The fields logs and spans share.
    pub fn common(&self) -> &Common {
        match self {
            Record::Log(log) => &log.common,
            Record::Span(span) => &span.common,
        }
    }

    /// Whether this is an error: severity 17 and above, or a span with status error.
    pub fn is_error(&self) -> bool {
        match self {
            Record::Log(log) => log.severity.is_error(),
            Record::Span(span) => span.status == StatusCode::ERROR,
        }
    }
}

impl Span {
    /// When the span ended.
    pub fn end(&self) -> UnixNanos {
        self.common.time.saturating_add_signed(self.duration_ns)
    }
}
