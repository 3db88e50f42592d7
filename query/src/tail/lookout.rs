//! Looking at accepted records for all tails together: once for each different predicate, and made a record once for all.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use needle_storage::model::{Attributes, Common, Record, RecordId, Span, Value};
use needle_storage::predicate::Predicate;
use needle_storage::{AcceptedEach, ReadError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::{TailEvent, TailedRecord};
use crate::limits::{TAIL_BEHIND_RECORDS_MAX, TAIL_ROUND_MIN_MS, TAIL_ROUND_RECORDS, TAILS_BYTES_MAX};

use super::Feed;

/// Looks at what a tenant's senders send, as long as somebody follows it.
pub(crate) struct Lookout<F> {
    feed: F,
    accepted: watch::Receiver<RecordId>,
    shared: Mutex<Shared>,
}

struct Shared {
    /// What was accepted before was looked at.
    next: RecordId,
    watched: Vec<Weak<Watched>>,
    /// Counts deletions: what was read before one may show what it deleted.
    deletions: u64,
    is_closed: bool,
}

/// A query that some tails follow, and its latest matches.
pub(crate) struct Watched {
    query: String,
    predicate: Predicate,
    ring: Mutex<Ring>,
    /// Tells that there is a match, or the end.
    changed: watch::Sender<()>,
}

/// The latest matches.
struct Ring {
    /// What was accepted from here on is known.
    from: RecordId,
    /// And before this.
    next: RecordId,
    events: VecDeque<Entry>,
    bytes: usize,
    is_closed: bool,
}

struct Entry {
    /// Behind it.
    cursor: RecordId,
    bytes: usize,
    /// None where records were passed over.
    record: Option<Arc<TailedRecord>>,
    /// Where it begins.
    from: RecordId,
}

/// What a tail finds behind its cursor.
#[derive(Debug)]
pub(super) enum Next {
    /// This.
    Event(TailEvent),
    /// No match before this.
    Nothing(RecordId),
    /// It is no longer known: the store has it.
    Forgotten,
    /// The end.
    Closed,
}

impl<F: Feed> Lookout<F> {
    /// Looks at what is accepted from now on, until nobody holds it any more. Called within a runtime.
    pub(crate) fn begin(feed: F, accepted: watch::Receiver<RecordId>) -> Arc<Lookout<F>> {
        let shared = Shared { next: *accepted.borrow(), watched: Vec::new(), deletions: 0, is_closed: false };
        let lookout = Arc::new(Lookout { feed, accepted: accepted.clone(), shared: Mutex::new(shared) });
        tokio::spawn(Lookout::run(Arc::downgrade(&lookout), accepted));
        lookout
    }

    pub(super) fn feed(&self) -> &F {
        &self.feed
    }

    /// The number the next record will get.
    pub(super) fn now(&self) -> RecordId {
        *self.accepted.borrow()
    }

    /// Follows a query. Tails of the same query share what is found.
    pub(super) fn watch(&self, query: &str, predicate: &Predicate) -> Arc<Watched> {
        let mut shared = self.shared.lock();
        if let Some(same) = shared.watched.iter().filter_map(Weak::upgrade).find(|watched| watched.query == query) {
            return same;
        }
        let ring = Ring { from: shared.next, next: shared.next, events: VecDeque::new(), bytes: 0, is_closed: shared.is_closed };
        let watched = Arc::new(Watched {
            query: query.to_owned(),
            predicate: predicate.clone(),
            ring: Mutex::new(ring),
            changed: watch::Sender::new(()),
        });
        shared.watched.push(Arc::downgrade(&watched));
        watched
    }

    /// Forgets what was found: some of it may be deleted.
    pub(crate) fn forget(&self) {
        let mut shared = self.shared.lock();
        shared.deletions += 1;
        shared.watched.iter().filter_map(Weak::upgrade).for_each(|watched| watched.ring.lock().forget());
    }

    /// Looks whenever something was accepted, but only so often: what comes meanwhile is looked at together.
    async fn run(lookout: Weak<Lookout<F>>, mut accepted: watch::Receiver<RecordId>) {
        loop {
            let round = Instant::now();
            accepted.borrow_and_update();
            let Some(looking) = lookout.upgrade() else { return };
            let looked = tokio::task::spawn_blocking(move || looking.look()).await;
            let is_done = match looked {
                Ok(Ok(is_done)) => is_done,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "tails end: their records could not be read");
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, "tails end: their reader failed");
                    break;
                }
            };
            if is_done {
                tokio::time::sleep_until(round + Duration::from_millis(TAIL_ROUND_MIN_MS)).await;
                if accepted.changed().await.is_err() {
                    break;
                }
            }
        }
        if let Some(lookout) = lookout.upgrade() {
            lookout.close();
        }
    }

    fn close(&self) {
        let mut shared = self.shared.lock();
        shared.is_closed = true;
        for watched in shared.watched.iter().filter_map(Weak::upgrade) {
            watched.ring.lock().is_closed = true;
            watched.changed.send_replace(());
        }
    }

    /// Looks at some of what was accepted; whether that was all.
    pub(super) fn look(&self) -> Result<bool, ReadError> {
        let (from, deletions, watched) = self.task();
        let accepted = self.feed.next_record_id();
        let is_behind = accepted.0.saturating_sub(from.0) > TAIL_BEHIND_RECORDS_MAX;
        let until = if is_behind { accepted } else { RecordId(accepted.0.min(from.0.saturating_add(TAIL_ROUND_RECORDS))) };
        let found = if is_behind || watched.is_empty() {
            AcceptedEach { next: until, ..AcceptedEach::default() }
        } else {
            let predicates: Vec<&Predicate> = watched.iter().map(|watched| &watched.predicate).collect();
            self.feed.accepted_between(from, until, &predicates)?
        };
        let is_incomplete = is_behind || !found.coverage.failures.is_empty();
        let mut shared = self.shared.lock();
        if shared.deletions != deletions {
            return Ok(false);
        }
        shared.next = until;
        // Who came meanwhile was not looked for: what it missed it finds in the store.
        for late in shared.watched.iter().filter_map(Weak::upgrade).filter(|late| !watched.iter().any(|one| Arc::ptr_eq(one, late))) {
            late.ring.lock().begin(until);
        }
        // Still under the lock, so that a deletion forgets this as well.
        hand_out(&watched, found, is_incomplete.then_some(from));
        Ok(until == accepted)
    }

    /// Where to go on, and what is looked for.
    fn task(&self) -> (RecordId, u64, Vec<Arc<Watched>>) {
        let mut shared = self.shared.lock();
        shared.watched.retain(|watched| watched.strong_count() > 0);
        (shared.next, shared.deletions, shared.watched.iter().filter_map(Weak::upgrade).collect())
    }
}

