//! Reading: a consistent view of everything accepted, each record once.

mod accepted;
mod compare;
mod conditions;
mod fields;
mod histogram;
mod look;
mod nearest;
mod scan;
mod shapes;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::cache::ShardCache;
use crate::catalog::ShardMeta;
use crate::fields::{FIELD_COLUMNS, FieldCounts};
use crate::live::LiveBatch;
use crate::lookup::{Lookup, keys_of};
use crate::model::{IdKey, IdTerm, Record, RecordId, Signal, Tenant, UnixNanos, column};
use crate::places::ShardList;
use crate::predicate::{Columns, Predicate, TIME_COLUMNS};
use crate::shard::{RowRanges, ShardError, ShardReader, Wanted};
use crate::state::State;
use crate::tombstones::Tombstones;

pub use accepted::{AcceptedAfter, AcceptedEach};
pub use compare::{Compared, ComparedField, ComparedPlace, Comparison, LeftOut, Sides};
use fields::Fields;
use histogram::Bars;
pub use histogram::{Counts, Group, Histogram, TimeBuckets};
pub use look::Look;
use look::{Visit, Within};
use nearest::{Hit, Nearest, Source};
use scan::{Scan, Sink, Sweep};
pub use shapes::{Shapes, WantedShapes};

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

/// Why a read gave no answer at all. What can be read partly is answered, with [`Coverage`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The question was withdrawn.
    #[error("cancelled")]
    Cancelled,
}

/// Where a record lies, as long as the snapshot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordPlace {
    source: Source,
    row: u32,
}

impl RecordPlace {
    /// In a live batch.
    pub fn live(batch: usize, row: u32) -> RecordPlace {
        RecordPlace { source: Source::Live(batch), row }
    }
}

/// How much is read of the records of an id.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// Keys of attributes of logs that belong to the outline.
    pub log_attributes: &'a [&'a str],
    /// And of spans.
    pub span_attributes: &'a [&'a str],
    /// So many records are read as a whole. Of more, only what tells where they belong: times, ids, names, outcomes.
    pub whole_max: usize,
}

impl<'a> Outline<'a> {
    fn attributes(&self, signal: Signal) -> &'a [&'a str] {
        match signal {
            Signal::Logs => self.log_attributes,
            Signal::Spans => self.span_attributes,
        }
    }
}

/// Records that a question need not be given again.
#[derive(Clone, Copy, Default)]
pub struct Known<'a>(Option<&'a dyn Fn(RecordId) -> bool>);

impl<'a> Known<'a> {
    /// Those that `is_known` tells.
    pub fn of(is_known: &'a dyn Fn(RecordId) -> bool) -> Known<'a> {
        Known(Some(is_known))
    }

    /// None.
    pub fn nothing() -> Known<'a> {
        Known(None)
    }

    /// Whether a record is known.
    pub fn has(&self, record_id: RecordId) -> bool {
        self.0.is_some_and(|is_known| is_known(record_id))
    }

    /// The rows of a shard whose records are not known.
    fn without(&self, shard: &ShardReader, rows: RowRanges) -> Result<RowRanges, ShardError> {
        if self.0.is_none() {
            return Ok(rows);
        }
        let mut unknown = Vec::new();
        shard.read(&rows, Wanted::Columns(&Columns::default().with(&[column::RECORD_ID])), &mut |view, numbers| {
            unknown.extend((0..view.len()).filter(|row| !self.has(view.record_id(*row))).map(|row| numbers[row]));
            Ok(true)
        })?;
        Ok(RowRanges::of_rows(unknown))
    }
}

/// A consistent view of one tenant's records. Methods block; call them on a thread that may.
/// `cancelled` is asked between steps.
pub struct Snapshot {
    live: Vec<Arc<LiveBatch>>,
    shards: Arc<ShardList>,
    next_record: RecordId,
    cache: Arc<ShardCache>,
    lookup: Arc<Lookup>,
    tombstones: Arc<Tombstones>,
    /// What the start could not read.
    damaged: Vec<String>,
    /// That, and what is still to be replayed.
    unreadable: Vec<String>,
    /// Records from this one on came after the start.
    opened_at: RecordId,
    /// While the log is replayed: of those before, the ones before this are readable.
    replayed: Option<RecordId>,
}

/// What tells a snapshot from others. It keeps no file.
#[derive(Clone, Debug)]
pub struct SnapshotVersion {
    next_record: RecordId,
    live: usize,
    /// None where there are none.
    shards: Option<Weak<ShardList>>,
    /// None where nothing is hidden.
    tombstones: Option<Weak<Tombstones>>,
    unreadable: Vec<String>,
}

