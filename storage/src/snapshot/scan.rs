//! Finding matching rows in one live batch or one shard.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cache::ShardCache;
use crate::catalog::ShardMeta;
use crate::live::LiveBatch;
use crate::model::{RecordsView, Signal, UnixNanos};
use crate::predicate::{Columns, Predicate, TIME_COLUMNS, matching_rows};
use crate::shard::{Page, RowRanges, ShardError, ShardReader};
use crate::tombstones::Tombstones;

use super::ReadError;
use super::conditions::Conditions;

/// Why a shard gave no rows.
pub(super) enum ScanError {
    Cancelled,
    Unreadable(String),
}

/// What takes matching rows.
pub(super) trait Sink {
    /// Whether rows between two times are wanted. What was taken may change the answer.
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool;
    /// Takes all rows of a shard, which all match, without looking at them. False if it has to look.
    fn take_shard(&mut self, _shard: &ShardReader) -> bool {
        false
    }
    /// Takes rows between two times that all match, without looking at them. False if it has to look.
    fn take_unseen(&mut self, _time_min: UnixNanos, _time_max: UnixNanos, _rows: u64) -> bool {
        false
    }
    /// Whether it is enough to know that rows lie between two times, so that their own need not be read.
    fn bounds_suffice(&self, _time_min: UnixNanos, _time_max: UnixNanos) -> bool {
        false
    }
    /// Takes matching rows that lie between two times, where that suffices.
    fn take_between(&mut self, _view: &RecordsView<'_>, _rows: &[u32], _time_min: UnixNanos, _time_max: UnixNanos) {}
    /// Takes matching rows of a view.
    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], numbers: Numbers<'_>);
}

/// The numbers that the rows of a view have in their batch or shard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbers<'a> {
    /// The same as in the view.
    Same,
    /// These.
    Of(&'a [u32]),
}

impl Numbers<'_> {
    /// The number of a row of the view.
    pub(super) fn of(self, row: u32) -> u32 {
        match self {
            Numbers::Same => row,
            Numbers::Of(numbers) => numbers[row as usize],
        }
    }
}

/// In which order the pages of a shard are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// The latest first, a few at a time, so that it can stop early.
    Newest,
    /// The earliest first, likewise.
    Oldest,
    /// As they lie, all at once.
    Whole,
}

/// Pages read at once when a sweep may stop early: few at first, then more, so that starting a read costs little.
const FIRST_PAGES: usize = 2;
const PAGES_MAX: usize = 64;

/// Gives a sink every matching row of a live batch that is not deleted.
pub(super) fn live(
    batch: &LiveBatch,
    tombstones: &Tombstones,
    predicate: &Predicate,
    cancelled: &dyn Fn() -> bool,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    if !predicate.may_match_between(batch.time_min, batch.time_max) {
        return Ok(());
    }
    let view = batch.view();
    let deleted = tombstones.rows_of_batch(batch);
    let mut rows = matching_rows(predicate, &view, cancelled).ok_or(ReadError::Cancelled)?;
    rows.retain(|row| !deleted.contains(*row));
    if sink.bounds_suffice(batch.time_min, batch.time_max) {
        sink.take_between(&view, &rows, batch.time_min, batch.time_max);
    } else {
        sink.take(&view, &rows, Numbers::Same);
    }
    Ok(())
}

