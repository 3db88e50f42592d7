//! Which records are let in, and the account of those that are not.

use needle_storage::model::{Signal, UnixNanos};

use crate::settings::IngestSettings;

/// How many rejections are kept with their reason; the rest are counted.
const REASONS_MAX: usize = 1000;

/// A record that was refused while others of its request were stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The record's place in the request: counted from 0 for OTLP, the line (or element) counted from 1 for JSON and text logs.
    pub(crate) place: usize,
    /// Why, and how to mend it.
    pub(crate) reason: String,
}

/// The records of a request that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejections {
    /// How many.
    pub(crate) count: usize,
    /// The first of them.
    pub(crate) first: Vec<Rejection>,
}

impl Rejections {
    pub(crate) fn add(&mut self, place: usize, reason: impl Into<String>) {
        self.count += 1;
        if self.first.len() < REASONS_MAX {
            self.first.push(Rejection { place, reason: reason.into() });
        }
    }
}

/// What decides whether a record is let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) signal: Signal,
    pub(crate) service: &'a str,
    /// What it took in the request.
    pub(crate) bytes: usize,
    pub(crate) time: UnixNanos,
    pub(crate) arrival: UnixNanos,
}

/// Lets a record in by its size and its age.
pub(crate) fn admit(settings: &IngestSettings, candidate: &Candidate<'_>) -> Result<(), String> {
    let Candidate { signal, service, bytes, time, arrival } = *candidate;
    if bytes > settings.record_bytes_max {
        let limit = settings.record_bytes_max;
        return Err(format!("it is {bytes} bytes, more than the limit of {limit}: send less, or raise record_bytes_max"));
    }
    if let Some(retention_ms) = settings.retention.kept_ms(signal, service) {
        let age_ms = arrival.0.saturating_sub(time.0) / 1_000_000;
        if age_ms > retention_ms {
            let (age, retention) = (words(age_ms), words(retention_ms));
            return Err(format!("it is {age} old, past the retention of {retention}: correct its time, or raise the retention"));
        }
    }
    Ok(())
}

fn words(ms: u64) -> String {
    match ms / 1000 {
        s if s >= 2 * 86_400 => format!("{} days", s / 86_400),
        s if s >= 2 * 3600 => format!("{} hours", s / 3600),
        s if s >= 120 => format!("{} minutes", s / 60),
        s => format!("{s} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use needle_storage::{Retention, ServiceRetention};

    use super::*;

    const DAY_NS: u64 = 86_400_000_000_000;

    fn candidate(service: &str, time: u64, arrival: u64) -> Candidate<'_> {
        Candidate { signal: Signal::Logs, service, bytes: 10, time: UnixNanos(time), arrival: UnixNanos(arrival) }
    }

    #[test]
    fn without_a_retention_records_of_any_age_come_in() {
        assert_eq!(admit(&IngestSettings::default(), &candidate("web", 1, u64::MAX)), Ok(()));
    }

    #[test]
    fn a_record_past_the_retention_is_told_so() {
        let audit = ServiceRetention { service: "audit".to_owned(), logs_ms: Some(4 * 86_400_000), spans_ms: None };
        let retention = Retention { logs_ms: Some(86_400_000), services: vec![audit], ..Retention::default() };
        let settings = IngestSettings { retention, ..IngestSettings::default() };
        assert_eq!(admit(&settings, &candidate("web", 9 * DAY_NS, 10 * DAY_NS)), Ok(()));
        assert_eq!(admit(&settings, &candidate("audit", 7 * DAY_NS, 10 * DAY_NS)), Ok(()), "it has its own");
        assert_eq!(admit(&settings, &Candidate { signal: Signal::Spans, ..candidate("web", 7 * DAY_NS, 10 * DAY_NS) }), Ok(()));
        let reason = admit(&settings, &candidate("web", 7 * DAY_NS, 10 * DAY_NS)).unwrap_err();
        assert!(reason.starts_with("it is 3 days old, past the retention of 24 hours"), "{reason}");
    }

    #[test]
    fn reasons_are_bounded_and_the_count_is_not() {
        let mut rejections = Rejections::default();
        (0..5000).for_each(|place| rejections.add(place, "no"));
        assert_eq!((rejections.count, rejections.first.len()), (5000, REASONS_MAX));
    }
}
