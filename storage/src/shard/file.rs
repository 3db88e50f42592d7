//! Byte ranges of a shard's object, as parquet and tantivy want to read them.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::array::StringArray;
use bytes::{Buf, Bytes};
use futures::executor::block_on;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::column::page::Page;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use serde::{Deserialize, Serialize};
use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr};

use super::blocks::Blocks;
use super::cached::ReadCache;
use super::write::Tail;
use crate::model::Record;

/// A shard's object. What is read from it was verified.
#[derive(Clone, Debug)]
pub(crate) struct ShardFile {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    bytes: u64,
    tail_offset: u64,
    /// Page indexes and footer: read once, with one request.
    tail: Bytes,
    /// What was read before the tail with the same request, from which byte on, until its checksums are known.
    before_tail: Option<(u64, Bytes)>,
    /// Checksums of what comes before the tail; none until the footer is parsed.
    blocks: Option<Arc<Blocks>>,
    cache: Arc<ReadCache>,
    /// Its number in the cache.
    number: u64,
}

/// Read with the tail, in these steps: what opening an index touches lies there. A whole number of blocks of any file.
const STEP_BEFORE_TAIL_BYTES: u64 = 16 << 10;
const STEPS_BEFORE_TAIL: u64 = 2;
/// Read at a time by those who read on.
const SEQUENTIAL_BYTES: u64 = 16 << 10;
/// A longer read is not kept in the cache: it would push everything else out.
const CACHED_BYTES_MAX: u64 = 1 << 20;

impl ShardFile {
    /// Reads the tail and verifies it.
    pub(super) fn open(objects: Arc<dyn ObjectStore>, path: Path, bytes: u64, tail: Tail, cache: Arc<ReadCache>) -> io::Result<ShardFile> {
        let offset = tail.offset.min(bytes);
        let start = (offset.div_ceil(STEP_BEFORE_TAIL_BYTES).saturating_sub(STEPS_BEFORE_TAIL)) * STEP_BEFORE_TAIL_BYTES;
        let mut before = block_on(objects.get_range(&path, start..bytes)).map_err(io::Error::other)?;
        let read = before.split_off(before.len().min((offset - start) as usize));
        if crc32fast::hash(&read) != tail.crc32 {
            return Err(damaged(&path, tail.offset));
        }
        // Copied, so that the tail does not keep what was read with it.
        let read = Bytes::copy_from_slice(&read);
        let number = cache.number();
        let before_tail = Some((start, before));
        Ok(ShardFile { objects, path, bytes, tail_offset: tail.offset, tail: read, before_tail, blocks: None, cache, number })
    }

    /// From here on what comes before the tail can be read.
    pub(super) fn cover(&mut self, blocks: Blocks) {
        // What is damaged is not kept: who needs it reads it again, and says so.
        if let Some((start, before)) = self.before_tail.take()
            && blocks.bytes == self.tail_offset
            && start.is_multiple_of(blocks.block_bytes)
            && blocks.damaged(start, &before).is_none()
        {
            self.cache.keep_blocks(self.number, blocks.block_bytes, start / blocks.block_bytes, &before);
        }
        self.blocks = Some(Arc::new(blocks));
    }

    /// Reads a range, and keeps what was read for those who read there next. Blocks: reading happens on threads that may.
    pub(super) fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.read_range(range, true)
    }

    /// Reads a range of which something better than its bytes is kept.
    pub(super) fn read_once(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.read_range(range, false)
    }

    fn read_range(&self, range: Range<u64>, keep: bool) -> io::Result<Bytes> {
        if range.end > self.bytes || range.start > range.end {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} ends at byte {}, not {}", self.path, self.bytes, range.end),
            ));
        }
        if range.start >= self.tail_offset {
            return Ok(self.tail.slice((range.start - self.tail_offset) as usize..(range.end - self.tail_offset) as usize));
        }
        if range.end > self.tail_offset {
            let head = self.read_blocks(range.start..self.tail_offset, keep)?;
            return Ok([&head, &self.tail[..(range.end - self.tail_offset) as usize]].concat().into());
        }
        self.read_blocks(range, keep)
    }

    /// The page at a byte, if it was read lately.
    pub(super) fn kept_page(&self, offset: u64) -> Option<Page> {
        self.cache.page(self.number, offset)
    }

    /// Keeps a page for those who read it next.
    pub(super) fn keep_page(&self, offset: u64, page: &Page) {
        self.cache.keep_page(self.number, offset, page);
    }

    /// The record of a row, if it was read lately.
    pub(super) fn kept_record(&self, row: u32) -> Option<Record> {
        self.cache.record(self.number, row)
    }

    /// Keeps the record of a row for those who ask for it next.
    pub(super) fn keep_record(&self, row: u32, record: &Record) {
        self.cache.keep_record(self.number, row, record);
    }

    /// The dictionary of texts that begins at a byte, if it was made lately.
    pub(super) fn kept_texts(&self, offset: u64) -> Option<StringArray> {
        self.cache.texts(self.number, offset)
    }

    /// Keeps a dictionary of texts for those who read it next.
    pub(super) fn keep_texts(&self, offset: u64, texts: &StringArray) {
        self.cache.keep_texts(self.number, offset, texts);
    }

    fn read_blocks(&self, range: Range<u64>, keep: bool) -> io::Result<Bytes> {
        let blocks = self.blocks.as_ref().filter(|blocks| blocks.bytes == self.tail_offset);
        let blocks = blocks.ok_or_else(|| io::Error::other(format!("{}: its checksums are not known", self.path)))?;
        let whole = blocks.widen(range.start, range.end);
        let within = |read: Bytes| read.slice((range.start - whole.start) as usize..(range.end - whole.start) as usize);
        let cached = whole.end - whole.start <= CACHED_BYTES_MAX;
        let first = whole.start / blocks.block_bytes;
        if cached && let Some(found) = self.cache.blocks(self.number, first..whole.end.div_ceil(blocks.block_bytes)) {
            return Ok(within(found));
        }
        let read = block_on(self.objects.get_ranges(&self.path, std::slice::from_ref(&whole))).map_err(io::Error::other)?;
        let read = read.into_iter().next().ok_or_else(|| io::Error::other(format!("{}: nothing was read", self.path)))?;
        if let Some(offset) = blocks.damaged(whole.start, &read) {
            return Err(damaged(&self.path, offset));
        }
        if cached && keep {
            self.cache.keep_blocks(self.number, blocks.block_bytes, first, &read);
        }
        Ok(within(read))
    }
}

