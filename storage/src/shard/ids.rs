//! The ids of a shard: from an id's key to the pages whose rows may carry it.
//!
//! An id that does not compress costs its full length in a dictionary of terms. Here it costs a fingerprint and
//! the number of a page, about two bytes and a half: rows are ordered by journey, so an id stands in a page or
//! two, and those are read anyway. The columns say which rows it is.
//!
//! Entries are sorted by key. The key's highest bits say which bucket an entry is in, the next
//! [`FINGERPRINT_BITS`] are kept; so a foreign key finds a page in one of about 120 lookups (32 entries of a
//! bucket against 4,096 fingerprints).
//!
//! ```text
//! bucket starts  2^bucket_bits + 1 numbers of 4 bytes: the first entry of each bucket, then their number
//! entries        each fingerprint (12 bits), then page (page_bits), packed from the lowest bit of the first byte on
//! ```

use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::ranges::RowRanges;
use crate::model::IdKey;

/// Rows of a page of ids.
const PAGE_ROWS: u32 = 2_048;
const FINGERPRINT_BITS: u32 = 12;
/// Entries of a bucket, on average at most.
const BUCKET_ENTRIES: usize = 32;
/// More bytes than one entry can touch.
const PADDING: [u8; 8] = [0; 8];

/// How the entries are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdsDescription {
    pub(super) entries: u32,
    bucket_bits: u32,
    page_bits: u32,
    page_rows: u32,
}

/// Collects the ids of rows.
#[derive(Debug, Default)]
pub(super) struct IdsBuilder {
    entries: Vec<(IdKey, u32)>,
}

impl IdsBuilder {
    /// A row carries an id.
    pub(super) fn add(&mut self, key: IdKey, row: u32) {
        let entry = (key, row / PAGE_ROWS);
        // Rows of one journey follow each other and carry the same ids.
        let recent = self.entries.len().saturating_sub(4);
        if !self.entries[recent..].contains(&entry) {
            self.entries.push(entry);
        }
    }

    /// The bytes, how they are laid out, and all keys, ascending, each once.
    pub(super) fn finish(mut self) -> (Vec<u8>, IdsDescription, Vec<IdKey>) {
        self.entries.sort_unstable();
        self.entries.dedup();
        let pages = self.entries.iter().map(|(_, page)| page + 1).max().unwrap_or(1);
        let description = IdsDescription {
            entries: u32::try_from(self.entries.len()).expect("a shard has far fewer than 2^32 ids"),
            bucket_bits: (self.entries.len() / BUCKET_ENTRIES).max(1).next_power_of_two().ilog2(),
            page_bits: u32::BITS - (pages - 1).leading_zeros(),
            page_rows: PAGE_ROWS,
        };
        let mut bytes = Vec::new();
        let mut begun = 0;
        for bucket in 0..=1_u64 << description.bucket_bits {
            begun += self.entries[begun..].partition_point(|(key, _)| description.bucket(*key) < bucket);
            bytes.extend((begun as u32).to_le_bytes());
        }
        let mut packed = BitWriter::default();
        for (key, page) in &self.entries {
            packed.push(description.fingerprint(*key), FINGERPRINT_BITS);
            packed.push(u64::from(*page), description.page_bits);
        }
        bytes.extend(packed.finish());
        bytes.extend(PADDING);
        let mut keys: Vec<IdKey> = self.entries.into_iter().map(|(key, _)| key).collect();
        keys.dedup();
        (bytes, description, keys)
    }
}

impl IdsDescription {
    fn bucket(&self, key: IdKey) -> u64 {
        key.0.checked_shr(u64::BITS - self.bucket_bits).unwrap_or(0)
    }

    fn fingerprint(&self, key: IdKey) -> u64 {
        (key.0 << self.bucket_bits) >> (u64::BITS - FINGERPRINT_BITS)
    }

    fn entry_bits(&self) -> u64 {
        u64::from(FINGERPRINT_BITS + self.page_bits)
    }

    fn entries_offset(&self) -> u64 {
        4 * ((1 << self.bucket_bits) + 1)
    }