impl SnapshotVersion {
    /// Whether every question has the same answer as it had.
    pub fn is_of(&self, snapshot: &Snapshot) -> bool {
        self.next_record == snapshot.next_record
            && self.live == snapshot.live.len()
            && self.shards.as_ref().map_or(snapshot.shards.is_empty(), |shards| shards.as_ptr() == Arc::as_ptr(&snapshot.shards))
            && self
                .tombstones
                .as_ref()
                .map_or(snapshot.tombstones.is_empty(), |hidden| hidden.as_ptr() == Arc::as_ptr(&snapshot.tombstones))
            && self.unreadable == snapshot.unreadable
    }
}

/// A page of records ends when it holds so many bytes; its cursor leads on. (In tests few.)
const PAGE_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// Records that are fetched before it is known how large they are, and at most at once.
const FIRST_RECORDS: usize = 128;
const RECORDS_AT_ONCE: usize = 16_384;

/// How a failure of a shard begins.
const SHARD_FAILURE: &str = "shard ";

/// Columns that say where in the order a row stands.
const PLACE_COLUMNS: [&str; 4] = [column::RECORD_ID, column::TIMESTAMP, column::START, column::ORIGINAL_TIME];

impl Snapshot {
    /// What is readable of a tenant's records just now.
    pub(crate) fn new(state: &State, tenant: &Tenant, cache: Arc<ShardCache>, lookup: Arc<Lookup>) -> Snapshot {
        Snapshot {
            live: state.live().filter(|batch| batch.tenant == *tenant).cloned().collect(),
            shards: state.shards_of(tenant),
            next_record: state.next_record,
            cache,
            lookup,
            tombstones: state.tombstones_of(tenant),
            damaged: state.damaged_of(tenant),
            unreadable: state.unreadable_of(tenant),
            opened_at: state.opened_at,
            replayed: state.replay.map(|progress| progress.readable),
        }
    }

    /// Whether every question has the same answer in both.
    pub fn is_same(&self, other: &Snapshot) -> bool {
        self.next_record == other.next_record
            && self.live.len() == other.live.len()
            && Arc::ptr_eq(&self.shards, &other.shards)
            && (Arc::ptr_eq(&self.tombstones, &other.tombstones) || (self.tombstones.is_empty() && other.tombstones.is_empty()))
            && self.unreadable == other.unreadable
    }

    /// What tells this snapshot from others without holding on to any of its records.
    pub fn version(&self) -> SnapshotVersion {
        SnapshotVersion {
            next_record: self.next_record,
            live: self.live.len(),
            shards: (!self.shards.is_empty()).then(|| Arc::downgrade(&self.shards)),
            tombstones: (!self.tombstones.is_empty()).then(|| Arc::downgrade(&self.tombstones)),
            unreadable: self.unreadable.clone(),
        }
    }

    /// Nothing was searched yet; what the start could not read is known.
    fn coverage(&self) -> Coverage {
        Coverage { shards_searched: 0, failures: self.unreadable.clone() }
    }

    /// Up to where records are read in the order in which they were accepted, if they are read from `from` on: those that
    /// are still to be replayed come before any that were accepted since.
    fn accepted_until(&self, from: RecordId) -> RecordId {
        self.replayed.filter(|_| from < self.opened_at).unwrap_or(self.next_record).max(from)
    }

    /// What of the records from `from` on and up to there cannot be read: what the start could not read came before it.
    fn coverage_from(&self, from: RecordId) -> Coverage {
        if from >= self.opened_at { Coverage::default() } else { Coverage { shards_searched: 0, failures: self.damaged.clone() } }
    }

    /// Matching records in order, up to the limit. Shards that cannot improve the answer are not read.
    pub fn search(&self, search: &Search, cancelled: &dyn Fn() -> bool) -> Result<Found, ReadError> {
        let mut nearest = Nearest::new(search);
        let shards = self.shards_that_may_match(&search.predicate);
        let mut coverage = self.without_asking(&shards);
        let columns = Columns::default().with(&PLACE_COLUMNS);
        let sweep = if search.ascending { Sweep::Oldest } else { Sweep::Newest };
        let scan = Scan::new(&search.predicate, columns, &self.tombstones, sweep, cancelled);
        for source in self.nearest_first(shards, search.ascending) {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            match source {
                Source::Live(number) => {
                    let batch = &self.live[number];
                    if nearest.may_improve(batch.time_min, batch.time_max) {
                        scan::live(batch, &self.tombstones, &search.predicate, cancelled, &mut nearest.of(source))?;
                    }
                }
                Source::Shard(number) => {
                    let shard = &self.shards[number];
                    if nearest.may_improve(shard.time_min, shard.time_max) {
                        coverage.note(shard, scan.shard(&self.cache, shard, &mut nearest.of(source)))?;
                    }
                    coverage.shards_searched += 1;
                }
            }
        }
        let (hits, more) = nearest.finish();
        let (records, cut) = self.fetch_page(&hits, &mut coverage, cancelled)?;
        Ok(Found { records, more: more || cut, coverage })
    }

