//! Ids, and the normal form by which every spelling of an id finds every other.
//!
//! What is stored is the raw spelling; what is indexed and joined is a [`NormalId`]: 128-bit ids (UUIDs
//! and 32 hex digits: case, dashes and braces dropped, the version nibble masked because Envoy
//! rewrites it), 64-bit ids (16 hex digits or up to 20 decimal ones, as Datadog writes them; 16 digits are taken for hex), and
//! opaque text, compared exactly.

use std::fmt;

/// A trace id: 16 bytes, not all zero (W3C Trace Context, section 3.2.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span id: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// The id of exactly 16 bytes that are not all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceId> {
        <[u8; 16]>::try_from(bytes).ok().filter(|id| *id != [0; 16]).map(TraceId)
    }

    /// The id of 32 hex digits, in any case.
    pub fn from_hex(text: &str) -> Option<TraceId> {
        hex(text.as_bytes()).and_then(|bytes: [u8; 16]| TraceId::from_bytes(&bytes))
    }
}

impl SpanId {
    /// The id of exactly 8 bytes that are not all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<SpanId> {
        <[u8; 8]>::try_from(bytes).ok().filter(|id| *id != [0; 8]).map(SpanId)
    }

    /// The id of 16 hex digits, in any case.
    pub fn from_hex(text: &str) -> Option<SpanId> {
        hex(text.as_bytes()).and_then(|bytes: [u8; 8]| SpanId::from_bytes(&bytes))
    }

    /// The id that a decimal number of 64 bits is, as Datadog writes them.
    pub fn from_decimal(text: &str) -> Option<SpanId> {
        decimal(text).and_then(|number| SpanId::from_bytes(&number.to_be_bytes()))
    }
}

macro_rules! shown_as_hex {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
shown_as_hex!(TraceId, SpanId);

/// The form in which a trace or request id is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NormalId {
    /// 128 bits, version nibble masked.
    Wide([u8; 16]),
    /// 64 bits.
    Short([u8; 8]),
    /// Anything else, exact and case-sensitive.
    Opaque(Box<str>),
}

/// An id longer than this many bytes is not a join key.
const OPAQUE_BYTES_MAX: usize = 256;

/// Spellings that mean "there is no id".
const PLACEHOLDERS: [&str; 12] = ["-", "--", "0", "null", "nil", "none", "undefined", "unknown", "n/a", "na", "nan", "(null)"];

impl NormalId {
    /// The normal form of an id in any spelling; `None` for placeholders (`-`, `null`, all zero) and over-long text.
    pub fn of(text: &str) -> Option<NormalId> {
        let text = strip_wrapping(text.trim());
        if text.is_empty() || text.len() > OPAQUE_BYTES_MAX || PLACEHOLDERS.iter().any(|p| text.eq_ignore_ascii_case(p)) {
            return None;
        }
        if let Some(wide) = wide_digits(text) {
            return NormalId::of_wide(wide);
        }
        let short = hex(text.as_bytes()).or_else(|| decimal(text).map(u64::to_be_bytes));
        match short {
            Some([0, 0, 0, 0, 0, 0, 0, 0]) => None,
            Some(bytes) => Some(NormalId::Short(bytes)),
            None if text.bytes().all(|b| b == b'0' || b == b'-') => None,
            None => Some(NormalId::Opaque(text.into())),
        }
    }

    /// The normal form of a trace id.
    pub fn of_trace(id: TraceId) -> NormalId {
        NormalId::of_wide(id.0).expect("a trace id is not zero")
    }

    fn of_wide(mut bytes: [u8; 16]) -> Option<NormalId> {
        if bytes == [0; 16] {
            return None;
        }
        // A 64-bit id padded to 128 bits, as B3 and Datadog propagate it.
        if bytes[..8] == [0; 8] {
            return Some(NormalId::Short(bytes[8..].try_into().expect("8 of 16 bytes")));
        }
        // Envoy rewrites the version nibble of `x-request-id` (its TRACE_BYTE_POSITION = 14) to carry the sampling decision.
        bytes[6] &= 0x0f;
        Some(NormalId::Wide(bytes))
    }

    /// The exact term of this id in indexes.
    pub fn term(&self) -> IdTerm {
        match self {
            NormalId::Wide(bytes) => IdTerm::tagged(b'w', bytes),
            NormalId::Short(bytes) => IdTerm::tagged(b's', bytes),
            NormalId::Opaque(text) => IdTerm::tagged(b'o', text.as_bytes()),
        }
    }

    /// The term under which a 128-bit trace id is also indexed by its low half, so that services that
    /// only know 64 bits find it: a weak link.
    pub fn low_half_term(&self) -> Option<IdTerm> {
        match self {
            NormalId::Wide(bytes) => Some(IdTerm::tagged(b'l', &bytes[8..])),
            _ => None,
        }
    }
}

/// The bytes that stand for an id in an index: a letter for its class, then the id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdTerm(Box<[u8]>);

impl IdTerm {
    fn tagged(tag: u8, bytes: &[u8]) -> IdTerm {
        IdTerm([&[tag], bytes].concat().into())
    }

    /// The term of a span id.
    pub fn of_span(id: SpanId) -> IdTerm {
        IdTerm::tagged(b'p', &id.0)
    }

    /// The term under which trace ids that end in these 64 bits are indexed.
    pub fn of_low_half(short: [u8; 8]) -> IdTerm {
        IdTerm::tagged(b'l', &short)
    }

    /// The term of a span that links to the trace of this id.
    pub fn of_link(trace: &NormalId) -> IdTerm {
        IdTerm::tagged(b'k', trace.term().as_bytes())
    }