/// What is asked of shards, one after the other.
pub(super) struct Scan<'a> {
    predicate: &'a Predicate,
    conditions: Conditions<'a>,
    /// What is read of matching rows.
    columns: Columns,
    tombstones: &'a Tombstones,
    sweep: Sweep,
    cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Scan<'a> {
    /// Of rows that match, these columns.
    pub(super) fn new(
        predicate: &'a Predicate,
        columns: Columns,
        tombstones: &'a Tombstones,
        sweep: Sweep,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Scan<'a> {
        Scan { predicate, conditions: Conditions::of(predicate), columns, tombstones, sweep, cancelled }
    }

    /// Gives a sink every matching row of a shard that it wants and that is not deleted.
    pub(super) fn shard(&self, cache: &ShardCache, meta: &ShardMeta, sink: &mut dyn Sink) -> Result<(), ScanError> {
        let may_match = |time_min, time_max| self.predicate.may_match_between(time_min, time_max);
        if !may_match(meta.time_min, meta.time_max) {
            return Ok(());
        }
        let mut stopped = false;
        guarded(cache, meta, &mut |reader| {
            let deleted = self.tombstones.rows_of_shard(reader)?;
            if deleted.is_empty() && matches_all(self.predicate, reader.meta.signal) && sink.take_shard(reader) {
                return Ok(());
            }
            let candidates = reader.among_all(reader.narrow(self.predicate)).without(&deleted);
            let mut pages: Vec<&Page> = reader.pages().iter().filter(|page| may_match(page.time_min, page.time_max)).collect();
            match self.sweep {
                Sweep::Newest => pages.sort_by_key(|page| std::cmp::Reverse(page.time_max)),
                Sweep::Oldest => pages.sort_by_key(|page| page.time_min),
                Sweep::Whole => {}
            }
            let mut at_once = if self.sweep == Sweep::Whole { pages.len() } else { FIRST_PAGES };
            let mut pages = pages.into_iter().map(|page| (page, candidates.within(page.rows.clone()))).filter(|(_, rows)| !rows.is_empty());
            loop {
                let next: Vec<(&Page, RowRanges)> = pages.by_ref().take(at_once).collect();
                if next.is_empty() || stopped {
                    return Ok(());
                }
                stopped = self.read(reader, next, sink)?;
                at_once = (at_once * 2).min(PAGES_MAX.max(at_once));
            }
        })?;
        if stopped { Err(ScanError::Cancelled) } else { Ok(()) }
    }

    /// Reads some pages. Whether the question was withdrawn meanwhile.
    fn read(&self, reader: &ShardReader, pages: Vec<(&Page, RowRanges)>, sink: &mut dyn Sink) -> Result<bool, ShardError> {
        let all_match = matches_all(self.predicate, reader.meta.signal);
        let mut looked_at = |page: &Page, rows: &RowRanges| {
            sink.wants(page.time_min, page.time_max) && !(all_match && sink.take_unseen(page.time_min, page.time_max, rows.len()))
        };
        let pages = pages.into_iter().filter(|(page, rows)| looked_at(page, rows)).collect::<Vec<_>>();
        let (between, others): (Vec<_>, Vec<_>) =
            pages.into_iter().partition(|(page, _)| sink.bounds_suffice(page.time_min, page.time_max));
        Ok(self.read_between(reader, between, sink)? || self.read_rows(reader, &others, sink)?)
    }

    /// Reads rows with their times.
    fn read_rows(&self, reader: &ShardReader, pages: &[(&Page, RowRanges)], sink: &mut dyn Sink) -> Result<bool, ShardError> {
        let goes_on = self.conditions.read(reader, rows_of(pages), &self.columns, self.cancelled, &mut |view, matching, numbers| {
            sink.take(view, matching, Numbers::Of(numbers));
        })?;
        Ok(!goes_on)
    }

    /// Reads rows whose times are known well enough by the page.
    fn read_between(&self, reader: &ShardReader, mut pages: Vec<(&Page, RowRanges)>, sink: &mut dyn Sink) -> Result<bool, ShardError> {
        pages.sort_unstable_by_key(|(page, _)| page.rows.start);
        let columns = self.columns.clone().without(&TIME_COLUMNS);
        let goes_on = self.conditions.read(reader, rows_of(&pages), &columns, self.cancelled, &mut |view, matching, numbers| {
            let mut rest = matching;
            while let Some(first) = rest.first() {
                let first = numbers[*first as usize];
                let (end, (time_min, time_max)) = together(&pages[pages.partition_point(|(page, _)| page.rows.end <= first)..], sink);
                let (taken, after) = rest.split_at(rest.partition_point(|row| numbers[*row as usize] < end));
                sink.take_between(view, taken, time_min, time_max);
                rest = after;
            }
        })?;
        Ok(!goes_on)
    }
}

/// The end of the first pages that can be taken together, and the times between which they lie.
fn together(pages: &[(&Page, RowRanges)], sink: &dyn Sink) -> (u32, (UnixNanos, UnixNanos)) {
    let (first, _) = &pages[0];
    let mut end = first.rows.end;
    let mut bounds = (first.time_min, first.time_max);
    for (page, _) in &pages[1..] {
        let wider = (bounds.0.min(page.time_min), bounds.1.max(page.time_max));
        if !sink.bounds_suffice(wider.0, wider.1) {
            break;
        }
        (end, bounds) = (page.rows.end, wider);
    }
    (end, bounds)
}

/// The rows of some pages.
fn rows_of(pages: &[(&Page, RowRanges)]) -> RowRanges {
    let mut ranges: Vec<_> = pages.iter().flat_map(|(_, rows)| rows.ranges().to_vec()).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut rows = RowRanges::default();
    ranges.into_iter().for_each(|range| rows.push(range));
    rows
}

/// Whether every record of the signal matches, whatever it holds.
pub(super) fn matches_all(predicate: &Predicate, signal: Signal) -> bool {
    match predicate {
        Predicate::All => true,
        Predicate::Signal(wanted) => *wanted == signal,
        Predicate::And(all) => all.iter().all(|inner| matches_all(inner, signal)),
        _ => false,
    }
}

/// Opens a shard and reads it. Damaged bytes may make a decoder panic; then this shard is unreadable and
/// the others are read.
pub(super) fn guarded(
    cache: &ShardCache,
    meta: &ShardMeta,
    read: &mut dyn FnMut(&ShardReader) -> Result<(), ShardError>,
) -> Result<(), ScanError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let reader = cache.get(meta)?;
        if let Some(failure) = reader.index_failure() {
            tracing::warn!(shard = %reader.meta.path, %failure, "the index is not used; columns are scanned");
        }
        read(&reader)
    }));
    match attempt {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ScanError::Unreadable(error.to_string())),
        Err(_) => Err(ScanError::Unreadable("its bytes make the decoder fail".to_owned())),
    }
}
