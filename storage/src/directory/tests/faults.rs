//! Bytes that are not what was written, and a store that refuses: found, said, and nothing is missed.

use std::collections::BTreeMap;

use super::*;

const ORIGINS: u32 = 9;

fn own_keys(origin: u32) -> Vec<IdKey> {
    keys(u64::from(origin), if origin < 8 { 700 } else { 3 })
}

/// A merged run of several pieces and blocks, and a small one.
fn prepared() -> Arc<Watched> {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, 2);
    (0..8).for_each(|origin| directory.add(&[(Origin(origin), own_keys(origin))]).unwrap());
    merge_all(&directory, apart);
    directory.add(&[(Origin(8), own_keys(8))]).unwrap();
    assert_eq!(directory.size().runs, 2);
    assert!(objects.names().len() >= 4, "{:?}", objects.names());
    objects
}

/// Looks up ids of every origin; what was not found may not be called covered. What was said about damage.
fn look_up(directory: &IdDirectory) -> Vec<String> {
    let mut said = Vec::new();
    for origin in 0..ORIGINS {
        let own = own_keys(origin);
        let keys: Vec<IdKey> = own.iter().copied().step_by(own.len().div_ceil(3)).collect();
        for key in keys {
            let hits = directory.find(&[key]);
            assert!(hits.may_hold(Origin(origin)), "origin {origin} is missed");
            if !hits.origins.contains(&Origin(origin)) {
                assert!(!directory.covered().contains(origin), "origin {origin} is called covered");
            }
            said.extend(hits.unreadable);
        }
    }
    said
}

/// The object of the directory, and the bytes in it, that this bit of all its bits is in.
fn located(copy: &[(Path, Vec<u8>)], mut bit: usize) -> (&Path, &[u8], usize) {
    for (path, bytes) in copy {
        if bit < bytes.len() * 8 {
            return (path, bytes, bit);
        }
        bit -= bytes.len() * 8;
    }
    unreachable!("the bit is below the sum of all lengths")
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_no_origin_is_missed() {
    let objects = prepared();
    let copy = objects.copy();
    let bits: usize = copy.iter().map(|(_, bytes)| bytes.len() * 8).sum();
    for (n, IdKey(random)) in keys(2_026, 2_400).into_iter().enumerate() {
        let (path, bytes, bit) = located(&copy, (random % bits as u64) as usize);
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);

        // Half of them flip below an open directory, half before it is opened.
        let mut said = Vec::new();
        let directory = if n % 2 == 0 {
            let directory = open(&objects, 2);
            objects.set(path, &flipped);
            directory
        } else {
            objects.set(path, &flipped);
            let (directory, unreadable) = IdDirectory::open_with(objects.clone(), folder(), 2).unwrap();
            said = unreadable;
            directory
        };
        said.extend(look_up(&directory));
        said.extend(directory.verify().unwrap());
        assert_eq!(said.len(), 1, "bit {bit} of {path}: {said:?}");
        let run = path.filename().unwrap()[..10].to_owned();
        assert!(said[0].contains(&run), "bit {bit} of {path}: {said:?}");
        assert_eq!(look_up(&directory), Vec::<String>::new(), "what is damaged is no longer looked at");
        copy.iter().for_each(|(path, bytes)| objects.set(path, bytes));
    }
}

#[test]
fn a_cut_or_missing_object_is_found_at_the_next_start_and_can_be_made_anew() {
    let objects = prepared();
    let copy = objects.copy();
    for (path, bytes) in &copy {
        for end in [None, Some(0), Some(1), Some(55), Some(56), Some(bytes.len() / 2), Some(bytes.len() - 1)] {
            match end {
                None => objects.remove(path),
                Some(end) => objects.set(path, &bytes[..end.min(bytes.len() - 1)]),
            }
            let (directory, unreadable) = IdDirectory::open_with(objects.clone(), folder(), 2).unwrap();
            // Without the object that makes it a run there is no run, and nobody knows there was one.
            let is_unknown = end.is_none() && path.filename().unwrap().ends_with(".ids");
            assert_eq!(unreadable.len(), usize::from(!is_unknown), "{path} cut at {end:?}: {unreadable:?}");
            assert_eq!(look_up(&directory), Vec::<String>::new());
            let missing: Vec<_> = (0..ORIGINS).filter(|n| !directory.covered().contains(*n)).map(|n| (Origin(n), own_keys(n))).collect();
            assert!(!missing.is_empty());
            directory.add(&missing).unwrap();
            drop(directory);
            let again = open(&objects, 2);
            assert_eq!(again.covered().to_string(), format!("0-{}", ORIGINS - 1));
            objects.names().iter().for_each(|path| objects.remove(path));
            copy.iter().for_each(|(path, bytes)| objects.set(path, bytes));
        }
    }
}

