//! A block: entries in order of their keys, as gaps; read and verified as a whole.

use bytes::Bytes;

use super::bits::{BitReader, BitWriter, UNARY_MAX};

/// A block's length; only the last block of a run is shorter. About what a disk reads at once.
pub(super) const BLOCK_BYTES: usize = 4 << 10;
/// Checksum, number of entries, key of the first.
const HEAD_BYTES: usize = 4 + 2 + KEY_BYTES;
const BODY_BITS: usize = (BLOCK_BYTES - HEAD_BYTES) * 8;

/// How many high bits of a key are kept: among 2^30 entries a foreign key is found with p = 1/64, which costs a look into a shard's
/// own index. A bit more would halve that, and cost an eighth of a byte for every id.
pub(super) const KEY_BITS: u32 = 36;
pub(super) const KEY_BYTES: usize = KEY_BITS.div_ceil(8) as usize;

// Every entry takes at least one bit, so that the number of entries fits into its two bytes.
const _: () = assert!(BODY_BITS <= u16::MAX as usize);

/// A key, and the group of origins that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) group: u32,
}

/// How the entries of a run are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    /// Low bits of a gap that are written as they are; what is above them is unary (Rice coding).
    pub(super) gap_bits: u32,
    /// Number of groups; a group takes as many bits as this needs.
    pub(super) groups: u32,
}

impl Coding {
    /// The best one for so many entries at most.
    pub(super) fn of(entries_max: u64, groups: u32) -> Coding {
        let gap = (1_u64 << KEY_BITS) / entries_max.max(1);
        Coding { gap_bits: gap.max(1).ilog2(), groups }
    }

    pub(super) fn group_bits(self) -> u32 {
        u32::BITS - self.groups.saturating_sub(1).leading_zeros()
    }
}

/// Where a block belongs; part of its checksum, so that a block in a wrong place is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) run: u64,
    pub(super) block: u32,
}

impl Address {
    fn checksum(self, covered: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.run.to_le_bytes());
        hasher.update(&self.block.to_le_bytes());
        hasher.update(covered);
        hasher.finalize()
    }
}

/// The bytes of a key.
pub(super) fn key_bytes(key: u64) -> [u8; KEY_BYTES] {
    let bytes = key.to_le_bytes();
    std::array::from_fn(|at| bytes[at])
}

/// The key of such bytes.
pub(super) fn key_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// A block that is being filled.
#[derive(Debug)]
pub(super) struct BlockWriter {
    coding: Coding,
    first: u64,
    last: Option<Entry>,
    count: u16,
    bits: BitWriter,
}

impl BlockWriter {
    pub(super) fn new(coding: Coding) -> BlockWriter {
        BlockWriter { coding, first: 0, last: None, count: 0, bits: BitWriter::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an entry that is greater than the last. Whether it fits.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        let group_bits = self.coding.group_bits();
        match self.last {
            None => self.first = entry.key,
            Some(last) => {
                assert!(entry > last, "entries come in order: {entry:?} after {last:?}");
                let gap = entry.key - last.key;
                let unary = gap >> self.coding.gap_bits;
                let more = unary.saturating_add(u64::from(1 + self.coding.gap_bits + group_bits));
                if unary > UNARY_MAX || self.bits.bits() + more as usize > BODY_BITS {
                    return false;
                }
                self.bits.put_unary(unary);
                self.bits.put(gap & ((1 << self.coding.gap_bits) - 1), self.coding.gap_bits);
            }
        }
        self.bits.put(u64::from(entry.group), group_bits);
        self.last = Some(entry);
        self.count += 1;
        true
    }

    /// The bytes of the block and its first key; the writer is empty then.
    pub(super) fn finish(&mut self, address: Address, is_last: bool) -> (Vec<u8>, u64) {
        let mut bytes = vec![0; 4];
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(key_bytes(self.first));
        bytes.extend(self.bits.take_bytes());
        if !is_last {
            bytes.resize(BLOCK_BYTES, 0);
        }
        let checksum = address.checksum(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        (self.last, self.count) = (None, 0);
        (bytes, self.first)
    }
}

/// A block that was read.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Bytes,
    coding: Coding,
}

impl Block {
    /// Verifies a block, which begins with the key `first`. The error says what is wrong with it.
    pub(super) fn parse(bytes: Bytes, coding: Coding, address: Address, first: u64) -> Result<Block, String> {
        let wrong = |what: &str| Err(format!("block {} {what}", address.block));
        if bytes.len() < HEAD_BYTES {
            return wrong("is cut");
        }
        if bytes[..4] != address.checksum(&bytes[4..]).to_le_bytes() {
            return wrong("does not have its checksum");
        }
        if key_of(&bytes[6..HEAD_BYTES]) != first {
            return wrong("does not begin with the key of the index");
        }
        Ok(Block { bytes, coding })
    }

