//! Checks 39 to 51: what failure means. (46 is about tokens, and tested with them; 47 needs a fault of ours, and is tested
//! in the room that may have one.)

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use prost::Message;
use serde_json::Value;

use super::configured;
use super::transport::{answer, ask, connect, one_log, one_span};
use super::wire::{DOORS, Door, SIGNALS, Signal, Status, Success, call, content_type, export, export_bytes, frame};
use crate::guard::token;
use crate::harness::{NEEDLE, Process, Server, poll, post, request_with};
use crate::otlp::{self, MS};

#[test]
fn otlp_39_undecodable_requests_are_refused_for_good() {
    let server = Server::start();
    for (door, signal) in DOORS.iter().flat_map(|door| SIGNALS.map(|signal| (*door, signal))) {
        let bodies: &[&[u8]] = if door == Door::Json {
            &[b"{", b"nope", b"[]", b"{} trailing", b"{\"resourceLogs\":7,\"resourceSpans\":7}"]
        } else {
            &[b"\xff", b"\x0a\xff\xff\xff\x0fnot a message", b"\x0a\x05ab", b"\x0a\x02\x12\xff"]
        };
        for body in bodies {
            let refused = export_bytes(&server, door, signal, "identity", body).unwrap_err();
            let http = if door == Door::Grpc { 0 } else { 400 };
            assert_eq!((refused.http, refused.code, refused.retry_after), (http, 3, None), "{door:?} {body:?}");
            assert_eq!(refused.details, ["google.rpc.BadRequest"], "{door:?} {body:?}");
        }
    }
    // Calls that are no message, or not one.
    for framed in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x09short", b"\0\0\0\0\0\0\0\0\0\0", b"\x07\0\0\0\0"] {
        assert_eq!(call(&server, Signal::Logs.method(), &[], framed.to_vec()).headers["grpc-status"], "3", "{framed:?}");
    }
    assert!(server.search("*").is_empty());
}

#[test]
fn otlp_40_every_refusal_is_a_status_in_the_encoding_of_the_request() {
    let (_folder, server) = configured("[ingest]\nrequest_bytes_max = 1000\nrecord_bytes_max = 1000\n");
    let long = vec![b' '; 2000];
    for base in [server.otlp_http(), server.url()] {
        for (method, path, headers, body, status) in [
            ("POST", "/v1/logs", &[][..], &b"\xff"[..], 400),
            ("POST", "/v1/traces", &[("idempotency-key", "\u{fc}")], b"", 400),
            ("POST", "/v1/traces", &[("content-encoding", "gzip")], b"x", 400),
            ("POST", "/v1/traces", &[("content-encoding", "br")], b"x", 415),
            ("POST", "/v1/traces", &[], &long, 413),
            ("POST", "/v1/nowhere", &[], b"", 404),
            ("POST", "/v1/metrics", &[], b"", 404),
            ("GET", "/v1/logs", &[], b"", 405),
        ] {
            for door in [Door::Protobuf, Door::Json] {
                let all = [&[("content-type", content_type(door))][..], headers].concat();
                let url = base.clone() + path;
                let answer = if method == "POST" { post(&url, &all, body) } else { request_with(method, &url, &all) };
                assert_eq!((answer.status, answer.header("content-type")), (status, content_type(door)), "{method} {url}");
                let (code, message) = if door == Door::Json {
                    let json = answer.json();
                    (json["code"].as_i64().unwrap(), json["message"].as_str().unwrap().to_owned())
                } else {
                    let told = Status::decode(&*answer.body).unwrap();
                    (i64::from(told.code), told.message)
                };
                assert!(code > 0 && message.len() > 10, "{method} {url}: {code} {message}");
            }
        }
        // What is of no type is answered in JSON.
        let untyped = post(&(base.clone() + "/v1/logs"), &[], b"x");
        assert_eq!((untyped.status, untyped.header("content-type")), (415, "application/json"));
        assert_eq!(untyped.json()["code"], 3);
    }
}

