//! A start with a long log, as `kill -9` leaves it where nothing could be sealed: how soon it accepts, and how soon all is
//! found. The log is written by what `FORMAT.md` says of it.
//!
//! `make bench-replay LOG_MB=1000`, with `REPLAY=0` only until it accepts; in `make test` it is a short one.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::harness::{Process, needle, poll, try_get, try_post};
use crate::random::Random;
use crate::senders::wait_replayed;

const FILE_BYTES: u64 = 32 << 20;
const RECORDS_OF_A_FRAME: u64 = 100;
/// Different ones; a log repeats them.
const PAYLOADS: u64 = 200;

/// Lines of a service, and the payload that holds them.
fn payload(number: u64) -> (u32, Vec<u8>) {
    let mut random = Random::of(number, 3);
    let mut line = |n: u64| {
        let (id, user, took) = (random.next(), random.below(100_000), random.below(3_000));
        let path = ["/cart", "/checkout", "/pay", "/orders"][(n % 4) as usize];
        json!({
            "time": 1_780_000_000_000_u64 + number * 1_000 + n, "service": "till", "level": "info",
            "msg": format!("order of user {user} took {took} ms on {path}"),
            "request_id": format!("{id:016x}"), "user.id": user, "http.route": path, "http.response.status_code": 200, "took_ms": took,
        })
    };
    let body: String = (0..RECORDS_OF_A_FRAME).map(|n| format!("{}\n", line(n))).collect();
    let mut plain = Vec::new();
    plain.extend(7_u16.to_le_bytes());
    plain.extend(b"default");
    plain.extend([0xff; 4]);
    plain.extend(body.as_bytes());
    (plain.len() as u32, zstd::bulk::compress(&plain, 1).unwrap())
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A frame of JSON lines.
fn frame(sequence: u64, (plain_bytes, payload): &(u32, Vec<u8>)) -> Vec<u8> {
    let arrival = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut bytes = b"NDLF".to_vec();
    bytes.extend([2, 5, 0, 0]);
    bytes.extend(sequence.to_le_bytes());
    bytes.extend((1 + (sequence - 1) * RECORDS_OF_A_FRAME).to_le_bytes());
    bytes.extend((RECORDS_OF_A_FRAME as u32).to_le_bytes());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(plain_bytes.to_le_bytes());
    bytes.extend(crc32(payload).to_le_bytes());
    bytes.extend(arrival.to_le_bytes());
    bytes.extend(u128::from(sequence).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// Writes a log of so many bytes; how many records are in it.
fn write_log(data: &Path, bytes: u64) -> u64 {
    let folder = data.join("_needle/wal");
    std::fs::create_dir_all(&folder).unwrap();
    let payloads: Vec<(u32, Vec<u8>)> = (0..PAYLOADS).map(payload).collect();
    let (mut sequence, mut written) = (1, 0);
    while written < bytes {
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(format!("{sequence:020}.wal"))).unwrap());
        file.write_all(b"NDLWAL01").unwrap();
        let mut own = 8;
        while written < bytes {
            let frame = frame(sequence, &payloads[(sequence % PAYLOADS) as usize]);
            if own + frame.len() as u64 > FILE_BYTES {
                break;
            }
            file.write_all(&frame).unwrap();
            (sequence, own, written) = (sequence + 1, own + frame.len() as u64, written + frame.len() as u64);
        }
        let file = file.into_inner().unwrap();
        file.set_len(FILE_BYTES).unwrap();
    }
    (sequence - 1) * RECORDS_OF_A_FRAME
}

/// Seconds of CPU that a process used.
fn cpu_seconds(process: &Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn count(url: &str) -> (u64, String) {
    let counted = try_get(&format!("{url}/api/v1/aggregate"), &[("q", "* | count()")]).unwrap().expect(200);
    (counted["rows"][0][0].as_u64().unwrap_or(0), counted["completeness"].to_string())
}

#[test]
fn with_a_long_log_it_accepts_at_once_and_says_what_is_missing() {
    let bytes = crate::number("LOG_MB").unwrap_or(3) * 1_000_000;
    let data = tempfile::tempdir().unwrap();
    let records = write_log(data.path(), bytes);
    let any = "127.0.0.1:0";
    let mut command = needle(&["serve", "--otlp-grpc", any, "--otlp-http", any, "--http", any, "--data"]);
    let begun = Instant::now();
    let process = Process::spawn(command.arg(data.path()));
    process.wait_for("ready");
    let (ready_seconds, ready_cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(&process));
    let url = crate::program::url(&process);
    let line = |text: &str| json!({"time": 1_790_000_000_000_u64, "service": "new", "msg": text}).to_string();
    let post =
        |text: &str| try_post(&format!("{url}/api/v1/logs"), &[("content-type", "application/x-ndjson")], line(text).as_bytes()).unwrap();
    assert_eq!(post("first").status, 200);
    let accepted_seconds = begun.elapsed().as_secs_f64();
    let readiness = try_get(&format!("{url}/readyz"), &[]).unwrap();
    assert_eq!(readiness.status, 200);
    let (found, completeness) = count(&url);
    assert!(readiness.text().contains("replaying the log: "), "{}", readiness.text());
    assert!(found < records && completeness.contains("replaying the log: "), "{found} of {records}, {completeness}");
    let newest = try_get(&format!("{url}/api/v1/search"), &[("q", "service:new")]).unwrap().expect(200);
    assert_eq!((newest["records"][0]["body"].as_str(), newest["completeness"]["state"].as_str()), (Some("first"), Some("partial")));
    assert_eq!(newest["completeness"]["shards_failed"], 0, "no shard failed: {newest}");
    println!(
        "{} MB of log, {records} records: ready after {ready_seconds:.2} s ({ready_cpu:.2} s of CPU), the first acknowledgement after {accepted_seconds:.2} s",
        bytes / 1_000_000
    );
    if std::env::var("REPLAY").is_ok_and(|replay| replay == "0") {
        return;
    }
    let patience = Instant::now();
    if bytes > 10_000_000 {
        // The deadline of `wait_replayed` is for tests.
        while !try_get(&format!("{url}/readyz"), &[]).unwrap().json()["partial"].is_null() && patience.elapsed().as_secs() < 3_600 {
            poll("a look", || Some(()));
            std::thread::park_timeout(std::time::Duration::from_millis(200));
        }
    }
    wait_replayed(&url);
    let (all_seconds, all_cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(&process));
    println!("all of it is found after {all_seconds:.1} s ({all_cpu:.1} s of CPU)");
    let (found, completeness) = count(&url);
    assert_eq!(found, records + 1, "{completeness}");
    assert!(completeness.contains("\"complete\""), "{completeness}");
}
