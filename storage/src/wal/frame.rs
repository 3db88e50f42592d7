//! One frame of the log: a request as received, compressed, under two checksums.
//!
//! ```text
//! offset  size  field (little-endian)
//!      0     4  magic "NDLF"
//!      4     1  version of the frame's form, 2; 1 has no time zone
//!      5     1  body format (`BodyFormat`)
//!      6     2  zero
//!      8     8  sequence
//!     16     8  record id of the first record
//!     24     4  number of records
//!     28     4  payload bytes, compressed
//!     32     4  payload bytes, uncompressed
//!     36     4  CRC-32 of the compressed payload
//!     40     8  arrival, nanoseconds since the epoch
//!     48    16  digest for recognising repetitions; zero: exempt
//!     64     4  zero
//!     68     4  CRC-32 of bytes 0 to 67
//!     72        payload, zstd: u16 length and tenant, u16 length and service (0xffff: none),
//!               u16 length and time zone (0xffff: none), body
//! ```

use std::io::Read as _;

use bytes::Bytes;

use super::Sequence;
use crate::accept::{BodyFormat, RawRequest};
use crate::catalog::SeenRequest;
use crate::model::{RecordId, Tenant, UnixNanos};

const MAGIC: &[u8; 4] = b"NDLF";
pub(crate) const VERSION: u8 = 2;
/// Its payload has no time zone.
const VERSION_WITHOUT_ZONE: u8 = 1;
pub(super) const HEADER_BYTES: usize = 72;
/// The length of a text that is not there.
const ABSENT: u16 = u16::MAX;
/// Level 1: the log is written once and read seldom, so it is the CPU that counts.
const COMPRESSION_LEVEL: i32 = 1;

/// Requests of many records are seldom compressed to less than a part of so many.
const EXPANSION_USUAL: usize = 16;

/// 128 bits that stand for the content of a request; equal requests have equal digests.
pub(crate) type Digest = [u8; 16];

/// A frame, its payload still compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    version: u8,
    pub(crate) sequence: Sequence,
    pub(crate) record_first: RecordId,
    pub(crate) record_count: u32,
    pub(crate) digest: Option<Digest>,
    format: BodyFormat,
    arrival: UnixNanos,
    payload_bytes: u32,
    payload: Bytes,
}

/// What stands where a frame should begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A whole frame, and its length.
    Frame(Box<Frame>, usize),
    /// Nothing was ever written here.
    Blank,
    /// No whole frame.
    Damaged,
}

impl Frame {
    /// The frame of a request; sequence and record ids are given when it is committed.
    pub(crate) fn new(request: &RawRequest, record_count: u32, digest: Option<Digest>) -> std::io::Result<Frame> {
        let envelope = envelope(request);
        let mut encoder = zstd::stream::Encoder::new(Vec::with_capacity(request.body.len() / 4), COMPRESSION_LEVEL)?;
        std::io::Write::write_all(&mut encoder, &envelope)?;
        std::io::Write::write_all(&mut encoder, &request.body)?;
        let payload = Bytes::from(encoder.finish()?);
        let too_large = |_| std::io::Error::other("request larger than a frame can hold (4 GiB)");
        Ok(Frame {
            version: VERSION,
            sequence: Sequence(0),
            record_first: RecordId(0),
            record_count,
            digest,
            format: request.format,
            arrival: request.arrival,
            payload_bytes: u32::try_from(envelope.len() + request.body.len()).map_err(too_large)?,
            payload: u32::try_from(payload.len()).map(|_| payload).map_err(too_large)?,
        })
    }

    /// The request it holds.
    pub(crate) fn request(&self) -> std::io::Result<RawRequest> {
        let damaged = || std::io::Error::other("frame payload does not have the documented form");
        let payload = self.decompressed()?;
        let mut rest = payload.clone();
        let mut text = |absent: Option<u16>| -> std::io::Result<Option<String>> {
            let length = rest.get(..2).map(|b| u16::from_le_bytes([b[0], b[1]])).ok_or_else(damaged)?;
            rest = rest.slice(2..);
            if Some(length) == absent {
                return Ok(None);
            }
            let bytes = rest.get(..usize::from(length)).ok_or_else(damaged)?;
            let text = std::str::from_utf8(bytes).map_err(|_| damaged())?.to_owned();
            rest = rest.slice(usize::from(length)..);
            Ok(Some(text))
        };
        let tenant = text(None)?.ok_or_else(damaged)?;
        let service = text(Some(ABSENT))?;
        let timezone = if self.version == VERSION_WITHOUT_ZONE { None } else { text(Some(ABSENT))? };
        Ok(RawRequest {
            tenant: Tenant::new(&tenant).map_err(std::io::Error::other)?,
            format: self.format,
            arrival: self.arrival,
            service,
            timezone,
            body: rest,
        })
    }

    /// The payload. What the header says of its length is believed as far as the payload bears it out, so that a short frame
    /// takes no memory that it does not fill.
    fn decompressed(&self) -> std::io::Result<Bytes> {
        let length = self.payload_bytes as usize;
        let mut payload = Vec::with_capacity(length.min(EXPANSION_USUAL * self.payload.len()));
        let decoder = zstd::stream::Decoder::with_buffer(self.payload.as_ref())?;
        decoder.take(u64::from(self.payload_bytes) + 1).read_to_end(&mut payload)?;
        if payload.len() != length {
            return Err(std::io::Error::other(format!("frame payload is not {length} bytes long, as its header says")));
        }
        Ok(payload.into())
    }

    /// When the request arrived.
    pub(crate) fn arrival(&self) -> UnixNanos {
        self.arrival
    }

    /// The request, for recognising it when it comes again.
    pub(crate) fn seen(&self) -> Option<SeenRequest> {
        self.digest.map(|digest| SeenRequest { digest, arrival: self.arrival, records: self.record_count })
    }

