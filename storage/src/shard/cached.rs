//! What was read of shards lately, for all open shards together: verified blocks of indexes, pages as they are decoded
//! from, dictionaries as they are looked up in, and whole records.

use arrow::array::{Array as _, StringArray};
use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;
use parquet::column::page::Page;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Record;

/// A bounded cache of blocks, pages and records, the least recently used forgotten first.
#[derive(Debug)]
pub(crate) struct ReadCache {
    kept: Mutex<Kept>,
    bytes_max: usize,
    next_file: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    parts: LruCache<(u64, Part), Read, ahash::RandomState>,
    bytes: usize,
}

/// A part of a file: which block, the page or the dictionary of texts at which byte, or the record of which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Block(u64),
    Page(u64),
    Texts(u64),
    Record(u32),
}

#[derive(Clone, Debug)]
enum Read {
    Block(Bytes),
    Page(Box<Page>),
    Texts(StringArray),
    Record(Box<Record>),
}

/// What keeping anything takes beside its bytes, about: its place, its place in the order, and what holds it.
const ENTRY_BYTES: usize = 256;

impl Read {
    fn bytes(&self) -> usize {
        let bytes = match self {
            Read::Block(bytes) => bytes.len(),
            Read::Page(page) => page.buffer().len(),
            Read::Texts(texts) => texts.get_buffer_memory_size(),
            Read::Record(record) => record.size_bytes(),
        };
        bytes + ENTRY_BYTES
    }
}

impl ReadCache {
    /// A cache of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> ReadCache {
        let kept = Mutex::new(Kept { parts: LruCache::unbounded_with_hasher(ahash::RandomState::new()), bytes: 0 });
        ReadCache { kept, bytes_max, next_file: AtomicU64::new(0) }
    }

    /// A number for a file that is opened: no other gets it, so what is cached of a file that is gone is not found.
    pub(super) fn number(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    /// Neighbouring blocks of a file from `first` on, if all of them are here, as one.
    pub(super) fn blocks(&self, file: u64, blocks: std::ops::Range<u64>) -> Option<Bytes> {
        let mut kept = self.kept.lock();
        let mut found: Vec<Bytes> = Vec::with_capacity((blocks.end - blocks.start) as usize);
        for block in blocks {
            match kept.parts.get(&(file, Part::Block(block)))? {
                Read::Block(bytes) => found.push(bytes.clone()),
                Read::Page(_) | Read::Texts(_) | Read::Record(_) => return None,
            }
        }
        drop(kept);
        Some(if let [one] = found.as_slice() { one.clone() } else { found.concat().into() })
    }

    /// Keeps neighbouring blocks of a file, the first of which is `first`.
    pub(super) fn keep_blocks(&self, file: u64, block_bytes: u64, first: u64, bytes: &[u8]) {
        // Copied, so that a block does not keep what was read with it.
        let blocks = bytes.chunks(block_bytes as usize).map(|block| Read::Block(Bytes::copy_from_slice(block)));
        self.keep((first..).map(|block| (file, Part::Block(block))).zip(blocks));
    }

    /// The page of a file that begins at `offset`, if it is here.
    pub(super) fn page(&self, file: u64, offset: u64) -> Option<Page> {
        match self.kept.lock().parts.get(&(file, Part::Page(offset)))? {
            Read::Page(page) => Some(page.as_ref().clone()),
            Read::Block(_) | Read::Texts(_) | Read::Record(_) => None,
        }
    }

    /// The dictionary of texts of a file that begins at `offset`, if it is here.
    pub(super) fn texts(&self, file: u64, offset: u64) -> Option<StringArray> {
        match self.kept.lock().parts.get(&(file, Part::Texts(offset)))? {
            Read::Texts(texts) => Some(texts.clone()),
            Read::Block(_) | Read::Page(_) | Read::Record(_) => None,
        }
    }

    /// The record of a row of a file, if it is here.
    pub(super) fn record(&self, file: u64, row: u32) -> Option<Record> {
        match self.kept.lock().parts.get(&(file, Part::Record(row)))? {
            Read::Record(record) => Some(record.as_ref().clone()),
            Read::Block(_) | Read::Page(_) | Read::Texts(_) => None,
        }
    }

    /// Keeps the record of a row of a file.
    pub(super) fn keep_record(&self, file: u64, row: u32, record: &Record) {
        self.keep([((file, Part::Record(row)), Read::Record(Box::new(record.clone())))]);
    }

    /// Keeps the dictionary of texts of a file that begins at `offset`.
    pub(super) fn keep_texts(&self, file: u64, offset: u64, texts: &StringArray) {
        self.keep([((file, Part::Texts(offset)), Read::Texts(texts.clone()))]);
    }

    /// Keeps the page of a file that begins at `offset`.
    pub(super) fn keep_page(&self, file: u64, offset: u64, page: &Page) {
        self.keep([((file, Part::Page(offset)), Read::Page(Box::new(page.clone())))]);
    }

    fn keep(&self, parts: impl IntoIterator<Item = ((u64, Part), Read)>) {
        let mut kept = self.kept.lock();
        for (place, read) in parts {
            kept.bytes += read.bytes();
            if let Some(before) = kept.parts.put(place, read) {
                kept.bytes -= before.bytes();
            }
        }
        while kept.bytes > self.bytes_max
            && let Some((_, oldest)) = kept.parts.pop_lru()
        {
            kept.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK_BYTES: usize = 4096;

    #[test]
    fn the_least_recently_used_is_forgotten_when_the_bound_is_reached() {
        let cache = ReadCache::new(3 * (BLOCK_BYTES + ENTRY_BYTES));
        let (one, other) = (cache.number(), cache.number());
        cache.keep_blocks(one, BLOCK_BYTES as u64, 7, &[1; 2 * BLOCK_BYTES]);
        cache.keep_blocks(other, BLOCK_BYTES as u64, 7, &[2; BLOCK_BYTES]);
        assert_eq!(cache.blocks(one, 7..9).map(|bytes| bytes.len()), Some(2 * BLOCK_BYTES));
        cache.keep_blocks(other, BLOCK_BYTES as u64, 8, &[3; BLOCK_BYTES]);
        assert_eq!(cache.blocks(other, 7..8), None, "it was not asked for");
        assert_eq!(cache.blocks(one, 7..9).map(|bytes| bytes[0]), Some(1));
        cache.keep_blocks(other, BLOCK_BYTES as u64, 8, &[4; BLOCK_BYTES]);
        assert_eq!(cache.blocks(other, 8..9).map(|bytes| bytes[0]), Some(4), "kept anew, counted once");
        assert!(cache.blocks(one, 7..9).is_some());
    }

    #[test]
    fn blocks_are_as_long_as_their_file_says() {
        let cache = ReadCache::new(1 << 20);
        let (older, newer) = (cache.number(), cache.number());
        let bytes: Vec<u8> = (0..10 * BLOCK_BYTES).map(|at| (at / BLOCK_BYTES) as u8).collect();
        cache.keep_blocks(older, 4 * BLOCK_BYTES as u64, 2, &bytes);
        cache.keep_blocks(newer, BLOCK_BYTES as u64, 2, &bytes);
        assert_eq!(cache.blocks(older, 3..5).as_deref(), Some(&bytes[4 * BLOCK_BYTES..]), "the last one is shorter");
        assert_eq!(cache.blocks(newer, 3..5).as_deref(), Some(&bytes[BLOCK_BYTES..3 * BLOCK_BYTES]));
        assert_eq!(cache.blocks(older, 4..6), None);
    }
}
