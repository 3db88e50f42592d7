//! From an id, or from the value of a field, to the pages whose rows may hold it.
//!
//! In a dictionary of terms an id that does not compress costs its full length, and a value that stands in the
//! rows of one journey costs a byte for each of them. Here either costs a fingerprint and the number of a page,
//! about two bytes: rows are ordered by journey, so that both stand in a page or two, and those are
//! read anyway. The columns say which rows it is.
//!
//! Entries are sorted by key. The key's highest bits say which bucket an entry is in, the next
//! [`FINGERPRINT_BITS`] are kept; so a foreign key finds a page in about one of eight lookups (16 to 32 entries
//! of a bucket on average, against 256 fingerprints), which costs reading a page of a column in vain. What stands
//! in a large share of the pages narrows nothing and has one entry, for all of them.
//!
//! ```text
//! bucket starts  2^bucket_bits + 1 numbers of 4 bytes: the first entry of each bucket, then their number
//! entries        each fingerprint (8 bits), then page (page_bits), packed from the lowest bit of the first
//!                byte on; a page of only ones stands for every page
//! padding        8 bytes
//! ```

use std::collections::HashSet;
use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::ranges::RowRanges;
use crate::model::IdKey;

/// Rows of a page.
pub(super) const PAGE_ROWS: u32 = 2_048;
/// What stands in more than one of so many pages has one entry, where there are so many pages at least.
const EVERYWHERE_SHARE: usize = 4;
const EVERYWHERE_PAGES_MIN: u32 = 8;
const FINGERPRINT_BITS: u32 = 8;
/// Those of the format that did not say how many they are.
const FIRST_FINGERPRINT_BITS: u32 = 12;
/// Entries of a bucket, on average at most.
const BUCKET_ENTRIES: usize = 32;
/// More bytes than one entry can touch.
const PADDING: [u8; 8] = [0; 8];

/// How the entries are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PagesDescription {
    pub(super) entries: u32,
    bucket_bits: u32,
    #[serde(default = "first_fingerprint_bits")]
    fingerprint_bits: u32,
    page_bits: u32,
    page_rows: u32,
}

fn first_fingerprint_bits() -> u32 {
    FIRST_FINGERPRINT_BITS
}

/// What a page is found by: the key of an id, or of a field's value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct PageKey(u64);

impl PageKey {
    /// Of an id.
    pub(super) fn of_id(key: IdKey) -> PageKey {
        PageKey(key.0)
    }

    /// Of the value of a field.
    pub(super) fn of_value(field: FieldKey, value: &str) -> PageKey {
        PageKey(XxHash3_64::oneshot_with_seed(field.0, value.as_bytes()))
    }
}

/// What the values of a field are told apart by from those of other fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FieldKey(u64);

impl FieldKey {
    /// Of an attribute.
    pub(super) fn of_attribute(key: &str) -> FieldKey {
        FieldKey(XxHash3_64::oneshot_with_seed(1, key.as_bytes()))
    }

    /// Of a column that is no attribute.
    pub(super) fn of_column(name: &str) -> FieldKey {
        FieldKey(XxHash3_64::oneshot_with_seed(2, name.as_bytes()))
    }
}

/// Where something may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// In any row.
    Everywhere,
    /// In these rows only: whole pages.
    In(RowRanges),
}

/// Collects what pages hold.
#[derive(Debug, Default)]
pub(super) struct PagesBuilder {
    page: u32,
    /// What the page of the moment holds.
    current: HashSet<PageKey, ahash::RandomState>,
    entries: Vec<(PageKey, u32)>,
    ids: Vec<IdKey>,
}

impl PagesBuilder {
    /// A row carries an id. Rows come in ascending order.
    pub(super) fn add_id(&mut self, key: IdKey, row: u32) {
        if self.add(PageKey::of_id(key), row) {
            self.ids.push(key);
        }
    }

    /// A row holds something. Whether its page did not hold it yet.
    pub(super) fn add(&mut self, key: PageKey, row: u32) -> bool {
        if row / PAGE_ROWS != self.page {
            self.end_page();
            self.page = row / PAGE_ROWS;
        }
        self.current.insert(key)
    }

    fn end_page(&mut self) {
        self.entries.extend(self.current.drain().map(|key| (key, self.page)));
    }

    /// The bytes, how they are laid out, and the keys of all ids, ascending, each once.
    pub(super) fn finish(mut self) -> (Vec<u8>, PagesDescription, Vec<IdKey>) {
        self.end_page();
        self.entries.sort_unstable();
        let pages = self.page + 1;
        let page_bits = u32::BITS - pages.leading_zeros();
        let entries = with_everywhere(&self.entries, pages, page_bits);
        let description = PagesDescription {
            entries: u32::try_from(entries.len()).expect("a shard holds far fewer than 2^32 values"),
            bucket_bits: (entries.len() / BUCKET_ENTRIES).max(1).next_power_of_two().ilog2(),
            fingerprint_bits: FINGERPRINT_BITS,
            page_bits,
            page_rows: PAGE_ROWS,
        };
        let mut bytes = Vec::new();
        let mut begun = 0;
        for bucket in 0..=1_u64 << description.bucket_bits {
            begun += entries[begun..].partition_point(|(key, _)| description.bucket(*key) < bucket);
            bytes.extend((begun as u32).to_le_bytes());
        }
        let mut packed = BitWriter::default();
        for (key, page) in &entries {
            packed.push(description.fingerprint(*key), description.fingerprint_bits);
            packed.push(u64::from(*page), description.page_bits);
        }
        bytes.extend(packed.finish());
        bytes.extend(PADDING);
        self.ids.sort_unstable();
        self.ids.dedup();
        (bytes, description, self.ids)
    }
}