/// Connections that hold bodies which do not end.
fn hold(server: &Server, bytes: usize) -> BufReader<TcpStream> {
    let mut stream = connect(server);
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    stream.get_mut().write_all(&vec![b' '; bytes - 1]).unwrap();
    stream
}

fn is_answered(stream: &BufReader<TcpStream>) -> bool {
    stream.get_ref().set_nonblocking(true).unwrap();
    stream.get_ref().peek(&mut [0]).is_ok()
}

#[test]
fn otlp_41_42_45_who_comes_when_it_is_too_much_is_asked_to_come_again() {
    let settings =
        "[ingest]\nrequest_bytes_max = 65536\nrecord_bytes_max = 65536\nin_flight_bytes_max = 131072\n[server]\nbody_timeout_ms = 600000\n";
    let (_folder, server) = configured(settings);
    let mut held = [hold(&server, 65536), hold(&server, 65536)];
    let mut waits = BTreeSet::new();
    for (door, signal) in DOORS.iter().flat_map(|door| SIGNALS.map(|signal| (*door, signal))) {
        let send = || match signal {
            Signal::Logs => export(&server, door, "identity", &one_log(&"too much ".repeat(6_500))),
            Signal::Traces => export(&server, door, "identity", &one_span(&"too much ".repeat(6_500))),
        };
        // Until the server has read what is held. One that came while a record was on its way was refused itself, and is sent again.
        let refused = poll("a refusal", || {
            for refused in held.iter_mut().filter(|stream| is_answered(stream)) {
                *refused = hold(&server, 65536);
            }
            send().err()
        });
        assert_eq!(refused.http, if door == Door::Grpc { 0 } else { 429 });
        // UNAVAILABLE with RetryInfo, never RESOURCE_EXHAUSTED without.
        assert_eq!((refused.code, &refused.details[..]), (14, &["google.rpc.RetryInfo".to_owned()][..]), "{door:?}");
        for _ in 0..20 {
            let retry_after = send().unwrap_err().retry_after.unwrap();
            let seconds: u64 = retry_after.parse().expect("whole seconds");
            assert!((1..=60).contains(&seconds), "{retry_after}");
            waits.insert(seconds);
        }
    }
    assert!(waits.len() > 1, "refused senders do not come back together: {waits:?}");
    drop(held);
    poll("room", || export(&server, Door::Json, "identity", &one_log("room again")).ok());
    assert_eq!(server.search("\"room again\"").len(), 1);
}

#[test]
fn otlp_43_a_tenant_that_sends_more_than_its_rate_is_asked_to_come_again() {
    // As much as in 17 seconds, of which it may send what ten bring at once.
    let (_folder, server) = configured("[ingest]\ntenant_bytes_per_second_max = 10000\n");
    export(&server, Door::Json, "identity", &one_log(&"too fast ".repeat(19_000))).unwrap();
    for (door, signal) in DOORS.iter().flat_map(|door| SIGNALS.map(|signal| (*door, signal))) {
        let refused = match signal {
            Signal::Logs => export(&server, door, "gzip", &one_log("late")).unwrap_err(),
            Signal::Traces => export(&server, door, "gzip", &one_span("late")).unwrap_err(),
        };
        assert_eq!(refused.http, if door == Door::Grpc { 0 } else { 429 });
        assert_eq!((refused.code, &refused.details[..]), (14, &["google.rpc.RetryInfo".to_owned()][..]), "{door:?}");
        assert!(refused.message.contains("tenant_bytes_per_second_max"), "{}", refused.message);
        let seconds: u64 = refused.retry_after.expect("when to come again").parse().expect("whole seconds");
        assert!((1..=12).contains(&seconds), "{seconds}");
    }
    poll("what was too much to be made up for", || export(&server, Door::Json, "identity", &one_log("in time")).ok());
    assert_eq!((server.search("late").len(), server.search("\"in time\"").len()), (0, 1));
}

