//! logfmt: `key=value` pairs, quoted where needed.

use serde_json::value::RawValue;

use super::super::terminal::visible;
use super::super::wire::{Record, plain};
use super::fields;

/// One record.
pub(crate) fn line(raw: &RawValue, record: &Record, chosen: &[String]) -> anyhow::Result<String> {
    if !chosen.is_empty() {
        let pairs = fields::chosen(raw, chosen)?;
        return Ok(join(pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, plain(&value))))));
    }
    let mut pairs = vec![
        ("ts".to_owned(), record.timestamp.to_string()),
        ("kind".to_owned(), record.kind.clone()),
        ("service".to_owned(), record.service.clone()),
    ];
    let mut optional = |key: &str, value: Option<String>| pairs.extend(value.map(|value| (key.to_owned(), value)));
    optional("level", record.severity.clone());
    optional("name", record.name.clone());
    optional("msg", record.body.as_ref().map(plain));
    optional("duration_ns", record.duration_ns.map(|duration| duration.to_string()));
    optional("status", record.status.clone());
    optional("status_message", record.status_message.clone());
    optional("trace_id", record.trace_id.clone());
    optional("span_id", record.span_id.clone());
    optional("request_id", record.request_ids.first().cloned());
    let known = pairs.len();
    for (key, value) in &record.attributes {
        // An attribute that was taken for one of the fields above says the same again.
        if !pairs[..known].iter().any(|(name, _)| name == key) {
            pairs.push((key.clone(), plain(value)));
        }
    }
    Ok(join(pairs))
}

/// Pairs on one line.
pub(crate) fn join(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    pairs.into_iter().map(|(key, value)| format!("{}={}", word(&key), quoted(&value))).collect::<Vec<_>>().join(" ")
}

/// A key has no blanks, quotes or equals signs.
fn word(key: &str) -> String {
    visible(key).chars().map(|c| if c == ' ' || c == '=' || c == '"' { '_' } else { c }).collect()
}

fn quoted(value: &str) -> String {
    if !value.is_empty() && !value.contains([' ', '"', '=', '\\']) && visible(value).len() == value.len() {
        return value.to_owned();
    }
    format!("\"{}\"", visible(&value.replace('\\', "\\\\").replace('"', "\\\"")))
}
