//! The routes of both ports on loopback, with a store in memory. Deadlines and limits of connections are the program's.

use std::net::SocketAddr;

use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use needle_storage::AppendError;
use needle_storage::model::Tenant;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;

use super::{MemoryStore, log_request};
use crate::otlp::status::Status;
use crate::pipeline::{Destination, Ingest};
use crate::settings::IngestSettings;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

struct Server {
    http: SocketAddr,
    grpc: SocketAddr,
    store: MemoryStore,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    async fn start(settings: IngestSettings) -> Server {
        let store = MemoryStore::default();
        let ingest = Ingest::with_destination(Destination::Memory(store.clone()), settings, &mut Default::default());
        let (http, grpc) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let shutdown = CancellationToken::new();
        let (http_address, grpc_address) = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
        // Whose records they are is for the program to find out.
        let (one, two) = (ingest.http_routes(), ingest.grpc_routes());
        let (one, two) = (one.layer(axum::Extension(Tenant::default())), two.layer(axum::Extension(Tenant::default())));
        let (stop_one, stop_two) = (shutdown.clone(), shutdown.clone());
        let tasks = vec![
            tokio::spawn(async move { axum::serve(http, one).with_graceful_shutdown(stop_one.cancelled_owned()).await }),
            tokio::spawn(async move { axum::serve(grpc, two).with_graceful_shutdown(stop_two.cancelled_owned()).await }),
        ];
        Server { http: http_address, grpc: grpc_address, store, shutdown, tasks }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        self.send("POST", path, headers, body.into()).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let stream = TcpStream::connect(self.http).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(path).header("host", "x"), |request, (name, value)| request.header(*name, *value));
        let response = sender.send_request(request.body(Full::new(bytes::Bytes::from(body))).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        connection.abort();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn stored(&self) -> usize {
        self.store.batches.lock().unwrap().iter().map(|incoming| incoming.decoded.records.num_rows()).sum()
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn status_message(&self) -> Status {
        Status::decode(self.body.as_slice()).unwrap()
    }
}

fn logs(records: usize) -> ExportLogsServiceRequest {
    let log_records = vec![LogRecord { time_unix_nano: 7, ..LogRecord::default() }; records];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

/// Spans of which the first `bad` have no id.
fn traces(good: usize, bad: usize) -> ExportTraceServiceRequest {
    let span = |id: u8| Span { trace_id: vec![id; 16], span_id: vec![id; 8], ..Span::default() };
    let spans = [vec![span(0); bad], vec![span(1); good]].concat();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn otlp_02_05_12_13_30_both_encodings_are_taken_on_one_port_and_answered_in_kind() {
    let server = Server::start(IngestSettings::default()).await;
    let answer = server.post("/v1/logs", &[("content-type", PROTOBUF)], logs(2).encode_to_vec()).await;
    assert_eq!((answer.status, answer.header("content-type"), answer.body.len()), (StatusCode::OK, PROTOBUF, 0));
    let answer = server.post("/v1/logs/", &[("content-type", "application/json; charset=utf-8")], log_request("")).await;
    assert_eq!((answer.status, answer.header("content-type"), answer.body.as_slice()), (StatusCode::OK, JSON, &b"{}"[..]));
    let answer = server.post("/v1/traces", &[("content-type", PROTOBUF)], traces(3, 0).encode_to_vec()).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    assert_eq!(server.stored(), 6);
    server.stop().await;
}

#[tokio::test]
async fn otlp_15_17_compressed_bodies_are_taken() {
    let server = Server::start(IngestSettings::default()).await;
    let body = logs(5).encode_to_vec();
    let zstandard = zstd::encode_all(body.as_slice(), 3).unwrap();
    for (encoding, body) in [("gzip", gzip(&body)), ("zstd", zstandard), ("identity", body.clone())] {
        let answer = server.post("/v1/logs", &[("content-type", PROTOBUF), ("content-encoding", encoding)], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}");
    }
    assert_eq!(server.stored(), 15);
    server.stop().await;
}

#[tokio::test]
async fn otlp_31_an_empty_request_is_success_and_stores_nothing() {
    let server = Server::start(IngestSettings::default()).await;
    assert_eq!(server.post("/v1/logs", &[("content-type", PROTOBUF)], "").await.status, StatusCode::OK);
    assert_eq!(server.post("/v1/traces", &[("content-type", JSON)], "{}").await.status, StatusCode::OK);
    assert_eq!(server.post("/v1/traces", &[("content-type", JSON)], "").await.status, StatusCode::BAD_REQUEST);
    assert!(server.store.batches.lock().unwrap().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn otlp_34_36_some_valid_is_partial_success_and_none_is_an_error() {
    let server = Server::start(IngestSettings::default()).await;
    let answer = server.post("/v1/traces", &[("content-type", PROTOBUF)], traces(7, 3).encode_to_vec()).await;
    let partial = ExportTraceServiceResponse::decode(answer.body.as_slice()).unwrap().partial_success.unwrap();
    assert_eq!((answer.status, partial.rejected_spans, server.stored()), (StatusCode::OK, 3, 7));
    assert!(partial.error_message.contains("number 0: trace_id is all zero"), "{}", partial.error_message);
    let answer = server.post("/v1/traces", &[("content-type", PROTOBUF)], traces(0, 10).encode_to_vec()).await;
    let status = answer.status_message();
    assert_eq!((answer.status, status.code), (StatusCode::BAD_REQUEST, 3));
    assert!(status.message.starts_with("none of the 10 spans can be stored"), "{}", status.message);
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
    server.stop().await;
}

#[tokio::test]
async fn otlp_03_10_14_18_39_40_every_refusal_is_a_status_in_the_encoding_of_the_request() {
    let server = Server::start(IngestSettings::default()).await;
    let cases = [
        ("POST", "/v1/logs", PROTOBUF, "", &b"\xff\xff"[..], 400),
        ("POST", "/v1/logs", JSON, "", b"{", 400),
        ("POST", "/v1/logs", PROTOBUF, "gzip", b"not gzip", 400),
        ("POST", "/v1/logs", PROTOBUF, "br", b"x", 415),
        ("POST", "/v1/logs", "text/csv", "", b"x", 415),
        ("GET", "/v1/traces", PROTOBUF, "", b"", 405),
        ("PUT", "/v1/traces", JSON, "", b"{}", 405),
        ("POST", "/v1/metrics", PROTOBUF, "", b"", 404),
        ("POST", "/elsewhere", JSON, "", b"{}", 404),
        ("POST", "/api/v1/logs", "application/xml", "", b"<a/>", 415),
        ("POST", "/api/v1/logs", JSON, "", b"[{]", 400),
        ("POST", "/api/v1/logs", JSON, "", b"", 400),
        ("POST", "/api/v1/logs?service=%zz&service=", JSON, "", b"", 400),
    ];
    for (method, path, content_type, encoding, body, status) in cases {
        let answer = server.send(method, path, &[("content-type", content_type), ("content-encoding", encoding)], body.to_vec()).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {content_type}");
        let message = if content_type == PROTOBUF {
            assert_eq!(answer.header("content-type"), PROTOBUF);
            answer.status_message().message
        } else {
            assert_eq!(answer.header("content-type"), JSON);
            answer.json()["message"].as_str().unwrap().to_owned()
        };
        assert!(message.len() > 10, "{method} {path}: {message:?}");
        match status {
            405 => assert_eq!(answer.header("allow"), "POST"),
            415 if encoding == "br" => assert_eq!(answer.header("accept-encoding"), "gzip, zstd, identity"),
            _ => assert_eq!(answer.header("retry-after"), ""),
        }
    }
    assert_eq!(server.stored(), 0);
    server.stop().await;
}

#[tokio::test]
async fn otlp_22_23_bodies_over_the_limit_are_413_before_and_after_decompression() {
    let settings = IngestSettings { request_bytes_max: 100_000, record_bytes_max: 100_000, ..IngestSettings::default() };
    let server = Server::start(settings).await;
    for (encoding, body) in [("identity", vec![0; 200_000]), ("gzip", gzip(&vec![0; 10 << 20]))] {
        let answer = server.post("/v1/logs", &[("content-type", PROTOBUF), ("content-encoding", encoding)], body).await;
        assert_eq!((answer.status, answer.status_message().code), (StatusCode::PAYLOAD_TOO_LARGE, 8), "{encoding}");
    }
    server.stop().await;
}

#[tokio::test]
async fn otlp_41_44_45_a_store_that_cannot_take_more_is_503_with_a_time_to_retry() {
    let server = Server::start(IngestSettings::default()).await;
    *server.store.refuse.lock().unwrap() = Some(AppendError::Disk("no space left".to_owned()));
    let answer = server.post("/v1/logs", &[("content-type", PROTOBUF)], logs(1).encode_to_vec()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!((1..=4).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    let status = answer.status_message();
    assert_eq!((status.code, status.details[0].type_url.as_str()), (14, "type.googleapis.com/google.rpc.RetryInfo"));
    let mut client = LogsServiceClient::connect(format!("http://{}", server.grpc)).await.unwrap();
    let refused = client.export(logs(1)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(Status::decode(refused.details()).unwrap().details[0].type_url.ends_with("RetryInfo"));
    server.stop().await;
}

#[tokio::test]
async fn otlp_41_too_many_bytes_under_way_are_429() {
    let settings = IngestSettings { in_flight_bytes_max: 1024, ..IngestSettings::default() };
    let server = Server::start(settings).await;
    let answer = server.post("/v1/logs", &[("content-type", PROTOBUF)], logs(2000).encode_to_vec()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    server.stop().await;
}

#[tokio::test]
async fn otlp_04_http2_by_prior_knowledge_works_on_the_http_port() {
    let server = Server::start(IngestSettings::default()).await;
    let stream = TcpStream::connect(server.http).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{}/v1/logs", server.http)).header("content-type", PROTOBUF);
    let response = sender.send_request(request.body(Full::new(bytes::Bytes::from(logs(1).encode_to_vec()))).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    drop((sender, response));
    connection.abort();
    server.stop().await;
}

#[tokio::test]
async fn otlp_01_15_17_grpc_takes_logs_and_traces_in_every_compression() {
    let server = Server::start(IngestSettings::default()).await;
    let url = format!("http://{}", server.grpc);
    let mut logs_client = LogsServiceClient::connect(url.clone()).await.unwrap();
    assert_eq!(logs_client.export(logs(2)).await.unwrap().into_inner(), ExportLogsServiceResponse::default());
    for compression in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut traces_client = TraceServiceClient::connect(url.clone()).await.unwrap().send_compressed(compression);
        let partial = traces_client.export(traces(2, 1)).await.unwrap().into_inner().partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
    }
    assert_eq!(logs_client.export(logs(0)).await.unwrap().into_inner(), ExportLogsServiceResponse::default());
    assert_eq!(server.stored(), 6);
    server.stop().await;
}

#[tokio::test]
async fn otlp_24_25_36_39_grpc_errors_have_the_codes_that_otlp_wants() {
    let settings = IngestSettings { request_bytes_max: 10_000, record_bytes_max: 10_000, ..IngestSettings::default() };
    let server = Server::start(settings).await;
    let url = format!("http://{}", server.grpc);
    let mut client = LogsServiceClient::connect(url.clone()).await.unwrap();
    let refused = client.export(logs(5000)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    let mut gzip = LogsServiceClient::connect(url.clone()).await.unwrap().send_compressed(CompressionEncoding::Gzip);
    let refused = gzip.export(logs(5000)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    assert!(refused.details().is_empty() || Status::decode(refused.details()).unwrap().details.is_empty(), "no RetryInfo: it is final");
    let refused = TraceServiceClient::connect(url).await.unwrap().export(traces(0, 2)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    for (flags, message) in [(0u8, &b"\xff\xff"[..]), (1, b"not gzip")] {
        let frame = [&[flags][..], &(message.len() as u32).to_be_bytes(), message].concat();
        assert_eq!(raw_grpc(&server, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "gzip", frame).await, "3");
    }
    let empty = [0; 5].to_vec();
    assert_eq!(
        raw_grpc(&server, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "br", [&[1u8][..], &[0; 4]].concat()).await,
        "12"
    );
    assert_eq!(raw_grpc(&server, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "identity", empty).await, "12");
    assert_eq!(server.stored(), 0);
    server.stop().await;
}

/// Sends a frame as it is; gives the status.
async fn raw_grpc(server: &Server, path: &str, encoding: &str, frame: Vec<u8>) -> String {
    let stream = TcpStream::connect(server.grpc).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request =
        Request::post(format!("http://{}{path}", server.grpc)).header("content-type", "application/grpc").header("grpc-encoding", encoding);
    let response = sender.send_request(request.body(Full::new(bytes::Bytes::from(frame))).unwrap()).await.unwrap();
    let status = response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    drop((sender, response));
    connection.abort();
    status.unwrap_or_default()
}

#[tokio::test]
async fn otlp_08_a_hundred_calls_at_one_time_on_one_connection_are_answered() {
    let server = Server::start(IngestSettings::default()).await;
    let client = LogsServiceClient::connect(format!("http://{}", server.grpc)).await.unwrap();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.export(logs(3)).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.stored(), 300);
    server.stop().await;
}

#[tokio::test]
async fn otlp_09_11_one_connection_serves_many_requests_and_bodies_of_unknown_length() {
    let server = Server::start(IngestSettings::default()).await;
    let stream = TcpStream::connect(server.http).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..500 {
        let body = logs(1).encode_to_vec();
        let halves = [bytes::Bytes::copy_from_slice(&body[..3]), bytes::Bytes::copy_from_slice(&body[3..])];
        let frames = halves.map(|half| Ok::<_, std::io::Error>(http_body::Frame::data(half)));
        let body = http_body_util::StreamBody::new(tokio_stream::iter(frames));
        let request = Request::post("/v1/logs").header("host", "x").header("content-type", PROTOBUF).body(body).unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(server.stored(), 500);
    connection.abort();
    server.stop().await;
}

#[tokio::test]
async fn http1_on_the_grpc_port_is_answered_in_plain_words() {
    let server = Server::start(IngestSettings::default()).await;
    let mut stream = TcpStream::connect(server.grpc).await.unwrap();
    stream.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("4318"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn json_lines_are_stored_and_bad_ones_named() {
    let server = Server::start(IngestSettings::default()).await;
    let body = b"{\"msg\":\"a\"}\n{\"msg\":\"\xff\"}\nplain\n".to_vec();
    let answer = server
        .post("/api/v1/logs?service=legacy%20auth", &[("content-type", "application/x-ndjson"), ("idempotency-key", "k-1")], body)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let json = answer.json();
    assert_eq!((&json["accepted"], &json["rejected"][0]["line"]), (&2.into(), &2.into()));
    let answer = server.post("/api/v1/logs", &[("content-type", "text/plain; charset=utf-8")], "one\n  two\nthree\n").await;
    assert_eq!(answer.json(), serde_json::json!({"accepted": 2, "rejected": []}));
    let batches = server.store.batches.lock().unwrap().clone();
    assert_eq!((batches[0].request.service.as_deref(), batches[0].idempotency_key.as_deref()), (Some("legacy auth"), Some("k-1")));
    server.stop().await;
}

#[tokio::test]
async fn a_request_is_replayed_as_it_was_decoded() {
    let server = Server::start(IngestSettings::default()).await;
    server.post("/v1/traces", &[("content-type", PROTOBUF)], traces(3, 2).encode_to_vec()).await;
    server.post("/api/v1/logs", &[("content-type", "text/plain")], "one\ntwo").await;
    let decode = crate::decoder(&IngestSettings::default());
    let batches = server.store.batches.lock().unwrap().clone();
    for incoming in &batches {
        let replayed = decode(&incoming.request).unwrap();
        assert_eq!(replayed.records, incoming.decoded.records);
        assert_eq!(replayed.own_times, incoming.decoded.own_times);
    }
    server.stop().await;
}