/// The entries, with one for all pages where there would be too many.
fn with_everywhere(entries: &[(PageKey, u32)], pages: u32, page_bits: u32) -> Vec<(PageKey, u32)> {
    let many = pages as usize / EVERYWHERE_SHARE;
    let mut kept = Vec::with_capacity(entries.len());
    for of_key in entries.chunk_by(|one, other| one.0 == other.0) {
        if pages >= EVERYWHERE_PAGES_MIN && of_key.len() > many {
            kept.push((of_key[0].0, everywhere(page_bits)));
        } else {
            kept.extend_from_slice(of_key);
        }
    }
    kept
}

/// The number that stands for every page: one more than any page has.
fn everywhere(page_bits: u32) -> u32 {
    (1 << page_bits) - 1
}

impl PagesDescription {
    /// Whether entries can be found by it: what is written never has more bits.
    pub(super) fn is_sound(&self) -> bool {
        self.bucket_bits < u32::BITS && (1..u32::BITS).contains(&self.fingerprint_bits) && self.page_bits < u32::BITS
    }

    fn bucket(&self, key: PageKey) -> u64 {
        key.0.checked_shr(u64::BITS - self.bucket_bits).unwrap_or(0)
    }

    fn fingerprint(&self, key: PageKey) -> u64 {
        (key.0 << self.bucket_bits) >> (u64::BITS - self.fingerprint_bits)
    }

    fn entry_bits(&self) -> u64 {
        u64::from(self.fingerprint_bits + self.page_bits)
    }

    fn entries_offset(&self) -> u64 {
        4 * ((1 << self.bucket_bits) + 1)
    }

    /// The length of what they describe.
    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.entries_offset() + (u64::from(self.entries) * self.entry_bits()).div_ceil(8) + PADDING.len() as u64
    }

    /// Rows that may hold something. `read` reads a range of the bytes.
    pub(super) fn find(&self, key: PageKey, rows: u32, read: impl Fn(Range<u64>) -> io::Result<bytes::Bytes>) -> io::Result<Found> {
        let at = 4 * self.bucket(key);
        let starts = read(at..at + 8)?;
        let number = |at: usize| u32::from_le_bytes(starts[at..at + 4].try_into().expect("four bytes"));
        let (first, end) = (u64::from(number(0)), u64::from(number(4)));
        if first > end || end > u64::from(self.entries) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the index of pages is not in order"));
        }
        let first_byte = first * self.entry_bits() / 8;
        let offset = self.entries_offset();
        let packed = read(offset + first_byte..offset + (end * self.entry_bits()).div_ceil(8) + PADDING.len() as u64)?;
        let mut pages = Vec::new();
        for entry in first..end {
            let bit = entry * self.entry_bits() - first_byte * 8;
            if bits(&packed, bit, self.fingerprint_bits) == self.fingerprint(key) {
                pages.push(bits(&packed, bit + u64::from(self.fingerprint_bits), self.page_bits) as u32);
            }
        }
        if pages.contains(&everywhere(self.page_bits)) {
            return Ok(Found::Everywhere);
        }
        // Equal fingerprints are in the order of their keys, so pages may step back.
        pages.sort_unstable();
        let mut found = RowRanges::default();
        for page in pages {
            let start = page.saturating_mul(self.page_rows).min(rows);
            found.push(start..start.saturating_add(self.page_rows).min(rows));
        }
        Ok(Found::In(found))
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

    fn key(number: u64) -> PageKey {
        PageKey::of_value(FieldKey::of_attribute("order"), &number.to_string())
    }

    fn pages(description: &PagesDescription, bytes: &[u8], wanted: PageKey, rows: u32) -> BTreeSet<u32> {
        let read = |range: Range<u64>| Ok(bytes::Bytes::copy_from_slice(&bytes[range.start as usize..range.end as usize]));
        match description.find(wanted, rows, read).unwrap() {
            Found::Everywhere => (0..rows.div_ceil(PAGE_ROWS)).collect(),
            Found::In(found) => found.rows().map(|row| row / PAGE_ROWS).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_page_of_a_value_is_found(mut held in prop::collection::vec((0..40_000_u32, 0..500_u64), 0..2_000)) {
            held.sort_unstable();
            let mut builder = PagesBuilder::default();
            let mut expected: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
            for (row, value) in held {
                builder.add(key(value), row);
                expected.entry(value).or_default().insert(row / PAGE_ROWS);
            }
            let (bytes, description, _) = builder.finish();
            prop_assert_eq!(bytes.len() as u64, description.bytes());
            for (value, wanted) in &expected {
                prop_assert!(pages(&description, &bytes, key(*value), 40_000).is_superset(wanted));
            }
        }
    }

    #[test]
    fn a_value_costs_two_bytes_and_few_foreign_ones_are_found() {
        let mut builder = PagesBuilder::default();
        (0..100_000).for_each(|row| {
            builder.add(key(u64::from(row)), row);
            builder.add(key(u64::MAX), row);
        });
        let (bytes, description, _) = builder.finish();
        assert!(bytes.len() < 210_000, "{} bytes for 100,000 values", bytes.len());
        assert_eq!(pages(&description, &bytes, key(u64::MAX), 100_000).len(), 49, "it stands in every page");
        let foreign = (1_000_000..1_020_000).filter(|value| !pages(&description, &bytes, key(*value), 100_000).is_empty()).count();
        assert!((1_000..4_000).contains(&foreign), "{foreign} of 20,000: 1 of 8 to 1 of 16 is expected");
    }
}
