//! `AnyValue` and `KeyValue` of protobuf, written straight into columns.

use std::borrow::Cow;

use needle_storage::model::{AttributesBuilder, ValueKind};

use super::typed_json::{self, Object};
use super::wire::Fields;
use super::{Budget, DecodeError};
use crate::notices::count;

/// An `AnyValue`; arrays and maps are still bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Any<'a> {
    Empty,
    String(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(&'a [u8]),
    Array(Cow<'a, [u8]>),
    Map(Cow<'a, [u8]>),
}

impl<'a> Any<'a> {
    /// Reads an `AnyValue`, or a further part of one: protobuf merges a message that is sent in parts as if their bytes stood
    /// in one row. The last member of the `oneof` counts, of an array or a map with all its parts. An index into the profiles'
    /// string table (field 8) has no meaning here and leaves the value as it is.
    pub(crate) fn read(&mut self, message: &'a [u8], budget: &Budget) -> Result<(), DecodeError> {
        let mut fields = Fields::of(message);
        while let Some((field, wire)) = fields.next()? {
            match (field, &mut *self) {
                (1, _) => *self = Any::String(wire.text()?),
                (2, _) => *self = Any::Bool(wire.varint()? != 0),
                (3, _) => *self = Any::Int(wire.varint()? as i64),
                (4, _) => *self = Any::Double(f64::from_bits(wire.fixed64()?)),
                (5, Any::Array(parts)) | (6, Any::Map(parts)) => parts.to_mut().extend_from_slice(wire.bytes()?),
                (5, _) => *self = Any::Array(wire.bytes()?.into()),
                (6, _) => *self = Any::Map(wire.bytes()?.into()),
                (7, _) => *self = Any::Bytes(wire.bytes()?),
                (8, _) => count(&budget.notices.string_indexes),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the column text of this value to `scratch` where it is not text already.
    pub(crate) fn column<'s>(&self, scratch: &'s mut String, budget: &mut Budget) -> Result<(ValueKind, &'s str), DecodeError>
    where
        'a: 's,
    {
        scratch.clear();
        let kind = match self {
            Any::Empty => ValueKind::Empty,
            Any::String(text) => return Ok((ValueKind::String, text)),
            Any::Int(number) => {
                typed_json::push_integer(scratch, *number);
                ValueKind::Int
            }
            Any::Double(number) => {
                needle_storage::model::Value::Double(*number).write_text(scratch);
                ValueKind::Double
            }
            Any::Bool(yes) => {
                scratch.push_str(if *yes { "true" } else { "false" });
                ValueKind::Bool
            }
            Any::Bytes(bytes) => {
                use base64::Engine as _;
                base64::engine::general_purpose::STANDARD.encode_string(bytes, scratch);
                ValueKind::Bytes
            }
            Any::Array(_) | Any::Map(_) => {
                self.write_json(scratch, budget)?;
                if matches!(self, Any::Array(_)) { ValueKind::Array } else { ValueKind::Map }
            }
        };
        Ok((kind, scratch))
    }

    /// Appends this value as typed JSON. The depth is bounded by the budget, so the recursion is too.
    pub(crate) fn write_json(&self, out: &mut String, budget: &mut Budget) -> Result<(), DecodeError> {
        match self {
            Any::Empty => out.push_str("null"),
            Any::String(text) => typed_json::push_string(out, text),
            Any::Int(number) => typed_json::push_integer(out, *number),
            Any::Double(number) => typed_json::push_double(out, *number),
            Any::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            Any::Bytes(bytes) => typed_json::push_bytes(out, bytes),
            Any::Array(message) => {
                budget.descend()?;
                write_array(message, out, budget)?;
                budget.ascend();
            }
            Any::Map(message) => {
                budget.descend()?;
                write_map(message, 1, out, budget)?;
                budget.ascend();
            }
        }
        Ok(())
    }
}

fn write_array(message: &[u8], out: &mut String, budget: &mut Budget) -> Result<(), DecodeError> {
    out.push('[');
    let mut first = true;
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        if field == 1 {
            budget.element()?;
            if !first {
                out.push(',');
            }
            first = false;
            let mut any = Any::Empty;
            any.read(wire.bytes()?, budget)?;
            any.write_json(out, budget)?;
        }
    }
    out.push(']');
    Ok(())
}

/// Appends the `KeyValue`s in field `number` of `message` as a typed JSON object, other fields aside.
pub(crate) fn write_map(message: &[u8], number: u32, out: &mut String, budget: &mut Budget) -> Result<(), DecodeError> {
    let mut object = Object::begin(out);
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        if field == number {
            budget.element()?;
            let (key, any) = key_value(wire.bytes()?, budget)?;
            any.write_json(object.attribute(key), budget)?;
        }
    }
    object.end();
    Ok(())
}

/// Reads a `KeyValue`.
pub(crate) fn key_value<'a>(message: &'a [u8], budget: &Budget) -> Result<(&'a str, Any<'a>), DecodeError> {
    let (mut key, mut any) = ("", Any::Empty);
    let mut fields = Fields::of(message);
    while let Some((field, wire)) = fields.next()? {
        match field {
            1 => key = wire.text()?,
            2 => any.read(wire.bytes()?, budget)?,
            3 => count(&budget.notices.string_indexes),
            _ => {}
        }
    }
    Ok((key, any))
}

/// Adds a `KeyValue` to the attributes of the row being built.
pub(crate) fn push_attribute(
    message: &[u8],
    attributes: &mut AttributesBuilder,
    scratch: &mut String,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    budget.element()?;
    let (key, any) = key_value(message, budget)?;
    let (kind, text) = any.column(scratch, budget)?;
    attributes.push_with(key, kind, |out| out.push_str(text));
    Ok(())
}
