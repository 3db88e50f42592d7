//! Retention, deletion and the removal of files: with a clock of the test's, and a restart at each step.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use crate::accept::{BodyFormat, Decoded, Incoming, RawRequest};
use crate::catalog::ShardMeta;
use crate::clock::Clock;
use crate::disk::LocalDisk;
use crate::model::{LogRow, LogsBuilder, Record, RecordId, RowIds, Severity, Signal, Tenant, UnixNanos, ValueKind};
use crate::predicate::{IdKind, IdTest, Predicate};
use crate::retention::{Retention, ServiceRetention};
use crate::settings::StoreSettings;
use crate::snapshot::{Known, Look, Search};
use crate::store::Store;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A clock that tests set, in seconds; both hands.
#[derive(Debug)]
struct TestClock(Mutex<(u64, u64)>);

impl TestClock {
    fn new() -> Arc<TestClock> {
        Arc::new(TestClock(Mutex::new((1_000 * DAY, 0))))
    }

    fn pass(&self, seconds: u64) {
        let mut hands = self.0.lock();
        *hands = (hands.0 + seconds, hands.1 + seconds);
    }

    fn jump(&self, seconds: u64) {
        self.0.lock().0 += seconds;
    }

    fn now_s(&self) -> u64 {
        self.0.lock().0
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.now_s() * 1_000_000_000)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.lock().1)
    }
}