#[test]
fn who_is_refused_while_sending_hears_it_at_once_and_is_heard_out() {
    let (_folder, server) = configured("[ingest]\ntenant_bytes_per_second_max = 10000\n");
    export(&server, Door::Json, "identity", &one_log(&"too fast ".repeat(19_000))).unwrap();
    let body = vec![b' '; 8 << 20];
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let refused = |status| {
        let mut stream = connect(&server);
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).0, status);
        stream.get_mut().write_all(&body).expect("the rest of the body is taken");
        // And the connection is as good as before.
        assert_eq!(
            ask(&mut stream, b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").0,
            if status == 429 { 415 } else { status }
        );
    };
    refused(429);
    token(&server, "ingest", "default");
    refused(401);
}

#[test]
fn otlp_44_a_log_that_cannot_be_written_is_a_matter_of_coming_again() {
    // Files may not grow beyond what the catalog needs, and the signal that this raises is ignored: writes fail.
    let data = tempfile::tempdir().unwrap();
    let limit_blocks = 2048;
    let any = "127.0.0.1:0";
    let script = format!("trap '' XFSZ; ulimit -f {limit_blocks}; exec \"$@\"");
    let mut command = Command::new("bash");
    command
        .args(["-c", &script, "bash", NEEDLE, "serve", "--otlp-grpc", any, "--otlp-http", any, "--http", any, "--data"])
        .arg(data.path());
    let server = Server::started(Process::spawn(&mut command), data);
    for (n, door) in DOORS.iter().enumerate() {
        let refused = export(&server, *door, "identity", &one_log(&format!("refused {n}"))).unwrap_err();
        assert_eq!(refused.http, if *door == Door::Grpc { 0 } else { 503 }, "{}", refused.message);
        assert_eq!((refused.code, &refused.details[..]), (14, &["google.rpc.RetryInfo".to_owned()][..]), "{door:?}");
        assert!(refused.retry_after.unwrap().parse::<u64>().unwrap() >= 1);
    }
    let ready = server.get("/readyz", &[]);
    let reasons = ready.expect(503)["reasons"].clone();
    assert!(reasons[0].as_str().unwrap().contains("the log cannot be written"), "{reasons}");
    assert!(server.search("*").is_empty());
}

#[test]
fn otlp_48_who_is_under_way_is_served_and_who_comes_is_sent_on() {
    let mut server = Server::start();
    let body = serde_json::to_vec(&one_log("under way")).unwrap();
    let mut under_way = connect(&server);
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    under_way.get_mut().write_all(head.as_bytes()).unwrap();
    assert_eq!(answer(&mut under_way).0, 100, "the server waits for the body");
    // A connection of gRPC that has nothing to say: preface and empty settings.
    let mut idle = TcpStream::connect(server.process().address("otlp-grpc")).unwrap();
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    assert_eq!(read_frame(&mut idle).map(|frame| frame.0), Some(4), "the server's settings");

    server.process().signal(rustix::process::Signal::TERM);
    for door in DOORS {
        let refused = poll("a refusal", || export(&server, door, "identity", &one_log("too late")).err());
        assert_eq!((refused.http, refused.code), (if door == Door::Grpc { 0 } else { 503 }, 14), "{door:?}: {}", refused.message);
        assert!(refused.retry_after.unwrap().parse::<u64>().unwrap() >= 1);
    }
    let ready = server.get("/readyz", &[]).expect(503);
    assert!(ready["reasons"][0].as_str().unwrap().contains("shutting down"), "{ready}");

    under_way.get_mut().write_all(&body).unwrap();
    assert_eq!(answer(&mut under_way), (200, b"{}".to_vec()));
    let mut rest = String::new();
    assert_eq!(under_way.read_line(&mut rest).unwrap(), 0, "closed after the answer: {rest}");
    let frames: Vec<u8> = std::iter::from_fn(|| read_frame(&mut idle)).map(|frame| frame.0).collect();
    assert!(frames.contains(&7), "GOAWAY: {frames:?}");
    assert_eq!(server.wait(), Some(0));
    server.start_again();
    assert_eq!(server.search("\"under way\"").len(), 1);
    // Those that were told to come again before the signal arrived were stored, and said so.
}

