//! `--fields`: a choice of a record's fields, by the names of the query language.

use anyhow::Context;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::terminal::visible;
use super::super::wire::plain;
use super::Mark;

/// A record as JSON on one line, marked if marks are asked for.
pub(crate) fn json(raw: &RawValue, names: &[String], mark: Mark) -> anyhow::Result<String> {
    let json = if names.is_empty() {
        raw.get().to_owned()
    } else {
        let present = chosen(raw, names)?.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        serde_json::to_string(&present.collect::<Map<String, Value>>())?
    };
    Ok(match (mark, json.strip_prefix('{')) {
        (Mark::Hit, Some("}")) => "{\"hit\":true}".to_owned(),
        (Mark::Hit, Some(rest)) => format!("{{\"hit\":true,{rest}"),
        _ => json,
    })
}

/// Values for reading, `-` for what a record does not have.
pub(crate) fn human(raw: &RawValue, names: &[String]) -> anyhow::Result<String> {
    let values = chosen(raw, names)?;
    Ok(values
        .iter()
        .map(|(_, value)| value.as_ref().map_or("-".to_owned(), |value| visible(&plain(value)).into_owned()))
        .collect::<Vec<_>>()
        .join("  "))
}

/// Values as they are, with tabs between.
pub(crate) fn raw(raw: &RawValue, names: &[String]) -> anyhow::Result<String> {
    let values = chosen(raw, names)?;
    Ok(values.iter().map(|(_, value)| value.as_ref().map(plain).unwrap_or_default()).collect::<Vec<_>>().join("\t"))
}

/// The fields of a record, in the order asked for.
pub(crate) fn chosen(raw: &RawValue, names: &[String]) -> anyhow::Result<Vec<(String, Option<Value>)>> {
    let record: Map<String, Value> = serde_json::from_str(raw.get()).context("a record of the answer cannot be read")?;
    Ok(names.iter().map(|name| (name.clone(), field(&record, name).cloned())).collect())
}

/// A field by the query language's rules: `attr.k` and `resource.k` are explicit; an alias or a field of the record comes
/// before its attributes, these before its resource.
fn field<'a>(record: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let inner = |map: &str, key: &str| record.get(map).and_then(|map| map.get(key));
    if let Some(key) = name.strip_prefix("attr.") {
        return inner("attributes", key);
    }
    if let Some(key) = name.strip_prefix("resource.") {
        return inner("resource", key);
    }
    let alias = match name {
        "ts" | "time" => "timestamp",
        "level" => "severity",
        "message" | "msg" => "body",
        "duration" => "duration_ns",
        "service.name" => "service",
        name => name,
    };
    if name == "request_id" {
        return record.get("request_ids").and_then(|ids| ids.get(0));
    }
    let key = if name == "env" { "deployment.environment.name" } else { name };
    record.get(alias).or_else(|| inner("attributes", key)).or_else(|| inner("resource", key))
}
