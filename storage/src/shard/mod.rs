//! A shard: records of one tenant and signal in one Parquet file that carries its own index.
//!
//! Row groups first, then the files of one tantivy segment, then Parquet's footer, whose key-value
//! metadata says where the index is. In the index, doc id equals row number.

mod blocks;
mod cached;
mod check;
mod chunks;
mod codes;
mod columns;
mod cover;
mod encoded;
mod file;
mod header;
mod index;
mod inspect;
mod order;
mod pages;
mod pick;
mod postings;
mod ranges;
mod read;
mod tail;
mod words;
mod write;

pub(crate) use cached::ReadCache;
pub(crate) use check::{Examined, examine};
pub use inspect::{ColumnReport, ShardReport};
pub(crate) use ranges::RowRanges;
pub(crate) use read::{Page, ShardReader, Visit, Wanted};
pub(crate) use write::{Tail, build};

/// The version of a shard's form.
pub(crate) const FORMAT: u32 = 3;
/// The first version whose index is read; the columns are, of every version.
const FIRST_INDEXED_FORMAT: u32 = 2;

/// Key of the metadata entry that describes the shard.
const SHARD_KEY: &str = "needle.shard";
/// Key of the metadata entry that says where the index is and what it covers.
const INDEX_KEY: &str = "needle.index";

/// Key of the metadata entry that counts fields.
const FIELDS_KEY: &str = "needle.fields";
/// Key of the metadata entry that holds the checksums of blocks.
const BLOCKS_KEY: &str = "needle.blocks";

/// Why a shard could not be built or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardError {
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("index: {0}")]
    Index(#[from] tantivy::TantivyError),
    #[error("index: {0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Object(#[from] object_store::Error),
    #[error("{0}")]
    Form(String),
}

#[cfg(test)]
mod tests;
