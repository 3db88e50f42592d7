//! Which routes need what, and what is looked at again while they are served: tokens and certificates.

use std::sync::Arc;

use axum::Router;
use needle_ingest::Ingest;
use needle_web::Access;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::cli::Unusable;
use crate::server::{CERTIFICATE_LOOK_INTERVAL, Form, Guard, GuardMetrics, Tls, TlsMetrics};
use crate::settings::Settings;
use crate::tokens::{self, Scope, TokenBook};

/// All that decides who comes in.
pub(crate) struct DoorKeeping {
    tokens: Arc<TokenBook>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) guard: Guard,
    metrics: GuardMetrics,
}

impl DoorKeeping {
    /// Reads certificates; says what cannot be used.
    pub(crate) fn open(settings: &Settings, tokens: TokenBook, ingest: &Ingest, registry: &mut Registry) -> Result<DoorKeeping, Unusable> {
        let metrics = GuardMetrics::register(registry);
        let exposure = settings.exposure(tokens.has_good())?;
        metrics.insecure.set(i64::from(exposure.insecure));
        metrics.tokens_in_order.set(1);
        if exposure.insecure {
            tracing::warn!("other machines can reach this server, and no token is needed or nothing is encrypted");
        }
        let tls = match settings.tls()? {
            Some(files) => Some(Tls::open(files, TlsMetrics::register(registry)).map_err(Unusable)?),
            None => None,
        };
        let tokens = Arc::new(tokens);
        let guard = Guard::new(Arc::clone(&tokens), exposure, settings.origins()?, metrics.clone(), ingest.clone());
        Ok(DoorKeeping { tokens, tls, guard, metrics })
    }

    /// Routes over HTTP that take records in; pages of the configured sites may use them.
    pub(crate) fn ingest_routes(&self, routes: Router) -> Router {
        self.guard.share(self.guard.require(Scope::Ingest, Form::OtlpHttp, routes))
    }

    /// Routes of the web room.
    pub(crate) fn web_routes(&self, access: Access, routes: Router) -> Router {
        match access {
            Access::Open => routes,
            Access::Read => self.guard.require(Scope::Read, Form::Api, routes),
            Access::Admin => self.guard.require(Scope::Admin, Form::Api, routes),
        }
    }

    /// Looks at the files of tokens and certificates until the shutdown.
    pub(crate) fn keep_looking(self, shutdown: &CancellationToken) {
        let DoorKeeping { tokens, tls, metrics, .. } = self;
        let stop = shutdown.clone();
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(tokens::LOOK_INTERVAL);
            while stop.run_until_cancelled(clock.tick()).await.is_some() {
                let tokens = Arc::clone(&tokens);
                let in_order = tokio::task::spawn_blocking(move || tokens.look()).await.unwrap_or(false);
                metrics.tokens_in_order.set(i64::from(in_order));
            }
        });
        let Some(tls) = tls else { return };
        let stop = shutdown.clone();
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(CERTIFICATE_LOOK_INTERVAL);
            while stop.run_until_cancelled(clock.tick()).await.is_some() {
                let tls = Arc::clone(&tls);
                if let Err(error) = tokio::task::spawn_blocking(move || tls.look()).await {
                    tracing::error!("looking at the certificate failed: {error}");
                }
            }
        });
    }
}
