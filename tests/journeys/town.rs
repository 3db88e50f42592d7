//! A real store with records of many requests, and the engine that answers from it.

use std::sync::Arc;

use needle_ingest::storage::model::{Tenant, UnixNanos};
use needle_ingest::storage::{Incoming, RawRequest, Store, StoreSettings};
use needle_ingest::{IngestSettings, decoder};
use needle_web::query::{Journey, JourneyRequest, QueryEngine};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::wire::Body;

/// A store in a folder of its own that does nothing by itself.
pub(crate) struct Town {
    runtime: Runtime,
    store: Arc<Store>,
    engine: QueryEngine,
    _folder: TempDir,
}

impl Town {
    pub(crate) fn new() -> Town {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data: folder.path().to_owned(), seal_interval_ms: 86_400_000, ..StoreSettings::default() };
        let store =
            runtime.block_on(async { Store::open(&settings, decoder(&IngestSettings::default()), &mut Registry::default()).unwrap() });
        let engine = QueryEngine::new(store.clone(), &mut Registry::default());
        Town { runtime, store, engine, _folder: folder }
    }

    /// Takes a body as the doors do once they have received it.
    pub(crate) fn take(&self, body: Body) {
        let request = RawRequest {
            tenant: Tenant::default(),
            format: body.format,
            arrival: UnixNanos(1),
            service: body.service,
            timezone: None,
            body: body.bytes.into(),
        };
        let decoded = decoder(&IngestSettings::default())(&request).unwrap();
        self.runtime.block_on(self.store.append(Incoming { request, decoded, idempotency_key: None })).unwrap();
    }

    pub(crate) fn seal(&self) {
        self.runtime.block_on(self.store.flush()).unwrap();
    }

    pub(crate) fn merge(&self) {
        self.runtime.block_on(self.store.merge()).unwrap();
    }

    pub(crate) fn journey(&self, id: &str) -> Option<Journey> {
        self.journey_with(id, true)
    }

    pub(crate) fn journey_with(&self, id: &str, inferred: bool) -> Option<Journey> {
        let request = JourneyRequest { id: id.to_owned(), inferred, corrected: false, limit: None, cursor: None };
        self.runtime.block_on(self.engine.journey(&Tenant::default(), request)).unwrap()
    }
}
