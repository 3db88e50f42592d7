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
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::api;
use crate::error::ApiError;
use crate::frame;
use crate::metrics::WebMetrics;
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
    further_routes: Router,
    description: Bytes,
    /// Cancelled when the server shuts down: tails end, and it is no longer ready.
    closing: CancellationToken,
}

impl Web {
    /// Answers from `engine`. `registry` is what `/metrics` shows; `further_routes` are those of others on
    /// this listener (`POST /api/v1/logs`, `/v1/logs`, `/v1/traces`, the program's own), guarded, without a fallback of their own. `settings` have passed
    /// [`WebSettings::check`].
    pub fn new(engine: QueryEngine, settings: WebSettings, registry: Arc<Registry>, further_routes: Router) -> Web {
        let description = Bytes::from(api::openapi_json());
        let closing = CancellationToken::new();
        let shared = Shared { engine, settings, registry, further_routes, description, closing };
        Web { shared: Arc::new(shared), metrics: WebMetrics::default() }
    }

    /// Counts into `metrics`, which [`WebMetrics::register`] made known to the registry before it was shared.
    /// Without this the room counts for itself only.
    #[must_use]
    pub fn with_metrics(self, metrics: WebMetrics) -> Web {
        Web { metrics, ..self }
    }

    /// To be called when the server is about to shut down: tails end, and it is no longer ready.
    pub fn close(&self) {
        self.shared.closing.cancel();
    }

    /// All routes with everything around them. `guard` is given those that need something, and puts before them whatever
    /// sees to it; it also puts the tenant into each request.
    pub fn router(&self, guard: impl Fn(Access, Router) -> Router) -> Router {
        let (_, groups) = api::routes().split();
        let description = self.shared.description.clone();
        let describe =
            move || async move { ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], description).into_response() };
        let mut own = Router::new().route("/api/openapi.json", get(describe));
        for (access, group) in groups {
            let group = group.with_state(self.clone());
            own = own.merge(if access == Access::Open { group } else { guard(access, group) });
        }
        frame::around(own, self.shared.further_routes.clone(), &self.metrics)
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
