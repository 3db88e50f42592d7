//! OTLP requests as protobuf: one message, or messages with their length in four bytes before each, as the Collector's file
//! exporter writes them. The wire format lets a request be cut at its resources: repeated fields concatenate.

use std::io::{BufRead, Read};

use super::input::Unreadable;
use super::{Batch, Pending, Piece, Signal, Sink, Target};

/// A resource that is larger is not read into memory.
const RESOURCE_BYTES_MAX: u64 = 256 << 20;
/// Field 1, length-delimited: `resource_spans` and `resource_logs` alike.
const RESOURCE_TAG: u8 = 0x0a;

/// Whether bytes begin like a request, with or without a length before it.
pub(super) fn looks_like_a_request(head: &[u8]) -> bool {
    let is_request = |bytes: &[u8]| {
        bytes.first() == Some(&RESOURCE_TAG)
            && field(bytes).is_some_and(|(_, _, value)| value.first().is_none_or(|tag| matches!(tag, 0x0a | 0x12 | 0x1a)))
    };
    is_request(head) || head.len() > 4 && length_before(head).is_some() && is_request(&head[4..])
}

fn length_before(head: &[u8]) -> Option<u64> {
    let length = u32::from_be_bytes(head.get(..4)?.try_into().ok()?);
    (u64::from(length) <= RESOURCE_BYTES_MAX && head.get(4) == Some(&RESOURCE_TAG) && length > 1).then_some(u64::from(length))
}

/// Reads requests into batches.
pub(super) fn read(name: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let unreadable = |reason: &dyn std::fmt::Display| anyhow::Error::from(Unreadable::new(name, format!("is no OTLP protobuf: {reason}")));
    let head = reader.fill_buf().map_err(|error| unreadable(&error))?.to_vec();
    let has_lengths = !head_is_bare(&head) && length_before(&head).is_some();
    let mut batches = Batches { sink, signal: None, pending: Pending::default(), message: 0 };
    loop {
        if reader.fill_buf().map_err(|error| unreadable(&error))?.is_empty() {
            break;
        }
        batches.message += 1;
        let length = if has_lengths {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(|_| unreadable(&format!("message {} ends in its length", batches.message)))?;
            u64::from(u32::from_be_bytes(length))
        } else {
            u64::MAX
        };
        let mut message = Read::take(&mut *reader, length);
        while let Some(resource) =
            next_resource(&mut message).map_err(|reason| unreadable(&format!("message {}: {reason}", batches.message)))?
        {
            batches.add(resource)?;
        }
        if has_lengths && message.limit() > 0 {
            return Err(unreadable(&format!("message {} is cut off", batches.message)));
        }
    }
    if batches.pending.pieces.is_empty() { Ok(()) } else { batches.send() }
}

/// Whether a message begins at once; a length of 0x0a...... would be too large to be one.
fn head_is_bare(head: &[u8]) -> bool {
    head.first() == Some(&RESOURCE_TAG)
}

/// The next resource of a message, with its tag and length; none at its end.
fn next_resource(message: &mut dyn Read) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    if Read::take(&mut *message, 1).read_to_end(&mut bytes).map_err(|error| error.to_string())? == 0 {
        return Ok(None);
    }
    if bytes[0] != RESOURCE_TAG {
        return Err(format!("byte {:#04x} where a resource should begin", bytes[0]));
    }
    let mut length = 0_u64;
    for shift in (0..63).step_by(7) {
        let mut byte = [0];
        message.read_exact(&mut byte).map_err(|_| "it is cut off".to_owned())?;
        bytes.push(byte[0]);
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            if length > RESOURCE_BYTES_MAX {
                return Err(format!("a resource of {length} bytes"));
            }
            let read = Read::take(&mut *message, length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            return if read as u64 == length { Ok(Some(bytes)) } else { Err("it is cut off".to_owned()) };
        }
    }
    Err("a length without an end".to_owned())
}

struct Batches<'s> {
    sink: &'s mut dyn Sink,
    signal: Option<Signal>,
    pending: Pending,
    message: u64,
}

impl Batches<'_> {
    fn add(&mut self, resource: Vec<u8>) -> anyhow::Result<()> {
        let (records, signal) = inspect(&resource);
        let changes = signal.is_some() && self.signal.is_some() && signal != self.signal;
        if changes || self.pending.is_full_for(resource.len()) {
            self.send()?;
        }
        self.signal = signal.or(self.signal);
        self.pending.push(Piece { bytes: resource, line: self.message, records });
        Ok(())
    }

    fn send(&mut self) -> anyhow::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        match self.signal {
            Some(signal) => self.sink.batch(Batch::of_pieces(Target::OtlpProtobuf(signal), pending.pieces)),
            // Resources without a single record: there is nothing to send, and no way to tell where to.
            None => Ok(()),
        }
    }
}

/// How many records a resource holds, and of which signal. Resources of both look alike down to the records, whose
/// first field is a fixed64 time in logs and a length-delimited trace id in spans.
fn inspect(resource: &[u8]) -> (u64, Option<Signal>) {
    let (mut records, mut signal) = (0, None);
    let resource = field(resource).map_or(&[][..], |(_, _, value)| value);
    for scope in fields(resource).filter(|(number, wire, _)| (*number, *wire) == (2, 2)) {
        for record in fields(scope.2).filter(|(number, wire, _)| (*number, *wire) == (2, 2)) {
            records += 1;
            signal = signal.or_else(|| signal_of(record.2));
        }
    }
    (records, signal)
}

