//! How long records are kept.

use serde::{Deserialize, Serialize};

use crate::model::{Signal, UnixNanos};

/// How long records are kept, by signal and by service. The age of a record counts from its own time, of a
/// span from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Log records, in milliseconds; without it they never expire.
    pub logs_ms: Option<u64>,
    /// Spans, in milliseconds; without it they never expire.
    pub spans_ms: Option<u64>,
    /// Services that are kept longer or shorter than others.
    pub services: Vec<ServiceRetention>,
}

/// How long the records of one service are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceRetention {
    /// Its name, exactly.
    pub service: String,
    /// Its log records, in milliseconds; without it as those of others.
    pub logs_ms: Option<u64>,
    /// Its spans, in milliseconds; without it as those of others.
    pub spans_ms: Option<u64>,
}

impl Retention {
    /// A service's records that are kept although others expire.
    pub const FOREVER_MS: u64 = u64::MAX;

    /// How long records of a signal and service are kept, in milliseconds; `None` means for ever.
    pub fn kept_ms(&self, signal: Signal, service: &str) -> Option<u64> {
        let own = self.services.iter().find(|own| own.service == service).and_then(|own| own.of(signal));
        own.or(self.of(signal)).filter(|kept| *kept != Retention::FOREVER_MS)
    }

    /// When a record is past its retention.
    pub(crate) fn end(&self, signal: Signal, service: &str, time: UnixNanos) -> UnixNanos {
        self.kept_ms(signal, service).map_or(UnixNanos::MAX, |kept| later(time, kept))
    }

    /// When the last records of a signal with this time are past their retention, whatever their service.
    pub(crate) fn end_of_all(&self, signal: Signal, time: UnixNanos) -> UnixNanos {
        let longest = self.all(signal).map(|kept| kept.unwrap_or(Retention::FOREVER_MS)).max();
        longest.filter(|kept| *kept != Retention::FOREVER_MS).map_or(UnixNanos::MAX, |kept| later(time, kept))
    }

    /// When the first records of a signal with this time are past their retention, whatever their service.
    pub(crate) fn end_of_any(&self, signal: Signal, time: UnixNanos) -> UnixNanos {
        let shortest = self.all(signal).flatten().min().filter(|kept| *kept != Retention::FOREVER_MS);
        shortest.map_or(UnixNanos::MAX, |kept| later(time, kept))
    }

    /// Whether some records go earlier by it than by another.
    pub(crate) fn is_shorter_than(&self, other: &Retention) -> bool {
        let services = self.services.iter().chain(&other.services).map(|own| own.service.as_str());
        // No service is named so: it stands for those that have none of their own.
        services.chain([""]).any(|service| {
            let kept = |retention: &Retention, signal| retention.kept_ms(signal, service).unwrap_or(Retention::FOREVER_MS);
            Signal::ALL.into_iter().any(|signal| kept(self, signal) < kept(other, signal))
        })
    }

    /// What is wrong with it, in words.
    pub fn check(&self) -> Result<(), String> {
        let zero = |kept: Option<u64>| kept == Some(0);
        if zero(self.logs_ms) || zero(self.spans_ms) {
            return Err("retention is 0: every record would be refused; leave it out to keep everything".to_owned());
        }
        for (at, own) in self.services.iter().enumerate() {
            let name = &own.service;
            if name.is_empty() {
                return Err("retention of a service has no name: say which with `service = \"...\"`".to_owned());
            }
            if zero(own.logs_ms) || zero(own.spans_ms) {
                return Err(format!(
                    "retention of service {name} is 0: every record would be refused; leave it out to keep them as others"
                ));
            }
            if self.services[..at].iter().any(|other| other.service == *name) {
                return Err(format!("retention of service {name} is given twice: leave one of them"));
            }
        }
        Ok(())
    }

    fn of(&self, signal: Signal) -> Option<u64> {
        match signal {
            Signal::Logs => self.logs_ms,
            Signal::Spans => self.spans_ms,
        }
    }

    /// Of services that have one of their own, and of the others.
    fn all(&self, signal: Signal) -> impl Iterator<Item = Option<u64>> {
        self.services.iter().filter_map(move |own| own.of(signal)).map(Some).chain([self.of(signal)])
    }
}

impl ServiceRetention {
    fn of(&self, signal: Signal) -> Option<u64> {
        match signal {
            Signal::Logs => self.logs_ms,
            Signal::Spans => self.spans_ms,
        }
    }
}

fn later(time: UnixNanos, ms: u64) -> UnixNanos {
    UnixNanos(time.0.saturating_add(ms.saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention() -> Retention {
        let audit = ServiceRetention { service: "audit".to_owned(), logs_ms: Some(100), spans_ms: None };
        let chatty = ServiceRetention { service: "chatty".to_owned(), logs_ms: Some(1), spans_ms: Some(Retention::FOREVER_MS) };
        Retention { logs_ms: Some(10), spans_ms: Some(5), services: vec![audit, chatty] }
    }

    #[test]
    fn a_service_has_its_own_and_else_that_of_its_signal() {
        let kept = |signal, service| retention().kept_ms(signal, service);
        assert_eq!([kept(Signal::Logs, "web"), kept(Signal::Logs, "audit"), kept(Signal::Logs, "chatty")], [Some(10), Some(100), Some(1)]);
        assert_eq!([kept(Signal::Spans, "web"), kept(Signal::Spans, "audit"), kept(Signal::Spans, "chatty")], [Some(5), Some(5), None]);
        assert_eq!(Retention::default().kept_ms(Signal::Logs, "web"), None);
    }

    #[test]
    fn the_first_and_the_last_of_a_time_to_go_are_known() {
        let at = |ms: u64| UnixNanos(7 + ms * 1_000_000);
        let (start, retention) = (UnixNanos(7), retention());
        assert_eq!((retention.end_of_any(Signal::Logs, start), retention.end_of_all(Signal::Logs, start)), (at(1), at(100)));
        assert_eq!((retention.end_of_any(Signal::Spans, start), retention.end_of_all(Signal::Spans, start)), (at(5), UnixNanos::MAX));
        let only_audit = Retention { logs_ms: None, ..retention };
        assert_eq!((only_audit.end_of_any(Signal::Logs, start), only_audit.end_of_all(Signal::Logs, start)), (at(1), UnixNanos::MAX));
        assert_eq!(Retention::default().end_of_any(Signal::Logs, start), UnixNanos::MAX);
    }

    #[test]
    fn what_is_shorter_for_anybody_is_shorter() {
        let same = retention();
        assert!(
            !same.is_shorter_than(&same) && same.is_shorter_than(&Retention::default()) && !Retention::default().is_shorter_than(&same)
        );
        let mut longer = retention();
        longer.services[0].logs_ms = Some(Retention::FOREVER_MS);
        assert!(!longer.is_shorter_than(&same) && same.is_shorter_than(&longer));
        let without_its_own = Retention { services: Vec::new(), ..retention() };
        assert!(without_its_own.is_shorter_than(&same), "audit had more");
        assert!(same.is_shorter_than(&without_its_own), "chatty had more");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(retention().check(), Ok(()));
        let service = |name: &str, logs_ms| ServiceRetention { service: name.to_owned(), logs_ms, spans_ms: None };
        for (services, says) in [
            (vec![service("", Some(1))], "no name"),
            (vec![service("a", Some(0))], "service a is 0"),
            (vec![service("a", Some(1)), service("a", Some(2))], "service a is given twice"),
        ] {
            let refused = Retention { services, ..Retention::default() }.check().unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
        assert!(Retention { spans_ms: Some(0), ..Retention::default() }.check().is_err());
    }
}
