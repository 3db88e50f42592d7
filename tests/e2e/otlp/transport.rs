//! Checks 1 to 11: endpoints and transport.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use prost::Message;
use serde_json::json;
use tonic::codegen::{Service, http};

use super::configured;
use super::wire::{DOORS, Door, SIGNALS, Signal, Status, Success, call, export, export_bytes, frame};
use crate::harness::{Server, needle, post, request_with, run, stdout_of};
use crate::otlp::{self, MS};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// One log with this text.
pub(super) fn one_log(text: &str) -> opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest {
    otlp::logs(vec![otlp::logs_of("cart", vec![otlp::log(text, otlp::now())])])
}

/// One span with this name.
pub(super) fn one_span(name: &str) -> opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
    let time = otlp::now();
    otlp::traces(vec![otlp::spans_of("cart", vec![otlp::span(&otlp::unique(16), name, time, time + MS)])])
}

#[test]
fn otlp_01_02_05_both_signals_are_taken_at_every_door() {
    let server = Server::start();
    for door in DOORS {
        let name = format!("by {door:?}");
        assert_eq!(export(&server, door, "identity", &one_log(&name)), Ok(Success::default()));
        assert_eq!(export(&server, door, "identity", &one_span(&name)), Ok(Success::default()));
        assert_eq!(server.search(&format!("\"{name}\"")).len(), 2, "{door:?}");
    }
    let help = stdout_of(&run(&mut needle(&["serve", "--help"])));
    assert!(help.contains("127.0.0.1:4317") && help.contains("127.0.0.1:4318"), "{help}");
}

/// `ExportMetricsServiceRequest` with a gauge and a sum of `points` data points each, in protobuf.
fn metrics(points: usize) -> Vec<u8> {
    let field = |number: u8, message: &[u8]| {
        let mut field = vec![number << 3 | 2];
        prost::encoding::encode_varint(message.len() as u64, &mut field);
        [field, message.to_vec()].concat()
    };
    let data = field(1, b"\x19\x01\0\0\0\0\0\0\0").repeat(points);
    let metric = |kind: u8| field(2, &[field(1, b"requests"), field(kind, &data)].concat());
    field(1, &field(2, &[metric(5), metric(7)].concat()))
}

fn json_metrics(points: usize) -> Vec<u8> {
    let data = json!({"dataPoints": vec![json!({"timeUnixNano": "1"}); points]});
    let metrics = json!([{"name": "a", "gauge": data}, {"name": "b", "sum": data}]);
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string().into_bytes()
}

const METRICS_METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

#[test]
fn otlp_03_signals_that_are_not_stored_are_refused_for_good() {
    let server = Server::start();
    for base in [server.otlp_http(), server.url()] {
        for path in ["/v1/metrics", "/v1/metrics/", "/v1development/profiles"] {
            let answer = post(&(base.clone() + path), &[JSON], &json_metrics(1));
            assert_eq!((answer.status, answer.header("retry-after")), (404, ""), "{base}{path}: {}", answer.text());
            assert!(answer.json()["message"].as_str().unwrap().contains("switch this exporter off"), "{}", answer.text());
            let answer = post(&(base.clone() + path), &[PROTOBUF], &metrics(1));
            assert_eq!((answer.status, answer.header("content-type")), (404, PROTOBUF.1), "{base}{path}");
            assert_eq!(Status::decode(&*answer.body).unwrap().code, 5, "NOT_FOUND");
        }
    }
    let answer = call(&server, METRICS_METHOD, &[], frame(false, &metrics(1)));
    assert_eq!(answer.headers["grpc-status"], "12", "UNIMPLEMENTED: {answer:?}");
}

#[test]
fn fault_60_calls_that_are_none_are_refused_and_reflection_tells_nothing() {
    let server = Server::start();
    for method in [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
        "/LogsService/Export",
        "/",
    ] {
        let answer = call(&server, method, &[], frame(false, &[]));
        assert_eq!((answer.headers["grpc-status"].as_bytes(), &*answer.body), (&b"12"[..], &b""[..]), "{method}: {answer:?}");
    }
    let method = Signal::Logs.method();
    let message = one_log("whole").encode_to_vec();
    let mut odd_flag = frame(false, &message);
    odd_flag[0] = 0x80;
    let long = u32::MAX.to_be_bytes();
    let too_long = [&[0][..], &long, &message].concat();
    for (what, body, status) in [
        ("neither compressed nor not", odd_flag, "3"),
        ("two messages", [frame(false, &message), frame(false, &message)].concat(), "3"),
        ("half a message", frame(false, &message)[..20].to_vec(), "3"),
        ("no message", Vec::new(), "3"),
        ("a message of 4 GiB", too_long, "8"),
    ] {
        assert_eq!(call(&server, method, &[], body).headers["grpc-status"], status, "{what}");
    }
    assert!(server.search("*").is_empty());
    assert_eq!(call(&server, method, &[], frame(false, &message)).headers["grpc-status"], "0");
    assert_eq!(server.search("whole").len(), 1);
}

