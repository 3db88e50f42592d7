//! Counting records by time and by the values of a facet, without making rows.

use std::collections::HashMap;

use crate::model::{RecordsView, UnixNanos};
use crate::predicate::{Columns, Facet, FacetValues, Predicate, TIME_COLUMNS};

use super::scan::{Numbers, Sink};
use super::{Coverage, overlaps};

/// A question for numbers of records.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// What is counted.
    pub predicate: Predicate,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// How time is divided.
    pub buckets: TimeBuckets,
    /// Counted apart by the values of this.
    pub by: Option<Facet>,
}

/// Neighbouring times of one width. Earlier records count in the first, later ones in the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBuckets {
    /// Where the first begins.
    pub first: UnixNanos,
    /// How long each is, in nanoseconds; at least 1.
    pub width_ns: u64,
    /// How many there are; at least 1.
    pub count: usize,
}

/// Numbers of records.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By value, in no order; each value once.
    pub groups: Vec<Group>,
    /// Of values beyond what is kept apart, by bucket; empty when there are none.
    pub beyond: Vec<u64>,
    /// What was read.
    pub coverage: Coverage,
}

/// Numbers of records that have one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The value; none of records that have none, and where nothing was to be told apart.
    pub value: Option<String>,
    /// By bucket.
    pub counts: Vec<u64>,
}

/// Values are kept apart until they take so much memory, those that are first seen later are counted together.
const GROUPS_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 64 << 20 };
/// What a value takes beside its text and its numbers, about.
const GROUP_BYTES: usize = 128;

impl TimeBuckets {
    /// All of time.
    pub const ONE: TimeBuckets = TimeBuckets { first: UnixNanos::MIN, width_ns: u64::MAX, count: 1 };

    /// In which bucket a time is.
    pub(super) fn of(&self, time: UnixNanos) -> usize {
        let at = time.0.saturating_sub(self.first.0) / self.width_ns;
        usize::try_from(at).unwrap_or(usize::MAX).min(self.count - 1)
    }
}

impl Group {
    /// In all buckets.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Histogram {
    /// The columns that are read where the time of each row matters.
    pub(super) fn columns(&self) -> Columns {
        let columns = Columns::default().with(&TIME_COLUMNS);
        self.by.iter().fold(columns, Columns::with_facet)
    }

    /// Whether all times between two are asked for.
    fn contains(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.start.is_none_or(|start| time_min >= start) && self.end.is_none_or(|end| time_max < end)
    }
}

/// Counts while rows go by.
pub(super) struct Bars<'h> {
    histogram: &'h Histogram,
    groups: Groups,
}

/// The values seen so far, by the numbers given to them.
struct Groups {
    numbers: HashMap<String, u32, ahash::RandomState>,
    /// By number, then by bucket.
    counts: Vec<Vec<u64>>,
    buckets: usize,
    bytes: usize,
}

/// The numbers of records without a value, and of values that are not kept apart.
const WITHOUT: u32 = 0;
const BEYOND: u32 = 1;

impl Groups {
    fn new(buckets: usize) -> Groups {
        Groups { numbers: HashMap::default(), counts: vec![vec![0; buckets]; 2], buckets, bytes: 0 }
    }

    /// The number of a value.
    fn number(&mut self, value: &str) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let bytes = self.bytes + GROUP_BYTES + value.len() + self.buckets * size_of::<u64>();
        if bytes > GROUPS_BYTES_MAX {
            return BEYOND;
        }
        self.bytes = bytes;
        let number = self.counts.len() as u32;
        self.numbers.insert(value.to_owned(), number);
        self.counts.push(vec![0; self.buckets]);
        number
    }
}