/// An HTTP/2 frame: its type and its payload; none at the end.
fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], payload))
}

#[test]
fn otlp_49_a_request_whose_sender_left_is_stored_whole_or_not_at_all() {
    const RECORDS: usize = 500;
    let server = Server::start();
    let batch = |name: &str| {
        let time = otlp::now();
        otlp::logs(vec![otlp::logs_of(name, (0..RECORDS).map(|n| otlp::log(&format!("line {n}"), time + n as u64)).collect())])
    };
    let mut names = Vec::new();
    // Each waits longer for its answer than the one before, until one has it: some leave before anything is decoded, some
    // while it is stored, and the last was stored.
    let patience = || (0..200).map(|n| Duration::from_micros(200 + (n * n * 40) as u64)).enumerate();
    for (n, wait) in patience() {
        let name = format!("left-{n}");
        let body = batch(&name).encode_to_vec();
        let head =
            format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(server.process().address("otlp-http")).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // Some leave within the body.
        let sent = if n % 4 == 0 { body.len() / 2 } else { body.len() };
        stream.write_all(&body[..sent]).unwrap();
        stream.set_read_timeout(Some(wait)).unwrap();
        names.push(name);
        if stream.read(&mut [0; 12]).is_ok_and(|read| read > 0) {
            break;
        }
    }
    // By gRPC: calls that are cancelled.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
        let mut client = LogsServiceClient::connect(server.otlp_grpc()).await.unwrap();
        for (n, wait) in patience() {
            let name = format!("cancelled-{n}");
            let request = batch(&name);
            names.push(name);
            if tokio::time::timeout(wait, client.export(request)).await.is_ok() {
                break;
            }
        }
    });
    // What is still on its way settles: the account says when.
    poll("the end of what is under way", || (in_flight(&server) == 0).then_some(()));
    let mut whole = 0;
    for name in names {
        let count = server.get("/api/v1/count", &[("q", &format!("service:{name}"))]).expect(200)["count"].as_u64().unwrap();
        assert!(count == 0 || count == RECORDS as u64, "{name}: {count} of {RECORDS}");
        whole += usize::from(count > 0);
    }
    assert!(whole > 1, "the last of each were stored");
}

/// Records that were received and are not settled.
fn in_flight(server: &Server) -> u64 {
    let text = server.get("/metrics", &[]).text();
    let samples = text.lines().filter(|line| line.starts_with("needle_records_in_flight{"));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn otlp_50_51_a_request_that_comes_again_is_stored_once_also_across_a_crash() {
    let mut server = Server::start();
    let time = otlp::now();
    let trace = otlp::unique(16);
    let spans =
        otlp::traces(vec![otlp::spans_of("cart", (0..10).map(|n| otlp::span(&trace, &format!("span {n}"), time, time + MS)).collect())]);
    let logs = one_log("once");
    for door in [Door::Grpc, Door::Protobuf, Door::Grpc] {
        assert_eq!(export(&server, door, "identity", &spans), Ok(Success::default()));
        assert_eq!(export(&server, door, "gzip", &logs), Ok(Success::default()));
    }
    server.kill();
    server.start_again();
    assert_eq!(export(&server, Door::Protobuf, "identity", &spans), Ok(Success::default()));
    assert_eq!(export(&server, Door::Grpc, "identity", &logs), Ok(Success::default()));
    assert_eq!((server.search("kind:span").len(), server.search("kind:log").len()), (10, 1));
    let metrics = server.get("/metrics", &[]).text();
    assert!(metrics.contains("needle_records_deduplicated_total{signal=\"spans\",transport=\"http_protobuf\"} 10"), "{metrics}");
    let _: Value = server.journey(&otlp::hex(&trace));
    // As JSON it is another body, and told apart.
    assert_eq!(call(&server, Signal::Logs.method(), &[], frame(false, &logs.encode_to_vec())).headers["grpc-status"], "0");
    assert_eq!(server.search("kind:log").len(), 1);
}
