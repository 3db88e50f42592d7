//! The directory from outside: what it finds, what that costs, and what it survives.

mod faults;
mod model;
pub(crate) mod watched;

use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread;

use super::*;
use crate::disk::LocalDisk;
use crate::objects::DiskObjects;
use watched::Watched;

/// Uniform keys (splitmix64), apart from those of other series.
fn keys(series: u64, count: usize) -> Vec<IdKey> {
    keys_of(series).take(count).collect()
}

fn keys_of(series: u64) -> impl Iterator<Item = IdKey> {
    let mix = move |n: u64| {
        let mut hash = (series << 32 | n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        IdKey(hash ^ hash >> 31)
    };
    (0..1 << 32).map(mix)
}

/// A series that no test stores.
const FOREIGN: u64 = 0xf0e1;

fn open(objects: &Arc<Watched>, piece_blocks: u32) -> IdDirectory {
    let (directory, unreadable) = IdDirectory::open_with(objects.clone(), folder(), piece_blocks).unwrap();
    assert_eq!(unreadable, Vec::<String>::new());
    directory
}

fn folder() -> Path {
    Path::from("_needle/ids")
}

/// Every origin is a shard of its own.
fn apart(origin: Origin) -> Option<Origin> {
    Some(origin)
}

fn never() -> bool {
    false
}

fn merge_all(directory: &IdDirectory, place: impl Fn(Origin) -> Option<Origin>) {
    while directory.tick_merge(&place, never).unwrap() {}
}

fn found(directory: &IdDirectory, key: IdKey) -> BTreeSet<Origin> {
    let hits = directory.find(&[key]);
    assert_eq!(hits.unreadable, Vec::<String>::new());
    hits.origins
}

#[test]
fn ten_thousand_seals_cost_eight_reads_at_most_for_a_hit_and_for_a_miss() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    let foreign = keys(FOREIGN, 10_000);
    let reads = |key: IdKey| {
        let before = objects.gets.load(Ordering::Relaxed);
        let hits = directory.find(&[key]);
        assert_eq!(objects.gets.load(Ordering::Relaxed) - before, hits.reads);
        assert!(hits.reads <= 8, "{} reads", hits.reads);
        hits.origins
    };
    for origin in 0..10_000_u32 {
        let own = keys(u64::from(origin), 20);
        directory.add(&[(Origin(origin), own.clone())]).unwrap();
        if origin % 101 == 0 {
            assert_eq!(reads(own[7]), BTreeSet::from([Origin(origin)]), "before the merge");
            reads(foreign[origin as usize]);
        }
        directory.tick_merge(apart, never).unwrap();
        assert!(directory.size().runs <= merge::RUNS_MAX);
    }
    for origin in (0..10_000).step_by(37) {
        assert!(reads(keys(u64::from(origin), 20)[3]).contains(&Origin(origin)));
        assert!(reads(foreign[origin as usize]).len() <= 1);
    }
    let size = directory.size();
    assert_eq!(size.entries, 200_000);
    // Seals as small as these pay 12 bytes for the origin itself, a twentieth of that for each id.
    assert!(size.bytes < 200_000 * 6, "{} bytes", size.bytes);
    let written = objects.put_bytes.load(Ordering::Relaxed);
    assert!(written as u64 <= 10 * size.bytes, "{written} bytes written for {}", size.bytes);
}

#[test]
fn an_entry_takes_as_many_bytes_as_the_formula_says() {
    for (entries, origins) in [(100_000_u32, 10_u32), (1_000_000, 1_000), (10_000_000, 10_000)] {
        let objects = Arc::new(Watched::new());
        let folder = Folder { objects: objects.clone(), path: folder() };
        let name = RunName { run: 1, generation: 0, piece_blocks: PIECE_BLOCKS };
        let table = Origins::apart(&(0..origins).map(Origin).collect());
        let mut writer = RunWriter::new(&folder, name, table, u64::from(entries));
        // Keys of a uniform hash in order: their gaps are exponential.
        let gap = (1_u64 << KEY_BITS) as f64 / f64::from(entries);
        let mut key = 0.0;
        for (n, IdKey(random)) in keys_of(5).take(entries as usize).enumerate() {
            key += 1.0 - gap * (((random >> 11) + 1) as f64 / (1_u64 << 53) as f64).ln() * 0.999;
            writer.push(Entry { key: key as u64, group: n as u32 % origins }).unwrap();
        }
        let bytes = writer.finish().unwrap().bytes();
        assert_eq!(bytes, objects.put_bytes.load(Ordering::Relaxed) as u64);
        let entry_bits = f64::from(KEY_BITS) - f64::from(entries).log2() + 1.6 + f64::from(origins).log2().ceil();
        let formula = f64::from(entries) * entry_bits / 8.0;
        // Blocks lose their heads and what does not fit at their end.
        let tables = f64::from(origins) * 12.0 + formula / 4096.0 * 5.0 + 56.0;
        let ratio = bytes as f64 / (formula * 1.005 + tables);
        assert!((0.96..1.0).contains(&ratio), "{bytes} bytes for {entries} entries, {ratio} of the formula");
        assert!(bytes < u64::from(entries) * 4, "{bytes} bytes for {entries} entries");
    }
}

