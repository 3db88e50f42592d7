//! The origins of a run: which it covers, and in which groups its entries name them.

use std::collections::{BTreeMap, BTreeSet};

use super::Origin;
use crate::catalog;

/// First origin, last origin and group, four bytes each.
const RANGE_BYTES: usize = 12;

/// Neighbouring origins of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OriginRange {
    first: u32,
    last: u32,
    group: u32,
}

/// A table of origins. Each is in one group; groups are numbered from zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origins {
    /// In order, and apart from each other.
    ranges: Vec<OriginRange>,
    groups: u32,
}

impl Origins {
    /// The table of origins and their groups.
    pub(super) fn of(groups: &BTreeMap<Origin, u32>) -> Origins {
        let mut ranges: Vec<OriginRange> = Vec::new();
        for (&Origin(origin), &group) in groups {
            match ranges.last_mut().filter(|range| range.group == group && range.last.checked_add(1) == Some(origin)) {
                Some(range) => range.last = origin,
                None => ranges.push(OriginRange { first: origin, last: origin, group }),
            }
        }
        Origins { ranges, groups: groups.values().max().map_or(0, |group| group + 1) }
    }

    /// The table in which each origin is a group of its own, in order.
    #[cfg(test)]
    pub(super) fn apart(origins: &BTreeSet<Origin>) -> Origins {
        Origins::of(&origins.iter().copied().zip(0..).collect())
    }

    pub(super) fn groups(&self) -> u32 {
        self.groups
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many origins there are.
    pub(super) fn count(&self) -> u64 {
        self.ranges.iter().map(|range| u64::from(range.last - range.first) + 1).sum()
    }

    /// The origins alone.
    pub(super) fn covered(&self) -> catalog::Origins {
        catalog::Origins::of_ranges(self.ranges.iter().map(|range| range.first..=range.last).collect())
    }

    pub(super) fn covers(&self, origin: Origin) -> bool {
        self.group_of(origin).is_some()
    }

    /// The group of an origin, if it is covered.
    pub(super) fn group_of(&self, Origin(origin): Origin) -> Option<u32> {
        let at = self.ranges.partition_point(|range| range.last < origin);
        self.ranges.get(at).filter(|range| range.first <= origin).map(|range| range.group)
    }

    /// The highest of them.
    pub(super) fn last(&self) -> Option<Origin> {
        self.ranges.last().map(|range| Origin(range.last))
    }

    /// Whether all of them are among `others`.
    pub(super) fn are_within(&self, others: &Origins) -> bool {
        self.iter().all(|(origin, _)| others.covers(origin))
    }

    /// All origins with their groups, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Origin, u32)> + '_ {
        self.ranges.iter().flat_map(|range| (range.first..=range.last).map(|origin| (Origin(origin), range.group)))
    }

    /// The origins of these groups.
    pub(super) fn members<'a>(&'a self, groups: &'a BTreeSet<u32>) -> impl Iterator<Item = Origin> + 'a {
        let ranges = self.ranges.iter().filter(|range| groups.contains(&range.group));
        ranges.flat_map(|range| (range.first..=range.last).map(Origin))
    }

    /// The table of several runs that become one, and for each of them the new group of each of its groups;
    /// none when all its origins are gone. `place` names the shard of an origin.
    ///
    /// Groups only ever grow together: the origins of a group stay in one, and are joined by those in the same
    /// shards. Each live origin is therefore in exactly one group, which stands for all its keys, whatever `place` says.
    pub(super) fn join(parts: &[&Origins], place: impl Fn(Origin) -> Option<Origin>) -> (Origins, Vec<Vec<Option<u32>>>) {
        let mut together = Together::default();
        let mut live = BTreeSet::new();
        for part in parts {
            let mut first_of_group: BTreeMap<u32, Origin> = BTreeMap::new();
            for (origin, group) in part.iter() {
                if let Some(shard) = place(origin) {
                    live.insert(origin);
                    together.join(Node::Origin(origin), Node::Shard(shard));
                    together.join(Node::Origin(origin), Node::Origin(*first_of_group.entry(group).or_insert(origin)));
                }
            }
        }
        let mut numbers = BTreeMap::new();
        let groups: BTreeMap<Origin, u32> = live
            .into_iter()
            .map(|origin| {
                let next = numbers.len() as u32;
                (origin, *numbers.entry(together.root(Node::Origin(origin))).or_insert(next))
            })
            .collect();
        let regroup = |part: &&Origins| {
            let mut new = vec![None; part.groups as usize];
            for (origin, group) in part.iter() {
                new[group as usize] = new[group as usize].or(groups.get(&origin).copied());
            }
            new
        };
        (Origins::of(&groups), parts.iter().map(regroup).collect())
    }

