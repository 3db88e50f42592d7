//! Which shards exist, and up to which frame of the log everything is in them.

mod copy;
mod origins;
mod sqlite;
mod sums;

use std::fmt::Debug;

use crate::model::{IdTerm, RecordId, Signal, Tenant, UnixNanos};
use crate::retention::Retention;
use crate::shard::Tail;
use crate::tombstones::Tombstone;
use crate::wal::{Digest, Sequence};

pub(crate) use copy::{CatalogCopy, JOURNAL_SUFFIX, Salvage, TombstoneRow, with_suffix, write_catalog};
pub(crate) use origins::Origins;
pub(crate) use sqlite::{FORMAT, SqliteCatalog, shard as shard_of_row};

/// A row of the catalog: one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardMeta {
    /// Derived from the frames it was made of, so that a build that crashed is overwritten, never doubled.
    pub(crate) id: String,
    /// Whose records.
    pub(crate) tenant: Tenant,
    /// What records.
    pub(crate) signal: Signal,
    /// Its object, below the data folder.
    pub(crate) path: String,
    /// Earliest time in it.
    pub(crate) time_min: UnixNanos,
    /// Latest time in it.
    pub(crate) time_max: UnixNanos,
    /// Lowest record id in it.
    pub(crate) record_min: RecordId,
    /// Highest record id in it.
    pub(crate) record_max: RecordId,
    /// Records in it.
    pub(crate) rows: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// Version of its form.
    pub(crate) format: u32,
    /// The seals it is made of.
    pub(crate) origins: Origins,
    /// Where its tail begins, and the tail's checksum.
    pub(crate) tail: Tail,
}

/// A request that was accepted lately: another one of the same digest is a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenRequest {
    pub(crate) digest: Digest,
    pub(crate) arrival: UnixNanos,
    pub(crate) records: u32,
}

/// How far the log is in shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Every frame up to this one is in shards.
    pub(crate) sealed: Sequence,
    /// The number the next record gets, if the log holds no later frame.
    pub(crate) next_record: RecordId,
    /// The number the next seal of a tenant's signal gets. It only grows, so that none is given twice.
    pub(crate) next_origin: u32,
}

/// What a seal publishes, in one transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Publication {
    pub(crate) shards: Vec<ShardMeta>,
    pub(crate) position: Position,
    /// Requests whose frames leave the log but may still be repeated.
    pub(crate) seen: Vec<SeenRequest>,
    /// Requests that arrived before this need not be remembered.
    pub(crate) seen_since: UnixNanos,
}

/// A deletion of every record that carries one of these terms and was accepted before.
#[derive(Clone, Debug)]
pub(crate) struct Deletion<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) terms: &'a [IdTerm],
    pub(crate) before: RecordId,
    pub(crate) time: UnixNanos,
}

/// The list of shards.
pub(crate) trait Catalog: Send + Sync + Debug {
    /// All shards.
    fn shards(&self) -> Result<Vec<ShardMeta>, CatalogError>;
    /// How far the log is in shards.
    fn position(&self) -> Result<Position, CatalogError>;
    /// Requests to be recognised when they come again.
    fn seen(&self) -> Result<Vec<SeenRequest>, CatalogError>;
    /// Adds shards and moves the position: both or neither. When this returns it is durable. Publishing the
    /// same shard again changes nothing.
    fn publish(&self, publication: &Publication) -> Result<(), CatalogError>;
    /// Puts a shard, or nothing, in the place of others: all or nothing, durable when it returns. The others are
    /// then `replaced`: no longer listed, their files still there.
    fn replace(&self, written: Option<&ShardMeta>, replaced: &[&ShardMeta]) -> Result<(), CatalogError>;
    /// Paths of replaced shards whose files may still be there.
    fn replaced(&self) -> Result<Vec<String>, CatalogError>;
    /// The files of these replaced shards are gone.
    fn forget_replaced(&self, paths: &[&str]) -> Result<(), CatalogError>;
    /// Deletions that may still have something to hide.
    fn tombstones(&self) -> Result<Vec<Tombstone>, CatalogError>;
    /// Remembers a deletion, one tombstone for each term; durable when it returns.
    fn bury(&self, deletion: &Deletion<'_>) -> Result<Vec<Tombstone>, CatalogError>;
    /// Nothing that these tombstones hide is left.
    fn forget_tombstones(&self, numbers: &[u64]) -> Result<(), CatalogError>;
    /// The retention that shards were last looked after with.
    fn retention(&self) -> Result<Option<Retention>, CatalogError>;
    /// Shards are looked after with this one from now on.
    fn note_retention(&self, retention: &Retention) -> Result<(), CatalogError>;
}

/// Why the catalog did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    /// SQLite said so.
    #[error("catalog {path}: {error}{}", way_out(.error))]
    Sqlite {
        /// The file.
        path: std::path::PathBuf,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// The file is not sound.
    #[error("catalog {path} is damaged ({found}): restore it from a backup, or run `needle repair`, which makes it anew from the shards")]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What the check found.
        found: String,
    },
    /// The file was written by a newer needle.
    #[error("catalog {path} has format {found}, this needle reads up to {known}: use the newer program")]
    Newer {
        /// The file.
        path: std::path::PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
}

/// How to mend what SQLite says.
fn way_out(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{CannotOpen, DiskFull, PermissionDenied, ReadOnly};
    match error.sqlite_error_code() {
        Some(DiskFull) => "; free some space",
        Some(CannotOpen | PermissionDenied | ReadOnly) => "; let this user write there",
        _ => "; restore it from a backup, or run `needle repair`, which makes it anew from the shards",
    }
}
