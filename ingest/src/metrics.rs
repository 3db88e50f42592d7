//! What ingest counts, by signal and transport.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Source {
    pub(crate) signal: &'static str,
    pub(crate) transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Refused {
    pub(crate) reason: &'static str,
    pub(crate) transport: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) requests: Family<Source, Counter>,
    pub(crate) refused_requests: Family<Refused, Counter>,
    pub(crate) body_bytes: Family<Source, Counter>,
    pub(crate) received_records: Family<Source, Counter>,
    pub(crate) accepted_records: Family<Source, Counter>,
    pub(crate) rejected_records: Family<Source, Counter>,
    pub(crate) deduplicated_records: Family<Source, Counter>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let registry = registry.sub_registry_with_prefix("needle_ingest");
        registry.register("requests", "Requests that were decoded", metrics.requests.clone());
        registry.register("refused_requests", "Requests of which nothing was stored", metrics.refused_requests.clone());
        registry.register("body_bytes", "Bytes of request bodies, decompressed", metrics.body_bytes.clone());
        registry.register("received_records", "Records in requests that were decoded", metrics.received_records.clone());
        registry.register("accepted_records", "Records stored", metrics.accepted_records.clone());
        registry.register(
            "rejected_records",
            "Records refused while others of their request were stored",
            metrics.rejected_records.clone(),
        );
        registry.register(
            "deduplicated_records",
            "Records that were stored before by an equal request",
            metrics.deduplicated_records.clone(),
        );
        metrics
    }
}
