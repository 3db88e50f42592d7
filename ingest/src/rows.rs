//! Where every decoder hands its records: ids are found, records admitted, rows appended.

use needle_storage::model::{LogRow, LogsBuilder, RowIds, Severity, Signal, SpanId, SpanRow, SpansBuilder, TraceId, UnixNanos, ValueKind};
use needle_storage::{Decoded, RawRequest};

use crate::admit::{Candidate, Rejections, admit};
use crate::decode::{Budget, Decoder, Outcome};
use crate::ids::{FoundIds, Place, RecordIds};

/// The resource of the records that follow: typed JSON, its service, and the ids among its attributes.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    /// A plain map of the attributes, plus `$schema_url` and `$dropped_attributes_count` where they are set. (The keys
    /// of attributes that begin with `$` have it doubled, so nothing collides.)
    pub(crate) json: String,
    pub(crate) service: Option<String>,
    pub(crate) ids: FoundIds,
}

/// A log record as decoded; its attributes are staged in the builder.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawLog<'a> {
    pub(crate) time: u64,
    pub(crate) observed_time: u64,
    pub(crate) severity_number: i32,
    pub(crate) severity_text: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) body: Option<(ValueKind, &'a str)>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(crate) flags: u32,
    pub(crate) dropped_attributes_count: u32,
    /// What the record took in the request.
    pub(crate) bytes: usize,
}

/// Collects log records.
pub(crate) struct LogRows<'d> {
    pub(crate) builder: LogsBuilder,
    decoder: &'d Decoder,
    arrival: UnixNanos,
    default_service: Option<&'d str>,
    resource_ids: FoundIds,
    rejections: Rejections,
    own_times: bool,
}

impl<'d> LogRows<'d> {
    pub(crate) fn new(decoder: &'d Decoder, request: &'d RawRequest, rows: usize) -> LogRows<'d> {
        LogRows::of(LogsBuilder::with_capacity(rows), decoder, request)
    }

    /// Of a body that is nothing but messages.
    pub(crate) fn of_messages(decoder: &'d Decoder, request: &'d RawRequest, rows: usize) -> LogRows<'d> {
        LogRows::of(LogsBuilder::with_message_capacity(rows, request.body.len()), decoder, request)
    }

    fn of(mut builder: LogsBuilder, decoder: &'d Decoder, request: &'d RawRequest) -> LogRows<'d> {
        builder.set_service(request.service.as_deref());
        LogRows {
            builder,
            decoder,
            arrival: request.arrival,
            default_service: request.service.as_deref(),
            resource_ids: FoundIds::default(),
            rejections: Rejections::default(),
            own_times: true,
        }
    }

    pub(crate) fn set_resource(&mut self, resource: Resource) {
        let service = resource.service.as_deref().or(self.default_service);
        self.builder.set_resource(non_empty(&resource.json), service);
        self.resource_ids = resource.ids;
    }

    pub(crate) fn set_scope(&mut self, json: &str) {
        self.builder.set_scope(non_empty(json));
    }

    /// Refuses the record whose attributes are staged.
    pub(crate) fn reject(&mut self, place: usize, reason: impl Into<String>) {
        self.builder.attributes().discard_row();
        self.rejections.add(place, reason);
    }

    /// Finds the ids of the record at `place`, admits it and appends it.
    pub(crate) fn append(&mut self, place: usize, raw: &RawLog<'_>) {
        let time = [raw.time, raw.observed_time, self.arrival.0].into_iter().find(|time| *time != 0).map_or(UnixNanos::MIN, UnixNanos);
        let (service, arrival) = (self.builder.service(), self.arrival);
        let candidate = Candidate { signal: Signal::Logs, service, bytes: raw.bytes, time, arrival };
        if let Err(reason) = admit(&self.decoder.settings, &candidate) {
            return self.reject(place, reason);
        }
        let ids = self.find_ids(raw);
        self.own_times &= raw.time != 0 || raw.observed_time != 0;
        self.builder.append(&LogRow {
            timestamp: time,
            original_time: (raw.time == 0).then_some(0),
            observed_timestamp: Some(raw.observed_time).filter(|time| *time != 0).map(UnixNanos),
            ids: ids.row(),
            severity: severity(raw.severity_number, raw.severity_text),
            severity_text: raw.severity_text,
            event_name: raw.event_name,
            body: raw.body,
            flags: raw.flags,
            dropped_attributes_count: raw.dropped_attributes_count,
        });
    }

    fn find_ids(&mut self, raw: &RawLog<'_>) -> RecordIds {
        let finder = &self.decoder.ids;
        let mut found = self.resource_ids.clone();
        for (key, kind, text) in self.builder.attributes().staged() {
            finder.attribute(Place::Record, key, kind, text, &mut found);
        }
        match raw.body {
            Some((ValueKind::String, text)) => finder.body(text, &mut found),
            Some((ValueKind::Map, json)) => finder.json_keys(json, &mut found),
            _ => {}
        }
        found.resolve(raw.trace_id, raw.span_id)
    }

    pub(crate) fn finish(self, budget: &Budget) -> Outcome {
        let decoded = Decoded { signal: Signal::Logs, records: self.builder.finish(), own_times: self.own_times };
        Outcome { decoded, rejections: self.rejections, received: budget.received(), notices: budget.notices.as_ref().clone() }
    }
}

