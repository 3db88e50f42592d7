//! `AnyValue`, `KeyValue` lists and other objects of OTLP/JSON.
//!
//! Fields come in any order and any may be `null`, so an object is first cut into its fields as raw
//! slices of the body; each slice is then read once, by who knows its type. Keys are accepted in
//! lowerCamelCase, as the specification demands, and in snake_case, as several senders write them.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use needle_storage::model::{Attributes, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json_scalar::Scalar;
use super::{Budget, DecodeError};
use crate::notices::{Notices, count};

/// Why a record cannot be used, or why the whole request cannot.
#[derive(Debug)]
pub(super) enum JsonError {
    Record(String),
    Request(DecodeError),
}

impl From<String> for JsonError {
    fn from(reason: String) -> Self {
        JsonError::Record(reason)
    }
}

impl From<DecodeError> for JsonError {
    fn from(error: DecodeError) -> Self {
        JsonError::Request(error)
    }
}

impl From<serde_json::Error> for JsonError {
    /// A value of the wrong type concerns its record; text that is no JSON concerns the request.
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() { JsonError::Record(error.to_string()) } else { JsonError::Request(DecodeError::Json(error.to_string())) }
    }
}

pub(super) type JsonResult<T> = Result<T, JsonError>;

/// Calls `field` with the name and the raw value of each field of the object `json` that is not `null`.
/// The name is in lowerCamelCase, however it was written.
pub(super) fn each_field<'a>(
    notices: &Notices,
    json: &'a RawValue,
    mut field: impl FnMut(&str, &'a RawValue) -> JsonResult<()>,
) -> JsonResult<()> {
    let mut failed = None;
    let fields = EachField(|name: Cow<'a, str>, value: &'a RawValue| match field(&notices.camel_case(name), value) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    let read = serde_json::Deserializer::from_str(json.get()).deserialize_map(fields);
    match failed {
        Some(error) => Err(error),
        None => Ok(read?),
    }
}

struct EachField<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue) -> bool> Visitor<'de> for EachField<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        while let Some(name) = access.next_key::<Cow<'de, str>>()? {
            let value: &'de RawValue = access.next_value()?;
            if value.get() != "null" && !(self.0)(name, value) {
                return Err(serde::de::Error::custom("a field is unusable"));
            }
        }
        Ok(())
    }
}

/// Calls `item` with each item of the list `json` that is not `null`.
pub(super) fn each_item<'a>(json: &'a RawValue, mut item: impl FnMut(&'a RawValue) -> JsonResult<()>) -> JsonResult<()> {
    let mut failed = None;
    let items = EachItem(|value: &'a RawValue| match item(value) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    let read = serde_json::Deserializer::from_str(json.get()).deserialize_seq(items);
    match failed {
        Some(error) => Err(error),
        None => Ok(read?),
    }
}

struct EachItem<F>(F);

impl<'de, F: FnMut(&'de RawValue) -> bool> Visitor<'de> for EachItem<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        while let Some(value) = access.next_element::<&'de RawValue>()? {
            if value.get() != "null" && !(self.0)(value) {
                return Err(serde::de::Error::custom("an item is unusable"));
            }
        }
        Ok(())
    }
}

/// Reads a scalar; the field's name stands in the reason if it is none.
pub(super) fn scalar<'a>(name: &str, json: &'a RawValue) -> JsonResult<Scalar<'a>> {
    serde_json::from_str(json.get()).map_err(|error: serde_json::Error| match JsonError::from(error) {
        JsonError::Record(reason) => JsonError::Record(format!("{name}: {reason}")),
        request => request,
    })
}

/// Reads the `KeyValue` list of `attributes`.
pub(super) fn attributes(json: &RawValue, budget: &mut Budget) -> JsonResult<Attributes> {
    let mut entries = Vec::new();
    let read = serde_json::Deserializer::from_str(json.get()).deserialize_any(KeyValues { entries: &mut entries, budget });
    settle(read, budget)?;
    Ok(entries)
}

/// Reads an `AnyValue`.
pub(super) fn any_value(json: &RawValue, budget: &mut Budget) -> JsonResult<Value> {
    let read = AnyValue { budget }.deserialize(&mut serde_json::Deserializer::from_str(json.get()));
    settle(read, budget)
}

/// serde carries errors as text only: a limit that was exceeded is told from the budget.
fn settle<T>(read: Result<T, serde_json::Error>, budget: &mut Budget) -> JsonResult<T> {
    read.map_err(|error| {
        let limit = budget.exceeded();
        budget.surface();
        limit.map_or_else(|| JsonError::from(error), JsonError::Request)
    })
}

