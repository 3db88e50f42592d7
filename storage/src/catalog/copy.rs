//! Reading a catalog without changing it: SQLite makes files beside the one it opens, and an older format is
//! brought to this one, so a copy is opened.

use std::path::{Path, PathBuf};

use super::{CatalogError, SqliteCatalog};
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
