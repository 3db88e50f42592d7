//! Scalars of ProtoJSON, in every form a sender may write them (protobuf.dev, "ProtoJSON Format").

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::notices::{Notices, count};

/// A scalar as it stands in the JSON; `null` means the field is unset.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) enum Scalar<'a> {
    #[default]
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// 2^64 and 2^63: the first doubles that no longer fit.
const U64_END: f64 = 18_446_744_073_709_551_616.0;
const I64_END: f64 = 9_223_372_036_854_775_808.0;

impl<'a> Scalar<'a> {
    /// An unsigned integer: a number or its digits, with an exponent if it is integral all the same.
    pub(super) fn unsigned(&self) -> Result<u64, String> {
        match self {
            Scalar::Null => Ok(0),
            Scalar::Unsigned(number) => Ok(*number),
            Scalar::Float(number) if number.fract() == 0.0 && (0.0..U64_END).contains(number) => Ok(*number as u64),
            Scalar::Text(text) => match text.trim().parse::<u64>() {
                Ok(number) => Ok(number),
                Err(_) => text
                    .trim()
                    .parse()
                    .ok()
                    .and_then(|n| Scalar::Float(n).unsigned().ok())
                    .ok_or_else(|| self.misfit("an unsigned integer")),
            },
            _ => Err(self.misfit("an unsigned integer")),
        }
    }

    /// A signed integer.
    pub(super) fn signed(&self) -> Result<i64, String> {
        let misfit = || self.misfit("an integer of 64 bits");
        match self {
            Scalar::Null => Ok(0),
            Scalar::Unsigned(number) => i64::try_from(*number).map_err(|_| misfit()),
            Scalar::Signed(number) => Ok(*number),
            Scalar::Float(number) if number.fract() == 0.0 && (-I64_END..I64_END).contains(number) => Ok(*number as i64),
            Scalar::Text(text) => match text.trim().parse::<i64>() {
                Ok(number) => Ok(number),
                Err(_) => text.trim().parse().ok().and_then(|n| Scalar::Float(n).signed().ok()).ok_or_else(misfit),
            },
            _ => Err(misfit()),
        }
    }

    pub(super) fn unsigned_32(&self) -> Result<u32, String> {
        u32::try_from(self.unsigned()?).map_err(|_| self.misfit("an integer of 32 bits"))
    }

    /// An enum: its number, or its name, which senders must not write and some do.
    pub(super) fn enumeration(&self, names: &[(&str, i32)], notices: &Notices) -> Result<i32, String> {
        if let Scalar::Text(text) = self
            && let Some((_, number)) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text))
        {
            count(&notices.enum_names);
            return Ok(*number);
        }
        i32::try_from(self.signed()?).map_err(|_| self.misfit("an enum's number"))
    }

    pub(super) fn double(&self) -> Result<f64, String> {
        match self {
            Scalar::Null => Ok(0.0),
            Scalar::Unsigned(number) => Ok(*number as f64),
            Scalar::Signed(number) => Ok(*number as f64),
            Scalar::Float(number) => Ok(*number),
            Scalar::Text(text) => match text.as_ref() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                digits => digits.trim().parse().map_err(|_| self.misfit("a number")),
            },
            Scalar::Bool(_) => Err(self.misfit("a number")),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, String> {
        match self {
            Scalar::Null => Ok(false),
            Scalar::Bool(yes) => Ok(*yes),
            Scalar::Text(text) if text == "true" => Ok(true),
            Scalar::Text(text) if text == "false" => Ok(false),
            _ => Err(self.misfit("true or false")),
        }
    }

    pub(super) fn text(self) -> Result<Cow<'a, str>, String> {
        match self {
            Scalar::Null => Ok(Cow::Borrowed("")),
            Scalar::Text(text) => Ok(text),
            other => Err(other.misfit("a string")),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Scalar::Null
    }

    fn misfit(&self, wanted: &str) -> String {
        format!("{self:.80} is not {wanted}")
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Bool(yes) => write!(f, "{yes}"),
            Scalar::Unsigned(number) => write!(f, "{number}"),
            Scalar::Signed(number) => write!(f, "{number}"),
            Scalar::Float(number) => write!(f, "{number}"),
            Scalar::Text(text) => write!(f, "{:?}", text.chars().take(80).collect::<String>()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;
        impl<'de> Visitor<'de> for AnyScalar {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, a boolean or null")
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Unsigned(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Signed(value))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Float(value))
            }
            fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value)))
            }
        }
        deserializer.deserialize_any(AnyScalar)
    }
}
