//! OTLP/HTTP and `POST /api/v1/logs`. Every error is a `google.rpc.Status` in the encoding of the request.

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use axum::routing::{any, post};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use needle_storage::model::Tenant;
use needle_storage::{BodyFormat, RawRequest};
use serde::Deserialize;
use serde_json::json;

use super::{discard, respond, status};
use crate::error::Refusal;
use crate::pipeline::{Acknowledgement, Ingest, Transport, now, signal_of, tenant_of};
use crate::receive::{Compression, EXPANSION, receive};
use crate::settings::MetricsPolicy;
use crate::shares::InFlight;

/// Of rejected lines this many are listed; the rest are counted in `rejected_more`.
const REJECTED_LISTED_MAX: usize = 1000;

pub(crate) fn routes(ingest: &Ingest) -> Router {
    let settings = ingest.settings();
    let mut router = otlp_routes(Router::new(), "", settings.metrics);
    if !settings.path_prefix.is_empty() {
        router = otlp_routes(router, &settings.path_prefix, settings.metrics);
    }
    for path in ["/api/v1/logs", "/api/v1/logs/"] {
        router = router.route(path, post(json_logs).fallback(wrong_method));
    }
    router.with_state(ingest.clone())
}

/// The paths of OTLP below `prefix`, with and without a slash at the end; what else may stand there is refused in OTLP's way.
fn otlp_routes(mut router: Router<Ingest>, prefix: &str, metrics: MetricsPolicy) -> Router<Ingest> {
    for slash in ["", "/"] {
        router = router
            .route(&format!("{prefix}/v1/logs{slash}"), post(logs).fallback(wrong_method))
            .route(&format!("{prefix}/v1/traces{slash}"), post(traces).fallback(wrong_method));
        if metrics == MetricsPolicy::Discard {
            router = router.route(&format!("{prefix}/v1/metrics{slash}"), post(discard_metrics).fallback(wrong_method));
        }
    }
    router.route(&format!("{prefix}/v1/{{*rest}}"), any(not_found)).route(&format!("{prefix}/v1development/{{*rest}}"), any(not_found))
}

/// The encoding of a request's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        })
    }

    /// The encoding of an OTLP request; none for a content type that is not OTLP's.
    fn of(headers: &HeaderMap) -> Option<Encoding> {
        match media_type(headers).as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }
}

/// The media type without its parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value);
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

async fn logs(State(ingest): State<Ingest>, request: Request) -> Response {
    export(&ingest, request, BodyFormat::OtlpLogsProtobuf, BodyFormat::OtlpLogsJson).await
}

async fn traces(State(ingest): State<Ingest>, request: Request) -> Response {
    export(&ingest, request, BodyFormat::OtlpTracesProtobuf, BodyFormat::OtlpTracesJson).await
}

/// Takes metrics only to throw them away, as the settings say.
async fn discard_metrics(State(ingest): State<Ingest>, request: Request) -> Response {
    let encoding = Encoding::of(request.headers());
    let transport = if encoding == Some(Encoding::Protobuf) { Transport::HttpProtobuf } else { Transport::HttpJson };
    let taken = async {
        let tenant = tenant_of(request.extensions())?;
        let _under_way = ingest.enter()?;
        let encoding = encoding.ok_or_else(|| Refusal::content_type(&media_type(request.headers())))?;
        let (_, body, in_flight) = read(&ingest, &tenant, request).await?;
        let points = ingest.off_thread(body.len(), move || match encoding {
            Encoding::Protobuf => Ok(discard::data_points(&body)?),
            Encoding::Json => Ok(discard::json_data_points(&body)?),
        });
        let points = points.await?;
        drop(in_flight);
        ingest.count_discarded(points);
        Ok(points)
    };
    match (taken.await, encoding.unwrap_or(Encoding::Json)) {
        (Ok(points), Encoding::Protobuf) => answer(StatusCode::OK, Encoding::Protobuf, discard::protobuf(points)),
        (Ok(points), Encoding::Json) => answer(StatusCode::OK, Encoding::Json, discard::json(points)),
        (Err(refusal), encoding) => {
            ingest.count_refusal(transport, &refusal);
            refuse(&refusal, encoding)
        }
    }
}

async fn export(ingest: &Ingest, request: Request, protobuf: BodyFormat, json: BodyFormat) -> Response {
    let encoding = Encoding::of(request.headers());
    let (transport, format) = match encoding {
        Some(Encoding::Protobuf) => (Transport::HttpProtobuf, protobuf),
        Some(Encoding::Json) | None => (Transport::HttpJson, json),
    };
    let known = encoding.ok_or_else(|| Refusal::content_type(&media_type(request.headers())));
    let taken = match known {
        Ok(_) => take(ingest, request, transport, format, Parameters::default()).await,
        Err(refusal) => Err(refusal),
    };
    let encoding = encoding.unwrap_or(Encoding::Json);
    match taken {
        Ok(acknowledgement) => {
            let signal = signal_of(format);
            let body = match encoding {
                Encoding::Protobuf => respond::protobuf(signal, &acknowledgement),
                Encoding::Json => respond::json(signal, &acknowledgement),
            };
            answer(StatusCode::OK, encoding, body)
        }
        Err(refusal) => {
            ingest.count_refusal(transport, &refusal);
            refuse(&refusal, encoding)
        }
    }
}

