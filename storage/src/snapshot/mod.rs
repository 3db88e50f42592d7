//! Reading: a consistent view of everything accepted, each record once.

mod nearest;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cache::ShardCache;
use crate::catalog::ShardMeta;
use crate::live::LiveBatch;
use crate::model::{IdTerm, Record, RecordId, RecordsView, Tenant, UnixNanos, column};
use crate::predicate::{Predicate, columns};
use crate::shard::{Rows, ShardError, ShardReader};
use crate::state::State;
use crate::tombstones::Tombstones;

use nearest::{Hit, Nearest, Source};

/// A question for records.
#[derive(Clone, Debug)]
pub struct Search {
    /// What matches.
    pub predicate: Predicate,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// Only what comes after this place in the order asked for.
    pub after: Option<(UnixNanos, RecordId)>,
    /// At most this many.
    pub limit: usize,
}

/// Records found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order asked for; total, by time and record id.
    pub records: Vec<Record>,
    /// Whether there are more.
    pub more: bool,
    /// What was read.
    pub coverage: Coverage,
}

/// What was read for an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Shards read, or ruled out by time or index.
    pub shards_searched: usize,
    /// Shards that could not be read, and why.
    pub failures: Vec<String>,
}

/// Records in the order they were accepted.
#[derive(Clone, Debug, Default)]
pub struct AcceptedAfter {
    /// Matching ones, in commit order.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next: RecordId,
    /// What was read.
    pub coverage: Coverage,
}

/// Why a read gave no answer at all. What can be read partly is answered, with [`Coverage`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The question was withdrawn.
    #[error("cancelled")]
    Cancelled,
}

/// A consistent view of one tenant's records. Methods block; call them on a thread that may.
/// `cancelled` is asked between steps.
pub struct Snapshot {
    live: Vec<Arc<LiveBatch>>,
    /// By latest time.
    shards: Vec<Arc<ShardMeta>>,
    next_record: RecordId,
    cache: Arc<ShardCache>,
    tombstones: Arc<Tombstones>,
}

/// Columns that hold little: what [`Snapshot::for_each`] shows of a row.
const NARROW_COLUMNS: [&str; 12] = [
    column::RECORD_ID,
    column::TIMESTAMP,
    column::START,
    column::ORIGINAL_TIME,
    column::TRACE_ID,
    column::REQUEST_ID,
    column::SERVICE_NAME,
    column::SEVERITY_NUMBER,
    column::DURATION,
    column::NAME,
    column::KIND,
    column::STATUS_CODE,
];

/// Columns that say where in the order a row stands.
const PLACE_COLUMNS: [&str; 4] = [column::RECORD_ID, column::TIMESTAMP, column::START, column::ORIGINAL_TIME];

impl Snapshot {
    /// What is readable of a tenant's records just now.
    pub(crate) fn new(state: &State, tenant: &Tenant, cache: Arc<ShardCache>) -> Snapshot {
        Snapshot {
            live: state.live().filter(|batch| batch.tenant == *tenant).cloned().collect(),
            shards: state.shards.iter().filter(|shard| shard.tenant == *tenant).cloned().collect(),
            next_record: state.next_record,
            cache,
            tombstones: state.tombstones_of(tenant),
        }
    }

    /// Matching records in order, up to the limit. Shards that cannot improve the answer are not read.
    pub fn search(&self, search: &Search, cancelled: &dyn Fn() -> bool) -> Result<Found, ReadError> {
        let mut nearest = Nearest::new(search);
        for (number, batch) in self.live.iter().enumerate() {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            if nearest.may_improve(batch.time_min, batch.time_max) {
                scan::live(batch, &self.tombstones, &search.predicate, &mut |view, row| {
                    nearest.offer(view, row, Source::Live(number), row as u32);
                });
            }
        }
        let mut coverage = Coverage::default();
        let names = with_columns(columns(&search.predicate), &PLACE_COLUMNS);
        let mut order: Vec<usize> = (0..self.shards.len()).collect();
        if search.ascending {
            order.sort_by_key(|number| self.shards[*number].time_min);
        } else {
            order.reverse();
        }
        for number in order {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            let shard = &self.shards[number];
            if nearest.may_improve(shard.time_min, shard.time_max) {
                let read =
                    scan::shard(&self.cache, shard, &self.tombstones, &search.predicate, &names, cancelled, &mut |view, local, row| {
                        nearest.offer(view, local, Source::Shard(number), row);
                    });
                coverage.note(shard, read)?;
            }
            coverage.shards_searched += 1;
        }
        let (hits, more) = nearest.finish();
        let records = self.fetch(&hits, &mut coverage)?;
        Ok(Found { records, more, coverage })
    }

