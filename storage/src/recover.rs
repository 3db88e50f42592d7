//! Opening a data folder: lock, catalog, shards, log. It can be interrupted anywhere and done again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::accept::Decode;
use crate::catalog::{Catalog, CatalogError, Position, SeenRequest, ShardMeta, SqliteCatalog};
use crate::clock::Clock;
use crate::disk::{Disk, FolderLock, LockError};
use crate::keep::{Keep, SealError, is_merged};
use crate::live::LiveBatch;
use crate::metrics::Metrics;
use crate::objects::{DiskObjects, TEMPORARY_SUFFIX};
use crate::settings::StoreSettings;
use crate::state::State;
use crate::wal::{Frame, SegmentedWal, Sequence, Wal, WalError};
use crate::window::Window;

/// Where a data folder keeps what is not a shard. No tenant's name begins with `_`.
const OWN_FOLDER: &str = "_needle";

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data folder {folder} is in use by process {pid}: stop that process, or give this one another folder with --data")]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        pid: String,
    },
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
}

/// Opens the folder and replays the log.
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
    let catalog: Arc<dyn Catalog> = Arc::new(SqliteCatalog::open(&own.join("catalog.db"))?);
    let objects: Arc<dyn ObjectStore> = Arc::new(DiskObjects::new(disk.clone(), settings.data.clone()));
    let keep = Keep { objects, catalog, clock, repetition_window_ms: settings.repetition_window_ms };

    let position = keep.catalog.position()?;
    let shards = keep.catalog.shards()?;
    let replaced = keep.catalog.replaced()?;
    keep.collect(&replaced.iter().map(String::as_str).collect::<Vec<_>>())?;
    remove_leftovers(&keep, &shards, position)?;
    let window = Arc::new(Window::default());
    keep.catalog.seen()?.into_iter().for_each(|request| window.remember(request));

    let mut replay = Replay {
        settings,
        decode,
        keep: &keep,
        window: &window,
        set_aside: own.join("undecodable"),
        disk,
        state: State {
            shards: Arc::new(shards.into_iter().map(Arc::new).collect()),
            next_record: position.next_record,
            ..State::default()
        },
        failure: None,
    };
    let recovered =
        SegmentedWal::recover(disk.clone(), own.join("wal"), settings.wal_segment_bytes, position.sealed, &mut |frame| replay.frame(frame));
    if let Some(failure) = replay.failure {
        return Err(failure);
    }
    let (wal, report) = recovered?;
    let state = replay.state;
    metrics.wal_torn_tails.inc_by(u64::from(report.torn_tail));
    metrics.wal_lost_frames.inc_by(report.lost_frames);
    if report.lost_frames > 0 {
        tracing::error!(frames = report.lost_frames, set_aside = ?report.set_aside, "part of the log is damaged and cannot be replayed");
    }
    Ok(Recovered { lock, state, wal: Box::new(wal), last_sequence: report.last, window, keep })
}

fn lock(data: &Path, own: &Path) -> Result<FolderLock, OpenError> {
    let path = own.join("lock");
    FolderLock::take(&path).map_err(|error| match error {
        LockError::Held(pid) => OpenError::Locked { folder: data.to_owned(), pid },
        LockError::Io(error) => OpenError::Unusable { action: "lock", path, error },
    })
}

/// Removes what a crash left: files that were being written, and shards that were never published, whose
/// records are still in the log or in the shards they were merged from. Any other unknown shard stays, and is named.
fn remove_leftovers(keep: &Keep, known: &[ShardMeta], position: Position) -> Result<(), OpenError> {
    let known: HashSet<&str> = known.iter().map(|shard| shard.path.as_str()).collect();
    let listed: Vec<_> = block_on(keep.objects.list(None).collect());
    for object in listed {
        let location = object.map_err(|error| OpenError::Shards(error.to_string()))?.location;
        let name = location.filename().unwrap_or_default();
        let in_own_folder = location.parts().next().is_some_and(|part| part.as_ref() == OWN_FOLDER);
        if in_own_folder || known.contains(location.as_ref()) {
            continue;
        }
        let id = name.strip_suffix(".parquet");
        let unpublished = id.and_then(first_frame).is_some_and(|first| first > position.sealed) || id.is_some_and(is_merged);
        if unpublished || name.ends_with(TEMPORARY_SUFFIX) {
            block_on(keep.objects.delete(&location)).map_err(|error| OpenError::Shards(error.to_string()))?;
        } else if name.ends_with(".parquet") {
            tracing::warn!(shard = %location, "not in the catalog, left alone and not searched");
        }
    }
    Ok(())
}

/// The first frame of the shard of that name.
fn first_frame(id: &str) -> Option<Sequence> {
    let (first, _) = id.split_once('-')?;
    u64::from_str_radix(first, 16).ok().map(Sequence)
}

/// Applies frames of the log as they were applied when they were committed.
struct Replay<'a> {
    settings: &'a StoreSettings,
    decode: &'a Decode,
    keep: &'a Keep,
    window: &'a Window,
    set_aside: PathBuf,
    disk: &'a Arc<dyn Disk>,
    state: State,
    failure: Option<OpenError>,
}

impl Replay<'_> {
    fn frame(&mut self, frame: Frame) -> Result<(), WalError> {
        let seen = frame.digest.map(|digest| SeenRequest { digest, arrival: frame.arrival(), records: frame.record_count });
        seen.into_iter().for_each(|request| self.window.remember(request));
        let decoded = frame.request().map_err(|error| error.to_string()).and_then(|request| {
            let decoded = (self.decode)(&request)?;
            Ok(LiveBatch::new(request.tenant, decoded))
        });
        match decoded {
            Ok(mut batch) if batch.records.num_rows() > 0 => {
                batch.number(frame.record_first);
                self.state.apply(frame.sequence, batch, seen, self.keep.clock.monotonic());
            }
            Ok(_) => {}
            Err(reason) => self.keep_undecodable(&frame, &reason)?,
        }
        if self.state.live_bytes() >= self.settings.live_bytes_seal {
            self.seal().map_err(|failure| self.abort(failure))?;
        }
        Ok(())
    }

    /// More than memory should hold: into shards with it, as in normal operation.
    fn seal(&mut self) -> Result<(), OpenError> {
        if let Some(frozen) = self.state.freeze() {
            let shards = self.keep.seal(&frozen)?;
            self.state.thaw(shards);
        }
        Ok(())
    }

    /// A frame that its checksum vouches for and the decoder refuses was accepted by another version of
    /// the decoder. Its bytes are kept.
    fn keep_undecodable(&self, frame: &Frame, reason: &str) -> Result<(), WalError> {
        let path = self.set_aside.join(format!("{:020}.frame", frame.sequence.0));
        tracing::error!(%reason, path = %path.display(), "a request of the log cannot be decoded any more; set aside");
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        let write = || {
            self.disk.create_folder(&self.set_aside)?;
            let file = self.disk.create(&path)?;
            file.write_at(&bytes, 0)?;
            file.sync_data()?;
            self.disk.sync_folder(&self.set_aside)
        };
        write().map_err(|error| WalError::Refused { action: "write", path: path.clone(), error })
    }

    fn abort(&mut self, failure: OpenError) -> WalError {
        let error = std::io::Error::other(failure.to_string());
        self.failure = Some(failure);
        WalError::Refused { action: "replay", path: self.settings.data.clone(), error }
    }
}
