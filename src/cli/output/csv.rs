//! CSV (RFC 4180), with a header.

use needle_web::query::no_formula;
use serde_json::value::RawValue;

use super::super::wire::{Record, plain};
use super::fields;

const COLUMNS: [&str; 14] = [
    "timestamp",
    "kind",
    "service",
    "severity",
    "name",
    "body",
    "duration_ns",
    "status",
    "status_message",
    "trace_id",
    "span_id",
    "request_ids",
    "attributes",
    "resource",
];

/// The header.
pub(crate) fn header(chosen: &[String]) -> String {
    if chosen.is_empty() { COLUMNS.join(",") } else { row(chosen.iter().cloned()) }
}

/// One record.
pub(crate) fn line(raw: &RawValue, record: &Record, chosen: &[String]) -> anyhow::Result<String> {
    if !chosen.is_empty() {
        return Ok(row(fields::chosen(raw, chosen)?.into_iter().map(|(_, value)| value.as_ref().map(plain).unwrap_or_default())));
    }
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(row([
        record.timestamp.to_string(),
        record.kind.clone(),
        record.service.clone(),
        optional(&record.severity),
        optional(&record.name),
        record.body.as_ref().map(plain).unwrap_or_default(),
        record.duration_ns.map(|duration| duration.to_string()).unwrap_or_default(),
        optional(&record.status),
        optional(&record.status_message),
        optional(&record.trace_id),
        optional(&record.span_id),
        record.request_ids.join(" "),
        serde_json::to_string(&record.attributes)?,
        serde_json::to_string(&record.resource)?,
    ]))
}

/// A row of values.
pub(crate) fn row(values: impl IntoIterator<Item = String>) -> String {
    values.into_iter().map(|value| quoted(&value)).collect::<Vec<_>>().join(",")
}

fn quoted(value: &str) -> String {
    let value = no_formula(value);
    if value.contains([',', '"', '\n', '\r']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.into_owned() }
}
