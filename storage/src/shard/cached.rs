//! Blocks of shards that were read and verified lately, for all open shards together.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;

use super::blocks::BLOCK_BYTES;

/// A bounded cache of blocks, the least recently used forgotten first.
#[derive(Debug)]
pub(crate) struct BlockCache {
    blocks: Mutex<LruCache<(u64, u64), Bytes>>,
    next_file: AtomicU64,
}

impl BlockCache {
    /// A cache of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> BlockCache {
        let blocks = NonZeroUsize::new(bytes_max / BLOCK_BYTES as usize).unwrap_or(NonZeroUsize::MIN);
        BlockCache { blocks: Mutex::new(LruCache::new(blocks)), next_file: AtomicU64::new(0) }
    }

    /// A number for a file that is opened: no other gets it, so what is cached of a file that is gone is not found.
    pub(super) fn number(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    /// Neighbouring blocks of a file from `first` on, if all of them are here, as one.
    pub(super) fn get(&self, file: u64, blocks: std::ops::Range<u64>) -> Option<Bytes> {
        let mut cached = self.blocks.lock();
        let mut found: Vec<Bytes> = Vec::with_capacity((blocks.end - blocks.start) as usize);
        for block in blocks {
            found.push(cached.get(&(file, block))?.clone());
        }
        drop(cached);
        Some(if let [one] = found.as_slice() { one.clone() } else { found.concat().into() })
    }

    /// Keeps neighbouring blocks of a file, the first of which is `first`.
    pub(super) fn put(&self, file: u64, first: u64, bytes: &[u8]) {
        let mut cached = self.blocks.lock();
        for (block, bytes) in (first..).zip(bytes.chunks(BLOCK_BYTES as usize)) {
            // Copied, so that a block does not keep what was read with it.
            cached.put((file, block), Bytes::copy_from_slice(bytes));
        }
    }
}