#[test]
fn otlp_03_metrics_are_discarded_where_the_settings_say_so() {
    let (_folder, server) = configured("[ingest]\nmetrics = \"discard\"\n");
    let url = server.otlp_http() + "/v1/metrics";
    let partial = &post(&url, &[JSON], &json_metrics(3)).expect(200)["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "6");
    assert!(partial["errorMessage"].as_str().unwrap().contains("discard"), "{partial}");
    assert_eq!(post(&url, &[JSON], b"{}").expect(200), json!({}));
    assert_eq!(post(&url, &[JSON], b"{").status, 400);
    // `ExportMetricsPartialSuccess` has the numbers of the one for traces.
    let answer = post(&url, &[PROTOBUF], &metrics(2));
    let read = |body: &[u8]| {
        use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
        ExportTraceServiceResponse::decode(body).unwrap().partial_success.unwrap().rejected_spans
    };
    assert_eq!((answer.status, read(&answer.body)), (200, 4));
    let answer = call(&server, METRICS_METHOD, &[], frame(false, &metrics(5)));
    assert_eq!((answer.headers["grpc-status"].as_bytes(), read(&answer.body[5..])), (&b"0"[..], 10));
    assert!(server.get("/metrics", &[]).text().contains("needle_ingest_discarded_data_points_total 20"));
}

/// Sends over HTTP/2 without any upgrade, as gRPC clients speak, to the port of HTTP.
#[test]
fn otlp_04_http_1_and_http_2_are_spoken_on_the_http_port() {
    let server = Server::start();
    export(&server, Door::Protobuf, "identity", &one_log("by one")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for base in [server.otlp_http(), server.url()] {
        let (version, status) = runtime.block_on(async {
            let mut channel = tonic::transport::Channel::from_shared(base.clone()).unwrap().connect().await.unwrap();
            let body = Bytes::from(one_log("by two").encode_to_vec());
            let request = http::Request::post(format!("{base}/v1/logs")).header(PROTOBUF.0, PROTOBUF.1);
            let request = request.body(tonic::body::Body::new(Full::new(body))).unwrap();
            std::future::poll_fn(|context| Service::<http::Request<tonic::body::Body>>::poll_ready(&mut channel, context)).await.unwrap();
            let answer = channel.call(request).await.unwrap();
            (answer.version(), answer.status())
        });
        assert_eq!((version, status.as_u16()), (http::Version::HTTP_2, 200));
    }
    assert_eq!((server.search("\"by one\"").len(), server.search("\"by two\"").len()), (1, 2));
}

#[test]
fn otlp_07_a_prefix_is_configurable_and_a_slash_at_the_end_is_tolerated() {
    let (_folder, server) = configured("[ingest]\npath_prefix = \"/tenant/x\"\nmetrics = \"discard\"\n");
    for base in [server.otlp_http(), server.url()] {
        for path in ["/v1/logs", "/v1/logs/", "/tenant/x/v1/logs", "/tenant/x/v1/logs/", "/tenant/x/v1/traces/", "/tenant/x/v1/metrics"] {
            assert_eq!(post(&(base.clone() + path), &[JSON], b"{}").status, 200, "{base}{path}");
        }
        for path in ["/tenant/x/v1/profiles", "/v1/logs/more"] {
            let answer = post(&(base.clone() + path), &[JSON], b"{}");
            assert_eq!((answer.status, answer.json()["code"].as_i64()), (404, Some(5)), "{base}{path}");
        }
    }
}

#[test]
fn otlp_08_a_slow_call_does_not_hold_up_a_hundred_others_on_its_connection() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = server.otlp_grpc();
        let channel = tonic::transport::Channel::from_shared(endpoint.clone()).unwrap().connect().await.unwrap();
        let send = |body: tonic::body::Body| {
            let mut channel = channel.clone();
            let request = http::Request::post(endpoint.clone() + Signal::Logs.method()).header("content-type", "application/grpc");
            let request = request.header("te", "trailers").body(body).unwrap();
            tokio::spawn(async move {
                std::future::poll_fn(|context| Service::<http::Request<tonic::body::Body>>::poll_ready(&mut channel, context))
                    .await
                    .unwrap();
                let answer = channel.call(request).await.unwrap().into_body().collect().await.unwrap();
                answer.trailers().unwrap()["grpc-status"].clone()
            })
        };
        // The first half of a message; the rest comes when all others are answered.
        let slow = frame(false, &one_log("slow").encode_to_vec());
        let (half, rest) = slow.split_at(slow.len() / 2);
        let (feed, body) = tokio::sync::mpsc::channel::<Result<http_body::Frame<Bytes>, std::convert::Infallible>>(2);
        feed.send(Ok(http_body::Frame::data(Bytes::copy_from_slice(half)))).await.unwrap();
        let slow = send(tonic::body::Body::new(StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(body))));
        let others: Vec<_> = (0..100)
            .map(|n| {
                let message = frame(false, &one_log(&format!("quick {n}")).encode_to_vec());
                send(tonic::body::Body::new(Full::new(Bytes::from(message))))
            })
            .collect();
        for other in others {
            assert_eq!(other.await.unwrap(), "0");
        }
        assert!(!slow.is_finished());
        feed.send(Ok(http_body::Frame::data(Bytes::copy_from_slice(rest)))).await.unwrap();
        drop(feed);
        assert_eq!(slow.await.unwrap(), "0");
    });
    assert_eq!((server.search("quick").len(), server.search("slow").len()), (100, 1));
}

