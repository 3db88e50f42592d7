//! What a shard consists of, byte by byte: for whoever wonders where they go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};

use super::blocks::Blocks;
use super::read::{ShardReader, footer_entry};
use super::write::{IndexDescription, ShardDescription, Tail};
use super::{BLOCKS_KEY, FIRST_INDEXED_FORMAT, INDEX_KEY, SHARD_KEY, ShardError, tail};
use crate::catalog::ShardMeta;
use crate::disk::{Disk, LocalDisk};
use crate::model::{RecordId, Signal, Tenant, UnixNanos};

/// What is in a shard's file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ShardReport {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Version of its form.
    pub format: u32,
    /// Its id.
    pub id: String,
    /// Whose records.
    pub tenant: String,
    /// What records: `logs` or `spans`.
    pub signal: String,
    /// Records in it.
    pub rows: u64,
    /// Earliest time in it, unix nanoseconds.
    pub time_min: u64,
    /// Latest time in it, unix nanoseconds.
    pub time_max: u64,
    /// Lowest record number in it.
    pub record_min: u64,
    /// Highest record number in it.
    pub record_max: u64,
    /// The seals it is made of.
    pub origins: String,
    /// Groups of rows.
    pub row_groups: usize,
    /// Its columns, in order.
    pub columns: Vec<ColumnReport>,
    /// The parts of its index: name and bytes.
    pub index: Vec<(String, u64)>,
    /// Words in the index.
    pub words: u64,
    /// How many of them are frequent, so that their rows are not written.
    pub words_frequent: u64,
    /// Entries of the index of pages: ids, values of fields, numbers.
    pub page_entries: u64,
    /// Bytes of page indexes and footer.
    pub tail_bytes: u64,
    /// CRC-32 of the tail, which the catalog holds too.
    pub tail_crc32: u32,
    /// Blocks with a checksum.
    pub blocks: usize,
    /// Offsets of blocks whose checksum does not match.
    pub damaged_blocks: Vec<u64>,
    /// Why the index cannot be used, if so.
    pub index_failure: Option<String>,
}

/// A column of a shard.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ColumnReport {
    /// Its path.
    pub name: String,
    /// Its physical type.
    pub kind: String,
    /// Its encodings.
    pub encodings: Vec<String>,
    /// Bytes in the file.
    pub bytes: u64,
    /// Bytes before compression.
    pub encoded_bytes: u64,
    /// Pages of values.
    pub pages: usize,
}

impl ShardReport {
    /// Reads a shard's file whole and says what is in it.
    pub fn read(path: &Path) -> Result<ShardReport, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = read_file(path).map_err(|error| failed(&error))?;
        report(path, bytes).map_err(|error| failed(&error))
    }
}

fn read_file(path: &Path) -> std::io::Result<Bytes> {
    let file = LocalDisk.open_read(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(std::io::Error::other)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes.into())
}

fn report(path: &Path, bytes: Bytes) -> Result<ShardReport, ShardError> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let parquet = ArrowReaderMetadata::load(&bytes, options)?;
    let description: ShardDescription = footer_entry(&parquet, SHARD_KEY)?;
    let blocks: Blocks = footer_entry(&parquet, BLOCKS_KEY)?;
    let (before, tail) = bytes.split_at(usize::try_from(blocks.bytes).unwrap_or(usize::MAX).min(bytes.len()));
    tail::verify(tail, description.tail_sum)?;
    let tail_crc32 = crc32fast::hash(tail);
    let index = match description.format >= FIRST_INDEXED_FORMAT {
        true => Some(footer_entry::<IndexDescription>(&parquet, INDEX_KEY)?),
        false => None,
    };
    let reader = open(&description, &blocks, tail_crc32, bytes.clone())?;
    let (words, words_frequent) = reader.words()?;
    let parts = index.iter().flat_map(|index| &index.files);
    Ok(ShardReport {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        format: description.format,
        row_groups: parquet.metadata().num_row_groups(),
        columns: columns(&parquet),
        index: parts.map(|file| (file.name.display().to_string(), file.bytes)).collect(),
        words,
        words_frequent,
        page_entries: index.as_ref().map_or(0, |index| u64::from(index.pages.entries)),
        tail_bytes: tail.len() as u64,
        tail_crc32,
        blocks: blocks.len(),
        damaged_blocks: blocks.all_damaged(before),
        index_failure: reader.index_failure().map(str::to_owned),
        id: description.id,
        tenant: description.tenant,
        signal: description.signal,
        rows: description.rows,
        time_min: description.time_min,
        time_max: description.time_max,
        record_min: description.record_min,
        record_max: description.record_max,
        origins: description.origins.to_string(),
    })
}

/// Opens the shard in memory, as queries do from the data folder.
pub(super) fn open(description: &ShardDescription, blocks: &Blocks, tail_crc32: u32, bytes: Bytes) -> Result<ShardReader, ShardError> {
    let meta = meta_of(description, "shard.parquet", bytes.len() as u64, Tail { offset: blocks.bytes, crc32: tail_crc32 })?;
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    block_on(objects.put(&object_store::path::Path::from(meta.path.as_str()), bytes.into()))?;
    ShardReader::open(objects, meta)
}

/// The catalog's row of a shard, from what its footer says.
pub(super) fn meta_of(description: &ShardDescription, path: &str, bytes: u64, tail: Tail) -> Result<ShardMeta, ShardError> {
    let unknown = || ShardError::Form(format!("unknown signal {:?}", description.signal));
    Ok(ShardMeta {
        id: description.id.clone(),
        tenant: Tenant::new(&description.tenant).map_err(|error| ShardError::Form(error.to_string()))?,
        signal: Signal::ALL.into_iter().find(|signal| signal.as_str() == description.signal).ok_or_else(unknown)?,
        path: path.to_owned(),
        time_min: UnixNanos(description.time_min),
        time_max: UnixNanos(description.time_max),
        record_min: RecordId(description.record_min),
        record_max: RecordId(description.record_max),
        rows: description.rows,
        bytes,
        format: description.format,
        tail,
        origins: description.origins.clone(),
    })
}

fn columns(parquet: &ArrowReaderMetadata) -> Vec<ColumnReport> {
    let metadata = parquet.metadata();
    let mut columns: BTreeMap<usize, ColumnReport> = BTreeMap::new();
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let pages = metadata.offset_index().and_then(|index| index.get(number));
        for (at, chunk) in RowGroupMetaData::columns(group).iter().enumerate() {
            let column = columns.entry(at).or_default();
            column.name = chunk.column_path().string();
            column.kind = chunk.column_type().to_string();
            column.bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
            column.encoded_bytes += u64::try_from(chunk.uncompressed_size()).unwrap_or(0);
            column.pages += pages.and_then(|pages| pages.get(at)).map_or(0, |pages| pages.page_locations().len());
            for encoding in chunk.encodings() {
                let name = encoding.to_string();
                if !column.encodings.contains(&name) {
                    column.encodings.push(name);
                }
            }
        }
    }
    columns.into_values().collect()
}