    /// Its entries, in order; an error when the bits make no entry.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries {
            coding: self.coding,
            group_bits: self.coding.group_bits(),
            left: u16::from_le_bytes([self.bytes[4], self.bytes[5]]),
            key: key_of(&self.bytes[6..HEAD_BYTES]),
            is_first: true,
            bits: BitReader::new(&self.bytes[HEAD_BYTES..]),
        }
    }
}

/// The entries of a block.
pub(super) struct Entries<'a> {
    coding: Coding,
    group_bits: u32,
    left: u16,
    key: u64,
    is_first: bool,
    bits: BitReader<'a>,
}

impl Entries<'_> {
    fn entry(&mut self) -> Option<Entry> {
        if !std::mem::take(&mut self.is_first) {
            let unary = self.bits.take_unary()?;
            self.key += unary << self.coding.gap_bits | self.bits.take(self.coding.gap_bits)?;
        }
        let group = self.bits.take(self.group_bits)? as u32;
        (group < self.coding.groups && self.key >> KEY_BITS == 0).then_some(Entry { key: self.key, group })
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.entry().ok_or_else(|| "a block holds what is no entry".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ADDRESS: Address = Address { run: 7, block: 3 };

    fn any_entries(groups: u32) -> impl Strategy<Value = BTreeSet<Entry>> {
        let key = prop_oneof![0..1_u64 << KEY_BITS, 0..1000_u64];
        prop::collection::btree_set((key, 0..groups).prop_map(|(key, group)| Entry { key, group }), 1..400)
    }

    /// Those of the entries that went into one block, and the block.
    fn written(entries: &BTreeSet<Entry>, coding: Coding, is_last: bool) -> (Vec<Entry>, Vec<u8>, u64) {
        let mut writer = BlockWriter::new(coding);
        let fitting: Vec<Entry> = entries.iter().copied().take_while(|entry| writer.push(*entry)).collect();
        let (bytes, first) = writer.finish(ADDRESS, is_last);
        (fitting, bytes, first)
    }

    proptest! {
        #[test]
        fn entries_read_back(entries in any_entries(1000), entries_max in 1..1_u64 << 34, is_last: bool) {
            let coding = Coding::of(entries_max, 1000);
            let (fitting, bytes, first) = written(&entries, coding, is_last);
            prop_assert!(!fitting.is_empty());
            prop_assert!(bytes.len() == BLOCK_BYTES || is_last && bytes.len() < BLOCK_BYTES);
            let block = Block::parse(bytes.into(), coding, ADDRESS, first).unwrap();
            prop_assert_eq!(block.entries().collect::<Result<Vec<_>, _>>().unwrap(), fitting);
        }

        #[test]
        fn a_block_that_is_not_what_was_written_is_refused(entries in any_entries(3), at: prop::sample::Index, bit in 0..8) {
            let coding = Coding::of(entries.len() as u64, 3);
            let (_, bytes, first) = written(&entries, coding, true);
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= 1_u8 << bit;
            prop_assert!(Block::parse(flipped.into(), coding, ADDRESS, first).is_err());
            let cut = bytes[..at.index(bytes.len())].to_vec();
            prop_assert!(Block::parse(cut.into(), coding, ADDRESS, first).is_err());
            let elsewhere = Address { block: 4, ..ADDRESS };
            prop_assert!(Block::parse(bytes.into(), coding, elsewhere, first).is_err());
        }
    }

    #[test]
    fn groups_take_as_many_bits_as_they_need() {
        let bits = |groups| Coding::of(1, groups).group_bits();
        assert_eq!([0, 1, 2, 3, 4, 5, 10_000, u32::MAX].map(bits), [0, 0, 1, 2, 2, 3, 14, 32]);
    }

    #[test]
    fn bits_that_are_no_entries_are_an_error() {
        let coding = Coding { gap_bits: 4, groups: 3 };
        // A sound checksum over a group that does not exist, and over more entries than there are bits.
        for (count, body) in [(1_u16, [0b11_u8]), (9, [0])] {
            let covered = [count.to_le_bytes().as_slice(), &key_bytes(5), &body].concat();
            let bytes = [ADDRESS.checksum(&covered).to_le_bytes().as_slice(), &covered].concat();
            let block = Block::parse(bytes.into(), coding, ADDRESS, 5).unwrap();
            assert!(block.entries().any(|entry| entry.is_err()));
        }
    }
}
