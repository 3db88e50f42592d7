//! The first bytes of a run: what is in it, and where.

use super::block::{BLOCK_BYTES, Coding, KEY_BITS, KEY_BYTES};
use super::origins::Origins;

const MAGIC: &[u8; 4] = b"NDLI";
/// Version of a run's form.
pub(crate) const VERSION: u8 = 2;
pub(super) const HEADER_BYTES: usize = 56;

/// What a run says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The run's number, also its name.
    pub(super) run: u64,
    /// How often its entries were merged at most.
    pub(super) generation: u8,
    pub(super) coding: Coding,
    pub(super) entries: u64,
    pub(super) blocks: u32,
    pub(super) last_block_bytes: u32,
    /// Blocks of a piece; the last piece, which may have fewer, follows the tables.
    pub(super) piece_blocks: u32,
    pub(super) origin_ranges: u32,
    /// Checksum of the tables.
    pub(super) tables_crc32: u32,
}

/// Why bytes are no header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Damaged,
    /// Of this version, which is no longer read.
    Older(u8),
    /// Of this version.
    Newer(u8),
}

impl Header {
    /// Length of the tables: origins, then the first key of every block.
    pub(super) fn tables_bytes(&self) -> u64 {
        Origins::bytes_of(self.origin_ranges) + u64::from(self.blocks) * KEY_BYTES as u64
    }

    /// How many pieces stand in objects of their own.
    pub(super) fn pieces(&self) -> u32 {
        self.blocks.saturating_sub(1) / self.piece_blocks
    }

    /// Length of a piece in an object of its own.
    pub(super) fn piece_bytes(&self) -> u64 {
        u64::from(self.piece_blocks) * BLOCK_BYTES as u64
    }

    /// Where a block begins in its piece.
    pub(super) fn piece_offset(&self, block: u32) -> u64 {
        u64::from(block % self.piece_blocks) * BLOCK_BYTES as u64
    }

    /// Where a block of the last piece begins, after the tables.
    pub(super) fn last_piece_offset(&self, block: u32) -> u64 {
        HEADER_BYTES as u64 + self.tables_bytes() + self.piece_offset(block)
    }

    pub(super) fn block_bytes(&self, block: u32) -> u64 {
        if block + 1 == self.blocks { u64::from(self.last_block_bytes) } else { BLOCK_BYTES as u64 }
    }

    /// Length of the object that this header begins.
    pub(super) fn object_bytes(&self) -> u64 {
        self.last_piece_offset(self.blocks.saturating_sub(1)) + u64::from(self.last_block_bytes)
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&[VERSION, self.generation, self.coding.gap_bits as u8, 0]);
        bytes[8..16].copy_from_slice(&self.run.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.entries.to_le_bytes());
        let numbers = [self.blocks, self.last_block_bytes, self.piece_blocks, self.coding.groups, self.origin_ranges, self.tables_crc32, 0];
        for (place, number) in bytes[24..].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Header, HeaderError> {
        if bytes.len() < HEADER_BYTES || bytes[..4] != *MAGIC {
            return Err(HeaderError::Damaged);
        }
        // Asked first, because another header may be longer, or have its checksum elsewhere.
        match bytes[4] {
            0 => return Err(HeaderError::Damaged),
            older @ 1..VERSION => return Err(HeaderError::Older(older)),
            VERSION => {}
            newer => return Err(HeaderError::Newer(newer)),
        }
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let header = Header {
            run: u64_at(8),
            generation: bytes[5],
            coding: Coding { gap_bits: u32::from(bytes[6]), groups: u32_at(36) },
            entries: u64_at(16),
            blocks: u32_at(24),
            last_block_bytes: u32_at(28),
            piece_blocks: u32_at(32),
            origin_ranges: u32_at(40),
            tables_crc32: u32_at(44),
        };
        let possible = header.piece_blocks > 0 && header.coding.gap_bits <= KEY_BITS && header.last_block_bytes as usize <= BLOCK_BYTES;
        let sound = possible && crc32fast::hash(&bytes[..52]) == u32_at(52);
        if sound { Ok(header) } else { Err(HeaderError::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(blocks: u32) -> Header {
        Header {
            run: 12,
            generation: 3,
            coding: Coding { gap_bits: 17, groups: 900 },
            entries: 1 << 33,
            blocks,
            last_block_bytes: 99,
            piece_blocks: 4,
            origin_ranges: 10,
            tables_crc32: 0xfeed_beef,
        }
    }

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_noticed() {
        let bytes = header(9).to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(header(9)));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&flipped).is_err(), "bit {bit}");
        }
        assert_eq!(Header::parse(&bytes[..HEADER_BYTES - 1]), Err(HeaderError::Damaged));
    }

    #[test]
    fn another_version_is_named() {
        let of_version = |version| {
            let mut bytes = header(9).to_bytes();
            bytes[4] = version;
            Header::parse(&bytes)
        };
        assert_eq!(of_version(9), Err(HeaderError::Newer(9)));
        assert_eq!(of_version(1), Err(HeaderError::Older(1)));
        assert_eq!(of_version(0), Err(HeaderError::Damaged));
    }

    #[test]
    fn the_last_piece_is_never_empty() {
        let tables = |blocks| HEADER_BYTES as u64 + header(blocks).tables_bytes();
        let shape = |blocks| (header(blocks).pieces(), header(blocks).object_bytes() - tables(blocks));
        assert_eq!(shape(1), (0, 99));
        assert_eq!(shape(4), (0, 3 * BLOCK_BYTES as u64 + 99));
        assert_eq!(shape(5), (1, 99));
        assert_eq!(shape(8), (1, 3 * BLOCK_BYTES as u64 + 99));
        assert_eq!(shape(9), (2, 99));
    }
}
