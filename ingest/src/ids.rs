//! Finds the ids of a record: in its attributes, its resource, the top-level keys of a JSON body, and its text.
//!
//! What is found is kept as spelled; [`NormalId`] decides what is a placeholder and what is equal.

mod headers;
mod text;

use std::collections::HashMap;
use std::fmt;

use needle_storage::model::{NormalId, SpanId, TraceId, Value, ValueKind};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use headers::{parse_decimal_span, parse_decimal_trace, parse_span, parse_trace};
use text::TextPatterns;

/// The request id keys in use, most telling first. `x-request-id` is also found as `http.request.header.x-request-id`.
pub(crate) const DEFAULT_REQUEST_ID_KEYS: [&str; 21] = [
    "request_id",
    "req_id",
    "x-request-id",
    "http.request_id",
    "x-openstack-request-id",
    "x-amzn-request-id",
    "x-ms-request-id",
    "x-amz-request-id",
    "correlation_id",
    "x-correlation-id",
    "corr_id",
    "x-corr-id",
    "aws.request_id",
    "aws_request_id",
    "faas.invocation_id",
    "invocation_id",
    "transaction.id",
    "x-transaction-id",
    "x-unique-id",
    "global_request_id",
    "log.record.request_id",
];

/// What instrumentation and loggers put before a key: the headers of a message, a logger's context.
const KEY_PREFIXES: [&str; 18] = [
    "httprequestheader",
    "httpresponseheader",
    "rpcgrpcrequestmetadata",
    "rpcgrpcresponsemetadata",
    "httpheaders",
    "requestheaders",
    "reqheaders",
    "resheaders",
    "headers",
    "fields",
    "contextmap",
    "context",
    "ctx",
    "mdc",
    "extra",
    "labels",
    "span",
    "data",
];

/// A longer key is never an id's.
const KEY_BYTES_MAX: usize = 96;
/// A record names at most this many ids; a text that lists thousands is a listing, not a request.
const IDS_MAX: usize = 64;

/// Where an id was found; earlier places win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Record,
    Resource,
    Body,
    Text,
}

/// What a key says its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// A request id; the number is the key's place in the list.
    Request(usize),
    Trace,
    Span,
    /// Datadog writes its ids as decimal numbers.
    DecimalTrace,
    DecimalSpan,
    Traceparent,
    B3,
    AmznTrace,
    CloudTrace,
}

const TRACE_KEYS: [(&str, KeyKind); 16] = [
    ("traceid", KeyKind::Trace),
    ("oteltraceid", KeyKind::Trace),
    ("ddtraceid", KeyKind::DecimalTrace),
    ("xb3traceid", KeyKind::Trace),
    ("xtraceid", KeyKind::Trace),
    ("logginggoogleapiscom/trace", KeyKind::Trace),
    ("xdatadogtraceid", KeyKind::DecimalTrace),
    ("spanid", KeyKind::Span),
    ("otelspanid", KeyKind::Span),
    ("ddspanid", KeyKind::DecimalSpan),
    ("xb3spanid", KeyKind::Span),
    ("logginggoogleapiscom/spanid", KeyKind::Span),
    ("traceparent", KeyKind::Traceparent),
    ("b3", KeyKind::B3),
    ("xamzntraceid", KeyKind::AmznTrace),
    ("xcloudtracecontext", KeyKind::CloudTrace),
];

/// Knows which keys and which patterns mean an id.
pub(crate) struct IdFinder {
    /// By plain key.
    keys: HashMap<Box<[u8]>, KeyKind>,
    text: TextPatterns,
}

impl fmt::Debug for IdFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdFinder").field("keys", &self.keys.len()).finish()
    }
}

impl IdFinder {
    pub(crate) fn new(request_id_keys: &[String]) -> IdFinder {
        let mut keys: HashMap<Box<[u8]>, KeyKind> = TRACE_KEYS.iter().map(|(key, kind)| (key.as_bytes().into(), *kind)).collect();
        for (order, key) in request_id_keys.iter().enumerate() {
            let plain: Vec<u8> = plain_bytes(key).collect();
            keys.entry(plain.into()).or_insert(KeyKind::Request(order));
        }
        IdFinder { keys, text: TextPatterns::new(request_id_keys) }
    }

    /// What `key` means, in any spelling.
    pub(crate) fn kind_of(&self, key: &str) -> Option<KeyKind> {
        if key.len() > KEY_BYTES_MAX || key.len() < 2 {
            return None;
        }
        // On the stack: this is asked for every attribute of every record.
        let mut buffer = [0; KEY_BYTES_MAX];
        let mut length = 0;
        for byte in plain_bytes(key) {
            buffer[length] = byte;
            length += 1;
        }
        let plain = &buffer[..length];
        let whole = self.keys.get(plain);
        whole
            .or_else(|| KEY_PREFIXES.iter().filter_map(|prefix| plain.strip_prefix(prefix.as_bytes())).find_map(|bare| self.keys.get(bare)))
            .copied()
    }

    /// Looks at an attribute: its key, kind and column text.
    pub(crate) fn attribute(&self, place: Place, key: &str, kind: ValueKind, text: &str, found: &mut FoundIds) {
        let Some(key_kind) = self.kind_of(key) else {
            if kind == ValueKind::String && is_message(key) {
                self.text.find(text, found);
            }
            return;
        };
        match kind {
            ValueKind::String | ValueKind::Int => found.take(place, key_kind, text),
            // The values of a header are an array in OpenTelemetry's conventions.
            ValueKind::Array => {
                if let Ok(Value::Array(values)) = Value::from_json(text) {
                    values.iter().for_each(|value| found.take(place, key_kind, &value.text()));
                }
            }
            _ => {}
        }
    }

