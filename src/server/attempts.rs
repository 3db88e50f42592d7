//! Tokens that were refused, counted by the address they came from.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::slots::Peer;

/// An address may fail so many times at once,
const BURST: f64 = 20.0;
/// and once more after each time of this length.
const PAUSE: Duration = Duration::from_secs(3);
/// Addresses that are remembered. Beyond them those that failed least are forgotten.
const PEERS_MAX: usize = 10_000;
/// Tokens that were shown rightly from an address, and are looked at whatever else comes from there.
const PROVEN_MAX: usize = 10_000;

/// Who failed how often.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    failures: HashMap<Peer, Failures>,
    proven: HashSet<(Peer, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    left: f64,
    since: Instant,
}

impl Failures {
    fn left(&self, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.since).as_secs_f64() / PAUSE.as_secs_f64()).min(BURST)
    }
}

impl Attempts {
    /// Whether a token from this address is looked at at all. One that proved good before always is: a neighbour behind the same
    /// address, or an exporter on the same machine, that shows a wrong one does not lock it out.
    pub(super) fn may_try(&self, peer: Peer, token_id: Option<&str>, now: Instant) -> bool {
        let table = self.table.lock();
        let has_left = table.failures.get(&peer).is_none_or(|failures| failures.left(now) >= 1.0);
        has_left || token_id.is_some_and(|id| table.proven.contains(&(peer, id.to_owned())))
    }

    /// A token from this address was refused.
    pub(super) fn failed(&self, peer: Peer, now: Instant) {
        let mut table = self.table.lock();
        if table.failures.len() >= PEERS_MAX && !table.failures.contains_key(&peer) {
            table.failures.retain(|_, failures| failures.left(now) < BURST);
            let least = table.failures.iter().max_by(|(_, a), (_, b)| a.left(now).total_cmp(&b.left(now))).map(|(peer, _)| *peer);
            if let Some(least) = least.filter(|_| table.failures.len() >= PEERS_MAX) {
                table.failures.remove(&least);
            }
        }
        let failures = table.failures.entry(peer).or_insert(Failures { left: BURST, since: now });
        *failures = Failures { left: (failures.left(now) - 1.0).max(0.0), since: now };
    }

    /// A token from this address was good.
    pub(super) fn succeeded(&self, peer: Peer, token_id: &str) {
        let mut table = self.table.lock();
        if table.failures.is_empty() {
            return;
        }
        if table.proven.len() >= PROVEN_MAX {
            table.proven.clear();
        }
        table.proven.insert((peer, token_id.to_owned()));
    }

    /// Seconds until the address may try again.
    pub(super) fn retry_after_seconds() -> u64 {
        PAUSE.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u16) -> Peer {
        let [high, low] = last.to_be_bytes();
        Peer::of(std::net::IpAddr::from([10, 0, high, low]))
    }

    #[test]
    fn an_address_that_fails_is_bounded_and_hurts_no_other() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        attempts.failed(peer(2), now);
        attempts.succeeded(peer(1), "goodgood");
        for _ in 0..BURST as u32 {
            assert!(attempts.may_try(peer(1), None, now));
            attempts.failed(peer(1), now);
        }
        assert!(!attempts.may_try(peer(1), None, now) && !attempts.may_try(peer(1), Some("otherone"), now));
        assert!(attempts.may_try(peer(1), Some("goodgood"), now), "it proved good before");
        assert!(attempts.may_try(peer(2), None, now), "another address");
        let later = now + PAUSE;
        assert!(attempts.may_try(peer(1), None, later));
        attempts.failed(peer(1), later);
        assert!(!attempts.may_try(peer(1), None, later));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..BURST as u32 {
            attempts.failed(peer(0), now);
        }
        for last in 1..u16::try_from(PEERS_MAX + 500).unwrap() {
            attempts.failed(peer(last), now);
        }
        assert_eq!(attempts.table.lock().failures.len(), PEERS_MAX);
        assert!(!attempts.may_try(peer(0), None, now), "who failed most is not forgotten");
    }
}
