//! Records in the order they were accepted, from one on: what tails read.

use crate::live::LiveBatch;
use crate::model::{Record, RecordId, RecordsView, UnixNanos};
use crate::predicate::{Columns, Predicate, matching_rows_of_each};

use super::nearest::{Hit, Source};
use super::scan::{Numbers, Scan, Sink, Sweep};
use super::{Coverage, PLACE_COLUMNS, ReadError, Snapshot};

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

/// Records in the order they were accepted, with the predicates that each matches.
#[derive(Clone, Debug, Default)]
pub struct AcceptedEach {
    /// Those that match at least one, in commit order, with the places of the predicates among those asked for.
    pub records: Vec<(Record, Vec<usize>)>,
    /// Where to go on.
    pub next: RecordId,
    /// What was read.
    pub coverage: Coverage,
}

impl Snapshot {
    /// Matching records accepted from `from` on, in commit order, at most `limit`. Those already sealed
    /// are read from their shards.
    pub fn accepted_from(&self, from: RecordId, predicate: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError> {
        let (until, mut live) = (self.accepted_until(from), Vec::new());
        for (number, batch) in self.live.iter().enumerate() {
            self.match_live(number, batch, (from, until), &[predicate], &mut live);
        }
        let mut hits: Vec<Hit> = live.into_iter().map(|(hit, _)| hit).collect();
        let mut coverage = self.coverage_from(from);
        self.match_sealed(from, predicate, &mut hits, &mut coverage)?;
        hits.retain(|hit| hit.place.1 < until);
        hits.sort_unstable_by_key(|hit| hit.place.1);
        let cut = hits.len() > limit;
        hits.truncate(limit);
        let next = match hits.last() {
            Some(last) if cut => RecordId(last.place.1.0 + 1),
            _ => until,
        };
        Ok(AcceptedAfter { records: self.fetch(&hits, &mut coverage)?, next, coverage })
    }

    /// What was accepted from `from` on and before `until`, and matches, of several predicates, which. A row is made a record
    /// once for all of them.
    pub fn accepted_between(&self, from: RecordId, until: RecordId, predicates: &[&Predicate]) -> Result<AcceptedEach, ReadError> {
        let until = until.min(self.accepted_until(from)).max(from);
        let mut hits: Vec<(Hit, usize)> = Vec::new();
        for (number, batch) in self.live.iter().enumerate() {
            self.match_live(number, batch, (from, until), predicates, &mut hits);
        }
        let mut coverage = self.coverage_from(from);
        for (at, predicate) in predicates.iter().enumerate() {
            let mut sealed = Vec::new();
            self.match_sealed(from, predicate, &mut sealed, &mut coverage)?;
            hits.extend(sealed.into_iter().filter(|hit| hit.place.1 < until).map(|hit| (hit, at)));
        }
        hits.sort_unstable_by_key(|(hit, at)| (hit.place.1, *at));
        let each: Vec<&[(Hit, usize)]> = hits.chunk_by(|(one, _), (other, _)| one.place.1 == other.place.1).collect();
        let wanted: Vec<Hit> = each.iter().map(|same| same[0].0).collect();
        let matches = |record: &Record| {
            let at = each.binary_search_by_key(&record.common().record_id, |same| same[0].0.place.1);
            at.map_or_else(|_| Vec::new(), |at| each[at].iter().map(|(_, predicate)| *predicate).collect())
        };
        let fetched = self.fetch(&wanted, &mut coverage)?.into_iter();
        let records = fetched
            .map(|record| {
                let matched = matches(&record);
                (record, matched)
            })
            .collect();
        Ok(AcceptedEach { records, next: until, coverage })
    }

    /// Adds the rows of a live batch between two records that match. Rows stand in the order of their records.
    fn match_live(
        &self,
        number: usize,
        batch: &LiveBatch,
        (from, until): (RecordId, RecordId),
        predicates: &[&Predicate],
        hits: &mut Vec<(Hit, usize)>,
    ) {
        if batch.record_last() < from || batch.record_first() >= until {
            return;
        }
        let view = batch.view();
        let first = first_row(&view, from);
        let rows = batch.records.slice(first, first_row(&view, until) - first);
        let view = RecordsView::new(batch.signal, &rows);
        let deleted = self.tombstones.rows_of_batch(batch);
        for (at, rows) in matching_rows_of_each(predicates, &view).into_iter().enumerate() {
            for local in rows {
                let row = local + first as u32;
                if !deleted.contains(row) {
                    let place = (view.time(local as usize), view.record_id(local as usize));
                    hits.push((Hit { place, source: Source::Live(number), row }, at));
                }
            }
        }
    }

    /// Adds the rows of shards that match and were accepted from a record on.
    fn match_sealed(&self, from: RecordId, predicate: &Predicate, hits: &mut Vec<Hit>, coverage: &mut Coverage) -> Result<(), ReadError> {
        let columns = Columns::default().with(&PLACE_COLUMNS);
        let scan = Scan::new(predicate, columns, &self.tombstones, Sweep::Whole, &|| false);
        for (number, shard) in self.shards.iter().enumerate().filter(|(_, shard)| shard.record_max >= from) {
            coverage.note(shard, scan.shard(&self.cache, shard, &mut AcceptedFrom { from, source: Source::Shard(number), hits }))?;
        }
        Ok(())
    }
}

/// The first row of a live batch from a record on.
fn first_row(view: &RecordsView<'_>, from: RecordId) -> usize {
    let (mut first, mut end) = (0, view.len());
    while first < end {
        let middle = usize::midpoint(first, end);
        if view.record_id(middle) < from { first = middle + 1 } else { end = middle }
    }
    first
}

/// Takes every row accepted from a record on.
struct AcceptedFrom<'a> {
    from: RecordId,
    source: Source,
    hits: &'a mut Vec<Hit>,
}

impl Sink for AcceptedFrom<'_> {
    fn wants(&mut self, _time_min: UnixNanos, _time_max: UnixNanos) -> bool {
        true
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], numbers: Numbers<'_>) {
        for row in rows {
            let record_id = view.record_id(*row as usize);
            if record_id >= self.from {
                self.hits.push(Hit { place: (view.time(*row as usize), record_id), source: self.source, row: numbers.of(*row) });
            }
        }
    }
}