    /// Every record that carries one of the ids, oldest first.
    pub fn by_ids(&self, terms: &[IdTerm], cancelled: &dyn Fn() -> bool) -> Result<Found, ReadError> {
        let mut coverage = Coverage::default();
        let mut records = Vec::new();
        for batch in &self.live {
            let view = batch.view();
            records.extend(self.live_rows_with(batch, terms).map(|row| view.record(row)));
        }
        for shard in &self.shards {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            let read = scan::guarded(&self.cache, shard, &mut |reader| {
                let rows = self.shard_rows_with(reader, terms)?;
                reader.for_each_batch(Rows::Some(&rows), None, &mut |view, _| {
                    records.extend((0..view.len()).map(|row| view.record(row)));
                    Ok(!cancelled())
                })
            });
            coverage.note(shard, read)?;
            coverage.shards_searched += 1;
        }
        records.sort_by_key(|record| (record.common().time, record.common().record_id));
        Ok(Found { records, more: false, coverage })
    }

    /// How many records carry one of the ids.
    pub(crate) fn count_with(&self, terms: &[IdTerm]) -> (u64, Coverage) {
        let mut count: u64 = self.live.iter().map(|batch| self.live_rows_with(batch, terms).count() as u64).sum();
        let mut coverage = Coverage { shards_searched: self.shards.len(), ..Coverage::default() };
        for shard in &self.shards {
            let read = scan::guarded(&self.cache, shard, &mut |reader| {
                count += self.shard_rows_with(reader, terms)?.len() as u64;
                Ok(())
            });
            coverage.note(shard, read).expect("nothing cancels it");
        }
        (count, coverage)
    }

    /// Rows of a live batch that carry one of the ids and are not deleted, ascending.
    fn live_rows_with(&self, batch: &LiveBatch, terms: &[IdTerm]) -> impl Iterator<Item = usize> {
        let deleted = self.tombstones.rows_of_batch(batch);
        batch.rows_with(terms).into_iter().filter(move |row| deleted.binary_search(row).is_err())
    }

    /// Rows of a shard that carry one of the ids and are not deleted, ascending.
    fn shard_rows_with(&self, shard: &ShardReader, terms: &[IdTerm]) -> Result<Vec<u32>, ShardError> {
        let mut rows = shard.rows_with(terms)?;
        let deleted = self.tombstones.rows_of_shard(shard)?;
        rows.retain(|row| deleted.binary_search(row).is_err());
        Ok(rows)
    }

