//! Inputs to begin with: made by the generator of the benchmarks, written by a store, or real ones where they are at hand.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use needle_ingest::storage::model::{Tenant, UnixNanos};
use needle_ingest::storage::{BodyFormat, Incoming, RawRequest, Store, StoreSettings};
use needle_ingest::{IngestSettings, decoder};
use prometheus_client::registry::Registry;

use crate::workload::{Signal, Workload};

/// Files of real logs are cut to this.
const SHARED_BYTES_MAX: usize = 2048;
const SHARED_FILES_MAX: usize = 60;

/// Requests of a few records each.
pub(crate) fn workload(signal: Signal) -> Vec<Vec<u8>> {
    let workload = Workload { signal, seed: 11, records: 40 };
    workload.batches_of(3).map(|batch| batch.body).filter(|body| body.len() <= 4096).collect()
}

/// The beginnings of real files that lie beside the repository, if they do.
pub(crate) fn shared(folder: &str) -> impl Iterator<Item = Vec<u8>> {
    let here = std::env::current_dir().unwrap();
    let beside = here.ancestors().map(|above| above.join("shared/data").join(folder)).find(|path| path.is_dir());
    let mut paths = beside.map(|path| files_below(&path)).unwrap_or_default();
    paths.sort();
    let read = |path: PathBuf| {
        let mut bytes = std::fs::read(path).ok()?;
        bytes.truncate(SHARED_BYTES_MAX);
        Some(bytes)
    };
    paths.into_iter().filter_map(read).take(SHARED_FILES_MAX)
}

/// A kind of file of a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Log,
    Shard,
    Directory,
}

/// Each behind a byte that says whether its checksums are put right.
pub(crate) fn of_store(kind: Kind) -> Vec<Vec<u8>> {
    static FILES: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(written);
    let extension = match kind {
        Kind::Log => "wal",
        Kind::Shard => "parquet",
        Kind::Directory => "ids",
    };
    let files = FILES.iter().filter(|(path, _)| path.extension().is_some_and(|found| found == extension));
    files.flat_map(|(_, bytes)| [0, 1].map(|first| [&[first], bytes.as_slice()].concat())).collect()
}

/// The files of a store that sealed some records, merged some, and has some in its log.
fn written() -> Vec<(PathBuf, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        data: folder.path().to_owned(),
        wal_segment_bytes: 8 << 10,
        seal_interval_ms: 86_400_000,
        ..StoreSettings::default()
    };
    let decode = decoder(&IngestSettings::default());
    runtime.block_on(async {
        let store = Store::open(&settings, decode.clone(), &mut Registry::default()).unwrap();
        let bodies = [(BodyFormat::OtlpLogsProtobuf, Signal::Logs), (BodyFormat::OtlpTracesProtobuf, Signal::Spans)];
        for (format, signal) in bodies {
            for (number, body) in workload(signal).into_iter().take(5).enumerate() {
                let request = RawRequest {
                    tenant: Tenant::default(),
                    format,
                    arrival: UnixNanos(1),
                    service: None,
                    timezone: None,
                    body: Bytes::from(body),
                };
                let decoded = decode(&request).unwrap();
                store.append(Incoming { request, decoded, idempotency_key: None }).await.unwrap();
                if number == 1 || number == 3 {
                    store.flush().await.unwrap();
                }
            }
        }
    });
    let mut files: Vec<(PathBuf, Vec<u8>)> = files_below(folder.path())
        .into_iter()
        .filter_map(|path| {
            let mut bytes = std::fs::read(&path).ok()?;
            // Most of a file of the log is room for what comes.
            if path.extension().is_some_and(|extension| extension == "wal") {
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 64));
            }
            Some((path, bytes))
        })
        .collect();
    files.sort();
    files
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}
