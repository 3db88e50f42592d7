//! The store from outside: accept, read, seal, crash, recover.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::*;
use crate::accept::{BodyFormat, Decoded, RawRequest};
use crate::catalog::ShardMeta;
use crate::disk::{DiskFile, Entry};
use crate::model::{LogRow, LogsBuilder, NormalId, Record, RowIds, Severity, Signal, UnixNanos};
use crate::predicate::{IdKind, IdTest, Predicate, TextTest};
use crate::snapshot::{Known, Search};

/// `time request_id text` per line, all of service `shop`.
pub(crate) fn decode(request: &RawRequest) -> Result<Decoded, String> {
    let text = std::str::from_utf8(&request.body).map_err(|error| error.to_string())?;
    let mut builder = LogsBuilder::with_capacity(0);
    builder.set_resource(Some(r#"{"service.name":"shop"}"#), Some("shop"));
    for line in text.lines() {
        let mut parts = line.splitn(3, ' ');
        let mut next = || parts.next().ok_or_else(|| format!("not a line: {line}"));
        let (time, request_id, body) = (next()?.parse().map_err(|_| "no time")?, next()?, next()?);
        builder.append(&LogRow {
            timestamp: UnixNanos(time),
            ids: RowIds { request_id: NormalId::of(request_id).map(|_| request_id), ..RowIds::default() },
            severity: Severity::INFO,
            body: Some((crate::model::ValueKind::String, body)),
            ..LogRow::default()
        });
    }
    Ok(Decoded { signal: Signal::Logs, records: builder.finish(), own_times: true })
}

fn settings(folder: &Path) -> StoreSettings {
    StoreSettings { data: folder.to_owned(), wal_segment_bytes: 64 << 10, ..StoreSettings::default() }
}

pub(crate) fn open(folder: &Path) -> Arc<Store> {
    Store::open(&settings(folder), Arc::new(decode), &mut Registry::default()).unwrap()
}

pub(crate) fn incoming(text: &str) -> Incoming {
    let request = RawRequest {
        tenant: Tenant::default(),
        format: BodyFormat::TextLogs,
        arrival: SystemClock::default().now(),
        service: None,
        timezone: None,
        body: Bytes::copy_from_slice(text.as_bytes()),
    };
    let decoded = decode(&request).unwrap();
    Incoming { request, decoded, idempotency_key: None }
}

fn bodies(records: &[Record]) -> Vec<String> {
    let body = |record: &Record| match record {
        Record::Log(log) => log.body.as_ref().map(crate::model::Value::text).unwrap_or_default(),
        Record::Span(span) => span.name.clone(),
    };
    records.iter().map(body).collect()
}

fn search(store: &Store, predicate: Predicate, limit: usize) -> Vec<String> {
    let search = Search { predicate, start: None, end: None, ascending: false, after: None, limit };
    let found = store.snapshot(&Tenant::default()).search(&search, &|| false).unwrap();
    assert_eq!(found.coverage.failures, Vec::<String>::new());
    bodies(&found.records)
}

pub(crate) fn everything(store: &Store) -> Vec<String> {
    search(store, Predicate::All, usize::MAX)
}

fn word(text: &str) -> Predicate {
    Predicate::Text(TextTest::Word(text.to_owned()))
}

#[tokio::test]
async fn records_are_found_at_the_acknowledgement_after_sealing_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accepted = store.append(incoming("30 req-1 third payment\n10 req-1 first\n20 req-2 second payment")).await.unwrap();
    assert_eq!(accepted, Accepted { stored: 3, deduplicated: 0 });
    let check = |store: &Store| {
        assert_eq!(everything(store), ["third payment", "second payment", "first"]);
        assert_eq!(search(store, word("payment"), 10), ["third payment", "second payment"]);
        assert_eq!(search(store, word("payment"), 1), ["third payment"]);
        assert_eq!(search(store, Predicate::Not(Box::new(word("payment"))), 10), ["first"]);
        let id = IdTest::of(IdKind::Any, "req-1").unwrap();
        let found = store.snapshot(&Tenant::default()).by_ids(&id.terms(), &Known::nothing(), &|| false).unwrap();
        assert_eq!(bodies(&found.records), ["first", "third payment"]);
    };
    check(&store);
    store.flush().await.unwrap();
    check(&store);
    store.shutdown().await;
    drop(store);
    check(&open(folder.path()));
}

#[tokio::test]
async fn many_small_requests_become_few_batches_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..200 {
        store.append(incoming(&format!("{n} req-{n} text {n}"))).await.unwrap();
    }
    // Beside the thread that does the same.
    while store.shared.tick_join() {}
    let batches = store.shared.state.read().accepted.current.len();
    assert!(batches < 10, "{batches} batches");
    let newest_first: Vec<String> = (0..200).rev().map(|n| format!("text {n}")).collect();
    assert_eq!(everything(&store), newest_first);
    assert_eq!(store.shared.live_bytes.load(Ordering::Relaxed), store.shared.state.read().accepted.bytes());
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_once_whenever_it_happens() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected: Vec<String> = Vec::new();
    for round in 0..6_u32 {
        // Dropping without a shutdown leaves everything to the log, as a crash does.
        let store = open(folder.path());
        for n in 0..5_u32 {
            let text = format!("round {round} batch {n}");
            store.append(incoming(&format!("{} r{round} {text}", round * 10 + n))).await.unwrap();
            expected.insert(0, text);
            if (round + n) % 4 == 0 {
                store.flush().await.unwrap();
            }
        }
        assert_eq!(everything(&store), expected);
    }
    assert_eq!(everything(&open(folder.path())), expected);
}

