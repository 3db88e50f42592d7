//! Checks 22 to 29: size and amplification.

use std::io::Write as _;

use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::configured;
use super::transport::{ask, connect, one_log};
use super::wire::{DOORS, Door, Refused, SIGNALS, Signal, Success, call, compressed, content_type, export, export_bytes, frame};
use crate::harness::{Server, memory_bytes_most, post};
use crate::otlp;

/// The default bound of a request body, before and after decompression.
const BODY_BYTES_MAX: usize = 64 << 20;
const SMALL_BYTES_MAX: usize = 100_000;

fn small() -> (tempfile::TempDir, Server) {
    configured(&format!("[ingest]\nrequest_bytes_max = {SMALL_BYTES_MAX}\nrecord_bytes_max = {SMALL_BYTES_MAX}\n"))
}

#[track_caller]
fn assert_too_large(door: Door, refused: &Refused, limit: usize) {
    let http = if door == Door::Grpc { 0 } else { 413 };
    // RESOURCE_EXHAUSTED without RetryInfo: the sender gives up on this request.
    assert_eq!((refused.http, refused.code, &refused.details[..], &refused.retry_after), (http, 8, &[][..], &None), "{door:?}");
    assert!(refused.message.contains(&limit.to_string()), "{}", refused.message);
}

#[test]
fn otlp_22_24_a_body_over_the_limit_as_sent_is_refused_for_good() {
    let (_folder, server) = small();
    for (door, signal) in DOORS.iter().flat_map(|door| SIGNALS.map(|signal| (*door, signal))) {
        let refused = export_bytes(&server, door, signal, "identity", &vec![b' '; SMALL_BYTES_MAX + 1]).unwrap_err();
        assert_too_large(door, &refused, SMALL_BYTES_MAX);
    }
    // The connection is usable afterwards, also when the length was not announced.
    let mut stream = connect(&server);
    let body = " ".repeat(SMALL_BYTES_MAX + 1);
    let length = body.len();
    let announced =
        format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    let chunked = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    );
    for request in [announced, chunked] {
        assert_eq!(ask(&mut stream, request.as_bytes()).0, 413);
        let good = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(ask(&mut stream, good.as_bytes()).0, 200);
    }
    // A call whose message claims more than it may.
    let mut claim = frame(false, b"");
    claim[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(call(&server, Signal::Logs.method(), &[], claim).headers["grpc-status"], "8");
}

