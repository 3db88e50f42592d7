//! Tokens that were refused, counted by the address they came from.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::slots::Peer;

/// An address may fail so many times at once,
const BURST: f64 = 200.0;
/// and once more after each time of this length.
const PAUSE: Duration = Duration::from_secs(3);
/// Addresses that are remembered. Beyond them those that failed least are forgotten.
const PEERS_MAX: usize = 10_000;

/// Who failed how often.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: Mutex<HashMap<Peer, Failures>>,
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
    /// A token from this address was wrong. Whether it may fail like that: else it is told to wait. Right tokens are not held up, or
    /// an exporter with an old one would lock out its neighbours behind the same address.
    pub(super) fn failed(&self, peer: Peer, now: Instant) -> bool {
        let mut failures = self.failures.lock();
        if failures.len() >= PEERS_MAX && !failures.contains_key(&peer) {
            failures.retain(|_, failures| failures.left(now) < BURST);
            let least = failures.iter().max_by(|(_, a), (_, b)| a.left(now).total_cmp(&b.left(now))).map(|(peer, _)| *peer);
            if let Some(least) = least.filter(|_| failures.len() >= PEERS_MAX) {
                failures.remove(&least);
            }
        }
        let of_peer = failures.entry(peer).or_insert(Failures { left: BURST, since: now });
        let left = of_peer.left(now);
        *of_peer = Failures { left: (left - 1.0).max(0.0), since: now };
        left >= 1.0
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
        for _ in 0..BURST as u32 {
            assert!(attempts.failed(peer(1), now));
        }
        assert!(!attempts.failed(peer(1), now));
        assert!(attempts.failed(peer(2), now), "another address");
        let later = now + PAUSE;
        assert!(attempts.failed(peer(1), later));
        assert!(!attempts.failed(peer(1), later));
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
        assert_eq!(attempts.failures.lock().len(), PEERS_MAX);
        assert!(!attempts.failed(peer(0), now), "who failed most is not forgotten");
    }
}
