//! Building a shard: order, columns, index, footer.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt32Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::columns::Layout;
use super::cover::Cover;
use super::file::{IndexFile, PAGES_FILE};
use super::index::{BuiltIndex, IndexBuilder};
use super::pages::PagesDescription;
use super::{BLOCKS_KEY, FIELDS_KEY, FORMAT, INDEX_KEY, SHARD_KEY, ShardError, order, tail};
use crate::catalog::Origins;
use crate::fields::FieldCounts;
use crate::model::{IdKey, RecordId, RecordsView, Signal, Tenant, UnixNanos, ValueKind, column};

/// Rows of a row group (a lookup touches one or two) and of a page (what a lookup decompresses): coarser
/// rows save little, finer pages halve a lookup.
const ROW_GROUP_ROWS: usize = 131_072;
const PAGE_ROWS: usize = 2_048;
const COMPRESSION_LEVEL: i32 = 3;
/// Bodies are a third of a shard, and the one column that gains from more work: 6 saves an eighth of it.
const TEXT_COMPRESSION_LEVEL: i32 = 6;
/// Rows gathered at a time: columns of a shard are never in memory as a whole.
const CHUNK_ROWS: usize = 4 * PAGE_ROWS;
/// A dictionary is read as a whole by whoever reads a page: beyond this, values are written plainly.
const DICTIONARY_BYTES_MAX: usize = 128 << 10;
/// Fields are counted, and keys named, in the footer when there are at most so many.
const KEYS_MAX: usize = 1_000;

/// A shard in memory, ready to be put.
#[derive(Debug)]
pub(crate) struct BuiltShard {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    pub(crate) time_min: UnixNanos,
    pub(crate) time_max: UnixNanos,
    pub(crate) record_min: RecordId,
    pub(crate) record_max: RecordId,
    pub(crate) tail: Tail,
    /// The keys of all ids, ascending, each once.
    pub(crate) keys: Vec<IdKey>,
}

/// The end of a shard, from its page indexes on: where it begins, and its CRC-32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) offset: u64,
    pub(crate) crc32: u32,
}

/// What the footer says of the shard, so that the catalog can be made anew from the shards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ShardDescription {
    pub(super) format: u32,
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) signal: String,
    pub(super) rows: u64,
    pub(super) time_min: u64,
    pub(super) time_max: u64,
    pub(super) record_min: u64,
    pub(super) record_max: u64,
    /// Absent in shards that were written before seals were numbered.
    #[serde(default)]
    pub(super) origins: Origins,
    /// Columns that hold nothing in any row.
    #[serde(default)]
    pub(super) empty_columns: BTreeSet<String>,
    /// Attributes whose values stand in the column of request ids in some rows.
    #[serde(default)]
    pub(super) request_keys: BTreeSet<String>,
    /// Attributes that stand in the general column in some rows; none when there are too many, or they were not noted.
    #[serde(default)]
    pub(super) general_keys: Option<BTreeSet<String>>,
    /// Whether the tail carries its own checksum.
    #[serde(default)]
    pub(super) tail_sum: bool,
}

/// Where the index is and what it covers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IndexDescription {
    pub(super) files: Vec<IndexFile>,
    pub(super) pages: PagesDescription,
    pub(super) cover: Cover,
}

/// Builds the shard `id` of these records.
pub(crate) fn build(
    id: &str,
    tenant: &Tenant,
    signal: Signal,
    origins: &Origins,
    batches: &[RecordBatch],
) -> Result<BuiltShard, ShardError> {
    let views: Vec<RecordsView<'_>> = batches.iter().map(|batch| RecordsView::new(signal, batch)).collect();
    let order = order::by_journey(&views);
    let layout = Layout::choose(signal, &views);
    let mut index = IndexBuilder::new(order.len());
    let mut writer = ArrowWriter::try_new(Vec::new(), layout.schema(), Some(properties(signal, &layout)))?;
    let mut empty_columns: BTreeSet<String> = layout.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut request_keys = BTreeSet::new();
    let (mut fields, mut general_keys) = (FieldCounts::default(), BTreeSet::new());
    for rows in order.chunks(CHUNK_ROWS) {
        let chunk = layout.gather(batches, &views, rows)?;
        empty_columns.retain(|name| chunk.column_by_name(name).is_some_and(|column| holds_nothing(column.as_ref())));
        let view = RecordsView::new(signal, &chunk);
        request_keys.extend(view.request_keys().map(str::to_owned));
        fields.add(&view, &(0..view.len() as u32).collect::<Vec<_>>());
        note_keys(&mut general_keys, view.general_keys());
        index.add(&view);
        writer.write(&chunk)?;
    }
    writer.flush()?;
    let general_keys = Some(general_keys).filter(|keys| keys.len() <= KEYS_MAX);
    let description = ShardDescription { empty_columns, request_keys, general_keys, ..describe(id, tenant, signal, origins, &views) };
    let BuiltIndex { files, pages: (pages, pages_description), cover, keys } = index.finish()?;
    let mut files: Vec<_> = files.into_iter().chain([(PAGES_FILE.into(), pages)]).collect();
    // The small ones last: whoever opens the shard reads these as a whole, and of the others the end, together with the tail.
    files.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.len()));
    let mut placed = Vec::new();
    for (name, bytes) in files {
        placed.push(IndexFile { name, offset: writer.bytes_written() as u64, bytes: bytes.len() as u64 });
        writer.write_all(&bytes)?;
    }
    writer.sync()?;
    let blocks = Blocks::of(writer.inner());
    writer.append_key_value_metadata(entry(BLOCKS_KEY, &blocks));
    writer.append_key_value_metadata(entry(SHARD_KEY, &description));
    if fields.keys() <= KEYS_MAX {
        writer.append_key_value_metadata(entry(FIELDS_KEY, &fields));
    }
    writer.append_key_value_metadata(entry(INDEX_KEY, &IndexDescription { files: placed, pages: pages_description, cover }));
    writer.append_key_value_metadata(tail::entry());
    let mut bytes = writer.into_inner()?;
    tail::put(&mut bytes[blocks.bytes as usize..])?;
    let bytes = Bytes::from(bytes);
    let tail = Tail { offset: blocks.bytes, crc32: crc32fast::hash(&bytes[blocks.bytes as usize..]) };
    Ok(BuiltShard {
        bytes,
        tail,
        keys,
        rows: description.rows,
        time_min: UnixNanos(description.time_min),
        time_max: UnixNanos(description.time_max),
        record_min: RecordId(description.record_min),
        record_max: RecordId(description.record_max),
    })
}

