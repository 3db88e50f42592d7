//! OTLP/gRPC: the two `Export` methods, whose messages stay bytes until our own decoder walks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::{Buf, BufMut, Bytes};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body_util::Full;
use needle_storage::{BodyFormat, RawRequest};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, UnaryService};

use super::{respond, status};
use crate::error::{Refusal, retry_after_seconds};
use crate::pipeline::{Ingest, Transport, now, signal_of, tenant_of};
use crate::receive::{InFlight, receive};

const LOGS_EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const TRACES_EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A gRPC frame: one byte of flags and four of length before the message.
const FRAME_BYTES: usize = 5;

pub(crate) fn routes(ingest: &Ingest) -> Router {
    Router::new()
        .route(LOGS_EXPORT, any(|ingest, request| export(ingest, request, BodyFormat::OtlpLogsProtobuf)))
        .route(TRACES_EXPORT, any(|ingest, request| export(ingest, request, BodyFormat::OtlpTracesProtobuf)))
        .fallback(unknown_method)
        .with_state(ingest.clone())
}

async fn export(State(ingest): State<Ingest>, request: Request, format: BodyFormat) -> Response {
    if !is_grpc(&request) {
        return not_grpc();
    }
    let (parts, body) = request.into_parts();
    let mut in_flight = ingest.in_flight();
    let mut settings = ingest.settings().clone();
    let limit = settings.request_bytes_max;
    settings.request_bytes_max += FRAME_BYTES;
    let body = match receive(&parts.headers, body, &settings, &mut in_flight).await {
        Ok(body) => body,
        Err(refusal) => {
            ingest.count_refusal(Transport::Grpc, &refusal);
            return grpc_status(&refusal).into_http();
        }
    };
    let decoded = Arc::new(AtomicBool::new(false));
    let service = Export { ingest: ingest.clone(), format, in_flight: Some(in_flight), decoded: decoded.clone() };
    let mut grpc = Grpc::new(RawCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limit);
    let response = grpc.unary(service, http::Request::from_parts(parts, Full::new(body))).await;
    let mut response = response.map(Body::new);
    if !decoded.load(Ordering::Relaxed) {
        correct_code(&mut response);
    }
    response
}

/// tonic answers a message over the limit with OUT_OF_RANGE and one it cannot decompress with INTERNAL;
/// OTLP wants RESOURCE_EXHAUSTED and INVALID_ARGUMENT.
fn correct_code(response: &mut Response) {
    let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()).and_then(|code| code.parse().ok());
    let corrected = match code.map(tonic::Code::from_i32) {
        Some(tonic::Code::OutOfRange) => "8",
        Some(tonic::Code::Internal) => "3",
        _ => return,
    };
    response.headers_mut().insert("grpc-status", HeaderValue::from_static(corrected));
}

/// One `Export` call.
struct Export {
    ingest: Ingest,
    format: BodyFormat,
    in_flight: Option<InFlight>,
    decoded: Arc<AtomicBool>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<tonic::Response<Bytes>, tonic::Status>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        self.decoded.store(true, Ordering::Relaxed);
        let (ingest, format, in_flight) = (self.ingest.clone(), self.format, self.in_flight.take());
        Box::pin(async move {
            let taken = take(&ingest, request, format, in_flight).await;
            taken.map(tonic::Response::new).map_err(|refusal| {
                ingest.count_refusal(Transport::Grpc, &refusal);
                grpc_status(&refusal)
            })
        })
    }
}

async fn take(ingest: &Ingest, request: tonic::Request<Bytes>, format: BodyFormat, in_flight: Option<InFlight>) -> Result<Bytes, Refusal> {
    let mut in_flight = in_flight.unwrap_or_else(|| ingest.in_flight());
    let tenant = tenant_of(request.extensions())?;
    let key = request.metadata().get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let body = request.into_inner();
    in_flight.hold(body.len())?;
    let request = RawRequest { tenant, format, arrival: now(), service: None, timezone: None, body };
    let acknowledgement = ingest.accept(Transport::Grpc, request, key).await?;
    drop(in_flight);
    Ok(respond::protobuf(signal_of(format), &acknowledgement.rejections).into())
}

/// The status of a refusal, with its details.
fn grpc_status(refusal: &Refusal) -> tonic::Status {
    let details = status::protobuf(refusal, retry_after_seconds(now().0));
    tonic::Status::with_details(tonic::Code::from_i32(refusal.code() as i32), refusal.to_string(), details.into())
}

async fn unknown_method(request: Request) -> Response {
    if !is_grpc(&request) {
        return not_grpc();
    }
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!("there is no method {path} here: needle stores logs and traces, switch this exporter off");
    tonic::Status::unimplemented(message).into_http()
}

/// The answer to a call that is not let in.
pub(crate) fn deny(request: &Parts, refusal: &Refusal) -> Response {
    match speaks_grpc(request.version, &request.headers) {
        true => grpc_status(refusal).into_http(),
        false => not_grpc(),
    }
}

fn is_grpc(request: &Request) -> bool {
    speaks_grpc(request.version(), request.headers())
}

fn speaks_grpc(version: Version, headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    version >= Version::HTTP_2 && content_type.starts_with(b"application/grpc")
}

/// Says in plain words what this port is, to whoever speaks HTTP to it.
fn not_grpc() -> Response {
    let words = "this port takes OTLP over gRPC; send OTLP over HTTP to the otlp-http port (4318 unless configured), or set the protocol of the exporter to grpc\n";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, words).into_response()
}

/// Hands messages through as bytes.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
