//! What a record costs: CPU from the socket to the acknowledgement, CPU to seal, bytes on disk, and how fast its journey opens.
//!
//! Beside each figure stands a floor, measured in the same run on the same bytes, so that figures of two machines can be
//! compared. One run says little about differences of a few percent: run it several times, on an otherwise idle machine.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code)]
#[path = "../e2e/harness.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../e2e/otlp.rs"]
mod otlp;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use harness::Server;
use otlp::{MS, attribute, hex, text_attribute};

/// An exporter's batch.
const BATCH_RECORDS: usize = 512;
const BATCHES: usize = 400;
const SENDERS: usize = 4;
const JOURNEYS: usize = 200;
/// Records of one request, spread over the services.
const RECORDS_PER_TRACE: usize = 16;

fn main() {
    let records = (BATCH_RECORDS * BATCHES) as f64;
    let batches: Vec<Vec<u8>> = (0..BATCHES).map(batch).collect();
    let bytes: usize = batches.iter().map(Vec::len).sum();
    println!("{records} log records in {BATCHES} requests, {:.0} bytes of protobuf a record", bytes as f64 / records);

    let floor = floor(&batches);
    let server = Server::start();
    let (before, start) = (cpu(server.process().id()), Instant::now());
    send(&server, &batches);
    let (wall, ingest) = (start.elapsed(), cpu(server.process().id()) - before);
    let before = cpu(server.process().id());
    server.flush();
    let seal = cpu(server.process().id()) - before;

    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / records;
    println!(
        "ingest    {:8.2} us of CPU a record, floor {:.2} (decode with generated types, write, fdatasync)",
        each(ingest),
        each(floor.cpu)
    );
    println!("seal      {:8.2} us of CPU a record (a part of it may have run during ingest)", each(seal));
    println!("rate      {:8.0} records a second from {SENDERS} senders, who share the machine", records / wall.as_secs_f64());
    let disk = parquet_bytes(server.data()) as f64;
    println!(
        "disk      {:8.2} bytes a record with the index, floor {:.2} (all bodies as one zstd stream)",
        disk / records,
        floor.bytes as f64 / records
    );
    println!("memory    {:8.1} MiB at most", peak_memory_mib(server.process().id()));
    let mut times = journeys(&server);
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("journey   {:8.2} ms at the median, {:.2} ms p99, by id over sealed records, over HTTP", at(0.5), at(0.99));
}

/// Logs of some services, the `number`th request.
fn batch(number: usize) -> Vec<u8> {
    let start = otlp::now();
    let services = ["front", "cart", "stock", "pay"];
    let mut resources: Vec<_> = services.iter().map(|service| otlp::logs_of(service, Vec::new())).collect();
    for n in 0..BATCH_RECORDS {
        let record = record(number * BATCH_RECORDS + n, start + n as u64 * MS / 10);
        resources[n % services.len()].scope_logs[0].log_records.push(record);
    }
    ExportLogsServiceRequest { resource_logs: resources }.encode_to_vec()
}

fn record(n: usize, time: u64) -> LogRecord {
    let trace = n / RECORDS_PER_TRACE;
    let status = if n.is_multiple_of(50) { 500 } else { 200 };
    let body = format!("GET /api/items/{} answered {status} after {} ms", (n * 7919) % 10_000, (n * 31) % 900);
    LogRecord {
        trace_id: trace_id(trace),
        span_id: (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().to_vec(),
        severity_number: if status == 500 { 17 } else { 9 },
        severity_text: if status == 500 { "ERROR".into() } else { "INFO".into() },
        attributes: vec![
            text_attribute("http.request.method", "GET"),
            attribute("http.response.status_code", OtlpValue::IntValue(status)),
            text_attribute("url.path", &format!("/api/items/{}", (n * 7919) % 10_000)),
            attribute("duration_ms", OtlpValue::DoubleValue(((n * 31) % 900) as f64 / 7.0)),
            text_attribute("user.id", &format!("user-{}", (n * 104_729) % 5_000)),
        ],
        ..otlp::log(&body, time)
    }
}

fn trace_id(trace: usize) -> Vec<u8> {
    (trace as u128 + 1).wrapping_mul(0x2545_F491_4F6C_DD1D_9E37_79B9_7F4A_7C15).to_be_bytes().to_vec()
}

struct Floor {
    cpu: Duration,
    bytes: usize,
}

/// The least that any server which decodes and keeps its promise must do.
fn floor(batches: &[Vec<u8>]) -> Floor {
    let mut file = tempfile::tempfile().unwrap();
    let before = cpu(std::process::id());
    for batch in batches {
        std::hint::black_box(ExportLogsServiceRequest::decode(&**batch).unwrap());
        file.write_all(batch).unwrap();
        file.sync_data().unwrap();
    }
    let cpu = cpu(std::process::id()) - before;
    let bytes = zstd::encode_all(&*batches.concat(), 3).unwrap().len();
    Floor { cpu, bytes }
}

fn send(server: &Server, batches: &[Vec<u8>]) {
    let url = server.otlp_http() + "/v1/logs";
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let url = &url;
            scope.spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                for batch in batches.iter().skip(sender).step_by(SENDERS) {
                    agent.post(url).content_type("application/x-protobuf").send(&**batch).unwrap();
                }
            });
        }
    });
}

fn journeys(server: &Server) -> Vec<Duration> {
    let agent = ureq::Agent::new_with_defaults();
    let traces = BATCHES * BATCH_RECORDS / RECORDS_PER_TRACE;
    let open = |n: usize| {
        let start = Instant::now();
        let url = format!("{}/api/v1/journey/{}", server.url(), hex(&trace_id(n * traces / JOURNEYS)));
        agent.get(url).call().unwrap().body_mut().read_to_vec().unwrap();
        start.elapsed()
    };
    (0..JOURNEYS).map(open).collect()
}

/// CPU time of a process, of all its threads.
fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').expect("the name stands in parentheses").1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn peak_memory_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    line.trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}

fn parquet_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let size = |path: std::path::PathBuf| match path.is_dir() {
        true => parquet_bytes(&path),
        false if path.extension().is_some_and(|extension| extension == "parquet") => path.metadata().unwrap().len(),
        false => 0,
    };
    entries.map(size).sum()
}
