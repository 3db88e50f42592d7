//! The protobuf wire format, read field by field from a slice (protobuf.dev, "Encoding").
//!
//! Nothing is copied and nothing is allocated: a field is a number with a scalar or a sub-slice.

use super::DecodeError;

/// The fields of one message, in the order they were written.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// The next field; `None` at the end of the message. Groups, which no OTLP message has, are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, DecodeError> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let (field, kind) = self.key()?;
            match kind {
                0 => return Ok(Some((field, Wire::Varint(self.varint()?)))),
                1 => return Ok(Some((field, Wire::Fixed64(u64::from_le_bytes(self.array()?))))),
                2 => return Ok(Some((field, Wire::Bytes(self.bytes()?)))),
                3 => self.skip_group(field)?,
                5 => return Ok(Some((field, Wire::Fixed32(u32::from_le_bytes(self.array()?))))),
                _ => return Err(DecodeError::wire(format!("field {field} has wire type {kind}, which does not exist here"))),
            }
        }
    }

    fn key(&mut self) -> Result<(u32, u8), DecodeError> {
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).ok().filter(|field| *field != 0);
        let field = field.ok_or_else(|| DecodeError::wire(format!("{} is not a field number", key >> 3)))?;
        Ok((field, (key & 7) as u8))
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (n, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                if n == 9 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[n + 1..];
                return Ok(value);
            }
        }
        Err(DecodeError::wire(if self.rest.len() < 10 { "it ends within a number" } else { "a number is longer than 64 bits" }))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::wire("it ends within a number"));
        };
        self.rest = rest;
        Ok(*head)
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        let head = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((head, rest)) = head else {
            return Err(DecodeError::wire(format!("a field claims {length} bytes where {} are left", self.rest.len())));
        };
        self.rest = rest;
        Ok(head)
    }

    /// Skips to the end of a group, without recursion.
    fn skip_group(&mut self, field: u32) -> Result<(), DecodeError> {
        const GROUPS_OPEN_MAX: usize = 100;
        let mut open = vec![field];
        while let Some(&innermost) = open.last() {
            if self.rest.is_empty() {
                return Err(DecodeError::wire("it ends within a group"));
            }
            let (field, kind) = self.key()?;
            match kind {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.bytes()?),
                3 if open.len() < GROUPS_OPEN_MAX => open.push(field),
                4 if field == innermost => drop(open.pop()),
                5 => drop(self.array::<4>()?),
                _ => return Err(DecodeError::wire("groups are nested too deeply or closed in the wrong order")),
            }
        }
        Ok(())
    }
}

impl<'a> Wire<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            other => Err(other.mismatch("bytes")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::wire("a string is not UTF-8"))
    }

    pub(crate) fn varint(self) -> Result<u64, DecodeError> {
        match self {
            Wire::Varint(number) => Ok(number),
            other => Err(other.mismatch("a varint")),
        }
    }

    /// A `uint32` or an enum: senders may sign-extend, the low 32 bits count.
    pub(crate) fn low_u32(self) -> Result<u32, DecodeError> {
        Ok(self.varint()? as u32)
    }

    pub(crate) fn fixed64(self) -> Result<u64, DecodeError> {
        match self {
            Wire::Fixed64(number) => Ok(number),
            other => Err(other.mismatch("64 fixed bits")),
        }
    }

    pub(crate) fn fixed32(self) -> Result<u32, DecodeError> {
        match self {
            Wire::Fixed32(number) => Ok(number),
            other => Err(other.mismatch("32 fixed bits")),
        }
    }

    fn mismatch(self, wanted: &str) -> DecodeError {
        DecodeError::wire(format!("a field holds {self:.60?} where {wanted} belong"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, DecodeError> {
        let mut fields = Fields::of(message);
        std::iter::from_fn(|| fields.next().transpose()).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x01, b'x', 0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x25, 2, 0, 0, 0];
        let fields = all(&message).unwrap();
        assert_eq!(fields, [(1, Wire::Varint(150)), (2, Wire::Bytes(b"x")), (3, Wire::Fixed64(1)), (4, Wire::Fixed32(2))]);
    }

    #[test]
    fn otlp_69_groups_of_a_future_version_are_skipped() {
        // Group 5 { group 6 { 1: 7 } } then field 1.
        assert_eq!(all(&[0x2b, 0x33, 0x08, 0x07, 0x34, 0x2c, 0x08, 0x01]).unwrap(), [(1, Wire::Varint(1))]);
        assert!(all(&[0x2b, 0x33, 0x2c]).is_err());
    }

    #[test]
    fn otlp_39_messages_that_end_early_are_errors() {
        for message in [&[0x08][..], &[0x08, 0x80], &[0x12, 0x05, b'x'], &[0x19, 1, 2], &[0x00, 0x00], &[0x0f], &[0x08; 1]] {
            assert!(all(message).is_err(), "{message:?}");
        }
        assert!(all(&[&[0x08][..], &[0xff; 10]].concat()).is_err());
    }
}
