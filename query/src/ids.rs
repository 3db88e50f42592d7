//! Ids as they are pasted: bare, in a header, in a log line's brackets.

use needle_storage::model::NormalId;
use needle_storage::predicate::{IdKind, IdTest};

/// A test for an id in any spelling, also as the value of a header that carries one; `None` when the
/// text cannot be an id of that kind.
pub(crate) fn test_of(kind: IdKind, text: &str) -> Option<IdTest> {
    let text = text.trim();
    let trimmed = without_punctuation(text);
    let test = IdTest::of(kind, trace_in_header(trimmed).unwrap_or(trimmed));
    match &test {
        // In an opaque id every character counts.
        Some(IdTest { id: Some(NormalId::Opaque(_)), .. }) => IdTest::of(kind, text),
        _ => test,
    }
}

/// A word without what a sentence puts behind it.
pub(crate) fn without_punctuation(word: &str) -> &str {
    word.trim_end_matches([',', ';', '.', ':'])
}

/// Whether a bare word in a query is surely meant as an id, so that it is also looked up as one.
pub(crate) fn looks_like_id(word: &str) -> bool {
    let word = without_punctuation(word);
    if trace_in_header(word).is_some() {
        return true;
    }
    let bytes = word.as_bytes();
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let has_letter = bytes.iter().any(u8::is_ascii_alphabetic);
    match IdTest::of(IdKind::Any, word) {
        Some(test) if matches!(test.id, Some(NormalId::Wide(_))) => true,
        // 64 bits: hex with both kinds of digits, or Datadog's decimal. A shorter number is a number.
        Some(IdTest { id: Some(NormalId::Short(_)), .. }) => (has_letter && has_digit) || bytes.len() >= 18,
        // An opaque one: `audit-7`, `01HV3K8...`, `order_4711`; never a path, a version or a host.
        Some(_) => {
            has_digit && has_letter && bytes.len() >= 6 && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        }
        None => false,
    }
}

/// The trace id in the value of `traceparent`, `X-Amzn-Trace-Id`, `X-Cloud-Trace-Context` or `b3`.
fn trace_in_header(text: &str) -> Option<&str> {
    let is_hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split('-').take(5).collect();
    match parts.as_slice() {
        // traceparent: version, trace, span, flags; later versions may add parts.
        [version, trace, span, flags, ..] if is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2) => {
            return Some(trace);
        }
        // b3: trace, span, and perhaps the sampling state and the parent.
        [trace, span, ..] if (is_hex(trace, 32) || is_hex(trace, 16)) && is_hex(span, 16) => return Some(trace),
        _ => {}
    }
    if let Some(root) = text.split(';').find_map(|part| part.trim().strip_prefix("Root=")) {
        return Some(root);
    }
    let (trace, span) = text.split_once('/')?;
    let span_ends = span.split(';').next().is_some_and(|span| !span.is_empty() && span.bytes().all(|b| b.is_ascii_digit()));
    (is_hex(trace, 32) && span_ends).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_pasted_header_yields_its_trace() {
        let wanted = test_of(IdKind::Any, TRACE).expect("an id").id;
        for pasted in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "4BF92F35-77B3-4DA6-A3CE-929D0E0E4736",
            "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1",
            "4bf92f3577b34da6a3ce929d0e0e4736/6554734444506566495;o=1",
            "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "req-4bf92f35-77b3-4da6-a3ce-929d0e0e4736,",
            "[req-4bf92f35-77b3-4da6-a3ce-929d0e0e4736]",
        ] {
            assert_eq!(test_of(IdKind::Any, pasted).expect("an id").id, wanted, "{pasted}");
            assert!(looks_like_id(pasted), "{pasted}");
        }
    }

    #[test]
    fn sixteen_digits_may_be_hex_or_a_number() {
        let ids = |text| test_of(IdKind::Any, text).expect("an id").ids().collect::<Vec<_>>();
        let id = |text| NormalId::of(text).expect("an id");
        assert_eq!(ids("1000000000000001"), [id("1000000000000001"), id("00038d7ea4c68001")]);
        assert_eq!(ids("0000000000000016"), [id("0000000000000016")], "numbers are not padded");
        assert_eq!(ids("1000000000000000001"), [id("0de0b6b3a7640001")]);
        let spans = test_of(IdKind::Span, "1000000000000001").expect("an id").spans().map(|span| span.to_string());
        assert_eq!(spans.collect::<Vec<_>>(), ["1000000000000001", "00038d7ea4c68001"]);
    }

    #[test]
    fn every_character_of_an_opaque_id_counts() {
        assert_eq!(test_of(IdKind::Any, "abc:").expect("an id").id, NormalId::of("abc:"));
    }

    #[test]
    fn words_numbers_hosts_and_paths_are_no_ids() {
        for word in ["timeout", "card-declined", "10.0.0.1", "/api/v1/cart", "500", "1530074356", "v1.2.3", "p99", "-", "null", "defaced"] {
            assert!(!looks_like_id(word), "{word}");
        }
        for word in ["audit-7", "00f067aa0ba902b7", "6554734444506566495", "01HV3K8MXW2T"] {
            assert!(looks_like_id(word), "{word}");
        }
    }
}
