//! HTTP/2 frames that bring nothing, counted on their way in.
//!
//! Resets, pings, settings, priorities, continuations and empty data cost a client next to nothing and the server an answer or a
//! piece of bookkeeping each. h2 bounds what they take of memory and ends connections that reset what it has not looked at yet;
//! how many there are a second it does not bound.

use std::time::Instant;

use super::limits::{IDLE_FRAMES_BURST, IDLE_FRAMES_PER_SECOND};

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length (3 bytes), type, flags, stream (4).
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
/// Of data: the last frame of its stream. Of settings and pings: an answer to ours.
const END_STREAM_OR_ACK: u8 = 1;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    preface_left: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    /// Idle frames that may still come at once.
    allowance: u32,
    since: Instant,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Frames {
        Frames {
            preface_left: PREFACE.len(),
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            payload_left: 0,
            allowance: IDLE_FRAMES_BURST,
            since: now,
        }
    }

    /// Looks at what comes next; false when there were too many frames that bring nothing.
    pub(super) fn look(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> bool {
        let skipped = self.preface_left.min(bytes.len());
        self.preface_left -= skipped;
        bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len());
                self.payload_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + taken].copy_from_slice(&bytes[..taken]);
            self.header_bytes += taken;
            bytes = &bytes[taken..];
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if is_idle(kind, flags, self.payload_left) && !self.spend(&now) {
                    return false;
                }
            }
        }
        true
    }

    fn spend(&mut self, now: impl Fn() -> Instant) -> bool {
        if self.allowance == 0 {
            let now = now();
            let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
            self.allowance = (elapsed * f64::from(IDLE_FRAMES_PER_SECOND)).min(f64::from(IDLE_FRAMES_BURST)) as u32;
            if self.allowance == 0 {
                return false;
            }
            self.since = now;
        }
        self.allowance -= 1;
        true
    }
}

/// Whether a frame brings nothing. A client that reads a long answer sends many window updates, and they cost little.
fn is_idle(kind: u8, flags: u8, length: usize) -> bool {
    let is_last_or_ack = flags & END_STREAM_OR_ACK != 0;
    match kind {
        DATA => length == 0 && !is_last_or_ack,
        SETTINGS | PING => !is_last_or_ack,
        HEADERS | WINDOW_UPDATE => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn passes(frame: &[u8], times: u32) -> bool {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.look(PREFACE, || now));
        // Cut at odd places, as packets are.
        (0..times).all(|_| frame.chunks(5).all(|part| frames.look(part, || now)))
    }

    #[test]
    fn frames_that_bring_nothing_are_bounded() {
        for (name, kind, flags, payload) in [
            ("reset", 3, 0, &[0; 4][..]),
            ("ping", PING, 0, &[0; 8]),
            ("settings", SETTINGS, 0, &[]),
            ("priority", 2, 0, &[0; 5]),
            ("empty data", DATA, 0, &[]),
            ("continuation", 9, 0, &[0; 3]),
            ("unknown", 77, 0, &[0; 50]),
        ] {
            let frame = frame(kind, flags, payload);
            assert!(passes(&frame, IDLE_FRAMES_BURST), "{name}");
            assert!(!passes(&frame, IDLE_FRAMES_BURST + 1), "{name}");
        }
    }

    #[test]
    fn work_is_not() {
        for (name, kind, flags, payload) in [
            ("data", DATA, 0, &[7; 100][..]),
            ("the end of a body", DATA, 1, &[]),
            ("headers", HEADERS, 5, &[0; 20]),
            ("acknowledged settings", SETTINGS, 1, &[]),
            ("an answer to a ping of ours", PING, 1, &[0; 8]),
            ("room for more of an answer", WINDOW_UPDATE, 0, &[0; 4]),
        ] {
            assert!(passes(&frame(kind, flags, payload), 10 * IDLE_FRAMES_BURST), "{name}");
        }
    }

    #[test]
    fn a_few_a_second_may_come_for_ever() {
        let begin = Instant::now();
        let (mut frames, ping) = (Frames::new(begin), frame(PING, 0, &[0; 8]));
        frames.look(PREFACE, || begin);
        for second in 1..1_000 {
            let now = || begin + Duration::from_secs(second);
            assert!((0..IDLE_FRAMES_PER_SECOND / 2).all(|_| frames.look(&ping, now)));
        }
    }
}
