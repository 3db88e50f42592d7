//! What one connection is doing, for those who decide whether it may stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Shared between a connection, the requests on it, and the table of all connections.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    /// Milliseconds after `begun` at which a request began or ended, or a part of an answer was taken.
    last_ms: AtomicU64,
    /// Requests whose answer has not been sent whole.
    requests: AtomicUsize,
    /// Of them, those with a part of the answer that the client has not taken.
    untaken: AtomicUsize,
    used: AtomicBool,
    /// Cancelled when the place is given to another connection.
    pub(super) evicted: CancellationToken,
}

/// Whether a connection may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask again then.
    Stays(Instant),
    /// No request for too long.
    Idle,
    /// Its client takes nothing of an answer.
    Stalled,
}

impl Activity {
    pub(super) fn begin(now: Instant) -> Arc<Activity> {
        Arc::new(Activity {
            begun: now,
            last_ms: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            untaken: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            evicted: CancellationToken::new(),
        })
    }

    pub(super) fn touch(&self, now: Instant) {
        let elapsed_ms = u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed_ms, Ordering::Relaxed);
    }

    /// When something happened last.
    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    /// Whether a request ever came.
    pub(super) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn is_working(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Whether the connection may stay.
    pub(super) fn verdict(&self, now: Instant, idle_timeout: Duration, stall_timeout: Duration) -> Verdict {
        let (patience, verdict) = if self.untaken.load(Ordering::Relaxed) > 0 {
            (stall_timeout, Verdict::Stalled)
        } else if self.is_working() {
            // The server's own work has deadlines of its own; ask again when the client could be at fault.
            return Verdict::Stays(now + idle_timeout.min(stall_timeout));
        } else {
            (idle_timeout, Verdict::Idle)
        };
        let until = self.last() + patience;
        // A part of an answer may be given to the client right after this, and has to be noticed in time.
        let again = until.min(now + idle_timeout.min(stall_timeout));
        if now >= until { verdict } else { Verdict::Stays(again) }
    }
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    untaken: bool,
}

impl UnderWay {
    pub(super) fn begin(activity: &Arc<Activity>, now: Instant) -> UnderWay {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.used.store(true, Ordering::Relaxed);
        activity.touch(now);
        UnderWay { activity: Arc::clone(activity), untaken: false }
    }

    /// A part of the answer was handed over, to be written to the client.
    pub(super) fn given(&mut self, now: Instant) {
        if !self.untaken {
            self.untaken = true;
            self.activity.untaken.fetch_add(1, Ordering::Relaxed);
        }
        self.activity.touch(now);
    }

    /// There is room for the next part: the client took the last one.
    pub(super) fn taken(&mut self, now: Instant) {
        if self.untaken {
            self.untaken = false;
            self.activity.untaken.fetch_sub(1, Ordering::Relaxed);
            self.activity.touch(now);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = Instant::now();
        self.taken(now);
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
        self.activity.touch(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_connection_without_a_request_is_idle_after_its_time() {
        let now = Instant::now();
        let activity = Activity::begin(now);
        assert!(matches!(activity.verdict(now, SECOND, SECOND), Verdict::Stays(_)));
        assert_eq!(activity.verdict(now + 2 * SECOND, SECOND, SECOND), Verdict::Idle);
        let request = UnderWay::begin(&activity, now + 2 * SECOND);
        assert!(matches!(activity.verdict(now + 100 * SECOND, SECOND, SECOND), Verdict::Stays(_)), "the server is at work");
        drop(request);
        assert!(matches!(activity.verdict(Instant::now(), SECOND, SECOND), Verdict::Stays(_)), "the answer was only just sent");
    }

    #[test]
    fn an_answer_that_is_not_taken_is_a_stall_and_one_that_is_not_ready_is_none() {
        let now = Instant::now();
        let activity = Activity::begin(now);
        let mut request = UnderWay::begin(&activity, now);
        request.given(now);
        assert_eq!(activity.verdict(now + 2 * SECOND, 60 * SECOND, SECOND), Verdict::Stalled);
        request.taken(now + 2 * SECOND);
        assert!(
            matches!(activity.verdict(now + 9 * SECOND, 60 * SECOND, SECOND), Verdict::Stays(_)),
            "it waits for the next part, as a tail does"
        );
    }
}