#[tokio::test]
async fn a_repeated_request_is_acknowledged_and_stored_once_also_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let again = || incoming("10 req-1 once");
    assert_eq!(store.append(again()).await.unwrap().stored, 1);
    assert_eq!(store.append(again()).await.unwrap(), Accepted { stored: 0, deduplicated: 1 });
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.append(again()).await.unwrap().deduplicated, 1, "known from the log");
    store.flush().await.unwrap();
    store.append(incoming("11 req-1 twice")).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.append(again()).await.unwrap().deduplicated, 1, "known from the catalog");
    assert_eq!(everything(&store), ["twice", "once"]);
}

#[tokio::test]
async fn equal_requests_at_the_same_time_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let sends = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.append(incoming("10 req-1 once")).await.unwrap() })
    });
    let mut stored = 0;
    for send in sends.collect::<Vec<_>>() {
        stored += send.await.unwrap().stored;
    }
    assert_eq!((stored, everything(&store).len()), (1, 1));
}

#[tokio::test]
async fn records_without_a_time_of_their_own_may_come_twice_unless_a_key_says_they_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let untimed = |key: Option<&str>| {
        let mut incoming = incoming("10 req-1 tick");
        incoming.decoded.own_times = false;
        incoming.idempotency_key = key.map(str::to_owned);
        incoming
    };
    for key in [None, None, Some("a"), Some("a"), Some("b")] {
        store.append(untimed(key)).await.unwrap();
    }
    assert_eq!(everything(&store).len(), 4);
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // Many equal times: the order is total all the same.
    for part in 0..4 {
        let lines: Vec<String> = (0..50).map(|n| format!("{} r{n} line {part}-{n}", n % 7)).collect();
        store.append(incoming(&lines.join("\n"))).await.unwrap();
        if part % 2 == 0 {
            store.flush().await.unwrap();
        }
    }
    for ascending in [false, true] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Search { predicate: Predicate::All, start: None, end: None, ascending, after, limit: 13 };
            let found = store.snapshot(&Tenant::default()).search(&page, &|| false).unwrap();
            after = found.records.last().map(|record| (record.common().time, record.common().record_id));
            seen.extend(found.records);
            if !found.more {
                break;
            }
        }
        let places: Vec<_> = seen.iter().map(|record| (record.common().time, record.common().record_id)).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if !ascending {
            sorted.reverse();
        }
        assert_eq!(places, sorted);
        assert_eq!(places.len(), 200);
    }
}

#[tokio::test]
async fn a_page_ends_when_it_holds_enough_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "long ".repeat(4_000);
    let lines: Vec<String> = (0..250).map(|n| format!("{n} r{n} {long}")).collect();
    for part in lines.chunks(50) {
        store.append(incoming(&part.join("\n"))).await.unwrap();
    }
    for sealed in [false, true] {
        if sealed {
            store.flush().await.unwrap();
        }
        let (mut times, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = Search { predicate: word("long"), start: None, end: None, ascending: true, after, limit: 1_000 };
            let found = store.snapshot(&Tenant::default()).search(&page, &|| false).unwrap();
            assert!(found.records.iter().map(Record::size_bytes).sum::<usize>() < 4 << 20, "{}", found.records.len());
            after = found.records.last().map(|record| (record.common().time, record.common().record_id));
            times.extend(found.records.iter().map(|record| record.common().time.0));
            pages += 1;
            if !found.more {
                break;
            }
        }
        assert_eq!(times, (0..250).collect::<Vec<u64>>());
        assert!(pages > 1, "five megabytes are more than a page");
    }
}

