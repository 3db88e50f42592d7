//! Counting the shapes of bodies, without making rows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::ShardMeta;
use crate::model::{RecordsView, Signal, UnixNanos, column};
use crate::predicate::{Columns, Predicate};
use crate::shapes::{Gathered, RowShapes, Shape, ShapeCounts, ShapeTable, mask};
use crate::shard::Wanted;

use super::nearest::Source;
use super::scan::{self, Numbers, Scan, ScanError, Sink, Sweep};
use super::{Coverage, PLACE_COLUMNS, ReadError, RecordPlace, Snapshot, TimeBuckets, overlaps};

/// A question for the shapes of bodies of logs.
#[derive(Clone, Debug)]
pub struct WantedShapes {
    /// Of which logs.
    pub predicate: Predicate,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// How time is divided.
    pub buckets: TimeBuckets,
}

/// The shapes of bodies of logs.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    /// In the order of their texts.
    pub shapes: Vec<Shape>,
    /// The services by the numbers that counts give them.
    pub services: Vec<String>,
    /// Logs with more shapes than are kept apart.
    pub beyond: u64,
    /// What was read.
    pub coverage: Coverage,
}

/// Numbers of one batch or shard are added to those of all when they take so much memory.
const COUNTED_BYTES_MAX: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };

/// Columns that are read of every row.
const SHAPE_COLUMNS: [&str; 2] = [column::SERVICE_NAME, column::SEVERITY_NUMBER];

impl Snapshot {
    /// Which shapes the bodies of matching logs have, and how many have each. What rows of a shard have which shape is
    /// kept once a question was about all of them.
    pub fn shapes(&self, wanted: &WantedShapes, cancelled: &dyn Fn() -> bool) -> Result<Shapes, ReadError> {
        let mut counting = Counting { wanted, gathered: Gathered::default(), services: Services::default() };
        for (number, batch) in self.live.iter().enumerate().filter(|(_, batch)| batch.signal == Signal::Logs) {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            let mut sink = CountingOf::new(&mut counting, Source::Live(number), None);
            if sink.wants(batch.time_min, batch.time_max) {
                scan::live(batch, &self.tombstones, &wanted.predicate, cancelled, &mut sink)?;
            }
            sink.finish();
        }
        let asked = self.shards_that_may_match(&wanted.predicate);
        let mut coverage = self.without_asking(&asked);
        for number in asked {
            if cancelled() {
                return Err(ReadError::Cancelled);
            }
            let shard = &self.shards[number];
            coverage.shards_searched += 1;
            if shard.signal == Signal::Logs && counting.overlaps(shard.time_min, shard.time_max) {
                coverage.note(shard, self.shapes_of_shard(number, &mut counting, cancelled))?;
            }
        }
        let (shapes, beyond) = counting.gathered.finish();
        Ok(Shapes { shapes, services: counting.services.names, beyond, coverage })
    }

    fn shapes_of_shard(&self, number: usize, counting: &mut Counting<'_>, cancelled: &dyn Fn() -> bool) -> Result<(), ScanError> {
        let (shard, predicate) = (&self.shards[number], &counting.wanted.predicate);
        let whole = scan::matches_all(predicate, Signal::Logs) && counting.wanted.contains(shard.time_min, shard.time_max);
        let known = match self.cache.shapes.get(&shard.path) {
            Some(known) => known,
            None if whole => self.look_at(shard, cancelled)?,
            None => None,
        };
        let columns = Columns::default().with(&PLACE_COLUMNS).with(&SHAPE_COLUMNS);
        let columns = if known.is_some() { columns } else { columns.with(&[column::BODY]) };
        let scan = Scan::new(predicate, columns, &self.tombstones, Sweep::Whole, cancelled);
        let mut sink = CountingOf::new(counting, Source::Shard(number), known);
        scan.shard(&self.cache, shard, &mut sink)?;
        sink.finish();
        Ok(())
    }

