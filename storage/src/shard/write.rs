//! Building a shard: order, columns, index, footer.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::cover::Cover;
use super::file::IndexFile;
use super::{BLOCKS_KEY, FORMAT, INDEX_KEY, SHARD_KEY, ShardError, index, order};
use crate::catalog::Origins;
use crate::model::{RecordId, RecordsView, Signal, Tenant, UnixNanos, column};

/// Rows of a row group (a lookup touches one or two) and of a page (what a lookup decompresses): coarser
/// rows save little, finer pages halve a lookup.
const ROW_GROUP_ROWS: usize = 131_072;
const PAGE_ROWS: usize = 2_048;
const COMPRESSION_LEVEL: i32 = 1;

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
}

/// Where the index is and what it covers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IndexDescription {
    pub(super) files: Vec<IndexFile>,
    pub(super) cover: Cover,
}

/// Builds the shard `id` of these records.
pub(crate) fn build(
    id: &str,
    tenant: &Tenant,
    signal: Signal,
    origins: &Origins,
    batches: &[&RecordBatch],
) -> Result<BuiltShard, ShardError> {
    let records = concat_batches(&signal.schema(), batches.iter().copied())?;
    let records = order::by_journey(signal, &records)?;
    let view = RecordsView::new(signal, &records);
    let cover = Cover::choose(&view);
    let index_files = index::build(&view, &cover)?;

    let description = describe(id, tenant, signal, origins, &view);
    let mut writer = ArrowWriter::try_new(Vec::new(), signal.schema(), Some(properties(signal)))?;
    writer.write(&records)?;
    writer.flush()?;
    let mut files = Vec::with_capacity(index_files.len());
    for (name, bytes) in index_files {
        files.push(IndexFile { name, offset: writer.bytes_written() as u64, bytes: bytes.len() as u64 });
        writer.write_all(&bytes)?;
    }
    writer.sync()?;
    let blocks = Blocks::of(writer.inner());
    writer.append_key_value_metadata(entry(BLOCKS_KEY, &blocks));
    writer.append_key_value_metadata(entry(SHARD_KEY, &description));
    writer.append_key_value_metadata(entry(INDEX_KEY, &IndexDescription { files, cover }));
    let bytes: Bytes = writer.into_inner()?.into();
    let tail = Tail { offset: blocks.bytes, crc32: crc32fast::hash(&bytes[blocks.bytes as usize..]) };
    Ok(BuiltShard {
        bytes,
        tail,
        rows: description.rows,
        time_min: UnixNanos(description.time_min),
        time_max: UnixNanos(description.time_max),
        record_min: RecordId(description.record_min),
        record_max: RecordId(description.record_max),
    })
}

fn describe(id: &str, tenant: &Tenant, signal: Signal, origins: &Origins, view: &RecordsView<'_>) -> ShardDescription {
    let times = || (0..view.len()).map(|row| view.time(row).0);
    let record_ids = || (0..view.len()).map(|row| view.record_id(row).0);
    ShardDescription {
        format: FORMAT,
        id: id.to_owned(),
        tenant: tenant.as_str().to_owned(),
        signal: signal.as_str().to_owned(),
        rows: view.len() as u64,
        time_min: times().min().unwrap_or(0),
        time_max: times().max().unwrap_or(0),
        record_min: record_ids().min().unwrap_or(0),
        record_max: record_ids().max().unwrap_or(0),
        origins: origins.clone(),
    }
}

fn entry(key: &str, value: &impl Serialize) -> KeyValue {
    KeyValue::new(key.to_owned(), serde_json::to_string(value).expect("the description has string keys only"))
}

fn properties(signal: Signal) -> WriterProperties {
    let time = match signal {
        Signal::Logs => column::TIMESTAMP,
        Signal::Spans => column::START,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(COMPRESSION_LEVEL).expect("a level zstd knows")))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from(time), EnabledStatistics::Page)
        .set_column_statistics_enabled(ColumnPath::from(column::SERVICE_NAME), EnabledStatistics::Page);
    // Nearly sorted numbers are small differences; ids and bodies seldom repeat within a dictionary's reach.
    for name in [column::RECORD_ID, time, column::OBSERVED_TIMESTAMP] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in [column::TRACE_ID, column::SPAN_ID, column::PARENT_SPAN_ID, column::REQUEST_ID, column::BODY] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    properties.build()
}
