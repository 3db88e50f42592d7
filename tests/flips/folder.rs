//! The folder that is damaged: every kind of file that a data folder has, and the truth about its records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use needle_ingest::storage::model::{Record, RecordId, Tenant};
use needle_ingest::storage::predicate::{IdKind, IdTest, Predicate, TextTest};
use needle_ingest::storage::{
    BodyFormat, Decode, Incoming, Known, OpenError, RawRequest, Search, ShardReport, Store, StoreSettings, check,
};
use needle_ingest::{IngestSettings, decoder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prometheus_client::registry::Registry;
use prost::Message as _;

const RECORDS_OF_A_BATCH: u64 = 60;
const DELETED: &str = "order-2-7";

/// How the program ended: after a crash the catalog's newest rows are in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Crash,
    Closed,
}

/// A folder as the program left it, in memory.
pub(crate) struct Original {
    /// By path below the folder.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) records: BTreeMap<RecordId, Record>,
    /// Records that were deleted; a repair that lost the deletion says so, and may bring them back.
    pub(crate) deleted: BTreeMap<RecordId, Record>,
    /// What each of the questions finds.
    pub(crate) answers: Vec<(String, Predicate, BTreeSet<RecordId>)>,
    /// The path of the shard of each record; none for those in the log.
    pub(crate) shard_of: BTreeMap<RecordId, Option<String>>,
}

impl Original {
    /// Logs and spans in merged and in fresh shards, some deleted, some only in the log.
    pub(crate) fn make(end: End) -> Original {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (files, deleted) = runtime.block_on(async {
            let store = open(folder.path()).unwrap();
            for part in 0..3 {
                append(&store, part).await;
                store.flush().await.unwrap();
                if part == 1 {
                    store.merge().await.unwrap();
                }
            }
            let test = IdTest::of(IdKind::Any, DELETED).unwrap();
            let (deleted, _) = ask(&store, &Predicate::Id(test.clone()));
            store.delete(&Tenant::default(), test.terms()).await.unwrap();
            drop(store);
            // What the first one wrote is in the catalog's file now, what this one writes in its journal.
            let store = open(folder.path()).unwrap();
            append(&store, 3).await;
            store.flush().await.unwrap();
            append(&store, 4).await;
            if end == End::Closed {
                drop(store);
            }
            (files_below(folder.path()), by_number(deleted))
        });
        let files: BTreeMap<String, Vec<u8>> = files
            .into_iter()
            .filter(|(path, _)| !path.ends_with("-shm") && !path.ends_with("lock") && !path.ends_with("reserve"))
            .collect();
        let pristine = Copy::of(&files);
        assert!(check(pristine.path()).unwrap().findings.iter().all(|finding| finding.found.contains("replaced")));
        let shards = shards_of(pristine.path(), &files);
        let store = open(pristine.path()).unwrap();
        let records = by_number(ask(&store, &Predicate::All).0);
        let answers = questions().into_iter().map(|(what, predicate)| {
            let numbers = by_number(ask(&store, &predicate).0).into_keys().collect();
            (what, predicate, numbers)
        });
        let answers: Vec<(String, Predicate, BTreeSet<RecordId>)> = answers.collect();
        assert!(
            deleted.len() > 1 && answers.iter().any(|(.., found)| found.is_empty()) && answers.iter().any(|(.., found)| found.len() > 100)
        );
        assert!(records.len() > 500 && shards.len() >= 6, "{} records, {} shards", records.len(), shards.len());
        let shard_of = records.iter().map(|(number, record)| {
            let signal = if matches!(record, Record::Log(_)) { "logs" } else { "spans" };
            let holds = |shard: &&ShardReport| shard.signal == signal && (shard.record_min..=shard.record_max).contains(&number.0);
            let shard = shards.iter().find(|(_, shard)| holds(&shard)).map(|(path, _)| path.clone());
            (*number, shard)
        });
        let shard_of: BTreeMap<RecordId, Option<String>> = shard_of.collect();
        assert!(shard_of.values().any(Option::is_none), "some are in the log only");
        Original { shard_of, records, deleted, answers, files }
    }
}

/// A folder of files that goes when it is dropped.
pub(crate) struct Copy(tempfile::TempDir);

