//! Lookups through the store: nothing is missed whatever happens to the directory, and no shard is opened in vain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::FOLDER;
use crate::accept::{BodyFormat, Decoded, Incoming, RawRequest};
use crate::clock::SystemClock;
use crate::disk::{Disk, DiskFile, Entry, LocalDisk};
use crate::model::{LogRow, LogsBuilder, Record, RowIds, Signal, Tenant, UnixNanos, ValueKind};
use crate::predicate::{IdKind, IdTest, Predicate, TextTest};
use crate::settings::StoreSettings;
use crate::snapshot::{Known, Search};
use crate::store::Store;

/// `time request_id text` per line.
fn decode(request: &RawRequest) -> Result<Decoded, String> {
    let text = std::str::from_utf8(&request.body).map_err(|error| error.to_string())?;
    let mut builder = LogsBuilder::with_capacity(0);
    for line in text.lines() {
        let mut parts = line.splitn(3, ' ');
        let mut next = || parts.next().ok_or_else(|| format!("not a line: {line}"));
        let (time, id, body) = (next()?.parse().map_err(|_| "no time")?, next()?, next()?);
        let ids = RowIds { request_id: Some(id), ..RowIds::default() };
        builder.append(&LogRow { timestamp: UnixNanos(time), ids, body: Some((ValueKind::String, body)), ..LogRow::default() });
    }
    Ok(Decoded { signal: Signal::Logs, records: builder.finish(), own_times: true })
}

/// Notes which shards are read, and can refuse to write the directory.
#[derive(Clone, Debug, Default)]
struct WatchedDisk {
    shard_reads: Arc<Mutex<Vec<PathBuf>>>,
    directory_is_full: Arc<AtomicBool>,
}

