//! Values of Parquet's encodings, taken at single places.
//!
//! Whoever wants a few rows of a page would pay more for setting up decoders and passing over the other rows than for
//! the rows. Here a place is computed where the encoding allows it, and found by whole runs where it does not.
//! Places are asked for in ascending order.

use std::ops::Range;

use parquet::errors::{ParquetError, Result};

/// Numbers of a few bits in runs: one repeated, or some packed bit by bit (Parquet's "RLE / bit-packing hybrid").
#[derive(Clone, Debug)]
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

    /// Hands out, in ascending ranges, the places of those of the first `count` numbers that pass.
    pub(super) fn places_passing(&mut self, count: usize, passing: &PassingCodes, take: &mut dyn FnMut(Range<usize>)) -> Result<()> {
        while self.end < count {
            self.advance()?;
            let places = self.start..self.end.min(count);
            match self.run {
                Run::Repeated(code) if passing.verdict(code)? => take(places),
                Run::Repeated(_) => {}
                Run::Packed(bytes) => passing.packed(bytes, self.number_bits, places, take)?,
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

/// Which codes of a dictionary pass a test.
pub(super) struct PassingCodes {
    /// By code.
    verdicts: Vec<bool>,
    /// Those that pass, if they are few.
    few: Option<Vec<u64>>,
}

/// So many codes are compared with eight at once; of more, each is looked up.
const FEW_CODES: usize = 4;

impl PassingCodes {
    pub(super) fn of(verdicts: Vec<bool>) -> PassingCodes {
        let passing: Vec<u64> = (0..).zip(&verdicts).filter(|(_, passes)| **passes).map(|(code, _)| code).collect();
        PassingCodes { few: (passing.len() <= FEW_CODES).then_some(passing), verdicts }
    }

    fn verdict(&self, code: u64) -> Result<bool> {
        let verdict = self.verdicts.get(usize::try_from(code).unwrap_or(usize::MAX));
        verdict.copied().ok_or_else(|| malformed("a code is in no dictionary"))
    }

    /// Hands out those of packed codes that pass, at places from `places.start` on. Codes that no dictionary has do not pass.
    fn packed(&self, bytes: &[u8], code_bits: u32, places: Range<usize>, take: &mut dyn FnMut(Range<usize>)) -> Result<()> {
        if let Some(few) = &self.few
            && (1..=8).contains(&code_bits)
        {
            compare_eights(bytes, code_bits, few, places, take);
            return Ok(());
        }
        for (at, place) in places.enumerate() {
            if self.verdict(bits(bytes, at * code_bits as usize, code_bits))? {
                take(place..place + 1);
            }
        }
        Ok(())
    }
}

/// Compares packed codes with a few, eight at a time: they take as many bytes as each of them takes bits.
fn compare_eights(bytes: &[u8], code_bits: u32, few: &[u64], places: Range<usize>, take: &mut dyn FnMut(Range<usize>)) {
    // Of each of eight: its lowest bit, its highest, and those below that.
    let lowest = (0..8).fold(0, |all, at| all | 1_u64 << (at * code_bits));
    let highest = lowest << (code_bits - 1);
    let below = highest - lowest;
    let of_few: Vec<u64> = few.iter().filter(|code| *code >> code_bits == 0).map(|code| lowest * code).collect();
    let all = u64::MAX >> (u64::BITS - 8 * code_bits);
    let mut rest = bytes;
    for start in places.clone().step_by(8) {
        // What follows the eight is read with them: so many bytes as their bits take cost more to copy than they cost in all else.
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word) & all,
            None if rest.is_empty() => return,
            None => {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(word) & all
            }
        };
        rest = rest.get(code_bits as usize..).unwrap_or_default();
        let mut hits = 0;
        for wanted in &of_few {
            // The sum has a highest bit where one below it differs, and carries no further.
            let differs = word ^ wanted;
            hits |= !(((differs & below) + below) | differs) & highest;
        }
        while hits > 0 {
            let place = start + (hits.trailing_zeros() / code_bits) as usize;
            if place < places.end {
                take(place..place + 1);
            }
            hits &= hits - 1;
        }
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

impl Presence<'_> {
    /// How many of the first rows have a value.
    pub(super) fn values(&self, rows: usize) -> Result<usize> {
        let Presence::Some { levels, .. } = self else { return Ok(rows) };
        let (mut levels, mut values) = (levels.clone(), 0);
        while levels.end < rows {
            levels.advance()?;
            values += levels.run.ones(levels.end.min(rows) - levels.start);
        }
        Ok(values)
    }

    /// Hands out the rows of values at ascending places, which are values of the first rows.
    pub(super) fn each_row(self, places: impl Iterator<Item = usize>, take: &mut dyn FnMut(usize)) -> Result<()> {
        let Presence::Some { mut levels, .. } = self else {
            places.for_each(take);
            return Ok(());
        };
        let (mut places, mut before) = (places.peekable(), 0);
        while places.peek().is_some() {
            levels.advance()?;
            let after = before + levels.run.ones(levels.end - levels.start);
            match levels.run {
                Run::Repeated(_) => {
                    while let Some(place) = places.next_if(|place| *place < after) {
                        take(levels.start + place - before);
                    }
                }
                Run::Packed(bytes) => {
                    for (row, byte) in (levels.start..).step_by(8).zip(bytes) {
                        let behind = before + byte.count_ones() as usize;
                        while let Some(place) = places.next_if(|place| *place < behind) {
                            let left = (before..place).fold(*byte, |left, _| left & left.wrapping_sub(1));
                            take(row + left.trailing_zeros() as usize);
                        }
                        before = behind;
                    }
                }
            }
            before = after;
        }
        Ok(())
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

/// Seven bits of a byte at a time, the lowest first, until a byte has its highest bit unset.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64> {
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
pub(super) fn zigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

fn ends_early() -> ParquetError {
    malformed("it ends before the rows that are wanted")
}

pub(super) fn malformed(what: &str) -> ParquetError {
    ParquetError::General(format!("a page cannot be decoded: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs of numbers as Parquet has them, each repeated so often, or packed with those that follow it.
    fn in_runs(runs: &[(u32, usize, bool)], number_bits: u32) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        for &(number, count, is_packed) in runs {
            if is_packed {
                let of_run: Vec<u32> = (0..count as u32 * 8).map(|at| (number + at * 7) % (1 << number_bits)).collect();
                bytes.push((count as u8) << 1 | 1);
                let all = of_run.iter().rev().fold(Vec::new(), |mut bits: Vec<bool>, number| {
                    bits.extend((0..number_bits).rev().map(|bit| number >> bit & 1 == 1));
                    bits
                });
                bytes.extend(all.rchunks(8).map(|byte| byte.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit))));
                numbers.extend(of_run);
            } else {
                bytes.push((count as u8) << 1);
                bytes.extend_from_slice(&number.to_le_bytes()[..number_bits.div_ceil(8) as usize]);
                numbers.extend(std::iter::repeat_n(number, count));
            }
        }
        (bytes, numbers)
    }

    fn runs(number_bits: u32) -> impl Strategy<Value = Vec<(u32, usize, bool)>> {
        prop::collection::vec((0..1_u32 << number_bits, 1..9_usize, any::<bool>()), 1..12)
    }

    proptest! {
        #[test]
        fn places_that_pass_are_those_whose_numbers_do(
            (number_bits, runs) in (0..11_u32).prop_flat_map(|number_bits| (Just(number_bits), runs(number_bits))),
            cut in 0..8_usize,
            every in 1..5_usize,
        ) {
            let (bytes, numbers) = in_runs(&runs, number_bits);
            let count = numbers.len().saturating_sub(cut);
            let passing = PassingCodes::of((0..1_usize << number_bits).map(|code| code.is_multiple_of(every)).collect());
            let mut found = Vec::new();
            Runs::new(&bytes, number_bits).unwrap().places_passing(count, &passing, &mut |places| found.extend(places)).unwrap();
            let expected: Vec<usize> = (0..count).filter(|place| (numbers[*place] as usize).is_multiple_of(every)).collect();
            prop_assert_eq!(found, expected);
            let mut one_by_one = Runs::new(&bytes, number_bits).unwrap();
            for (place, number) in numbers.iter().enumerate() {
                prop_assert_eq!(one_by_one.get(place).unwrap(), u64::from(*number));
            }
        }

        #[test]
        fn rows_of_places_are_those_where_the_values_stand(runs in runs(1), cut in 0..8_usize, every in 1..5_usize) {
            let (bytes, levels) = in_runs(&runs, 1);
            let rows = levels.len().saturating_sub(cut);
            let present: Vec<usize> = (0..rows).filter(|row| levels[*row] == 1).collect();
            let presence = Presence::of_levels(&bytes).unwrap();
            prop_assert_eq!(presence.values(rows).unwrap(), present.len());
            let mut found = Vec::new();
            presence.each_row((0..present.len()).step_by(every), &mut |row| found.push(row)).unwrap();
            prop_assert_eq!(found, present.iter().copied().step_by(every).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_code_that_no_dictionary_has_never_passes_and_is_refused_where_it_is_looked_up() {
        for (number_bits, code) in [(3, 7_u32), (8, 200), (9, 400)] {
            for is_packed in [true, false] {
                let (bytes, _) = in_runs(&[(code, 1, is_packed)], number_bits);
                let passing = PassingCodes::of([true, false, true, true, true, true].to_vec());
                assert!(
                    Runs::new(&bytes, number_bits).unwrap().places_passing(1, &passing, &mut |_| ()).is_err(),
                    "{number_bits} {is_packed}"
                );
                let mut found = 0;
                let few = PassingCodes::of([true, false].to_vec());
                let compared = Runs::new(&bytes, number_bits).unwrap().places_passing(1, &few, &mut |_| found += 1);
                assert_eq!((compared.is_ok(), found), (is_packed && number_bits <= 8, 0), "{number_bits} {is_packed}");
            }
        }
    }
}
