//! A replay that is stopped at will, by a decoder that waits.

use std::collections::BTreeSet;
use std::path::Path as FilePath;

use parking_lot::{Condvar, Mutex};
use prometheus_client::registry::Registry;

use crate::accept::Accepted;
use crate::model::{RecordId, Tenant};
use crate::predicate::{IdKind, IdTest, Predicate};
use crate::settings::StoreSettings;
use crate::snapshot::{Found, Search};
use crate::store::Store;
use crate::store::tests::{decode, everything, incoming, open};
use std::sync::Arc;

/// Lets so many frames through.
#[derive(Default)]
struct Gate {
    open: Mutex<usize>,
    opened: Condvar,
}

impl Gate {
    fn let_through(&self, frames: usize) {
        *self.open.lock() += frames;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut open = self.open.lock();
        while *open == 0 {
            self.opened.wait(&mut open);
        }
        *open -= 1;
    }
}

fn settings(folder: &FilePath) -> StoreSettings {
    // Nothing is sealed but by the test.
    let (seal_interval_ms, replay_at_open_bytes_max) = (86_400_000, 0);
    StoreSettings {
        data: folder.to_owned(),
        wal_segment_bytes: 4096,
        seal_interval_ms,
        replay_at_open_bytes_max,
        ..StoreSettings::default()
    }
}

fn open_gated(folder: &FilePath) -> (Arc<Store>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let own = gate.clone();
    let gated = move |request: &_| {
        own.pass();
        decode(request)
    };
    (Store::open(&settings(folder), Arc::new(gated), &mut Registry::default()).unwrap(), gate)
}

/// Ends it in the middle of its replay.
fn crash(store: Arc<Store>, gate: &Gate) {
    store.shared.closing.store(true, std::sync::atomic::Ordering::Relaxed);
    gate.let_through(1);
    drop(store);
}

fn found(store: &Store) -> Found {
    let search = Search { predicate: Predicate::All, start: None, end: None, ascending: true, after: None, limit: usize::MAX };
    store.snapshot(&Tenant::default()).search(&search, &|| false).unwrap()
}

fn numbers(store: &Store) -> Vec<u64> {
    found(store).records.iter().map(|record| record.common().record_id.0).collect()
}

fn accepted(store: &Store, from: u64) -> (Vec<u64>, u64, Vec<String>) {
    let after = store.snapshot(&Tenant::default()).accepted_from(RecordId(from), &Predicate::All, 100).unwrap();
    let numbers = after.records.iter().map(|record| record.common().record_id.0).collect();
    (numbers, after.next.0, after.coverage.failures)
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

async fn append(store: &Store, number: u64) -> Accepted {
    store.append(incoming(&format!("{number} order-{number} record {number}"))).await.unwrap()
}

/// A folder whose log holds records 1 to 5, each in a frame of its own.
async fn five() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_gated(folder.path());
    for number in 1..=5 {
        append(&store, number).await;
    }
    folder
}