#[tokio::test]
async fn a_withdrawn_question_has_the_whole_answer_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for part in 0..3 {
        let lines: Vec<String> = (0..400).map(|n| format!("{n} r{n} line {part} of {}", n % 7)).collect();
        store.append(incoming(&lines.join("\n"))).await.unwrap();
        if part == 1 {
            store.flush().await.unwrap();
        }
    }
    let any =
        Predicate::Or(vec![word("3"), word("5"), Predicate::Not(Box::new(word("of"))), Predicate::Text(TextTest::Prefix("6".to_owned()))]);
    let search = Search { predicate: any, start: None, end: None, ascending: false, after: None, limit: usize::MAX };
    let snapshot = store.snapshot(&Tenant::default());
    let whole = snapshot.search(&search, &|| false).unwrap().records;
    let (mut withdrawn, mut patience) = (0, 0);
    loop {
        let asked = std::cell::Cell::new(0);
        match snapshot.search(&search, &|| asked.replace(asked.get() + 1) >= patience) {
            Err(error) => {
                assert_eq!(error, crate::snapshot::ReadError::Cancelled);
                assert!(asked.get() <= patience + 20, "it goes on after it was withdrawn");
                (withdrawn, patience) = (withdrawn + 1, patience + 1);
            }
            Ok(found) => {
                assert_eq!(found.records, whole);
                break;
            }
        }
    }
    assert!(withdrawn > 10, "it asks while it works");
}

#[tokio::test]
async fn commit_order_is_read_from_live_records_and_shards_alike() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut accepted = store.accepted();
    for n in 0..9 {
        store.append(incoming(&format!("{} r line {n}", 100 - n))).await.unwrap();
        if n == 4 {
            store.flush().await.unwrap();
        }
    }
    assert!(accepted.has_changed().unwrap());
    let end = *accepted.borrow_and_update();
    let first = store.snapshot(&Tenant::default()).accepted_from(RecordId(3), &Predicate::All, 4).unwrap();
    assert_eq!(bodies(&first.records), ["line 2", "line 3", "line 4", "line 5"]);
    let rest = store.snapshot(&Tenant::default()).accepted_from(first.next, &Predicate::All, 100).unwrap();
    assert_eq!(bodies(&rest.records), ["line 6", "line 7", "line 8"]);
    assert_eq!(rest.next, end);
}

#[tokio::test]
async fn a_damaged_shard_is_named_and_the_rest_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(incoming("10 req-1 sealed first")).await.unwrap();
    store.flush().await.unwrap();
    let shard = store.snapshot(&Tenant::default());
    drop(shard);
    let path = folder.path().join(&store.shared.state.read().shards[0].path);
    std::fs::write(&path, vec![0; std::fs::metadata(&path).unwrap().len() as usize]).unwrap();
    store.append(incoming("20 req-1 sealed second")).await.unwrap();
    store.flush().await.unwrap();
    store.append(incoming("30 req-1 live")).await.unwrap();
    let all = Search { predicate: Predicate::All, start: None, end: None, ascending: false, after: None, limit: 10 };
    let found = store.snapshot(&Tenant::default()).search(&all, &|| false).unwrap();
    assert_eq!(bodies(&found.records), ["live", "sealed second"]);
    assert!(found.coverage.failures[0].contains("default/logs/1970-01-01"), "{:?}", found.coverage.failures);
}

#[test]
fn a_folder_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = Store::open(&settings(folder.path()), Arc::new(decode), &mut Registry::default());
    let error = second.expect_err("the folder is taken");
    let OpenError::Locked { holder, .. } = &error else { panic!("another error") };
    let (id, host) = holder.split_once(" on ").expect("a process and its machine");
    assert_eq!((id, host.is_empty()), (std::process::id().to_string().as_str(), false));
    assert!(error.to_string().contains(&format!("in use by process {id} on {host}: stop")), "{error}");
    drop(first);
    open(folder.path());
}