    /// Looks at a text body: the top-level keys if it is a JSON object, and its patterns.
    pub(crate) fn body(&self, text: &str, found: &mut FoundIds) {
        if text.trim_start().starts_with('{') {
            self.json_keys(text, found);
        }
        self.text.find(text, found);
    }

    /// Looks at the top-level keys of a JSON object; text that is none has none.
    pub(crate) fn json_keys(&self, json: &str, found: &mut FoundIds) {
        // An error ends the search: what was found before it counts.
        let _ = serde_json::Deserializer::from_str(json).deserialize_map(TopLevelKeys { finder: self, found });
    }
}

struct TopLevelKeys<'f> {
    finder: &'f IdFinder,
    found: &'f mut FoundIds,
}

impl<'de> Visitor<'de> for TopLevelKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some(key) = access.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.finder.kind_of(&key).is_some() {
                let value: Value = access.next_value()?;
                self.finder.attribute(Place::Body, &key, value.kind(), &value.text(), self.found);
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The ids found so far, with the place that decides their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundIds {
    requests: Vec<(Place, usize, String)>,
    traces: Vec<(Place, TraceId)>,
    spans: Vec<(Place, SpanId)>,
}

/// The ids of a record, settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordIds {
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(crate) request_id: Option<String>,
    pub(crate) more_ids: Vec<String>,
}

/// Orders ids that come from no key of the list after those that do.
const UNLISTED: usize = usize::MAX;

impl FoundIds {
    /// Takes the value of a key.
    fn take(&mut self, place: Place, kind: KeyKind, value: &str) {
        let value = value.trim();
        match kind {
            KeyKind::Request(order) => self.request(place, order, value),
            KeyKind::Trace => self.trace_or_request(place, parse_trace(value), value),
            KeyKind::DecimalTrace => self.trace_or_request(place, parse_decimal_trace(value), value),
            KeyKind::Span => self.spans.extend(parse_span(value).map(|id| (place, id))),
            KeyKind::DecimalSpan => self.spans.extend(parse_decimal_span(value).map(|id| (place, id))),
            KeyKind::Traceparent => self.context(place, headers::traceparent(value)),
            KeyKind::B3 => self.context(place, headers::b3(value)),
            KeyKind::CloudTrace => self.context(place, headers::cloud_trace(value)),
            KeyKind::AmznTrace => {
                let (context, own) = headers::amzn_trace(value);
                self.context(place, context);
                if let Some(own) = own {
                    self.request(place, UNLISTED, own);
                }
            }
        }
    }

    /// What stands at a trace's key and is none is an id nevertheless.
    fn trace_or_request(&mut self, place: Place, trace: Option<TraceId>, value: &str) {
        match trace {
            Some(id) => self.trace(place, id),
            None => self.request(place, UNLISTED, value),
        }
    }

    fn request(&mut self, place: Place, order: usize, value: &str) {
        if self.requests.len() < IDS_MAX
            && NormalId::of(value).is_some()
            && !self.requests.iter().any(|(p, o, v)| (*p, *o, v.as_str()) == (place, order, value))
        {
            self.requests.push((place, order, value.to_owned()));
        }
    }

    fn trace(&mut self, place: Place, id: TraceId) {
        if self.traces.len() < IDS_MAX && !self.traces.contains(&(place, id)) {
            self.traces.push((place, id));
        }
    }

    fn context(&mut self, place: Place, (trace, span): (Option<TraceId>, Option<SpanId>)) {
        trace.into_iter().for_each(|id| self.trace(place, id));
        self.spans.extend(span.map(|id| (place, id)));
    }

    /// Settles the ids of a record that came with these of its own.
    pub(crate) fn resolve(mut self, own_trace: Option<TraceId>, own_span: Option<SpanId>) -> RecordIds {
        self.traces.sort_by_key(|(place, _)| *place);
        self.spans.sort_by_key(|(place, _)| *place);
        self.requests.sort_by_key(|(place, order, _)| (*place, *order));
        let trace_id = own_trace.or_else(|| self.traces.first().map(|(_, id)| *id));
        let mut seen: Vec<NormalId> = Vec::new();
        let mut spelled = Vec::new();
        for (_, _, id) in self.requests {
            let normal = NormalId::of(&id);
            if let Some(normal) = normal.filter(|normal| !seen.contains(normal)) {
                seen.push(normal);
                spelled.push(id);
            }
        }
        let request_id = if spelled.is_empty() { None } else { Some(spelled.remove(0)) };
        seen.extend(trace_id.map(NormalId::of_trace));
        for (_, id) in self.traces {
            let normal = NormalId::of_trace(id);
            if !seen.contains(&normal) {
                seen.push(normal);
                spelled.push(id.to_string());
            }
        }
        let span_id = own_span.or_else(|| self.spans.first().map(|(_, id)| *id));
        RecordIds { trace_id, span_id, request_id, more_ids: spelled }
    }
}

/// Whether an attribute of that key holds a log line: bridges from other formats put it there.
fn is_message(key: &str) -> bool {
    /// As [`plain_bytes`] leaves them.
    const MESSAGE_KEYS: [&str; 9] =
        ["message", "msg", "log", "logmessage", "logline", "logrecordoriginal", "exceptionmessage", "event", "text"];
    key.len() <= KEY_BYTES_MAX && MESSAGE_KEYS.iter().any(|message| message.bytes().eq(plain_bytes(key)))
}

/// The bytes of a key without case and without `-`, `_`, `.` and spaces.
fn plain_bytes(key: &str) -> impl Iterator<Item = u8> {
    key.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b'.' | b' ')).map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
