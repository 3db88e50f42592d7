//! Sends one request by any of the three doors and reads the answer as the specification says it has to be.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use serde_json::Value;
use tonic::codegen::{Service, http};

use crate::harness::{Answer, Server, post};
use crate::ingest::gzipped;

/// A way from a sender to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Grpc,
    Protobuf,
    Json,
}

pub(crate) const DOORS: [Door; 3] = [Door::Grpc, Door::Protobuf, Door::Json];

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Logs,
    Traces,
}

pub(crate) const SIGNALS: [Signal; 2] = [Signal::Logs, Signal::Traces];

impl Signal {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Signal::Logs => "/v1/logs",
            Signal::Traces => "/v1/traces",
        }
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }
}

/// A request that can be written in both encodings.
pub(crate) trait Export: Message + serde::Serialize {
    const SIGNAL: Signal;
}

impl Export for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;
}

impl Export for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;
}

/// `partial_success`; rejected 0 and no message where it is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Success {
    pub(crate) rejected: i64,
    pub(crate) message: String,
}

/// A refusal, in the words of HTTP (0 for gRPC) and of `google.rpc.Status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) http: u16,
    pub(crate) code: i32,
    pub(crate) message: String,
    /// The names of the details, without what stands before the slash.
    pub(crate) details: Vec<String>,
    /// Seconds, by header or by `RetryInfo`.
    pub(crate) retry_after: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Detail>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detail {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

impl Status {
    fn details(&self) -> Vec<String> {
        self.details.iter().map(|detail| detail.type_url.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

/// Sends a request, compressed by `encoding` (`identity`, `gzip`, `zstd`).
pub(crate) fn export<E: Export>(server: &Server, door: Door, encoding: &str, request: &E) -> Result<Success, Refused> {
    let body = if door == Door::Json { serde_json::to_vec(request).unwrap() } else { request.encode_to_vec() };
    export_bytes(server, door, E::SIGNAL, encoding, &compressed(encoding, &body))
}

/// Sends a body that is compressed already, or is none.
pub(crate) fn export_bytes(server: &Server, door: Door, signal: Signal, encoding: &str, body: &[u8]) -> Result<Success, Refused> {
    if door == Door::Grpc {
        let frame = frame(encoding != "identity", body);
        return read_grpc(signal, &call(server, signal.method(), &[("grpc-encoding", encoding)], frame));
    }
    let url = server.otlp_http() + signal.path();
    let mut headers = vec![("content-type", content_type(door))];
    headers.extend((encoding != "identity").then_some(("content-encoding", encoding)));
    read_http(door, signal, &post(&url, &headers, body))
}

pub(crate) fn content_type(door: Door) -> &'static str {
    match door {
        Door::Grpc => "application/grpc",
        Door::Protobuf => "application/x-protobuf",
        Door::Json => "application/json",
    }
}

pub(crate) fn compressed(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => gzipped(body),
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        _ => body.to_vec(),
    }
}

/// An answer over HTTP: the encoding of the request, and `google.rpc.Status` for everything that is no success.
#[track_caller]
pub(crate) fn read_http(door: Door, signal: Signal, answer: &Answer) -> Result<Success, Refused> {
    assert_eq!(answer.header("content-type"), content_type(door), "{door:?}: {} {}", answer.status, answer.text());
    if answer.status == 200 {
        return Ok(if door == Door::Json { json_success(signal, &answer.json()) } else { success(signal, &answer.body) });
    }
    let (status, retry) = if door == Door::Json {
        let json = answer.json();
        let details = json["details"].as_array().expect("a Status has details").clone();
        let name = |detail: &Value| Detail { type_url: detail["@type"].as_str().unwrap().to_owned(), value: Vec::new() };
        let retry = details.iter().find_map(|detail| detail["retryDelay"].as_str()).map(|delay| delay.trim_end_matches('s').to_owned());
        let status = Status {
            code: json["code"].as_i64().expect("a Status has a code") as i32,
            message: json["message"].as_str().expect("a Status has a message").to_owned(),
            details: details.iter().map(name).collect(),
        };
        (status, retry)
    } else {
        let status = Status::decode(&*answer.body).expect("a Status in protobuf");
        let retry = retry_seconds(&status);
        (status, retry)
    };
    let header = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header, retry, "Retry-After and RetryInfo say the same: {status:?}");
    Err(Refused { http: answer.status, code: status.code, message: status.message.clone(), details: status.details(), retry_after: header })
}

fn success(signal: Signal, body: &[u8]) -> Success {
    match signal {
        Signal::Logs => ExportLogsServiceResponse::decode(body)
            .unwrap()
            .partial_success
            .map_or_else(Success::default, |partial| Success { rejected: partial.rejected_log_records, message: partial.error_message }),
        Signal::Traces => ExportTraceServiceResponse::decode(body)
            .unwrap()
            .partial_success
            .map_or_else(Success::default, |partial| Success { rejected: partial.rejected_spans, message: partial.error_message }),
    }
}

fn json_success(signal: Signal, json: &Value) -> Success {
    let partial = &json["partialSuccess"];
    let rejected = &partial[if signal == Signal::Logs { "rejectedLogRecords" } else { "rejectedSpans" }];
    let rejected = rejected.as_str().map_or(0, |digits| digits.parse().unwrap());
    Success { rejected, message: partial["errorMessage"].as_str().unwrap_or_default().to_owned() }
}

/// `RetryInfo { retry_delay: Duration { seconds } }`.
fn retry_seconds(status: &Status) -> Option<String> {
    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Delay>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }
    let info = status.details.iter().find(|detail| detail.type_url.ends_with("RetryInfo"))?;
    Some(RetryInfo::decode(&*info.value).unwrap().retry_delay.expect("RetryInfo has a delay").seconds.to_string())
}

/// An answer over gRPC: headers and trailers together, and the frame.
#[derive(Debug)]
pub(crate) struct GrpcAnswer {
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

/// A gRPC frame.
pub(crate) fn frame(compressed: bool, message: &[u8]) -> Vec<u8> {
    [&[u8::from(compressed)][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// Calls a method with these very bytes.
pub(crate) fn call(server: &Server, method: &str, headers: &[(&str, &str)], body: Vec<u8>) -> GrpcAnswer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let endpoint = server.otlp_grpc();
    runtime.block_on(async {
        let mut channel = tonic::transport::Channel::from_shared(endpoint.clone()).unwrap().connect().await.unwrap();
        let request = http::Request::post(endpoint + method).header("content-type", "application/grpc").header("te", "trailers");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(tonic::body::Body::new(Full::new(Bytes::from(body)))).unwrap();
        std::future::poll_fn(|context| Service::<http::Request<tonic::body::Body>>::poll_ready(&mut channel, context)).await.unwrap();
        let (head, body) = channel.call(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap();
        let mut headers = head.headers;
        headers.extend(body.trailers().cloned().unwrap_or_default());
        GrpcAnswer { headers, body: body.to_bytes() }
    })
}

#[track_caller]
pub(crate) fn read_grpc(signal: Signal, answer: &GrpcAnswer) -> Result<Success, Refused> {
    let status = tonic::Status::from_header_map(&answer.headers).expect("a call ends with a status");
    if status.code() == tonic::Code::Ok {
        assert_eq!(answer.body[0], 0, "answers are not compressed");
        return Ok(success(signal, &answer.body[5..]));
    }
    let details = Status::decode(status.details()).unwrap();
    let retry_after = retry_seconds(&details);
    Err(Refused { http: 0, code: status.code() as i32, message: status.message().to_owned(), details: details.details(), retry_after })
}
