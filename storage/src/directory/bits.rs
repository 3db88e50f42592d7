//! Numbers of any width, one after the other, lowest bit first.

/// A unary number is at most this large, so that it is read with one look.
pub(super) const UNARY_MAX: u64 = 32;

/// Bits on their way into bytes.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Fewer than eight bits that do not fill a byte yet.
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// How many bits were written.
    pub(super) fn bits(&self) -> usize {
        self.bytes.len() * 8 + self.pending_bits as usize
    }

    /// Writes the low `width` bits of `value`, at most 56.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        self.pending |= value << self.pending_bits;
        self.pending_bits += width;
        while self.pending_bits >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.pending_bits -= 8;
        }
    }

    /// Writes so many ones and a zero; at most [`UNARY_MAX`].
    pub(super) fn put_unary(&mut self, ones: u64) {
        self.put((1 << ones) - 1, ones as u32 + 1);
    }

    /// The bytes, the last one filled with zeros; the writer is empty then.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if self.pending_bits > 0 {
            bytes.push(self.pending as u8);
        }
        (self.pending, self.pending_bits) = (0, 0);
        bytes
    }
}

/// Reads what a [`BitWriter`] wrote.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// The next 57 bits at least; zeros beyond the end.
    fn look(&self) -> u64 {
        let rest = &self.bytes[(self.at / 8).min(self.bytes.len())..];
        let mut eight = [0; 8];
        match rest.first_chunk() {
            Some(whole) => eight = *whole,
            None => eight[..rest.len()].copy_from_slice(rest),
        }
        u64::from_le_bytes(eight) >> (self.at % 8)
    }

    fn skip(&mut self, width: u32) -> Option<()> {
        self.at += width as usize;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// The next `width` bits, at most 56; `None` beyond the end.
    pub(super) fn take(&mut self, width: u32) -> Option<u64> {
        let value = self.look() & ((1 << width) - 1);
        self.skip(width)?;
        Some(value)
    }

    /// The next unary number; `None` beyond the end or when it is none.
    pub(super) fn take_unary(&mut self) -> Option<u64> {
        let ones = self.look().trailing_ones();
        if u64::from(ones) > UNARY_MAX {
            return None;
        }
        self.skip(ones + 1)?;
        Some(u64::from(ones))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_read_back(numbers in prop::collection::vec((any::<u64>(), 0..=56_u32, 0..=UNARY_MAX), 0..50)) {
            let mut writer = BitWriter::default();
            for (value, width, ones) in &numbers {
                writer.put(value & ((1 << width) - 1), *width);
                writer.put_unary(*ones);
            }
            let bits = writer.bits();
            let bytes = writer.take_bytes();
            prop_assert_eq!(bytes.len(), bits.div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for (value, width, ones) in &numbers {
                prop_assert_eq!(reader.take(*width), Some(value & ((1 << width) - 1)));
                prop_assert_eq!(reader.take_unary(), Some(*ones));
            }
            prop_assert_eq!(reader.take(8), None);
        }
    }

    #[test]
    fn more_ones_than_a_number_has_are_none() {
        assert_eq!(BitReader::new(&[0xff; 8]).take_unary(), None);
        assert_eq!(BitReader::new(&[]).take_unary(), None);
    }
}