#[test]
fn otlp_23_25_a_body_over_the_limit_when_decompressed_is_refused_for_good() {
    let (_folder, server) = small();
    for (door, encoding) in DOORS.iter().flat_map(|door| ["gzip", "zstd"].map(|encoding| (*door, encoding))) {
        let bomb = compressed(encoding, &vec![b' '; SMALL_BYTES_MAX + 1]);
        let refused = export_bytes(&server, door, Signal::Logs, encoding, &bomb).unwrap_err();
        assert_too_large(door, &refused, SMALL_BYTES_MAX);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn otlp_23_ten_gigabytes_in_ten_megabytes_cost_no_more_than_the_limit() {
    let mut member = GzEncoder::new(Vec::new(), flate2::Compression::best());
    member.write_all(&vec![0; BODY_BYTES_MAX]).unwrap();
    let member = member.finish().unwrap();
    let bomb = member.repeat((10 << 30) / BODY_BYTES_MAX);
    for door in DOORS {
        let server = Server::start();
        export(&server, door, "gzip", &one_log("small")).unwrap();
        let before = memory_bytes_most(&server);
        let refused = export_bytes(&server, door, Signal::Logs, "gzip", &bomb).unwrap_err();
        assert_too_large(door, &refused, BODY_BYTES_MAX);
        let grown = memory_bytes_most(&server) - before;
        let bound = (BODY_BYTES_MAX + BODY_BYTES_MAX / 10) as u64 + 2 * bomb.len() as u64;
        assert!(grown <= bound, "{door:?}: {grown} bytes for a body of {} bytes", bomb.len());
    }
}

/// A request of exactly this length: log records of one megabyte, and one that fills up.
fn of_length(bytes: usize) -> ExportLogsServiceRequest {
    let time = otlp::now();
    let request = |texts: &[String]| otlp::logs(vec![otlp::logs_of("cart", texts.iter().map(|text| otlp::log(text, time)).collect())]);
    let mut texts = vec!["a ".repeat(1 << 19); bytes >> 20];
    texts.pop();
    let empty = request(&[texts.clone(), vec!["b".repeat(1 << 19)]].concat()).encoded_len() - (1 << 19);
    texts.push("b".repeat(bytes - empty));
    // The length of the last text may take one byte more or less than it did.
    let over = request(&texts).encoded_len() as i64 - bytes as i64;
    let last = texts.last_mut().unwrap();
    last.truncate((last.len() as i64 - over.max(0)) as usize);
    last.push_str(&"b".repeat((-over).max(0) as usize));
    request(&texts)
}

#[test]
fn otlp_26_a_body_one_byte_short_of_the_limit_is_taken() {
    let request = of_length(BODY_BYTES_MAX - 1);
    assert_eq!(request.encoded_len(), BODY_BYTES_MAX - 1);
    let records = request.resource_logs[0].scope_logs[0].log_records.len();
    for door in [Door::Grpc, Door::Protobuf] {
        let server = Server::start();
        assert_eq!(export(&server, door, "identity", &request), Ok(Success::default()), "{door:?}");
        let count = server.get("/api/v1/count", &[("q", "*")]).expect(200);
        assert_eq!(count["count"], records, "{door:?}: {count}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn otlp_27_millions_of_empty_spans_are_refused_before_they_are_built() {
    const SPANS: usize = 1_900_000;
    let field = |number: u8, message: &[u8]| {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(message.len() as u64, &mut field);
        [field, message.to_vec()].concat()
    };
    let body = field(1, &field(2, &[0x12, 0].repeat(SPANS)));
    for door in [Door::Grpc, Door::Protobuf] {
        let server = Server::start();
        export(&server, door, "gzip", &one_log("small")).unwrap();
        let before = memory_bytes_most(&server);
        let refused = export_bytes(&server, door, Signal::Traces, "gzip", &compressed("gzip", &body)).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (3, None), "{door:?}: {}", refused.message);
        assert!(refused.message.contains("send smaller batches"), "{}", refused.message);
        let grown = memory_bytes_most(&server) - before;
        assert!(grown <= 4 * body.len() as u64, "{door:?}: {grown} bytes for {} bytes", body.len());
    }
}

#[test]
fn otlp_28_an_answer_stays_small_however_many_records_are_rejected() {
    const SPANS: usize = 1_000_000;
    let time = otlp::now();
    let mut spans = vec![otlp::span(&[0; 16], "a span with a name that is long enough to be no bomb", time, time); SPANS];
    spans.push(otlp::span(&otlp::unique(16), "the good one", time, time));
    // Without span ids and the rest of what makes them long: a request has to stay below 64 MiB.
    spans.iter_mut().take(SPANS).for_each(|span| {
        (span.trace_id, span.span_id, span.kind) = (Vec::new(), Vec::new(), 0);
        (span.start_time_unix_nano, span.end_time_unix_nano) = (0, 0);
    });
    let request: ExportTraceServiceRequest = otlp::traces(vec![otlp::spans_of("cart", spans)]);
    let body = request.encode_to_vec();
    let server = Server::start();
    let answer = post(&(server.otlp_http() + "/v1/traces"), &[("content-type", content_type(Door::Protobuf))], &body);
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() <= 4 << 20, "{} bytes", answer.body.len());
    let answer = export_bytes(&server, Door::Grpc, Signal::Traces, "gzip", &compressed("gzip", &body)).unwrap();
    assert_eq!(answer.rejected, SPANS as i64);
    assert!(answer.message.len() <= 4 << 20);
    // Refused as a whole, it is as small.
    let none = otlp::traces(vec![otlp::spans_of("cart", vec![otlp::span(&[0; 16], "x", time, time); 100_000])]);
    let refused = export(&server, Door::Protobuf, "identity", &none).unwrap_err();
    assert!(refused.message.len() <= 4 << 20);
}

#[test]
fn otlp_29_values_nested_twenty_thousand_deep_are_refused() {
    let server = Server::start();
    let json = format!("{}{{}}{}", "{\"arrayValue\":{\"values\":[".repeat(20_000), "]}}".repeat(20_000));
    let json = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{json}}}]}}]}}]}}");
    // From the inside out: AnyValue { array_value (5): ArrayValue { values (1): AnyValue ... } }.
    let field = |number: u8, message: &[u8]| {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(message.len() as u64, &mut field);
        [field, message.to_vec()].concat()
    };
    let deep = (0..20_000).fold(Vec::new(), |value, _| field(5, &field(1, &value)));
    let protobuf = [5, 2, 2, 1].iter().fold(deep, |message, number| field(*number, &message));
    for door in DOORS {
        let body = if door == Door::Json { json.as_bytes() } else { &protobuf };
        let refused = export_bytes(&server, door, Signal::Logs, "identity", body).unwrap_err();
        assert_eq!(refused.code, 3, "{door:?}");
        assert!(refused.message.contains("nest") || refused.message.contains("recursion"), "{door:?}: {}", refused.message);
    }
    assert!(export(&server, Door::Json, "identity", &one_log("alive")).is_ok());
}
