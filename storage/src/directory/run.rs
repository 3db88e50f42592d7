//! A run that can be read: what it covers and where its blocks begin are in memory, its entries are not.

use std::collections::BTreeSet;
use std::ops::Range;

use super::block::{Address, Block, Entry, KEY_BYTES, key_of};
use super::folder::{Folder, Listed, damaged};
use super::header::{HEADER_BYTES, Header, HeaderError, VERSION};
use super::origins::Origins;
use super::{DirectoryError, Origin};

/// Blocks that a walk reads at once.
const WALK_BLOCKS: u32 = 16;

/// An immutable, sorted set of entries.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) header: Header,
    pub(super) origins: Origins,
    /// The first key of every block.
    pub(super) index: Vec<u64>,
    folder: Folder,
}

impl Run {
    /// A run that was just written.
    pub(super) fn written(folder: Folder, header: Header, origins: Origins, index: Vec<u64>) -> Run {
        Run { header, origins, index, folder }
    }

    /// Reads the header and the tables of a run and verifies them, and that all its objects are there.
    pub(super) fn open(folder: &Folder, run: u64, listed: &Listed) -> Result<Run, DirectoryError> {
        let path = folder.run(run);
        let bytes = listed.bytes.ok_or_else(|| damaged(&path, "is missing"))?;
        if bytes < HEADER_BYTES as u64 {
            return Err(damaged(&path, "is cut"));
        }
        let head = folder.read(&path, 0..HEADER_BYTES as u64)?;
        let header = Header::parse(&head).map_err(|error| match error {
            HeaderError::Damaged => damaged(&path, "its header does not have its checksum"),
            HeaderError::Older(found) => DirectoryError::Older { path: path.to_string(), found, known: VERSION },
            HeaderError::Newer(found) => DirectoryError::Newer { path: path.to_string(), found, known: VERSION },
        })?;
        if header.run != run {
            return Err(damaged(&path, format!("it is run {}", header.run)));
        }
        if header.object_bytes() != bytes {
            return Err(damaged(&path, format!("{bytes} bytes instead of {}", header.object_bytes())));
        }
        let piece_bytes = header.piece_bytes();
        if let Some(piece) = (0..header.pieces()).find(|piece| listed.pieces.get(piece) != Some(&piece_bytes)) {
            return Err(damaged(&folder.piece(run, piece), "is missing or cut"));
        }
        let tables = folder.read(&path, HEADER_BYTES as u64..HEADER_BYTES as u64 + header.tables_bytes())?;
        let (origins, index) = tables.split_at(Origins::bytes_of(header.origin_ranges) as usize);
        let sound = crc32fast::hash(&tables) == header.tables_crc32;
        let origins = Origins::parse(origins, header.coding.groups).filter(|_| sound);
        let origins = origins.ok_or_else(|| damaged(&path, "its tables do not have their checksum"))?;
        Ok(Run { header, origins, index: index.chunks_exact(KEY_BYTES).map(key_of).collect(), folder: folder.clone() })
    }

    /// Length of all its objects.
    pub(super) fn bytes(&self) -> u64 {
        self.header.object_bytes() + u64::from(self.header.pieces()) * self.header.piece_bytes()
    }

    /// Removes its objects.
    pub(super) fn delete(&self) -> Result<(), DirectoryError> {
        self.folder.delete_run(self.header.run, 0..self.header.pieces())
    }

    /// Walks through all of it.
    pub(super) fn verify(&self) -> Result<(), DirectoryError> {
        let mut walk = self.walk()?;
        while walk.head().is_some() {
            walk.advance()?;
        }
        Ok(())
    }

    /// The origins that may have one of the keys, which are in order. `reads` counts what was read, also in vain.
    pub(super) fn find(&self, keys: &[u64], reads: &mut usize) -> Result<BTreeSet<Origin>, DirectoryError> {
        let mut groups = BTreeSet::new();
        let mut wanted = keys.iter().copied().peekable();
        for blocks in self.blocks_with(keys) {
            for block in self.read(blocks, reads)? {
                for entry in block.entries() {
                    let Entry { key, group } = entry.map_err(|found| self.damaged(found))?;
                    while wanted.next_if(|wanted| *wanted < key).is_some() {}
                    match wanted.peek() {
                        Some(wanted) if *wanted == key => _ = groups.insert(group),
                        Some(_) => {}
                        None => break,
                    }
                }
            }
        }
        // Most lookups find nothing here, and need not look through the origins for it.
        Ok(if groups.is_empty() { BTreeSet::new() } else { self.origins.members(&groups).collect() })
    }

