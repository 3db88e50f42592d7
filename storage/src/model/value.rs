//! Typed attribute values and their text form.
//!
//! An attribute stands in the columns as text plus a letter for its kind, so that any Parquet reader
//! sees plain text while the type survives. Arrays and maps are written as JSON in which integers
//! have no point, doubles always have one, and what JSON lacks is an object with one `$` key:
//! `{"$bytes":"<base64>"}` and `{"$double":"NaN"}`. A key that itself begins with `$` gets a second one.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A list of keys with values, in the order they came in.
pub type Attributes = Vec<(String, Value)>;

/// A value of any kind OTLP knows (`opentelemetry.proto.common.v1.AnyValue`).
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Present without a value.
    #[default]
    Empty,
    /// Text.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// Values of any kinds.
    Array(Vec<Value>),
    /// Keys with values, in order.
    Map(Attributes),
}

/// The letter that stands for a value's kind in `attribute_types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// `e`
    Empty,
    /// `s`
    String,
    /// `i`
    Int,
    /// `d`
    Double,
    /// `b`
    Bool,
    /// `x`
    Bytes,
    /// `a`
    Array,
    /// `m`
    Map,
}

impl ValueKind {
    /// The letter of this kind.
    pub fn letter(self) -> u8 {
        match self {
            ValueKind::Empty => b'e',
            ValueKind::String => b's',
            ValueKind::Int => b'i',
            ValueKind::Double => b'd',
            ValueKind::Bool => b'b',
            ValueKind::Bytes => b'x',
            ValueKind::Array => b'a',
            ValueKind::Map => b'm',
        }
    }

    /// The kind of a letter; an unknown one reads as text.
    pub fn from_letter(letter: u8) -> ValueKind {
        match letter {
            b'e' => ValueKind::Empty,
            b'i' => ValueKind::Int,
            b'd' => ValueKind::Double,
            b'b' => ValueKind::Bool,
            b'x' => ValueKind::Bytes,
            b'a' => ValueKind::Array,
            b'm' => ValueKind::Map,
            _ => ValueKind::String,
        }
    }
}

/// A value as it stands in a column, not copied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColumnValue<'a> {
    /// The column text of a value of some kind ([`Value::write_text`]).
    Text(ValueKind, &'a str),
    /// From a column of integers.
    Int(i64),
    /// From a column of doubles.
    Double(f64),
    /// From a column of booleans.
    Bool(bool),
}

impl<'a> ColumnValue<'a> {
    /// The kind of the value.
    pub fn kind(&self) -> ValueKind {
        match self {
            ColumnValue::Text(kind, _) => *kind,
            ColumnValue::Int(_) => ValueKind::Int,
            ColumnValue::Double(_) => ValueKind::Double,
            ColumnValue::Bool(_) => ValueKind::Bool,
        }
    }

    /// Its column text.
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            ColumnValue::Text(_, text) => Cow::Borrowed(text),
            ColumnValue::Int(number) => Cow::Owned(itoa::Buffer::new().format(*number).to_owned()),
            ColumnValue::Double(number) => Cow::Owned(Value::Double(*number).text()),
            ColumnValue::Bool(true) => Cow::Borrowed("true"),
            ColumnValue::Bool(false) => Cow::Borrowed("false"),
        }
    }

    /// The number it is, or that its text says.
    pub fn number(&self) -> Option<f64> {
        match self {
            ColumnValue::Text(_, text) => text.parse().ok(),
            ColumnValue::Int(number) => Some(*number as f64),
            ColumnValue::Double(number) => Some(*number),
            ColumnValue::Bool(_) => None,
        }
    }

    /// The integer it is, or that its text says.
    pub fn integer(&self) -> Option<i64> {
        match self {
            ColumnValue::Text(_, text) => text.parse().ok(),
            ColumnValue::Int(number) => Some(*number),
            ColumnValue::Double(_) | ColumnValue::Bool(_) => None,
        }
    }

    /// The number it counts as when values are added up: also one that stands in a text, none of what is no number.
    pub(crate) fn counted(&self) -> Option<f64> {
        match self.kind() {
            ValueKind::Int | ValueKind::Double => self.number().filter(|number| !number.is_nan()),
            ValueKind::String => self.number().filter(|number| number.is_finite()),
            _ => None,
        }
    }

    /// The truth value it is.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            ColumnValue::Bool(truth) => Some(*truth),
            ColumnValue::Text(ValueKind::Bool, text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The value itself.
    pub fn to_value(&self) -> Value {
        match self {
            ColumnValue::Text(kind, text) => Value::from_text(*kind, text),
            ColumnValue::Int(number) => Value::Int(*number),
            ColumnValue::Double(number) => Value::Double(*number),
            ColumnValue::Bool(value) => Value::Bool(*value),
        }
    }
}

