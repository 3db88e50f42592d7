//! The path of a batch: receive, decode (which finds ids and admits), append, acknowledge.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::header::CONTENT_TYPE;
use ::http::request::Parts;
use ::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;
use needle_storage::model::{Signal, Tenant, UnixNanos};
use needle_storage::{Accepted, Account, AppendError, BodyFormat, Incoming, Ledger, LedgerEntry, Prepared, RawRequest, Store};
use prometheus_client::registry::Registry;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::admit::Rejections;
use crate::bulk::Bulk;
use crate::decode::{Decoder, Outcome};
use crate::error::Refusal;
use crate::metrics::{Form, Metrics, Refused, Source};
use crate::notices::Notices;
use crate::otlp::respond::{noun, reasons};
use crate::otlp::{grpc, http};
use crate::settings::IngestSettings;
use crate::shares::{InFlight, Shares};

/// Receives records over the network and puts them into a store. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    destination: Destination,
    ledger: Ledger,
    /// Requests from their head until what is answered is decided. Closed: no more are taken.
    under_way: TaskTracker,
    decoder: Decoder,
    bulk: Bulk,
    shares: Shares,
    metrics: Metrics,
}

/// Where batches go.
pub(crate) enum Destination {
    Store(Arc<Store>),
    #[cfg(test)]
    Memory(crate::otlp::tests::MemoryStore),
}

/// A batch as its destination takes it.
enum Ready {
    Store(Box<Prepared>),
    #[cfg(test)]
    Memory(Box<Incoming>),
}

impl Destination {
    /// Does all that takes long for a long batch.
    fn prepare(&self, incoming: Incoming) -> Result<Ready, AppendError> {
        match self {
            Destination::Store(_) => Ok(Ready::Store(Box::new(incoming.prepare()?))),
            #[cfg(test)]
            Destination::Memory(_) => Ok(Ready::Memory(Box::new(incoming))),
        }
    }

    async fn append(&self, ready: Ready, entry: LedgerEntry) -> Result<Accepted, AppendError> {
        match (self, ready) {
            (Destination::Store(store), Ready::Store(prepared)) => store.append_received(*prepared, entry).await,
            #[cfg(test)]
            (Destination::Memory(memory), Ready::Memory(incoming)) => memory.append(&incoming, entry),
            #[cfg(test)]
            _ => unreachable!("made ready by the same destination"),
        }
    }

    fn ledger(&self) -> Ledger {
        match self {
            Destination::Store(store) => store.ledger().clone(),
            #[cfg(test)]
            Destination::Memory(_) => Ledger::default(),
        }
    }

    /// Keeps a request whose decoding failed by a fault of ours.
    fn keep_dead_letter(&self, request: &RawRequest) {
        let kept = match self {
            Destination::Store(store) => store.keep_dead_letter(request),
            #[cfg(test)]
            Destination::Memory(_) => Ok(None),
        };
        match kept {
            Ok(Some(path)) => {
                tracing::error!(path = %path.display(), "the request whose decoding failed is kept: report the fault with it");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the request whose decoding failed could not be kept"),
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
    /// By which one a request over HTTP came.
    fn of_http(headers: &HeaderMap, path: &str) -> Transport {
        let protobuf = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"protobuf"));
        match path.starts_with("/api/") {
            true => Transport::Api,
            false if protobuf => Transport::HttpProtobuf,
            false => Transport::HttpJson,
        }
    }

    /// Which doors a signal has.
    const DOORS: [(Signal, Transport); 7] = [
        (Signal::Logs, Transport::Grpc),
        (Signal::Logs, Transport::HttpProtobuf),
        (Signal::Logs, Transport::HttpJson),
        (Signal::Logs, Transport::Api),
        (Signal::Spans, Transport::Grpc),
        (Signal::Spans, Transport::HttpProtobuf),
        (Signal::Spans, Transport::HttpJson),
    ];

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
    /// What the sender should know although its records were stored; empty for nothing.
    pub(crate) warning: String,
}

impl Ingest {
    /// An ingest that appends to `store`, whose counters stand in `metrics` under `needle_ingest_`.
    pub fn new(store: Arc<Store>, settings: IngestSettings, metrics: &mut Registry) -> Ingest {
        Ingest::with_destination(Destination::Store(store), settings, metrics)
    }

