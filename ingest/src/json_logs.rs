//! JSON logs: one object, an array of objects, or objects line by line.
//!
//! A line that is not JSON becomes a record with that text. In an array the `line` of a rejection is the
//! number of the element, counted from 1.

use std::borrow::Cow;
use std::fmt;

use needle_storage::RawRequest;
use needle_storage::model::{Attributes, Value, ValueKind};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::{Budget, DecodeError, Decoder, Outcome};
use crate::levels::severity_of;
use crate::rows::{LogRows, RawLog};
use crate::text_logs::{NOT_UTF8, append_text, lines};
use crate::times::{self, TimeReader};

/// Keys of the time, the text, the level and the service; the first found wins. Case does not matter.
const TIME_KEYS: &[&str] = &["timestamp", "time", "ts", "@timestamp", "date", "datetime", "asctime", "@t"];
const TEXT_KEYS: &[&str] = &["message", "msg", "body", "log", "fields.message", "@m", "event"];
const LEVEL_KEYS: &[&str] = &["level", "severity", "lvl", "log.level", "levelname", "loglevel", "level_name", "@l"];
const SERVICE_KEYS: &[&str] = &["service", "service.name", "app", "application", "logger_service"];

pub(crate) fn decode(decoder: &Decoder, request: &RawRequest) -> Result<Outcome, DecodeError> {
    let mut reader = Reader {
        rows: LogRows::new(decoder, request, 0),
        budget: Budget::new(&decoder.settings, request.body.len()),
        request,
        times: TimeReader::of(request)?,
        nesting_max: decoder.settings.nesting_max,
    };
    match std::str::from_utf8(&request.body) {
        Ok(text) => reader.text(text.strip_prefix('\u{feff}').unwrap_or(text))?,
        Err(_) => reader.lines()?,
    }
    reader.times.tell(&reader.budget.notices);
    Ok(reader.rows.finish(&reader.budget))
}

struct Reader<'d> {
    rows: LogRows<'d>,
    budget: Budget,
    request: &'d RawRequest,
    times: TimeReader,
    nesting_max: usize,
}

impl Reader<'_> {
    fn text(&mut self, text: &str) -> Result<(), DecodeError> {
        let mut begin = text.chars().filter(|c| !c.is_whitespace());
        match (begin.next(), begin.next()) {
            (Some('['), Some('{' | ']')) => self.array(text),
            (Some('{'), _) => match objects(text) {
                Some(objects) => objects.into_iter().try_for_each(|(line, json)| self.object(line, json)),
                None => self.lines(),
            },
            _ => self.lines(),
        }
    }

    fn array(&mut self, text: &str) -> Result<(), DecodeError> {
        let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| DecodeError::Json(error.to_string()))?;
        for (n, element) in elements.into_iter().enumerate() {
            self.object(n + 1, element.get())?;
        }
        Ok(())
    }

    fn lines(&mut self) -> Result<(), DecodeError> {
        let request = self.request;
        for line in lines(&request.body) {
            let Ok(text) = std::str::from_utf8(&request.body[line.start..line.end]) else {
                self.budget.rows(1)?;
                self.rows.reject(line.number, NOT_UTF8);
                continue;
            };
            let trimmed = text.trim();
            if trimmed.is_empty() {
                continue;
            }
            if trimmed.starts_with('{') && serde_json::from_str::<&RawValue>(trimmed).is_ok() {
                self.object(line.number, trimmed)?;
            } else {
                self.budget.rows(1)?;
                self.rows.builder.set_service(request.service.as_deref());
                append_text(&mut self.rows, line.number, text, self.times.leading(text));
            }
        }
        Ok(())
    }

    fn object(&mut self, line: usize, json: &str) -> Result<(), DecodeError> {
        self.budget.rows(1)?;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let value = Plain { budget: &mut self.budget }.deserialize(&mut deserializer);
        if let Err(error) = &value {
            match self.budget.exceeded() {
                Some(DecodeError::Nesting(_)) => {
                    // Nested too deep is this record's fault alone.
                    self.budget.surface();
                    let limit = self.nesting_max;
                    self.rows.reject(line, format!("a value is nested more than {limit} deep: flatten it, or raise nesting_max"));
                }
                Some(limit) => return Err(limit),
                None => self.rows.reject(line, format!("it cannot be read: {error}")),
            }
            return Ok(());
        }
        match value {
            Ok(Value::Map(entries)) => self.record(line, entries, json.len()),
            _ => self.rows.reject(line, "it is not a JSON object: send {\"message\": ...}"),
        }
        Ok(())
    }

    fn record(&mut self, line: usize, entries: Attributes, bytes: usize) {
        let mut fields = Fields::default();
        entries.into_iter().for_each(|(key, value)| fields.flatten(key, value));
        let time = fields.take(TIME_KEYS, |value| match value {
            Value::String(text) => self.times.of_text(text),
            Value::Int(_) | Value::Double(_) => times::of_number(&value.text()),
            _ => None,
        });
        let body = fields.take(TEXT_KEYS, |value| (*value != Value::Empty).then(|| (value.kind(), value.text())));
        let level = fields
            .take(LEVEL_KEYS, |value| matches!(value.kind(), ValueKind::String | ValueKind::Int | ValueKind::Double).then(|| value.text()));
        let service = fields.take(SERVICE_KEYS, |value| value.as_str().filter(|name| !name.is_empty()).map(str::to_owned));
        self.rows.builder.set_service(service.as_deref().or(self.request.service.as_deref()));
        for (key, value) in &fields.rest {
            self.rows.builder.attributes().push(key, value);
        }
        let severity = level.as_deref().and_then(severity_of).unwrap_or_default();
        let raw = RawLog {
            time: time.map_or(0, |time| time.0),
            severity_number: severity.0.into(),
            severity_text: level.as_deref().unwrap_or(""),
            body: body.as_ref().map(|(kind, text)| (*kind, text.as_str())),
            bytes,
            ..RawLog::default()
        };
        self.rows.append(line, &raw);
    }
}