/// `seconds service request_id text` per line.
fn decode(request: &RawRequest) -> Result<Decoded, String> {
    let text = std::str::from_utf8(&request.body).map_err(|error| error.to_string())?;
    let mut builder = LogsBuilder::with_capacity(0);
    for line in text.lines() {
        let mut parts = line.splitn(4, ' ');
        let mut next = || parts.next().ok_or_else(|| format!("not a line: {line}"));
        let (seconds, service, id, body) = (next()?.parse::<u64>().map_err(|_| "no time")?, next()?, next()?, next()?);
        builder.set_resource(Some(&format!(r#"{{"service.name":"{service}"}}"#)), Some(service));
        builder.append(&LogRow {
            timestamp: UnixNanos(seconds * 1_000_000_000),
            ids: RowIds { request_id: Some(id), ..RowIds::default() },
            severity: Severity::INFO,
            body: Some((ValueKind::String, body)),
            ..LogRow::default()
        });
    }
    Ok(Decoded { signal: Signal::Logs, records: builder.finish(), own_times: true })
}

struct House {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    settings: StoreSettings,
    store: Option<Arc<Store>>,
}

impl House {
    fn new(change: impl FnOnce(&mut StoreSettings)) -> House {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = StoreSettings { data: folder.path().to_owned(), wal_segment_bytes: 64 << 10, ..StoreSettings::default() };
        change(&mut settings);
        let mut house = House { folder, clock: TestClock::new(), settings, store: None };
        house.crash();
        house
    }

    /// Without a shutdown everything is left to the log, the catalog and the files.
    fn crash(&mut self) {
        self.store = None;
        let opened = Store::open_with(&self.settings, Arc::new(decode), Arc::new(LocalDisk), self.clock.clone(), &mut Registry::default());
        self.store = Some(opened.unwrap());
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    async fn append(&self, lines: &str) {
        let request = RawRequest {
            tenant: Tenant::default(),
            format: BodyFormat::TextLogs,
            arrival: self.clock.now(),
            service: None,
            timezone: None,
            body: Bytes::copy_from_slice(lines.as_bytes()),
        };
        let decoded = decode(&request).unwrap();
        self.store().append(Incoming { request, decoded, idempotency_key: None }).await.unwrap();
    }

    /// A seal of its own.
    async fn seal(&self, lines: &str) {
        self.append(lines).await;
        self.store().flush().await.unwrap();
    }

    async fn delete(&self, id: &str) -> u64 {
        let terms = IdTest::of(IdKind::Any, id).unwrap().terms();
        let deleted = self.store().delete(&Tenant::default(), terms).await.unwrap();
        assert_eq!(deleted.coverage.failures, Vec::<String>::new());
        deleted.records
    }

    /// Does what there is to do. The store's own thread may do it first; either way it is done afterwards.
    fn look_after(&self) {
        while self.store().tick_retire().unwrap() {}
        self.store().tick_collect().unwrap();
    }

    /// Bodies by every way of reading, which must agree, oldest first.
    fn bodies(&self) -> Vec<String> {
        let snapshot = self.store().snapshot(&Tenant::default());
        let search = Search { predicate: Predicate::All, start: None, end: None, ascending: true, after: None, limit: 1_000 };
        let found = snapshot.search(&search, &|| false).unwrap();
        assert_eq!(found.coverage.failures, Vec::<String>::new());
        let accepted = snapshot.accepted_from(RecordId(0), &Predicate::All, 1_000).unwrap();
        let mut counted = 0;
        let look = Look { predicate: &Predicate::All, start: None, end: None, columns: &[], attributes: &[], also: None };
        snapshot.look(&look, &|| false, &mut |_, rows| counted += rows.len()).unwrap();
        assert_eq!((accepted.records.len(), counted), (found.records.len(), found.records.len()));
        found.records.iter().map(body).collect()
    }

    fn bodies_of(&self, id: &str) -> Vec<String> {
        let terms = IdTest::of(IdKind::Any, id).unwrap().terms();
        let found = self.store().snapshot(&Tenant::default()).by_ids(&terms, &Known::nothing(), &|| false).unwrap();
        found.records.iter().map(body).collect()
    }

    fn shards(&self) -> Vec<Arc<ShardMeta>> {
        self.store().shared.state.read().shards.to_vec()
    }

    /// Records in files, whatever is hidden.
    fn sealed_rows(&self) -> u64 {
        self.shards().iter().map(|shard| shard.rows).sum()
    }

    fn tombstones(&self) -> usize {
        self.store().shared.keep.catalog.tombstones().unwrap().len()
    }

    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder.path().join("default"))
    }
}

fn body(record: &Record) -> String {
    let Record::Log(log) = record else { panic!("only logs are sent") };
    log.body.as_ref().map(crate::model::Value::text).unwrap_or_default()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(Result::unwrap)
        .flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

fn keep_logs(seconds: u64) -> Retention {
    Retention { logs_ms: Some(seconds * 1_000), ..Retention::default() }
}

const ORDER: &str = "7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e";
const ORDER_SPELLED_OTHERWISE: &str = "7D3F9A5211C04F0E9A7B2F6F0B1C2D3E";

#[tokio::test]
async fn what_is_deleted_is_hidden_at_once_and_ever_after() {
    let mut house = House::new(|_| {});
    house.seal(&format!("1 shop {ORDER} sealed\n2 shop other stays")).await;
    house.append(&format!("3 shop {ORDER} live\n4 shop other stays too")).await;
    assert_eq!(house.delete(ORDER_SPELLED_OTHERWISE).await, 2);
    house.append(&format!("5 shop {ORDER} came later")).await;
    let check = |house: &House| {
        assert_eq!(house.bodies(), ["stays", "stays too", "came later"]);
        assert_eq!(
            (house.bodies_of(ORDER), house.bodies_of("other")),
            (vec!["came later".to_owned()], vec!["stays".to_owned(), "stays too".to_owned()])
        );
    };
    check(&house);
    house.crash();
    check(&house);
    house.store().flush().await.unwrap();
    check(&house);
    house.crash();
    check(&house);
    house.store().merge().await.unwrap();
    check(&house);
    assert_eq!((house.sealed_rows(), house.tombstones()), (3, 0), "nothing is left to hide");
    assert_eq!(house.files().len(), 1);
    house.crash();
    check(&house);
    assert_eq!(house.delete("never seen").await, 0);
    assert_eq!(house.tombstones(), 0);
}

#[tokio::test]
async fn live_records_that_are_deleted_reach_no_file() {
    let mut house = House::new(|_| {});
    house.append("1 shop a first\n2 shop b second").await;
    house.append("3 shop a third").await;
    assert_eq!(house.delete("a").await, 2);
    assert_eq!(house.delete("a").await, 0, "they are gone");
    house.crash();
    house.store().flush().await.unwrap();
    assert_eq!((house.bodies(), house.sealed_rows()), (vec!["second".to_owned()], 1));
    house.look_after();
    assert_eq!(house.tombstones(), 0);
    house.append("4 shop c only").await;
    house.delete("c").await;
    house.store().flush().await.unwrap();
    assert_eq!(house.shards().len(), 1, "a seal of nothing makes no shard");
    house.crash();
    assert_eq!(house.bodies(), ["second"]);
}

#[tokio::test]
async fn a_tombstone_stays_as_long_as_a_live_record_needs_it() {
    let house = House::new(|_| {});
    house.append("1 shop a first").await;
    house.delete("a").await;
    house.look_after();
    assert_eq!((house.tombstones(), house.bodies()), (1, Vec::new()));
    house.store().flush().await.unwrap();
    house.look_after();
    assert_eq!((house.tombstones(), house.bodies()), (0, Vec::new()));
}

#[tokio::test]
async fn a_deletion_is_carried_out_whenever_a_crash_comes() {
    let mut house = House::new(|settings| settings.merged_rows_max = 1);
    house.seal("1 shop a first\n2 shop b second\n3 shop b third").await;
    let shard = house.shards()[0].clone();
    let path = house.folder.path().join(&shard.path);
    let reading = house.store().snapshot(&Tenant::default());
    house.delete("a").await;
    // The shard is written anew, and the catalog does not know of it yet.
    let written = path.with_file_name(format!("{}-m3.parquet", shard.id));
    std::fs::copy(&path, &written).unwrap();
    std::fs::write(written.with_extension("parquet.tmp"), "half of it").unwrap();
    house.crash();
    assert_eq!(house.bodies(), ["second", "third"]);
    house.look_after();
    // The catalog knows of it, and the file of the one before is still there.
    std::fs::write(&path, "what was deleted").unwrap();
    house.store().shared.keep.catalog.replace(None, &[&shard]).unwrap();
    house.crash();
    assert!(!path.exists() && written.exists());
    house.look_after();
    assert_eq!((house.bodies(), house.tombstones(), house.sealed_rows()), (vec!["second".to_owned(), "third".to_owned()], 0, 2));
    drop(reading);
}

#[tokio::test]
async fn a_shard_written_anew_twice_never_has_the_name_of_one_before() {
    let house = House::new(|settings| settings.merged_rows_max = 1);
    house.seal("1 shop a first\n2 shop b second\n3 shop c third").await;
    let mut seen = vec![house.shards()[0].path.clone()];
    let reading = house.store().snapshot(&Tenant::default());
    for (id, left) in [("a", 2), ("b", 1)] {
        house.delete(id).await;
        house.look_after();
        let shard = house.shards()[0].clone();
        assert!(!seen.contains(&shard.path), "{}", shard.path);
        assert_eq!((shard.rows, shard.origins.to_string()), (left, "1".to_owned()));
        seen.push(shard.path.clone());
    }
    let all = Search { predicate: Predicate::All, start: None, end: None, ascending: true, after: None, limit: 10 };
    assert_eq!(reading.search(&all, &|| false).unwrap().records.len(), 3, "a question that began before sees what it saw");
    drop(reading);
    house.look_after();
    assert_eq!((house.files().len(), house.bodies()), (1, vec!["third".to_owned()]));
    house.delete("c").await;
    house.look_after();
    assert_eq!((house.files().len(), house.shards().len()), (0, 0));
}

#[tokio::test]
async fn a_record_that_came_after_the_deletion_stays_beside_those_before() {
    let mut house = House::new(|_| {});
    house.seal("1 shop a first\n2 shop b second").await;
    house.delete("a").await;
    // Joined with later records before anything was taken out: the number of a record decides.
    house.seal("3 shop a third").await;
    house.store().merge().await.unwrap();
    assert_eq!(house.bodies(), ["second", "third"]);
    house.append("4 shop a fourth").await;
    house.delete("a").await;
    house.append("5 shop a fifth").await;
    house.store().flush().await.unwrap();
    assert_eq!(house.bodies(), ["second", "fifth"]);
    house.crash();
    house.store().merge().await.unwrap();
    assert_eq!((house.bodies(), house.sealed_rows(), house.tombstones()), (vec!["second".to_owned(), "fifth".to_owned()], 2, 0));
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_keeps_its_tombstone() {
    let mut house = House::new(|_| {});
    house.seal("1 shop a first\n2 shop b second").await;
    let path = house.folder.path().join(&house.shards()[0].path);
    let intact = std::fs::read(&path).unwrap();
    std::fs::write(&path, vec![7; intact.len()]).unwrap();
    house.crash();
    let deleted = house.store().delete(&Tenant::default(), IdTest::of(IdKind::Any, "a").unwrap().terms()).await.unwrap();
    assert_eq!((deleted.records, deleted.coverage.failures.len()), (0, 1), "what could not be looked at is said");
    house.look_after();
    assert_eq!((house.tombstones(), path.exists()), (1, true));
    std::fs::write(&path, intact).unwrap();
    house.crash();
    assert_eq!(house.bodies(), ["second"]);
    house.look_after();
    assert_eq!((house.tombstones(), house.bodies()), (0, vec!["second".to_owned()]));
}

#[tokio::test]
async fn shards_past_their_retention_end_when_the_clock_can_be_believed() {
    let mut house = House::new(|settings| settings.retention = keep_logs(30 * DAY));
    let now = house.clock.now_s();
    house.seal(&format!("{} shop a past", now - 31 * DAY)).await;
    house.seal(&format!("{} shop a present", now - 29 * DAY)).await;
    house.append(&format!("{now} shop a newest")).await;
    house.look_after();
    assert_eq!(house.bodies().len(), 3, "the clock has just begun to be watched");
    house.clock.pass(HOUR - 1);
    house.look_after();
    assert_eq!(house.bodies().len(), 3);
    house.clock.jump(3_650 * DAY);
    house.look_after();
    house.clock.pass(HOUR - 1);
    house.look_after();
    assert_eq!(house.bodies().len(), 3, "a jump begins the hour anew");
    house.clock.pass(1);
    house.look_after();
    assert_eq!(house.bodies(), ["present", "newest"], "and the records do not bear out that ten years have passed");
    assert_eq!((house.shards().len(), house.files().len()), (1, 1));
    house.crash();
    assert_eq!(house.bodies(), ["present", "newest"]);
}

#[tokio::test]
async fn a_shorter_retention_that_takes_most_is_followed_when_it_is_meant() {
    let mut house = House::new(|settings| {
        settings.retention = keep_logs(30 * DAY);
        settings.retention_settle_ms = 0;
        settings.merged_rows_max = 1;
    });
    let now = house.clock.now_s();
    for (age, text) in [(31, "past by either"), (20, "old"), (10, "older than a week"), (1, "of yesterday")] {
        house.seal(&format!("{} shop a {text}", now - age * DAY)).await;
    }
    house.append(&format!("{now} shop a news")).await;
    house.settings.retention = keep_logs(7 * DAY);
    house.crash();
    house.look_after();
    assert_eq!(house.bodies(), ["old", "older than a week", "of yesterday", "news"], "two of three that are left are more than half");
    house.crash();
    house.look_after();
    assert_eq!(house.bodies().len(), 4, "starting again does not mean it");
    house.settings.shorter_retention_is_meant = true;
    house.crash();
    house.look_after();
    assert_eq!(house.bodies(), ["of yesterday", "news"]);
    house.settings.shorter_retention_is_meant = false;
    house.crash();
    house.look_after();
    assert_eq!(house.bodies(), ["of yesterday", "news"]);
}

#[tokio::test]
async fn a_shorter_retention_that_takes_little_is_followed() {
    let mut house = House::new(|settings| settings.retention_settle_ms = 0);
    let now = house.clock.now_s();
    house.seal(&format!("{} shop a old\n{} shop b young\n{now} shop c news", now - 9 * DAY, now - DAY)).await;
    house.settings.retention = keep_logs(7 * DAY);
    house.crash();
    house.look_after();
    assert_eq!(house.bodies(), ["young", "news"], "a third of one shard");
}

#[tokio::test]
async fn without_a_retention_nothing_expires() {
    let house = House::new(|settings| settings.retention_settle_ms = 0);
    house.seal("1 shop a long ago").await;
    house.clock.pass(10_000 * DAY);
    house.look_after();
    assert_eq!(house.bodies(), ["long ago"]);
}

#[tokio::test]
async fn a_shard_of_services_with_different_retention_is_written_anew() {
    let audit = ServiceRetention { service: "audit".to_owned(), logs_ms: Some(365 * DAY * 1_000), spans_ms: None };
    let retention = Retention { services: vec![audit], ..keep_logs(10 * DAY) };
    let mut house = House::new(|settings| settings.retention = retention);
    let now = house.clock.now_s();
    house.seal(&format!("{now} shop a one\n{now} audit b two\n{now} audit c three\n{now} audit d four")).await;
    let busy = |house: &House, days: u64| {
        for _ in 0..days * 24 {
            house.clock.pass(HOUR);
        }
        house.look_after();
    };
    house.look_after();
    busy(&house, 10);
    house.append(&format!("{} shop n news", house.clock.now_s())).await;
    house.look_after();
    assert_eq!(house.sealed_rows(), 4, "a quarter of it is not worth the effort at once");
    house.clock.pass(DAY);
    house.append(&format!("{} shop n news", house.clock.now_s())).await;
    house.look_after();
    assert_eq!((house.sealed_rows(), house.bodies()[..3].to_vec()), (3, ["two", "three", "four"].map(str::to_owned).to_vec()));
    house.crash();
    assert_eq!(house.bodies().len(), 5);
}

#[tokio::test]
async fn a_shard_that_is_half_past_is_written_anew_and_the_rest_ends_later() {
    let house = House::new(|settings| settings.retention = keep_logs(10 * DAY));
    let now = house.clock.now_s();
    let lines: Vec<String> = (0..8).map(|n| format!("{} shop r{n} day {n}", now + n * DAY)).collect();
    house.seal(&lines.join("\n")).await;
    house.look_after();
    let mut left = Vec::new();
    for day in 1..=20 {
        house.clock.pass(DAY);
        house.append(&format!("{} shop n news {day}", house.clock.now_s())).await;
        house.look_after();
        left.push(house.shards().iter().find(|shard| shard.origins.contains(1)).map_or(0, |shard| shard.rows));
    }
    // Never later than a day after its retention.
    let allowed = |day: u64| 8 - day.saturating_sub(11).min(8);
    assert!(left.iter().zip(1..).all(|(rows, day)| *rows <= allowed(day)), "{left:?}");
    let at_least = |day: u64| 8 - (day + 1).saturating_sub(10).min(8);
    assert!(left.iter().zip(1..).all(|(rows, day)| *rows >= at_least(day)), "{left:?}");
}

#[tokio::test]
async fn expired_files_outlive_questions_and_crashes_but_not_both() {
    let mut house = House::new(|settings| {
        settings.retention = keep_logs(DAY);
        settings.retention_settle_ms = 0;
    });
    house.seal("1 shop a long ago").await;
    let reading = house.store().snapshot(&Tenant::default());
    house.look_after();
    assert_eq!((house.bodies(), house.files().len()), (Vec::new(), 1));
    let all = Search { predicate: Predicate::All, start: None, end: None, ascending: true, after: None, limit: 10 };
    assert_eq!(reading.search(&all, &|| false).unwrap().records.len(), 1);
    house.crash();
    assert_eq!((house.bodies(), house.files().len()), (Vec::new(), 0));
}

#[tokio::test]
async fn files_stay_for_their_grace_by_the_monotonic_clock_also_after_a_restart() {
    let mut house = House::new(|settings| settings.garbage_grace_ms = 60_000);
    for n in 0..3 {
        house.seal(&format!("{n} shop a line {n}")).await;
    }
    house.store().merge().await.unwrap();
    house.clock.jump(DAY);
    house.clock.pass(59);
    house.look_after();
    assert_eq!(house.files().len(), 4);
    house.crash();
    house.clock.pass(59);
    house.look_after();
    assert_eq!((house.files().len(), house.bodies().len()), (4, 3), "who reads from outside does not know of the restart");
    house.clock.pass(1);
    house.look_after();
    assert_eq!((house.files().len(), house.bodies().len()), (1, 3));
}

#[tokio::test]
async fn a_bound_of_one_row_leaves_shards_as_they_were_sealed() {
    let house = House::new(|settings| settings.merged_rows_max = 1);
    for n in 0..20 {
        house.seal(&format!("{n} shop a line {n}")).await;
    }
    house.store().merge().await.unwrap();
    assert_eq!(house.shards().len(), 20);
}

#[tokio::test]
async fn the_number_of_a_seal_is_never_given_again() {
    let mut house = House::new(|_| {});
    for n in 0..3 {
        house.seal(&format!("{n} shop r{n} line {n}")).await;
    }
    house.store().merge().await.unwrap();
    assert_eq!(house.shards()[0].origins.to_string(), "1-3");
    for n in 0..3 {
        house.delete(&format!("r{n}")).await;
    }
    house.look_after();
    assert_eq!(house.shards().len(), 0);
    house.crash();
    house.seal("9 shop r9 line 9").await;
    assert_eq!(house.shards()[0].origins.to_string(), "4");
}
