//! The patterns by which log lines name their ids.

use needle_storage::model::TraceId;
use regex::{Captures, Regex, RegexBuilder};

use super::headers::{self, parse_decimal_span, parse_decimal_trace, parse_span, parse_trace};
use super::{FoundIds, KeyKind, Place, UNLISTED};

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// One expression for all patterns, so that a text is read once.
pub(super) struct TextPatterns {
    any: Regex,
}

impl TextPatterns {
    pub(super) fn new(request_id_keys: &[String]) -> TextPatterns {
        let mut keys: Vec<String> = request_id_keys.iter().map(|key| key_pattern(key)).filter(|pattern| !pattern.is_empty()).collect();
        keys.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        keys.dedup();
        let listed = if keys.is_empty() { r"a\bb".to_owned() } else { keys.join("|") };
        // `"` and `'` may stand around key and value, and be escaped themselves (JSON in a string).
        let quote = r#"\\?["']?"#;
        let between = format!(r"{quote}\s*(?:=>?|:)\s*{quote}\[?{quote}");
        let pattern = format!(
            r#"\b(?:(?:{listed}){between}(?P<request>[a-z0-9][a-z0-9_.:+/=@~-]*)
            |(?P<req>req-{UUID})\b
            |(?:x-b3-|(?P<decimal_trace>dd[._]|x-datadog-)|otel[._])?trace[-_.]?id{between}(?P<trace>[0-9a-f]{{32}}|[0-9a-f]{{16}}|{UUID}|[0-9]{{15,20}})\b
            |(?:x-b3-|(?P<decimal_span>dd[._])|otel[._])?span[-_.]?id{between}(?P<span>[0-9a-f]{{16}}|[0-9]{{15,20}})\b
            |(?P<traceparent>[0-9a-f]{{2}}-[0-9a-f]{{32}}-[0-9a-f]{{16}}-[0-9a-f]{{2}})\b
            |x-amzn-trace-id{between}(?P<amzn>[0-9a-z=;-]+))
            |(?:^|[\s\]])\[(?P<bracket>{UUID})\]
            |\[[\w.-]*,\s?(?P<sleuth_trace>[0-9a-f]{{32}}|[0-9a-f]{{16}}),\s?(?P<sleuth_span>[0-9a-f]{{16}})(?:,\s?(?:true|false))?\]"#
        );
        let any = RegexBuilder::new(&pattern).case_insensitive(true).ignore_whitespace(true).unicode(false).build();
        TextPatterns { any: any.expect("keys are escaped, the rest is constant") }
    }

    /// Takes every id that `text` names.
    pub(super) fn find(&self, text: &str, found: &mut FoundIds) {
        let mut bracketed = None;
        for captures in self.any.captures_iter(text) {
            bracketed = bracketed.or(captures.name("bracket").map(|id| id.as_str()));
            take(&captures, found);
        }
        // A bare UUID in brackets may be anything's id. Where the line names its request otherwise, it is not the request's.
        if let Some(id) = bracketed.filter(|_| found.requests.is_empty()) {
            found.request(Place::Text, UNLISTED, id);
        }
    }
}

fn take(captures: &Captures<'_>, found: &mut FoundIds) {
    let group = |name: &str| captures.name(name).map(|found| found.as_str());
    if let Some(value) = group("request") {
        let value = value.trim_end_matches(['.', ':', '/', '=', '+', '-', ',']);
        // "request id: is missing" names none: in prose an id is told from a word by its digits.
        let assigned = captures[0].contains('=');
        if assigned || value.bytes().any(|b| b.is_ascii_digit()) {
            found.request(Place::Text, 0, value);
        }
    } else if let Some(value) = group("req") {
        found.request(Place::Text, UNLISTED, value);
    } else if let Some(id) = trace_in(captures) {
        found.trace(Place::Text, id);
        found.spans.extend(group("sleuth_span").and_then(parse_span).map(|id| (Place::Text, id)));
    } else if let Some(id) = group("span").and_then(if group("decimal_span").is_some() { parse_decimal_span } else { parse_span }) {
        found.spans.push((Place::Text, id));
    } else if let Some(value) = group("traceparent") {
        found.context(Place::Text, headers::traceparent(value));
    } else if let Some(value) = group("amzn") {
        found.take(Place::Text, KeyKind::AmznTrace, value);
    }
}

fn trace_in(captures: &Captures<'_>) -> Option<TraceId> {
    let digits = captures.name("trace").or_else(|| captures.name("sleuth_trace"))?.as_str();
    if captures.name("decimal_trace").is_some() { parse_decimal_trace(digits) } else { parse_trace(digits) }
}

/// `requestId`, `request_id` and `request.id` all become `request[-_.]?id`.
fn key_pattern(key: &str) -> String {
    let mut words: Vec<String> = vec![String::new()];
    let mut before_lower = false;
    for c in key.chars() {
        if matches!(c, '-' | '_' | '.' | ' ') || (c.is_ascii_uppercase() && before_lower) {
            words.push(String::new());
        }
        before_lower = c.is_ascii_lowercase();
        if c.is_alphanumeric() {
            words.last_mut().expect("there is a first word").push(c.to_ascii_lowercase());
        }
    }
    let words: Vec<String> = words.iter().filter(|word| !word.is_empty()).map(|word| regex::escape(word)).collect();
    words.join("[-_.]?")
}
