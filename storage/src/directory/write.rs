//! Writing a run: entries come in order, pieces go out when they are full, and the object that makes them a
//! run goes last. So a run is there whole or not at all, and only one piece and the index are in memory.

use super::DirectoryError;
use super::block::{Address, BLOCK_BYTES, BlockWriter, Coding, Entry, key_bytes};
use super::folder::Folder;
use super::header::Header;
use super::origins::Origins;
use super::run::Run;

/// A run that is being written. Dropped before it is finished, it leaves nothing behind.
pub(super) struct RunWriter {
    folder: Folder,
    origins: Origins,
    header: Header,
    block: BlockWriter,
    /// Whole blocks that are not in an object yet.
    piece: Vec<u8>,
    /// Pieces that are.
    pieces: u32,
    index: Vec<u64>,
    is_finished: bool,
}

/// What a run is called, and the form it is written in.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunName {
    pub(super) run: u64,
    pub(super) generation: u8,
    pub(super) piece_blocks: u32,
}

impl RunWriter {
    /// A run of at most so many entries.
    pub(super) fn new(folder: &Folder, name: RunName, origins: Origins, entries_max: u64) -> RunWriter {
        let coding = Coding::of(entries_max, origins.groups());
        let header = Header {
            run: name.run,
            generation: name.generation,
            coding,
            entries: 0,
            blocks: 0,
            last_block_bytes: 0,
            piece_blocks: name.piece_blocks,
            origin_ranges: origins.ranges(),
            tables_crc32: 0,
        };
        RunWriter {
            folder: folder.clone(),
            origins,
            header,
            block: BlockWriter::new(coding),
            piece: Vec::new(),
            pieces: 0,
            index: Vec::new(),
            is_finished: false,
        }
    }

    /// Adds an entry that is greater than the last.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), DirectoryError> {
        self.header.entries += 1;
        if !self.block.push(entry) {
            self.close_block(false)?;
            assert!(self.block.push(entry), "an entry fits into an empty block");
        }
        Ok(())
    }

    fn close_block(&mut self, is_last: bool) -> Result<(), DirectoryError> {
        if self.piece.len() == self.header.piece_blocks as usize * BLOCK_BYTES {
            let piece = std::mem::take(&mut self.piece);
            self.pieces += 1;
            self.folder.put(&self.folder.piece(self.header.run, self.pieces - 1), piece)?;
        }
        let (bytes, first) = self.block.finish(Address { run: self.header.run, block: self.header.blocks }, is_last);
        self.index.push(first);
        self.header.blocks += 1;
        self.header.last_block_bytes = bytes.len() as u32;
        self.piece.extend(bytes);
        Ok(())
    }

    /// Writes what is left. When this returns the run is durable.
    pub(super) fn finish(mut self) -> Result<Run, DirectoryError> {
        if !self.block.is_empty() {
            self.close_block(true)?;
        }
        let mut tables = Vec::with_capacity(self.header.tables_bytes() as usize);
        self.origins.write(&mut tables);
        self.index.iter().for_each(|first| tables.extend(key_bytes(*first)));
        self.header.tables_crc32 = crc32fast::hash(&tables);
        let object = [self.header.to_bytes().as_slice(), &tables, &self.piece].concat();
        self.folder.put(&self.folder.run(self.header.run), object)?;
        self.is_finished = true;
        let (origins, index) = (std::mem::take(&mut self.origins), std::mem::take(&mut self.index));
        Ok(Run::written(self.folder.clone(), self.header, origins, index))
    }
}

impl Drop for RunWriter {
    /// A full disk must not fill up with pieces of runs that were given up.
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = self.folder.delete_run(self.header.run, 0..self.pieces)
        {
            tracing::warn!(%error, "a part of the id directory that nothing reads stays until the next start");
        }
    }
}
