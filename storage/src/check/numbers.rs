//! Record numbers of a whole folder: each is given once. They are kept as ranges, since a request's records
//! are numbered in a row.

use std::collections::BTreeMap;

/// Numbers that were seen.
#[derive(Debug, Default)]
pub(super) struct RecordNumbers {
    /// By the first of each range: the last, and whose they are.
    ranges: BTreeMap<u64, (u64, usize)>,
    owners: Vec<String>,
}

impl RecordNumbers {
    /// Adds ascending numbers. If one was there before: it, and whose it was.
    pub(super) fn add(&mut self, owner: &str, numbers: &[u64]) -> Option<(u64, &str)> {
        self.owners.push(owner.to_owned());
        let own = self.owners.len() - 1;
        let ranges = numbers.chunk_by(|one, next| one + 1 == *next).map(|range| (range[0], range[range.len() - 1]));
        let twice = ranges.filter_map(|range| self.add_range(range, own)).reduce(|first, _| first);
        twice.map(|(number, other)| (number, self.owners[other].as_str()))
    }

    /// Adds the numbers of a frame of the log, which has so many from `first` on.
    pub(super) fn add_frame(&mut self, owner: &str, first: u64, count: u32) -> Option<(u64, &str)> {
        if self.owners.last().is_none_or(|last| last != owner) {
            self.owners.push(owner.to_owned());
        }
        let own = self.owners.len() - 1;
        let last = first + u64::from(count.checked_sub(1)?);
        let twice = self.add_range((first, last), own);
        twice.map(|(number, other)| (number, self.owners[other].as_str()))
    }

    fn add_range(&mut self, (first, last): (u64, u64), own: usize) -> Option<(u64, usize)> {
        let before = self.ranges.range(..=last).next_back().filter(|(_, (end, _))| *end >= first);
        let twice = before.map(|(start, (_, other))| (first.max(*start), *other));
        if twice.is_none() {
            self.ranges.insert(first, (last, own));
        }
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_two_have_is_found() {
        let mut numbers = RecordNumbers::default();
        assert_eq!(numbers.add("a", &[1, 2, 3, 10, 11]), None);
        assert_eq!(numbers.add("b", &[4, 5, 9, 12]), None);
        assert_eq!(numbers.add("c", &[6, 7, 8, 9]), Some((9, "b")));
        assert_eq!(numbers.add("d", &[2]), Some((2, "a")));
        assert_eq!(numbers.add_frame("e", 13, 2), None);
        assert_eq!(numbers.add_frame("e", 15, 0), None);
        assert_eq!(numbers.add_frame("e", 14, 5), Some((14, "e")));
    }
}
