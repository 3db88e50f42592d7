//! Raw bytes into the servers, over connections in memory: every connection ends, and no answer is the one for a panic.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::{Extension, Router};
use bytes::Bytes;
use memchr::memmem;
use needle_ingest::storage::model::{Tenant, UnixNanos};
use needle_ingest::storage::{BodyFormat, Disk, DiskFile, Entry, Incoming, LocalDisk, RawRequest, Store, StoreSettings, SystemClock};
use needle_ingest::{Ingest, IngestSettings, decoder};
use needle_query::QueryEngine;
use needle_web::{Web, WebSettings};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::decode;
use crate::Target;
use crate::files::workload;
use crate::server::serve;
use crate::workload::Signal;

pub(super) const HTTP: Target = Target {
    name: "http",
    read: http,
    seeds,
    words: &[
        "GET ",
        "POST ",
        "DELETE ",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "\r\n\r\n",
        "Content-Length: ",
        "Transfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
        "Content-Type: application/x-protobuf\r\n",
        "Content-Type: application/json\r\n",
        "Content-Encoding: gzip\r\n",
        "Content-Encoding: zstd\r\n",
        "Connection: close\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: h2c\r\n",
        "Host: x\r\n",
        "/v1/logs",
        "/v1/traces",
        "/api/v1/logs?service=x",
        "/api/v1/search?q=",
        "/api/v1/journey/",
        "/api/v1/aggregate?q=",
        "/api/v1/sql",
        "/api/v1/fields",
        "/metrics",
        "/healthz",
        "%00",
        "%ff",
        "..%2f",
        "&start=",
        "&end=",
        "&limit=",
        "&cursor=",
        "&buckets=",
        "Accept: text/csv\r\n",
        "Accept-Encoding: gzip\r\n",
        "X-Needle-Tenant: ",
        "\n",
        "\0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\x04\0\0\0\0\0",
        "grpc-timeout",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    ],
    bytes_max: 4096,
    // Buffers of a connection, and answers of the API.
    memory_bytes: 64 << 20,
    short_runs: 5_000,
};

/// A connection ends within this time after its client did.
pub(super) const END: Duration = Duration::from_secs(20);
/// A client that hears nothing for so long has heard enough.
const PATIENCE: Duration = Duration::from_millis(300);
/// An answer that is longer is not read to its end.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 10;

struct Servers {
    runtime: tokio::runtime::Runtime,
    grpc: Router,
    http: Router,
    web: Router,
    _folder: tempfile::TempDir,
}

static SERVERS: LazyLock<Mutex<Servers>> = LazyLock::new(|| Mutex::new(Servers::new()));

impl Servers {
    fn new() -> Servers {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings {
            data: folder.path().to_owned(),
            seal_interval_ms: 86_400_000,
            wal_segment_bytes: 64 << 10,
            ..StoreSettings::default()
        };
        let disk = Arc::new(FullDisk::default());
        let mut registry = Registry::default();
        let decode = decoder(&IngestSettings::default());
        let store = Store::open_with(&settings, decode, disk.clone(), Arc::new(SystemClock::default()), &mut registry).unwrap();
        runtime.block_on(fill(&store));
        disk.full.store(true, Ordering::Relaxed);
        let ingest = Ingest::new(store.clone(), IngestSettings::default(), &mut registry);
        let engine = QueryEngine::new(store, &mut registry);
        let of_a_tenant = |routes: Router| routes.layer(Extension(Tenant::default()));
        let web = {
            let _entered = runtime.enter();
            // A tail goes on for ever: its client leaves after this, and the server hears of that when it sends the next.
            let settings = WebSettings { tail_heartbeat_ms: 5, ..WebSettings::default() };
            Web::new(engine, settings, Arc::new(registry), of_a_tenant(ingest.routes()))
        };
        let web = web.router(|_, routes| of_a_tenant(routes));
        let (grpc, http) = (of_a_tenant(ingest.grpc_routes()), of_a_tenant(ingest.http_routes()));
        Servers { runtime, grpc, http, web, _folder: folder }
    }
}

