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
    #[allow(dead_code, reason = "for an index of seals beside the shards")]
    pub(crate) fn contains(&self, number: u32) -> bool {
        let at = self.ranges.partition_point(|range| *range.end() < number);
        self.ranges.get(at).is_some_and(|range| range.contains(&number))
    }

    /// All numbers, ascending.
    #[allow(dead_code, reason = "for an index of seals beside the shards")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().cloned().flatten()
    }

    /// Those of all.
    pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Origins>) -> Origins {
        let mut ranges: Vec<_> = all.into_iter().flat_map(|origins| origins.ranges.iter().cloned()).collect();
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
            prop_assert_eq!(origins.to_string().parse(), Ok(origins));
        }
    }
}