#[test]
fn a_foreign_id_is_found_as_seldom_as_promised() {
    // All keys among 2^20 instead of 2^36, so that what happens once in 2^22 lookups happens once in 64.
    let crowded = |series, count| keys(series, count).into_iter().map(|IdKey(key)| IdKey(key >> (KEY_BITS - 20))).collect::<Vec<_>>();
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    let own = crowded(1, 1 << 14);
    let kept: BTreeSet<u64> = own.iter().map(|key| key.kept()).collect();
    directory.add(&[(Origin(1), own)]).unwrap();
    let wrongly_found = crowded(FOREIGN, 3_000).into_iter().filter(|key| !found(&directory, *key).is_empty()).count();
    let expected = 3_000.0 * kept.len() as f64 / f64::from(1 << 20);
    assert!((expected * 0.6..expected * 1.4).contains(&(wrongly_found as f64)), "{wrongly_found} instead of {expected}");

    let uniform = open(&Arc::new(Watched::new()), PIECE_BLOCKS);
    uniform.add(&[(Origin(1), keys(1, 1 << 18))]).unwrap();
    let wrongly_found = keys(FOREIGN, 2_000).into_iter().filter(|key| !found(&uniform, *key).is_empty()).count();
    assert!(wrongly_found <= 1, "{wrongly_found} of 2,000 although p is one in 262,144");
}

#[test]
fn an_id_of_every_origin_is_found_in_all_of_them_with_one_read() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    let hub = keys(77, 1)[0];
    let add: Vec<_> = (0..20_000).map(|n| (Origin(n), [keys(u64::from(n) + 100, 3), vec![hub]].concat())).collect();
    directory.add(&add).unwrap();
    let hits = directory.find(&[hub]);
    assert_eq!((hits.origins.len(), hits.reads), (20_000, 1));
    let before = directory.size();
    // Once their shards are one, one entry stands for all of them.
    directory.add(&(20_000..20_007).map(|n| (Origin(n), vec![hub])).collect::<Vec<_>>()).unwrap();
    (20_007..20_014).for_each(|n| directory.add(&[(Origin(n), vec![hub])]).unwrap());
    merge_all(&directory, |_| Some(Origin(0)));
    assert_eq!(found(&directory, hub).len(), 20_014);
    assert_eq!(directory.size().entries, 60_001);
    assert!(directory.size().bytes < before.bytes);
}

#[test]
fn merging_needs_little_memory() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, 16);
    for origin in 0..8 {
        directory.add(&[(Origin(origin), keys(u64::from(origin), 60_000))]).unwrap();
    }
    objects.get_bytes_max.store(0, Ordering::Relaxed);
    objects.put_bytes_max.store(0, Ordering::Relaxed);
    merge_all(&directory, apart);
    assert_eq!(directory.size().runs, 1);
    assert_eq!(directory.size().entries, 480_000);
    assert!(directory.size().bytes > 1 << 20);
    let (get, put) = (objects.get_bytes_max.load(Ordering::Relaxed), objects.put_bytes_max.load(Ordering::Relaxed));
    assert!(get <= 16 * 4096, "{get} bytes read at once");
    assert!(put <= 17 * 4096, "{put} bytes written at once");
    assert_eq!(directory.verify().unwrap(), Vec::<String>::new());
    for (origin, key) in (0..8).flat_map(|n| keys(n, 60_000).into_iter().step_by(997).map(move |key| (Origin(n as u32), key))) {
        assert!(found(&directory, key).contains(&origin));
    }
}

#[test]
fn what_a_lookup_holds_stays_until_it_lets_go() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    (0..8).for_each(|n| directory.add(&[(Origin(n), keys(u64::from(n), 10))]).unwrap());
    let hits = directory.find(&keys(3, 1));
    merge_all(&directory, apart);
    assert_eq!(objects.names().len(), 9);
    drop(hits);
    merge_all(&directory, apart);
    assert_eq!(objects.names().len(), 1);
}

