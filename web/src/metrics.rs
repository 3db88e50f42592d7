//! What the room counts about itself.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Counters of the HTTP listener. Clones count together.
#[derive(Clone, Debug)]
pub struct WebMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    tails: Gauge,
    panics: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

impl Default for WebMetrics {
    fn default() -> Self {
        WebMetrics {
            requests: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
            tails: Gauge::default(),
            panics: Counter::default(),
        }
    }
}

/// From a lookup in memory to the longest that a query may take, in seconds.
fn duration_histogram() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl WebMetrics {
    /// Metrics that `registry` shows, to be handed to `Web::with_metrics`.
    pub fn register(registry: &mut Registry) -> WebMetrics {
        let metrics = WebMetrics::default();
        registry.register("needle_http_requests", "Requests answered", metrics.requests.clone());
        let help = "Time from a request's header to its answer's header";
        registry.register_with_unit("needle_http_request_duration", help, Unit::Seconds, metrics.durations.clone());
        registry.register("needle_http_tails", "Tails being followed", metrics.tails.clone());
        registry.register("needle_http_panics", "Requests that failed by a fault of the server", metrics.panics.clone());
        metrics
    }

    pub(crate) fn answered(&self, route: &str, method: &Method, status: StatusCode, elapsed: Duration) {
        let labels = RequestLabels { route: route.to_owned(), method: method_label(method), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&RouteLabels { route: route.to_owned() }).observe(elapsed.as_secs_f64());
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a tail for as long as what it returns is kept.
    pub(crate) fn tail_begins(&self) -> Following {
        self.tails.inc();
        Following(self.tails.clone())
    }
}

/// A tail being followed.
#[derive(Debug)]
pub(crate) struct Following(Gauge);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A client may send any word as a method; only those in use become a label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_counted_while_it_lasts() {
        let metrics = WebMetrics::default();
        let following = metrics.tail_begins();
        assert_eq!(metrics.tails.get(), 1);
        drop(following);
        assert_eq!(metrics.tails.get(), 0);
    }

    #[test]
    fn an_invented_method_makes_no_series_of_its_own() {
        assert_eq!(method_label(&Method::from_bytes(b"BREW").unwrap()), "other");
    }
}