    /// Calls `visit` with every matching row, in no order; each record once. The view holds the narrow
    /// columns (ids but the span's, time, service, severity, and of spans name, kind, status, duration),
    /// and what the predicate looks at.
    pub fn for_each(
        &self,
        predicate: &Predicate,
        start: Option<UnixNanos>,
        end: Option<UnixNanos>,
        cancelled: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(&RecordsView<'_>, usize),
    ) -> Result<Coverage, ReadError> {
        let (start, end) = (start.unwrap_or(UnixNanos::MIN), end);
        let within = |time: UnixNanos| time >= start && end.is_none_or(|end| time < end);
        let overlaps = |min: UnixNanos, max: UnixNanos| max >= start && end.is_none_or(|end| min < end);
        for batch in self.live.iter().filter(|batch| overlaps(batch.time_min, batch.time_max)) {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            scan::live(batch, &self.tombstones, predicate, &mut |view, row| {
                if within(view.time(row)) {
                    visit(view, row);
                }
            });
        }
        let mut coverage = Coverage::default();
        let names = with_columns(columns(predicate), &NARROW_COLUMNS);
        for shard in &self.shards {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            if overlaps(shard.time_min, shard.time_max) {
                let read = scan::shard(&self.cache, shard, &self.tombstones, predicate, &names, cancelled, &mut |view, local, _| {
                    if within(view.time(local)) {
                        visit(view, local);
                    }
                });
                coverage.note(shard, read)?;
            }
            coverage.shards_searched += 1;
        }
        Ok(coverage)
    }

    /// Matching records accepted from `from` on, in commit order, at most `limit`. Those already sealed
    /// are read from their shards.
    pub fn accepted_from(&self, from: RecordId, predicate: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError> {
        let mut hits: Vec<(RecordId, Hit)> = Vec::new();
        let mut note = |view: &RecordsView<'_>, local: usize, source: Source, row: u32| {
            let record_id = view.record_id(local);
            if record_id >= from {
                hits.push((record_id, Hit { place: (view.time(local), record_id), source, row }));
            }
        };
        for (number, batch) in self.live.iter().enumerate().filter(|(_, batch)| batch.record_last() >= from) {
            scan::live(batch, &self.tombstones, predicate, &mut |view, row| note(view, row, Source::Live(number), row as u32));
        }
        let mut coverage = Coverage::default();
        let names = with_columns(columns(predicate), &PLACE_COLUMNS);
        for (number, shard) in self.shards.iter().enumerate().filter(|(_, shard)| shard.record_max >= from) {
            let read = scan::shard(&self.cache, shard, &self.tombstones, predicate, &names, &|| false, &mut |view, local, row| {
                note(view, local, Source::Shard(number), row);
            });
            coverage.note(shard, read)?;
        }
        hits.sort_unstable_by_key(|(record_id, _)| *record_id);
        let cut = hits.len() > limit;
        hits.truncate(limit);
        let next = match hits.last() {
            Some((last, _)) if cut => RecordId(last.0 + 1),
            _ => self.next_record.max(from),
        };
        let hits: Vec<Hit> = hits.into_iter().map(|(_, hit)| hit).collect();
        Ok(AcceptedAfter { records: self.fetch(&hits, &mut coverage)?, next, coverage })
    }

    /// The number the next accepted record will get.
    pub fn next_record_id(&self) -> RecordId {
        self.next_record
    }

    /// The records of these hits, in their order; those of a shard that cannot be read are missing and noted.
    fn fetch(&self, hits: &[Hit], coverage: &mut Coverage) -> Result<Vec<Record>, ReadError> {
        let mut records: Vec<Option<Record>> = vec![None; hits.len()];
        let mut sealed: BTreeMap<usize, Vec<(u32, usize)>> = BTreeMap::new();
        for (at, hit) in hits.iter().enumerate() {
            match hit.source {
                Source::Live(number) => records[at] = Some(self.live[number].view().record(hit.row as usize)),
                Source::Shard(number) => sealed.entry(number).or_default().push((hit.row, at)),
            }
        }
        for (number, mut wanted) in sealed {
            wanted.sort_unstable();
            let rows: Vec<u32> = wanted.iter().map(|(row, _)| *row).collect();
            let shard = &self.shards[number];
            let read = scan::guarded(&self.cache, shard, &mut |reader| {
                reader.for_each_batch(Rows::Some(&rows), None, &mut |view, first| {
                    for local in 0..view.len() {
                        records[wanted[first as usize + local].1] = Some(view.record(local));
                    }
                    Ok(true)
                })
            });
            coverage.note(shard, read)?;
        }
        Ok(records.into_iter().flatten().collect())
    }
}

impl Coverage {
    fn note(&mut self, shard: &ShardMeta, read: Result<(), scan::ScanError>) -> Result<(), ReadError> {
        match read {
            Ok(()) => Ok(()),
            Err(scan::ScanError::Cancelled) => Err(ReadError::Cancelled),
            Err(scan::ScanError::Unreadable(reason)) => {
                let failure = format!("shard {} cannot be read: {reason}", shard.path);
                tracing::error!("{failure}");
                if !self.failures.contains(&failure) {
                    self.failures.push(failure);
                }
                Ok(())
            }
        }
    }
}

fn with_columns(mut names: BTreeSet<&'static str>, more: &[&'static str]) -> Vec<&'static str> {
    names.extend(more);
    names.into_iter().collect()
}