    /// Live batches and these shards, those first whose first record in the order comes first: the sooner an answer is full, the less
    /// is looked at.
    fn nearest_first(&self, shards: Vec<usize>, ascending: bool) -> Vec<Source> {
        let bounds = |source: &Source| match *source {
            Source::Live(number) => (self.live[number].time_min, self.live[number].time_max),
            Source::Shard(number) => (self.shards[number].time_min, self.shards[number].time_max),
        };
        let live = (0..self.live.len()).map(Source::Live);
        let mut sources: Vec<Source> = live.chain(shards.into_iter().map(Source::Shard)).collect();
        if ascending {
            sources.sort_by_key(|source| bounds(source).0);
        } else {
            sources.sort_by_key(|source| std::cmp::Reverse(bounds(source).1));
        }
        sources
    }

    /// The records of the first hits, up to [`PAGE_BYTES_MAX`], and whether that left some out.
    fn fetch_page(&self, hits: &[Hit], coverage: &mut Coverage, cancelled: &dyn Fn() -> bool) -> Result<(Vec<Record>, bool), ReadError> {
        let (mut records, mut bytes, mut fetched, mut at_once) = (Vec::new(), 0, 0, FIRST_RECORDS);
        while fetched < hits.len() && bytes < PAGE_BYTES_MAX {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            let next = &hits[fetched..hits.len().min(fetched + at_once)];
            let more = self.fetch(next, coverage)?;
            bytes += more.iter().map(Record::size_bytes).sum::<usize>();
            records.extend(more);
            fetched += next.len();
            // As many as would fill half of what is left, if they are like those before.
            at_once = (PAGE_BYTES_MAX.saturating_sub(bytes) / (bytes / fetched).max(1) / 2).clamp(1, RECORDS_AT_ONCE);
        }
        Ok((records, fetched < hits.len()))
    }

    /// Every record that carries one of the ids and is not among `known`, oldest first.
    pub fn by_ids(&self, terms: &[IdTerm], known: &Known<'_>, cancelled: &dyn Fn() -> bool) -> Result<Found, ReadError> {
        let mut records = Vec::new();
        let outline = Outline { log_attributes: &[], span_attributes: &[], whole_max: usize::MAX };
        let coverage = self.outline_by_ids(terms, known, outline, cancelled, &mut |record, _| records.push(record))?;
        records.sort_by_key(|record| (record.common().time, record.common().record_id));
        Ok(Found { records, more: false, coverage })
    }

    /// Gives `take` every record that carries one of the ids and is not among `known`, in no order. When they are many,
    /// only the outline of some, with the place where [`Snapshot::records_at`] finds the whole.
    pub fn outline_by_ids(
        &self,
        terms: &[IdTerm],
        known: &Known<'_>,
        outline: Outline<'_>,
        cancelled: &dyn Fn() -> bool,
        take: &mut dyn FnMut(Record, Option<RecordPlace>),
    ) -> Result<Coverage, ReadError> {
        let asked = self.shards_with(&keys_of(terms));
        let mut coverage = self.without_asking(&asked);
        let mut left = outline.whole_max as u64;
        for (number, batch) in self.live.iter().enumerate() {
            let view = batch.view();
            let rows: Vec<usize> = self.live_rows_with(batch, terms).filter(|row| !known.has(view.record_id(*row))).collect();
            let whole = left >= rows.len() as u64;
            left = left.saturating_sub(rows.len() as u64);
            let mut reader = if whole { view.reader() } else { view.outline_reader(outline.attributes(batch.signal)) };
            for row in rows {
                let place = RecordPlace { source: Source::Live(number), row: row as u32 };
                take(reader.record(row), (!whole).then_some(place));
            }
        }
        for number in asked {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            let shard = &self.shards[number];
            let attributes = outline.attributes(shard.signal);
            let columns = Columns::of_outline(attributes);
            let read = scan::guarded(&self.cache, shard, &mut |reader| {
                let rows = known.without(reader, self.shard_rows_with(reader, terms)?)?;
                let whole = left >= rows.len();
                left = left.saturating_sub(rows.len());
                let wanted = if whole { Wanted::Records } else { Wanted::Columns(&columns) };
                reader.read(&rows, wanted, &mut |view, numbers| {
                    let mut records = if whole { view.reader() } else { view.outline_reader(attributes) };
                    for (local, row) in numbers.iter().enumerate() {
                        let place = RecordPlace { source: Source::Shard(number), row: *row };
                        take(records.record(local), (!whole).then_some(place));
                    }
                    Ok(!cancelled())
                })
            });
            coverage.note(shard, read)?;
            coverage.shards_searched += 1;
        }
        Ok(coverage)
    }

