//! Values of Parquet's encodings, taken at single places.
//!
//! Whoever wants a few rows of a page would pay more for setting up decoders and passing over the other rows than for
//! the rows. Here a place is computed where the encoding allows it, and found by whole runs where it does not.
//! Places are asked for in ascending order.

use parquet::errors::{ParquetError, Result};

/// Numbers of a few bits in runs: one repeated, or some packed bit by bit (Parquet's "RLE / bit-packing hybrid").
#[derive(Debug)]
pub(super) struct Runs<'a> {
    /// What follows the current run.
    rest: &'a [u8],
    number_bits: u32,
    run: Run<'a>,
    /// The first place of the current run, and the one after its last.
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
enum Run<'a> {
    Repeated(u64),
    Packed(&'a [u8]),
}

impl<'a> Runs<'a> {
    pub(super) fn new(bytes: &'a [u8], number_bits: u32) -> Result<Runs<'a>> {
        if number_bits > u32::BITS {
            return Err(malformed("numbers in runs are wider than 32 bits"));
        }
        Ok(Runs { rest: bytes, number_bits, run: Run::Repeated(0), start: 0, end: 0 })
    }

    /// The number at a place.
    pub(super) fn get(&mut self, place: usize) -> Result<u64> {
        while place >= self.end {
            self.advance()?;
        }
        Ok(match self.run {
            Run::Repeated(number) => number,
            Run::Packed(bytes) => bits(bytes, (place - self.start) * self.number_bits as usize, self.number_bits),
        })
    }

    /// The first numbers, all of them.
    pub(super) fn first(&mut self, count: usize, numbers: &mut Vec<u32>) -> Result<()> {
        numbers.clear();
        while numbers.len() < count {
            self.advance()?;
            let here = (self.end - self.start).min(count - numbers.len());
            match self.run {
                Run::Repeated(number) => numbers.extend(std::iter::repeat_n(number as u32, here)),
                Run::Packed(bytes) => unpack(bytes, self.number_bits, here, numbers),
            }
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        let header = varint(&mut self.rest)?;
        let count = usize::try_from(header >> 1)?;
        let length = if header & 1 == 1 {
            let bytes = count.saturating_mul(self.number_bits as usize).min(self.rest.len());
            self.run = Run::Packed(take(&mut self.rest, bytes)?);
            count.saturating_mul(8)
        } else {
            let bytes = take(&mut self.rest, self.number_bits.div_ceil(8) as usize)?;
            self.run = Run::Repeated(bits(bytes, 0, self.number_bits));
            count
        };
        if length == 0 {
            return Err(malformed("a run is empty"));
        }
        (self.start, self.end) = (self.end, self.end.saturating_add(length));
        Ok(())
    }
}

/// Adds the first `count` of packed numbers; what is missing is zero. Eight of them take as many bytes as each takes bits.
fn unpack(bytes: &[u8], number_bits: u32, count: usize, numbers: &mut Vec<u32>) {
    let start = numbers.len();
    if (1..=8).contains(&number_bits) {
        let mask = u64::MAX >> (u64::BITS - number_bits);
        numbers.resize(start + count.next_multiple_of(8), 0);
        for (eight, packed) in numbers[start..].chunks_exact_mut(8).zip(bytes.chunks(number_bits as usize)) {
            let mut word = [0; 8];
            word[..packed.len()].copy_from_slice(packed);
            let word = u64::from_le_bytes(word);
            for (at, number) in eight.iter_mut().enumerate() {
                *number = ((word >> (at as u32 * number_bits)) & mask) as u32;
            }
        }
        numbers.truncate(start + count);
    } else {
        numbers.extend((0..count).map(|at| bits(bytes, at * number_bits as usize, number_bits) as u32));
    }
}

/// Which rows of a page have a value, and the place of theirs among the values.
#[derive(Debug)]
pub(super) enum Presence<'a> {
    /// All of them.
    All,
    /// Those whose level is one.
    Some {
        levels: Runs<'a>,
        /// Values before the current run.
        before: usize,
    },
}

impl<'a> Presence<'a> {
    /// Of levels that are zero or one.
    pub(super) fn of_levels(bytes: &'a [u8]) -> Result<Presence<'a>> {
        Ok(Presence::Some { levels: Runs::new(bytes, 1)?, before: 0 })
    }

    /// The place of a row's value.
    pub(super) fn place(&mut self, row: usize) -> Result<Option<usize>> {
        let Presence::Some { levels, before } = self else { return Ok(Some(row)) };
        while row >= levels.end {
            *before += levels.run.ones(levels.end - levels.start);
            levels.advance()?;
        }
        let within = row - levels.start;
        Ok(match levels.run {
            Run::Repeated(0) => None,
            Run::Repeated(_) => Some(*before + within),
            Run::Packed(bytes) if bits(bytes, within, 1) == 0 => None,
            Run::Packed(_) => Some(*before + levels.run.ones(within)),
        })
    }
}

impl Run<'_> {
    /// How many of the first `count` numbers are one.
    fn ones(&self, count: usize) -> usize {
        match self {
            Run::Repeated(0) => 0,
            Run::Repeated(_) => count,
            Run::Packed(bytes) => {
                let whole = bytes[..(count / 8).min(bytes.len())].iter().map(|byte| byte.count_ones()).sum::<u32>();
                let rest = bits(bytes, count / 8 * 8, (count % 8) as u32).count_ones();
                (whole + rest) as usize
            }
        }
    }
}

/// The values of a page, without those that are not there.
#[derive(Debug)]
pub(super) enum Values<'a> {
    /// Each so many bytes.
    Fixed(&'a [u8], usize),
    /// The first bytes of all, then their second ones, and so on.
    Split(&'a [u8], usize),
    /// Decoded already.
    Numbers(Vec<u64>),
    /// One bit each.
    Bits(&'a [u8]),
    /// Each after its length.
    Texts(Texts<'a>),
    /// Their codes in a dictionary.
    Codes(Runs<'a>),
}

impl<'a> Values<'a> {
    /// Codes, after the byte that says how wide they are. Where every value is missing there is not even that.
    pub(super) fn codes(bytes: &'a [u8]) -> Result<Values<'a>> {
        let (number_bits, runs) = bytes.split_first().unwrap_or((&0, &[]));
        Ok(Values::Codes(Runs::new(runs, u32::from(*number_bits))?))
    }

    /// The number, or the code of the value, at a place.
    pub(super) fn number(&mut self, place: usize) -> Result<u64> {
        match self {
            Values::Fixed(bytes, width) => Ok(little_endian(fixed(bytes, *width, place)?)),
            Values::Split(bytes, width) => {
                let count = bytes.len() / *width;
                if place >= count {
                    return Err(ends_early());
                }
                Ok((0..*width).fold(0, |number, byte| number | u64::from(bytes[byte * count + place]) << (8 * byte)))
            }
            Values::Numbers(numbers) => numbers.get(place).copied().ok_or_else(ends_early),
            Values::Bits(bytes) => match bytes.get(place / 8) {
                Some(byte) => Ok(u64::from(byte >> (place % 8) & 1)),
                None => Err(ends_early()),
            },
            Values::Codes(runs) => runs.get(place),
            Values::Texts(_) => Err(malformed("there are texts where numbers should be")),
        }
    }

    /// The bytes at a place.
    pub(super) fn bytes(&mut self, place: usize) -> Result<&'a [u8]> {
        match self {
            Values::Fixed(bytes, width) => fixed(bytes, *width, place),
            Values::Texts(texts) => texts.get(place),
            _ => Err(malformed("there are numbers where bytes should be")),
        }
    }
}

/// Texts, each after its length in four bytes.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    /// From the text at `next` on.
    rest: &'a [u8],
    next: usize,
}

impl<'a> Texts<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Texts<'a> {
        Texts { rest: bytes, next: 0 }
    }

    /// The text at a place, or an error where it was passed already.
    fn get(&mut self, place: usize) -> Result<&'a [u8]> {
        let passed = place.checked_sub(self.next).ok_or_else(|| malformed("a text is asked for that was passed"))?;
        for _ in 0..passed {
            self.next()?;
        }
        self.next()
    }

    /// The next text.
    pub(super) fn next(&mut self) -> Result<&'a [u8]> {
        let length = take(&mut self.rest, 4)?;
        self.next += 1;
        take(&mut self.rest, little_endian(length) as usize)
    }
}

/// The first `count` numbers of differences in blocks, each block with the smallest of its differences
/// (`DELTA_BINARY_PACKED`).
pub(super) fn sums(mut bytes: &[u8], count: usize) -> Result<Vec<u64>> {
    let block = usize::try_from(varint(&mut bytes)?)?;
    let parts = usize::try_from(varint(&mut bytes)?)?;
    let part = block.checked_div(parts).filter(|part| *part > 0).ok_or_else(|| malformed("a block of differences has no parts"))?;
    let count = count.min(usize::try_from(varint(&mut bytes)?)?);
    let mut number = zigzag(varint(&mut bytes)?);
    let mut numbers = Vec::with_capacity(count);
    numbers.push(number);
    while numbers.len() < count {
        let smallest = zigzag(varint(&mut bytes)?);
        for width in take(&mut bytes, parts)? {
            let wanted = part.min(count.saturating_sub(numbers.len()));
            if wanted == 0 {
                break;
            }
            let width = u32::from(*width).min(u64::BITS);
            let packed_bytes = (part.saturating_mul(width as usize) / 8).min(bytes.len());
            let packed = take(&mut bytes, packed_bytes)?;
            numbers.extend((0..wanted).map(|at| {
                number = number.wrapping_add(smallest).wrapping_add(bits(packed, at * width as usize, width));
                number
            }));
        }
    }
    Ok(numbers)
}

/// Cuts off the first bytes.
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(count).ok_or_else(ends_early)?;
    *bytes = rest;
    Ok(first)
}

/// A number of at most eight bytes.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn fixed(bytes: &[u8], width: usize, place: usize) -> Result<&[u8]> {
    let start = place.saturating_mul(width);
    bytes.get(start..start.saturating_add(width)).ok_or_else(ends_early)
}

/// `count` bits from bit `from` on, the lowest of a byte first; what is missing is zero.
fn bits(bytes: &[u8], from: usize, count: u32) -> u64 {
    let bytes = bytes.get(from / 8..).unwrap_or_default();
    if let Some(word) = bytes.first_chunk::<8>()
        && from as u32 % 8 + count < u64::BITS
    {
        return (u64::from_le_bytes(*word) >> (from % 8)) & ((1 << count) - 1);
    }
    let word = match bytes.first_chunk::<16>() {
        Some(word) => u128::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
    };
    ((word >> (from % 8)) & ((1 << count) - 1)) as u64
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(malformed("a number has more than 64 bits"))
}

/// A signed number whose lowest bit is its sign.
fn zigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

fn ends_early() -> ParquetError {
    malformed("it ends before the rows that are wanted")
}

pub(super) fn malformed(what: &str) -> ParquetError {
    ParquetError::General(format!("a page cannot be decoded: {what}"))
}
