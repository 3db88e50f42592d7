//! Room on the disk that is kept free for what frees more. Records leave a full disk by a transaction of the catalog, which
//! needs a little room itself.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;

/// A file that holds nothing but room.
#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    is_held: bool,
}

impl Reserve {
    /// The reserve at `path`, held as far as the disk has room.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf, bytes: u64) -> Reserve {
        let is_whole = |disk: &dyn Disk| disk.open_read(&path)?.len();
        let is_held = is_whole(disk.as_ref()).is_ok_and(|found| found == bytes && bytes > 0);
        let mut reserve = Reserve { disk, path, bytes, is_held };
        reserve.hold();
        reserve
    }

    /// Takes the room, if there is as much. Not synced: after a power cut it is taken again.
    pub(super) fn hold(&mut self) {
        if self.is_held || self.bytes == 0 {
            return;
        }
        let taken = self.disk.create(&self.path).and_then(|file| file.allocate(self.bytes));
        self.is_held = taken.is_ok();
        if let Err(error) = taken {
            tracing::warn!(%error, path = %self.path.display(), "no room is kept free for what frees more: the disk is full");
            let _ = self.disk.remove(&self.path);
        }
    }

    /// Gives the room back. Whether there was any.
    pub(super) fn release(&mut self) -> bool {
        let released = self.is_held && self.disk.remove(&self.path).is_ok();
        self.is_held &= !released;
        released
    }
}