    /// The whole records at some places of this snapshot, in their order. Those of a shard that cannot be read are
    /// missing and noted.
    pub fn records_at(&self, places: &[RecordPlace]) -> Result<(Vec<Record>, Coverage), ReadError> {
        let mut coverage = self.coverage();
        let hits: Vec<Hit> = places.iter().map(|at| Hit { place: Default::default(), source: at.source, row: at.row }).collect();
        Ok((self.fetch(&hits, &mut coverage)?, coverage))
    }

    /// How many records carry one of the ids.
    pub(crate) fn count_with(&self, terms: &[IdTerm]) -> (u64, Coverage) {
        let mut count: u64 = self.live.iter().map(|batch| self.live_rows_with(batch, terms).count() as u64).sum();
        let mut coverage = Coverage { shards_searched: self.shards.len(), ..self.coverage() };
        for shard in self.shards_with(&keys_of(terms)).into_iter().map(|number| &self.shards[number]) {
            let read = scan::guarded(&self.cache, shard, &mut |reader| {
                count += self.shard_rows_with(reader, terms)?.len();
                Ok(())
            });
            coverage.note(shard, read).expect("nothing cancels it");
        }
        (count, coverage)
    }

    /// The shards whose records may be found by one of the keys, by latest time.
    fn shards_with(&self, keys: &[IdKey]) -> Vec<usize> {
        if self.shards.is_empty() { Vec::new() } else { self.shards.not_ruled_out(&self.lookup.find(keys)) }
    }

    /// The shards whose records may match, as far as ids tell, by latest time.
    fn shards_that_may_match(&self, predicate: &Predicate) -> Vec<usize> {
        predicate.required_keys().map_or_else(|| (0..self.shards.len()).collect(), |keys| self.shards_with(&keys))
    }

    /// What is covered when the shards but these are ruled out.
    fn without_asking(&self, asked: &[usize]) -> Coverage {
        Coverage { shards_searched: self.shards.len() - asked.len(), ..self.coverage() }
    }

    /// Rows of a live batch that carry one of the ids and are not deleted, ascending.
    fn live_rows_with(&self, batch: &LiveBatch, terms: &[IdTerm]) -> impl Iterator<Item = usize> {
        let deleted = self.tombstones.rows_of_batch(batch);
        batch.rows_with(terms).into_iter().filter(move |row| !deleted.contains(*row as u32))
    }

    /// Rows of a shard that carry one of the ids and are not deleted.
    fn shard_rows_with(&self, shard: &ShardReader, terms: &[IdTerm]) -> Result<RowRanges, ShardError> {
        Ok(shard.rows_with(terms)?.without(&self.tombstones.rows_of_shard(shard)?))
    }

