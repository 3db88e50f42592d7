//! Tests of OTLP, numbered as in the project's list of checks of a conformant receiver.

mod data_model;
mod differential;
mod fatal;
mod json_forms;
mod server;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use needle_storage::model::{Log, Record, RecordsView, Span, Tenant, UnixNanos};
use needle_storage::{Accepted, AppendError, BodyFormat, Incoming, LedgerEntry, RawRequest};

use crate::decode::{DecodeError, Decoder, Outcome};
use crate::settings::IngestSettings;

/// When every request of these tests arrives.
pub(super) const ARRIVAL: UnixNanos = UnixNanos(1_795_176_000_000_000_000);

/// A body on which every decoder panics, in tests.
pub(crate) const FATAL_BODY: &[u8] = b"\xff\xff a fault of ours";

/// A store in memory, which refuses when told to.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore {
    pub(crate) batches: Arc<Mutex<Vec<Incoming>>>,
    pub(crate) refuse: Arc<Mutex<Option<AppendError>>>,
}

impl MemoryStore {
    pub(crate) fn append(&self, incoming: &Incoming, entry: LedgerEntry) -> Result<Accepted, AppendError> {
        if let Some(error) = self.refuse.lock().unwrap().clone() {
            return Err(error);
        }
        self.batches.lock().unwrap().push(incoming.clone());
        entry.stored(incoming.decoded.records.num_rows());
        Ok(Accepted { stored: incoming.decoded.records.num_rows(), deduplicated: 0 })
    }
}

pub(super) fn decode_with(settings: IngestSettings, format: BodyFormat, body: &[u8]) -> Result<Outcome, DecodeError> {
    let body = Bytes::copy_from_slice(body);
    let request = RawRequest { tenant: Tenant::default(), format, arrival: ARRIVAL, service: None, timezone: None, body };
    Decoder::new(settings).decode(&request)
}

pub(super) fn decode(format: BodyFormat, body: &[u8]) -> Result<Outcome, DecodeError> {
    decode_with(IngestSettings::default(), format, body)
}

pub(super) fn records(outcome: &Outcome) -> Vec<Record> {
    let view = RecordsView::new(outcome.decoded.signal, &outcome.decoded.records);
    (0..view.len()).map(|row| view.record(row)).collect()
}

/// The only log record of a body in OTLP/JSON.
pub(super) fn json_log(json: &str) -> Log {
    let outcome = decode(BodyFormat::OtlpLogsJson, json.as_bytes()).unwrap();
    assert_eq!(outcome.rejections.count, 0, "{:?}", outcome.rejections);
    match records(&outcome).remove(0) {
        Record::Log(log) => log,
        Record::Span(_) => panic!("a span among logs"),
    }
}

/// The only span of a body in OTLP/JSON.
pub(super) fn json_span(json: &str) -> Span {
    let outcome = decode(BodyFormat::OtlpTracesJson, json.as_bytes()).unwrap();
    assert_eq!(outcome.rejections.count, 0, "{:?}", outcome.rejections);
    match records(&outcome).remove(0) {
        Record::Span(span) => *span,
        Record::Log(_) => panic!("a log among spans"),
    }
}

pub(super) fn log_request(fields: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#)
}

pub(super) fn span_request(fields: &str) -> String {
    let ids = r#""traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331""#;
    let comma = if fields.is_empty() { "" } else { "," };
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{ids}{comma}{fields}}}]}}]}}]}}"#)
}
