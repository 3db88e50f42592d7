//! A log record or a span on the wire. Scalars that are absent are omitted.

use needle_query::model;
use serde::Serialize;
use utoipa::ToSchema;

use super::time::Time;
use super::value::{AnyValue, Attributes};

/// A log record or a span.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Record {
    /// Which of the two.
    pub(crate) kind: RecordKind,
    /// Event time of a log, start of a span.
    pub(crate) timestamp: Time,
    /// `service.name`.
    pub(crate) service: String,
    /// 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) trace_id: Option<String>,
    /// 16 hex digits: the span, or the span a log belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) span_id: Option<String>,
    /// 16 hex digits; absent for a root.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) parent_span_id: Option<String>,
    /// Request ids and further ids as spelled, the first one first.
    pub(crate) request_ids: Vec<String>,
    /// Of a log: the level as its source wrote it, else the short name of the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) severity: Option<String>,
    /// Of a log: 1 to 24.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) severity_number: Option<u8>,
    /// Of a log: the message, most often a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) body: Option<AnyValue>,
    /// Of a span: the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) name: Option<String>,
    /// Of a span: `internal`, `server`, `client`, `producer`, `consumer`, `unspecified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) span_kind: Option<&'static str>,
    /// Of a span: `unset`, `ok`, `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) status: Option<&'static str>,
    /// Of a span: text of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) status_message: Option<String>,
    /// Of a span: the same as `timestamp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) start: Option<Time>,
    /// Of a span: end minus start; negative when its sender said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) duration_ns: Option<i64>,
    /// Attributes.
    pub(crate) attributes: Attributes,
    /// Attributes of the resource.
    pub(crate) resource: Attributes,
    /// Scope: `name`, `version`, `attributes`, `schema_url`.
    pub(crate) scope: Attributes,
    /// Of a span: what happened in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) events: Option<Vec<Event>>,
    /// Of a span: other spans it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) links: Option<Vec<Link>>,
    /// Of a log: what makes it an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) event_name: Option<String>,
    /// Of a log: when it was observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) observed_timestamp: Option<Time>,
    /// Unix nanoseconds as sent, in decimal digits, where `timestamp` had to be taken from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) original_time: Option<String>,
    /// Of a span: W3C `tracestate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) trace_state: Option<String>,
    /// OTLP flags; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) flags: u32,
    /// Attributes the sender dropped; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) dropped_attributes_count: u32,
    /// Of a span: events the sender dropped; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) dropped_events_count: u32,
    /// Of a span: links the sender dropped; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) dropped_links_count: u32,
    /// The record's number in decimal digits: a string, as it may exceed 2^53.
    pub(crate) record_id: String,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordKind {
    /// A log record.
    Log,
    /// A span.
    Span,
}

/// An event in a span.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Event {
    /// When.
    pub(crate) timestamp: Time,
    /// What.
    pub(crate) name: String,
    /// Details.
    pub(crate) attributes: Attributes,
    /// Attributes the sender dropped; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) dropped_attributes_count: u32,
}

/// A link to another span.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Link {
    /// The other trace, 32 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) trace_id: Option<String>,
    /// The other span, 16 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) span_id: Option<String>,
    /// W3C `tracestate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) trace_state: Option<String>,
    /// Details.
    pub(crate) attributes: Attributes,
    /// OTLP flags; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) flags: u32,
    /// Attributes the sender dropped; absent when zero.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub(crate) dropped_attributes_count: u32,
}

impl From<model::Record> for Record {
    fn from(record: model::Record) -> Record {
        match record {
            model::Record::Log(log) => Record::of_log(log),
            model::Record::Span(span) => Record::of_span(*span),
        }
    }
}

impl Record {
    fn of_log(log: model::Log) -> Record {
        let number = log.severity.0;
        let short_name = Some(log.severity.name()).filter(|name| !name.is_empty()).map(str::to_owned);
        Record {
            severity: log.severity_text.or(short_name),
            severity_number: (number > 0).then_some(number),
            body: log.body.map(AnyValue),
            event_name: log.event_name,
            observed_timestamp: log.observed_time.map(Time),
            ..Record::of_common(RecordKind::Log, log.common)
        }
    }

    fn of_span(span: model::Span) -> Record {
        Record {
            parent_span_id: span.parent_span_id.map(|id| id.to_string()),
            name: Some(span.name),
            span_kind: Some(span.kind.name()),
            status: Some(span.status.name()),
            status_message: span.status_message,
            start: Some(span.common.time.into()),
            duration_ns: Some(span.duration_ns),
            events: Some(span.events.into_iter().map(Event::from).collect()),
            links: Some(span.links.into_iter().map(Link::from).collect()),
            trace_state: span.trace_state,
            dropped_events_count: span.dropped_events_count,
            dropped_links_count: span.dropped_links_count,
            ..Record::of_common(RecordKind::Span, span.common)
        }
    }

    fn of_common(kind: RecordKind, common: model::Common) -> Record {
        Record {
            kind,
            timestamp: common.time.into(),
            service: common.service,
            trace_id: common.trace_id.map(|id| id.to_string()),
            span_id: common.span_id.map(|id| id.to_string()),
            parent_span_id: None,
            request_ids: common.request_ids,
            severity: None,
            severity_number: None,
            body: None,
            name: None,
            span_kind: None,
            status: None,
            status_message: None,
            start: None,
            duration_ns: None,
            attributes: Attributes(common.attributes.into()),
            resource: Attributes(common.resource),
            scope: Attributes(common.scope),
            events: None,
            links: None,
            event_name: None,
            observed_timestamp: None,
            original_time: common.original_time.map(|nanos| nanos.to_string()),
            trace_state: None,
            flags: common.flags,
            dropped_attributes_count: common.dropped_attributes_count,
            dropped_events_count: 0,
            dropped_links_count: 0,
            record_id: common.record_id.0.to_string(),
        }
    }
}

impl From<model::SpanEvent> for Event {
    fn from(event: model::SpanEvent) -> Event {
        Event {
            timestamp: event.time.into(),
            name: event.name,
            attributes: Attributes(event.attributes.into()),
            dropped_attributes_count: event.dropped_attributes_count,
        }
    }
}

impl From<model::Link> for Link {
    fn from(link: model::Link) -> Link {
        Link {
            trace_id: link.trace_id.map(|id| id.to_string()),
            span_id: link.span_id.map(|id| id.to_string()),
            trace_state: link.trace_state,
            attributes: Attributes(link.attributes.into()),
            flags: link.flags,
            dropped_attributes_count: link.dropped_attributes_count,
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