struct AnyValue<'b> {
    budget: &'b mut Budget,
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AnyValue object such as {\"stringValue\":\"...\"}")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        use serde::de::Error as _;
        let mut value = Value::Empty;
        while let Some(name) = access.next_key::<Cow<'de, str>>()? {
            let name = self.budget.notices.camel_case(name);
            let set = match name.as_ref() {
                "arrayValue" => access.next_value_seed(Wrapped { budget: self.budget, map: false })?,
                "kvlistValue" => access.next_value_seed(Wrapped { budget: self.budget, map: true })?,
                "stringValue" | "boolValue" | "intValue" | "doubleValue" | "bytesValue" => {
                    let scalar: Scalar<'de> = access.next_value()?;
                    if scalar.is_null() { None } else { Some(scalar_value(&name, scalar).map_err(A::Error::custom)?) }
                }
                other => {
                    if other == "stringValueStrindex" {
                        count(&self.budget.notices.string_indexes);
                    }
                    access.next_value::<IgnoredAny>()?;
                    None
                }
            };
            value = set.unwrap_or(value);
        }
        Ok(value)
    }
}

fn scalar_value(name: &str, scalar: Scalar<'_>) -> Result<Value, String> {
    let value = match name {
        "stringValue" => scalar.text().map(|text| Value::String(text.into_owned())),
        "boolValue" => scalar.boolean().map(Value::Bool),
        "intValue" => scalar.signed().map(Value::Int),
        "doubleValue" => scalar.double().map(Value::Double),
        _ => scalar.text().and_then(|text| base64_bytes(&text)).map(Value::Bytes),
    };
    value.map_err(|reason| format!("{name}: {reason}"))
}

/// Base64 of either alphabet, padded or not.
fn base64_bytes(text: &str) -> Result<Vec<u8>, String> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).map_err(|error| format!("it is not base64: {error}"))
}

/// `{"values":[...]}` of an array or a map; without `values` it is empty.
struct Wrapped<'b> {
    budget: &'b mut Budget,
    map: bool,
}

impl<'de> DeserializeSeed<'de> for Wrapped<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wrapped<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `values`")
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Option<Value>, A::Error> {
        use serde::de::Error as _;
        self.budget.descend().map_err(A::Error::custom)?;
        let (mut values, mut entries) = (Vec::new(), Vec::new());
        while let Some(name) = access.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "values" if self.map => {
                    entries.clear();
                    access.next_value_seed(KeyValues { entries: &mut entries, budget: self.budget })?;
                }
                "values" => {
                    values.clear();
                    access.next_value_seed(Values { values: &mut values, budget: self.budget })?;
                }
                _ => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        self.budget.ascend();
        Ok(Some(if self.map { Value::Map(entries) } else { Value::Array(values) }))
    }
}

/// A list of `AnyValue`s; a `null` among them is an empty value.
struct Values<'b> {
    values: &'b mut Vec<Value>,
    budget: &'b mut Budget,
}

/// A list of `KeyValue`s.
struct KeyValues<'b> {
    entries: &'b mut Attributes,
    budget: &'b mut Budget,
}

macro_rules! list_seed {
    ($seed:ident) => {
        impl<'de> DeserializeSeed<'de> for $seed<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}
list_seed!(Values);
list_seed!(KeyValues);

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of AnyValue objects")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        use serde::de::Error as _;
        while let Some(value) = access.next_element_seed(AnyValue { budget: self.budget })? {
            self.budget.element().map_err(A::Error::custom)?;
            self.values.push(value);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for KeyValues<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of {\"key\":...,\"value\":...} objects")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        use serde::de::Error as _;
        while let Some(entry) = access.next_element_seed(OneKeyValue { budget: self.budget })? {
            self.budget.element().map_err(A::Error::custom)?;
            self.entries.push(entry);
        }
        Ok(())
    }
}

struct OneKeyValue<'b> {
    budget: &'b mut Budget,
}

impl<'de> DeserializeSeed<'de> for OneKeyValue<'_> {
    type Value = (String, Value);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneKeyValue<'_> {
    type Value = (String, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `key` and `value`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let (mut key, mut value) = (String::new(), Value::Empty);
        while let Some(name) = access.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "key" => key = access.next_value::<Scalar<'de>>()?.text().map_err(A::Error::custom)?.into_owned(),
                "value" => value = access.next_value_seed(AnyValue { budget: self.budget })?,
                other => {
                    if self.budget.notices.camel_case(other.into()) == "keyStrindex" {
                        count(&self.budget.notices.string_indexes);
                    }
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((key, value))
    }
}
