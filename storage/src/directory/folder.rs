//! The objects of the directory: their names, and every read and write of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::executor::block_on;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

use super::DirectoryError;
use crate::objects::TEMPORARY_SUFFIX;

const RUN_SUFFIX: &str = ".ids";
const PIECE_SUFFIX: &str = ".blocks";

/// Where the runs are.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) path: Path,
}

/// What there is of one run.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The length of the object that makes it a run.
    pub(super) bytes: Option<u64>,
    /// The lengths of its pieces.
    pub(super) pieces: BTreeMap<u32, u64>,
}

impl Listed {
    pub(super) const NOTHING: Listed = Listed { bytes: None, pieces: BTreeMap::new() };
}

impl Folder {
    /// The object of a run.
    pub(super) fn run(&self, run: u64) -> Path {
        self.path.clone().join(format!("{run:010}{RUN_SUFFIX}"))
    }

    /// The object of one of its pieces.
    pub(super) fn piece(&self, run: u64, piece: u32) -> Path {
        self.path.clone().join(format!("{run:010}-{piece:05}{PIECE_SUFFIX}"))
    }

    /// All runs and pieces by number, and the paths of what was not written to its end.
    pub(super) fn list(&self) -> Result<(BTreeMap<u64, Listed>, Vec<Path>), DirectoryError> {
        let (mut runs, mut unfinished) = (BTreeMap::<u64, Listed>::new(), Vec::new());
        for object in block_on(self.objects.list(Some(&self.path)).collect::<Vec<_>>()) {
            let object = object.map_err(|error| refused("list", &self.path, error))?;
            let name = object.location.filename().unwrap_or_default();
            if let Some((run, piece)) = parse(name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name)) {
                match piece {
                    _ if name.ends_with(TEMPORARY_SUFFIX) => unfinished.push(object.location),
                    None => runs.entry(run).or_default().bytes = Some(object.size),
                    Some(piece) => _ = runs.entry(run).or_default().pieces.insert(piece, object.size),
                }
            }
        }
        Ok((runs, unfinished))
    }

    /// Reads a range, all of it.
    pub(super) fn read(&self, path: &Path, range: Range<u64>) -> Result<Bytes, DirectoryError> {
        let wanted = range.end - range.start;
        match block_on(self.objects.get_range(path, range)) {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(bytes),
            Ok(_) => Err(damaged(path, "is cut")),
            Err(Error::NotFound { .. }) => Err(damaged(path, "is missing")),
            Err(error) => Err(refused("read", path, error)),
        }
    }

    /// Writes an object. When this returns it is durable.
    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), DirectoryError> {
        block_on(self.objects.put(path, bytes.into())).map(drop).map_err(|error| refused("write", path, error))
    }

    /// Removes an object, if it is there.
    pub(super) fn delete(&self, path: &Path) -> Result<(), DirectoryError> {
        match block_on(self.objects.delete(path)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused("remove", path, error)),
        }
    }

    /// Removes a run. First what makes it one: pieces alone are nothing.
    pub(super) fn delete_run(&self, run: u64, pieces: impl IntoIterator<Item = u32>) -> Result<(), DirectoryError> {
        self.delete(&self.run(run))?;
        pieces.into_iter().try_for_each(|piece| self.delete(&self.piece(run, piece)))
    }
}

/// The numbers of a name that is one of ours.
fn parse(name: &str) -> Option<(u64, Option<u32>)> {
    if let Some(run) = name.strip_suffix(RUN_SUFFIX) {
        return Some((run.parse().ok()?, None));
    }
    let (run, piece) = name.strip_suffix(PIECE_SUFFIX)?.split_once('-')?;
    Some((run.parse().ok()?, Some(piece.parse().ok()?)))
}

pub(super) fn damaged(path: &Path, found: impl Into<String>) -> DirectoryError {
    DirectoryError::Damaged { path: path.to_string(), found: found.into() }
}

fn refused(action: &'static str, path: &Path, error: Error) -> DirectoryError {
    DirectoryError::Refused { action, path: path.to_string(), error }
}
