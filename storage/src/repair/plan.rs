//! Which shards stay, and which are copies of others or damaged.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::catalog::{Origins, Salvage, ShardMeta};
use crate::keep::ShardName;
use crate::shard::{Examined, examine};

/// A shard that can be read whole, and the numbers of its records as ranges.
#[derive(Clone, Debug)]
pub(super) struct Sound {
    pub(super) meta: ShardMeta,
    pub(super) name: ShardName,
    /// First and last of each range, ascending.
    records: Vec<(u64, u64)>,
    /// Whether the old catalog lists it.
    listed: bool,
}

/// A shard that goes out of the way.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    pub(super) path: String,
    pub(super) name: ShardName,
    pub(super) why: String,
    /// Whether its records are elsewhere.
    pub(super) is_copy: bool,
    pub(super) origins: Origins,
}

/// Looks at a shard's file. An error: why it cannot stay.
pub(super) fn examine_shard(path: &str, name: ShardName, bytes: &Bytes, old: &Salvage) -> Result<Sound, Leaving> {
    let leaving = |why: String| Leaving { path: path.to_owned(), name, why, is_copy: false, origins: Origins::default() };
    let known = old.shards.iter().find(|shard| shard.path == path);
    let Examined { mut meta, faults, records, .. } = examine(path, bytes, None).map_err(leaving)?;
    if let Some(fault) = faults.first() {
        return Err(leaving(fault.clone()));
    }
    if let Some(known) = known {
        // Shards of the first version do not say of what seals they are made.
        if meta.origins == Origins::default() {
            meta.origins = known.origins.clone();
        }
        // The catalog's checksum of the footer does not match: then it must at least say the same.
        let same = ShardMeta { tail: meta.tail, time_min: meta.time_min, time_max: meta.time_max, ..known.clone() } == meta;
        if known.tail != meta.tail && !same {
            return Err(leaving("its footer does not have the checksum of the catalog, and says otherwise".to_owned()));
        }
    }
    let ranges = records.chunk_by(|one, next| one + 1 == *next).map(|range| (range[0], range[range.len() - 1])).collect();
    Ok(Sound { meta, name, records: ranges, listed: known.is_some() && old.is_sound })
}

/// Parts shards into those that stay and copies of them: what a merge was made of, or what lies there twice.
pub(super) fn without_copies(mut shards: Vec<Sound>, old: &Salvage) -> (Vec<Sound>, Vec<Leaving>) {
    // What is made of more seals is newer; of the same seals that with fewer rows, since rows only ever leave.
    shards.sort_by(|one, other| {
        let newness =
            |shard: &Sound| (!shard.listed, std::cmp::Reverse(shard.meta.origins.iter().count()), shard.meta.rows, shard.wrong_place());
        newness(one).cmp(&newness(other)).then_with(|| one.meta.path.cmp(&other.meta.path))
    });
    let replaced: BTreeSet<&str> = old.replaced.iter().map(String::as_str).collect();
    let (mut kept, mut leaving) = (Vec::<Sound>::new(), Vec::new());
    let mut numbers: BTreeMap<u64, u64> = BTreeMap::new();
    for shard in shards {
        let newer = kept.iter().find(|other| shard.is_copy_of(other)).map(|other| other.meta.path.clone());
        let taken = shard.records.iter().filter(|range| overlaps(&numbers, **range)).count();
        let why = match newer {
            _ if replaced.contains(shard.meta.path.as_str()) => Some("others took its place".to_owned()),
            Some(newer) => Some(format!("its records are in {newer}")),
            None if taken > 0 => Some("some of its records are in other shards, too".to_owned()),
            None => None,
        };
        match why {
            Some(why) => {
                leaving.push(Leaving { path: shard.meta.path.clone(), name: shard.name, why, is_copy: true, origins: shard.meta.origins });
            }
            None => {
                numbers.extend(shard.records.iter().copied());
                kept.push(shard);
            }
        }
    }
    (kept, leaving)
}

fn overlaps(numbers: &BTreeMap<u64, u64>, (first, last): (u64, u64)) -> bool {
    numbers.range(..=last).next_back().is_some_and(|(_, end)| *end >= first)
}

impl Sound {
    /// Whether it lies elsewhere than it was written.
    fn wrong_place(&self) -> bool {
        !self.meta.path.ends_with(&format!("/{}.parquet", self.meta.id))
    }

    fn is_copy_of(&self, other: &Sound) -> bool {
        let same_kind = self.meta.tenant == other.meta.tenant && self.meta.signal == other.meta.signal;
        let frames_within = self.name.first >= other.name.first && self.name.last <= other.name.last;
        let seals_within = self.meta.origins != Origins::default() && self.meta.origins.are_within(&other.meta.origins);
        let others: BTreeMap<u64, u64> = other.records.iter().copied().collect();
        let within = |(first, last): &(u64, u64)| others.range(..=*first).next_back().is_some_and(|(_, end)| end >= last);
        same_kind && ((frames_within && seals_within) || self.records.iter().all(within))
    }
}
