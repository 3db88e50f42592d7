//! Opening a data folder: lock, catalog, shards, the end of the log. It can be interrupted anywhere and done again. What the
//! log holds is replayed afterwards (`background/replay.rs`), while records are accepted behind it.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use futures::StreamExt as _;
use futures::executor::block_on;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::accept::Decode;
use crate::background::{Garbage, Replay, Reserve, RetentionGuard};
use crate::catalog::{Catalog, CatalogError, JOURNAL_SUFFIX, Position, ShardMeta, SqliteCatalog};
use crate::clock::Clock;
use crate::directory::DirectoryError;
use crate::disk::{Disk, FolderLock, LocalDisk, LockError};
use crate::keep::{Keep, Rewrite, SealError, ShardName};
use crate::lookup::Lookup;
use crate::metrics::Metrics;
use crate::model::RecordId;
use crate::objects::{DiskObjects, TEMPORARY_SUFFIX};
use crate::settings::{Durability, StoreSettings};
use crate::state::{State, Unreadable};
use crate::tombstones::Tombstone;
use crate::wal::{LogPlace, RecoveredLog, RecoveryReport, SegmentedWal, Sequence, Unreplayed, Wal, WalError};
use crate::window::Window;

/// Where a data folder keeps what is not a shard. No tenant's name begins with `_`.
pub(crate) const OWN_FOLDER: &str = "_needle";
/// In it: the catalog, the log, the reserve, the id directory.
pub(crate) const CATALOG_FILE: &str = "catalog.db";
pub(crate) const LOG_FOLDER: &str = "wal";
const RESERVE_FILE: &str = "reserve";
pub(crate) const IDS_FOLDER: &str = "_needle/ids";

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data folder {folder} is in use by process {holder}: stop that process, or give this one another folder with --data")]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Who has it: the id of the process, and on which machine.
        holder: String,
    },
    /// There is nothing of needle's in it.
    #[error("{0} is no data folder: give the folder that `needle serve` keeps its data in with --data")]
    NoFolder(PathBuf),
    /// The system refuses something.
    #[error("cannot {action} {path}: {error}{}", way_out(.error))]
    Unusable {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Settings do not fit together.
    #[error("{0}")]
    Settings(String),
    /// The catalog cannot be used.
    #[error("{0}")]
    Catalog(String),
    /// The log cannot be used.
    #[error("{0}")]
    Log(String),
    /// The shards cannot be listed or written.
    #[error("{0}")]
    Shards(String),
}

/// How to mend what the system refuses.
fn way_out(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; let this user write there, or give another folder with --data",
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            "; give a folder with --data, or a path where one can be made"
        }
        std::io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing, or give another folder with --data",
        std::io::ErrorKind::StorageFull => "; free some space, or give a folder on another disk with --data",
        _ => "",
    }
}

impl From<CatalogError> for OpenError {
    fn from(error: CatalogError) -> Self {
        OpenError::Catalog(error.to_string())
    }
}

impl From<WalError> for OpenError {
    fn from(error: WalError) -> Self {
        OpenError::Log(format!("cannot {error}"))
    }
}

impl From<DirectoryError> for OpenError {
    fn from(error: DirectoryError) -> Self {
        OpenError::Shards(error.to_string())
    }
}

impl From<SealError> for OpenError {
    fn from(error: SealError) -> Self {
        OpenError::Shards(error.to_string())
    }
}

/// An opened data folder.
pub(crate) struct Recovered {
    pub(crate) lock: FolderLock,
    pub(crate) keep: Keep,
    pub(crate) state: State,
    pub(crate) wal: Box<dyn Wal>,
    pub(crate) last_sequence: Sequence,
    pub(crate) window: Arc<Window>,
    /// Files of shards that others took the place of.
    pub(crate) garbage: Vec<Garbage>,
    pub(crate) retention: RetentionGuard,
    /// What the log holds and no shard.
    pub(crate) replay: Replay,
    pub(crate) reserve: Reserve,
}