    pub(crate) fn with_destination(destination: Destination, settings: IngestSettings, metrics: &mut Registry) -> Ingest {
        let shares = Shares::of(&settings);
        let decoder = Decoder::new(settings);
        let ledger = destination.ledger();
        Transport::DOORS.iter().for_each(|(signal, door)| ledger.open(Account::new(*signal, door.label())));
        let (metrics, under_way) = (Metrics::register(metrics), TaskTracker::new());
        Ingest { inner: Arc::new(Inner { destination, ledger, under_way, decoder, bulk: Bulk::new(), shares, metrics }) }
    }

    /// Takes no more requests, which are told to come again to whoever is next, and waits for those under way, until
    /// it is dropped. Listeners stay open meanwhile: whoever connects is told the same.
    pub async fn drain(&self) {
        let under_way = &self.inner.under_way;
        under_way.close();
        match &self.inner.destination {
            Destination::Store(store) => store.announce_shutdown(),
            #[cfg(test)]
            Destination::Memory(_) => {}
        }
        under_way.wait().await;
    }

    /// Begins a request; it is under way until what this returns is dropped.
    pub(crate) fn enter(&self) -> Result<TaskTrackerToken, Refusal> {
        // First counted, then asked: who is counted after the end began is told so, and who is not, is waited for.
        let under_way = self.inner.under_way.token();
        if self.inner.under_way.is_closed() { Err(AppendError::ShuttingDown.into()) } else { Ok(under_way) }
    }

    /// OTLP/gRPC: all routes of a listener of its own, which answers whoever speaks otherwise in plain words.
    pub fn grpc_routes(&self) -> axum::Router {
        grpc::routes(self)
    }

    /// OTLP/HTTP (protobuf and JSON): all routes of a listener of its own.
    pub fn http_routes(&self) -> axum::Router {
        self.routes().fallback(http::not_found)
    }

    /// `POST /api/v1/logs`, `/v1/logs` and `/v1/traces`, for a listener that serves other things too.
    pub fn routes(&self) -> axum::Router {
        http::routes(self)
    }

    /// What OTLP/HTTP and `POST /api/v1/logs` answer to a request that is not let in: 401, 403 or 429.
    pub fn deny_http(&self, request: &Parts, status: StatusCode, why: String) -> Response {
        let refusal = Refusal::denial(status, why);
        self.count_refusal(Transport::of_http(&request.headers, request.uri.path()), &refusal);
        http::deny(&request.headers, &refusal)
    }

    /// What OTLP/gRPC answers to a request that is not let in.
    pub fn deny_grpc(&self, request: &Parts, status: StatusCode, why: String) -> Response {
        let refusal = Refusal::denial(status, why);
        self.count_refusal(Transport::Grpc, &refusal);
        grpc::deny(request, &refusal)
    }

    pub(crate) fn settings(&self) -> &IngestSettings {
        &self.inner.decoder.settings
    }

    /// An account of the bytes of one request of this tenant, which is refused if it sent too much of late.
    pub(crate) fn in_flight(&self, tenant: &Tenant) -> Result<InFlight, Refusal> {
        self.inner.shares.enter(tenant)
    }

