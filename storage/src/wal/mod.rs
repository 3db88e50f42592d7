//! The write-ahead log: what was accepted and is not yet in a shard.

mod frame;
mod replay;
mod segments;

use std::fmt::Debug;
use std::path::PathBuf;

pub(crate) use frame::{Digest, Frame, VERSION as FRAME_VERSION};
pub(crate) use replay::Unreplayed;
pub(crate) use segments::{LogPlace, Piece, RecoveredLog, RecoveryReport, SegmentFile, SegmentedWal, for_each_piece};

/// The number of a frame in the log: consecutive, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

/// A durable log of frames.
pub(crate) trait Wal: Send + Debug {
    /// Appends frames, numbered as they are. When this returns `Ok` they are on disk and survive a
    /// power cut; when it returns [`WalError::Refused`] none of them is in the log.
    fn append(&mut self, frames: &[Frame]) -> Result<(), WalError>;

    /// The frames up to and including `through` are in shards and need not be kept.
    fn forget(&mut self, through: Sequence) -> Result<(), WalError>;

    /// The first frame that is still in the log; later than any when none is.
    fn oldest(&self) -> Sequence;
}

/// Why the log did not take frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalError {
    /// Nothing was written; it may be tried again.
    #[error("{action} {path}: {error}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is unknown what is on disk. A second try proves nothing (PostgreSQL's lesson of 2018), so no
    /// more frames are taken until the log is recovered.
    #[error("{action} {path}: {error}")]
    Poisoned {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}
