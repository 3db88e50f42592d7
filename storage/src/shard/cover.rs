//! What the index of a shard covers: which values of a row are found by it, and what the narrowing has to know of
//! the rest.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::chunks;
use crate::model::{ColumnValue, RecordsView, SpanKind, StatusCode, Value, ValueKind, column};

/// A value longer than this many bytes is not in the index.
pub(super) const VALUE_BYTES_MAX: usize = 64;
/// More resources than this are not listed in the footer.
const RESOURCES_MAX: usize = 1_000;
/// They are packed once for each shard.
const PACKING_LEVEL: i32 = 9;

/// Keys and resources the narrowing has to know about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cover {
    /// Attribute keys that some row has as a double: doubles are asked for by range and are not in the index.
    pub(super) doubles: BTreeSet<String>,
    /// Every resource in the shard, as typed JSON; none when there are too many to list.
    #[serde(serialize_with = "packed", deserialize_with = "unpacked")]
    pub(super) resources: Option<Vec<String>>,
}

/// How resources are listed. They say nearly the same, and were a quarter of the tail.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    /// A JSON array: zstd, base64.
    Packed(String),
    /// Before shard format 3.
    Plain(Vec<String>),
}

fn packed<S: Serializer>(resources: &Option<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    let packed = resources.as_ref().map(|resources| {
        let json = serde_json::to_vec(resources).expect("strings are JSON");
        BASE64.encode(zstd::bulk::compress(&json, PACKING_LEVEL).expect("memory can be written to"))
    });
    packed.serialize(serializer)
}

fn unpacked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(match Option::<Listed>::deserialize(deserializer)? {
        None => None,
        Some(Listed::Plain(resources)) => Some(resources),
        Some(Listed::Packed(text)) => {
            let bytes = BASE64.decode(text).map_err(D::Error::custom)?;
            let json = chunks::decompress(&bytes.into()).map_err(D::Error::custom)?;
            Some(serde_json::from_slice(&json).map_err(D::Error::custom)?)
        }
    })
}

/// Finds out what is covered while rows go by.
#[derive(Debug, Default)]
pub(super) struct CoverBuilder {
    doubles: BTreeSet<String>,
    resources: BTreeSet<String>,
    last_resource: Option<String>,
}

impl CoverBuilder {
    /// Whether a value of this kind under this key is in the index.
    pub(super) fn covers(&mut self, key: &str, kind: ValueKind) -> bool {
        let double = kind == ValueKind::Double;
        if double && !self.doubles.contains(key) {
            self.doubles.insert(key.to_owned());
        }
        !double
    }

    /// A row has this resource.
    pub(super) fn note_resource(&mut self, json: Option<&str>) {
        if json.is_some() && json != self.last_resource.as_deref() {
            self.last_resource = json.map(str::to_owned);
            if self.resources.len() <= RESOURCES_MAX {
                self.resources.extend(json.map(str::to_owned));
            }
        }
    }

    /// What is covered.
    pub(super) fn finish(self) -> Cover {
        let all = self.resources.len() <= RESOURCES_MAX;
        Cover { doubles: self.doubles, resources: all.then(|| self.resources.into_iter().collect()) }
    }
}

/// Calls `visit` with the columns of a row whose values are in the index, and the values.
pub(super) fn for_each_column_value<'a>(view: &RecordsView<'a>, row: usize, mut visit: impl FnMut(&'static str, &'a str)) {
    let columns = [
        (column::SERVICE_NAME, Some(view.service(row))),
        (column::NAME, view.name(row)),
        (column::STATUS_CODE, view.status(row).map(StatusCode::name)),
        (column::KIND, view.kind(row).map(SpanKind::name)),
        (column::EVENT_NAME, view.event_name(row)),
    ];
    for (name, value) in columns {
        if let Some(value) = value.filter(|value| value.len() <= VALUE_BYTES_MAX) {
            visit(name, value);
        }
    }
}

/// Calls `visit` with the text of a value and, for an array, of each value in it: a test on an array
/// holds when it holds for one of them.
pub(super) fn for_each_value(value: ColumnValue<'_>, visit: &mut dyn FnMut(&str)) {
    let text = value.text();
    if text.len() <= VALUE_BYTES_MAX {
        visit(&text);
    }
    if value.kind() == ValueKind::Array
        && let Value::Array(values) = value.to_value()
    {
        for value in values {
            for_each_value(ColumnValue::Text(value.kind(), &value.text()), visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_packed_and_plain_ones_are_read() {
        let resources: Vec<String> = (0..90).map(|pod| format!(r#"{{"service.name":"shop","k8s.pod.name":"shop-{pod}"}}"#)).collect();
        let cover = Cover { doubles: BTreeSet::from(["took_ms".to_owned()]), resources: Some(resources.clone()) };
        let json = serde_json::to_string(&cover).unwrap();
        assert!(json.len() < resources.concat().len() / 4, "{} bytes", json.len());
        assert_eq!(serde_json::from_str::<Cover>(&json).unwrap(), cover);
        let plain = serde_json::json!({"doubles": ["took_ms"], "resources": resources}).to_string();
        assert_eq!(serde_json::from_str::<Cover>(&plain).unwrap(), cover);
        let none = Cover { resources: None, ..cover };
        assert_eq!(serde_json::from_str::<Cover>(&serde_json::to_string(&none).unwrap()).unwrap(), none);
        assert!(serde_json::from_str::<Cover>(r#"{"doubles":[],"resources":"AAAA"}"#).is_err());
    }
}
