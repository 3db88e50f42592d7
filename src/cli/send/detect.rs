//! What a file holds, from its first bytes.

use std::io::{BufRead, Cursor, Read};

use serde::de::IgnoredAny;

use super::input::{Reader, Unreadable};
use super::protobuf;

/// Bytes looked at.
const HEAD_BYTES: usize = 64 << 10;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Empty,
    Text,
    Json,
    OtlpJson,
    OtlpProtobuf,
}

/// Looks at the begin of `reader`, and puts it back.
pub(super) fn format(name: &str, reader: &mut Reader) -> anyhow::Result<Found> {
    let (head, whole) = head(reader).map_err(|error| Unreadable::new(name, error))?;
    let found = of_head(&head, whole);
    let rest = std::mem::replace(reader, Box::new(Cursor::new(Vec::new())));
    *reader = Box::new(Cursor::new(head).chain(rest));
    found.map_err(|reason| Unreadable::new(name, reason).into())
}

/// The first line that is not empty, and what arrived with it; and whether that is all there is.
fn head(reader: &mut Reader) -> std::io::Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    while head.len() < HEAD_BYTES && !has_line(&head) {
        let arrived = reader.fill_buf()?;
        if arrived.is_empty() {
            return Ok((head, true));
        }
        let taken = arrived.len().min(HEAD_BYTES);
        head.extend_from_slice(&arrived[..taken]);
        reader.consume(taken);
    }
    let whole = head.len() < HEAD_BYTES && reader.fill_buf()?.is_empty();
    Ok((head, whole))
}

fn has_line(head: &[u8]) -> bool {
    head.trim_ascii_start().contains(&b'\n')
}

fn of_head(head: &[u8], whole: bool) -> Result<Found, String> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if head.iter().any(|byte| matches!(byte, 0..=8)) {
        return if protobuf::looks_like_a_request(head) {
            Ok(Found::OtlpProtobuf)
        } else {
            Err("is binary, and no OTLP: --format names what it holds".to_owned())
        };
    }
    if text.is_empty() {
        return Ok(if whole { Found::Empty } else { Found::Text });
    }
    let second = text[1..].trim_ascii_start().first();
    let is_otlp = [&b"\"resourceSpans\""[..], b"\"resourceLogs\"", b"\"resource_spans\"", b"\"resource_logs\"", b"\"resourceMetrics\""]
        .iter()
        .any(|key| text.windows(key.len()).take(4096).any(|window| window == *key));
    match (text[0], second) {
        (b'{', _) if is_otlp => Ok(Found::OtlpJson),
        (b'[', Some(b'{')) if is_otlp => Ok(Found::OtlpJson),
        (b'{', Some(b'"' | b'}')) | (b'[', Some(b'{')) if is_json(text) => Ok(Found::Json),
        (b'[', Some(b'[')) if is_json(text) => {
            Err("is JSON, but holds arrays where objects are expected: neither log records nor OTLP".to_owned())
        }
        _ => Ok(Found::Text),
    }
}

/// Whether text begins with a JSON value, as far as it can be seen.
fn is_json(text: &[u8]) -> bool {
    match serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>().next() {
        Some(Ok(_)) => true,
        Some(Err(error)) => error.is_eof(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_begin() {
        for (head, found) in [
            ("", Found::Empty),
            ("\n \n", Found::Empty),
            ("2026-11-20 09:00:00 ERROR x\n", Found::Text),
            ("[2026-11-20 09:00:00] {\"a\":1}\n", Found::Text),
            ("{} is what it said\n", Found::Json),
            ("{not json}\n", Found::Text),
            ("[main] INFO x\n", Found::Text),
            ("{\"msg\":\"x\"}\n{\"msg\":\"y\"}\n", Found::Json),
            ("\u{feff}{\n  \"msg\": \"x\",\n", Found::Json),
            ("[\n {\"msg\":1},", Found::Json),
            ("{\"resourceSpans\":[{", Found::OtlpJson),
            ("{\n  \"resourceLogs\": [", Found::OtlpJson),
            ("\n\ntext after blank lines", Found::Text),
        ] {
            assert_eq!(of_head(head.as_bytes(), true), Ok(found), "{head}");
        }
        assert!(of_head(b"[[{\"traceId\":1}]]", true).unwrap_err().contains("neither log records nor OTLP"));
        assert!(of_head(b"\x7fELF\x02\x01\x01\0\0\0", true).unwrap_err().contains("binary"));
    }

    #[test]
    fn what_was_looked_at_is_read_again() {
        let text = "2026-11-20 line\n".repeat(20_000);
        let mut reader: Reader = Box::new(Cursor::new(text.clone().into_bytes()));
        assert_eq!(format("x", &mut reader).unwrap(), Found::Text);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert!(read == text);
    }
}