    /// The number of the first record after it.
    pub(crate) fn record_next(&self) -> RecordId {
        RecordId(self.record_first.0 + u64::from(self.record_count))
    }

    /// Its length in the log.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }

    /// Appends the frame's bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(MAGIC);
        out.extend([self.version, self.format as u8, 0, 0]);
        out.extend(self.sequence.0.to_le_bytes());
        out.extend(self.record_first.0.to_le_bytes());
        out.extend(self.record_count.to_le_bytes());
        out.extend((self.payload.len() as u32).to_le_bytes());
        out.extend(self.payload_bytes.to_le_bytes());
        out.extend(crc32fast::hash(&self.payload).to_le_bytes());
        out.extend(self.arrival.0.to_le_bytes());
        out.extend(self.digest.unwrap_or_default());
        out.extend([0; 4]);
        let crc = crc32fast::hash(&out[start..]);
        out.extend(crc.to_le_bytes());
        out.extend(&self.payload);
    }

    /// Reads the frame that begins `bytes`.
    pub(crate) fn parse(bytes: &Bytes) -> Parsed {
        let Some(header) = bytes.get(..HEADER_BYTES) else {
            return if bytes.iter().all(|byte| *byte == 0) { Parsed::Blank } else { Parsed::Damaged };
        };
        if header.iter().all(|byte| *byte == 0) {
            return Parsed::Blank;
        }
        let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        let version = header[4];
        let readable = (VERSION_WITHOUT_ZONE..=VERSION).contains(&version);
        let sound = &header[..4] == MAGIC && readable && crc32fast::hash(&header[..68]) == u32_at(68);
        let Some(format) = BodyFormat::from_number(header[5]).filter(|_| sound) else { return Parsed::Damaged };
        let end = HEADER_BYTES + u32_at(28) as usize;
        let Some(payload) = bytes.get(HEADER_BYTES..end) else { return Parsed::Damaged };
        if crc32fast::hash(payload) != u32_at(36) {
            return Parsed::Damaged;
        }
        let digest: Digest = header[48..64].try_into().expect("sixteen bytes");
        let frame = Frame {
            version,
            sequence: Sequence(u64_at(8)),
            record_first: RecordId(u64_at(16)),
            record_count: u32_at(24),
            digest: Some(digest).filter(|digest| *digest != Digest::default()),
            format,
            arrival: UnixNanos(u64_at(40)),
            payload_bytes: u32_at(32),
            payload: bytes.slice(HEADER_BYTES..end),
        };
        Parsed::Frame(Box::new(frame), end)
    }

    /// Where in `bytes`, at or after `from`, a frame's magic stands.
    pub(super) fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
        memchr::memmem::find(bytes.get(from..)?, MAGIC).map(|at| from + at)
    }
}

/// What stands before the body.
fn envelope(request: &RawRequest) -> Vec<u8> {
    let mut envelope = Vec::new();
    for text in [Some(request.tenant.as_str()), request.service.as_deref(), request.timezone.as_deref()] {
        envelope.extend(text.map_or(ABSENT, |text| text.len() as u16).to_le_bytes());
        envelope.extend(text.unwrap_or_default().as_bytes());
    }
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Arrived at 7 ns.
    fn request(body: &[u8], service: Option<String>, timezone: Option<String>) -> RawRequest {
        let body = Bytes::copy_from_slice(body);
        RawRequest { tenant: Tenant::default(), format: BodyFormat::JsonLogs, arrival: UnixNanos(7), service, timezone, body }
    }

    fn frame(request: &RawRequest, digest: Option<Digest>) -> Frame {
        let mut frame = Frame::new(request, 3, digest).unwrap();
        frame.sequence = Sequence(5);
        frame.record_first = RecordId(9);
        assert_eq!(frame.request().unwrap(), *request);
        frame
    }

    /// As the first version wrote it.
    const OF_VERSION_1: &str = "4e444c46010500000500000000000000090000000000000003000000260000001d000000009f52c4\
        07000000000000000707070707070707070707070707070700000000910bce77\
        28b52ffd0048e90000070064656661756c74040073686f707b226d7367223a2270616964227d";

    #[test]
    fn a_frame_of_the_first_version_is_read_and_kept_as_it_is() {
        let digits = OF_VERSION_1.as_bytes().chunks(2);
        let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let Parsed::Frame(frame, length) = Frame::parse(&bytes.clone().into()) else { panic!("it is not read") };
        assert_eq!((frame.sequence, frame.record_first, frame.digest, length), (Sequence(5), RecordId(9), Some([7; 16]), bytes.len()));
        assert_eq!(frame.request().unwrap(), request(br#"{"msg":"paid"}"#, Some("shop".to_owned()), None));
        let mut again = Vec::new();
        frame.write(&mut again);
        assert_eq!(again, bytes);
    }

    proptest! {
        #[test]
        fn a_frame_reads_back(
            body: Vec<u8>,
            service: Option<String>,
            timezone: Option<String>,
            digest in prop::option::of(prop::array::uniform16(1u8..)),
        ) {
            let frame = frame(&request(&body, service, timezone), digest);
            let mut bytes = Vec::new();
            frame.write(&mut bytes);
            prop_assert_eq!(bytes.len(), frame.bytes());
            let length = bytes.len();
            prop_assert_eq!(Frame::parse(&bytes.into()), Parsed::Frame(Box::new(frame), length));
        }

        #[test]
        fn a_flipped_bit_is_noticed(body: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
            let mut bytes = Vec::new();
            frame(&request(&body, None, None), None).write(&mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert_eq!(Frame::parse(&bytes.into()), Parsed::Damaged);
        }
    }
}
