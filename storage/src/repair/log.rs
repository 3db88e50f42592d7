//! What the log still holds, and which of it the next start replays.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use crate::catalog::SeenRequest;
use crate::disk::Disk;
use crate::keep::ShardName;
use crate::model::RecordId;
use crate::wal::{Frame, Piece, SegmentFile, Sequence, for_each_piece};

/// The whole frames of a log.
#[derive(Debug, Default)]
pub(super) struct LoggedFrames {
    /// By number: the first free record number after it, and the request it holds.
    frames: BTreeMap<Sequence, (RecordId, Option<SeenRequest>)>,
}

impl LoggedFrames {
    /// Reads the log in a folder.
    pub(super) fn read(disk: &dyn Disk, folder: &Path) -> std::io::Result<LoggedFrames> {
        let mut logged = LoggedFrames::default();
        for (_, file) in SegmentFile::list(disk, folder)? {
            let Ok(_) = for_each_piece::<Infallible>(&file?.bytes, Sequence(0), &mut |piece| {
                if let Piece::Frame(frame) = piece {
                    logged.add(&frame);
                }
                Ok(())
            });
        }
        Ok(logged)
    }

    fn add(&mut self, frame: &Frame) {
        let request = frame.digest.map(|digest| SeenRequest { digest, arrival: frame.arrival(), records: frame.record_count });
        self.frames.insert(frame.sequence, (RecordId(frame.record_first.0 + u64::from(frame.record_count)), request));
    }

    /// Whether it holds all frames that a shard was made of, and can bring its records back.
    pub(super) fn holds(&self, shard: &ShardName) -> bool {
        shard.rewrite.is_none() && (shard.first.0..=shard.last.0).all(|frame| self.frames.contains_key(&Sequence(frame)))
    }

    /// The first frame before `end` that is in none of these shards, as a name.
    pub(super) fn without(&self, shards: &[ShardName], end: Sequence) -> Option<ShardName> {
        let is_in = |frame: Sequence| shards.iter().any(|shard| shard.first <= frame && frame <= shard.last);
        let first = self.frames.range(..end).map(|(frame, _)| *frame).find(|frame| !is_in(*frame))?;
        Some(ShardName { first, last: first, rewrite: None })
    }

    /// The requests up to a frame.
    pub(super) fn requests(&self, through: Sequence) -> impl Iterator<Item = SeenRequest> {
        self.frames.range(..=through).filter_map(|(_, (_, request))| *request)
    }

    /// The first record number that no frame used.
    pub(super) fn next_record(&self) -> RecordId {
        self.frames.values().map(|(next, _)| *next).max().unwrap_or_default()
    }

    /// How many frames come after one.
    pub(super) fn count_after(&self, sealed: Sequence) -> usize {
        self.frames.range(sealed.next()..).count()
    }
}

/// Up to which frame everything is in shards, if the frames of `wanted` are to be replayed: no shard may hold frames
/// on both sides, and all frames on the far side must be there. `kept` are the shards that stay.
pub(super) fn sealed_before(wanted: &[ShardName], kept: &[ShardName], sealed: Sequence, log: &LoggedFrames) -> Sequence {
    let boundary = |first: Sequence| {
        let whole = (first.0..=sealed.0).all(|frame| log.frames.contains_key(&Sequence(frame)));
        whole && kept.iter().all(|shard| shard.last < first || (shard.first >= first && log.holds(shard)))
    };
    let firsts = wanted.iter().map(|shard| shard.first).filter(|first| *first <= sealed && boundary(*first));
    firsts.min().map_or(sealed, |first| Sequence(first.0.saturating_sub(1)))
}
