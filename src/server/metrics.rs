//! What the listeners count.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Listener {
    pub(super) listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Turned {
    pub(super) listener: &'static str,
    pub(super) reason: &'static str,
}

/// Counters of all listeners.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerMetrics {
    pub(super) connections: Family<Listener, Gauge>,
    pub(super) accepted: Family<Listener, Counter<u64, AtomicU64>>,
    pub(super) turned_away: Family<Turned, Counter<u64, AtomicU64>>,
}

impl ServerMetrics {
    /// Makes them known under `needle_server_`.
    pub(crate) fn register(registry: &mut Registry) -> ServerMetrics {
        let metrics = ServerMetrics::default();
        let registry = registry.sub_registry_with_prefix("needle_server");
        registry.register("connections", "Connections that are open", metrics.connections.clone());
        registry.register("accepted_connections", "Connections that were accepted", metrics.accepted.clone());
        registry.register(
            "turned_away_connections",
            "Connections that were closed, or not accepted, for want of a place or a file descriptor",
            metrics.turned_away.clone(),
        );
        metrics
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// What the guard counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuardMetrics {
    refused: Family<Reason, Counter<u64, AtomicU64>>,
    /// 1 while others can reach this server and either no token is needed or nothing is encrypted.
    pub(crate) insecure: Gauge,
    /// 1 while the tokens in use are those of the file.
    pub(crate) tokens_in_order: Gauge,
}

impl GuardMetrics {
    /// Makes them known.
    pub(crate) fn register(registry: &mut Registry) -> GuardMetrics {
        let metrics = GuardMetrics::default();
        registry.register(
            "needle_insecure",
            "1: other machines can reach a listener, and no token is needed or nothing is encrypted",
            metrics.insecure.clone(),
        );
        let registry = registry.sub_registry_with_prefix("needle_auth");
        registry.register("refused_requests", "Requests that were not let in", metrics.refused.clone());
        registry.register(
            "tokens_in_order",
            "0: the file of tokens cannot be read, and those read before are in use",
            metrics.tokens_in_order.clone(),
        );
        metrics
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }
}
