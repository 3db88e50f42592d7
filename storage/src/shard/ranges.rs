//! Sets of rows, as ranges.

use std::ops::Range;

/// Rows of a shard: ascending ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowRanges(Vec<Range<u32>>);

impl RowRanges {
    /// The rows from `start` to before `end`.
    pub(crate) fn of(range: Range<u32>) -> RowRanges {
        RowRanges(if range.is_empty() { Vec::new() } else { vec![range] })
    }

    /// Rows in any order, each any number of times.
    pub(crate) fn of_rows(mut rows: Vec<u32>) -> RowRanges {
        rows.sort_unstable();
        let mut ranges = RowRanges::default();
        rows.into_iter().for_each(|row| ranges.push(row..row + 1));
        ranges
    }

    /// Adds rows that do not begin before those added so far.
    pub(crate) fn push(&mut self, range: Range<u32>) {
        match self.0.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ if range.is_empty() => {}
            _ => self.0.push(range),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|range| u64::from(range.end - range.start)).sum()
    }

    /// The ranges.
    pub(crate) fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    /// Every row, ascending.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }

    /// Every row, ascending, some at a time.
    pub(crate) fn in_parts(&self) -> Parts<'_> {
        Parts { ranges: self.0.iter(), left: 0..0 }
    }

    /// The rows in both.
    pub(crate) fn and(&self, other: &RowRanges) -> RowRanges {
        let (mut one, mut two) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = RowRanges::default();
        while let (Some(a), Some(b)) = (one.peek(), two.peek()) {
            both.push(a.start.max(b.start)..a.end.min(b.end).max(a.start.max(b.start)));
            if a.end <= b.end {
                one.next();
            } else {
                two.next();
            }
        }
        both
    }

    /// The rows that are not in the other.
    pub(crate) fn without(&self, other: &RowRanges) -> RowRanges {
        let mut left = RowRanges::default();
        for own in &self.0 {
            let mut start = own.start;
            for gone in other.within(own.clone()).0 {
                left.push(start..gone.start);
                start = gone.end;
            }
            left.push(start..own.end);
        }
        left
    }

    /// Whether a row is among them.
    pub(crate) fn contains(&self, row: u32) -> bool {
        let at = self.0.partition_point(|range| range.end <= row);
        self.0.get(at).is_some_and(|range| range.contains(&row))
    }

    /// The rows in either.
    pub(crate) fn or(&self, other: &RowRanges) -> RowRanges {
        let mut all: Vec<Range<u32>> = self.0.iter().chain(&other.0).cloned().collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut either = RowRanges::default();
        all.into_iter().for_each(|range| either.push(range));
        either
    }

    /// The rows in `range`, cheaply.
    pub(crate) fn within(&self, range: Range<u32>) -> RowRanges {
        let from = self.0.partition_point(|own| own.end <= range.start);
        let mut inside = RowRanges::default();
        for own in self.0[from..].iter().take_while(|own| own.start < range.end) {
            inside.push(own.start.max(range.start)..own.end.min(range.end));
        }
        inside
    }
}

/// Rows that were not handed out yet.
pub(crate) struct Parts<'a> {
    ranges: std::slice::Iter<'a, Range<u32>>,
    left: Range<u32>,
}

impl Parts<'_> {
    /// The next rows, so many if there are.
    pub(crate) fn next(&mut self, count: usize) -> Vec<u32> {
        let mut rows = Vec::with_capacity(count);
        while rows.len() < count {
            if self.left.is_empty() {
                let Some(range) = self.ranges.next() else { break };
                self.left = range.clone();
            }
            let end = self.left.end.min(self.left.start.saturating_add((count - rows.len()) as u32));
            rows.extend(self.left.start..end);
            self.left.start = end;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_of_ranges_are_sets(one in prop::collection::vec(0..60_u32, 0..40), two in prop::collection::vec(0..60_u32, 0..40), cut in 0..60_u32) {
            let (a, b) = (RowRanges::of_rows(one.clone()), RowRanges::of_rows(two.clone()));
            let (set_a, set_b): (BTreeSet<u32>, BTreeSet<u32>) = (one.into_iter().collect(), two.into_iter().collect());
            prop_assert!(a.rows().eq(set_a.iter().copied()));
            prop_assert_eq!(a.len(), set_a.len() as u64);
            let mut parts = a.in_parts();
            let parted: Vec<Vec<u32>> = std::iter::repeat_with(|| parts.next(3)).take_while(|part| !part.is_empty()).collect();
            prop_assert!(parted.iter().rev().skip(1).all(|part| part.len() == 3), "only the last is short");
            prop_assert!(parted.concat().into_iter().eq(set_a.iter().copied()));
            prop_assert!(a.and(&b).rows().eq(set_a.intersection(&set_b).copied()));
            prop_assert!(a.without(&b).rows().eq(set_a.difference(&set_b).copied()));
            prop_assert!((0..61).all(|row| a.contains(row) == set_a.contains(&row)));
            prop_assert!(a.or(&b).rows().eq(set_a.union(&set_b).copied()));
            prop_assert!(a.within(cut..50).rows().eq(set_a.range(cut.min(50)..50).copied()));
            prop_assert!(a.without(&b).ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "neither touch nor overlap");
            prop_assert!(a.or(&b).ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "neither touch nor overlap");
        }
    }
}
