//! What is counted about questions.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

type Labels = [(&'static str, &'static str); 2];

/// Counters of the engine.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    queries: Family<Labels, Counter>,
    seconds: Family<[(&'static str, &'static str); 1], Histogram>,
    running: Gauge,
}

/// A question that is worked on, until it is dropped.
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let queries = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.001, 2.0, 16))) as fn() -> Histogram);
        registry.register("needle_queries", "Questions answered, by kind and outcome", queries.clone());
        registry.register("needle_query_duration_seconds", "Time to answer a question, by kind", seconds.clone());
        let running = Gauge::default();
        registry.register("needle_queries_running", "Questions that are worked on", running.clone());
        Metrics { queries, seconds, running }
    }

    /// Counts a question among those that are worked on.
    pub(crate) fn begin(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }

    pub(crate) fn answered(&self, kind: &'static str, outcome: &'static str, seconds: f64) {
        self.queries.get_or_create(&[("kind", kind), ("outcome", outcome)]).inc();
        self.seconds.get_or_create(&[("kind", kind)]).observe(seconds);
    }
}
