//! Browsers that were let in: a random cookie on their side, everything else on this one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::tokens::random_text;

/// A session that nobody used for this long ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// And any after this time.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The one unused for longest makes place for a further one.
const SESSIONS_MAX: usize = 1_000;

/// All sessions. None survives the process: a browser asks for the token again.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// By the hash of the cookie, so that a look into this memory is no way in.
    open: Mutex<HashMap<blake3::Hash, Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    /// The id of the token that it was opened with; it lives no longer than that.
    token: String,
    begun: Instant,
    used: Instant,
}

impl Sessions {
    /// Opens a session for a token; the value of its cookie.
    pub(super) fn open(&self, token: &str, now: Instant) -> Result<String, String> {
        let cookie = random_text()?;
        let mut open = self.open.lock();
        open.retain(|_, session| session.is_alive(now));
        if open.len() >= SESSIONS_MAX
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            open.remove(&oldest);
        }
        open.insert(blake3::hash(cookie.as_bytes()), Session { token: token.to_owned(), begun: now, used: now });
        Ok(cookie)
    }

    /// The token of a session that goes on.
    pub(super) fn token_of(&self, cookie: &str, now: Instant) -> Option<String> {
        let mut open = self.open.lock();
        let key = blake3::hash(cookie.as_bytes());
        let session = open.get_mut(&key)?;
        if !session.is_alive(now) {
            open.remove(&key);
            return None;
        }
        session.used = now;
        Some(session.token.clone())
    }

    /// Ends a session.
    pub(super) fn close(&self, cookie: &str) {
        self.open.lock().remove(&blake3::hash(cookie.as_bytes()));
    }
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < IDLE_TIMEOUT && now.saturating_duration_since(self.begun) < LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_session_ends_by_itself_when_it_is_not_used_and_at_the_latest_after_its_lifetime() {
        let (sessions, begin) = (Sessions::default(), Instant::now());
        let (used, unused) = (sessions.open("one", begin).unwrap(), sessions.open("two", begin).unwrap());
        assert_ne!(used, unused);
        for round in 1..=14 {
            assert_eq!(sessions.token_of(&used, begin + 50 * round * MINUTE).as_deref(), Some("one"));
        }
        let late = begin + 12 * 60 * MINUTE;
        assert_eq!((sessions.token_of(&unused, late), sessions.token_of(&used, late)), (None, None), "12 hours are over");
        assert_eq!(sessions.open.lock().len(), 0);
    }

    #[test]
    fn a_session_that_was_closed_is_no_more_and_there_are_never_too_many() {
        let (sessions, begin) = (Sessions::default(), Instant::now());
        let first = sessions.open("one", begin).unwrap();
        sessions.close(&first);
        assert_eq!(sessions.token_of(&first, begin), None);
        let first = sessions.open("first", begin).unwrap();
        for more in 1..=SESSIONS_MAX as u64 {
            sessions.open("more", begin + Duration::from_millis(more)).unwrap();
        }
        assert_eq!((sessions.token_of(&first, begin), sessions.open.lock().len()), (None, SESSIONS_MAX));
        assert_eq!(sessions.token_of("made up", begin), None);
    }
}
