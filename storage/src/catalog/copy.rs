//! Reading a catalog without changing it: SQLite makes files beside the one it opens, and an older format is
//! brought to this one, so a copy is opened.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, params};

use super::sums::{self, sound_rows};
use super::{Catalog as _, CatalogError, Position, Publication, SeenRequest, ShardMeta, SqliteCatalog, sqlite};
use crate::disk::{Disk, read_all};

/// The ending of the file in which SQLite keeps transactions that are not yet in the catalog's own.
pub(crate) const JOURNAL_SUFFIX: &str = "-wal";

/// A copy of a catalog, in a folder that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct CatalogCopy {
    _folder: tempfile::TempDir,
    /// Where it was copied from.
    pub(super) path: PathBuf,
    /// Where it is.
    pub(super) copy: PathBuf,
}

impl CatalogCopy {
    /// Copies the catalog at `path` as it is.
    pub(crate) fn of(disk: &dyn Disk, path: &Path) -> std::io::Result<CatalogCopy> {
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join("catalog.db");
        for suffix in ["", JOURNAL_SUFFIX] {
            match disk.open_read(&with_suffix(path, suffix)) {
                Ok(file) if suffix.is_empty() && file.is_empty()? => {
                    return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it is empty"));
                }
                Ok(file) => disk.create(&with_suffix(&copy, suffix))?.write_at(&read_all(file.as_ref())?, 0)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(CatalogCopy { _folder: folder, path: path.to_owned(), copy })
    }

    /// Opens the copy; errors name the original.
    pub(crate) fn open(&self) -> Result<SqliteCatalog, CatalogError> {
        let path = self.path.clone();
        SqliteCatalog::open(&self.copy).map_err(|error| match error {
            CatalogError::Sqlite { error, .. } => CatalogError::Sqlite { path, error },
            CatalogError::Damaged { found, .. } => CatalogError::Damaged { path, found },
            CatalogError::Newer { found, known, .. } => CatalogError::Newer { path, found, known },
        })
    }
}

/// The path with something appended to its last name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

/// What an old catalog still says.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// Whether it is sound and all of it was read.
    pub(crate) is_sound: bool,
    pub(crate) shards: Vec<ShardMeta>,
    pub(crate) position: Option<Position>,
    pub(crate) seen: Vec<SeenRequest>,
    /// Paths of shards that others took the place of.
    pub(crate) replaced: Vec<String>,
    pub(crate) tombstones: Vec<TombstoneRow>,
    /// Whether anything was ever deleted: then the log may hold records that must not come back.
    pub(crate) has_deletions: bool,
}

/// A row of the table of deletions, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TombstoneRow {
    pub(crate) number: i64,
    pub(crate) tenant: String,
    pub(crate) term: Vec<u8>,
    pub(crate) before_record: i64,
    pub(crate) deleted_at: i64,
}

impl CatalogCopy {
    /// Reads whatever can be read, row by row.
    pub(crate) fn salvage(&self) -> Salvage {
        let is_sound = self.open().is_ok_and(|catalog| catalog.shards().is_ok() && catalog.seen().is_ok() && catalog.position().is_ok());
        let Ok(connection) = Connection::open(&self.copy) else { return Salvage::default() };
        if sums::register(&connection).is_err() {
            return Salvage::default();
        }
        let tombstone = |row: &Row<'_>| {
            Ok(TombstoneRow {
                number: row.get(0)?,
                tenant: row.get(1)?,
                term: row.get(2)?,
                before_record: row.get(3)?,
                deleted_at: row.get(4)?,
            })
        };
        const TOMBSTONES: &str = "select number, tenant, term, before_record, deleted_at from tombstones";
        Salvage {
            is_sound,
            shards: sound_rows(&connection, "shards", sqlite::SELECT_SHARDS, sqlite::shard),
            position: sound_rows(&connection, "position", sqlite::SELECT_POSITION, sqlite::position).pop(),
            seen: sound_rows(&connection, "seen", sqlite::SELECT_SEEN, sqlite::seen),
            replaced: sound_rows(&connection, "replaced", "select path from replaced", |row| row.get(0)),
            has_deletions: has_deletions(&connection).unwrap_or(true),
            tombstones: sound_rows(&connection, "tombstones", TOMBSTONES, tombstone),
        }
    }
}

/// SQLite remembers the highest number that a table gave, also when its rows are gone.
fn has_deletions(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("select count(*) > 0 from sqlite_sequence where name = 'tombstones'", [], |row| row.get(0))
}

/// Makes a catalog of these at `path`, where there is none.
pub(crate) fn write_catalog(path: &Path, publication: &Publication, tombstones: &[TombstoneRow]) -> Result<(), CatalogError> {
    let catalog = SqliteCatalog::open(path)?;
    catalog.publish(publication)?;
    catalog.with(|connection| {
        let transaction = connection.transaction()?;
        for TombstoneRow { number, tenant, term, before_record, deleted_at } in tombstones {
            transaction.execute(
                "insert into tombstones values (?1, ?2, ?3, ?4, ?5, checksum(?2, ?3, ?4, ?5))",
                params![number, tenant, term, before_record, deleted_at],
            )?;
        }
        transaction.commit()?;
        // Everything into the one file, so that it can be put in its place by its name alone.
        connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
    })
}