async fn fill(store: &Store) {
    for (format, signal) in [(BodyFormat::OtlpLogsProtobuf, Signal::Logs), (BodyFormat::OtlpTracesProtobuf, Signal::Spans)] {
        for body in workload(signal).into_iter().take(3) {
            let decoded = decode(format, &body).unwrap();
            let request = RawRequest {
                tenant: Tenant::default(),
                format,
                arrival: UnixNanos(1),
                service: None,
                timezone: None,
                body: Bytes::from(body),
            };
            store.append(Incoming { request, decoded, idempotency_key: None }).await.unwrap();
        }
    }
    store.flush().await.unwrap();
}

fn http(input: &[u8]) {
    let Some((first, request)) = input.split_first() else { return };
    let servers = SERVERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let answer = servers.runtime.block_on(async {
        let (client, server) = tokio::io::duplex(64 << 10);
        let routes = match first % 4 {
            0 => &servers.web,
            1 => &servers.grpc,
            _ => &servers.http,
        };
        let served = serve(server, routes.clone());
        let asked = ask(client, request.to_vec());
        let both = async { tokio::join!(served, asked).1 };
        tokio::time::timeout(END, both)
            .await
            .unwrap_or_else(|_| panic!("a connection does not end: {:?}", String::from_utf8_lossy(request)))
    });
    for line in answer.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"HTTP/1.")) {
        let status = line.get(9..12).unwrap_or_default();
        assert!(status != b"500", "answered with 500: {:?}", String::from_utf8_lossy(&answer));
    }
}

/// Sends all of it, and what came back.
pub(super) async fn ask(client: tokio::io::DuplexStream, request: Vec<u8>) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(client);
    let send = async move {
        // A server that refuses need not read all of it.
        let _ = write.write_all(&request).await;
        let _ = write.shutdown().await;
        write
    };
    let mut answer = Vec::new();
    {
        let hearing = hear(&mut read, &mut answer);
        tokio::pin!(send, hearing);
        tokio::select! {
            () = &mut hearing => {}
            // What is left to be heard is heard with the other half closed.
            write = &mut send => {
                hearing.await;
                drop(write);
            }
        }
    }
    answer
}

/// What comes, until the server ends it or it goes on for ever.
async fn hear(read: &mut (impl AsyncRead + Unpin), answer: &mut Vec<u8>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(PATIENCE, read.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..length]);
        if answer.len() > ANSWER_BYTES_MAX || memmem::find(answer, b"event: heartbeat").is_some() {
            break;
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let get = |path: &str| format!("\0GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let paths = [
        "/",
        "/healthz",
        "/api/v1/search?q=service:shop&limit=3",
        "/api/v1/aggregate?q=*%20%7C%20count()%20by%20service",
        "/api/v1/histogram?buckets=4&by=level",
        "/api/v1/fields",
        "/api/v1/fields/service/values?prefix=a",
        "/api/v1/services",
        "/api/v1/services/graph",
        "/api/v1/journeys?q=*",
        "/api/v1/journey/x?corrected=true",
        "/api/v1/patterns?q=*",
        "/api/v1/compare?q=level:error",
        "/api/v1/tail?q=*",
        "/metrics",
        "/api/v1/count?q=*&start=2026-01-01T00:00:00Z",
    ];
    let mut seeds: Vec<Vec<u8>> = paths.map(get).into();
    let post = |server: u8, path: &str, kind: &str, body: &[u8]| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        [&[server], head.as_bytes(), body].concat()
    };
    seeds.push(post(0, "/api/v1/logs?service=a", "application/json", br#"{"msg":"x"}"#));
    seeds.push(post(0, "/api/v1/sql", "application/json", br#"{"query":"select count(*) from logs"}"#));
    seeds.push(post(
        2,
        "/v1/logs",
        "application/json",
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#,
    ));
    seeds.extend(workload(Signal::Spans).into_iter().take(2).map(|body| post(2, "/v1/traces", "application/x-protobuf", &body)));
    seeds.push(b"\x02POST /v1/logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-protobuf\r\n\r\n2\r\n\x0a\0\r\n0\r\n\r\n".to_vec());
    // A preface, settings, and a call of gRPC whose head is no field at all.
    seeds.push(
        b"\x01PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x82\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0"
            .to_vec(),
    );
    seeds
}

/// A disk that takes nothing any more when it is told so: bodies are decoded and then refused, however many come.
#[derive(Debug, Default)]
struct FullDisk {
    full: AtomicBool,
}

impl FullDisk {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Disk for FullDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        LocalDisk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.room()?;
        LocalDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        LocalDisk.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        LocalDisk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        LocalDisk.sync_folder(folder)
    }
}
