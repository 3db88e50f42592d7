//! The path of a batch: receive, decode (which finds ids and admits), append, acknowledge.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper_util::server::graceful::GracefulShutdown;
use needle_storage::model::{Signal, UnixNanos};
use needle_storage::{Accepted, AppendError, BodyFormat, Incoming, RawRequest, Store};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admit::Rejections;
use crate::decode::{Decoder, Outcome};
use crate::error::Refusal;
use crate::metrics::{Metrics, Refused, Source};
use crate::otlp::respond::{noun, reasons};
use crate::otlp::{grpc, http};
use crate::receive::{InFlight, in_flight};
use crate::serve::{connection, serve};
use crate::settings::IngestSettings;

/// Receives records over the network and puts them into a store. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    destination: Destination,
    decoder: Arc<Decoder>,
    in_flight: Arc<Semaphore>,
    metrics: Metrics,
}

/// Where batches go.
pub(crate) enum Destination {
    Store(Arc<Store>),
    #[cfg(test)]
    Memory(crate::otlp::tests::MemoryStore),
}

impl Destination {
    async fn append(&self, incoming: Incoming) -> Result<Accepted, AppendError> {
        match self {
            Destination::Store(store) => store.append(incoming).await,
            #[cfg(test)]
            Destination::Memory(memory) => memory.append(&incoming),
        }
    }
}

/// By which door a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Grpc,
    HttpProtobuf,
    HttpJson,
    Api,
}

impl Transport {
    fn label(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::HttpProtobuf => "http_protobuf",
            Transport::HttpJson => "http_json",
            Transport::Api => "api",
        }
    }
}

/// What became of a request that was accepted, wholly or in part.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) accepted: usize,
    pub(crate) rejections: Rejections,
}

impl Ingest {
    /// An ingest that appends to `store`, whose counters stand in `metrics` under `needle_ingest_`.
    pub fn new(store: Arc<Store>, settings: IngestSettings, metrics: &mut Registry) -> Ingest {
        Ingest::with_destination(Destination::Store(store), settings, metrics)
    }

    pub(crate) fn with_destination(destination: Destination, settings: IngestSettings, metrics: &mut Registry) -> Ingest {
        let in_flight = in_flight(&settings);
        let decoder = Arc::new(Decoder::new(settings));
        Ingest { inner: Arc::new(Inner { destination, decoder, in_flight, metrics: Metrics::register(metrics) }) }
    }

    /// Serves OTLP/gRPC until `shutdown`, then finishes what is under way.
    pub async fn serve_grpc(&self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        serve(listener, grpc::routes(self), self.settings(), shutdown).await
    }

    /// Serves OTLP/HTTP (protobuf and JSON) until `shutdown`, then finishes what is under way.
    pub async fn serve_http(&self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        serve(listener, self.routes().fallback(http::not_found), self.settings(), shutdown).await
    }

    /// Serves OTLP/HTTP on one connection that is open already, whatever it is made of, to its end.
    pub async fn serve_http_on(&self, read: impl AsyncRead + Unpin + Send + 'static, write: impl AsyncWrite + Unpin + Send + 'static) {
        self.serve_on(read, write, self.routes().fallback(http::not_found)).await;
    }

    /// Serves OTLP/gRPC on one connection that is open already, to its end.
    pub async fn serve_grpc_on(&self, read: impl AsyncRead + Unpin + Send + 'static, write: impl AsyncWrite + Unpin + Send + 'static) {
        self.serve_on(read, write, grpc::routes(self)).await;
    }

    async fn serve_on(
        &self,
        read: impl AsyncRead + Unpin + Send + 'static,
        write: impl AsyncWrite + Unpin + Send + 'static,
        router: axum::Router,
    ) {
        let watcher = GracefulShutdown::new().watcher();
        connection(read, write, router, self.settings().header_timeout(), watcher, &CancellationToken::new()).await;
    }

    /// `POST /api/v1/logs`, `/v1/logs` and `/v1/traces`, for a listener that serves other things too.
    pub fn routes(&self) -> axum::Router {
        http::routes(self)
    }

    pub(crate) fn settings(&self) -> &IngestSettings {
        &self.inner.decoder.settings
    }

    /// An account of the bytes of one request.
    pub(crate) fn in_flight(&self) -> InFlight {
        InFlight::new(self.inner.in_flight.clone(), self.settings().in_flight_bytes_max)
    }

    /// Runs `work` where it may take long; a panic in it is the fault of this one request.
    pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "decoding a request panicked");
            Err(Refusal::Fault)
        })
    }

    /// Takes a request from its whole body to the acknowledgement.
    pub(crate) async fn accept(
        &self,
        transport: Transport,
        request: RawRequest,
        idempotency_key: Option<String>,
    ) -> Result<Acknowledgement, Refusal> {
        let source = Source { signal: signal_of(request.format).as_str(), transport: transport.label() };
        let metrics = &self.inner.metrics;
        metrics.body_bytes.get_or_create(&source).inc_by(request.body.len() as u64);
        let (request, outcome) = self.decode(request).await?;
        metrics.requests.get_or_create(&source).inc();
        metrics.received_records.get_or_create(&source).inc_by(outcome.received() as u64);
        metrics.rejected_records.get_or_create(&source).inc_by(outcome.rejections.count as u64);
        let rejections = outcome.rejections.clone();
        let stored = self.append(request, outcome, idempotency_key).await?;
        metrics.accepted_records.get_or_create(&source).inc_by(stored.stored as u64);
        metrics.deduplicated_records.get_or_create(&source).inc_by(stored.deduplicated as u64);
        Ok(Acknowledgement { accepted: stored.stored + stored.deduplicated, rejections })
    }

    async fn decode(&self, request: RawRequest) -> Result<(RawRequest, Outcome), Refusal> {
        let decoder = self.inner.decoder.clone();
        Ingest::off_thread(move || {
            let outcome = decoder.decode(&request)?;
            Ok((request, outcome))
        })
        .await
    }

    /// Appends what is usable. A request of which nothing is usable is refused as a whole: partial
    /// success would tell the sender that something was stored.
    async fn append(&self, request: RawRequest, outcome: Outcome, idempotency_key: Option<String>) -> Result<Accepted, Refusal> {
        let plain = matches!(request.format, BodyFormat::JsonLogs | BodyFormat::TextLogs);
        if outcome.decoded.records.num_rows() == 0 {
            let count = outcome.rejections.count;
            return match (count, plain) {
                (0, true) => Err(Refusal::Nothing),
                (0, false) => Ok(Accepted { stored: 0, deduplicated: 0 }),
                _ => {
                    let reasons = reasons(if plain { "line" } else { "number" }, &outcome.rejections);
                    Err(Refusal::NoneUsable { count, what: noun(outcome.decoded.signal), reasons })
                }
            };
        }
        Ok(self.inner.destination.append(Incoming { request, decoded: outcome.into_decoded(), idempotency_key }).await?)
    }

    /// Counts a request of which nothing was stored.
    pub(crate) fn count_refusal(&self, transport: Transport, refusal: &Refusal) {
        tracing::debug!(transport = transport.label(), %refusal, "request refused");
        self.inner.metrics.refused_requests.get_or_create(&Refused { reason: refusal.label(), transport: transport.label() }).inc();
    }
}

/// What the records of a format are.
pub(crate) fn signal_of(format: BodyFormat) -> Signal {
    match format {
        BodyFormat::OtlpTracesProtobuf | BodyFormat::OtlpTracesJson => Signal::Spans,
        _ => Signal::Logs,
    }
}

/// The arrival time of a request.
pub(crate) fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