/// Writes a request to a connection that stays open and reads the answer: its status and its body.
pub(super) fn ask(stream: &mut BufReader<TcpStream>, request: &[u8]) -> (u16, Vec<u8>) {
    stream.get_mut().write_all(request).unwrap();
    answer(stream)
}

/// Reads one answer from a connection that stays open.
pub(super) fn answer(stream: &mut BufReader<TcpStream>) -> (u16, Vec<u8>) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}")).parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let head = line.trim_end().to_ascii_lowercase();
        if head.is_empty() {
            break;
        }
        if let Some(value) = head.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, body)
}

pub(super) fn connect(server: &Server) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.process().address("otlp-http")).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

#[test]
#[cfg(target_os = "linux")]
fn otlp_09_one_connection_serves_ten_thousand_requests() {
    let server = Server::start();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.process().id())).unwrap().count();
    let mut stream = connect(&server);
    let good = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let bad = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{";
    assert_eq!(ask(&mut stream, good).0, 200);
    let before = open();
    for _ in 0..5_000 {
        assert_eq!(ask(&mut stream, good), (200, b"{}".to_vec()));
        assert_eq!(ask(&mut stream, bad).0, 400);
    }
    assert_eq!(open(), before, "no file stays open");
}

#[test]
fn otlp_10_only_post_is_taken() {
    let server = Server::start();
    for base in [server.otlp_http(), server.url()] {
        for (signal, method) in SIGNALS.iter().flat_map(|signal| ["GET", "PUT", "DELETE", "PATCH"].map(|method| (signal, method))) {
            let url = base.clone() + signal.path();
            let answer = request_with(method, &url, &[JSON]);
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method} {url}: {}", answer.text());
            assert_eq!(answer.json()["code"], 12, "UNIMPLEMENTED");
            let answer = request_with(method, &url, &[PROTOBUF]);
            assert_eq!((answer.status, answer.header("content-type")), (405, PROTOBUF.1));
            assert_eq!(Status::decode(&*answer.body).unwrap().code, 12);
        }
    }
}

#[test]
fn otlp_11_bodies_of_unknown_length_and_senders_that_ask_first_are_served() {
    let (_folder, server) = configured("[ingest]\nrequest_bytes_max = 100000\nrecord_bytes_max = 100000\n");
    let mut stream = connect(&server);
    for (content_type, body) in
        [(PROTOBUF.1, one_log("in pieces").encode_to_vec()), (JSON.1, serde_json::to_vec(&one_log("in pieces")).unwrap())]
    {
        let head = format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut request = head.into_bytes();
        for piece in body.chunks(7) {
            request.extend(format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"));
        }
        request.extend(*b"0\r\n\r\n");
        assert_eq!(ask(&mut stream, &request).0, 200);

        let head = |length: usize| {
            format!(
                "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
            )
        };
        let body = if content_type == JSON.1 {
            serde_json::to_vec(&one_log("asked first")).unwrap()
        } else {
            one_log("asked first").encode_to_vec()
        };
        assert_eq!(ask(&mut stream, head(body.len()).as_bytes()).0, 100);
        assert_eq!(ask(&mut stream, &body).0, 200);
        // One whose body is too long is not asked for it.
        assert_eq!(ask(&mut connect(&server), head(100_001).as_bytes()).0, 413);
    }
    assert_eq!((server.search("\"in pieces\"").len(), server.search("\"asked first\"").len()), (2, 2));
    assert!(export_bytes(&server, Door::Json, Signal::Logs, "identity", b"{}").is_ok());
}