impl Copy {
    pub(crate) fn of(files: &BTreeMap<String, Vec<u8>>) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Copy(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Opens a store that does nothing by itself.
pub(crate) fn open(folder: &Path) -> Result<Arc<Store>, OpenError> {
    let settings = StoreSettings {
        data: folder.to_owned(),
        wal_segment_bytes: 16 << 10,
        seal_interval_ms: 86_400_000,
        reserve_bytes: 0,
        ..StoreSettings::default()
    };
    Store::open(&settings, decode(), &mut Registry::default())
}

fn decode() -> Decode {
    decoder(&IngestSettings::default())
}

/// Ids of records that are in merged shards, in fresh ones, in the log, deleted, and nowhere; and words.
fn questions() -> Vec<(String, Predicate)> {
    let ids = ["order-0-3", DELETED, "order-3-9", "order-4-1", "0707070707070707000000000000000b", "no-such-order"];
    let ids = ids.into_iter().map(|id| (format!("the id {id}"), Predicate::Id(IdTest::of(IdKind::Any, id).unwrap())));
    let words = ["paid", "cart", "nowhere"].into_iter();
    let words = words.map(|word| (format!("the word {word}"), Predicate::Text(TextTest::Word(word.to_owned()))));
    ids.chain(words).collect()
}

/// Every record that matches, oldest first, and what could not be read.
pub(crate) fn ask(store: &Store, predicate: &Predicate) -> (Vec<Record>, Vec<String>) {
    let snapshot = store.snapshot(&Tenant::default());
    let search = Search { predicate: predicate.clone(), start: None, end: None, ascending: true, after: None, limit: usize::MAX };
    let found = match predicate {
        Predicate::Id(test) => snapshot.by_ids(&test.terms(), &Known::nothing(), &|| false),
        _ => snapshot.search(&search, &|| false),
    };
    let found = found.unwrap();
    (found.records, found.coverage.failures)
}

fn by_number(records: Vec<Record>) -> BTreeMap<RecordId, Record> {
    records.into_iter().map(|record| (record.common().record_id, record)).collect()
}

/// The shards among the files, without those that a merge took the place of.
fn shards_of(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Vec<(String, ShardReport)> {
    let replaced = check(folder).unwrap().findings;
    let shards = files.keys().filter(|path| path.ends_with(".parquet") && replaced.iter().all(|finding| finding.path != **path));
    shards.map(|path| (path.clone(), ShardReport::read(&folder.join(path)).unwrap())).collect()
}

fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Logs and spans of one batch each.
async fn append(store: &Store, part: u64) {
    for _ in 0..2 {
        send(store, BodyFormat::JsonLogs, logs(part)).await;
    }
    send(store, BodyFormat::OtlpTracesProtobuf, spans(part)).await;
}

async fn send(store: &Store, format: BodyFormat, body: Vec<u8>) {
    let request = RawRequest {
        tenant: Tenant::default(),
        format,
        arrival: needle_ingest::storage::model::UnixNanos(1),
        service: None,
        timezone: None,
        body: body.into(),
    };
    let mut decoded = decode()(&request).unwrap();
    // Two batches are equal but for their numbers, and not repetitions.
    decoded.own_times = false;
    store.append(Incoming { request, decoded, idempotency_key: None }).await.unwrap();
}

fn logs(part: u64) -> Vec<u8> {
    let line = |n: u64| {
        let time = 1_700_000_000_000 + part * 10_000 + n * 13;
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part;
        format!(
            "{{\"time\":{time},\"service\":\"svc-{}\",\"level\":\"info\",\"msg\":\"order {n} of {part} paid {mixed:x}\",\"request_id\":\"order-{part}-{}\",\"n\":{n},\"ratio\":{n}.5}}\n",
            n % 3,
            n / 4
        )
    };
    (0..RECORDS_OF_A_BATCH).map(line).collect::<String>().into_bytes()
}

fn spans(part: u64) -> Vec<u8> {
    let span = |n: u64| Span {
        trace_id: [[7; 8], (part * 1_000 + n / 5 + 1).to_be_bytes()].concat(),
        span_id: (part * 1_000 + n + 1).to_be_bytes().to_vec(),
        name: format!("GET /cart/{}", n % 7),
        kind: 2,
        start_time_unix_nano: (1_700_000_000_000 + part * 10_000 + n * 17) * 1_000_000,
        end_time_unix_nano: (1_700_000_000_100 + part * 10_000 + n * 17) * 1_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..RECORDS_OF_A_BATCH).map(span).collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }.encode_to_vec()
}
