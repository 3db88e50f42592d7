//! Replaying the log: the records that no shard holds yet become readable again, in the order in which they were accepted,
//! while others are accepted behind them.
//!
//! What comes meanwhile is sealed too, for memory's sake, but published only with the end of the replay: the catalog says
//! up to which frame everything is in shards, and never more than is true. A crash before that costs those seals and no
//! record, since the log still holds them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use crate::accept::Decode;
use crate::catalog::ShardMeta;
use crate::disk::Disk;
use crate::keep::{SealError, Sealed};
use crate::live::LiveBatch;
use crate::model::RecordId;
use crate::state::{Frozen, Progress, Unreadable};
use crate::store::Shared;
use crate::wal::{Frame, Sequence, Unreplayed};

/// How long a replay that fails, for want of space as a rule, waits before it goes on.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a replay does not go on. It is tried again; the log keeps its records meanwhile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("reading the log: {0}")]
    Read(std::io::Error),
    #[error("writing {path}: {error}")]
    SetAside { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// What the log held at the start and is not in shards.
pub(crate) struct Replay {
    unreplayed: Unreplayed,
    decode: Decode,
    /// The frame that is worked on, until it is applied.
    frame: Option<Frame>,
    /// Shards that nobody published, and their last frames. Their records come from the log again.
    leftovers: Vec<(Path, Sequence)>,
    /// Where what cannot be decoded is kept.
    set_aside: PathBuf,
    disk: Arc<dyn Disk>,
    /// Whether there was any.
    has_undecodable: bool,
}

impl Replay {
    pub(crate) fn new(
        unreplayed: Unreplayed,
        decode: Decode,
        leftovers: Vec<(Path, Sequence)>,
        set_aside: PathBuf,
        disk: Arc<dyn Disk>,
    ) -> Replay {
        Replay { unreplayed, decode, frame: None, leftovers, set_aside, disk, has_undecodable: false }
    }

    /// How much there is to do.
    pub(crate) fn bytes(&self) -> u64 {
        self.unreplayed.bytes()
    }

    /// How far it is, when the records before `readable` are; none when there is nothing to do.
    pub(crate) fn progress(&self, readable: RecordId) -> Option<Progress> {
        let (bytes_read, bytes) = (self.unreplayed.bytes_read(), self.unreplayed.bytes());
        (bytes > 0).then_some(Progress { bytes_read, bytes, readable })
    }

    /// The frame to work on: the next, or one that could not be worked on before.
    fn frame(&mut self) -> Result<Option<Frame>, ReplayError> {
        if self.frame.is_none() {
            self.frame = self.unreplayed.next().map_err(ReplayError::Read)?;
        }
        Ok(self.frame.clone())
    }

    /// The records of a frame, numbered as when they were accepted; none where it has none. A decoder that panics refuses.
    fn batch(&self, frame: &Frame) -> Result<Option<LiveBatch>, String> {
        let request = frame.request().map_err(|error| error.to_string())?;
        let decoded = catch_unwind(AssertUnwindSafe(|| (self.decode)(&request)));
        let decoded = decoded.unwrap_or_else(|_| Err("the decoder failed".to_owned()))?;
        if decoded.records.num_rows() == 0 {
            return Ok(None);
        }
        let mut batch = LiveBatch::new(request.tenant, decoded);
        batch.number(frame.record_first);
        Ok(Some(batch))
    }

    /// A frame that its checksum vouches for and the decoder refuses was accepted by another version of
    /// the decoder. Its bytes are kept.
    fn keep_undecodable(&mut self, frame: &Frame, reason: &str) -> Result<(), ReplayError> {
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
        write().map_err(|error| ReplayError::SetAside { path: path.clone(), error })?;
        self.has_undecodable = true;
        Ok(())
    }
}

impl Shared {
    /// Whether records of the log are not readable yet.
    pub(crate) fn is_replaying(&self) -> bool {
        self.state.read().replay.is_some()
    }

    /// Replays until all of the log is readable or the store closes.
    pub(crate) fn run_replay(shared: &Shared) {
        while !shared.is_closing() {
            let failure = match catch_unwind(AssertUnwindSafe(|| shared.tick_replay())) {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "a fault within needle".to_owned(),
            };
            tracing::warn!(%failure, "the log is not replayed to its end; it is tried again");
            // A seal that succeeds takes it back.
            *shared.last_seal_failure.lock() = Some(failure);
            shared.closed_within(RETRY_AFTER);
        }
    }

    /// Replays the next frame, or seals what was replayed when that is much. Whether there is more to do.
    pub(crate) fn tick_replay(&self) -> Result<bool, ReplayError> {
        let mut replaying = self.replay.lock();
        let Some(replay) = replaying.as_mut() else { return Ok(false) };
        // What waits since a seal that failed comes first.
        let is_full = {
            let state = self.state.read();
            state.replayed.frozen.is_some() || state.replayed.bytes() >= self.settings.live_bytes_seal
        };
        if is_full {
            self.seal_replayed(replay)?;
        }
        let Some(frame) = replay.frame()? else {
            self.finish_replay(replay)?;
            *replaying = None;
            self.replayed.notify_all();
            return Ok(false);
        };
        match replay.batch(&frame) {
            Ok(batch) => self.apply_replayed(replay, &frame, batch),
            Err(reason) => {
                replay.keep_undecodable(&frame, &reason)?;
                self.apply_replayed(replay, &frame, None);
            }
        }
        Ok(true)
    }

    fn apply_replayed(&self, replay: &mut Replay, frame: &Frame, batch: Option<LiveBatch>) {
        let now = self.keep.clock.monotonic();
        let mut state = self.state.write();
        replay.frame = None;
        if let Some(batch) = batch {
            self.metrics.records_replayed.inc_by(batch.records.num_rows() as u64);
            state.replayed.apply(frame.sequence, batch, frame.seen(), now);
        }
        state.replay = replay.progress(frame.record_next());
        drop(state);
        self.wake_joiner.ring();
        self.metrics.replay_left_bytes.set((replay.unreplayed.bytes() - replay.unreplayed.bytes_read()) as i64);
    }

    /// Makes shards of what was replayed, as in normal operation.
    fn seal_replayed(&self, replay: &mut Replay) -> Result<(), SealError> {
        let _one_at_a_time = self.sealing.lock();
        let frozen = self.state.write().freeze_replayed();
        let Some(frozen) = frozen else { return Ok(()) };
        let Sealed { shards, keys } = self.write_shards(&frozen)?;
        self.remove_leftovers(replay, &shards, frozen.last);
        self.note_seal(self.keep.publish(&shards, &frozen.seen, frozen.last, frozen.next_record))?;
        let mut state = self.state.write();
        state.thaw_replayed(shards);
        self.measure(&state);
        drop(state);
        self.sealed(&keys, frozen.last);
        Ok(())
    }

    /// All frames were read: from now on there is one order of what is live again. If some of what came meanwhile was
    /// sealed, the rest of what was replayed is, too, and all of it published at once.
    fn finish_replay(&self, replay: &mut Replay) -> Result<(), SealError> {
        // Nothing is written but by this thread.
        let upkeep = self.upkeep.lock();
        let _one_at_a_time = self.sealing.lock();
        // What stays and is not searched is named before answers are called complete.
        let can_join = self.state.read().can_join_lanes();
        if can_join {
            self.remove_leftovers(replay, &[], replay.unreplayed.last());
            self.join_lanes();
        } else {
            self.publish_all(replay)?;
        }
        drop(upkeep);
        self.metrics.replay_left_bytes.set(0);
        Ok(())
    }

    fn join_lanes(&self) {
        let mut state = self.state.write();
        state.join_lanes();
        self.measure(&state);
    }

    /// Publishes what is sealed and was held back, with the rest of what was replayed.
    fn publish_all(&self, replay: &mut Replay) -> Result<(), SealError> {
        let frozen: Option<Arc<Frozen>> = self.state.write().freeze_replayed();
        let Sealed { shards, keys } = frozen.as_deref().map_or_else(|| Ok(Sealed::default()), |frozen| self.write_shards(frozen))?;
        let (mut all, mut seen, sealed, next_record) = {
            let state = self.state.read();
            let held = &state.unpublished;
            (held.shards.clone(), held.seen.clone(), held.last.unwrap_or_default().max(replay.unreplayed.last()), state.next_record)
        };
        all.extend(shards.iter().cloned());
        seen.extend(frozen.iter().flat_map(|frozen| &frozen.seen).copied());
        self.remove_leftovers(replay, &shards, sealed);
        self.note_seal(self.keep.publish(&all, &seen, sealed, next_record))?;
        let mut state = self.state.write();
        state.thaw_replayed(shards);
        state.unpublished = Default::default();
        state.replay = None;
        self.measure(&state);
        drop(state);
        self.sealed(&keys, sealed);
        Ok(())
    }

    /// Removes shards that a crash left of frames up to `through`: their records came from the log again, and are in `written`,
    /// or live. That is done before it is published, for afterwards nobody could tell them from shards that the catalog lost.
    /// If some of the log could not be decoded it may be in such a shard: then it stays, and is named.
    fn remove_leftovers(&self, replay: &mut Replay, written: &[ShardMeta], through: Sequence) {
        let has_undecodable = replay.has_undecodable;
        // One of the same name was written over.
        replay.leftovers.retain(|(location, _)| !written.iter().any(|shard| shard.path == location.as_ref()));
        for (location, _) in replay.leftovers.extract_if(.., |(_, last)| *last <= through) {
            if has_undecodable {
                tracing::warn!(shard = %location, "not in the catalog, left alone and not searched");
                self.state.write().unreadable.push(Unreadable::unlisted(&location));
            } else if let Err(error) = block_on(self.keep.objects.delete(&location)) {
                tracing::warn!(%error, "a shard that a crash left stays");
            }
        }
    }

    /// Waits until the whole log is readable. An error: why it is not.
    pub(crate) fn wait_replayed(&self) -> Result<(), String> {
        let mut replay = self.replay.lock();
        while replay.is_some() {
            if self.is_closing() {
                return Err("the server is shutting down before the log was replayed".to_owned());
            }
            if let Some(failure) = self.last_seal_failure.lock().clone() {
                return Err(format!("the log is not replayed to its end: {failure}"));
            }
            self.replayed.wait_for(&mut replay, Duration::from_millis(50));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