    /// The blocks in which the keys are, if they are in any; each block once.
    pub(super) fn blocks_with(&self, keys: &[u64]) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for key in keys {
            // The entries of a key may begin in the block before the first that begins with it.
            let start = self.index.partition_point(|first| first < key).saturating_sub(1) as u32;
            let end = self.index.partition_point(|first| first <= key) as u32;
            match ranges.last_mut().filter(|range| start < range.end) {
                Some(range) => range.end = range.end.max(end),
                None if start < end => ranges.push(start..end),
                None => {}
            }
        }
        ranges
    }

    /// Reads neighbouring blocks and verifies them: one read, or two where a piece ends among them.
    pub(super) fn read(&self, blocks: Range<u32>, reads: &mut usize) -> Result<Vec<Block>, DirectoryError> {
        let mut read = Vec::with_capacity(blocks.len());
        let mut start = blocks.start;
        while start < blocks.end {
            let piece = start / self.header.piece_blocks;
            let end = blocks.end.min((piece + 1).saturating_mul(self.header.piece_blocks));
            let (path, offset) = if piece == self.header.pieces() {
                (self.folder.run(self.header.run), self.header.last_piece_offset(start))
            } else {
                (self.folder.piece(self.header.run, piece), self.header.piece_offset(start))
            };
            let bytes: u64 = (start..end).map(|block| self.header.block_bytes(block)).sum();
            *reads += 1;
            let mut bytes = self.folder.read(&path, offset..offset + bytes)?;
            for block in start..end {
                let address = Address { run: self.header.run, block };
                let content = bytes.split_to(self.header.block_bytes(block) as usize);
                let parsed = Block::parse(content, self.header.coding, address, self.index[block as usize]);
                read.push(parsed.map_err(|found| damaged(&path, found))?);
            }
            start = end;
        }
        Ok(read)
    }

    /// All entries in order, a few blocks in memory at a time.
    pub(super) fn walk(&self) -> Result<Walk<'_>, DirectoryError> {
        let mut walk =
            Walk { run: self, next_block: 0, blocks: Vec::new().into_iter(), entries: Vec::new().into_iter(), seen: 0, head: None };
        walk.advance()?;
        Ok(walk)
    }

    pub(super) fn damaged(&self, found: impl Into<String>) -> DirectoryError {
        damaged(&self.folder.run(self.header.run), found)
    }
}

/// A walk through a run, which verifies all of it.
pub(super) struct Walk<'a> {
    run: &'a Run,
    next_block: u32,
    blocks: std::vec::IntoIter<Block>,
    entries: std::vec::IntoIter<Entry>,
    seen: u64,
    head: Option<Entry>,
}

impl Walk<'_> {
    /// The entry at which it stands; none at the end.
    pub(super) fn head(&self) -> Option<Entry> {
        self.head
    }

    /// Goes to the next entry.
    pub(super) fn advance(&mut self) -> Result<(), DirectoryError> {
        let next = loop {
            match self.entries.next() {
                Some(entry) => break Some(entry),
                None if self.next_entries()? => {}
                None => break None,
            }
        };
        if next.is_some() && next <= self.head {
            return Err(self.run.damaged("its entries are not in order"));
        }
        if next.is_none() && self.seen != self.run.header.entries {
            return Err(self.run.damaged(format!("{} entries instead of {}", self.seen, self.run.header.entries)));
        }
        self.seen += u64::from(next.is_some());
        self.head = next;
        Ok(())
    }

    /// Takes the entries of the next block. Whether there was one.
    fn next_entries(&mut self) -> Result<bool, DirectoryError> {
        let total = self.run.header.blocks;
        if self.blocks.len() == 0 && self.next_block < total {
            let end = total.min(self.next_block + WALK_BLOCKS);
            self.blocks = self.run.read(self.next_block..end, &mut 0)?.into_iter();
            self.next_block = end;
        }
        let Some(block) = self.blocks.next() else { return Ok(false) };
        let entries: Result<Vec<Entry>, String> = block.entries().collect();
        self.entries = entries.map_err(|found| self.run.damaged(found))?.into_iter();
        Ok(true)
    }
}
