//! Checks 30 to 38: what success means.

use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::transport::{one_log, one_span};
use super::wire::{DOORS, Door, SIGNALS, Signal, Success, call, content_type, export, export_bytes, frame};
use crate::harness::{Server, post};
use crate::otlp::{self, MS};

#[test]
fn otlp_30_31_success_is_an_empty_answer_also_to_an_empty_request() {
    let server = Server::start();
    for signal in SIGNALS {
        let full = if signal == Signal::Logs { one_log("full").encode_to_vec() } else { one_span("full").encode_to_vec() };
        for body in [full, Vec::new()] {
            let answer = post(&(server.otlp_http() + signal.path()), &[("content-type", content_type(Door::Protobuf))], &body);
            assert_eq!((answer.status, &answer.body[..]), (200, &b""[..]), "no partial_success");
            assert_eq!(answer.header("content-type"), "application/x-protobuf");
            let answer = call(&server, signal.method(), &[], frame(false, &body));
            assert_eq!(&answer.body[..], [0; 5], "a message of no bytes");
        }
        for body in ["{}", "{\"resourceLogs\":[],\"resourceSpans\":[]}"] {
            let answer = post(&(server.otlp_http() + signal.path()), &[("content-type", "application/json")], body.as_bytes());
            assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
        }
        // Compressed, nothing may be an empty body or a compressed one.
        for (door, body) in [(Door::Protobuf, &b""[..]), (Door::Grpc, b"")] {
            assert_eq!(export_bytes(&server, door, signal, "gzip", body), Ok(Success::default()));
        }
    }
    assert_eq!(server.search("full").len(), 2);
}

#[test]
fn otlp_32_a_json_body_of_no_bytes_is_refused() {
    let server = Server::start();
    for signal in SIGNALS {
        let refused = export_bytes(&server, Door::Json, signal, "identity", b"").unwrap_err();
        assert_eq!((refused.http, refused.code, &refused.details[..]), (400, 3, &["google.rpc.BadRequest".to_owned()][..]));
    }
}

#[test]
fn otlp_33_empty_envelopes_are_success_and_ignored() {
    let server = Server::start();
    let logs = otlp::logs(vec![
        ResourceLogs::default(),
        ResourceLogs { resource: Some(otlp::resource("cart")), ..Default::default() },
        ResourceLogs { scope_logs: vec![ScopeLogs::default()], ..Default::default() },
    ]);
    let traces = otlp::traces(vec![
        ResourceSpans::default(),
        ResourceSpans { resource: Some(otlp::resource("cart")), ..Default::default() },
        ResourceSpans { scope_spans: vec![ScopeSpans::default()], ..Default::default() },
    ]);
    for door in DOORS {
        assert_eq!(export(&server, door, "identity", &logs), Ok(Success::default()), "{door:?}");
        assert_eq!(export(&server, door, "identity", &traces), Ok(Success::default()), "{door:?}");
    }
    assert!(server.search("*").is_empty());
}

/// Ten spans named `span 0` to `span 9`, of which those in `bad` have no valid id.
fn ten_spans(bad: &[usize]) -> opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
    let (trace, time) = (otlp::unique(16), otlp::now());
    let mut spans: Vec<Span> = (0..10).map(|n| otlp::span(&trace, &format!("span {n}"), time, time + MS)).collect();
    for n in bad {
        match n % 3 {
            0 => spans[*n].trace_id = vec![0; 16],
            1 => spans[*n].span_id = vec![0; 8],
            _ => spans[*n].trace_id = vec![7; 15],
        }
    }
    otlp::traces(vec![otlp::spans_of("cart", spans)])
}

#[test]
fn otlp_34_37_some_valid_are_stored_and_the_others_counted() {
    for door in DOORS {
        for bad in [&[3, 4, 5][..], &[0], &[0, 1, 2, 3, 4, 5, 6, 7, 8]] {
            let server = Server::start();
            let success = export(&server, door, "identity", &ten_spans(bad)).unwrap();
            let queryable = server.search("kind:span").len();
            assert_eq!((success.rejected as usize, queryable), (bad.len(), 10 - bad.len()), "{door:?}");
            assert!(success.message.contains(&format!("{} spans rejected", bad.len())), "{}", success.message);
            assert!(success.message.contains(&format!("number {}: ", bad[0])), "{}", success.message);
        }
    }
}

#[test]
fn otlp_35_a_warning_rejects_nothing() {
    let server = Server::start();
    for door in DOORS {
        let mut request = one_log("with half an id");
        request.resource_logs[0].scope_logs[0].log_records[0].trace_id = vec![7; 8];
        let success = export(&server, door, "identity", &request).unwrap();
        assert_eq!(success.rejected, 0);
        assert!(success.message.contains("wrong length"), "{door:?}: {:?}", success.message);
    }
    assert_eq!(server.search("\"with half an id\"").len(), 3);
}

#[test]
fn otlp_36_a_request_of_which_nothing_is_valid_is_refused() {
    let server = Server::start();
    for door in DOORS {
        let refused = export(&server, door, "identity", &ten_spans(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).unwrap_err();
        let http = if door == Door::Grpc { 0 } else { 400 };
        assert_eq!((refused.http, refused.code, refused.retry_after), (http, 3, None), "{door:?}");
        assert_eq!(refused.details, ["google.rpc.BadRequest"]);
        assert!(refused.message.contains("none of the 10 spans"), "{}", refused.message);
    }
    assert!(server.search("*").is_empty());
}

#[test]
fn otlp_38_what_was_acknowledged_is_there_after_a_crash() {
    let mut server = Server::start();
    for (n, door) in DOORS.iter().enumerate() {
        export(&server, *door, "identity", &one_log(&format!("kept {n}"))).unwrap();
        export(&server, *door, "identity", &one_span(&format!("kept {n}"))).unwrap();
        server.kill();
        server.start_again();
        assert_eq!(server.search("kept").len(), 2 * (n + 1), "{door:?}");
    }
}
