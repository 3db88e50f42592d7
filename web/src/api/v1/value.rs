//! Attribute values as JSON, types kept: integers stay integers beyond 2^53, doubles keep their point.

use std::sync::Arc;

use std::collections::HashMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use needle_query::model::{self, Value};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use utoipa::ToSchema;

/// Keys with values in the order sent. Bytes are base64 strings; what JSON has no number for is `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Clone, Debug, Default, PartialEq, ToSchema)]
#[schema(value_type = HashMap<String, serde_json::Value>, example = json!({"http.response.status_code": 502}))]
pub(crate) struct Attributes(pub(crate) Arc<model::Attributes>);

/// Any JSON value.
#[derive(Clone, Debug, PartialEq, ToSchema)]
#[schema(value_type = serde_json::Value)]
pub(crate) struct AnyValue(pub(crate) Value);

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_map(&self.0, serializer)
    }
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json(&self.0).serialize(serializer)
    }
}

struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Empty => serializer.serialize_unit(),
            Value::String(text) => serializer.serialize_str(text),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            // The spellings of the protobuf JSON mapping.
            Value::Double(number) if number.is_nan() => serializer.serialize_str("NaN"),
            Value::Double(number) => serializer.serialize_str(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Bytes(bytes) => serializer.collect_str(&Base64Display::new(bytes, &BASE64)),
            Value::Array(values) => serializer.collect_seq(values.iter().map(Json)),
            Value::Map(entries) => write_map(entries, serializer),
        }
    }
}

/// Of so many keys each is compared with those behind it, which costs less than a table of them.
const FEW_KEYS: usize = 32;

/// A key that comes twice keeps its last value, as JSON objects have each key once.
fn write_map<S: Serializer>(entries: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let last_places: Option<HashMap<&str, usize>> =
        (entries.len() > FEW_KEYS).then(|| entries.iter().enumerate().map(|(place, (key, _))| (key.as_str(), place)).collect());
    let is_last = |place: usize, key: &str| match &last_places {
        Some(last_places) => last_places[key] == place,
        None => entries[place + 1..].iter().all(|(later, _)| later != key),
    };
    let mut map = serializer.serialize_map(None)?;
    for (place, (key, value)) in entries.iter().enumerate() {
        if is_last(place, key) {
            map.serialize_entry(key, &Json(value))?;
        }
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value) -> String {
        serde_json::to_string(&AnyValue(value)).unwrap()
    }

    #[test]
    fn types_are_kept() {
        assert_eq!(written(Value::Int(9_007_199_254_740_993)), "9007199254740993");
        assert_eq!(written(Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(written(Value::Double(1.0)), "1.0");
        assert_eq!(written(Value::Double(0.1)), "0.1");
        assert_eq!(written(Value::Bool(false)), "false");
        assert_eq!(written(Value::Empty), "null");
        assert_eq!(written(Value::String("\u{1b}[31m\"</script>".to_owned())), r#""\u001b[31m\"</script>""#);
    }

    #[test]
    fn what_json_lacks_is_a_string() {
        assert_eq!(written(Value::Bytes(vec![0, 255, 16])), "\"AP8Q\"");
        assert_eq!(written(Value::Double(f64::NAN)), "\"NaN\"");
        assert_eq!(written(Value::Double(f64::INFINITY)), "\"Infinity\"");
        assert_eq!(written(Value::Double(f64::NEG_INFINITY)), "\"-Infinity\"");
    }

    #[test]
    fn nested_values_keep_their_order() {
        let inner = vec![("z".to_owned(), Value::Int(1)), ("a".to_owned(), Value::Array(vec![Value::Double(2.0), Value::Empty]))];
        assert_eq!(written(Value::Map(inner)), r#"{"z":1,"a":[2.0,null]}"#);
        assert_eq!(written(Value::Map(Vec::new())), "{}");
    }

    #[test]
    fn a_key_that_comes_twice_keeps_its_last_value() {
        let twice = vec![("k".to_owned(), Value::Int(1)), ("l".to_owned(), Value::Int(2)), ("k".to_owned(), Value::Int(3))];
        assert_eq!(serde_json::to_string(&Attributes(twice.into())).unwrap(), r#"{"l":2,"k":3}"#);
        for keys in [FEW_KEYS as i64 / 2, FEW_KEYS as i64] {
            let many = (0..2 * keys).map(|n| (format!("k{}", n % keys), Value::Int(n))).collect();
            let each: Vec<String> = (0..keys).map(|n| format!(r#""k{n}":{}"#, n + keys)).collect();
            assert_eq!(written(Value::Map(many)), format!("{{{}}}", each.join(",")));
        }
    }
}
