//! The account of records: received = stored + rejected + deduplicated + in flight, in every scrape.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message;

use crate::harness::{NEEDLE, Process, Server, poll, try_post};
use crate::otlp::wire::{Door, Signal, export, export_bytes};
use crate::otlp::{self, MS, configured};

/// The terms of one account, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Terms {
    received: u64,
    stored: u64,
    rejected: u64,
    deduplicated: u64,
    in_flight: u64,
}

impl Terms {
    fn settled(&self) -> u64 {
        self.stored + self.rejected + self.deduplicated + self.in_flight
    }
}

/// Every account of a scrape, by its labels; checks that each adds up.
#[track_caller]
fn scrape(server: &Server) -> BTreeMap<String, Terms> {
    let text = server.get("/metrics", &[]).text();
    let mut accounts: BTreeMap<String, Terms> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.strip_prefix("needle_records_").and_then(|line| line.split_once('{')) else { continue };
        let (labels, value) = rest.split_once("} ").unwrap();
        let terms = accounts.entry(labels.to_owned()).or_default();
        let term = match name {
            "received_total" => &mut terms.received,
            "stored_total" => &mut terms.stored,
            "rejected_total" => &mut terms.rejected,
            "deduplicated_total" => &mut terms.deduplicated,
            "in_flight" => &mut terms.in_flight,
            "unaccounted" => {
                assert_eq!(value, "0", "{line}");
                continue;
            }
            other => panic!("an unknown term: {other}"),
        };
        *term = value.parse().unwrap();
    }
    assert_eq!(accounts.len(), 7, "logs by four doors and spans by three:\n{text}");
    for (labels, terms) in &accounts {
        assert_eq!(terms.received, terms.settled(), "{labels}: {terms:?}");
    }
    assert!(text.lines().any(|line| line == "needle_records_mismatches_total 0"), "{text}");
    accounts
}

fn sum(accounts: &BTreeMap<String, Terms>) -> Terms {
    accounts.values().fold(Terms::default(), |sum, terms| Terms {
        received: sum.received + terms.received,
        stored: sum.stored + terms.stored,
        rejected: sum.rejected + terms.rejected,
        deduplicated: sum.deduplicated + terms.deduplicated,
        in_flight: sum.in_flight + terms.in_flight,
    })
}

/// Scrapes until `done`; the counters never fall. How often.
fn watch(server: &Server, done: &AtomicBool) -> u64 {
    let mut scrapes = 0;
    let mut before = scrape(server);
    while !done.load(Ordering::Relaxed) {
        let now = scrape(server);
        for (labels, terms) in &now {
            let earlier = before[labels];
            let rises = |now: u64, earlier: u64| now >= earlier;
            assert!(
                rises(terms.received, earlier.received) && rises(terms.stored, earlier.stored) && rises(terms.rejected, earlier.rejected),
                "{labels}: {earlier:?} then {terms:?}"
            );
        }
        before = now;
        scrapes += 1;
    }
    scrapes
}

/// What senders were told, added up.
#[derive(Default)]
struct Told {
    sent: AtomicU64,
    rejected: AtomicU64,
}

const ROUNDS: u64 = 60;

/// One sender's rounds of good, bad, repeated and undecodable requests by one door.
fn send_everything(server: &Server, door: Door, sender: u64, told: &Told) {
    for round in 0..ROUNDS {
        let time = otlp::now();
        let trace = otlp::unique(16);
        let mut spans: Vec<_> = (0..20).map(|n| otlp::span(&trace, &format!("span {n}"), time, time + MS)).collect();
        let bad = (round % 5) as usize;
        spans.iter_mut().take(bad).for_each(|span| span.trace_id = vec![0; 16]);
        let spans = otlp::traces(vec![otlp::spans_of(&format!("sender-{sender}"), spans)]);
        let logs = (0..10).map(|n| otlp::log(&format!("line {n}"), time + n)).collect();
        let logs = otlp::logs(vec![otlp::logs_of(&format!("sender-{sender}"), logs)]);
        // Busy senders are told to come again, and do.
        for _ in 0..2 {
            let rejected = poll("an answer", || export(server, door, "gzip", &spans).ok()).rejected;
            assert_eq!(rejected, bad as i64);
            told.rejected.fetch_add(bad as u64, Ordering::Relaxed);
            poll("an answer", || export(server, door, "identity", &logs).ok());
        }
        told.sent.fetch_add(30 - bad as u64, Ordering::Relaxed);
        let none = otlp::traces(vec![otlp::spans_of("nobody", vec![otlp::span(&[0; 16], "none", time, time); 3])]);
        export(server, door, "identity", &none).unwrap_err();
        export_bytes(server, door, Signal::Logs, "identity", b"\xff\xff").unwrap_err();
    }
}

