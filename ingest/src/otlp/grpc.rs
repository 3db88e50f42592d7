//! OTLP/gRPC: the `Export` methods. A call is one message; framing and compression are read here, by the code and the
//! bounds of HTTP bodies (tonic's own reads the first member of a gzip stream only, and answers with codes that OTLP does
//! not want).

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::{BufMut, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use needle_storage::model::{Signal, Tenant};
use needle_storage::{BodyFormat, RawRequest};

use super::http::idempotency_key;
use super::{discard, respond, status};
use crate::error::Refusal;
use crate::pipeline::{Ingest, Transport, now, tenant_of};
use crate::receive::{Compression, EXPANSION, receive};
use crate::settings::MetricsPolicy;
use crate::shares::InFlight;

const LOGS_EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const TRACES_EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS_EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A gRPC frame: one byte of flags and four of length before the message.
const FRAME_BYTES: usize = 5;
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip,zstd,identity");

pub(crate) fn routes(ingest: &Ingest) -> Router {
    let mut router = Router::new()
        .route(LOGS_EXPORT, any(|ingest, request| export(ingest, request, Signal::Logs)))
        .route(TRACES_EXPORT, any(|ingest, request| export(ingest, request, Signal::Spans)));
    if ingest.settings().metrics == MetricsPolicy::Discard {
        router = router.route(METRICS_EXPORT, any(discard_metrics));
    }
    router.fallback(unknown_method).with_state(ingest.clone())
}

async fn export(State(ingest): State<Ingest>, request: Request, signal: Signal) -> Response {
    if !is_grpc(&request) {
        return not_grpc();
    }
    answer(&ingest, take(&ingest, request, signal).await)
}

async fn discard_metrics(State(ingest): State<Ingest>, request: Request) -> Response {
    if !is_grpc(&request) {
        return not_grpc();
    }
    let taken = async {
        let tenant = tenant_of(request.extensions())?;
        let _under_way = ingest.enter()?;
        let (_, message, in_flight) = read(&ingest, &tenant, request).await?;
        let points = ingest.off_thread(message.len(), move || Ok(discard::data_points(&message)?)).await?;
        drop(in_flight);
        ingest.count_discarded(points);
        Ok(discard::protobuf(points))
    };
    answer(&ingest, taken.await)
}

async fn take(ingest: &Ingest, request: Request, signal: Signal) -> Result<Vec<u8>, Refusal> {
    let arrival = now();
    let tenant = tenant_of(request.extensions())?;
    let _under_way = ingest.enter()?;
    let (headers, body, in_flight) = read(ingest, &tenant, request).await?;
    let key = idempotency_key(&headers)?;
    let format = match signal {
        Signal::Logs => BodyFormat::OtlpLogsProtobuf,
        Signal::Spans => BodyFormat::OtlpTracesProtobuf,
    };
    let request = RawRequest { tenant, format, arrival, service: None, timezone: None, body };
    let acknowledgement = ingest.accept(Transport::Grpc, request, key).await?;
    drop(in_flight);
    Ok(respond::protobuf(signal, &acknowledgement))
}

/// Receives the message of a call, whole and decompressed.
async fn read(ingest: &Ingest, tenant: &Tenant, request: Request) -> Result<(HeaderMap, Bytes, InFlight), Refusal> {
    let (parts, body) = request.into_parts();
    let compression = Compression::named(parts.headers.get("grpc-encoding"))?;
    let mut in_flight = ingest.in_flight(tenant)?;
    let limit = ingest.settings().request_bytes_max;
    let framed = receive(&parts.headers, body, ingest.settings(), FRAME_BYTES, &mut in_flight).await?;
    let (compressed, message) = unframe(framed, limit)?;
    if !compressed {
        return Ok((parts.headers, message, in_flight));
    }
    if compression == Compression::Identity {
        return Err(Refusal::Frame("the message is marked as compressed and grpc-encoding does not say how".to_owned()));
    }
    let decompressed = ingest.off_thread(EXPANSION * message.len(), move || {
        let message = compression.decompress(message, limit, &mut in_flight)?;
        Ok((message, in_flight))
    });
    let (message, in_flight) = decompressed.await?;
    Ok((parts.headers, message, in_flight))
}

/// The one message of a unary call, and whether it is compressed.
fn unframe(mut framed: Bytes, limit: usize) -> Result<(bool, Bytes), Refusal> {
    let Some((head, _)) = framed.split_first_chunk::<FRAME_BYTES>() else {
        return Err(Refusal::Frame(format!("a call holds one message, this one ends after {} bytes", framed.len())));
    };
    let [flags, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    let compressed = match flags {
        0 => false,
        1 => true,
        _ => return Err(Refusal::Frame(format!("a message begins with {flags:#04x}, which is neither 0 nor 1"))),
    };
    if length > limit {
        return Err(Refusal::TooLarge { limit, when: "as sent" });
    }
    let message = framed.split_off(FRAME_BYTES);
    if message.len() != length {
        return Err(Refusal::Frame(format!("the message claims {length} bytes where {} came", message.len())));
    }
    Ok((compressed, message))
}

fn answer(ingest: &Ingest, taken: Result<Vec<u8>, Refusal>) -> Response {
    match taken {
        Ok(message) => {
            let mut frame = BytesMut::with_capacity(FRAME_BYTES + message.len());
            frame.put_u8(0);
            frame.put_u32(message.len() as u32);
            frame.put_slice(&message);
            let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
            let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
            let mut response = Response::new(Body::new(body));
            response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(refusal) => {
            ingest.count_refusal(Transport::Grpc, &refusal);
            let mut response = grpc_status(&refusal).into_http::<Body>();
            if matches!(refusal, Refusal::Encoding(_)) {
                response.headers_mut().insert("grpc-accept-encoding", ENCODINGS);
            }
            response
        }
    }
}

/// The status of a refusal, with its details.
fn grpc_status(refusal: &Refusal) -> tonic::Status {
    let details = status::protobuf(refusal, refusal.retry_after_seconds(now().0));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_whole_message() {
        assert_eq!(unframe(Bytes::from_static(b"\x01\0\0\0\x02ab"), 2).unwrap(), (true, Bytes::from_static(b"ab")));
        assert!(matches!(unframe(Bytes::from_static(b"\0\0\0\0\x03abc"), 2), Err(Refusal::TooLarge { limit: 2, .. })));
        for framed in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x03ab", b"\0\0\0\0\x01ab", b"\x02\0\0\0\0"] {
            assert!(matches!(unframe(Bytes::copy_from_slice(framed), 9), Err(Refusal::Frame(_))), "{framed:?}");
        }
    }
}
