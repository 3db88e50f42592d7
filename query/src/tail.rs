//! Following: records in the order they are accepted, from a cursor on.
//!
//! A [`Lookout`] looks at what is accepted once for all tails and keeps the latest matches of each query. A tail that is
//! further behind, because it resumes or is slow, reads from the store by itself until it has caught up.

mod lookout;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use needle_storage::model::{Record, RecordId};
use needle_storage::predicate::Predicate;
use needle_storage::{AcceptedAfter, AcceptedEach, ReadError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::TailEvent;
use crate::limits::{TAIL_BATCH_RECORDS, TAIL_BEHIND_RECORDS_MAX, TAIL_ROUND_MIN_MS};
pub(crate) use lookout::Lookout;
use lookout::{Next, Watched, behind};

/// What tails read. Methods block.
pub(crate) trait Feed: Send + Sync + 'static {
    /// The number the next record will get.
    fn next_record_id(&self) -> RecordId;
    /// The newest matches accepted before `until`, oldest first.
    fn newest(&self, predicate: &Predicate, until: RecordId, limit: usize) -> Result<Vec<Record>, ReadError>;
    /// Matches accepted from `from` on.
    fn accepted_from(&self, from: RecordId, predicate: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError>;
    /// Matches of several predicates accepted between two records.
    fn accepted_between(&self, from: RecordId, until: RecordId, predicates: &[&Predicate]) -> Result<AcceptedEach, ReadError>;
}

/// What to follow.
pub(crate) struct Following {
    pub(crate) query: String,
    pub(crate) predicate: Predicate,
    /// From here on; from now on where there is none.
    pub(crate) cursor: Option<RecordId>,
    /// Older matches that come first, where there is no cursor.
    pub(crate) backfill: usize,
    /// Silence after which there is a sign of life.
    pub(crate) heartbeat: Duration,
}

/// A reader of a feed.
struct Tail<F> {
    lookout: Arc<Lookout<F>>,
    watched: Arc<Watched>,
    changes: watch::Receiver<()>,
    predicate: Arc<Predicate>,
    cursor: RecordId,
    backfill: usize,
    ready: VecDeque<TailEvent>,
    heartbeat: Duration,
    last_event: Instant,
}

/// Follows what a lookout sees. Ends when the store shuts down or cannot be read; the cursor of the last event resumes.
pub(crate) fn follow<F: Feed>(lookout: Arc<Lookout<F>>, following: Following) -> impl Stream<Item = TailEvent> + Send + 'static {
    let Following { query, predicate, cursor, backfill, heartbeat } = following;
    let now = lookout.now();
    let watched = lookout.watch(&query, &predicate);
    let tail = Tail {
        changes: watched.changes(),
        watched,
        lookout,
        predicate: Arc::new(predicate),
        // A cursor from beyond the end is another data folder's: there is nothing to resume.
        cursor: cursor.map_or(now, |cursor| cursor.min(now)),
        backfill: if cursor.is_none() { backfill } else { 0 },
        ready: VecDeque::new(),
        heartbeat,
        last_event: Instant::now(),
    };
    futures::stream::unfold(tail, Tail::next)
}

impl<F: Feed> Tail<F> {
    /// The next event and the rest; `None` at the end.
    async fn next(mut self) -> Option<(TailEvent, Tail<F>)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last_event = Instant::now();
                return Some((event, self));
            }
            // Seen before it is read, so that what arrives in between wakes the wait below.
            self.changes.borrow_and_update();
            if self.backfill > 0 {
                let limit = std::mem::take(&mut self.backfill);
                self.read_backfill(limit).await?;
                continue;
            }
            match self.watched.after(self.cursor) {
                Next::Event(event) => {
                    self.cursor = cursor_of(&event);
                    self.ready.push_back(event);
                }
                Next::Nothing(until) => {
                    self.cursor = self.cursor.max(until);
                    self.wait().await;
                }
                Next::Forgotten => {
                    self.read_on().await?;
                    if self.ready.is_empty() && self.last_event.elapsed() >= self.heartbeat {
                        self.ready.push_back(TailEvent::Heartbeat { cursor: self.cursor });
                    }
                }
                Next::Closed => return None,
            }
        }
    }

    async fn read_backfill(&mut self, limit: usize) -> Option<()> {
        let until = self.cursor;
        let records = self.blocking(move |feed, predicate| feed.newest(predicate, until, limit)).await?;
        self.ready.extend(records.into_iter().map(|record| TailEvent::Record { record: Arc::new(record.into()), cursor: until }));
        Some(())
    }

    /// Reads a batch, or jumps to the present when it is too far ahead. What is jumped over or cannot be read is a gap.
    async fn read_on(&mut self) -> Option<()> {
        let from = self.cursor;
        let read = move |feed: &F, predicate: &Predicate| {
            let next = feed.next_record_id();
            if next.0.saturating_sub(from.0) > TAIL_BEHIND_RECORDS_MAX {
                return Ok((Vec::new(), next, true));
            }
            let after = feed.accepted_from(from, predicate, TAIL_BATCH_RECORDS)?;
            Ok((after.records, after.next, !after.coverage.failures.is_empty()))
        };
        let (records, next, incomplete) = self.blocking(read).await?;
        if next <= from {
            // What comes next is still to be replayed.
            tokio::time::sleep(Duration::from_millis(TAIL_ROUND_MIN_MS)).await;
        }
        self.ready.extend(records.into_iter().map(|record| {
            let cursor = behind(record.common().record_id);
            TailEvent::Record { record: Arc::new(record.into()), cursor }
        }));
        if incomplete {
            self.ready.push_back(TailEvent::Gap { skipped: next.0 - from.0, cursor: next });
        }
        self.cursor = next.max(from);
        Some(())
    }

    /// Waits for a match, or for the time of a sign of life.
    async fn wait(&mut self) {
        let deadline = self.last_event + self.heartbeat;
        if tokio::time::timeout_at(deadline, self.changes.changed()).await.is_err() {
            self.ready.push_back(TailEvent::Heartbeat { cursor: self.cursor });
        }
    }

    async fn blocking<T: Send + 'static>(&self, read: impl FnOnce(&F, &Predicate) -> Result<T, ReadError> + Send + 'static) -> Option<T> {
        let (lookout, predicate) = (self.lookout.clone(), self.predicate.clone());
        match tokio::task::spawn_blocking(move || read(lookout.feed(), &predicate)).await {
            Ok(Ok(read)) => Some(read),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a tail ended: its records could not be read");
                None
            }
            Err(error) => {
                tracing::error!(%error, "a tail ended: its reader failed");
                None
            }
        }
    }
}

/// The place behind an event.
fn cursor_of(event: &TailEvent) -> RecordId {
    let (TailEvent::Record { cursor, .. } | TailEvent::Gap { cursor, .. } | TailEvent::Heartbeat { cursor }) = event;
    *cursor
}

#[cfg(test)]
mod tests;