    /// Runs `work` on so many bytes where it may take long; a panic in it is the fault of this one request. What did not begin when its
    /// sender left is not done.
    pub(crate) async fn off_thread<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        AbortOnDropHandle::new(self.inner.bulk.spawn(bytes, work)).await.unwrap_or_else(|error| {
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
        let format = request.format;
        let signal = signal_of(format);
        let source = Source { signal: signal.as_str(), transport: transport.label() };
        let metrics = &self.inner.metrics;
        metrics.body_bytes.get_or_create(&source).inc_by(request.body.len() as u64);
        self.inner.shares.spend(&request.tenant, request.body.len());
        let Batch { usable, received, rejections, notices, ready } = self.decode(request, idempotency_key).await?;
        metrics.requests.get_or_create(&source).inc();
        for (form, count) in notices.forms().into_iter().filter(|(_, count)| *count > 0) {
            metrics.lenient_forms.get_or_create(&Form { form }).inc_by(count as u64);
        }
        let account = Account::new(signal, transport.label());
        let entry = self.inner.ledger.receive(account, received, rejections.count, usable);
        let accepted = match ready {
            Some(ready) => {
                let stored = self.inner.destination.append(ready, entry).await?;
                stored.stored + stored.deduplicated
            }
            None => {
                refuse_nothing(format, &rejections)?;
                0
            }
        };
        Ok(Acknowledgement { accepted, rejections, warning: notices.warning() })
    }

    /// Decodes a request, up to what is handed to the store. One for which that fails by a fault of ours is kept, and is that one
    /// request's misfortune.
    async fn decode(&self, request: RawRequest, idempotency_key: Option<String>) -> Result<Batch, Refusal> {
        let (letter, inner) = (request.clone(), self.inner.clone());
        let decoded = self.off_thread(request.body.len(), move || {
            let Outcome { decoded, rejections, received, notices } = inner.decoder.decode(&request)?;
            let usable = decoded.records.num_rows();
            let incoming = (usable > 0).then_some(Incoming { request, decoded, idempotency_key });
            let ready = incoming.map(|incoming| inner.destination.prepare(incoming)).transpose()?;
            Ok(Batch { usable, received, rejections, notices, ready })
        });
        let decoded = decoded.await;
        if matches!(decoded, Err(Refusal::Fault)) {
            self.inner.metrics.dead_letters.inc();
            let inner = self.inner.clone();
            // Kept also when the sender does not wait for it.
            let kept = self.inner.bulk.spawn(letter.body.len(), move || inner.destination.keep_dead_letter(&letter));
            kept.await.map_err(|_| Refusal::Fault)?;
        }
        decoded
    }

    /// Counts data points that are thrown away.
    pub(crate) fn count_discarded(&self, points: usize) {
        self.inner.metrics.discarded_data_points.inc_by(points as u64);
    }

    /// Counts a request of which nothing was stored.
    pub(crate) fn count_refusal(&self, transport: Transport, refusal: &Refusal) {
        tracing::debug!(transport = transport.label(), %refusal, "request refused");
        self.inner.metrics.refused_requests.get_or_create(&Refused { reason: refusal.label(), transport: transport.label() }).inc();
    }
}

/// What a request brought.
struct Batch {
    /// Records that can be stored.
    usable: usize,
    /// All of them.
    received: usize,
    rejections: Rejections,
    notices: Notices,
    /// None without usable records.
    ready: Option<Ready>,
}

/// A request of which nothing is usable is refused as a whole: partial success would tell the sender that something was stored. Only
/// OTLP may bring nothing at all.
fn refuse_nothing(format: BodyFormat, rejections: &Rejections) -> Result<(), Refusal> {
    let is_plain = matches!(format, BodyFormat::JsonLogs | BodyFormat::TextLogs);
    match (rejections.count, is_plain) {
        (0, true) => Err(Refusal::Nothing),
        (0, false) => Ok(()),
        (count, _) => {
            let reasons = reasons(if is_plain { "line" } else { "number" }, rejections);
            Err(Refusal::NoneUsable { count, what: noun(signal_of(format)), reasons })
        }
    }
}

/// What the records of a format are.
pub(crate) fn signal_of(format: BodyFormat) -> Signal {
    match format {
        BodyFormat::OtlpTracesProtobuf | BodyFormat::OtlpTracesJson => Signal::Spans,
        _ => Signal::Logs,
    }
}

/// Whose records a request brings: what the program found out and put into it. Routes that it does not guard take nothing.
pub(crate) fn tenant_of(extensions: &Extensions) -> Result<Tenant, Refusal> {
    extensions.get::<Tenant>().cloned().ok_or_else(|| {
        tracing::error!("a request came without a tenant: the routes are served without what finds it out");
        Refusal::Fault
    })
}

/// The arrival time of a request.
pub(crate) fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
