//! Rows as columns, for whoever computes with them.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::fields::Fields;
use super::scan::{self, Numbers, Scan, Sink, Sweep};
use super::{Coverage, ReadError, Snapshot, TIME_COLUMNS, overlaps};
use crate::fields::{FIELD_COLUMNS, FieldCounts};
use crate::model::{RecordsView, UnixNanos};
use crate::predicate::{Columns, Predicate};
use crate::table::{self, Share, TableColumn, TableScan};

/// Takes a batch; false when no more is wanted.
type Take<'a> = dyn FnMut(RecordBatch) -> bool + 'a;

impl Snapshot {
    /// Gives `take` the rows of a share that match, batch by batch, in no order; all shares together hold each record
    /// once. Ends early when `take` says that it wants no more.
    pub fn table(
        &self,
        wanted: &TableScan,
        share: Share,
        cancelled: &dyn Fn() -> bool,
        take: &mut Take<'_>,
    ) -> Result<Coverage, ReadError> {
        let enough = Cell::new(false);
        let mut sink = Batches { wanted, schema: schema(&wanted.columns), shows_time: shows_time(wanted), enough: &enough, take };
        for batch in self.live.iter().skip(share.number).step_by(share.of) {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            if !enough.get() && sink.wants(batch.time_min, batch.time_max) {
                scan::live(batch, &self.tombstones, &wanted.predicate, cancelled, &mut sink)?;
            }
        }
        self.table_of_shards(wanted, share, cancelled, &mut sink)
    }

    fn table_of_shards(
        &self,
        wanted: &TableScan,
        share: Share,
        cancelled: &dyn Fn() -> bool,
        sink: &mut Batches<'_>,
    ) -> Result<Coverage, ReadError> {
        let asked = self.shards_that_may_match(&wanted.predicate);
        // What is ruled out, and what was unreadable at the start, is said once.
        let mut coverage = if share.number == 0 { self.without_asking(&asked) } else { Coverage::default() };
        let enough = sink.enough;
        let stopped = || enough.get() || cancelled();
        let scan = Scan::new(&wanted.predicate, columns(wanted), &self.tombstones, Sweep::Whole, &stopped);
        for shard in asked.into_iter().skip(share.number).step_by(share.of).map(|number| &self.shards[number]) {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            if !enough.get() && sink.wants(shard.time_min, shard.time_max) {
                let read = coverage.note(shard, scan.shard(&self.cache, shard, sink));
                read.or_else(|error| if enough.get() { Ok(()) } else { Err(error) })?;
            }
            coverage.shards_searched += 1;
        }
        Ok(coverage)
    }

    /// How many batches and shards there are, at least 1: reading in more shares than these does not pay.
    pub fn parts(&self) -> usize {
        (self.live.len() + self.shards.len()).max(1)
    }

    /// Fields of all records and the types of their values, as live batches and shards note them; only shards that do not,
    /// or that hold deleted records, are read. Counts of live records include deleted ones.
    pub fn known_fields(&self, cancelled: &dyn Fn() -> bool) -> Result<(FieldCounts, Coverage), ReadError> {
        let mut sink = Fields { start: None, end: None, counts: FieldCounts::default() };
        self.live.iter().for_each(|batch| sink.counts.add_all(batch.fields().clone()));
        let mut coverage = self.coverage();
        let columns = Columns::default().with(&FIELD_COLUMNS).with(&TIME_COLUMNS).with_every_attribute();
        let predicate = Predicate::All;
        let scan = Scan::new(&predicate, columns, &self.tombstones, Sweep::Whole, cancelled);
        for shard in self.shards.iter() {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            coverage.note(shard, scan.shard(&self.cache, shard, &mut sink))?;
            coverage.shards_searched += 1;
        }
        Ok((sink.counts, coverage))
    }
}

/// The columns that are read.
fn columns(wanted: &TableScan) -> Columns {
    let columns = Columns::default().with(&TIME_COLUMNS);
    wanted.columns.iter().fold(columns, |columns, column| column.add_to(columns))
}

/// Columns have no names here: their place tells which they are.
fn schema(columns: &[TableColumn]) -> SchemaRef {
    let fields = columns.iter().enumerate().map(|(place, column)| Field::new(place.to_string(), column.data_type(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn shows_time(wanted: &TableScan) -> bool {
    wanted.columns.iter().any(TableColumn::shows_time)
}

/// Makes batches of rows while they go by.
struct Batches<'a> {
    wanted: &'a TableScan,
    schema: SchemaRef,
    shows_time: bool,
    enough: &'a Cell<bool>,
    take: &'a mut Take<'a>,
}

impl Batches<'_> {
    fn give(&mut self, view: &RecordsView<'_>, rows: &[u32]) {
        if !rows.is_empty() && !self.enough.get() {
            let batch = table::batch(&self.schema, &self.wanted.columns, view, rows);
            self.enough.set(!(self.take)(batch));
        }
    }

    /// Whether all times between two are asked for.
    fn contains(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.wanted.start.is_none_or(|start| time_min >= start) && self.wanted.end.is_none_or(|end| time_max < end)
    }
}

impl Sink for Batches<'_> {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        overlaps((time_min, time_max), self.wanted.start.unwrap_or(UnixNanos::MIN), self.wanted.end)
    }

    fn take_unseen(&mut self, time_min: UnixNanos, time_max: UnixNanos, rows: u64) -> bool {
        let unseen = self.wanted.columns.is_empty() && self.contains(time_min, time_max);
        if unseen && !self.enough.get() {
            let batch = table::batch_of_nothing(&self.schema, rows);
            self.enough.set(!(self.take)(batch));
        }
        unseen
    }

    fn bounds_suffice(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        !self.shows_time && self.contains(time_min, time_max)
    }

    fn take_between(&mut self, view: &RecordsView<'_>, rows: &[u32], _time_min: UnixNanos, _time_max: UnixNanos) {
        self.give(view, rows);
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], _numbers: Numbers<'_>) {
        let inside = |row: &&u32| {
            let time = view.time(**row as usize);
            self.contains(time, time)
        };
        let rows: Vec<u32> = rows.iter().filter(inside).copied().collect();
        self.give(view, &rows);
    }
}
