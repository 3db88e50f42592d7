//! Every limit of the server, with the relations between them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What every listener takes from its clients. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerLimits {
    /// Connections open at one time on one listener. A further one takes the place of the one that has been silent longest; while
    /// all are at work it waits.
    pub(crate) connections_max: usize,
    /// Of them, those from one address (of IPv6, from one network of 64 bits). A further one takes the place of the address's own
    /// that has been silent longest; while all are at work it is closed.
    pub(crate) connections_per_peer_max: usize,
    /// A TLS handshake, and after it the head of the first request, has to arrive within this time.
    pub(crate) header_timeout_ms: u64,
    /// A request body has to bring 16 KiB within this time, or end.
    pub(crate) body_timeout_ms: u64,
    /// A connection without a request is closed after this time.
    pub(crate) idle_timeout_ms: u64,
    /// A connection whose client takes nothing of an answer for this time is closed.
    pub(crate) stall_timeout_ms: u64,
    /// At shutdown, requests under way get this long to finish.
    pub(crate) drain_timeout_ms: u64,
}

/// Bytes of one request's head: a question of 32 KiB stands in its first line, where a byte may take three.
pub(super) const HEAD_BYTES_MAX: usize = 160 << 10;
/// Of them, bytes of header lines.
pub(super) const HEADER_BYTES_MAX: usize = 32 << 10;
/// Header lines of one request.
pub(super) const HEADERS_MAX: usize = 100;
/// Bytes that a body has to bring within the body timeout.
pub(super) const BODY_PROGRESS_BYTES: usize = 16 << 10;
/// Bytes of a refused body that are read all the same: twice what a request may have by default.
pub(super) const UNREAD_BYTES_MAX: usize = 128 << 20;
/// Calls open at one time on one HTTP/2 connection.
pub(super) const STREAMS_MAX: u32 = 256;
/// Bytes of one HTTP/2 stream under way before it is read; the default of 64 KiB makes large batches crawl.
pub(super) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Of all streams of a connection.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Streams that the client opened and gave up before they were looked at; more end the connection.
pub(super) const PENDING_RESETS_MAX: usize = 20;
/// Streams that were ended because of an error of the client's; more end the connection.
pub(super) const ERROR_RESETS_MAX: usize = 128;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);
/// HTTP/2 frames that bring nothing (resets, pings, settings, empty data and the like): so many at once,
pub(super) const IDLE_FRAMES_BURST: u32 = 1_000;
/// and so many a second in the long run.
pub(super) const IDLE_FRAMES_PER_SECOND: u32 = 100;

const _: () = assert!(HEADER_BYTES_MAX < HEAD_BYTES_MAX && HEAD_BYTES_MAX < u32::MAX as usize);

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            connections_max: 4_096,
            connections_per_peer_max: 1_024,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 120_000,
            stall_timeout_ms: 60_000,
            drain_timeout_ms: 10_000,
        }
    }
}

impl ServerLimits {
    /// Says in one sentence what is wrong with these limits, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let above_zero = [
            ("connections_max", self.connections_max as u64),
            ("connections_per_peer_max", self.connections_per_peer_max as u64),
            ("header_timeout_ms", self.header_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("stall_timeout_ms", self.stall_timeout_ms),
        ];
        match above_zero.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("{name} is 0: nobody could be served; give it a value above zero")),
            None => Ok(()),
        }
    }

    pub(super) fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub(super) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(super) fn stall_timeout(&self) -> Duration {
        Duration::from_millis(self.stall_timeout_ms)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_a_zero_is_named() {
        assert_eq!(ServerLimits::default().check(), Ok(()));
        let zero = ServerLimits { idle_timeout_ms: 0, ..ServerLimits::default() };
        assert!(zero.check().is_err_and(|problem| problem.starts_with("idle_timeout_ms is 0")));
    }
}
