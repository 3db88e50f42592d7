//! What is tried.

mod catalog;
mod decoded;
mod directory;
mod framing;
mod http;
mod log;
mod otlp;
mod query;
mod shard;
mod terminal;

use bytes::Bytes;
use needle_ingest::storage::model::{Tenant, UnixNanos};
use needle_ingest::storage::{BodyFormat, Decoded, RawRequest};
use needle_ingest::{IngestSettings, decoder};

use crate::Target;

/// All of them.
pub const TARGETS: [Target; 15] = [
    otlp::LOGS,
    otlp::TRACES,
    otlp::LOGS_JSON,
    otlp::TRACES_JSON,
    decoded::JSON_LOGS,
    decoded::TEXT_LOGS,
    decoded::SEALED,
    query::QUERY,
    log::LOG,
    shard::SHARD,
    directory::DIRECTORY,
    catalog::CATALOG,
    framing::FRAMING,
    http::HTTP,
    terminal::TERMINAL,
];

/// What a decoder may take of memory whatever its input is: its columns when they are empty, and rows of nothing.
const DECODER_BYTES: usize = 2 << 20;

/// When all requests arrive.
const ARRIVAL: UnixNanos = UnixNanos(1_795_176_000_000_000_000);

/// A request, decoded as the program does.
fn decode(format: BodyFormat, body: &[u8]) -> Result<Decoded, String> {
    decode_request(&RawRequest {
        tenant: Tenant::default(),
        format,
        arrival: ARRIVAL,
        service: None,
        timezone: None,
        body: Bytes::copy_from_slice(body),
    })
}

fn decode_request(request: &RawRequest) -> Result<Decoded, String> {
    thread_local! {
        static DECODE: needle_ingest::storage::Decode = decoder(&IngestSettings::default());
    }
    DECODE.with(|decode| decode(request))
}

/// What two readings of one thing differ in is a finding.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(one: &T, other: &T, what: &str) {
    assert!(one == other, "{what}:\n{one:?}\n{other:?}");
}