/// Hands out what was found, and a gap that begins at `gap`, if there is one.
fn hand_out(watched: &[Arc<Watched>], found: AcceptedEach, gap: Option<RecordId>) {
    let bytes_max = TAILS_BYTES_MAX / watched.len().max(1);
    let mut has_news = vec![gap.is_some(); watched.len()];
    for (record, matched) in found.records {
        let record_id = record.common().record_id;
        // What is shown of it takes about as much again.
        let bytes = 2 * bytes_of(&record);
        let record = Arc::new(TailedRecord::from(record));
        let entry = |record: Arc<TailedRecord>| Entry { cursor: behind(record_id), bytes, record: Some(record), from: record_id };
        for at in matched {
            watched[at].ring.lock().push(entry(record.clone()), bytes_max);
            has_news[at] = true;
        }
    }
    for (watched, has_news) in watched.iter().zip(has_news) {
        let mut ring = watched.ring.lock();
        if let Some(from) = gap {
            ring.push(Entry { cursor: found.next, bytes: size_of::<Entry>(), record: None, from }, bytes_max);
        }
        ring.next = ring.next.max(found.next);
        drop(ring);
        if has_news {
            watched.changed.send_replace(());
        }
    }
}

impl Watched {
    /// Wakes when there is something new.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What comes at or after a cursor.
    pub(super) fn after(&self, cursor: RecordId) -> Next {
        let ring = self.ring.lock();
        if ring.is_closed {
            return Next::Closed;
        }
        if cursor < ring.from {
            return Next::Forgotten;
        }
        let first = ring.events.partition_point(|entry| entry.cursor <= cursor);
        let Some(entry) = ring.events.get(first) else { return Next::Nothing(ring.next) };
        Next::Event(match &entry.record {
            Some(record) => TailEvent::Record { record: record.clone(), cursor: entry.cursor },
            None => TailEvent::Gap { skipped: entry.cursor.0 - entry.from.0, cursor: entry.cursor },
        })
    }
}

impl Ring {
    /// Adds an entry; the oldest make room for it. One alone may be as large as it is.
    fn push(&mut self, entry: Entry, bytes_max: usize) {
        self.bytes += entry.bytes;
        self.events.push_back(entry);
        while self.bytes > bytes_max && self.events.len() > 1 {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.bytes;
            self.from = oldest.cursor;
        }
    }

    fn forget(&mut self) {
        self.begin(self.next);
    }

    fn begin(&mut self, from: RecordId) {
        self.events.clear();
        self.bytes = 0;
        (self.from, self.next) = (from, from);
    }
}

/// Where to go on behind a record.
pub(super) fn behind(record_id: RecordId) -> RecordId {
    RecordId(record_id.0.saturating_add(1))
}

/// Memory that a record takes, about. Resources and scopes are shared.
fn bytes_of(record: &Record) -> usize {
    let Common { request_ids, attributes, .. } = record.common();
    let own = match record {
        Record::Log(log) => log.body.as_ref().map_or(0, bytes_of_value),
        Record::Span(span) => bytes_of_span(span),
    };
    size_of::<Record>() + request_ids.iter().map(String::len).sum::<usize>() + bytes_of_attributes(attributes) + own
}

fn bytes_of_span(span: &Span) -> usize {
    let events = span.events.iter().map(|event| size_of_val(event) + event.name.len() + bytes_of_attributes(&event.attributes));
    let links = span.links.iter().map(|link| size_of_val(link) + bytes_of_attributes(&link.attributes));
    size_of::<Span>() + span.name.len() + events.sum::<usize>() + links.sum::<usize>()
}

fn bytes_of_attributes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(key, value)| size_of::<(String, Value)>() + key.len() + bytes_of_value(value)).sum()
}

fn bytes_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(values) => values.iter().map(|value| size_of::<Value>() + bytes_of_value(value)).sum(),
        Value::Map(map) => bytes_of_attributes(map),
        _ => 0,
    }
}
