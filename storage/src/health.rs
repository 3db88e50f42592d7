//! What a data folder stands on, for whoever looks for what is wrong. Nothing stays of it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::catalog;
use crate::directory;
use crate::disk::{Disk, FolderLock, LocalDisk, LockError, file_system_of};
use crate::recover::OWN_FOLDER;
use crate::shard;
use crate::wal;

/// A folder, or the nearest one above it that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderHealth {
    /// Where was looked: the folder, or the nearest one above it.
    pub looked_at: PathBuf,
    /// Whether the folder is there.
    pub exists: bool,
    /// The file system, by its common name.
    pub file_system: FileSystem,
    /// How long it took to write a file and to sync it and its folder; or why that could not be done.
    pub synced: Result<Duration, String>,
    /// The id of the process that has the folder open.
    pub holder: Option<String>,
}

/// What files are kept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its common name, else its number.
    pub name: String,
    /// Whether its files lie on another machine, where locks and syncs may mean less.
    pub is_remote: bool,
    /// Whether its files are gone after a reboot, or with a container.
    pub is_volatile: bool,
    /// What this user may still write, in bytes.
    pub free_bytes: u64,
    /// What fits in all, in bytes.
    pub total_bytes: u64,
}

/// Looks at a data folder; one that is not there yet is not made.
pub fn folder_health(folder: &Path) -> io::Result<FolderHealth> {
    let absolute = std::path::absolute(folder)?;
    let looked_at = absolute.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/")).to_owned();
    let exists = looked_at == absolute;
    let lock = if exists { FolderLock::take_for_reading(&absolute.join(OWN_FOLDER).join("lock")) } else { Ok(None) };
    let holder = match lock {
        Err(LockError::Held(process)) => Some(process),
        _ => None,
    };
    Ok(FolderHealth { file_system: file_system_of(&looked_at)?, synced: try_sync(&looked_at), looked_at, exists, holder })
}

/// Writes a file, syncs it and what names it, and removes it.
fn try_sync(folder: &Path) -> Result<Duration, String> {
    let path = folder.join(format!(".needle-doctor-{}", std::process::id()));
    let begun = Instant::now();
    let written = LocalDisk.create(&path).and_then(|file| {
        file.write_at(&[0x6e; 4096], 0)?;
        file.sync_data()?;
        LocalDisk.sync_folder(folder)
    });
    let took = begun.elapsed();
    // Where it could not be made there is nothing to remove.
    let removed = if written.is_ok() { LocalDisk.remove(&path) } else { LocalDisk.remove(&path).or(Ok(())) };
    written.and(removed).map(|()| took).map_err(|error| error.to_string())
}

/// The versions of what this program writes.
pub fn formats() -> [(&'static str, u32); 4] {
    [
        ("catalog", catalog::FORMAT),
        ("log", u32::from(wal::FRAME_VERSION)),
        ("shard", shard::FORMAT),
        ("id directory", u32::from(directory::RUN_VERSION)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_looked_at_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let health = folder_health(folder.path()).unwrap();
        assert!(health.exists && health.synced.is_ok() && health.holder.is_none(), "{health:?}");
        assert!(health.file_system.total_bytes >= health.file_system.free_bytes);
        let missing = folder_health(&folder.path().join("not/yet")).unwrap();
        assert_eq!((missing.exists, missing.looked_at.as_path()), (false, folder.path()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
