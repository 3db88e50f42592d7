//! Following: records in the order they are accepted, from a cursor on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use needle_storage::model::{Record, RecordId};
use needle_storage::predicate::Predicate;
use needle_storage::{AcceptedAfter, ReadError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::TailEvent;
use crate::limits::{TAIL_BATCH_RECORDS, TAIL_BEHIND_RECORDS_MAX};

/// What a tail reads. Methods block.
pub(crate) trait Feed: Send + Sync + 'static {
    /// The number the next record will get.
    fn next_record_id(&self) -> RecordId;
    /// The newest matches accepted before `until`, oldest first.
    fn newest(&self, predicate: &Predicate, until: RecordId, limit: usize) -> Result<Vec<Record>, ReadError>;
    /// Matches accepted from `from` on.
    fn accepted_from(&self, from: RecordId, predicate: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError>;
}

/// A reader of a feed.
struct Tail<F> {
    feed: Arc<F>,
    predicate: Arc<Predicate>,
    accepted: watch::Receiver<RecordId>,
    cursor: RecordId,
    backfill: usize,
    ready: VecDeque<TailEvent>,
    heartbeat: Duration,
    behind_records_max: u64,
    last_event: Instant,
}

/// Follows `feed` from `cursor`, or from now; then `backfill` older matches come first. Ends when the store shuts
/// down or cannot be read; the cursor of the last event resumes.
pub(crate) fn follow<F: Feed>(
    feed: F,
    predicate: Predicate,
    accepted: watch::Receiver<RecordId>,
    cursor: Option<RecordId>,
    backfill: usize,
    heartbeat: Duration,
) -> impl Stream<Item = TailEvent> + Send + 'static {
    let now = *accepted.borrow();
    let tail = Tail {
        feed: Arc::new(feed),
        predicate: Arc::new(predicate),
        // A cursor from beyond the end is another data folder's: there is nothing to resume.
        cursor: cursor.map_or(now, |cursor| cursor.min(now)),
        backfill: if cursor.is_none() { backfill } else { 0 },
        accepted,
        ready: VecDeque::new(),
        heartbeat,
        behind_records_max: TAIL_BEHIND_RECORDS_MAX,
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
            self.accepted.borrow_and_update();
            if self.backfill > 0 {
                let limit = std::mem::take(&mut self.backfill);
                self.read_backfill(limit).await?;
                continue;
            }
            let from = self.cursor;
            self.read_on().await?;
            if self.ready.is_empty() && self.cursor == from {
                self.wait().await?;
            } else if self.ready.is_empty() && self.last_event.elapsed() >= self.heartbeat {
                self.ready.push_back(TailEvent::Heartbeat { cursor: self.cursor });
            }
        }
    }

    async fn read_backfill(&mut self, limit: usize) -> Option<()> {
        let until = self.cursor;
        let records = self.blocking(move |feed, predicate| feed.newest(predicate, until, limit)).await?;
        self.ready.extend(records.into_iter().map(|record| TailEvent::Record { record: Box::new(record), cursor: until }));
        Some(())
    }

    /// Reads a batch, or jumps to the present when it is too far ahead. What is jumped over or cannot be read is a gap.
    async fn read_on(&mut self) -> Option<()> {
        let (from, behind_records_max) = (self.cursor, self.behind_records_max);
        let read = move |feed: &F, predicate: &Predicate| {
            let next = feed.next_record_id();
            if next.0.saturating_sub(from.0) > behind_records_max {
                return Ok((Vec::new(), next, true));
            }
            let after = feed.accepted_from(from, predicate, TAIL_BATCH_RECORDS)?;
            Ok((after.records, after.next, !after.coverage.failures.is_empty()))
        };
        let (records, next, incomplete) = self.blocking(read).await?;
        self.ready.extend(records.into_iter().map(|record| {
            let cursor = RecordId(record.common().record_id.0.saturating_add(1));
            TailEvent::Record { record: Box::new(record), cursor }
        }));
        if incomplete {
            self.ready.push_back(TailEvent::Gap { skipped: next.0 - from.0, cursor: next });
        }
        self.cursor = next.max(from);
        Some(())
    }

    /// Waits for records, or for the time of a sign of life.
    async fn wait(&mut self) -> Option<()> {
        let deadline = self.last_event + self.heartbeat;
        match tokio::time::timeout_at(deadline, self.accepted.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => self.ready.push_back(TailEvent::Heartbeat { cursor: self.cursor }),
        }
        Some(())
    }

    async fn blocking<T: Send + 'static>(&self, read: impl FnOnce(&F, &Predicate) -> Result<T, ReadError> + Send + 'static) -> Option<T> {
        let (feed, predicate) = (self.feed.clone(), self.predicate.clone());
        match tokio::task::spawn_blocking(move || read(&feed, &predicate)).await {
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

#[cfg(test)]
mod tests;