/// Query parameters of `POST /api/v1/logs`.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    service: Option<String>,
    timezone: Option<String>,
}

async fn json_logs(State(ingest): State<Ingest>, request: Request) -> Response {
    let format = match media_type(request.headers()).as_str() {
        "application/json"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/json-lines"
        | "application/json-seq"
        | "text/json" => Ok(BodyFormat::JsonLogs),
        "text/plain" => Ok(BodyFormat::TextLogs),
        other => Err(Refusal::ContentType { given: other.to_owned(), wanted: "application/json, application/x-ndjson or text/plain" }),
    };
    let parameters = Query::<Parameters>::try_from_uri(request.uri()).map_err(|error| Refusal::Parameter(error.to_string()));
    let taken = match (format, parameters) {
        (Ok(format), Ok(Query(parameters))) => take(&ingest, request, Transport::Api, format, parameters).await,
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
    };
    match taken {
        Ok(Acknowledgement { accepted, rejections, warning }) => {
            let listed = rejections.first.iter().take(REJECTED_LISTED_MAX);
            let rejected: Vec<_> = listed.map(|rejection| json!({"line": rejection.place, "reason": rejection.reason})).collect();
            let more = rejections.count - rejected.len();
            let mut body = json!({"accepted": accepted, "rejected": rejected});
            if more > 0 {
                body["rejected_more"] = json!(more);
            }
            if !warning.is_empty() {
                body["warning"] = json!(warning);
            }
            answer(StatusCode::OK, Encoding::Json, body.to_string().into_bytes())
        }
        Err(refusal) => {
            ingest.count_refusal(Transport::Api, &refusal);
            refuse(&refusal, Encoding::Json)
        }
    }
}

/// Receives a request whole and hands it on.
async fn take(
    ingest: &Ingest,
    request: Request,
    transport: Transport,
    format: BodyFormat,
    parameters: Parameters,
) -> Result<Acknowledgement, Refusal> {
    let arrival = now();
    let tenant = tenant_of(request.extensions())?;
    let _under_way = ingest.enter()?;
    let (headers, body, in_flight) = read(ingest, &tenant, request).await?;
    let idempotency_key = idempotency_key(&headers)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (service, timezone) = (given(parameters.service), given(parameters.timezone));
    let request = RawRequest { tenant, format, arrival, service, timezone, body };
    let acknowledgement = ingest.accept(transport, request, idempotency_key).await;
    drop(in_flight);
    acknowledgement
}

/// Receives a body, whole and decompressed.
async fn read(ingest: &Ingest, tenant: &Tenant, request: Request) -> Result<(HeaderMap, Bytes, InFlight), Refusal> {
    let (parts, body) = request.into_parts();
    let compression = Compression::of(&parts.headers)?;
    let mut in_flight = ingest.in_flight(tenant)?;
    let body = receive(&parts.headers, body, ingest.settings(), 0, &mut in_flight).await?;
    if compression == Compression::Identity {
        return Ok((parts.headers, body, in_flight));
    }
    let limit = ingest.settings().request_bytes_max;
    let decompressed = ingest.off_thread(EXPANSION * body.len(), move || {
        let body = compression.decompress(body, limit, &mut in_flight)?;
        Ok((body, in_flight))
    });
    let (body, in_flight) = decompressed.await?;
    Ok((parts.headers, body, in_flight))
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    const KEY_BYTES_MAX: usize = 256;
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if key.len() <= KEY_BYTES_MAX => Ok(Some(key.to_owned()).filter(|key| !key.is_empty())),
        _ => Err(Refusal::Parameter(format!("idempotency-key is longer than {KEY_BYTES_MAX} bytes or not ASCII"))),
    }
}

async fn wrong_method(method: Method, request: Request) -> Response {
    let refusal = Refusal::Method { method: method.to_string(), path: request.uri().path().to_owned() };
    refuse(&refusal, Encoding::of(request.headers()).unwrap_or(Encoding::Json))
}

/// The answer to every path that is none of ours.
pub(crate) async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    let hint = if path.contains("/v1/metrics") || path.contains("/v1development") {
        "needle stores logs and traces; switch this exporter off"
    } else {
        "send OTLP to /v1/logs or /v1/traces, JSON or text lines to /api/v1/logs"
    };
    let refusal = Refusal::NotFound { path: path.chars().take(200).collect(), hint };
    refuse(&refusal, Encoding::of(request.headers()).unwrap_or(Encoding::Json))
}

/// The answer to a request that is not let in.
pub(crate) fn deny(headers: &HeaderMap, refusal: &Refusal) -> Response {
    refuse(refusal, Encoding::of(headers).unwrap_or(Encoding::Json))
}

fn answer(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    response
}

fn refuse(refusal: &Refusal, encoding: Encoding) -> Response {
    let seconds = refusal.retry_after_seconds(now().0);
    let body = match encoding {
        Encoding::Protobuf => status::protobuf(refusal, seconds),
        Encoding::Json => status::json(refusal, seconds),
    };
    let mut response = answer(refusal.http_status(), encoding, body);
    let headers = response.headers_mut();
    if refusal.is_temporary() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match refusal {
        Refusal::Method { .. } => drop(headers.insert(ALLOW, HeaderValue::from_static("POST"))),
        Refusal::Encoding(_) => drop(headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, identity"))),
        _ => {}
    }
    response
}
