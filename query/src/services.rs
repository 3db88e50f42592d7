//! Services: how much, how often wrong, how slow. Exact: every duration is counted.

use std::collections::HashMap;

use needle_storage::model::{RecordsView, Signal, SpanKind, StatusCode, UnixNanos};

use crate::answer::{Completeness, ServiceSummary, ServicesAnswer};

/// Counts while records go by.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    services: HashMap<String, Service>,
    first: Option<UnixNanos>,
    last: Option<UnixNanos>,
}

#[derive(Debug, Default)]
struct Service {
    spans: u64,
    logs: u64,
    errors: u64,
    last_seen: UnixNanos,
    durations_ns: Vec<i64>,
    /// Whether `durations_ns` holds only those of handled requests; before the first one it holds all.
    handles_requests: bool,
}

impl Tally {
    /// Counts a row.
    pub(crate) fn add(&mut self, view: &RecordsView<'_>, row: usize) {
        let (name, time) = (view.service(row), view.time(row));
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
        if !self.services.contains_key(name) {
            self.services.insert(name.to_owned(), Service::default());
        }
        let service = self.services.get_mut(name).expect("it was just inserted");
        service.last_seen = service.last_seen.max(time);
        match view.signal {
            Signal::Logs => {
                service.logs += 1;
                service.errors += u64::from(view.severity(row).is_error());
            }
            Signal::Spans => {
                service.spans += 1;
                service.errors += u64::from(view.status(row) == Some(StatusCode::ERROR));
                service.add_duration(view.kind(row).unwrap_or_default(), view.duration_ns(row).unwrap_or(0));
            }
        }
    }

    /// The services by name, over the time asked for; where it is open, over the time they were seen.
    pub(crate) fn answer(self, start: Option<UnixNanos>, end: Option<UnixNanos>, completeness: Completeness) -> ServicesAnswer {
        let from = start.or(self.first).unwrap_or_default();
        let to = end.or(self.last).unwrap_or(from);
        let seconds = to.since(from).max(0) as f64 / 1e9;
        let mut services: Vec<ServiceSummary> = self.services.into_iter().map(|(name, service)| service.summary(name, seconds)).collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        ServicesAnswer { services, seconds, completeness }
    }
}

impl Service {
    fn add_duration(&mut self, kind: SpanKind, duration_ns: i64) {
        let handles = matches!(kind, SpanKind::SERVER | SpanKind::CONSUMER);
        if handles && !self.handles_requests {
            self.handles_requests = true;
            self.durations_ns.clear();
        }
        if handles || !self.handles_requests {
            self.durations_ns.push(duration_ns);
        }
    }

    fn summary(mut self, name: String, seconds: f64) -> ServiceSummary {
        // A rate over less than a second would be a guess.
        const SECONDS_MIN: f64 = 1.0;
        let records = (self.spans + self.logs) as f64;
        self.durations_ns.sort_unstable();
        ServiceSummary {
            name,
            spans: self.spans,
            logs: self.logs,
            errors: self.errors,
            rate: records / seconds.max(SECONDS_MIN),
            error_ratio: self.errors as f64 / records,
            p50_ns: percentile(&self.durations_ns, 50),
            p95_ns: percentile(&self.durations_ns, 95),
            p99_ns: percentile(&self.durations_ns, 99),
            last_seen: self.last_seen,
        }
    }
}

/// The smallest value that so many percent do not exceed (nearest rank).
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use needle_storage::model::{LogRow, LogsBuilder, RowIds, Severity, SpanId, SpanRow, SpansBuilder, TraceId};

    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!([50, 95, 99].map(|percent| percentile(&hundred, percent)), [Some(50), Some(95), Some(99)]);
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_service_is_measured_by_the_requests_it_handles() {
        let mut spans = SpansBuilder::with_capacity(4);
        spans.set_service(Some("cart"));
        let ids = RowIds { trace_id: Some(TraceId([1; 16])), span_id: Some(SpanId([1; 8])), ..RowIds::default() };
        for (kind, duration_ns, status_code) in [(3, 9_000_000_000, 0), (2, 10, 0), (2, 30, 2), (1, 5, 0)] {
            let start = UnixNanos(1_000_000_000);
            let end = start.saturating_add_signed(duration_ns);
            spans.append(&SpanRow { start, end, ids, kind, status_code, name: "x", ..SpanRow::default() });
        }
        let mut logs = LogsBuilder::with_capacity(1);
        logs.set_service(Some("cart"));
        logs.append(&LogRow { timestamp: UnixNanos(3_000_000_000), severity: Severity::ERROR, ..LogRow::default() });
        let mut tally = Tally::default();
        let (spans, logs) = (spans.finish(), logs.finish());
        (0..4).for_each(|row| tally.add(&RecordsView::new(Signal::Spans, &spans), row));
        tally.add(&RecordsView::new(Signal::Logs, &logs), 0);

        let answer = tally.answer(None, None, Completeness::default());
        assert_eq!(answer.seconds, 2.0);
        let [cart] = answer.services.as_slice() else { panic!("one service") };
        assert_eq!((cart.name.as_str(), cart.spans, cart.logs, cart.errors), ("cart", 4, 1, 2));
        assert_eq!((cart.p50_ns, cart.p99_ns), (Some(10), Some(30)));
        assert_eq!((cart.rate, cart.error_ratio), (2.5, 0.4));
    }
}