fn signal_of(record: &[u8]) -> Option<Signal> {
    fields(record).find_map(|(number, wire, _)| match (number, wire) {
        (1, 1) | (11, 1) | (2, 0) | (8, 5) => Some(Signal::Logs),
        (1, 2) | (7, 1) | (8, 1) | (6, 0) | (16, 5) => Some(Signal::Traces),
        _ => None,
    })
}

/// Fields as far as they can be read: number, wire type, value.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, u8, &[u8])> {
    std::iter::from_fn(move || {
        let (number, wire, value) = field(bytes)?;
        // `value` lies within `bytes`; what follows it is the rest.
        let end = value.as_ptr() as usize - bytes.as_ptr() as usize + value.len();
        bytes = &bytes[end..];
        Some((number, wire, value))
    })
}

/// The first field; a value that is cut off is as long as it can be.
fn field(bytes: &[u8]) -> Option<(u64, u8, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let (number, wire) = (tag >> 3, (tag & 7) as u8);
    let value = match wire {
        0 => &rest[..rest.len() - varint(rest)?.1.len()],
        1 => rest.get(..8)?,
        2 => {
            let (length, rest) = varint(rest)?;
            &rest[..usize::try_from(length).ok()?.min(rest.len())]
        }
        5 => rest.get(..4)?,
        _ => return None,
    };
    (number > 0).then_some((number, wire, value))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if *byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// Rejected records and the message of an answer (`ExportTraceServiceResponse` and `ExportLogsServiceResponse` alike).
pub(super) fn partial_success(answer: &[u8]) -> (u64, String) {
    let partial = fields(answer).find(|(number, wire, _)| (*number, *wire) == (1, 2)).map_or(&[][..], |(_, _, value)| value);
    let rejected = fields(partial)
        .find(|(number, wire, _)| (*number, *wire) == (1, 0))
        .and_then(|(_, _, value)| varint(value))
        .map_or(0, |(value, _)| value);
    let message = fields(partial)
        .find(|(number, wire, _)| (*number, *wire) == (2, 2))
        .map(|(_, _, value)| String::from_utf8_lossy(value).into_owned());
    (rejected, message.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Collected, ConcatBodies as _};
    use super::*;

    fn message(number: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = value.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(value);
        bytes
    }

    /// A resource of spans with `name_bytes` each.
    fn spans(count: usize, name_bytes: usize) -> Vec<u8> {
        let span = [message(1, &[7; 16]), message(5, &vec![b'n'; name_bytes])].concat();
        let scope = message(2, &span).repeat(count);
        message(1, &[message(1, b""), message(2, &scope)].concat())
    }

    fn logs() -> Vec<u8> {
        let log = [&[0x09, 1, 2, 3, 4, 5, 6, 7, 8][..], &message(5, b"\x0a\x01x")].concat();
        message(1, &message(2, &message(2, &log)))
    }

    fn collected(bytes: &[u8]) -> anyhow::Result<Collected> {
        let mut sink = Collected::default();
        read("x", &mut &bytes[..], &mut sink)?;
        Ok(sink)
    }

    #[test]
    fn a_message_is_cut_at_its_resources_and_told_by_its_records() {
        let bytes = spans(3, 200_000).repeat(3);
        assert!(looks_like_a_request(&bytes[..1000]));
        let sink = collected(&bytes).unwrap();
        assert!(sink.batches.iter().all(|batch| batch.target == Target::OtlpProtobuf(Signal::Traces)));
        assert_eq!(sink.batches.iter().map(|batch| batch.records).collect::<Vec<_>>(), [3, 3, 3]);
        assert_eq!(sink.batches.concat_bodies(), bytes);
        assert_eq!(collected(&logs()).unwrap().batches[0].target, Target::OtlpProtobuf(Signal::Logs));
    }

    #[test]
    fn messages_with_lengths_and_changing_signals() {
        let framed = |bytes: Vec<u8>| [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat();
        let bytes = [framed(spans(1, 10)), framed(logs()), framed(spans(2, 10))].concat();
        assert!(looks_like_a_request(&bytes));
        let sink = collected(&bytes).unwrap();
        assert_eq!(sink.batches.iter().map(|batch| (batch.first_line, batch.records)).collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 2)]);
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let bytes = spans(3, 100);
        for bytes in [&bytes[..bytes.len() - 1], b"\x12\x00", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", &[0, 0, 1, 0, 0x0a, 0, 0]] {
            assert!(collected(bytes).is_err(), "{bytes:?}");
        }
        assert!(!looks_like_a_request(b"\x7fELF\0\0\0"));
    }

    #[test]
    fn an_answer_tells_what_was_rejected() {
        assert_eq!(partial_success(b""), (0, String::new()));
        let answer = message(1, &[&[0x08, 0x96, 0x01][..], &message(2, b"too old")].concat());
        assert_eq!(partial_success(&answer), (150, "too old".to_owned()));
    }
}