    /// Calls `visit` with every row that is asked for, some at a time, in no order; each record once. The view holds the
    /// columns that were asked for.
    pub fn look<'a>(&self, look: &Look<'_>, cancelled: &dyn Fn() -> bool, visit: &'a mut Visit<'a>) -> Result<Coverage, ReadError> {
        let mut sink = Within { start: look.start, end: look.end, visit };
        self.sweep(look.predicate, look.columns(), cancelled, &mut sink)
    }

    /// How many records match. Of what matches as a whole only the bounds are looked at, of the rest the columns
    /// that decide.
    pub fn count(
        &self,
        predicate: &Predicate,
        start: Option<UnixNanos>,
        end: Option<UnixNanos>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(u64, Coverage), ReadError> {
        let whole = Histogram { predicate: predicate.clone(), start, end, buckets: TimeBuckets::ONE, by: None };
        let Counts { groups, coverage, .. } = self.histogram(&whole, cancelled)?;
        Ok((groups.iter().map(Group::total).sum(), coverage))
    }

    /// How many records match, by time and by the values of a facet. Read are the columns that decide, that of the
    /// facet, and times where a page lies in several buckets.
    pub fn histogram(&self, histogram: &Histogram, cancelled: &dyn Fn() -> bool) -> Result<Counts, ReadError> {
        let mut bars = Bars::new(histogram);
        let coverage = self.sweep(&histogram.predicate, histogram.columns(), cancelled, &mut bars)?;
        Ok(bars.finish(coverage))
    }

    /// Which fields matching records have, and how many records have each. Shards that match as a whole say it in their
    /// footer; of others nearly every column is read.
    pub fn fields(
        &self,
        predicate: &Predicate,
        start: Option<UnixNanos>,
        end: Option<UnixNanos>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(FieldCounts, Coverage), ReadError> {
        let columns = Columns::default().with(&FIELD_COLUMNS).with(&TIME_COLUMNS).with_every_attribute();
        let mut sink = Fields { start, end, counts: FieldCounts::default() };
        let coverage = self.sweep(predicate, columns, cancelled, &mut sink)?;
        Ok((sink.counts, coverage))
    }

    /// Times between which all records lie, as far as their batches and shards tell; none when there are no records.
    pub fn time_bounds(&self) -> Option<(UnixNanos, UnixNanos)> {
        let live = self.live.iter().map(|batch| (batch.time_min, batch.time_max));
        let bounds = live.chain(self.shards.iter().map(|shard| (shard.time_min, shard.time_max)));
        bounds.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// Gives a sink everything that matches.
    fn sweep(
        &self,
        predicate: &Predicate,
        columns: Columns,
        cancelled: &dyn Fn() -> bool,
        sink: &mut dyn Sink,
    ) -> Result<Coverage, ReadError> {
        for batch in &self.live {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            if sink.wants(batch.time_min, batch.time_max) {
                scan::live(batch, &self.tombstones, predicate, cancelled, sink)?;
            }
        }
        let asked = self.shards_that_may_match(predicate);
        let mut coverage = self.without_asking(&asked);
        let scan = Scan::new(predicate, columns, &self.tombstones, Sweep::Whole, cancelled);
        for shard in asked.into_iter().map(|number| &self.shards[number]) {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            if sink.wants(shard.time_min, shard.time_max) {
                coverage.note(shard, scan.shard(&self.cache, shard, sink))?;
            }
            coverage.shards_searched += 1;
        }
        Ok(coverage)
    }

    /// The number the next accepted record will get.
    pub fn next_record_id(&self) -> RecordId {
        self.next_record
    }

    /// The records of these hits, in their order; those of a shard that cannot be read are missing and noted.
    fn fetch(&self, hits: &[Hit], coverage: &mut Coverage) -> Result<Vec<Record>, ReadError> {
        let mut records: Vec<Option<Record>> = vec![None; hits.len()];
        let mut by_source: BTreeMap<Source, Vec<(u32, usize)>> = BTreeMap::new();
        for (at, hit) in hits.iter().enumerate() {
            by_source.entry(hit.source).or_default().push((hit.row, at));
        }
        for (source, mut wanted) in by_source {
            match source {
                Source::Live(number) => {
                    let view = self.live[number].view();
                    let mut reader = view.reader();
                    wanted.into_iter().for_each(|(row, at)| records[at] = Some(reader.record(row as usize)));
                }
                Source::Shard(number) => {
                    wanted.sort_unstable();
                    let rows = RowRanges::of_rows(wanted.iter().map(|(row, _)| *row).collect());
                    let shard = &self.shards[number];
                    let read = scan::guarded(&self.cache, shard, &mut |reader| {
                        reader.records(&rows, &mut |row, record| {
                            let at = wanted.partition_point(|(other, _)| *other < row);
                            records[wanted[at].1] = Some(record);
                        })
                    });
                    coverage.note(shard, read)?;
                }
            }
        }
        Ok(records.into_iter().flatten().collect())
    }
}

impl Coverage {
    /// How many shards could not be read. (Others of the failures are of the log.)
    pub fn shards_failed(&self) -> usize {
        self.failures.iter().filter(|failure| failure.starts_with(SHARD_FAILURE)).count()
    }

    fn note(&mut self, shard: &ShardMeta, read: Result<(), scan::ScanError>) -> Result<(), ReadError> {
        match read {
            Ok(()) => Ok(()),
            Err(scan::ScanError::Cancelled) => Err(ReadError::Cancelled),
            Err(scan::ScanError::Unreadable(reason)) => {
                let failure = format!("{SHARD_FAILURE}{} cannot be read: {reason}", shard.path);
                tracing::error!("{failure}");
                if !self.failures.contains(&failure) {
                    self.failures.push(failure);
                }
                Ok(())
            }
        }
    }
}

/// Whether some time between two may be in a range.
fn overlaps((time_min, time_max): (UnixNanos, UnixNanos), start: UnixNanos, end: Option<UnixNanos>) -> bool {
    time_max >= start && end.is_none_or(|end| time_min < end)
}