/// Connections that are closed within a body, or when all is sent, and calls that are cancelled.
fn leave(server: &Server) {
    let batch = |n: u64| {
        let time = otlp::now();
        let records = (0..200).map(|line| otlp::log(&format!("left {n} {line}"), time + line)).collect();
        otlp::logs(vec![otlp::logs_of("leaver", records)])
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for n in 0..ROUNDS {
        let body = batch(n).encode_to_vec();
        let mut stream = TcpStream::connect(server.process().address("otlp-http")).unwrap();
        let head =
            format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body[..if n % 3 == 0 { body.len() / 2 } else { body.len() }]).unwrap();
        drop(stream);
        runtime.block_on(async {
            let mut client = LogsServiceClient::connect(server.otlp_grpc()).await.unwrap();
            let request = batch(n + 1000);
            let call = tokio::spawn(async move { client.export(request).await });
            for _ in 0..n * 10 {
                tokio::task::yield_now().await;
            }
            call.abort();
        });
    }
}

fn send_lines(server: &Server, told: &Told) {
    for round in 0..ROUNDS {
        let body = format!("{{\"msg\":\"a {round}\"}}\nplain {round}\n\n{{\"msg\":\"{}\"}}\n", "b".repeat(20_000));
        let body = [body.as_bytes(), b"\xff not text\n"].concat();
        let url = format!("{}/api/v1/logs?service=lines", server.url());
        let answer =
            poll("an answer", || try_post(&url, &[("content-type", "application/x-ndjson")], &body).ok().filter(|it| it.status == 200));
        // The long line is over the limit of a record.
        assert_eq!((&answer.json()["accepted"], answer.json()["rejected"].as_array().unwrap().len()), (&2.into(), 2), "{}", answer.text());
        told.sent.fetch_add(2, Ordering::Relaxed);
        told.rejected.fetch_add(2, Ordering::Relaxed);
    }
}

#[test]
fn the_account_adds_up_in_every_scrape() {
    // Little room, so that some are told that it is too much.
    let settings = "[ingest]\nrequest_bytes_max = 65536\nrecord_bytes_max = 16384\nin_flight_bytes_max = 196608\n[storage]\nlive_bytes_seal = 400000\nlive_bytes_max = 1000000\n";
    let (_folder, server) = configured(settings);
    let (told, done) = (Told::default(), AtomicBool::new(false));
    let scrapes = std::thread::scope(|threads| {
        let watchers: Vec<_> = (0..2).map(|_| threads.spawn(|| watch(&server, &done))).collect();
        let mut senders = Vec::new();
        for (n, door) in [Door::Grpc, Door::Protobuf, Door::Json].into_iter().enumerate() {
            let (server, told) = (&server, &told);
            senders.push(threads.spawn(move || send_everything(server, door, n as u64, told)));
        }
        senders.push(threads.spawn(|| send_lines(&server, &told)));
        senders.push(threads.spawn(|| leave(&server)));
        senders.push(threads.spawn(|| (0..20).for_each(|_| server.flush())));
        let ended: Vec<_> = senders.into_iter().map(|sender| sender.join()).collect();
        done.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
        watchers.into_iter().map(|watcher| watcher.join().unwrap()).sum::<u64>()
    });
    assert!(scrapes > 20, "{scrapes} scrapes");
    let all = poll("the end of what is under way", || Some(sum(&scrape(&server))).filter(|all| all.in_flight == 0));
    // What is stored is what is found, and what was sent is stored.
    let count = |query: &str| server.get("/api/v1/count", &[("q", query)]).expect(200)["count"].as_u64().unwrap();
    assert_eq!(all.stored, count("*"), "{all:?}");
    assert_eq!(all.stored - count("service:leaver"), told.sent.load(Ordering::Relaxed), "{all:?}");
    assert!(all.rejected >= told.rejected.load(Ordering::Relaxed) && all.deduplicated > 0, "{all:?}");
    assert_eq!(server.get("/readyz", &[]).status, 200);
}

#[test]
fn what_the_store_refuses_is_rejected_and_a_replay_is_no_arrival() {
    let data = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0";
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    command.args(["-c", script, "bash", NEEDLE, "serve", "--otlp-grpc", any, "--otlp-http", any, "--http", any, "--data"]).arg(data.path());
    let refusing = Server::started(Process::spawn(&mut command), data);
    let log = |text: &str| otlp::logs(vec![otlp::logs_of("cart", vec![otlp::log(text, otlp::now())])]);
    for door in [Door::Grpc, Door::Protobuf, Door::Json] {
        export(&refusing, door, "identity", &log("refused")).unwrap_err();
    }
    let all = sum(&scrape(&refusing));
    assert_eq!((all.received, all.rejected, all.stored), (3, 3, 0));

    let mut server = Server::start();
    export(&server, Door::Grpc, "identity", &log("kept")).unwrap();
    assert_eq!(sum(&scrape(&server)).stored, 1);
    server.kill();
    server.start_again();
    assert_eq!(sum(&scrape(&server)), Terms::default());
    assert_eq!(crate::harness::metric(&server, "needle_storage_records_replayed_total"), 1);
    assert_eq!(server.search("kept").len(), 1);
}
