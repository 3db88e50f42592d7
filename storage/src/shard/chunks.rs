//! Column chunks of a shard, as Parquet's decoders ask for their pages.
//!
//! The crate's own reader of pages sets up a compressor and a decompressor for every column that it opens, which costs
//! more than a lookup's page itself. Here a thread has one decompressor for all of them, the pages of a lookup are kept for the next
//! step of the same question (first the ids are looked at, then the rows fetched), and only pages that hold wanted
//! rows are walked over.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use zstd::bulk::Decompressor;

use super::file::ShardFile;
use super::header;

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Rows of a row group that are read: from the beginning of a page to the end of a page in every column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRows {
    pub(super) group: usize,
    /// The first row of the group.
    pub(super) first: u32,
    /// Counted from the first row of the group.
    pub(super) ranges: Vec<Range<u32>>,
}

/// Some of a shard's rows, as if there were no others.
pub(super) struct Chunks {
    pub(super) file: ShardFile,
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) groups: Arc<[GroupRows]>,
    /// Whether pages are kept for the next read.
    pub(super) keep: bool,
}

impl RowGroups for Chunks {
    fn num_rows(&self) -> usize {
        self.groups.iter().flat_map(|group| &group.ranges).map(ExactSizeIterator::len).sum()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let (file, metadata, keep) = (self.file.clone(), self.metadata.clone(), self.keep);
        Ok(Box::new(ColumnChunks { file, metadata, column, groups: self.groups.clone(), next: 0, keep }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.groups.iter().map(|rows| self.metadata.row_group(rows.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// One column, row group by row group.
struct ColumnChunks {
    file: ShardFile,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    groups: Arc<[GroupRows]>,
    next: usize,
    keep: bool,
}

impl Iterator for ColumnChunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let wanted = self.groups.get(self.next)?;
        self.next += 1;
        let group = self.metadata.row_group(wanted.group);
        let chunk = group.column(self.column);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let file = self.file.clone();
        let Some(locations) = page_locations(&self.metadata, wanted.group, self.column) else {
            return Some(Err(ParquetError::General("a column has no index of its pages".to_owned())));
        };
        let dictionary = dictionary_before(chunk, locations);
        let pages = pages_of(locations, rows, &wanted.ranges);
        let bytes = AheadReader::new(file, dictionary.iter().chain(pages.iter().map(|(place, _)| place)));
        Some(Ok(Box::new(Pages { bytes, dictionary, pages: pages.into_iter(), chunk: chunk.clone(), keep: self.keep })))
    }
}

impl PageIterator for ColumnChunks {}

/// Where the pages of a column lie in a row group.
pub(super) fn page_locations(metadata: &ParquetMetaData, group: usize, column: usize) -> Option<&[PageLocation]> {
    Some(metadata.offset_index()?.get(group)?.get(column)?.page_locations())
}

/// The rows at which a page begins in every column, and the number of rows: what lies between two of them can be
/// read alone. Of a row group without an index of pages only the first row is one.
pub(super) fn cuts(metadata: &ParquetMetaData) -> Vec<u32> {
    let mut cuts = Vec::new();
    let mut first = 0_u32;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let starts = |column| page_locations(metadata, number, column).unwrap_or_default();
        let mut common: Vec<i64> = starts(0).iter().map(|page| page.first_row_index).collect();
        for column in 1..group.num_columns() {
            let mut starts = starts(column).iter().map(|page| page.first_row_index).peekable();
            common.retain(|row| {
                while starts.next_if(|start| start < row).is_some() {}
                starts.peek() == Some(row)
            });
        }
        cuts.push(first);
        cuts.extend(common.into_iter().filter(|row| *row > 0).map(|row| first.saturating_add(u32::try_from(row).unwrap_or(u32::MAX))));
        first = first.saturating_add(u32::try_from(group.num_rows()).unwrap_or(0));
    }
    cuts.push(first);
    cuts
}

/// The pages that hold these rows of a group, and how many rows each has.
pub(super) fn pages_of(locations: &[PageLocation], rows: usize, ranges: &[Range<u32>]) -> Vec<(PageLocation, usize)> {
    let first_row = |page: &PageLocation| usize::try_from(page.first_row_index).unwrap_or(0);
    let mut pages = Vec::new();
    for range in ranges {
        let start = locations.partition_point(|page| first_row(page) < range.start as usize);
        let end = locations.partition_point(|page| first_row(page) < range.end as usize);
        pages.extend((start..end).map(|at| {
            let next = locations.get(at + 1).map_or(rows, first_row);
            (locations[at].clone(), next.saturating_sub(first_row(&locations[at])))
        }));
    }
    pages
}

/// What precedes the first page of data in its chunk is the dictionary.
pub(super) fn dictionary_before(chunk: &ColumnChunkMetaData, locations: &[PageLocation]) -> Option<PageLocation> {
    let start = i64::try_from(chunk.byte_range().0).ok()?;
    let bytes = locations.first()?.offset.checked_sub(start).filter(|bytes| *bytes > 0)?;
    Some(PageLocation { offset: start, compressed_page_size: i32::try_from(bytes).ok()?, first_row_index: 0 })
}

/// Pages of one column of one row group.
struct Pages {
    bytes: AheadReader,
    dictionary: Option<PageLocation>,
    /// Those of data, with their rows.
    pages: std::vec::IntoIter<(PageLocation, usize)>,
    chunk: ColumnChunkMetaData,
    keep: bool,
}

/// A page of a chunk, as its values are decoded from.
pub(super) fn read_page(bytes: &mut AheadReader, chunk: &ColumnChunkMetaData, place: &PageLocation, keep: bool) -> Result<Page> {
    let offset = u64::try_from(place.offset)?;
    if let Some(page) = bytes.file.kept_page(offset) {
        return Ok(page);
    }
    let mut page = decompressed(header::page(&bytes.read(place)?)?, chunk.compression())?;
    if keep {
        if chunk.compression() == Compression::UNCOMPRESSED {
            own_bytes(&mut page);
        }
        bytes.file.keep_page(offset, &page);
    }
    Ok(page)
}

thread_local! {
    /// Room for one page, used again by the next column: memory that was just used is the fastest there is.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A page whose values are taken before the next one is read.
pub(super) struct PassingPage {
    /// Its header, and its values where they were kept or are not compressed.
    page: Page,
    /// Its values where they were.
    room: Option<Vec<u8>>,
}

impl PassingPage {
    /// Reads a page of a chunk. Where it is kept there is nothing more to do.
    pub(super) fn read(bytes: &mut AheadReader, chunk: &ColumnChunkMetaData, place: &PageLocation, keep: bool) -> Result<PassingPage> {
        let is_compressed = chunk.compression() != Compression::UNCOMPRESSED;
        if keep || !is_compressed {
            return Ok(PassingPage { page: read_page(bytes, chunk, place, keep)?, room: None });
        }
        if let Some(page) = bytes.file.kept_page(u64::try_from(place.offset)?) {
            return Ok(PassingPage { page, room: None });
        }
        let page = header::page(&bytes.read(place)?)?;
        if !matches!(page, Page::DataPage { .. }) {
            return Ok(PassingPage { page: decompressed(page, chunk.compression())?, room: None });
        }
        let mut room = ROOM.take();
        decompress_into(page.buffer(), chunk.compression(), &mut room)?;
        Ok(PassingPage { page, room: Some(room) })
    }

    /// How its values are written, and they.
    pub(super) fn values(&self) -> Option<(Encoding, &[u8])> {
        let Page::DataPage { buf, encoding, .. } = &self.page else { return None };
        Some((*encoding, self.room.as_deref().unwrap_or(buf)))
    }
}

impl Drop for PassingPage {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            ROOM.set(room);
        }
    }
}

/// Pages that lie no further apart are read at once.
const GAP_BYTES: u64 = 8 << 10;
/// So much is read at once, if no page is longer.
const AHEAD_BYTES: u64 = 256 << 10;

/// Reads the bytes of pages, and with them those of the next ones that are wanted. Nothing is kept in the cache: the system
/// has the bytes, and verifying them costs less than looking them up block by block.
pub(super) struct AheadReader {
    file: ShardFile,
    /// What is read at once, ascending.
    runs: Vec<Range<u64>>,
    /// What was read last, from which byte on.
    read: (u64, Bytes),
}

impl AheadReader {
    /// For pages that will be read in this order.
    pub(super) fn new<'p>(file: ShardFile, places: impl Iterator<Item = &'p PageLocation>) -> AheadReader {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for place in places {
            let range = range_of(place);
            match runs.last_mut() {
                Some(run) if range.start >= run.end && range.start - run.end <= GAP_BYTES && range.end - run.start <= AHEAD_BYTES => {
                    run.end = range.end;
                }
                _ => runs.push(range),
            }
        }
        AheadReader { file, runs, read: (0, Bytes::new()) }
    }

    fn read(&mut self, place: &PageLocation) -> Result<Bytes> {
        let range = range_of(place);
        let (start, bytes) = &self.read;
        if range.start < *start || range.end > start + bytes.len() as u64 {
            let run = self.runs.iter().find(|run| run.start <= range.start && range.end <= run.end).unwrap_or(&range);
            self.read = (run.start, self.file.read_once(run.clone())?);
        }
        let (start, bytes) = &self.read;
        Ok(bytes.slice((range.start - start) as usize..(range.end - start) as usize))
    }
}

/// Where a page lies; nowhere, if what says so is damaged.
fn range_of(place: &PageLocation) -> Range<u64> {
    let start = u64::try_from(place.offset).unwrap_or(u64::MAX);
    start..start.saturating_add(u64::try_from(place.compressed_page_size).unwrap_or(0))
}

/// Copies a page out of the blocks that it was read with, which it would keep otherwise.
fn own_bytes(page: &mut Page) {
    match page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } | Page::DataPageV2 { buf, .. } => *buf = Bytes::copy_from_slice(buf),
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let place = self.dictionary.take().or_else(|| self.pages.next().map(|(place, _)| place));
        place.map(|place| read_page(&mut self.bytes, &self.chunk, &place, self.keep)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        if self.dictionary.is_some() {
            return Ok(Some(PageMetadata { num_rows: None, num_levels: None, is_dict: true }));
        }
        let next = self.pages.as_slice().first();
        Ok(next.map(|(_, rows)| PageMetadata { num_rows: Some(*rows), num_levels: None, is_dict: false }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if self.dictionary.take().is_none() {
            self.pages.next();
        }
        Ok(())
    }

    /// Pages of an index of pages begin with a row (Parquet's format, `PageLocation::first_row_index`).
    fn at_record_boundary(&mut self) -> Result<bool> {
        Ok(true)
    }
}

/// A page as its values are decoded from.
fn decompressed(mut page: Page, compression: Compression) -> Result<Page> {
    match &mut page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = plain(buf, compression)?,
        // Levels are never compressed in a page of the second version.
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, is_compressed, .. } => {
            let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
            if *is_compressed && levels <= buf.len() {
                let values = plain(&buf.slice(levels..), compression)?;
                *buf = [&buf[..levels], &values].concat().into();
            }
        }
    }
    Ok(page)
}

