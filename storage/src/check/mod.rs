//! Checking a data folder that no process has open: every checksum, and whether its parts agree with each
//! other. Nothing in it is changed, and one shard at a time is in memory.

mod log;
mod numbers;
mod shards;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore};

use crate::catalog::{Catalog, CatalogCopy, Position, ShardMeta};
use crate::directory::SoundRuns;
use crate::disk::{Disk, FolderLock, LocalDisk, LockError};
use crate::objects::DiskObjects;
use crate::recover::{CATALOG_FILE, IDS_FOLDER, OWN_FOLDER, OpenError};
use crate::wal::Sequence;
use numbers::RecordNumbers;
pub(crate) use shards::read_whole;

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    /// Damage first found first, and notes between.
    pub findings: Vec<Finding>,
    /// Shards that were read whole.
    pub shards: usize,
    /// Records in them.
    pub rows: u64,
    /// Frames of the log that are not in a shard yet.
    pub frames: u64,
    /// Sorted parts of the id directory.
    pub directory_runs: usize,
    /// Bytes that were read.
    pub bytes: u64,
}

impl CheckReport {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.kind == FindingKind::Note)
    }

    fn damage(&mut self, path: impl Into<String>, found: impl Into<String>, mend: &str) {
        self.findings.push(Finding { kind: FindingKind::Damage, path: path.into(), found: found.into(), mend: mend.to_owned() });
    }

    fn note(&mut self, path: impl Into<String>, found: impl Into<String>, mend: &str) {
        self.findings.push(Finding { kind: FindingKind::Note, path: path.into(), found: found.into(), mend: mend.to_owned() });
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How bad it is.
    pub kind: FindingKind,
    /// Where: a path below the data folder.
    pub path: String,
    /// What.
    pub found: String,
    /// What to do.
    pub mend: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Records cannot be read or found, or would be wrong.
    Damage,
    /// Worth knowing; nothing is lost by it.
    Note,
}

const REPAIR: &str = "run `needle repair`";
const RESTORE: &str =
    "restore it from a backup, or run `needle repair` to set it aside; until then its records are missing, and answers say so";

/// Checks a data folder. An error: it is no data folder, or another process has it open.
pub fn check(folder: &Path) -> Result<CheckReport, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let _lock = lock_for_reading(folder)?;
    let objects: Arc<dyn ObjectStore> = Arc::new(DiskObjects::new(disk.clone(), folder.to_owned()));
    let listed = list(folder, &objects)?;
    let mut check = Check {
        folder,
        disk: disk.as_ref(),
        objects,
        report: CheckReport::default(),
        numbers: RecordNumbers::default(),
        logged: BTreeSet::new(),
    };
    let catalog = check.catalog();
    let directory = check.directory();
    check.log(catalog.as_ref().map(|catalog| catalog.position));
    check.shards(catalog.as_ref(), directory.as_ref(), &listed);
    Ok(check.report)
}

/// What a check works with.
struct Check<'a> {
    folder: &'a Path,
    disk: &'a dyn Disk,
    objects: Arc<dyn ObjectStore>,
    report: CheckReport,
    numbers: RecordNumbers,
    /// Frames of the log that are not in a shard yet.
    logged: BTreeSet<Sequence>,
}

/// What the catalog says.
struct Known {
    shards: Vec<ShardMeta>,
    position: Position,
    replaced: Vec<String>,
}

impl Check<'_> {
    fn catalog(&mut self) -> Option<Known> {
        let path = format!("{OWN_FOLDER}/{CATALOG_FILE}");
        let copy = match CatalogCopy::of(self.disk, &self.folder.join(&path)) {
            Ok(copy) => copy,
            Err(error) => {
                self.report.damage(path, format!("the catalog cannot be read: {error}"), REPAIR);
                return None;
            }
        };
        let known = copy.open().and_then(|catalog| {
            let known = Known { shards: catalog.shards()?, position: catalog.position()?, replaced: catalog.replaced()? };
            let empty = catalog.seen()?.iter().filter(|request| request.records == 0).count();
            let early = catalog.tombstones()?.iter().filter(|tombstone| tombstone.before.0 == 0).count();
            Ok((known, empty, early))
        });
        match known {
            Ok((known, empty, early)) => {
                if empty + early > 0 {
                    let found = format!("{empty} remembered requests have no records, {early} deletions are of none");
                    self.report.damage(path, found, REPAIR);
                }
                Some(known)
            }
            Err(error) => {
                self.report.damage(path, error.to_string(), REPAIR);
                None
            }
        }
    }

    fn directory(&mut self) -> Option<SoundRuns> {
        match SoundRuns::read(self.objects.clone(), ObjectPath::from(IDS_FOLDER)) {
            Ok(runs) => {
                self.report.directory_runs = runs.len();
                self.report.bytes += runs.bytes();
                for (path, found) in &runs.complaints {
                    self.report.damage(path, found, "nothing is lost: it is made anew from the shards at the next start");
                }
                Some(runs)
            }
            Err(error) => {
                self.report.damage(IDS_FOLDER, error.to_string(), "nothing is lost: `needle repair` has it made anew from the shards");
                None
            }
        }
    }
}

/// Every object of the folder; an error where the folder is none of needle's.
pub(crate) fn list(folder: &Path, objects: &Arc<dyn ObjectStore>) -> Result<Vec<ObjectMeta>, OpenError> {
    let listed: Vec<_> = block_on(objects.list(None).collect());
    let listed: Result<Vec<ObjectMeta>, _> = listed.into_iter().collect();
    let mut listed = listed.map_err(|error| OpenError::Shards(error.to_string()))?;
    let ours = |object: &ObjectMeta| object.location.as_ref().starts_with(OWN_FOLDER) || object.location.as_ref().ends_with(".parquet");
    if !listed.iter().any(ours) {
        return Err(OpenError::NoFolder(folder.to_owned()));
    }
    listed.sort_by(|one, other| one.location.cmp(&other.location));
    Ok(listed)
}

/// Keeps other processes away from a folder, without changing it.
pub(crate) fn lock_for_reading(folder: &Path) -> Result<Option<FolderLock>, OpenError> {
    let path: PathBuf = folder.join(OWN_FOLDER).join("lock");
    FolderLock::take_for_reading(&path).map_err(|error| match error {
        LockError::Held(holder) => OpenError::Locked { folder: folder.to_owned(), holder },
        LockError::Io(error) => OpenError::Unusable { action: "lock", path, error },
    })
}