#[tokio::test]
async fn live_memory_is_bounded_and_frees_by_sealing() {
    let folder = tempfile::tempdir().unwrap();
    let small = StoreSettings { live_bytes_seal: 16 << 10, live_bytes_max: 64 << 10, ..settings(folder.path()) };
    let store = Store::open(&small, Arc::new(decode), &mut Registry::default()).unwrap();
    let mut stored = 0;
    let mut pushed_back = 0;
    for n in 0..400 {
        match store.append(incoming(&format!("{n} r{n} line {n} {}", "x".repeat(1_000)))).await {
            Ok(accepted) => stored += accepted.stored,
            Err(AppendError::Full { .. }) => {
                pushed_back += 1;
                store.flush().await.unwrap();
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stored + pushed_back, 400);
    assert_eq!(everything(&store).len(), stored);
    let live_bytes = store.shared.live_bytes.load(Ordering::Relaxed);
    assert!(live_bytes <= small.live_bytes_max, "{live_bytes} bytes, {pushed_back} pushed back");
}

fn shard_files(folder: &Path) -> usize {
    let mut folders = vec![folder.join("default")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
            }
        }
    }
    files
}

#[tokio::test]
async fn small_shards_become_one_and_their_files_go_when_nobody_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..10 {
        store.append(incoming(&format!("{n} r line {n}"))).await.unwrap();
        store.flush().await.unwrap();
    }
    let expected = everything(&store);
    let reading = store.snapshot(&Tenant::default());
    store.merge().await.unwrap();
    assert_eq!(store.shared.state.read().shards.len(), 1);
    assert_eq!(everything(&store), expected);
    let all = Search { predicate: Predicate::All, start: None, end: None, ascending: false, after: None, limit: 100 };
    assert_eq!(bodies(&reading.search(&all, &|| false).unwrap().records), expected, "a snapshot keeps its shards");
    drop(reading);
    store.merge().await.unwrap();
    assert_eq!(shard_files(folder.path()), 1);
    assert_eq!(everything(&store), expected);
}

#[tokio::test]
async fn a_merge_that_a_crash_cut_short_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..3 {
        store.append(incoming(&format!("{n} r line {n}"))).await.unwrap();
        store.flush().await.unwrap();
    }
    let expected = everything(&store);
    let shards = store.shared.state.read().shards.clone();
    drop(store);
    let path = |shard: &ShardMeta| folder.path().join(&shard.path);
    // Before the catalog knew of it: the merged file is there, and so are those it was made of.
    let (first, last) = (shards[0].id.split_once('-').unwrap().0, shards[2].id.split_once('-').unwrap().1);
    let cut_short = path(&shards[0]).with_file_name(format!("{first}-{last}-m3.parquet"));
    std::fs::copy(path(&shards[0]), &cut_short).unwrap();
    std::fs::write(cut_short.with_extension("parquet.tmp"), "half of it").unwrap();
    let store = open(folder.path());
    assert!(!cut_short.exists());
    assert_eq!((shard_files(folder.path()), everything(&store)), (3, expected.clone()));
    // After the catalog knew of it: the files it was made of are still there.
    let reading = store.snapshot(&Tenant::default());
    store.merge().await.unwrap();
    drop(store);
    assert_eq!(shard_files(folder.path()), 4);
    drop(reading);
    let store = open(folder.path());
    assert_eq!((shard_files(folder.path()), everything(&store)), (1, expected));
}

#[tokio::test]
async fn nothing_is_removed_that_is_not_certainly_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..6 {
        // Larger than a file of the log, so that the log forgets what is sealed.
        let text: String = (0..3_000_u64).map(|row| format!("{n} r {:x}\n", row.wrapping_mul(0x9e37_79b9_7f4a_7c15 + n))).collect();
        store.append(incoming(&text)).await.unwrap();
        store.flush().await.unwrap();
    }
    let shards = store.shared.state.read().shards.clone();
    store.shutdown().await;
    drop(store);
    let foreign = ["report-march.parquet", "2024-report.parquet", "notes.tmp"].map(|name| folder.path().join("default/logs").join(name));
    foreign.iter().for_each(|path| std::fs::write(path, "a user's").unwrap());
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join("_needle").join(file));
    }
    let refusal = Store::open(&settings(folder.path()), Arc::new(decode), &mut Registry::default()).unwrap_err().to_string();
    assert!(refusal.contains("catalog.db is missing") && refusal.contains("needle repair"), "{refusal}");
    assert!(foreign.iter().all(|path| path.exists()));
    assert!(shards.iter().all(|shard| folder.path().join(&shard.path).exists()), "shards that a lost catalog does not know are left alone");
}