fn plain(bytes: &Bytes, compression: Compression) -> Result<Bytes> {
    match compression {
        Compression::UNCOMPRESSED => Ok(bytes.clone()),
        Compression::ZSTD(_) => decompress(bytes),
        other => Err(ParquetError::General(format!("{other} is no compression of a shard"))),
    }
}

/// A block of Zstandard takes four bytes at least, and becomes 128 KiB at most (RFC 8878, section 3.1.1.2).
const EXPANSION_MAX: u64 = (128 << 10) / 4;

/// What a frame of Zstandard holds that says how long it is.
pub(super) fn decompress(bytes: &Bytes) -> Result<Bytes> {
    let mut values = Vec::new();
    decompress_into(bytes, Compression::ZSTD(Default::default()), &mut values)?;
    Ok(values.into())
}

/// Replaces what is in `room` by what the bytes hold.
fn decompress_into(bytes: &Bytes, compression: Compression, room: &mut Vec<u8>) -> Result<()> {
    room.clear();
    if bytes.is_empty() {
        return Ok(());
    }
    if !matches!(compression, Compression::ZSTD(_)) {
        return Err(ParquetError::General(format!("{compression} is no compression of a shard")));
    }
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let size = size.ok_or_else(|| ParquetError::General("a compressed page does not say how long it is".to_owned()))?;
    // Room is made before a byte of it is there, so what no bytes could become is not believed.
    if size > (bytes.len() as u64 + 1).saturating_mul(EXPANSION_MAX) {
        return Err(ParquetError::General(format!("a compressed page of {} bytes says that it is {size} bytes long", bytes.len())));
    }
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            None => decompressor.insert(Decompressor::new()?),
        };
        room.reserve_exact(usize::try_from(size)?);
        decompressor.decompress_to_buffer(bytes, room)?;
        Ok(())
    })
}