    /// The length of what they describe.
    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.entries_offset() + (u64::from(self.entries) * self.entry_bits()).div_ceil(8) + PADDING.len() as u64
    }

    /// Rows that may carry an id: whole pages. `read` reads a range of the bytes.
    pub(super) fn rows_with(&self, key: IdKey, rows: u32, read: impl Fn(Range<u64>) -> io::Result<bytes::Bytes>) -> io::Result<RowRanges> {
        let at = 4 * self.bucket(key);
        let starts = read(at..at + 8)?;
        let number = |at: usize| u32::from_le_bytes(starts[at..at + 4].try_into().expect("four bytes"));
        let (first, end) = (u64::from(number(0)), u64::from(number(4)));
        if first > end || end > u64::from(self.entries) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the ids of the shard are not in order"));
        }
        let first_byte = first * self.entry_bits() / 8;
        let offset = self.entries_offset();
        let packed = read(offset + first_byte..offset + (end * self.entry_bits()).div_ceil(8) + PADDING.len() as u64)?;
        let mut found = RowRanges::default();
        for entry in first..end {
            let bit = entry * self.entry_bits() - first_byte * 8;
            if bits(&packed, bit, FINGERPRINT_BITS) == self.fingerprint(key) {
                let page = bits(&packed, bit + u64::from(FINGERPRINT_BITS), self.page_bits) as u32;
                let start = page.saturating_mul(self.page_rows).min(rows);
                // Equal fingerprints are in the order of their keys, so pages may step back.
                found = found.or(&RowRanges::of(start..start.saturating_add(self.page_rows).min(rows)));
            }
        }
        Ok(found)
    }
}

/// Some bits from a place on; at most 32.
fn bits(packed: &[u8], bit: u64, count: u32) -> u64 {
    let from = (bit / 8) as usize;
    let word = u64::from_le_bytes(packed[from..from + 8].try_into().expect("the padding is long enough"));
    (word >> (bit % 8)) & ((1 << count) - 1)
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    fn push(&mut self, value: u64, count: u32) {
        self.pending |= value << self.pending_bits;
        self.pending_bits += count;
        while self.pending_bits >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.pending_bits -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.pending_bits > 0 {
            self.bytes.push(self.pending as u8);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> IdKey {
        IdKey(twox_hash::XxHash3_64::oneshot(&number.to_le_bytes()))
    }

    fn pages(description: &IdsDescription, bytes: &[u8], wanted: IdKey, rows: u32) -> BTreeSet<u32> {
        let read = |range: Range<u64>| Ok(bytes::Bytes::copy_from_slice(&bytes[range.start as usize..range.end as usize]));
        description.rows_with(wanted, rows, read).unwrap().rows().map(|row| row / PAGE_ROWS).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_page_of_an_id_is_found(carried in prop::collection::vec((0..500_u64, 0..40_000_u32), 0..2_000)) {
            let mut builder = IdsBuilder::default();
            let mut expected: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
            for (id, row) in carried {
                builder.add(key(id), row);
                expected.entry(id).or_default().insert(row / PAGE_ROWS);
            }
            let (bytes, description, keys) = builder.finish();
            prop_assert_eq!(keys.len(), expected.len());
            prop_assert_eq!(bytes.len() as u64, description.bytes());
            for (id, wanted) in &expected {
                prop_assert!(pages(&description, &bytes, key(*id), 40_000).is_superset(wanted));
            }
        }
    }

    #[test]
    fn an_id_costs_under_three_bytes_and_foreign_ones_are_seldom_found() {
        let mut builder = IdsBuilder::default();
        (0..100_000).for_each(|id| builder.add(key(id), id as u32));
        let (bytes, description, _) = builder.finish();
        assert!(bytes.len() < 260_000, "{} bytes for 100,000 ids", bytes.len());
        let foreign = (1_000_000..1_020_000).filter(|id| !pages(&description, &bytes, key(*id), 100_000).is_empty()).count();
        assert!((40..400).contains(&foreign), "{foreign} of 20,000: about 1 of 128 is expected");
    }
}