/// Keeps one more key than the footer takes, which tells that there are too many.
fn note_keys<'a>(known: &mut BTreeSet<String>, keys: impl Iterator<Item = &'a str>) {
    for key in keys {
        if known.len() <= KEYS_MAX && !known.contains(key) {
            known.insert(key.to_owned());
        }
    }
}

/// Whether reading the column would tell nothing: absent, it reads the same.
pub(super) fn holds_nothing(column: &dyn Array) -> bool {
    match column.data_type() {
        DataType::UInt32 => column.as_primitive::<UInt32Type>().values().iter().all(|number| *number == 0),
        DataType::Map(..) => column.as_map().entries().is_empty(),
        _ => column.null_count() == column.len(),
    }
}

fn describe(id: &str, tenant: &Tenant, signal: Signal, origins: &Origins, views: &[RecordsView<'_>]) -> ShardDescription {
    let rows = || views.iter().flat_map(|view| (0..view.len()).map(move |row| (view, row)));
    let (mut time_min, mut time_max, mut record_min, mut record_max) = (u64::MAX, 0, u64::MAX, 0);
    for (view, row) in rows() {
        let (time, record) = (view.time(row).0, view.record_id(row).0);
        (time_min, time_max) = (time_min.min(time), time_max.max(time));
        (record_min, record_max) = (record_min.min(record), record_max.max(record));
    }
    ShardDescription {
        format: FORMAT,
        id: id.to_owned(),
        tenant: tenant.as_str().to_owned(),
        signal: signal.as_str().to_owned(),
        rows: views.iter().map(|view| view.len() as u64).sum(),
        time_min,
        time_max,
        record_min,
        record_max,
        origins: origins.clone(),
        empty_columns: BTreeSet::new(),
        request_keys: BTreeSet::new(),
        general_keys: None,
        tail_sum: true,
    }
}

fn entry(key: &str, value: &impl Serialize) -> KeyValue {
    KeyValue::new(key.to_owned(), serde_json::to_string(value).expect("the description has string keys only"))
}

fn properties(signal: Signal, layout: &Layout) -> WriterProperties {
    let time = match signal {
        Signal::Logs => column::TIMESTAMP,
        Signal::Spans => column::START,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(zstd(COMPRESSION_LEVEL))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from(time), EnabledStatistics::Page);
    // Nearly sorted numbers are small differences. Other numbers that differ share their high bytes, ids nothing.
    properties = encoded(properties, column::RECORD_ID, Encoding::DELTA_BINARY_PACKED);
    properties = encoded(properties, time, Encoding::DELTA_BINARY_PACKED);
    for name in [column::OBSERVED_AFTER, column::DURATION] {
        properties = encoded(properties, name, Encoding::BYTE_STREAM_SPLIT);
    }
    for name in [column::TRACE_ID, column::SPAN_ID, column::PARENT_SPAN_ID, column::REQUEST_ID, column::BODY] {
        properties = encoded(properties, name, Encoding::PLAIN);
    }
    for (name, kind) in layout.values_that_differ() {
        properties = encoded(properties, &name, if kind == ValueKind::Int { Encoding::BYTE_STREAM_SPLIT } else { Encoding::PLAIN });
    }
    // What is packed bit by bit hardly compresses, and these are read by most counts.
    for name in [time, column::SERVICE_NAME] {
        properties = properties.set_column_compression(ColumnPath::from(name), Compression::UNCOMPRESSED);
    }
    properties.set_column_compression(ColumnPath::from(column::BODY), zstd(TEXT_COMPRESSION_LEVEL)).build()
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("a level zstd knows"))
}

fn encoded(properties: WriterPropertiesBuilder, column: &str, encoding: Encoding) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(column);
    properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding)
}
