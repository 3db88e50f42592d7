//! Exactly once: a request that comes again within the window is acknowledged and not stored. One whose
//! first copy is still on its way waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::accept::Incoming;
use crate::catalog::SeenRequest;
use crate::model::{Signal, UnixNanos};
use crate::wal::{Digest, Sequence};

/// The digest of a request: of its tenant, signal and idempotency key or decoded body. None for a request
/// whose records may well come twice: some without a time of their own, and no key.
pub(crate) fn digest(incoming: &Incoming) -> Option<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(incoming.request.tenant.as_str().as_bytes());
    part(match incoming.decoded.signal {
        Signal::Logs => b"logs",
        Signal::Spans => b"spans",
    });
    match &incoming.idempotency_key {
        Some(key) => {
            part(b"key");
            part(key.as_bytes());
        }
        None if incoming.decoded.own_times => {
            part(&[incoming.request.format as u8]);
            part(incoming.request.service.as_deref().unwrap_or_default().as_bytes());
            part(&incoming.request.body);
            // Last, and only where there is one: digests without are those that earlier versions wrote.
            incoming.request.timezone.iter().for_each(|zone| part(zone.as_bytes()));
        }
        None => return None,
    }
    Some(hasher.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes"))
}

/// Requests seen lately.
#[derive(Debug, Default)]
pub(crate) struct Window {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Digest, Entry>,
    /// Stored requests in order of arrival with the frames they came in, for forgetting.
    order: VecDeque<(UnixNanos, Sequence, Digest)>,
}

#[derive(Debug)]
enum Entry {
    /// On its way; the channel closes when it is decided.
    InFlight(watch::Receiver<()>),
    /// Stored.
    Stored { frame: Sequence },
}

/// What the window says of a request.
pub(crate) enum Seen {
    /// It is new; whoever holds the claim decides it.
    New(Claim),
    /// Stored before.
    Before,
    /// An equal one is on its way: wait until the channel closes and ask again.
    InFlight(watch::Receiver<()>),
}

/// The right to store a request. Dropped undecided, the request may come again.
#[derive(Debug)]
pub(crate) struct Claim {
    window: Arc<Window>,
    digest: Digest,
    _in_flight: watch::Sender<()>,
}

impl Window {
    /// Asks about a request.
    pub(crate) fn claim(self: &Arc<Window>, digest: Digest) -> Seen {
        let mut inner = self.inner.lock();
        match inner.entries.get(&digest) {
            Some(Entry::Stored { .. }) => Seen::Before,
            Some(Entry::InFlight(decided)) => Seen::InFlight(decided.clone()),
            None => {
                let (sender, receiver) = watch::channel(());
                inner.entries.insert(digest, Entry::InFlight(receiver));
                Seen::New(Claim { window: self.clone(), digest, _in_flight: sender })
            }
        }
    }

    /// Remembers a request that is stored in that frame, or in one before that is no longer known.
    pub(crate) fn remember(&self, request: SeenRequest, frame: Sequence) {
        let mut inner = self.inner.lock();
        inner.entries.insert(request.digest, Entry::Stored { frame });
        inner.order.push_back((request.arrival, frame, request.digest));
    }

    /// Forgets requests that arrived before `since`, but for those that the log, which begins with the frame `oldest`,
    /// still holds.
    pub(crate) fn forget(&self, since: UnixNanos, oldest: Sequence) {
        let mut inner = self.inner.lock();
        while let Some((arrival, frame, digest)) = inner.order.front().copied() {
            if arrival >= since || frame >= oldest {
                break;
            }
            inner.order.pop_front();
            // One that the catalog and the log remember stands here twice.
            if matches!(inner.entries.get(&digest), Some(Entry::Stored { frame: of, .. }) if *of <= frame) {
                inner.entries.remove(&digest);
            }
        }
    }
}

impl Claim {
    /// The request is stored.
    pub(crate) fn stored(self, arrival: UnixNanos, records: u32, frame: Sequence) -> SeenRequest {
        let request = SeenRequest { digest: self.digest, arrival, records };
        self.window.remember(request, frame);
        request
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.window.inner.lock();
        if matches!(inner.entries.get(&self.digest), Some(Entry::InFlight(_))) {
            inner.entries.remove(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_request_is_seen_until_it_is_forgotten() {
        let window = Arc::new(Window::default());
        let Seen::New(claim) = window.claim([1; 16]) else { panic!("not new") };
        let Seen::InFlight(decided) = window.claim([1; 16]) else { panic!("not in flight") };
        assert!(decided.has_changed().is_ok());
        claim.stored(UnixNanos(10), 3, Sequence(5));
        assert!(decided.has_changed().is_err(), "the channel closes");
        assert!(matches!(window.claim([1; 16]), Seen::Before));
        window.forget(UnixNanos(11), Sequence(5));
        assert!(matches!(window.claim([1; 16]), Seen::Before), "the log still holds it");
        window.forget(UnixNanos(11), Sequence(6));
        assert!(matches!(window.claim([1; 16]), Seen::New(_)));
    }

    #[test]
    fn what_the_catalog_and_the_log_remember_is_forgotten_with_the_later_of_them() {
        let window = Arc::new(Window::default());
        let request = SeenRequest { digest: [1; 16], arrival: UnixNanos(10), records: 3 };
        window.remember(request, Sequence(0));
        window.remember(request, Sequence(7));
        window.forget(UnixNanos(11), Sequence(7));
        assert!(matches!(window.claim([1; 16]), Seen::Before));
        window.forget(UnixNanos(11), Sequence(8));
        assert!(matches!(window.claim([1; 16]), Seen::New(_)));
    }

    #[test]
    fn a_request_that_failed_may_come_again() {
        let window = Arc::new(Window::default());
        drop(window.claim([1; 16]));
        assert!(matches!(window.claim([1; 16]), Seen::New(_)));
    }
}
