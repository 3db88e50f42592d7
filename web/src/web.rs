//! The room as one value: what it answers from, and its routes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use needle_query::{QueryEngine, QueryError};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::error::ApiError;
use crate::frame;
use crate::metrics::WebMetrics;
use crate::server;
use crate::settings::WebSettings;

/// The HTTP API and the UI. Clones share everything.
#[derive(Clone)]
pub struct Web {
    shared: Arc<Shared>,
    metrics: WebMetrics,
}

struct Shared {
    engine: QueryEngine,
    settings: WebSettings,
    registry: Arc<Registry>,
    ingest_routes: Router,
    description: Bytes,
    /// Cancelled when the server shuts down: tails end, and it is no longer ready.
    closing: CancellationToken,
}

impl Web {
    /// Answers from `engine`. `registry` is what `/metrics` shows; `ingest_routes` are those that take records in
    /// (`POST /api/v1/logs`, `/v1/logs`, `/v1/traces`), without a fallback of their own. `settings` have passed
    /// [`WebSettings::check`].
    pub fn new(engine: QueryEngine, settings: WebSettings, registry: Arc<Registry>, ingest_routes: Router) -> Web {
        let description = Bytes::from(api::openapi_json());
        let closing = CancellationToken::new();
        let shared = Shared { engine, settings, registry, ingest_routes, description, closing };
        Web { shared: Arc::new(shared), metrics: WebMetrics::default() }
    }

    /// Counts into `metrics`, which [`WebMetrics::register`] made known to the registry before it was shared.
    /// Without this the room counts for itself only.
    #[must_use]
    pub fn with_metrics(self, metrics: WebMetrics) -> Web {
        Web { metrics, ..self }
    }

    /// Serves until `shutdown`; then tails end, running requests are given `shutdown_timeout_ms`, and this returns.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        server::serve(listener, self.router(), &self.shared.settings, &shutdown, &self.shared.closing).await;
        Ok(())
    }

    /// All routes with everything around them, for a listener of the caller's own.
    pub fn router(&self) -> Router {
        let (documented, _) = api::routes().split_for_parts();
        let description = self.shared.description.clone();
        let describe =
            move || async move { ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], description).into_response() };
        let own = documented.route("/api/openapi.json", get(describe)).with_state(self.clone());
        frame::around(own, self.shared.ingest_routes.clone(), &self.metrics, &self.shared.settings)
    }

    pub(crate) fn engine(&self) -> &QueryEngine {
        &self.shared.engine
    }

    pub(crate) fn settings(&self) -> &WebSettings {
        &self.shared.settings
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn metrics(&self) -> &WebMetrics {
        &self.metrics
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.shared.closing
    }

    /// The answer to a question, unless it takes longer than it asks for, or than `query_timeout_ms` where it says nothing.
    pub(crate) async fn within<T>(
        &self,
        asked: Option<Duration>,
        question: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, ApiError> {
        frame::in_time(self.shared.settings.query_timeout(asked), question).await
    }
}
