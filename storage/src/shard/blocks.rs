//! Checksums: a flipped bit is found when it is read, and never returned as a row. (Of single-bit flips in
//! Parquet files without checksums, two thirds and more come back as silently wrong rows.)
//!
//! Everything up to the tail of a shard is covered block by block, by a table in the footer's metadata; the
//! tail (page indexes and footer, the table with them) by one checksum in the catalog.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A read is widened to whole blocks: most pages are shorter than 4 KiB, and a question for few records reads one or two
/// of every column.
pub(super) const BLOCK_BYTES: u64 = 4 << 10;

/// CRC-32 of every block before the tail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blocks {
    #[serde(deserialize_with = "above_zero")]
    pub(super) block_bytes: u64,
    /// Where the tail begins.
    pub(super) bytes: u64,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    crc32: Vec<u32>,
}

impl Blocks {
    /// The table of everything that comes before the tail.
    pub(super) fn of(data: &[u8]) -> Blocks {
        let crc32 = data.chunks(BLOCK_BYTES as usize).map(crc32fast::hash).collect();
        Blocks { block_bytes: BLOCK_BYTES, bytes: data.len() as u64, crc32 }
    }

    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.crc32.len()
    }

    /// The offsets of all blocks of the file that are not what was written.
    pub(super) fn all_damaged(&self, data: &[u8]) -> Vec<u64> {
        let blocks = data.chunks(self.block_bytes as usize).zip((0..).step_by(self.block_bytes as usize));
        blocks.filter(|(block, start)| self.damaged(*start, block).is_some()).map(|(_, start)| start).collect()
    }

    /// The whole blocks that hold a range.
    pub(super) fn widen(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        let first = start / self.block_bytes * self.block_bytes;
        first..end.div_ceil(self.block_bytes).saturating_mul(self.block_bytes).min(self.bytes)
    }

    /// The offset of the first block of `data` that is not what was written; `data` begins at `start`, with a block.
    pub(super) fn damaged(&self, start: u64, data: &[u8]) -> Option<u64> {
        let first = start / self.block_bytes;
        let sound = |n: u64, block: &[u8]| self.crc32.get((first + n) as usize) == Some(&crc32fast::hash(block));
        data.chunks(self.block_bytes as usize).zip(0..).find(|(block, n)| !sound(*n, block)).map(|(_, n)| start + n * self.block_bytes)
    }
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    std::num::NonZeroU64::deserialize(deserializer).map(std::num::NonZeroU64::get)
}

fn to_base64<S: Serializer>(sums: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let bytes = BASE64.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)?;
    Ok(bytes.chunks_exact(4).map(|sum| u32::from_le_bytes(sum.try_into().expect("four bytes"))).collect())
}