#[test]
fn a_run_of_a_newer_version_is_said_covers_nothing_and_stays() {
    let objects = prepared();
    let names = objects.names();
    let path = names.iter().find(|path| path.filename().unwrap().ends_with(".ids")).unwrap();
    let mut newer = objects.bytes(path);
    newer[4] += 1;
    objects.set(path, &newer);
    let (directory, unreadable) = IdDirectory::open_with(objects.clone(), folder(), 2).unwrap();
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].contains("has format 3, this needle reads up to 2"), "{unreadable:?}");
    assert_eq!(look_up(&directory), Vec::<String>::new());
    assert_eq!(directory.covered().iter().count(), 1);
    directory.add(&[(Origin(20), keys(20, 5))]).unwrap();
    assert_eq!(objects.names().len(), names.len() + 1, "its number is not given again");
    assert_eq!(objects.bytes(path), newer);
}

#[test]
fn a_run_of_an_older_version_is_removed_for_a_new_one() {
    let objects = prepared();
    let names = objects.names();
    for path in names.iter().filter(|path| path.filename().unwrap().ends_with(".ids")) {
        let mut older = objects.bytes(path);
        older[4] = 1;
        objects.set(path, &older);
    }
    let (directory, unreadable) = IdDirectory::open_with(objects.clone(), folder(), 2).unwrap();
    assert_eq!(unreadable, Vec::<String>::new(), "it is no damage");
    assert_eq!(objects.names(), Vec::<Path>::new());
    assert_eq!(directory.covered().iter().count(), 0, "so each shard is asked until it is added again");
}

#[test]
fn a_run_in_the_place_of_another_is_refused() {
    let objects = prepared();
    let runs: Vec<Path> = objects.names().into_iter().filter(|path| path.filename().unwrap().ends_with(".ids")).collect();
    objects.set(&runs[0], &objects.bytes(&runs[1]));
    let (directory, unreadable) = IdDirectory::open_with(objects.clone(), folder(), 2).unwrap();
    assert!(unreadable[0].contains("is damaged (it is run"), "{unreadable:?}");
    look_up(&directory);
}

#[test]
fn a_merge_of_a_damaged_run_is_refused_and_the_next_one_does_without() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, PIECE_BLOCKS);
    (0..9).for_each(|origin| directory.add(&[(Origin(origin), own_keys(origin))]).unwrap());
    let path = objects.names()[3].clone();
    let mut flipped = objects.bytes(&path);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    objects.set(&path, &flipped);
    let error = directory.tick_merge(apart, never).unwrap_err().to_string();
    assert!(error.contains(path.as_ref()), "{error}");
    merge_all(&directory, apart);
    assert_eq!(directory.covered().to_string(), "0-2,4-8");
    assert_eq!(look_up(&directory), Vec::<String>::new());
    assert!(!objects.names().contains(&path));
}

#[test]
fn a_read_that_is_refused_costs_one_answer_and_not_the_run() {
    let objects = prepared();
    let directory = open(&objects, 2);
    objects.gets_refused.store(1, Ordering::Relaxed);
    let key = own_keys(8)[0];
    let hits = directory.find(&[key]);
    assert_eq!(hits.unreadable.len(), 1);
    let uncovered: Vec<u32> = (0..ORIGINS).filter(|n| *n != 8 && hits.may_hold(Origin(*n))).collect();
    assert_eq!(uncovered, (0..8).collect::<Vec<_>>());
    assert_eq!(found(&directory, key), BTreeSet::from([Origin(8)]));
}

#[test]
fn a_write_that_is_refused_leaves_everything_as_it_was() {
    let objects = Arc::new(Watched::new());
    let directory = open(&objects, 1);
    (0..8).for_each(|origin| directory.add(&[(Origin(origin), own_keys(origin))]).unwrap());
    let before: BTreeMap<_, _> = objects.copy().into_iter().collect();
    for puts_left in 0..4 {
        objects.puts_left.store(puts_left, Ordering::Relaxed);
        assert!(directory.tick_merge(apart, never).is_err());
        assert!(directory.add(&[(Origin(8), keys(8, 9_000))]).is_err());
        assert_eq!(objects.copy().into_iter().collect::<BTreeMap<_, _>>(), before);
        assert!(!directory.covered().contains(8));
    }
    objects.puts_left.store(usize::MAX, Ordering::Relaxed);
    merge_all(&directory, apart);
    assert_eq!(directory.size().runs, 1);
    assert_eq!(look_up(&directory), Vec::<String>::new());
}
