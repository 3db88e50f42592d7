//! Group commit: one sync serves every request that queued while the last one ran. An added delay did
//! not help when measured, so there is none.

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::accept::AppendError;
use crate::catalog::SeenRequest;
use crate::ledger;
use crate::live::LiveBatch;
use crate::model::RecordId;
use crate::store::Shared;
use crate::wal::{Frame, Sequence, WalError};
use crate::window::Claim;

/// A request on its way to the log.
pub(crate) struct Pending {
    pub(crate) frame: Frame,
    pub(crate) batch: LiveBatch,
    pub(crate) claim: Option<Claim>,
    pub(crate) entry: ledger::Entry,
    pub(crate) done: oneshot::Sender<Result<usize, AppendError>>,
}

/// Requests that wait for the next sync. Bounded by what may be live.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Pending>,
    closed: bool,
}

impl Queue {
    /// Adds a request; gives it back when the queue is closed.
    pub(crate) fn push(&self, pending: Pending) -> Result<(), Box<Pending>> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Box::new(pending));
        }
        inner.waiting.push(pending);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes all that wait; none when the queue is closed and empty.
    fn take(&self) -> Option<Vec<Pending>> {
        let mut inner = self.inner.lock();
        while inner.waiting.is_empty() {
            if inner.closed {
                return None;
            }
            self.filled.wait(&mut inner);
        }
        Some(std::mem::take(&mut inner.waiting))
    }

    /// Drops what waits, so that its senders hear of it.
    pub(crate) fn discard(&self) {
        self.inner.lock().waiting.clear();
    }

    /// Takes no more.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_all();
    }
}

/// Commits groups until the queue is closed.
pub(crate) fn run(shared: &Shared) {
    while let Some(group) = shared.queue.take() {
        let bytes: usize = group.iter().map(|pending| pending.batch.bytes).sum();
        commit(shared, group);
        shared.queued_bytes.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

/// `wal.append` (group fsync), `live.apply`, acknowledge: in this order for every request.
fn commit(shared: &Shared, mut group: Vec<Pending>) {
    if let Some(reason) = shared.poisoned.get() {
        return refuse(group, &AppendError::Poisoned(reason.clone()));
    }
    number(shared, &mut group);
    let frames: Vec<Frame> = group.iter().map(|pending| pending.frame.clone()).collect();
    let appended = shared.wal.lock().append(&frames);
    match appended {
        Ok(()) => {
            *shared.last_append_failure.lock() = None;
            shared.metrics.wal_groups.inc();
            shared.metrics.wal_frames.inc_by(frames.len() as u64);
            shared.metrics.wal_bytes.inc_by(frames.iter().map(|frame| frame.bytes() as u64).sum());
            apply(shared, group);
        }
        Err(WalError::Poisoned { .. }) => {
            let reason = appended.expect_err("matched as an error").to_string();
            tracing::error!(%reason, "the log is closed: no more records are accepted until a restart");
            let reason = shared.poisoned.get_or_init(|| reason).clone();
            shared.metrics.wal_failures.inc();
            refuse(group, &AppendError::Poisoned(reason));
        }
        Err(error @ WalError::Refused { .. }) => {
            tracing::warn!(%error, "the log was not written; senders are told to try again");
            shared.metrics.wal_failures.inc();
            let error = AppendError::Disk(error.to_string());
            *shared.last_append_failure.lock() = Some(error.to_string());
            refuse(group, &error);
        }
    }
}

/// Numbers frames and records. The numbers stand in the log, so that replay gives the same ones.
fn number(shared: &Shared, group: &mut [Pending]) {
    let mut sequence: Sequence = *shared.last_sequence.lock();
    let mut record: RecordId = shared.state.read().next_record;
    for pending in group {
        sequence = sequence.next();
        pending.frame.sequence = sequence;
        pending.frame.record_first = record;
        pending.batch.number(record);
        record = RecordId(record.0 + u64::from(pending.frame.record_count));
    }
}

fn apply(shared: &Shared, group: Vec<Pending>) {
    let now = shared.keep.clock.monotonic();
    let mut acknowledgements = Vec::with_capacity(group.len());
    let mut state = shared.state.write();
    let numbered_before = state.next_record;
    for Pending { frame, batch, claim, entry, done } in group {
        let stored = batch.records.num_rows();
        let seen: Option<SeenRequest> = claim.map(|claim| claim.stored(frame.arrival(), frame.record_count, frame.sequence));
        *shared.last_sequence.lock() = frame.sequence;
        state.apply(frame.sequence, batch, seen, now);
        entry.stored(stored);
        acknowledgements.push((done, stored));
    }
    let next_record = state.next_record;
    shared.ledger.number(next_record.0 - numbered_before.0);
    shared.measure(&state);
    drop(state);
    shared.accepted.send_replace(next_record);
    shared.wake_joiner.ring();
    for (done, stored) in acknowledgements {
        // The sender may have gone; its records are stored all the same.
        let _ = done.send(Ok(stored));
    }
}

fn refuse(group: Vec<Pending>, error: &AppendError) {
    for pending in group {
        drop((pending.claim, pending.entry));
        let _ = pending.done.send(Err(error.clone()));
    }
}