#[test]
fn parts_that_a_crash_left_beside_their_merged_run_are_removed_at_the_next_start() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, 1);
    (0..8).for_each(|n| directory.add(&[(Origin(n), keys(u64::from(n), 1_000))]).unwrap());
    let parts = objects.copy();
    merge_all(&directory, apart);
    let merged = objects.copy();
    parts.iter().for_each(|(path, bytes)| objects.set(path, bytes));
    let again = open(&objects, 1);
    assert_eq!(again.size(), directory.size());
    assert_eq!(objects.copy(), merged);
}

#[test]
fn origins_that_are_gone_leave_the_directory() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    directory.add(&(0..10).map(|n| (Origin(n), keys(u64::from(n), 100))).collect::<Vec<_>>()).unwrap();
    let from = |oldest: u32| move |origin: Origin| (origin.0 >= oldest).then_some(origin);
    merge_all(&directory, from(5));
    assert_eq!(directory.size().entries, 1_000, "half of them may stay");
    merge_all(&directory, from(6));
    assert_eq!((directory.size().entries, directory.covered().to_string()), (400, "6-9".to_owned()));
    assert_eq!(found(&directory, keys(9, 1)[0]), BTreeSet::from([Origin(9)]));
    merge_all(&directory, from(10));
    assert_eq!(directory.size(), DirectorySize::default());
    assert_eq!(objects.names(), Vec::<Path>::new());
}

#[test]
fn a_merge_that_is_stopped_leaves_everything_as_it_was() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, 1);
    (0..8).for_each(|n| directory.add(&[(Origin(n), keys(u64::from(n), 5_000))]).unwrap());
    let before = objects.copy();
    assert!(!directory.tick_merge(apart, || true).unwrap());
    assert_eq!(objects.copy(), before);
    assert!(directory.tick_merge(apart, never).unwrap());
    assert_eq!(directory.size().runs, 1);
}

#[test]
fn lookups_miss_nothing_while_origins_are_added_and_merged() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    let (added, is_done) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let reader = || {
            let mut lookups = 0;
            while !is_done.load(Ordering::Acquire) || lookups == 0 {
                let newest = added.load(Ordering::Acquire);
                for origin in (0..newest).step_by(17) {
                    let hits = directory.find(&[keys(u64::from(origin), 1)[0]]);
                    assert_eq!(hits.unreadable, Vec::<String>::new());
                    assert!(hits.origins.contains(&Origin(origin)), "origin {origin} of {newest}");
                    assert!(hits.may_hold(Origin(600)), "what was never added is never ruled out");
                    lookups += 1;
                }
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for origin in 0..600 {
            directory.add(&[(Origin(origin), keys(u64::from(origin), 30))]).unwrap();
            added.store(origin + 1, Ordering::Release);
            merge_all(&directory, |origin| Some(Origin(origin.0 / 8)));
        }
        is_done.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_directory_on_disk_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(DiskObjects::new(Arc::new(LocalDisk), data.path().to_owned()));
    let (directory, _) = IdDirectory::open_with(objects.clone(), folder(), 2).unwrap();
    for origin in 0..20 {
        directory.add(&[(Origin(origin), keys(u64::from(origin), 2_000))]).unwrap();
        merge_all(&directory, apart);
    }
    let size = directory.size();
    drop(directory);
    // What a crash leaves of a run that was being written.
    std::fs::write(data.path().join("_needle/ids/0000000099-00000.blocks"), [1; 9]).unwrap();
    std::fs::write(data.path().join("_needle/ids/0000000099.ids.tmp"), [1; 9]).unwrap();
    let (directory, unreadable) = IdDirectory::open(objects, folder()).unwrap();
    assert_eq!((unreadable, directory.size()), (Vec::new(), size));
    assert!(!data.path().join("_needle/ids/0000000099-00000.blocks").exists());
    assert!(!data.path().join("_needle/ids/0000000099.ids.tmp").exists());
    for origin in 0..20 {
        assert!(directory.covered().contains(origin));
        assert_eq!(found(&directory, keys(u64::from(origin), 2_000)[1_999]), BTreeSet::from([Origin(origin)]));
    }
    assert!(!directory.covered().contains(20));
    assert_eq!(directory.verify().unwrap(), Vec::<String>::new());
}
