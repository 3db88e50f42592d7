//! The headers that carry a trace, each in the form its specification gives it.

use needle_storage::model::{SpanId, TraceId};

/// A trace id and the span that sent it.
pub(super) type Context = (Option<TraceId>, Option<SpanId>);

/// A trace id in any spelling: 32 or 16 hex digits, a UUID, X-Ray's `1-8-24`, Datadog's decimal, or the
/// last part of Google's `projects/P/traces/ID`. 64 bits become the low half, as B3 pads them.
pub(super) fn parse_trace(text: &str) -> Option<TraceId> {
    let text = text.rsplit('/').next().unwrap_or(text);
    let text = text.strip_prefix("0x").unwrap_or(text);
    if let Some(id) = TraceId::from_hex(text) {
        return Some(id);
    }
    if let Some(low) = SpanId::from_hex(text).map(|id| id.0).or_else(|| decimal(text)) {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&low);
        return TraceId::from_bytes(&bytes);
    }
    let digits = text.strip_prefix("1-").filter(|rest| rest.len() == 33).unwrap_or(text);
    let bare: String = digits.chars().filter(|c| *c != '-').collect();
    // Only where dashes were dropped is this another spelling; 32 digits were tried above.
    if bare.len() == 32 && matches!(digits.len(), 33 | 36) { TraceId::from_hex(&bare) } else { None }
}

/// A span id: 16 hex digits or a decimal number of 64 bits.
pub(super) fn parse_span(text: &str) -> Option<SpanId> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    SpanId::from_hex(text).or_else(|| decimal(text).and_then(|bytes| SpanId::from_bytes(&bytes)))
}

/// A trace id where ids are decimal: 16 digits are a number, unless a zero pads them, as in hex.
pub(super) fn parse_decimal_trace(text: &str) -> Option<TraceId> {
    number(text).map_or_else(|| parse_trace(text), |low| TraceId::from_bytes(&[[0; 8], low].concat()))
}

/// A span id where ids are decimal.
pub(super) fn parse_decimal_span(text: &str) -> Option<SpanId> {
    number(text).map_or_else(|| parse_span(text), |bytes| SpanId::from_bytes(&bytes))
}

/// A decimal number as numbers are written, without zeros before it.
fn number(text: &str) -> Option<[u8; 8]> {
    if text.starts_with('0') { None } else { decimal(text) }
}

fn decimal(text: &str) -> Option<[u8; 8]> {
    let digits = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse::<u64>().ok().filter(|n| *n != 0).map(u64::to_be_bytes) } else { None }
}

/// W3C Trace Context, section 3.2: `00-<32 hex>-<16 hex>-<2 hex>`; later versions may say more after a dash.
pub(super) fn traceparent(text: &str) -> Context {
    let well_formed = text.len() >= 55
        && text.is_ascii()
        && text.bytes().enumerate().take(55).all(|(n, b)| if matches!(n, 2 | 35 | 52) { b == b'-' } else { b.is_ascii_hexdigit() })
        && !text[..2].eq_ignore_ascii_case("ff")
        && (text.len() == 55 || (text[..2] != *"00" && text.as_bytes()[55] == b'-'));
    if !well_formed {
        return (None, None);
    }
    match (TraceId::from_hex(&text[3..35]), SpanId::from_hex(&text[36..52])) {
        (Some(trace), Some(span)) => (Some(trace), Some(span)),
        _ => (None, None),
    }
}

/// B3 in one header: `{trace}-{span}-{sampled}-{parent}`, of which a lone sampling decision names none.
pub(super) fn b3(text: &str) -> Context {
    let mut parts = text.split('-');
    let trace = parts.next().filter(|part| matches!(part.len(), 16 | 32)).and_then(parse_trace);
    let span = trace.and_then(|_| parts.next()).and_then(SpanId::from_hex);
    (trace, span)
}

/// `Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1`. The load balancer's own `Self=1-...` is a further id.
pub(super) fn amzn_trace(text: &str) -> (Context, Option<&str>) {
    let field = |name: &str| {
        text.split(';')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let trace = field("Root").and_then(parse_trace).or_else(|| if text.contains('=') { None } else { parse_trace(text) });
    ((trace, field("Parent").and_then(SpanId::from_hex)), field("Self"))
}

/// `TRACE_ID/SPAN_ID;o=1`, the span in decimal.
pub(super) fn cloud_trace(text: &str) -> Context {
    let text = text.split(';').next().unwrap_or(text);
    let (trace, span) = text.split_once('/').unwrap_or((text, ""));
    let trace = TraceId::from_hex(trace);
    (trace, trace.and_then(|_| decimal(span)).and_then(|bytes| SpanId::from_bytes(&bytes)))
}
