//! From a request to a batch: the same code when it arrives and when the store replays its log.

use std::rc::Rc;
use std::sync::Arc;

use needle_storage::{BodyFormat, Decode, Decoded, RawRequest};

use crate::admit::Rejections;
use crate::ids::IdFinder;
use crate::notices::Notices;
use crate::settings::IngestSettings;
use crate::{json_logs, otlp, text_logs};

/// What storage needs to replay its log: decodes a request as it was decoded when it arrived.
pub fn decoder(settings: &IngestSettings) -> Decode {
    let decoder = Decoder::new(settings.clone());
    Arc::new(move |request| decoder.decode(request).map(|outcome| outcome.decoded).map_err(|error| error.to_string()))
}

/// Decodes requests by the limits and id keys of the settings.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) settings: IngestSettings,
    pub(crate) ids: IdFinder,
}

impl Decoder {
    pub(crate) fn new(settings: IngestSettings) -> Decoder {
        let ids = IdFinder::new(&settings.request_id_keys);
        Decoder { settings, ids }
    }

    pub(crate) fn decode(&self, request: &RawRequest) -> Result<Outcome, DecodeError> {
        #[cfg(test)]
        assert!(request.body != crate::otlp::tests::FATAL_BODY, "a body that no decoder survives");
        match request.format {
            BodyFormat::OtlpLogsProtobuf => otlp::logs::decode(self, request),
            BodyFormat::OtlpTracesProtobuf => otlp::spans::decode(self, request),
            BodyFormat::OtlpLogsJson => otlp::json::decode_logs(self, request),
            BodyFormat::OtlpTracesJson => otlp::json::decode_spans(self, request),
            BodyFormat::JsonLogs => json_logs::decode(self, request),
            BodyFormat::TextLogs => text_logs::decode(self, request),
        }
    }
}

/// What became of the records of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) decoded: Decoded,
    pub(crate) rejections: Rejections,
    /// Records in the request, usable or not, as they were met.
    pub(crate) received: usize,
    pub(crate) notices: Notices,
}

/// Why nothing of a body could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the body is not the protobuf message it should be: {0}; send an OTLP Export request, or another content type")]
    Wire(String),
    #[error("the body is not JSON that can be read: {0}")]
    Json(String),
    #[error("the body is not UTF-8 (byte {0} is the first bad one): send text in UTF-8")]
    Utf8(usize),
    #[error("the time zone {0:?} is not known: name one like Europe/Berlin or UTC, or give an offset like +01:00")]
    Zone(String),
    #[error("a value is nested more than {0} deep: flatten it, or raise nesting_max")]
    Nesting(usize),
    #[error("the request holds more than {0} records, attributes and values: send smaller batches, or raise elements_max")]
    Elements(usize),
    #[error("the request holds {0} records or more in {1} bytes, nearly all of them empty: send smaller batches")]
    Amplification(usize, usize),
}

impl DecodeError {
    pub(crate) fn wire(what: impl Into<String>) -> DecodeError {
        DecodeError::Wire(what.into())
    }
}

/// Counts what a request asks us to build before it is built, so that a small body cannot become a large batch.
#[derive(Debug)]
pub(crate) struct Budget {
    elements_max: usize,
    elements: usize,
    rows: usize,
    rows_max: usize,
    body_bytes: usize,
    nesting_max: usize,
    depth: usize,
    /// What was met on the way that senders should not write.
    pub(crate) notices: Rc<Notices>,
}

/// What a row costs in the columns, however empty it is.
const ROW_BYTES: usize = 160;
/// A batch may become this many times its body,
const AMPLIFICATION_MAX: usize = 4;
/// and any body may become a batch of this many bytes.
const BATCH_BYTES_FREE: usize = 64 << 20;

impl Budget {
    pub(crate) fn new(settings: &IngestSettings, body_bytes: usize) -> Budget {
        Budget {
            elements_max: settings.elements_max,
            elements: 0,
            rows: 0,
            rows_max: (AMPLIFICATION_MAX * body_bytes).max(BATCH_BYTES_FREE) / ROW_BYTES,
            body_bytes,
            nesting_max: settings.nesting_max,
            depth: 0,
            notices: Rc::default(),
        }
    }

    /// Counts records.
    pub(crate) fn rows(&mut self, rows: usize) -> Result<(), DecodeError> {
        self.rows += rows;
        if self.rows > self.rows_max {
            return Err(DecodeError::Amplification(self.rows, self.body_bytes));
        }
        self.elements(rows)
    }

    /// Records that were counted: all that the request holds, once it is decoded.
    pub(crate) fn received(&self) -> usize {
        self.rows
    }

    /// Counts an attribute or a nested value.
    pub(crate) fn element(&mut self) -> Result<(), DecodeError> {
        self.elements(1)
    }

    fn elements(&mut self, count: usize) -> Result<(), DecodeError> {
        self.elements += count;
        if self.elements > self.elements_max { Err(DecodeError::Elements(self.elements_max)) } else { Ok(()) }
    }

    /// The limit that was exceeded, if one was.
    pub(crate) fn exceeded(&self) -> Option<DecodeError> {
        if self.depth > self.nesting_max {
            return Some(DecodeError::Nesting(self.nesting_max));
        }
        (self.elements > self.elements_max).then_some(DecodeError::Elements(self.elements_max))
    }

    /// Enters an array or a map.
    pub(crate) fn descend(&mut self) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > self.nesting_max { Err(DecodeError::Nesting(self.nesting_max)) } else { Ok(()) }
    }

    /// Leaves all arrays and maps of a value that was given up.
    pub(crate) fn surface(&mut self) {
        self.depth = 0;
    }

    /// Leaves an array or a map.
    pub(crate) fn ascend(&mut self) {
        self.depth -= 1;
    }
}
