//! The directory against a map: whatever is done to it, it finds what was added, and nothing else.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Keys are few, so that origins share them.
const KEYS: usize = 40;
/// Keys that fill blocks and pieces.
const FILLERS: usize = 1_500;

#[derive(Clone, Debug)]
enum Step {
    /// Several origins as one run, each with some keys; the first one with fillers, too.
    Add(Vec<Vec<Index>>, bool),
    /// The shards of two origins become one.
    JoinShards(Index, Index),
    Retire(Index),
    Merge,
    /// A crash after a merge, before its parts were removed.
    MergeAndCrash,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let some_keys = prop::collection::vec(any::<Index>(), 0..12);
    prop_oneof![
        6 => (prop::collection::vec(some_keys, 1..4), prop::bool::weighted(0.1)).prop_map(|(origins, fill)| Step::Add(origins, fill)),
        2 => any::<(Index, Index)>().prop_map(|(one, other)| Step::JoinShards(one, other)),
        1 => any::<Index>().prop_map(Step::Retire),
        3 => Just(Step::Merge),
        1 => Just(Step::MergeAndCrash),
        1 => Just(Step::Reopen),
    ]
}

struct Model {
    objects: Arc<Watched>,
    directory: IdDirectory,
    next: u32,
    /// The keys of the live origins.
    keys: BTreeMap<Origin, BTreeSet<IdKey>>,
    /// Their shards, each named by one of its origins.
    shards: BTreeMap<Origin, Origin>,
}

impl Model {
    fn step(&mut self, step: Step) {
        match step {
            Step::Add(origins, fill) => self.add(&origins, fill),
            Step::JoinShards(one, other) => {
                if let (Some(from), Some(to)) = (self.shard(one), self.shard(other)) {
                    self.shards.values_mut().filter(|shard| **shard == from).for_each(|shard| *shard = to);
                }
            }
            Step::Retire(index) => {
                if let Some(gone) = self.shard(index) {
                    self.shards.retain(|_, shard| *shard != gone);
                    self.keys.retain(|origin, _| self.shards.contains_key(origin));
                }
            }
            Step::Merge => merge_all(&self.directory, |origin| self.shards.get(&origin).copied()),
            Step::MergeAndCrash => {
                let before = self.objects.copy();
                merge_all(&self.directory, |origin| self.shards.get(&origin).copied());
                before.iter().for_each(|(path, bytes)| self.objects.set(path, bytes));
                self.directory = open(&self.objects, 1);
            }
            Step::Reopen => self.directory = open(&self.objects, 1),
        }
    }

    fn add(&mut self, origins: &[Vec<Index>], fill: bool) {
        let universe = keys(0, KEYS);
        let mut added = Vec::new();
        for (n, indexes) in origins.iter().enumerate() {
            let origin = Origin(self.next);
            self.next += 1;
            let mut own: Vec<IdKey> = indexes.iter().map(|index| *index.get(&universe)).collect();
            self.keys.insert(origin, own.iter().copied().collect());
            self.shards.insert(origin, origin);
            own.extend(keys(u64::from(origin.0) + 1, if fill && n == 0 { FILLERS } else { 0 }));
            added.push((origin, own));
        }
        self.directory.add(&added).unwrap();
    }

    fn shard(&self, index: Index) -> Option<Origin> {
        if self.shards.is_empty() { None } else { self.shards.values().nth(index.index(self.shards.len())).copied() }
    }

    /// So many keys are exact in 36 bits; an origin may stand for the others of its shard.
    fn check(&self) {
        for key in keys(0, KEYS) {
            let hits = self.directory.find(&[key]);
            assert_eq!(hits.unreadable, Vec::<String>::new());
            let holding: BTreeSet<Origin> = self.keys.iter().filter(|(_, keys)| keys.contains(&key)).map(|(origin, _)| *origin).collect();
            assert!(holding.iter().all(|origin| hits.origins.contains(origin)), "{holding:?} hold it, {:?} found", hits.origins);
            let shards: BTreeSet<Origin> = holding.iter().map(|origin| self.shards[origin]).collect();
            let found: BTreeSet<Origin> = hits.origins.iter().filter_map(|origin| self.shards.get(origin).copied()).collect();
            assert_eq!(found, shards);
            assert!(self.keys.keys().all(|origin| hits.may_hold(*origin) == hits.origins.contains(origin)), "all live ones are covered");
            assert!(hits.may_hold(Origin(self.next)));
        }
        assert!(self.keys.keys().all(|origin| self.directory.covered().contains(origin.0)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_directory_finds_what_was_added_and_nothing_else(steps in prop::collection::vec(any_step(), 1..60)) {
        let objects = Arc::new(Watched::new());
        let directory = open(&objects, 1);
        let mut model = Model { objects, directory, next: 0, keys: BTreeMap::new(), shards: BTreeMap::new() };
        for step in steps {
            model.step(step);
            model.check();
        }
        merge_all(&model.directory, |origin| model.shards.get(&origin).copied());
        prop_assert!(model.directory.size().runs <= merge::RUNS_MAX);
        prop_assert_eq!(model.directory.verify().unwrap(), Vec::<String>::new());
    }
}