impl Value {
    /// The bytes it holds beside itself.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(values) => values.iter().map(|value| size_of::<Value>() + value.size_bytes()).sum(),
            Value::Map(entries) => entries.iter().map(|(key, value)| size_of::<(String, Value)>() + key.len() + value.size_bytes()).sum(),
            Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
        }
    }

    /// This value's kind.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Empty => ValueKind::Empty,
            Value::String(_) => ValueKind::String,
            Value::Int(_) => ValueKind::Int,
            Value::Double(_) => ValueKind::Double,
            Value::Bool(_) => ValueKind::Bool,
            Value::Bytes(_) => ValueKind::Bytes,
            Value::Array(_) => ValueKind::Array,
            Value::Map(_) => ValueKind::Map,
        }
    }

    /// Appends the column text of this value: bare text for scalars, JSON for arrays and maps.
    pub fn write_text(&self, out: &mut String) {
        match self {
            Value::Empty => {}
            Value::String(text) => out.push_str(text),
            Value::Double(number) if !number.is_finite() => out.push_str(non_finite(*number)),
            Value::Bytes(bytes) => BASE64.encode_string(bytes, out),
            other => other.write_json(out),
        }
    }

    /// The column text of this value.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out);
        out
    }

    /// Reads back what [`Value::write_text`] wrote. Text that does not fit its kind comes back as text.
    pub fn from_text(kind: ValueKind, text: &str) -> Value {
        let parsed = match kind {
            ValueKind::Empty => Some(Value::Empty),
            ValueKind::String => None,
            ValueKind::Int => text.parse().ok().map(Value::Int),
            ValueKind::Double => text.parse().ok().map(Value::Double),
            ValueKind::Bool => text.parse().ok().map(Value::Bool),
            ValueKind::Bytes => BASE64.decode(text).ok().map(Value::Bytes),
            ValueKind::Array | ValueKind::Map => Value::from_json(text).ok(),
        };
        parsed.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    /// Appends this value as JSON that keeps types.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Value::Empty => out.push_str("null"),
            Value::String(text) => write_json_string(text, out),
            Value::Int(number) => out.push_str(itoa::Buffer::new().format(*number)),
            Value::Double(number) if number.is_finite() => out.push_str(ryu::Buffer::new().format_finite(*number)),
            Value::Double(number) => {
                out.push_str("{\"$double\":\"");
                out.push_str(non_finite(*number));
                out.push_str("\"}");
            }
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Bytes(bytes) => {
                out.push_str("{\"$bytes\":\"");
                BASE64.encode_string(bytes, out);
                out.push_str("\"}");
            }
            Value::Array(values) => {
                out.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    value.write_json(out);
                }
                out.push(']');
            }
            Value::Map(entries) => write_json_map(entries, out),
        }
    }

    /// Reads back what [`Value::write_json`] wrote.
    pub fn from_json(text: &str) -> Result<Value, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The entry of a map value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Appends a JSON object of `entries`, in order, duplicates kept.
pub(crate) fn write_json_map(entries: &[(String, Value)], out: &mut String) {
    out.push('{');
    for (n, (key, value)) in entries.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        if key.starts_with('$') {
            write_json_string(&format!("${key}"), out);
        } else {
            write_json_string(key, out);
        }
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

fn write_json_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
}

fn non_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TypedJson)
    }
}

struct TypedJson;

impl<'de> Visitor<'de> for TypedJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        // Beyond i64 no integer kind exists in OTLP; the digits are kept as text rather than rounded.
        Ok(i64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries: Attributes = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(untype(entries))
    }
}

/// Turns the `$` forms back into what they stand for.
fn untype(mut entries: Attributes) -> Value {
    if let [(key, Value::String(text))] = entries.as_slice() {
        let typed = match key.as_str() {
            "$bytes" => BASE64.decode(text).ok().map(Value::Bytes),
            "$double" => text.parse().ok().map(Value::Double),
            _ => None,
        };
        if let Some(value) = typed {
            return value;
        }
    }
    for (key, _) in &mut entries {
        if key.starts_with("$$") {
            key.remove(0);
        }
    }
    Value::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Empty),
            any::<String>().prop_map(Value::String),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("NaN is not equal to itself", |n| !n.is_nan()).prop_map(Value::Double),
            any::<bool>().prop_map(Value::Bool),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ];
        let key = prop_oneof![any::<String>(), Just("$$bytes".to_owned()), Just("$bytes".to_owned())];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((key.clone(), inner), 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn text_and_json_read_back_as_the_same_value(value in any_value()) {
            prop_assert_eq!(&Value::from_text(value.kind(), &value.text()), &value);
            let mut json = String::new();
            value.write_json(&mut json);
            prop_assert_eq!(&Value::from_json(&json).unwrap(), &value);
        }
    }

    #[test]
    fn not_a_number_reads_back() {
        let Value::Double(number) = Value::from_text(ValueKind::Double, &Value::Double(f64::NAN).text()) else { panic!("not a double") };
        assert!(number.is_nan());
    }
}