fn shards_on_disk(folder: &FilePath) -> BTreeSet<String> {
    let mut folders = vec![folder.to_owned()];
    let mut shards = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                shards.insert(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    shards
}

fn published(store: &Store) -> usize {
    store.shared.keep.catalog.shards().unwrap().len()
}

#[tokio::test]
async fn records_are_accepted_while_the_log_is_replayed_and_answers_say_what_is_missing() {
    let folder = five().await;
    let (store, gate) = open_gated(folder.path());
    assert_eq!(store.not_ready(), Vec::<String>::new());
    assert_eq!(store.not_readable(), ["replaying the log: 0 of 1 MB"]);
    assert_eq!(append(&store, 6).await, Accepted { stored: 1, deduplicated: 0 });
    assert_eq!((numbers(&store), found(&store).coverage.failures), (vec![6], vec!["replaying the log: 0 of 1 MB".to_owned()]));
    gate.let_through(2);
    wait_for("two records", || numbers(&store) == [1, 2, 6]);
    gate.let_through(3);
    wait_for("the end", || store.not_readable().is_empty());
    assert_eq!((numbers(&store), found(&store).coverage.failures), (vec![1, 2, 3, 4, 5, 6], Vec::new()));
    append(&store, 7).await;
    store.flush().await.unwrap();
    assert_eq!(published(&store), 1, "what was replayed and what came since is one again");
    assert_eq!(everything(&store).len(), 7);
}

#[tokio::test]
async fn what_is_repeated_before_it_is_replayed_is_recognised() {
    let folder = five().await;
    let (store, gate) = open_gated(folder.path());
    for number in 1..=5 {
        assert_eq!(append(&store, number).await, Accepted { stored: 0, deduplicated: 1 });
    }
    gate.let_through(9);
    wait_for("the end", || store.not_readable().is_empty());
    assert_eq!(numbers(&store), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_is_sealed_meanwhile_is_published_with_the_end_of_the_replay() {
    let folder = five().await;
    let (store, gate) = open_gated(folder.path());
    for number in 6..=8 {
        append(&store, number).await;
        store.shared.seal_all().unwrap();
    }
    assert_eq!((published(&store), shards_on_disk(folder.path()).len(), numbers(&store)), (0, 3, vec![6, 7, 8]));
    store.merge().await.unwrap();
    assert_eq!(shards_on_disk(folder.path()).len(), 3, "what the catalog does not know is not merged");
    gate.let_through(5);
    store.flush().await.unwrap();
    assert_eq!((published(&store), numbers(&store)), (4, (1..=8).collect()));
    store.merge().await.unwrap();
    assert_eq!((published(&store), numbers(&store)), (1, (1..=8).collect()));
    drop(store);
    assert_eq!(numbers(&open(folder.path())), (1..=8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_replay_loses_and_doubles_nothing() {
    for let_through in 0..5 {
        let folder = five().await;
        let (store, gate) = open_gated(folder.path());
        append(&store, 6).await;
        store.shared.seal_all().unwrap();
        append(&store, 7).await;
        gate.let_through(let_through);
        crash(store, &gate);
        // Again, further on.
        let (store, gate) = open_gated(folder.path());
        append(&store, 8).await;
        store.shared.seal_all().unwrap();
        gate.let_through(let_through);
        crash(store, &gate);
        let store = open(folder.path());
        assert_eq!(numbers(&store), (1..=8).collect::<Vec<_>>());
        assert_eq!(append(&store, 6).await.deduplicated, 1);
        store.flush().await.unwrap();
        assert_eq!((shards_on_disk(folder.path()).len(), published(&store)), (1, 1), "what a crash left is gone");
        assert_eq!(numbers(&store), (1..=8).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_is_deleted_before_it_is_replayed_stays_deleted() {
    let folder = five().await;
    let (store, gate) = open_gated(folder.path());
    let order = IdTest::of(IdKind::Any, "order-3").unwrap();
    let deleted = store.delete(&Tenant::default(), order.terms()).await.unwrap();
    assert_eq!((deleted.records, deleted.coverage.failures.len()), (0, 1), "it is not said to be nowhere");
    while store.tick_retire().unwrap() {}
    gate.let_through(5);
    wait_for("the end", || store.not_readable().is_empty());
    assert_eq!(numbers(&store), [1, 2, 4, 5]);
    store.flush().await.unwrap();
    drop(store);
    assert_eq!(numbers(&open(folder.path())), [1, 2, 4, 5]);
}

#[tokio::test]
async fn who_follows_from_before_the_start_gets_every_record_in_order() {
    let folder = five().await;
    let (store, gate) = open_gated(folder.path());
    append(&store, 6).await;
    assert_eq!(accepted(&store, 2), (vec![], 2, vec![]), "what came since waits for what is replayed");
    assert_eq!(accepted(&store, 6), (vec![6], 7, vec![]), "who follows since the start misses nothing");
    gate.let_through(3);
    wait_for("three records", || numbers(&store).len() == 4);
    assert_eq!(accepted(&store, 2), (vec![2, 3], 4, vec![]));
    gate.let_through(2);
    wait_for("the end", || store.not_readable().is_empty());
    assert_eq!(accepted(&store, 4), (vec![4, 5, 6], 7, vec![]));
}

/// A shard of a seal that nobody published may hold what cannot be decoded any more.
#[tokio::test]
async fn what_a_crash_left_stays_where_the_log_cannot_be_decoded() {
    let folder = five().await;
    let (store, gate) = open_gated(folder.path());
    append(&store, 6).await;
    store.shared.seal_all().unwrap();
    crash(store, &gate);
    let refusing = |request: &crate::accept::RawRequest| match request.body.starts_with(b"4 ") {
        true => panic!("a fault of the decoder"),
        false => decode(request),
    };
    let store = Store::open(&settings(folder.path()), Arc::new(refusing), &mut Registry::default()).unwrap();
    wait_for("the end", || store.not_readable().is_empty());
    let found = found(&store);
    assert_eq!(found.records.len(), 5, "all but the one that is set aside");
    assert!(found.coverage.failures[0].contains("is not in the catalog"), "{:?}", found.coverage.failures);
    assert!(folder.path().join("_needle/undecodable/00000000000000000004.frame").exists());
}

/// A seal that nobody published, of frames that a later replay split otherwise.
#[tokio::test]
async fn a_seal_that_others_overtook_leaves_nothing_behind() {
    let folder = five().await;
    let seal_each = StoreSettings { live_bytes_seal: 1, ..settings(folder.path()) };
    // A shard of frames 1 to 5 that a crash kept from the catalog.
    let catalog = folder.path().join("_needle/catalog.db");
    let before = std::fs::read(&catalog).unwrap();
    let store = open(folder.path());
    let log = tempfile::tempdir().unwrap();
    copy_files(&folder.path().join("_needle/wal"), log.path());
    store.flush().await.unwrap();
    drop(store);
    for suffix in ["-wal", "-shm"] {
        _ = std::fs::remove_file(format!("{}{suffix}", catalog.display()));
    }
    std::fs::write(&catalog, before).unwrap();
    copy_files(log.path(), &folder.path().join("_needle/wal"));
    assert_eq!(shards_on_disk(folder.path()).len(), 1);
    // The next start publishes a seal of the first of them, and crashes.
    let gate = Arc::new(Gate::default());
    let own = gate.clone();
    let gated = move |request: &crate::accept::RawRequest| {
        own.pass();
        decode(request)
    };
    let store = Store::open(&seal_each, Arc::new(gated), &mut Registry::default()).unwrap();
    gate.let_through(2);
    wait_for("a seal", || published(&store) == 1);
    crash(store, &gate);
    let store = open(folder.path());
    assert_eq!((numbers(&store), found(&store).coverage.failures), ((1..=5).collect(), Vec::new()));
    store.flush().await.unwrap();
    assert_eq!(shards_on_disk(folder.path()).len(), published(&store));
}

fn copy_files(from: &FilePath, to: &FilePath) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