fn damaged(path: &Path, offset: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} is damaged at byte {offset}: its checksum does not match"))
}

impl Length for ShardFile {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for ShardFile {
    type T = Sequential;

    fn get_read(&self, start: u64) -> Result<Sequential, ParquetError> {
        Ok(Sequential { file: self.clone(), position: start, buffer: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.read(start..start.saturating_add(length as u64))?)
    }
}

/// Reads on from a place, some blocks at a time.
#[derive(Debug)]
pub(crate) struct Sequential {
    file: ShardFile,
    position: u64,
    buffer: Bytes,
}

impl Read for Sequential {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            let end = self.position.saturating_add(SEQUENTIAL_BYTES).min(self.file.bytes);
            self.buffer = self.file.read(self.position..end)?;
            self.position = end;
        }
        let count = self.buffer.len().min(out.len());
        self.buffer.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

/// The name of the index of pages among the files of the index; the others are tantivy's.
pub(super) const PAGES_FILE: &str = "pages";

/// Where a file of the index lies in the shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexFile {
    pub(super) name: PathBuf,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl IndexFile {
    /// Where a range of it lies in the shard.
    fn range(&self, range: Range<u64>) -> io::Result<Range<u64>> {
        let within = (range.start <= range.end && range.end <= self.bytes).then_some(range);
        let placed = within.and_then(|range| Some(self.offset.checked_add(range.start)?..self.offset.checked_add(range.end)?));
        placed.ok_or_else(|| {
            let name = self.name.display();
            io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} of the index ends at its byte {}", self.bytes))
        })
    }
}

/// The index inside a shard, as a read-only tantivy directory.
#[derive(Clone, Debug)]
pub(super) struct IndexDirectory {
    file: ShardFile,
    files: Arc<Vec<IndexFile>>,
}

impl IndexDirectory {
    pub(super) fn new(file: ShardFile, files: Vec<IndexFile>) -> IndexDirectory {
        IndexDirectory { file, files: Arc::new(files) }
    }

    /// Reads a range of the index of pages.
    pub(super) fn read_pages(&self, range: Range<u64>) -> io::Result<Bytes> {
        let place = self.find(FilePath::new(PAGES_FILE)).map_err(io::Error::other)?;
        self.file.read(place.range(range)?)
    }

    fn find(&self, path: &FilePath) -> Result<&IndexFile, OpenReadError> {
        self.files.iter().find(|file| file.name == path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }
}

struct IndexFileHandle {
    file: ShardFile,
    place: IndexFile,
}

impl fmt::Debug for IndexFileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.place.name.display(), self.file.path)
    }
}

impl HasLen for IndexFileHandle {
    fn len(&self) -> usize {
        self.place.bytes as usize
    }
}

impl FileHandle for IndexFileHandle {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let bytes = self.file.read(self.place.range(range.start as u64..range.end as u64)?)?;
        Ok(OwnedBytes::new(bytes.to_vec()))
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a shard's index is never written")
}

impl Directory for IndexDirectory {
    fn get_file_handle(&self, path: &FilePath) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(IndexFileHandle { file: self.file.clone(), place: self.find(path)?.clone() }))
    }

    fn exists(&self, path: &FilePath) -> Result<bool, OpenReadError> {
        Ok(self.find(path).is_ok())
    }

    fn atomic_read(&self, path: &FilePath) -> Result<Vec<u8>, OpenReadError> {
        let place = self.find(path)?;
        let bytes = place.range(0..place.bytes).and_then(|range| self.file.read(range));
        bytes.map(|bytes| bytes.to_vec()).map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))
    }

    fn delete(&self, path: &FilePath) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn open_write(&self, path: &FilePath) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_write(&self, _path: &FilePath, _data: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Err(LockError::wrap_io_error(read_only()))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
