//! What was acknowledged survives the worst moment to die, and is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use prost::Message;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Server, StopOnDrop, metric, poll, try_post};
use crate::otlp::{self, MS};

const SENDERS: usize = 4;
const BATCH_RECORDS: usize = 25;
const CYCLES: usize = 4;
/// Far more than are acknowledged before the kill; a bound, so that a failure ends.
const SENDER_BATCHES_MAX: usize = 2000;

/// A request that a sender made up, with what it must leave behind.
#[derive(Clone)]
struct Batch {
    bodies: Vec<String>,
    path: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Batch {
    /// The `number`th batch of a sender; odd senders speak OTLP, even ones JSON lines.
    fn new(cycle: usize, sender: usize, number: usize) -> Batch {
        let bodies: Vec<String> = (0..BATCH_RECORDS).map(|record| format!("unit-{cycle}-{sender}-{number}-{record}")).collect();
        let time = otlp::now();
        if sender % 2 == 1 {
            let records = bodies.iter().map(|body| otlp::log(body, time)).collect();
            let body = otlp::logs(vec![otlp::logs_of("counter", records)]).encode_to_vec();
            return Batch { bodies, path: "/v1/logs", content_type: "application/x-protobuf", body };
        }
        let lines: String = bodies.iter().map(|body| format!("{}\n", json!({"ts": time, "msg": body, "service": "counter"}))).collect();
        Batch { bodies, path: "/api/v1/logs", content_type: "application/x-ndjson", body: lines.into_bytes() }
    }

    /// Whether the server acknowledged it before it died.
    fn send(&self, url: &str) -> bool {
        match try_post(&format!("{url}{}", self.path), &[("content-type", self.content_type)], &self.body) {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{}", answer.text());
                true
            }
            Err(_) => false,
        }
    }
}