/// Collects spans.
pub(crate) struct SpanRows<'d> {
    pub(crate) builder: SpansBuilder,
    decoder: &'d Decoder,
    arrival: UnixNanos,
    default_service: Option<&'d str>,
    resource_ids: FoundIds,
    rejections: Rejections,
}

impl<'d> SpanRows<'d> {
    pub(crate) fn new(decoder: &'d Decoder, request: &'d RawRequest, rows: usize) -> SpanRows<'d> {
        let mut builder = SpansBuilder::with_capacity(rows);
        builder.set_service(request.service.as_deref());
        SpanRows {
            builder,
            decoder,
            arrival: request.arrival,
            default_service: request.service.as_deref(),
            resource_ids: FoundIds::default(),
            rejections: Rejections::default(),
        }
    }

    pub(crate) fn set_resource(&mut self, resource: Resource) {
        let service = resource.service.as_deref().or(self.default_service);
        self.builder.set_resource(non_empty(&resource.json), service);
        self.resource_ids = resource.ids;
    }

    pub(crate) fn set_scope(&mut self, json: &str) {
        self.builder.set_scope(non_empty(json));
    }

    /// Refuses the span whose attributes are staged.
    pub(crate) fn reject(&mut self, place: usize, reason: impl Into<String>) {
        self.builder.attributes().discard_row();
        self.rejections.add(place, reason);
    }

    /// Finds the ids of the span at `place`, admits it and appends it. `trace_id` and `span_id` are as sent.
    pub(crate) fn append(&mut self, place: usize, trace_id: &[u8], span_id: &[u8], bytes: usize, row: SpanRow<'_>) {
        let (Some(trace), Some(span)) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id)) else {
            let reason = bad_id("trace_id", trace_id, 16).or_else(|| bad_id("span_id", span_id, 8));
            return self.reject(place, reason.unwrap_or_default());
        };
        let (service, time, arrival) = (self.builder.service(), row.start.max(row.end), self.arrival);
        let candidate = Candidate { signal: Signal::Spans, service, bytes, time, arrival };
        if let Err(reason) = admit(&self.decoder.settings, &candidate) {
            return self.reject(place, reason);
        }
        let mut found = self.resource_ids.clone();
        for (key, kind, text) in self.builder.attributes().staged() {
            self.decoder.ids.attribute(Place::Record, key, kind, text, &mut found);
        }
        let ids = found.resolve(Some(trace), Some(span));
        self.builder.append(&SpanRow { ids: ids.row(), ..row });
    }

    pub(crate) fn finish(self, budget: &Budget) -> Outcome {
        let decoded = Decoded { signal: Signal::Spans, records: self.builder.finish(), own_times: true };
        Outcome { decoded, rejections: self.rejections, received: budget.received(), notices: budget.notices.as_ref().clone() }
    }
}

/// The number, else what the text stands for; numbers beyond the scale are none.
pub(crate) fn severity(number: i32, text: &str) -> Severity {
    match u8::try_from(number) {
        Ok(number @ 1..=24) => Severity(number),
        _ => Severity::from_name(text).unwrap_or(Severity::UNSPECIFIED),
    }
}

fn bad_id(name: &str, id: &[u8], length: usize) -> Option<String> {
    if id.len() != length {
        return Some(format!("{name} is {} bytes long, it has to be {length}", id.len()));
    }
    id.iter().all(|byte| *byte == 0).then(|| format!("{name} is all zero, which means none: start the span with a valid one"))
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && *text != "{}")
}

impl RecordIds {
    fn row(&self) -> RowIds<'_> {
        RowIds { trace_id: self.trace_id, span_id: self.span_id, request_id: self.request_id.as_deref(), more_ids: &self.more_ids }
    }
}
