//! Which seals a shard is made of. Each seal of a tenant's signal gets a number that no other ever gets, so
//! a record can be said to be in "the shard of that number" however often it is written anew.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Numbers of seals. Written as ranges: `1-8,10`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Origins {
    /// Ascending, with a gap between each and the next.
    ranges: Vec<RangeInclusive<u32>>,
}

impl Origins {
    /// One seal.
    pub(crate) fn one(number: u32) -> Origins {
        Origins { ranges: vec![number..=number] }
    }

    /// Whether the seal of that number is among them.
    pub(crate) fn contains(&self, number: u32) -> bool {
        let at = self.ranges.partition_point(|range| *range.end() < number);
        self.ranges.get(at).is_some_and(|range| range.contains(&number))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The highest number.
    pub(crate) fn last(&self) -> Option<u32> {
        self.ranges.last().map(|range| *range.end())
    }

    /// The ranges of numbers, ascending.
    pub(crate) fn ranges(&self) -> &[RangeInclusive<u32>] {
        &self.ranges
    }

    /// Those that are not among others.
    pub(crate) fn without(&self, others: &Origins) -> Origins {
        let mut left = Vec::new();
        for own in &self.ranges {
            let from = others.ranges.partition_point(|other| other.end() < own.start());
            let mut start = Some(*own.start());
            for gone in others.ranges[from..].iter().take_while(|other| other.start() <= own.end()) {
                left.extend(start.filter(|start| start < gone.start()).map(|start| start..=gone.start() - 1));
                start = gone.end().checked_add(1);
            }
            left.extend(start.filter(|start| start <= own.end()).map(|start| start..=*own.end()));
        }
        Origins { ranges: left }
    }

    /// All numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().cloned().flatten()
    }

    /// Whether all of them are among `others`.
    pub(crate) fn are_within(&self, others: &Origins) -> bool {
        self.iter().all(|number| others.contains(number))
    }

    /// Those of all.
    pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Origins>) -> Origins {
        Origins::of_ranges(all.into_iter().flat_map(|origins| origins.ranges.iter().cloned()).collect())
    }

    /// Those of ranges in any order.
    pub(crate) fn of_ranges(mut ranges: Vec<RangeInclusive<u32>>) -> Origins {
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u32>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => *last = *last.start()..=*last.end().max(range.end()),
                _ => joined.push(range),
            }
        }
        Origins { ranges: joined }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

/// Text that is no list of origins.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no list of origins such as `1-8,10`")]
pub(crate) struct OriginsError(String);

impl FromStr for Origins {
    type Err = OriginsError;

    fn from_str(text: &str) -> Result<Origins, OriginsError> {
        let range = |part: &str| {
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            let (start, end) = (start.parse().ok()?, end.parse().ok()?);
            (start <= end).then_some(Origins { ranges: vec![start..=end] })
        };
        let parts = text.split(',').filter(|_| !text.is_empty());
        let parts: Vec<Origins> = parts.map(range).collect::<Option<_>>().ok_or_else(|| OriginsError(text.to_owned()))?;
        Ok(Origins::union(&parts))
    }
}

impl From<Origins> for String {
    fn from(origins: Origins) -> String {
        origins.to_string()
    }
}

impl TryFrom<String> for Origins {
    type Error = OriginsError;

    fn try_from(text: String) -> Result<Origins, OriginsError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_written_as_ranges() {
        let origins = Origins::union(&[3, 1, 10, 2, 8].map(Origins::one));
        assert_eq!(origins.to_string(), "1-3,8,10");
        assert_eq!(Origins::default().to_string(), "");
        assert_eq!("".parse(), Ok(Origins::default()));
        let last = Origins::union([&Origins::one(u32::MAX), &Origins::one(u32::MAX - 1)]);
        assert_eq!(last.to_string(), "4294967294-4294967295");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["-", "1-", "2-1", "1,,2", "a", "1 2", "4294967296", "-1"] {
            assert_eq!(text.parse::<Origins>(), Err(OriginsError(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn they_are_a_set_of_numbers(parts in prop::collection::vec(prop::collection::btree_set(0..60_u32, 0..20), 0..5)) {
            let lists: Vec<Origins> = parts.iter().map(|part| Origins::union(&part.iter().copied().map(Origins::one).collect::<Vec<_>>())).collect();
            let origins = Origins::union(&lists);
            let expected: BTreeSet<u32> = parts.into_iter().flatten().collect();
            prop_assert!(origins.iter().eq(expected.iter().copied()));
            prop_assert!((0..61).all(|number| origins.contains(number) == expected.contains(&number)));
            let without: Vec<Origins> = lists.iter().map(|list| origins.without(list)).collect();
            for (left, list) in without.iter().zip(&lists) {
                prop_assert!(left.iter().eq(origins.iter().filter(|number| !list.contains(*number))));
                prop_assert_eq!(left.is_empty(), left.last().is_none());
            }
            prop_assert_eq!(origins.to_string().parse(), Ok(origins));
        }
    }
}
