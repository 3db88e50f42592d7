//! Checks 12 to 21: content types and compression.

use std::io::Read;

use prost::Message;

use super::transport::{one_log, one_span};
use super::wire::{DOORS, Door, SIGNALS, Signal, Success, call, compressed, content_type, export, export_bytes, frame, read_http};
use crate::harness::{Server, post};

#[test]
fn otlp_12_13_answers_come_in_the_encoding_of_the_request() {
    let server = Server::start();
    for signal in SIGNALS {
        let url = server.otlp_http() + signal.path();
        for (sent, door, good) in [
            ("application/x-protobuf", Door::Protobuf, &b""[..]),
            ("application/protobuf", Door::Protobuf, b""),
            ("application/x-protobuf; proto=x", Door::Protobuf, b""),
            ("application/json", Door::Json, b"{}"),
            ("application/json; charset=utf-8", Door::Json, b"{}"),
            ("APPLICATION/JSON;charset=UTF-8", Door::Json, b"{}"),
        ] {
            // The answer's content type is checked where it is read.
            assert_eq!(read_http(door, signal, &post(&url, &[("content-type", sent)], good)), Ok(Success::default()), "{sent}");
            let refused = read_http(door, signal, &post(&url, &[("content-type", sent)], b"\xff\xff")).unwrap_err();
            assert_eq!((refused.http, refused.code), (400, 3), "{sent}: {refused:?}");
        }
    }
}

#[test]
fn otlp_15_16_17_every_compression_is_taken_at_every_door() {
    let server = Server::start();
    for (door, encoding) in DOORS.iter().flat_map(|door| ["identity", "gzip", "zstd"].map(|encoding| (*door, encoding))) {
        let name = format!("{encoding} by {door:?}");
        assert_eq!(export(&server, door, encoding, &one_log(&name)), Ok(Success::default()), "{name}");
        assert_eq!(export(&server, door, encoding, &one_span(&name)), Ok(Success::default()), "{name}");
        assert_eq!(server.search(&format!("\"{name}\"")).len(), 2, "{name}");
    }
    // Spelled out over HTTP, too.
    for encoding in ["identity", "none", ""] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        assert_eq!(post(&(server.otlp_http() + "/v1/logs"), &headers, b"{}").status, 200, "{encoding:?}");
    }
}

#[test]
fn otlp_18_unknown_encodings_are_refused_with_those_that_work() {
    let server = Server::start();
    for signal in SIGNALS {
        // Nor is one within the other.
        for (door, encoding) in [(Door::Protobuf, "br"), (Door::Json, "br"), (Door::Json, "gzip, gzip"), (Door::Protobuf, "gzip,zstd")] {
            let headers = [("content-type", content_type(door)), ("content-encoding", encoding)];
            let answer = post(&(server.otlp_http() + signal.path()), &headers, b"x");
            assert_eq!(answer.header("accept-encoding"), "gzip, zstd, identity");
            let refused = read_http(door, signal, &answer).unwrap_err();
            assert_eq!((refused.http, refused.code, refused.retry_after), (415, 12, None), "{door:?}");
        }
        let answer = call(&server, signal.method(), &[("grpc-encoding", "br")], frame(true, b"x"));
        assert_eq!(
            (answer.headers["grpc-status"].as_bytes(), answer.headers["grpc-accept-encoding"].as_bytes()),
            (&b"12"[..], &b"gzip,zstd,identity"[..])
        );
    }
}

#[test]
fn otlp_19_damaged_compression_is_refused_and_nothing_is_stored() {
    let server = Server::start();
    for (door, encoding) in DOORS.iter().flat_map(|door| ["gzip", "zstd"].map(|encoding| (*door, encoding))) {
        let whole = compressed(encoding, &body(door, "damaged"));
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x55;
        for (what, bytes) in [
            ("truncated", whole[..whole.len() - 5].to_vec()),
            ("cut in its head", whole[..3].to_vec()),
            ("flipped", flipped),
            ("trailing", [&whole[..], b"garbage"].concat()),
            ("no compression at all", body(door, "damaged")),
        ] {
            let refused = export_bytes(&server, door, Signal::Logs, encoding, &bytes).expect_err(what);
            assert_eq!((refused.code, refused.retry_after), (3, None), "{what} {encoding} by {door:?}: {}", refused.message);
            assert_eq!(refused.http, if door == Door::Grpc { 0 } else { 400 });
        }
    }
    assert!(server.search("*").is_empty());
    // A message marked as compressed by a call that does not say how.
    let answer = call(&server, Signal::Logs.method(), &[], frame(true, &body(Door::Grpc, "damaged")));
    assert_eq!(answer.headers["grpc-status"], "3");
}

fn body(door: Door, text: &str) -> Vec<u8> {
    let request = one_log(text);
    if door == Door::Json { serde_json::to_vec(&request).unwrap() } else { request.encode_to_vec() }
}

#[test]
fn otlp_20_gzip_of_several_members_is_read_whole() {
    let server = Server::start();
    for door in DOORS {
        // Each member ends within a record.
        let text = format!("in members by {door:?}");
        let plain = body(door, &text);
        let members: Vec<u8> = plain.chunks(plain.len() / 3).flat_map(|part| compressed("gzip", part)).collect();
        assert_eq!(export_bytes(&server, door, Signal::Logs, "gzip", &members), Ok(Success::default()), "{door:?}");
        assert_eq!(server.search(&format!("\"{text}\"")).len(), 1, "{door:?}");
    }
}

#[test]
fn otlp_21_an_answer_is_compressed_only_for_who_can_read_it() {
    let server = Server::start();
    for (base, accepted) in [server.otlp_http(), server.url()].iter().flat_map(|base| ["identity", "gzip"].map(|accepted| (base, accepted)))
    {
        let headers = [("content-type", "application/json"), ("accept-encoding", accepted)];
        let answer = post(&format!("{base}/v1/logs"), &headers, b"{");
        assert_eq!(answer.status, 400);
        let sent = answer.header("content-encoding");
        assert!(sent.is_empty() || (sent == "gzip" && accepted == "gzip"), "{accepted}: {sent}");
        let mut text = String::new();
        match answer.body.starts_with(b"\x1f\x8b") {
            true => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap()),
            false => text = answer.text(),
        }
        assert!(text.contains("\"code\":3"), "{text}");
    }
}