/// What senders know when their server has died.
#[derive(Default)]
struct Outcome {
    acknowledged: Vec<Batch>,
    /// Sent, and nothing heard.
    unknown: Vec<Batch>,
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill() {
    survive(false);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill_while_sealing() {
    survive(true);
}

fn survive(sealing: bool) {
    let mut server = Server::start();
    let mut expected = BTreeSet::new();
    for cycle in 0..CYCLES {
        // A different moment each time.
        let outcome = send_until_killed(&mut server, cycle, 60 + 37 * cycle, sealing);
        expected.extend(outcome.acknowledged.iter().flat_map(|batch| batch.bodies.clone()));
        server.start_again();
        let found = count_by_body(&server);
        assert_each_once(&found, &expected);
        assert_whole_or_not_at_all(&found, &outcome.unknown);
        // A sender that heard nothing sends again, as exporters do.
        for batch in &outcome.unknown {
            assert!(batch.send(&server.url()));
            expected.extend(batch.bodies.clone());
        }
        let found = count_by_body(&server);
        assert_each_once(&found, &expected);
        assert_eq!(found.len(), expected.len(), "nothing else is there");
    }
    server.flush();
    assert_each_once(&count_by_body(&server), &expected);
    assert_eq!(server.stop(), Some(0));
}

/// Several senders at once; the server is killed after so many acknowledgements.
fn send_until_killed(server: &mut Server, cycle: usize, acknowledgements: usize, sealing: bool) -> Outcome {
    let outcome = Mutex::new(Outcome::default());
    let (acknowledged, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let url = server.url();
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        for sender in 0..SENDERS {
            let (outcome, acknowledged, url) = (&outcome, &acknowledged, &url);
            senders.push(scope.spawn(move || {
                for number in 0..SENDER_BATCHES_MAX {
                    let batch = Batch::new(cycle, sender, number);
                    if !batch.send(url) {
                        outcome.lock().unwrap().unknown.push(batch);
                        return;
                    }
                    outcome.lock().unwrap().acknowledged.push(batch);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        let stop = StopOnDrop(&is_over);
        if sealing {
            let flush = || !is_over.load(Ordering::Relaxed) && try_post(&format!("{url}/api/v1/admin/flush"), &[], b"").is_ok();
            scope.spawn(move || while flush() {});
        }
        // A sender that ends before the kill has failed, and tells why when it is joined.
        let reached = || acknowledged.load(Ordering::Relaxed) >= acknowledgements || senders.iter().any(|sender| sender.is_finished());
        poll("acknowledgements", || reached().then_some(()));
        server.kill();
        drop(stop);
    });
    outcome.into_inner().unwrap()
}

fn count_by_body(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in server.search("service:counter") {
        *counts.entry(record["body"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn assert_each_once(found: &BTreeMap<String, usize>, expected: &BTreeSet<String>) {
    let lost: Vec<_> = expected.iter().filter(|body| !found.contains_key(*body)).collect();
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(lost.is_empty(), "lost {} of {}: {:?}", lost.len(), expected.len(), &lost[..lost.len().min(5)]);
    assert!(doubled.is_empty(), "{} are there more than once: {:?}", doubled.len(), &doubled[..doubled.len().min(5)]);
}

fn assert_whole_or_not_at_all(found: &BTreeMap<String, usize>, unknown: &[Batch]) {
    for batch in unknown {
        let there = batch.bodies.iter().filter(|body| found.contains_key(*body)).count();
        assert!(there == 0 || there == BATCH_RECORDS, "{there} of {BATCH_RECORDS} records of a request that was not answered");
    }
}

#[test]
fn a_torn_log_is_cut_where_it_tore() {
    let mut server = Server::start();
    for number in 0..10 {
        assert!(Batch::new(0, number % SENDERS, number).send(&server.url()));
    }
    let before = count_by_body(&server);
    server.kill();
    // What a crash of the machine leaves: the beginning of a frame that nobody was told about.
    let log = newest_log_file(server.data());
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_slice(&bytes.clone()[..bytes.len().min(50)]);
    std::fs::write(&log, bytes).unwrap();
    server.start_again();
    assert_eq!(count_by_body(&server), before);
    assert!(Batch::new(1, 0, 0).send(&server.url()), "and it goes on from there");
    server.kill();
    server.start_again();
    assert_eq!(count_by_body(&server).len(), before.len() + BATCH_RECORDS);
}

#[test]
fn a_stop_drains_and_exits_0() {
    let mut server = Server::start();
    server.send_lines(&[json!({"msg": "last words", "ts": otlp::now() - MS})]);
    assert_eq!(server.stop(), Some(0));
    server.start_again();
    assert_eq!(server.search("\"last words\"").len(), 1);
}

#[test]
fn a_request_that_never_ends_takes_no_time_from_what_is_sealed_at_a_stop() {
    let folder = TempDir::new().unwrap();
    let settings = folder.path().join("needle.toml");
    std::fs::write(&settings, "shutdown_timeout_ms = 9000\n[server]\ndrain_timeout_ms = 5000\n").unwrap();
    let mut server = Server::start_with(&["--config", settings.to_str().unwrap()]);
    server.send_lines(&[json!({"msg": "last words", "ts": otlp::now() - MS})]);
    let address = server.process().address("otlp-http");
    let half = format!("POST /v1/logs HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{");
    let mut never_ends = TcpStream::connect(&address).unwrap();
    never_ends.write_all(half.as_bytes()).unwrap();
    poll("the connection is accepted", || (metric(&server, "needle_server_connections{listener=\"otlp-http\"}") > 0).then_some(()));
    assert_eq!(server.stop(), Some(0));
    let said = server.process().stderr();
    assert!(!said.contains("not all was finished"), "{said}");
    drop(never_ends);
    server.start_again();
    assert_eq!(server.search("\"last words\"").len(), 1);
}

fn newest_log_file(data: &std::path::Path) -> std::path::PathBuf {
    let mut folders = vec![data.to_path_buf()];
    let mut newest = None;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            if metadata.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "wal") && metadata.len() > 0 {
                newest = newest.max(Some((metadata.modified().unwrap(), path)));
            }
        }
    }
    newest.unwrap_or_else(|| panic!("no file below a folder `wal` in {}", data.display())).1
}