/// The objects of a text that is nothing but objects, however they are laid out, each with its line.
fn objects(text: &str) -> Option<Vec<(usize, &str)>> {
    let mut objects = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let (mut line, mut counted) = (1, 0);
    while let Some(value) = stream.next() {
        let json = value.ok()?.get();
        let start = stream.byte_offset() - json.len();
        line += memchr::memchr_iter(b'\n', &text.as_bytes()[counted..start]).count();
        counted = start;
        objects.push((line, json));
        if !json.starts_with('{') {
            return None;
        }
    }
    Some(objects)
}

/// The members of an object, nested ones under dotted keys.
#[derive(Default)]
struct Fields {
    rest: Attributes,
}

impl Fields {
    fn flatten(&mut self, key: String, value: Value) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                for (name, value) in entries {
                    self.flatten(format!("{key}.{name}"), value);
                }
            }
            value => self.rest.push((key, value)),
        }
    }

    /// Takes out the first of `keys` whose value `read` can use; of a repeated key the last counts.
    fn take<T>(&mut self, keys: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        for key in keys {
            let found = self.rest.iter().enumerate().rev().find(|(_, (name, _))| name.eq_ignore_ascii_case(key));
            if let Some((at, value)) = found.and_then(|(at, (_, value))| Some((at, read(value)?))) {
                self.rest.remove(at);
                return Some(value);
            }
        }
        None
    }
}

/// JSON as it stands, every object a map.
struct Plain<'b> {
    budget: &'b mut Budget,
}

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
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
        // Beyond i64 there is no integer kind; the digits are kept rather than rounded.
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
        self.budget.descend().map_err(A::Error::custom)?;
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(Plain { budget: self.budget })? {
            self.budget.element().map_err(A::Error::custom)?;
            values.push(value);
        }
        self.budget.ascend();
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.budget.descend().map_err(A::Error::custom)?;
        let mut entries = Attributes::new();
        while let Some(key) = access.next_key::<Cow<'de, str>>()? {
            self.budget.element().map_err(A::Error::custom)?;
            entries.push((key.into_owned(), access.next_value_seed(Plain { budget: self.budget })?));
        }
        self.budget.ascend();
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests;
