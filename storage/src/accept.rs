//! What a receiver hands over: the request as it came, and the batch decoded from it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;

use crate::live::LiveBatch;
use crate::model::{Signal, Tenant, UnixNanos};
use crate::wal::{Digest, Frame};
use crate::window;

/// The encoding of a request body, as the log remembers it so that replay decodes it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyFormat {
    /// `ExportLogsServiceRequest`, protobuf.
    OtlpLogsProtobuf = 1,
    /// `ExportLogsServiceRequest`, OTLP/JSON.
    OtlpLogsJson = 2,
    /// `ExportTraceServiceRequest`, protobuf.
    OtlpTracesProtobuf = 3,
    /// `ExportTraceServiceRequest`, OTLP/JSON.
    OtlpTracesJson = 4,
    /// A JSON object, an array of objects, or objects line by line.
    JsonLogs = 5,
    /// Plain text lines.
    TextLogs = 6,
}

impl BodyFormat {
    /// The format of a number in the log.
    pub fn from_number(number: u8) -> Option<BodyFormat> {
        [
            BodyFormat::OtlpLogsProtobuf,
            BodyFormat::OtlpLogsJson,
            BodyFormat::OtlpTracesProtobuf,
            BodyFormat::OtlpTracesJson,
            BodyFormat::JsonLogs,
            BodyFormat::TextLogs,
        ]
        .into_iter()
        .find(|format| *format as u8 == number)
    }
}

/// A request as received, decompressed: all that decoding needs, and what the log keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRequest {
    /// Whose data.
    pub tenant: Tenant,
    /// How to decode it.
    pub format: BodyFormat,
    /// When it arrived; the time of records that have none.
    pub arrival: UnixNanos,
    /// The service of records that name none (`?service=` of `POST /api/v1/logs`).
    pub service: Option<String>,
    /// The zone of times that carry none (`?timezone=`), as given; the receiver knows what it means.
    pub timezone: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The records of one request.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What the records are.
    pub signal: Signal,
    /// The records, by the columns of `signal`.
    pub records: RecordBatch,
    /// Whether every record carries a time of its own. Requests that do not are never taken for a
    /// repetition of an equal one: the same line may well be logged twice.
    pub own_times: bool,
}

/// Decodes a request, the same way when it arrives and when it is replayed. Records that cannot be
/// accepted are left out; the receiver has told the sender.
pub type Decode = Arc<dyn Fn(&RawRequest) -> Result<Decoded, String> + Send + Sync>;

/// A decoded request on its way into the store.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The request.
    pub request: RawRequest,
    /// Its records.
    pub decoded: Decoded,
    /// `Idempotency-Key`, when the sender gave one: it stands for the content.
    pub idempotency_key: Option<String>,
}

/// A request with all that takes time done: it has its digest, what the log will hold of it is compressed, and the ids of its records
/// are sorted.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) digest: Option<Digest>,
    pub(crate) frame: Frame,
    pub(crate) batch: LiveBatch,
}

impl Incoming {
    /// Works out what the store needs. It takes long for a long request, so it is done where others do not wait for it.
    pub fn prepare(self) -> Result<Prepared, AppendError> {
        let records = self.decoded.records.num_rows();
        let record_count = u32::try_from(records).map_err(|_| AppendError::Disk("more than 2^32 records in one request".to_owned()))?;
        let digest = window::digest(&self);
        let frame = Frame::new(&self.request, record_count, digest).map_err(|error| AppendError::Disk(error.to_string()))?;
        Ok(Prepared { digest, frame, batch: LiveBatch::new(self.request.tenant, self.decoded) })
    }
}

/// What became of an accepted request. When this is returned its records are on disk and found by every
/// query that starts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Records stored by this request.
    pub stored: usize,
    /// Records that were stored before by an equal request.
    pub deduplicated: usize,
}

/// Why a request was not accepted. Nothing of it is stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Memory for records that are not yet in a shard is used up; it frees when the seal is done.
    #[error("live memory is full ({live_bytes} of {live_bytes_max} bytes): retry when the running seal is done")]
    Full {
        /// In use.
        live_bytes: usize,
        /// The bound (`live_bytes_max`).
        live_bytes_max: usize,
    },
    /// The disk is full or refuses writes; the request may be sent again.
    #[error("the log cannot be written: {0}")]
    Disk(String),
    /// A sync failed, so nothing can be promised until the process starts anew.
    #[error("the log is closed after a failed sync ({0}): restart needle; everything acknowledged is safe")]
    Poisoned(String),
    /// The store is shutting down.
    #[error("the server is shutting down: send again to its successor")]
    ShuttingDown,
}