#[tokio::test]
async fn a_seal_that_a_crash_cut_short_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(incoming("1 r first")).await.unwrap();
    store.flush().await.unwrap();
    store.append(incoming("2 r second")).await.unwrap();
    let sealed = folder.path().join(&store.shared.state.read().shards[0].path);
    drop(store);
    let unpublished = sealed.with_file_name("0000000000000002-0000000000000002.parquet");
    std::fs::copy(&sealed, &unpublished).unwrap();
    let store = open(folder.path());
    assert!(!unpublished.exists() && sealed.exists());
    assert_eq!(everything(&store), ["second", "first"]);
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_is_left_out_of_merges() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..4 {
        store.append(incoming(&format!("{n} r line {n}"))).await.unwrap();
        store.flush().await.unwrap();
    }
    let damaged = folder.path().join(&store.shared.state.read().shards[1].path);
    std::fs::write(&damaged, vec![7; std::fs::metadata(&damaged).unwrap().len() as usize]).unwrap();
    store.merge().await.unwrap();
    assert!(damaged.exists(), "its bytes are kept");
    let all = Search { predicate: Predicate::All, start: None, end: None, ascending: false, after: None, limit: 100 };
    let found = store.snapshot(&Tenant::default()).search(&all, &|| false).unwrap();
    assert_eq!(bodies(&found.records), ["line 3", "line 2", "line 0"]);
    assert_eq!(found.coverage.failures.len(), 1);
}

/// A disk whose writes or syncs fail on demand.
#[derive(Debug, Default)]
struct FailingDisk {
    writes_fail: Arc<AtomicBool>,
    syncs_fail: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FailingFile {
    file: Box<dyn DiskFile>,
    writes_fail: Arc<AtomicBool>,
    syncs_fail: Arc<AtomicBool>,
}

impl FailingDisk {
    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FailingFile { file, writes_fail: self.writes_fail.clone(), syncs_fail: self.syncs_fail.clone() })
    }
}

fn fail_if(flag: &AtomicBool, what: &str) -> std::io::Result<()> {
    if flag.load(Ordering::Relaxed) { Err(std::io::Error::other(what.to_owned())) } else { Ok(()) }
}

impl Disk for FailingDisk {
    fn create_folder(&self, path: &Path) -> std::io::Result<()> {
        LocalDisk.create_folder(path)
    }
    fn list(&self, folder: &Path) -> std::io::Result<Vec<Entry>> {
        LocalDisk.list(folder)
    }
    fn create(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        fail_if(&self.writes_fail, "no space left")?;
        Ok(self.wrap(LocalDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(LocalDisk.open(path)?))
    }
    fn open_read(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
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

impl DiskFile for FailingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        if self.writes_fail.load(Ordering::Relaxed) {
            // Half of it reaches the disk, as when space runs out.
            self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
        }
        fail_if(&self.writes_fail, "no space left")?;
        self.file.write_at(bytes, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.file.read_at(buffer, offset)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        fail_if(&self.syncs_fail, "sync failed")?;
        self.file.sync_data()
    }
    fn allocate(&self, bytes: u64) -> std::io::Result<()> {
        self.file.allocate(bytes)
    }
    fn set_len(&self, bytes: u64) -> std::io::Result<()> {
        self.file.set_len(bytes)
    }
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }
}

fn open_on(folder: &Path, disk: FailingDisk) -> Arc<Store> {
    Store::open_with(&settings(folder), Arc::new(decode), Arc::new(disk), Arc::new(SystemClock::default()), &mut Registry::default())
        .unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_and_later_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::default();
    let full = disk.writes_fail.clone();
    let store = open_on(folder.path(), disk);
    store.append(incoming("1 r before")).await.unwrap();
    full.store(true, Ordering::Relaxed);
    assert!(matches!(store.append(incoming("2 r refused")).await, Err(AppendError::Disk(_))));
    assert!(store.flush().await.is_err());
    assert!(!store.not_ready().is_empty());
    assert_eq!(everything(&store), ["before"], "reads go on");
    full.store(false, Ordering::Relaxed);
    store.append(incoming("3 r after")).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.not_ready(), Vec::<String>::new());
    drop(store);
    assert_eq!(everything(&open(folder.path())), ["after", "before"]);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::default();
    let broken = disk.syncs_fail.clone();
    let store = open_on(folder.path(), disk);
    store.append(incoming("1 r before")).await.unwrap();
    broken.store(true, Ordering::Relaxed);
    assert!(matches!(store.append(incoming("2 r unknown")).await, Err(AppendError::Poisoned(_))));
    broken.store(false, Ordering::Relaxed);
    assert!(matches!(store.append(incoming("3 r refused")).await, Err(AppendError::Poisoned(_))), "no second try");
    assert!(store.not_ready()[0].contains("restart"));
    assert_eq!(everything(&store), ["before"]);
    drop(store);
    let found = everything(&open(folder.path()));
    assert!(found.ends_with(&["before".to_owned()]) && !found.contains(&"refused".to_owned()), "{found:?}");
}