    /// The shapes of all rows of a shard, which are kept; none when they are too many for that.
    fn look_at(&self, shard: &ShardMeta, cancelled: &dyn Fn() -> bool) -> Result<Option<Arc<RowShapes>>, ScanError> {
        let (mut rows, mut few, mut stopped) = (RowShapes::default(), true, false);
        scan::guarded(&self.cache, shard, &mut |reader| {
            let columns = Columns::default().with(&[column::BODY]);
            let mut shape = String::new();
            reader.read(&reader.all(), Wanted::Columns(&columns), &mut |view, _| {
                for row in 0..view.len() {
                    let body = view.body(row).inspect(|body| mask(body, &mut shape));
                    few = few && rows.push(body.map(|_| shape.as_str()));
                }
                stopped = cancelled();
                Ok(few && !stopped)
            })
        })?;
        if stopped {
            return Err(ScanError::Cancelled);
        }
        let rows = few.then(|| Arc::new(rows));
        self.cache.shapes.put(&shard.path, rows.clone());
        Ok(rows)
    }
}

impl WantedShapes {
    /// Whether all times between two are asked for.
    fn contains(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.start.is_none_or(|start| time_min >= start) && self.end.is_none_or(|end| time_max < end)
    }
}

/// Counts of everything that was looked at.
struct Counting<'w> {
    wanted: &'w WantedShapes,
    gathered: Gathered,
    services: Services,
}

impl Counting<'_> {
    fn overlaps(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        overlaps((time_min, time_max), self.wanted.start.unwrap_or(UnixNanos::MIN), self.wanted.end)
    }
}

/// Numbers for services.
#[derive(Default)]
struct Services {
    numbers: HashMap<String, u32, ahash::RandomState>,
    names: Vec<String>,
}

impl Services {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// Counts the rows of one batch or shard.
struct CountingOf<'c, 'w> {
    counting: &'c mut Counting<'w>,
    source: Source,
    /// The shapes of the rows, where they are known.
    known: Option<Arc<RowShapes>>,
    /// Else those that were found.
    table: ShapeTable,
    /// By the number of the shape.
    counts: Vec<ShapeCounts>,
    /// How many of them count something.
    counted: usize,
    shape: String,
}

impl<'c, 'w> CountingOf<'c, 'w> {
    fn new(counting: &'c mut Counting<'w>, source: Source, known: Option<Arc<RowShapes>>) -> CountingOf<'c, 'w> {
        CountingOf { counting, source, known, table: ShapeTable::default(), counts: Vec::new(), counted: 0, shape: String::new() }
    }

    /// The number of the shape of a row; none if it has no body.
    fn code(&mut self, view: &RecordsView<'_>, row: usize, number: u32) -> Option<usize> {
        let code = match &self.known {
            Some(known) => known.code(number)?,
            None => {
                mask(view.body(row)?, &mut self.shape);
                self.table.code(&self.shape)
            }
        };
        let code = code as usize;
        if code >= self.counts.len() {
            self.counts.resize_with(code + 1, ShapeCounts::default);
        }
        Some(code)
    }

    /// Adds what was counted to the counts of all.
    fn finish(&mut self) {
        for (code, counts) in std::mem::take(&mut self.counts).into_iter().enumerate().filter(|(_, counts)| counts.count > 0) {
            let text = match &self.known {
                Some(known) => known.text(code as u32),
                None => self.table.text(code as u32),
            };
            self.counting.gathered.add(text, counts);
        }
        self.table = ShapeTable::default();
        self.counted = 0;
    }

    fn is_full(&self) -> bool {
        let bytes = size_of::<ShapeCounts>() + (self.counting.wanted.buckets.count + 8) * size_of::<u64>();
        self.counted * bytes > COUNTED_BYTES_MAX || self.table.is_full()
    }
}

impl Sink for CountingOf<'_, '_> {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.counting.overlaps(time_min, time_max)
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], numbers: Numbers<'_>) {
        let buckets = self.counting.wanted.buckets;
        // Neighbours are mostly of one service.
        let mut service: (&str, u32) = ("", self.counting.services.number(""));
        for row in rows {
            let (number, row) = (numbers.of(*row), *row as usize);
            let time = view.time(row);
            if !self.counting.wanted.contains(time, time) {
                continue;
            }
            let Some(code) = self.code(view, row, number) else { continue };
            if view.service(row) != service.0 {
                service = (view.service(row), self.counting.services.number(view.service(row)));
            }
            let counts = &mut self.counts[code];
            self.counted += usize::from(counts.count == 0);
            let newest = (time, view.record_id(row), RecordPlace { source: self.source, row: number });
            counts.add_record(newest, buckets.of(time), buckets.count, service.1, view.severity(row));
            if self.is_full() {
                self.finish();
            }
        }
    }
}