impl<'h> Bars<'h> {
    pub(super) fn new(histogram: &'h Histogram) -> Bars<'h> {
        Bars { histogram, groups: Groups::new(histogram.buckets.count) }
    }

    pub(super) fn finish(self, coverage: Coverage) -> Counts {
        let Groups { numbers, mut counts, .. } = self.groups;
        let counted = |counts: &Vec<u64>| counts.iter().any(|count| *count > 0);
        let without = std::mem::take(&mut counts[WITHOUT as usize]);
        let beyond = std::mem::take(&mut counts[BEYOND as usize]);
        let without = counted(&without).then_some(Group { value: None, counts: without });
        let named =
            numbers.into_iter().map(|(value, number)| Group { value: Some(value), counts: std::mem::take(&mut counts[number as usize]) });
        Counts {
            // Of a value that was seen only outside of the range there is nothing to say.
            groups: without.into_iter().chain(named.filter(|group| counted(&group.counts))).collect(),
            beyond: if counted(&beyond) { beyond } else { Vec::new() },
            coverage,
        }
    }

    /// The one bucket that all times between two are in, if there is one.
    fn bucket_of_all(&self, time_min: UnixNanos, time_max: UnixNanos) -> Option<usize> {
        let bucket = self.histogram.buckets.of(time_min);
        (self.histogram.contains(time_min, time_max) && bucket == self.histogram.buckets.of(time_max)).then_some(bucket)
    }
}

impl Sink for Bars<'_> {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        overlaps((time_min, time_max), self.histogram.start.unwrap_or(UnixNanos::MIN), self.histogram.end)
    }

    fn take_unseen(&mut self, time_min: UnixNanos, time_max: UnixNanos, rows: u64) -> bool {
        let bucket = self.bucket_of_all(time_min, time_max).filter(|_| self.histogram.by.is_none());
        if let Some(bucket) = bucket {
            self.groups.counts[WITHOUT as usize][bucket] += rows;
        }
        bucket.is_some()
    }

    fn bounds_suffice(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.bucket_of_all(time_min, time_max).is_some()
    }

    fn take_between(&mut self, view: &RecordsView<'_>, rows: &[u32], time_min: UnixNanos, _time_max: UnixNanos) {
        let bucket = self.histogram.buckets.of(time_min);
        let mut found = Vec::new();
        let mut values = FacetValues::of(self.histogram.by.as_ref(), view);
        values.count(rows, &mut |value| self.groups.number(value), &mut |number, count| found.push((number, count)));
        for (number, count) in found {
            self.groups.counts[number.unwrap_or(WITHOUT) as usize][bucket] += count;
        }
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], _numbers: Numbers<'_>) {
        let histogram = self.histogram;
        let mut values = FacetValues::of(histogram.by.as_ref(), view);
        for row in rows.iter().map(|row| *row as usize) {
            let time = view.time(row);
            if histogram.contains(time, time) {
                let number = values.number(row, &mut |value| self.groups.number(value)).unwrap_or(WITHOUT);
                self.groups.counts[number as usize][histogram.buckets.of(time)] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_bound_are_counted_together_and_known_ones_stay() {
        let mut groups = Groups::new(2);
        let first: Vec<u32> = (0..1_000).map(|value: u32| groups.number(&value.to_string())).collect();
        let kept = first.iter().take_while(|number| **number != BEYOND).count();
        assert!((100..1_000).contains(&kept), "{kept} values are kept apart");
        assert!(first[kept..].iter().all(|number| *number == BEYOND));
        assert!((0..kept).all(|value| groups.number(&value.to_string()) == first[value]));
        assert!(groups.bytes <= GROUPS_BYTES_MAX);
    }

    #[test]
    fn times_outside_of_the_buckets_count_in_the_nearest() {
        let buckets = TimeBuckets { first: UnixNanos(10), width_ns: 5, count: 3 };
        assert_eq!([0, 10, 14, 15, 24, 25, u64::MAX].map(|time| buckets.of(UnixNanos(time))), [0, 0, 0, 1, 2, 2, 2]);
        assert_eq!(TimeBuckets::ONE.of(UnixNanos::MAX), 0);
    }
}
