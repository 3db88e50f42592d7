//! Services: how much, how often wrong, how slow.

use std::collections::HashMap;

use needle_storage::model::{RecordsView, Signal, SpanKind, StatusCode, UnixNanos, column};
use needle_storage::predicate::Predicate;
use needle_storage::{Coverage, Look};

use crate::answer::{CompletenessState, ServiceSummary, ServicesAnswer};
use crate::durations::{Durations, Percentiles};
use crate::limits::SERVICES_MAX;
use crate::search::completeness;

/// What is read of a record to count it.
const COLUMNS: [&str; 5] = [column::SERVICE_NAME, column::SEVERITY_NUMBER, column::KIND, column::STATUS_CODE, column::DURATION];

/// The records that are counted: all between two times.
pub(crate) fn look(start: Option<UnixNanos>, end: Option<UnixNanos>, predicate: &Predicate) -> Look<'_> {
    Look { predicate, start, end, columns: &COLUMNS, attributes: &[], also: None }
}

/// Counts while records go by.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    numbers: HashMap<String, usize, ahash::RandomState>,
    services: Vec<Service>,
    /// Records of services beyond those that are kept apart.
    beyond: u64,
    first: Option<UnixNanos>,
    last: Option<UnixNanos>,
}

/// What is counted of one service.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) spans: u64,
    pub(crate) logs: u64,
    pub(crate) errors: u64,
    last_seen: UnixNanos,
    durations: Durations,
    /// Whether `durations` holds only those of handled requests; before the first one it holds all.
    handles_requests: bool,
}

impl Tally {
    /// Counts rows.
    pub(crate) fn add(&mut self, view: &RecordsView<'_>, rows: &[u32]) {
        let names = view.services();
        let mut known: Vec<Option<usize>> = vec![None; names.map_or(0, |names| names.texts())];
        let mut unnamed = None;
        for row in rows.iter().map(|row| *row as usize) {
            let time = view.time(row);
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            self.last = Some(self.last.map_or(time, |last| last.max(time)));
            let code = names.and_then(|names| names.code(row));
            let number = code.map_or(&mut unnamed, |code| &mut known[code]);
            let number = match *number {
                Some(number) => Some(number),
                None => {
                    *number = self.number(view.service(row));
                    *number
                }
            };
            match number {
                Some(number) => self.services[number].add(view, row, time),
                None => self.beyond += 1,
            }
        }
    }

    /// The number of a service; none when there are too many to keep apart.
    fn number(&mut self, name: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let number = self.services.len();
        (number < SERVICES_MAX).then(|| {
            self.numbers.insert(name.to_owned(), number);
            self.services.push(Service::default());
            number
        })
    }

    /// Every service that was counted.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.numbers.iter().map(|(name, number)| (name.as_str(), &self.services[*number]))
    }

    /// What was not counted, in words.
    pub(crate) fn beyond(&self) -> Option<String> {
        (self.beyond > 0).then(|| format!("{} records are of services beyond the first {SERVICES_MAX}: ask for less time", self.beyond))
    }

    /// The services by name, over the time asked for; where it is open, over the time they were seen.
    pub(crate) fn answer(mut self, start: Option<UnixNanos>, end: Option<UnixNanos>, coverage: &Coverage) -> ServicesAnswer {
        let from = start.or(self.first).unwrap_or_default();
        let to = end.or(self.last).unwrap_or(from);
        let seconds = to.since(from).max(0) as f64 / 1e9;
        let mut completeness = completeness(coverage);
        if let Some(beyond) = self.beyond() {
            completeness.state = CompletenessState::Partial;
            completeness.reasons.push(beyond);
        }
        let numbers = std::mem::take(&mut self.numbers).into_iter();
        let mut services: Vec<ServiceSummary> =
            numbers.map(|(name, number)| std::mem::take(&mut self.services[number]).summary(name, seconds)).collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        ServicesAnswer { services, seconds, completeness }
    }
}

impl Service {
    fn add(&mut self, view: &RecordsView<'_>, row: usize, time: UnixNanos) {
        self.last_seen = self.last_seen.max(time);
        match view.signal {
            Signal::Logs => {
                self.logs += 1;
                self.errors += u64::from(view.severity(row).is_error());
            }
            Signal::Spans => {
                self.spans += 1;
                self.errors += u64::from(view.status(row) == Some(StatusCode::ERROR));
                self.add_duration(view.kind(row).unwrap_or_default(), view.duration_ns(row).unwrap_or(0));
            }
        }
    }

    fn add_duration(&mut self, kind: SpanKind, duration_ns: i64) {
        let handles = matches!(kind, SpanKind::SERVER | SpanKind::CONSUMER);
        if handles && !self.handles_requests {
            self.handles_requests = true;
            self.durations = Durations::default();
        }
        if handles || !self.handles_requests {
            self.durations.add(duration_ns);
        }
    }

    fn summary(self, name: String, seconds: f64) -> ServiceSummary {
        // A rate over less than a second would be a guess.
        const SECONDS_MIN: f64 = 1.0;
        let records = (self.spans + self.logs) as f64;
        let Percentiles { p50_ns, p95_ns, p99_ns, exact } = self.durations.percentiles();
        ServiceSummary {
            name,
            spans: self.spans,
            logs: self.logs,
            errors: self.errors,
            rate: records / seconds.max(SECONDS_MIN),
            error_ratio: self.errors as f64 / records,
            p50_ns,
            p95_ns,
            p99_ns,
            exact,
            last_seen: self.last_seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use needle_storage::model::{LogRow, LogsBuilder, RowIds, Severity, SpanId, SpanRow, SpansBuilder, TraceId};

    use super::*;

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
        tally.add(&RecordsView::new(Signal::Spans, &spans), &[0, 1, 2, 3]);
        tally.add(&RecordsView::new(Signal::Logs, &logs), &[0]);

        let answer = tally.answer(None, None, &Coverage::default());
        assert_eq!(answer.seconds, 2.0);
        let [cart] = answer.services.as_slice() else { panic!("one service") };
        assert_eq!((cart.name.as_str(), cart.spans, cart.logs, cart.errors), ("cart", 4, 1, 2));
        assert_eq!((cart.p50_ns, cart.p99_ns), (Some(10), Some(30)));
        assert_eq!((cart.rate, cart.error_ratio), (2.5, 0.4));
    }

    #[test]
    fn services_beyond_the_bound_are_said_and_known_ones_go_on() {
        let mut tally = Tally::default();
        for name in (0..=SERVICES_MAX).map(|n| format!("s{n}")).chain(["s0".to_owned()]) {
            let mut logs = LogsBuilder::with_capacity(1);
            logs.set_service(Some(&name));
            logs.append(&LogRow::default());
            tally.add(&RecordsView::new(Signal::Logs, &logs.finish()), &[0]);
        }
        let answer = tally.answer(None, None, &Coverage::default());
        assert_eq!((answer.services.len(), answer.services[0].logs), (SERVICES_MAX, 2));
        assert_eq!(answer.completeness.state, CompletenessState::Partial);
        assert!(answer.completeness.reasons[0].starts_with("1 records are of services"), "{:?}", answer.completeness);
    }
}