/// Opens the folder and looks through the log, so that new records can be accepted behind it.
pub(crate) fn recover(
    settings: &StoreSettings,
    decode: &Decode,
    disk: &Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Recovered, OpenError> {
    let own = settings.data.join(OWN_FOLDER);
    disk.create_folder(&own).map_err(|error| OpenError::Unusable { action: "create data folder", path: settings.data.clone(), error })?;
    let lock = lock(&settings.data, &own)?;
    if settings.durability == Durability::Disk {
        sync_folders(disk.as_ref(), &settings.data)?;
        [CATALOG_FILE.to_owned(), format!("{CATALOG_FILE}{JOURNAL_SUFFIX}")].into_iter().try_for_each(|name| sync_file(own.join(name)))?;
    }
    let objects: Arc<dyn ObjectStore> = Arc::new(DiskObjects::new(disk.clone(), settings.data.clone()));
    refuse_lost_catalog(disk.as_ref(), objects.as_ref(), &own.join(CATALOG_FILE))?;
    let catalog: Arc<dyn Catalog> = Arc::new(SqliteCatalog::open(&own.join(CATALOG_FILE))?);
    let position = catalog.position()?;
    let lookup = Arc::new(Lookup::open(objects.clone(), metrics.clone())?);
    // A catalog from a backup may be older than the directory: a number that is in either is never given again.
    let next_origin =
        AtomicU32::new(lookup.covered().last().map_or(position.next_origin, |last| position.next_origin.max(last.saturating_add(1))));
    let keep = Keep { objects, catalog, clock, repetition_window_ms: settings.repetition_window_ms, next_origin, lookup };

    let shards = keep.catalog.shards()?;
    let mut replaced = keep.catalog.replaced()?;
    if settings.garbage_grace_ms == 0 {
        keep.collect(&replaced.iter().map(String::as_str).collect::<Vec<_>>())?;
        replaced.clear();
    }
    let mut state = state_of(shards, position, keep.catalog.tombstones()?);
    let log = open_log(settings, disk, &own, &keep, position, &mut state)?;
    let Leftovers { unlisted, waiting } = remove_leftovers(&keep, &state.shards, &replaced, log.replayable())?;
    state.unreadable = unreadable(&unlisted, &log.report)?;
    note(&log.report, metrics);
    let is_empty = state.shards.is_empty() && log.first.is_none();
    let retention = RetentionGuard::open(keep.catalog.as_ref(), settings, is_empty)?;
    let since = keep.clock.monotonic();
    let garbage = replaced.into_iter().map(|path| Garbage::left(path, since)).collect();
    let reserve = Reserve::open(disk.clone(), own.join(RESERVE_FILE), settings.reserve_bytes);
    let replay = Replay::new(log.unreplayed, decode.clone(), waiting, own.join("undecodable"), disk.clone());
    state.replay = replay.progress(log.first.map_or(state.next_record, |(_, record)| record));
    let last_sequence = log.report.last;
    Ok(Recovered { lock, garbage, retention, state, wal: Box::new(log.wal), last_sequence, window: log.window, keep, replay, reserve })
}

/// Makes the names of a data folder durable. Those that a process gave which was killed before it could sync them may be in the
/// kernel's memory only, and what is accepted or removed from here on relies on them.
fn sync_folders(disk: &dyn Disk, folder: &std::path::Path) -> Result<(), OpenError> {
    let unusable = |action| move |error| OpenError::Unusable { action, path: folder.to_owned(), error };
    for entry in disk.list(folder).map_err(unusable("list"))?.into_iter().filter(|entry| entry.is_folder) {
        sync_folders(disk, &folder.join(entry.name))?;
    }
    disk.sync_folder(folder).map_err(unusable("sync"))
}

/// Likewise what was written into a file of the catalog, if it is there: SQLite takes transactions for committed that a killed
/// process wrote and could not sync.
fn sync_file(path: PathBuf) -> Result<(), OpenError> {
    match LocalDisk.open_read(&path).and_then(|file| file.sync_data()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(OpenError::Unusable { action: "sync", path, error }),
        _ => Ok(()),
    }
}

/// The log as it was found.
struct Log {
    wal: SegmentedWal,
    report: RecoveryReport,
    unreplayed: Unreplayed,
    window: Arc<Window>,
    /// The first frame that is to be replayed, and its first record.
    first: Option<(Sequence, RecordId)>,
}

impl Log {
    /// The frames that will be replayed, if none between them is missing: then what they were made into and nobody
    /// published is there twice.
    fn replayable(&self) -> Option<RangeInclusive<Sequence>> {
        self.first.filter(|_| self.report.lost_frames == 0).map(|(first, _)| first..=self.report.last)
    }
}

/// Looks through the log: where it ends, which numbers were given, and which requests it holds.
fn open_log(
    settings: &StoreSettings,
    disk: &Arc<dyn Disk>,
    own: &std::path::Path,
    keep: &Keep,
    position: Position,
    state: &mut State,
) -> Result<Log, OpenError> {
    let window = Arc::new(Window::default());
    keep.catalog.seen()?.into_iter().for_each(|request| window.remember(request, Sequence(0)));
    let place = LogPlace {
        disk: disk.clone(),
        folder: own.join(LOG_FOLDER),
        segment_bytes: settings.wal_segment_bytes,
        durability: settings.durability,
    };
    let mut first = None;
    let recovered = SegmentedWal::recover(place, position.sealed, &mut |frame| {
        frame.seen().into_iter().for_each(|request| window.remember(request, frame.sequence));
        if frame.sequence > position.sealed {
            first.get_or_insert((frame.sequence, frame.record_first));
            state.next_record = state.next_record.max(frame.record_next());
        }
    });
    let RecoveredLog { wal, report, unreplayed } = recovered?;
    state.opened_at = state.next_record;
    Ok(Log { wal, report, unreplayed, window, first })
}

fn note(report: &RecoveryReport, metrics: &Metrics) {
    metrics.wal_torn_tails.inc_by(u64::from(report.torn_tail));
    metrics.wal_lost_frames.inc_by(report.lost_frames);
    if report.lost_frames > 0 {
        tracing::error!(frames = report.lost_frames, set_aside = ?report.set_aside, "part of the log is damaged and cannot be replayed");
    }
}

/// What the catalog says. A tombstone holds for records before a number, so no later record may get a lower one,
/// even if the end of the log was lost.
fn state_of(shards: Vec<ShardMeta>, position: Position, tombstones: Vec<Tombstone>) -> State {
    let before = tombstones.iter().map(|tombstone| tombstone.before).max().unwrap_or_default();
    let mut state = State::default();
    state.next_record = position.next_record.max(before);
    state.set_shards(shards.into_iter().map(Arc::new).collect());
    state.bury(tombstones);
    state
}

/// A catalog that is gone is not made anew where there are shards: numbers of frames and records would be given
/// again, and shards written in the place of others.
fn refuse_lost_catalog(disk: &dyn Disk, objects: &dyn ObjectStore, path: &std::path::Path) -> Result<(), OpenError> {
    if disk.open_read(path).is_ok_and(|file| file.is_empty().is_ok_and(|empty| !empty)) {
        return Ok(());
    }
    let mut listed = objects.list(None);
    let is_shard = |object: &object_store::ObjectMeta| {
        let file = object.location.filename().unwrap_or_default();
        !object.location.as_ref().starts_with(OWN_FOLDER) && file.strip_suffix(".parquet").and_then(ShardName::parse).is_some()
    };
    while let Some(object) = block_on(listed.next()) {
        let object = object.map_err(|error| OpenError::Shards(error.to_string()))?;
        if is_shard(&object) {
            return Err(OpenError::Catalog(format!(
                "catalog {} is missing or empty, and there are shards ({}): restore it from a backup, or run `needle repair`, which makes it anew from them",
                path.display(),
                object.location
            )));
        }
    }
    Ok(())
}

pub(crate) fn lock(data: &std::path::Path, own: &std::path::Path) -> Result<FolderLock, OpenError> {
    let path = own.join("lock");
    FolderLock::take(&path).map_err(|error| match error {
        LockError::Held(holder) => OpenError::Locked { folder: data.to_owned(), holder },
        LockError::Io(error) => OpenError::Unusable { action: "lock", path, error },
    })
}

/// What a crash left and the catalog does not list.
struct Leftovers {
    /// It stays, and is named.
    unlisted: Vec<(Path, ShardName)>,
    /// It is there twice once the log is replayed, all of which can be decoded.
    waiting: Vec<(Path, Sequence)>,
}

/// Removes what a crash left: files that were being written, and shards that were never published. Only what
/// is certainly there twice is removed; any other unknown shard stays, and is named. So a lost or an old
/// catalog costs nothing but searchability.
fn remove_leftovers(
    keep: &Keep,
    known: &[Arc<ShardMeta>],
    garbage: &[String],
    replayed: Option<RangeInclusive<Sequence>>,
) -> Result<Leftovers, OpenError> {
    let mut leftovers = Leftovers { unlisted: Vec::new(), waiting: Vec::new() };
    let listed: Vec<_> = block_on(keep.objects.list(None).collect());
    let failed = |error: object_store::Error| OpenError::Shards(error.to_string());
    let listed: Vec<Path> =
        listed.into_iter().map(|object| object.map(|object| object.location)).collect::<Result<_, _>>().map_err(failed)?;
    let present: HashSet<&str> = listed.iter().map(Path::as_ref).collect();
    let known: HashMap<&str, &ShardMeta> = known.iter().map(|shard| (shard.path.as_str(), shard.as_ref())).collect();
    let is_known = |location: &Path| known.contains_key(location.as_ref()) || garbage.iter().any(|path| path == location.as_ref());
    // What repair set aside stays there.
    let is_own = |location: &Path| location.as_ref().starts_with(OWN_FOLDER);
    for location in listed.iter().filter(|location| !is_known(location) && !is_own(location)) {
        let file = location.filename().unwrap_or_default();
        let unfinished = file.strip_suffix(TEMPORARY_SUFFIX);
        let Some(name) = unfinished.unwrap_or(file).strip_suffix(".parquet").and_then(ShardName::parse) else { continue };
        // One that begins in shards and ends in the log was made by a replay that other seals have overtaken: a published seal
        // ends where the next begins.
        let in_log = |frames: &RangeInclusive<Sequence>| frames.contains(&name.last);
        if unfinished.is_none() && name.rewrite.is_none() && replayed.as_ref().is_some_and(in_log) {
            leftovers.waiting.push((location.clone(), name.last));
            continue;
        }
        let twice = match name.rewrite {
            None => false,
            Some(Rewrite { rows, .. }) => {
                let sources = known.values().filter(|shard| present.contains(shard.path.as_str()) && is_source(shard, &name, location));
                sources.map(|shard| shard.rows).sum::<u64>() >= rows
            }
        };
        if unfinished.is_some() || twice {
            block_on(keep.objects.delete(location)).map_err(failed)?;
        } else {
            tracing::warn!(shard = %location, "not in the catalog, left alone and not searched");
            leftovers.unlisted.push((location.clone(), name));
        }
    }
    Ok(leftovers)
}

/// What is there and cannot be read, for every answer to say. Shards that came after everything the catalog and the
/// log know of: then the catalog is an old one, and would give numbers of frames and records again.
fn unreadable(unlisted: &[(Path, ShardName)], report: &RecoveryReport) -> Result<Vec<Unreadable>, OpenError> {
    if let Some((location, _)) = unlisted.iter().find(|(_, name)| name.last > report.last) {
        return Err(OpenError::Catalog(format!(
            "the catalog is older than the shards ({location} came later): restore a newer one, or run `needle repair`, which makes it anew from them"
        )));
    }
    let mut unreadable: Vec<Unreadable> = unlisted.iter().map(|(location, _)| Unreadable::unlisted(location)).collect();
    if report.lost_frames > 0 {
        let aside = report.set_aside.iter().map(|path| format!(", set aside as {}", path.display())).collect::<String>();
        let reason = format!("{} frames of the log are damaged or missing{aside}", report.lost_frames);
        unreadable.push(Unreadable { tenant: None, reason });
    }
    Ok(unreadable)
}

/// Whether a shard may be one of those that the merge of that name at `location` was made of.
fn is_source(shard: &ShardMeta, merge: &ShardName, location: &Path) -> bool {
    let same_place = location.as_ref().starts_with(&format!("{}/{}/", shard.tenant.as_str(), shard.signal));
    let within = ShardName::parse(&shard.id).is_some_and(|name| name.first >= merge.first && name.last <= merge.last);
    same_place && within
}
