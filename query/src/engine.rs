//! The engine (signatures; the body is being written).

use std::sync::Arc;

use futures::Stream;
use needle_storage::Store;
use needle_storage::model::{RecordId, Tenant, UnixNanos};

use crate::answer::*;
use crate::error::QueryError;

/// Answers questions about a tenant's records.
#[derive(Clone, Debug)]
pub struct QueryEngine {}

impl QueryEngine {
    /// An engine over `store`.
    pub fn new(_store: Arc<Store>, _metrics: &mut prometheus_client::registry::Registry) -> QueryEngine {
        todo!()
    }

    /// Records that match.
    pub async fn search(&self, _tenant: &Tenant, _request: SearchRequest) -> Result<SearchAnswer, QueryError> {
        todo!()
    }

    /// How many records match (`limit`, `cursor` and `order` do not matter).
    pub async fn count(&self, _tenant: &Tenant, _request: SearchRequest) -> Result<CountAnswer, QueryError> {
        todo!()
    }

    /// The journey of an id; none when nothing carries it.
    pub async fn journey(&self, _tenant: &Tenant, _request: JourneyRequest) -> Result<Option<Journey>, QueryError> {
        todo!()
    }

    /// Journeys that contain a match, newest match first.
    pub async fn journeys(&self, _tenant: &Tenant, _request: SearchRequest) -> Result<JourneysAnswer, QueryError> {
        todo!()
    }

    /// Services seen between two times.
    pub async fn services(
        &self,
        _tenant: &Tenant,
        _start: Option<UnixNanos>,
        _end: Option<UnixNanos>,
    ) -> Result<ServicesAnswer, QueryError> {
        todo!()
    }

    /// Follows new records that match, from `cursor` or from now; `backfill` older matches come first.
    pub fn tail(
        &self,
        _tenant: &Tenant,
        _query: &str,
        _cursor: Option<RecordId>,
        _backfill: usize,
    ) -> Result<impl Stream<Item = TailEvent> + Send + 'static, QueryError> {
        Ok(futures::stream::empty())
    }

    /// Seals live records now; with `merge`, also merges until nothing is left to do.
    pub async fn flush(&self, _merge: bool) -> Result<(), QueryError> {
        todo!()
    }

    /// Why the store does not accept records just now; empty when it does.
    pub fn not_ready(&self) -> Vec<String> {
        Vec::new()
    }
}