    /// The term of these bytes, as [`IdTerm::as_bytes`] gave them.
    pub(crate) fn from_bytes(bytes: &[u8]) -> IdTerm {
        IdTerm(bytes.into())
    }

    /// The bytes of the term.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What an id is looked up by: 64 evenly spread bits. Different ids may share a key; the columns decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct IdKey(pub(crate) u64);

impl IdKey {
    /// The key of an id's bytes: XXH3, which is specified and does not change.
    fn of(bytes: &[u8]) -> IdKey {
        IdKey(twox_hash::XxHash3_64::oneshot(bytes))
    }

    /// The key of a trace id: of its low half, so that services that only know 64 bits find it too.
    pub(crate) fn of_trace(id: TraceId) -> IdKey {
        IdKey::of(&id.0[8..])
    }

    /// The key of a span id.
    pub(crate) fn of_span(id: SpanId) -> IdKey {
        IdKey::of(&id.0)
    }
}

impl NormalId {
    /// The key of a request id. Of a wide one it is of all its bits: the low half of a UUID of version 1 is the
    /// same for every request of a machine.
    pub(crate) fn key(&self) -> IdKey {
        match self {
            NormalId::Wide(bytes) => IdKey::of(bytes),
            NormalId::Short(bytes) => IdKey::of(bytes),
            NormalId::Opaque(text) => IdKey::of(text.as_bytes()),
        }
    }
}

/// Where in a record an id stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IdSort {
    TraceOrRequest,
    Span,
    Link,
}

impl IdTerm {
    /// Where in a record this id stands.
    pub(crate) fn sort(&self) -> IdSort {
        match self.0.first() {
            Some(b'p') => IdSort::Span,
            Some(b'k') => IdSort::Link,
            _ => IdSort::TraceOrRequest,
        }
    }

    /// The keys under which records that carry this term are found: that of a request id, and that of a trace.
    pub(crate) fn keys(&self) -> impl Iterator<Item = IdKey> {
        let (tag, bytes) = self.0.split_first().expect("a term begins with its tag");
        let (tag, bytes) = if *tag == b'k' { bytes.split_first().expect("a link names a term") } else { (tag, bytes) };
        let low_half = (*tag == b'w').then(|| IdKey::of(&bytes[8..]));
        std::iter::once(IdKey::of(bytes)).chain(low_half)
    }
}

/// Drops what loggers put around an id: quotes, brackets, braces, `req-` and `urn:uuid:` before a UUID.
fn strip_wrapping(text: &str) -> &str {
    let mut inner = text;
    for (open, close) in [('"', '"'), ('\'', '\''), ('[', ']'), ('{', '}'), ('(', ')'), ('<', '>')] {
        if let Some(rest) = inner.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
            inner = rest;
        }
    }
    for prefix in ["urn:uuid:", "uuid:", "req-", "req_", "request-"] {
        if let Some(rest) = inner.get(prefix.len()..)
            && inner[..prefix.len()].eq_ignore_ascii_case(prefix)
            && wide_digits(rest).is_some()
        {
            return rest;
        }
    }
    inner
}

/// 32 hex digits, bare, as a UUID (8-4-4-4-12), or as X-Ray writes them (`1-8-24`).
fn wide_digits(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    match bytes.len() {
        32 => hex(bytes),
        36 if [8, 13, 18, 23].iter().all(|&at| bytes[at] == b'-') => {
            let mut digits = [0; 32];
            let mut at = 0;
            for (n, &byte) in bytes.iter().enumerate() {
                if ![8, 13, 18, 23].contains(&n) {
                    digits[at] = byte;
                    at += 1;
                }
            }
            hex(&digits)
        }
        35 if text.starts_with("1-") && bytes[10] == b'-' => hex([&bytes[2..10], &bytes[11..]].concat().as_slice()),
        _ => None,
    }
}

fn decimal(text: &str) -> Option<u64> {
    let canonical = text.len() <= 20 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if canonical { text.parse().ok() } else { None }
}

fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) {
        assert_eq!(NormalId::of(a), NormalId::of(b), "{a} and {b}");
        assert!(NormalId::of(a).is_some(), "{a}");
    }

    #[test]
    fn spellings_of_one_id_have_one_normal_form() {
        same("125a4afb-6f55-44ba-ad80-413f09f48a28", "125A4AFB6F5544BAAD80413F09F48A28");
        same("{125a4afb-6f55-44ba-ad80-413f09f48a28}", "req-125a4afb-6f55-44ba-ad80-413f09f48a28");
        same("1-67891233-abcdef012345678912345678", "67891233abcdef012345678912345678");
        same("00000000000000005af7183fb1d4cf5f", "5AF7183FB1D4CF5F");
        same("6554734444506566495", "5af7183fb1d4cf5f");
    }

    #[test]
    fn the_nibble_envoy_rewrites_does_not_matter() {
        same("125a4afb-6f55-a4ba-ad80-413f09f48a28", "125a4afb-6f55-44ba-ad80-413f09f48a28");
    }

    #[test]
    fn opaque_ids_are_exact() {
        assert_ne!(NormalId::of("Abc_1"), NormalId::of("abc_1"));
        assert_ne!(NormalId::of("042"), NormalId::of("42"));
    }

    #[test]
    fn placeholders_are_no_ids() {
        for text in ["-", "", "null", "0", "00000000000000000000000000000000", "00000000-0000-0000-0000-000000000000", "undefined", "0000"]
        {
            assert_eq!(NormalId::of(text), None, "{text}");
        }
    }
}