    /// How many ranges its bytes hold.
    pub(super) fn ranges(&self) -> u32 {
        u32::try_from(self.ranges.len()).expect("ranges are apart, and origins have 32 bits")
    }

    /// The length of the bytes of so many ranges.
    pub(super) fn bytes_of(ranges: u32) -> u64 {
        u64::from(ranges) * RANGE_BYTES as u64
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for range in &self.ranges {
            [range.first, range.last, range.group].iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
    }

    /// Reads what [`Origins::write`] wrote; `None` when it is no table of so many groups.
    pub(super) fn parse(bytes: &[u8], groups: u32) -> Option<Origins> {
        let number = |bytes: &[u8], at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let range = |bytes: &[u8]| OriginRange { first: number(bytes, 0), last: number(bytes, 4), group: number(bytes, 8) };
        let ranges: Vec<OriginRange> = bytes.chunks_exact(RANGE_BYTES).map(range).collect();
        let sound = ranges.iter().all(|range| range.first <= range.last && range.group < groups);
        let apart = ranges.windows(2).all(|pair| pair[0].last < pair[1].first);
        (sound && apart).then_some(Origins { ranges, groups })
    }
}

/// What is joined into groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Origin(Origin),
    Shard(Origin),
}

/// Sets of nodes (union-find; paths are halved when walked).
#[derive(Default)]
struct Together {
    parents: BTreeMap<Node, Node>,
}

impl Together {
    fn root(&mut self, mut node: Node) -> Node {
        while let Some(&parent) = self.parents.get(&node) {
            if let Some(&above) = self.parents.get(&parent) {
                self.parents.insert(node, above);
            }
            node = parent;
        }
        node
    }

    fn join(&mut self, one: Node, other: Node) {
        let (one, other) = (self.root(one), self.root(other));
        if one != other {
            self.parents.insert(one.max(other), one.min(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(groups: &[(u32, u32)]) -> Origins {
        Origins::of(&groups.iter().map(|(origin, group)| (Origin(*origin), *group)).collect())
    }

    #[test]
    fn origins_of_one_shard_become_one_group() {
        let (one, other) = (table(&[(1, 0), (2, 1), (3, 2)]), table(&[(7, 0), (8, 1)]));
        let shard = |Origin(origin)| match origin {
            1 | 2 | 7 => Some(Origin(1)),
            3 => None,
            _ => Some(Origin(origin)),
        };
        let (joined, regroup) = Origins::join(&[&one, &other], shard);
        assert_eq!(joined, table(&[(1, 0), (2, 0), (7, 0), (8, 1)]));
        assert_eq!(regroup, [vec![Some(0), Some(0), None], vec![Some(0), Some(1)]]);
    }

    #[test]
    fn a_group_stays_together_when_its_shard_is_said_to_have_come_apart() {
        let one = table(&[(1, 0), (2, 0), (3, 1)]);
        let (joined, regroup) = Origins::join(&[&one], Some);
        assert_eq!((joined, regroup), (one, vec![vec![Some(0), Some(1)]]));
    }

    proptest! {
        #[test]
        fn a_table_reads_back(groups in prop::collection::btree_map(0..200_u32, 0..5_u32, 0..100)) {
            let origins = Origins::of(&groups.iter().map(|(origin, group)| (Origin(*origin), *group)).collect());
            let mut bytes = Vec::new();
            origins.write(&mut bytes);
            prop_assert_eq!(bytes.len() as u64, Origins::bytes_of(origins.ranges()));
            prop_assert_eq!(Origins::parse(&bytes, origins.groups()), Some(origins.clone()));
            prop_assert_eq!(origins.count(), groups.len() as u64);
            for origin in 0..201 {
                prop_assert_eq!(origins.covers(Origin(origin)), groups.contains_key(&origin));
            }
        }

        #[test]
        fn a_live_origin_is_found_by_every_group_that_held_it(
            parts in prop::collection::vec(prop::collection::btree_map(0..60_u32, 0..6_u32, 1..30), 1..4),
            shards in prop::collection::vec(prop::option::of(0..20_u32), 60),
        ) {
            let parts: Vec<Origins> = parts.iter().map(|part| table(&part.iter().map(|(o, g)| (*o, *g)).collect::<Vec<_>>())).collect();
            let (joined, regroup) = Origins::join(&parts.iter().collect::<Vec<_>>(), |Origin(origin)| shards[origin as usize].map(Origin));
            for (part, regroup) in parts.iter().zip(&regroup) {
                for (origin, group) in part.iter() {
                    let new = regroup[group as usize];
                    let live = shards[origin.0 as usize].is_some();
                    prop_assert_eq!(joined.covers(origin), live);
                    let found = new.is_some_and(|group| joined.members(&BTreeSet::from([group])).any(|member| member == origin));
                    prop_assert_eq!(found, live);
                }
            }
        }
    }
}