impl Disk for WatchedDisk {
    fn create_folder(&self, path: &Path) -> std::io::Result<()> {
        LocalDisk.create_folder(path)
    }
    fn list(&self, folder: &Path) -> std::io::Result<Vec<Entry>> {
        LocalDisk.list(folder)
    }
    fn create(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        if self.directory_is_full.load(Ordering::Relaxed) && path.to_string_lossy().contains(FOLDER) {
            return Err(std::io::Error::other("no space left"));
        }
        LocalDisk.create(path)
    }
    fn open(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        LocalDisk.open(path)
    }
    fn open_read(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        if path.extension().is_some_and(|extension| extension == "parquet") {
            self.shard_reads.lock().push(path.to_owned());
        }
        LocalDisk.open_read(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        LocalDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        LocalDisk.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> std::io::Result<()> {
        LocalDisk.sync_folder(folder)
    }
}

struct House {
    folder: tempfile::TempDir,
    disk: WatchedDisk,
    settings: StoreSettings,
    store: Option<Arc<Store>>,
    /// The number of seals; each has an id of its own, and all have one in common.
    seals: usize,
}

const COMMON: &str = "7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e";

fn own_id(seal: usize) -> String {
    format!("order-{seal}")
}

impl House {
    async fn with_seals(seals: usize, merged_rows_max: u64) -> House {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            StoreSettings { data: folder.path().to_owned(), wal_segment_bytes: 64 << 10, merged_rows_max, ..StoreSettings::default() };
        let mut house = House { folder, disk: WatchedDisk::default(), settings, store: None, seals: 0 };
        house.start();
        for _ in 0..seals {
            house.seal().await;
        }
        house
    }

    fn start(&mut self) {
        let (disk, clock) = (Arc::new(self.disk.clone()), Arc::new(SystemClock::default()));
        self.store = Some(Store::open_with(&self.settings, Arc::new(decode), disk, clock, &mut Registry::default()).unwrap());
    }

    /// Without a shutdown everything is left to the log, the catalog and the files.
    fn crash(&mut self) {
        self.store = None;
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    async fn seal(&mut self) {
        let seal = self.seals;
        let text = format!("{seal}0 {} one\n{seal}1 {COMMON} two\n{seal}2 {} three", own_id(seal), own_id(seal));
        let (tenant, body) = (Tenant::default(), Bytes::from(text));
        let request = RawRequest { tenant, format: BodyFormat::TextLogs, arrival: UnixNanos(1), service: None, timezone: None, body };
        let decoded = decode(&request).unwrap();
        self.store().append(Incoming { request, decoded, idempotency_key: None }).await.unwrap();
        self.store().flush().await.unwrap();
        self.seals += 1;
    }

    /// Until nothing is left to do. The store's own thread may do some of it.
    fn look_after_directory(&self) {
        while self.store().tick_directory().unwrap() {}
    }

    fn by_id(&self, id: &str) -> Vec<Record> {
        let terms = IdTest::of(IdKind::Any, id).unwrap().terms();
        let found = self.store().snapshot(&Tenant::default()).by_ids(&terms, &Known::nothing(), &|| false).unwrap();
        assert_eq!(found.coverage.failures, Vec::<String>::new());
        assert_eq!(found.coverage.shards_searched, self.shards(), "what is ruled out counts");
        found.records
    }

    /// By search and by counting, together with a word.
    fn search(&self, id: &str) -> usize {
        let word = |text: &str| Predicate::Text(TextTest::Word(text.to_owned()));
        let id = Predicate::Id(IdTest::of(IdKind::Request, id).unwrap());
        let either = Predicate::Or(vec![word("one"), word("two"), word("three")]);
        let predicate = Predicate::And(vec![either, id]);
        let snapshot = self.store().snapshot(&Tenant::default());
        let (counted, coverage) = snapshot.count(&predicate, None, None, &|| false).unwrap();
        let found =
            snapshot.search(&Search { predicate, start: None, end: None, ascending: false, after: None, limit: 1_000 }, &|| false).unwrap();
        assert_eq!(found.coverage, coverage);
        assert_eq!((coverage.shards_searched, coverage.failures), (self.shards(), Vec::new()));
        assert_eq!(found.records.len() as u64, counted);
        found.records.len()
    }

    fn shards(&self) -> usize {
        self.store().shared.state.read().shards.len()
    }

    fn uncovered(&self) -> bool {
        let state = self.store().shared.state.read();
        !state.shards.origins().without(&self.store().shared.keep.lookup.covered()).is_empty()
    }

    fn finds_everything(&self) {
        for seal in 0..self.seals {
            assert_eq!(self.by_id(&own_id(seal)).len(), 2, "seal {seal} of {}", self.seals);
            assert_eq!(self.search(&own_id(seal)), 2, "seal {seal} of {}", self.seals);
        }
        assert_eq!(self.by_id(COMMON).len(), self.seals);
        assert_eq!(self.search(COMMON), self.seals);
        assert_eq!(self.by_id("order-unknown").len(), 0);
        assert_eq!(self.search("order-unknown"), 0);
    }

    fn opens_no_shard_in_vain(&self) {
        assert!(!self.uncovered());
        self.disk.shard_reads.lock().clear();
        for n in 0..20 {
            assert_eq!(self.by_id(&format!("unknown-{n}")).len() + self.search(&format!("unknown-{n}")), 0);
        }
        assert_eq!(*self.disk.shard_reads.lock(), Vec::<PathBuf>::new());
    }

    /// Which shards were read since this was asked last.
    fn shards_read(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut *self.disk.shard_reads.lock()).into_iter().collect()
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join(FOLDER)
    }

    /// Flips a bit in each file of the directory, at this part of its length.
    fn damage(&self, part: f64) {
        for file in std::fs::read_dir(self.directory()).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = (bytes.len() as f64 * part) as usize;
            bytes[at] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn a_lookup_opens_only_the_shards_that_have_the_id() {
    let mut house = House::with_seals(30, 1).await;
    house.finds_everything();
    house.opens_no_shard_in_vain();
    house.crash();
    house.start();
    house.opens_no_shard_in_vain();
    assert_eq!(house.by_id(&own_id(7)).len(), 2);
    let of_one = house.shards_read();
    assert_eq!(house.by_id(&own_id(9)).len(), 2);
    let of_other = house.shards_read();
    assert_eq!((of_one.len(), of_other.len(), of_one.union(&of_other).count()), (1, 1, 2));
    house.finds_everything();
}

#[tokio::test]
async fn merged_shards_are_found_by_the_seals_they_are_made_of() {
    let mut house = House::with_seals(20, 1_000).await;
    house.store().merge().await.unwrap();
    assert_eq!(house.shards(), 1);
    house.finds_everything();
    house.opens_no_shard_in_vain();
    house.seal().await;
    house.crash();
    house.start();
    house.finds_everything();
    house.opens_no_shard_in_vain();
}

#[tokio::test]
async fn a_directory_that_is_gone_is_made_anew_and_nothing_is_missed_meanwhile() {
    for merges in [false, true] {
        let mut house = House::with_seals(12, if merges { 1_000 } else { 1 }).await;
        if merges {
            house.store().merge().await.unwrap();
            house.seal().await;
        }
        house.crash();
        std::fs::remove_dir_all(house.directory()).unwrap();
        house.disk.directory_is_full.store(true, Ordering::Relaxed);
        house.start();
        assert!(house.uncovered());
        house.finds_everything();
        house.disk.directory_is_full.store(false, Ordering::Relaxed);
        house.look_after_directory();
        house.finds_everything();
        house.opens_no_shard_in_vain();
    }
}

#[tokio::test]
async fn a_damaged_directory_is_said_and_made_anew_and_nothing_is_missed_meanwhile() {
    for part in [0.0, 0.1, 0.5, 0.99] {
        for while_open in [true, false] {
            let mut house = House::with_seals(9, 1).await;
            house.look_after_directory();
            if !while_open {
                house.crash();
            }
            house.damage(part);
            if !while_open {
                house.start();
            }
            house.finds_everything();
            // Blocks are read by lookups, headers and tables at the next start.
            if part == 0.99 || !while_open {
                assert!(house.store().shared.metrics.directory_damaged_runs.get() > 0, "{part} {while_open}");
            }
            house.look_after_directory();
            house.finds_everything();
            house.opens_no_shard_in_vain();
            house.crash();
            house.start();
            house.finds_everything();
            house.look_after_directory();
            house.opens_no_shard_in_vain();
        }
    }
}

#[tokio::test]
async fn a_crash_between_publishing_and_adding_misses_nothing() {
    let mut house = House::with_seals(3, 1).await;
    house.disk.directory_is_full.store(true, Ordering::Relaxed);
    house.seal().await;
    assert!(house.uncovered());
    house.finds_everything();
    house.crash();
    house.start();
    house.finds_everything();
    house.disk.directory_is_full.store(false, Ordering::Relaxed);
    // A seal that succeeds does not cover the one that failed.
    house.seal().await;
    house.finds_everything();
    house.look_after_directory();
    house.finds_everything();
    house.opens_no_shard_in_vain();
}

#[tokio::test]
async fn a_number_that_the_directory_knows_is_never_given_again() {
    let mut house = House::with_seals(4, 1).await;
    house.crash();
    // As after restoring a catalog that knows nothing of the seals, and none of their shards.
    std::fs::remove_dir_all(house.folder.path().join("default")).unwrap();
    let position = |house: &House| house.store().shared.keep.next_origin.load(Ordering::Relaxed);
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let path = house.folder.path().join("_needle").join(file);
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    house.start();
    assert_eq!(position(&house), 5);
}

#[tokio::test]
async fn parts_of_the_directory_are_merged_and_counted() {
    let house = House::with_seals(20, 1).await;
    house.look_after_directory();
    let metrics = &house.store().shared.metrics;
    assert!(metrics.directory_runs.get() <= 7, "{}", metrics.directory_runs.get());
    assert!(metrics.directory_bytes.get() > 0);
    let (lookups, reads) = (metrics.directory_lookups.get(), metrics.directory_reads.get());
    house.by_id(COMMON);
    assert_eq!(metrics.directory_lookups.get(), lookups + 1);
    // A UUID may be a request id or a trace id: two keys, which lie in one block here.
    assert_eq!(metrics.directory_reads.get(), reads + metrics.directory_runs.get() as u64);
    house.finds_everything();
}

#[tokio::test]
async fn what_is_deleted_leaves_the_directory() {
    let house = House::with_seals(5, 1).await;
    let terms = (0..5).map(own_id).chain([COMMON.to_owned()]).flat_map(|id| IdTest::of(IdKind::Any, &id).unwrap().terms()).collect();
    let deleted = house.store().delete(&Tenant::default(), terms).await.unwrap();
    assert_eq!((deleted.records, deleted.coverage.shards_searched), (15, 5));
    while house.store().tick_retire().unwrap() {}
    house.look_after_directory();
    let metrics = &house.store().shared.metrics;
    assert_eq!((house.shards(), metrics.directory_runs.get(), metrics.directory_bytes.get()), (0, 0, 0));
}

#[tokio::test]
async fn retiring_reads_only_the_shards_that_have_what_was_deleted() {
    let mut house = House::with_seals(30, 1).await;
    house.crash();
    house.start();
    house.shards_read();
    let terms = IdTest::of(IdKind::Any, &own_id(7)).unwrap().terms();
    assert_eq!(house.store().delete(&Tenant::default(), terms).await.unwrap().records, 2);
    while house.store().tick_retire().unwrap() {}
    let written_anew = house.shards_read();
    assert_eq!(written_anew.len(), 1, "{written_anew:?}");
    assert!(house.store().shared.keep.catalog.tombstones().unwrap().is_empty());
    assert_eq!((house.by_id(&own_id(7)).len(), house.by_id(COMMON).len()), (0, 30));
}
