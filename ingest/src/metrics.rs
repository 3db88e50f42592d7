//! What ingest counts about requests.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Form {
    pub(crate) form: &'static str,
}

/// Records are counted by the store's ledger, which holds the account of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) requests: Family<Source, Counter>,
    pub(crate) refused_requests: Family<Refused, Counter>,
    pub(crate) body_bytes: Family<Source, Counter>,
    pub(crate) lenient_forms: Family<Form, Counter>,
    pub(crate) discarded_data_points: Counter,
    pub(crate) dead_letters: Counter,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let registry = registry.sub_registry_with_prefix("needle_ingest");
        registry.register("requests", "Requests that were decoded", metrics.requests.clone());
        registry.register("refused_requests", "Requests of which nothing was stored", metrics.refused_requests.clone());
        registry.register_with_unit("bodies", "Length of request bodies, decompressed", Unit::Bytes, metrics.body_bytes.clone());
        registry.register(
            "lenient_forms",
            "Names, values and times in a form that leaves something open or is not allowed, which were read all the same",
            metrics.lenient_forms.clone(),
        );
        registry.register(
            "discarded_data_points",
            "Data points of metrics that were thrown away, as the settings say",
            metrics.discarded_data_points.clone(),
        );
        registry.register(
            "dead_letters",
            "Requests whose decoding failed by a fault of needle; the first ones are kept in _needle/dead-letter of the data folder",
            metrics.dead_letters.clone(),
        );
        metrics
    }
}
