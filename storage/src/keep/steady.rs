//! The time by which records expire. What has expired cannot be had back, and a clock of the wall may jump:
//! so it is believed only
//!
//! - while it runs in step with the monotonic clock, and has done so for a while (an hour, unless told
//!   otherwise). A jump in either direction begins that while anew; so does a start, and waking from sleep.
//! - as far as the data bear it out: time is never later than the newest record, whose time was told by other
//!   clocks. Only when nothing at all has arrived for a day does the clock stand alone.

use std::time::Duration;

use crate::clock::Clock;
use crate::model::{RecordId, UnixNanos};

/// What two clocks may differ by within an hour while they are in step: a slow correction, about 0.05 % at most,
/// is no jump.
const DRIFT_MAX: Duration = Duration::from_secs(60);
const DRIFT_PER_THOUSAND_MAX: u32 = 1;
const DRIFT_MEASURED_OVER: Duration = Duration::from_secs(3_600);
/// How many times the while that proves the clock has to pass in silence until it needs no records to agree.
const SILENCE_WHILES: u32 = 24;

/// A clock that is believed only after it has proved itself.
#[derive(Debug)]
pub(crate) struct SteadyTime {
    settle: Duration,
    /// Since when both clocks are in step.
    since: Reading,
    /// What the next reading is compared with: about an hour old, so that the drift of months is no jump and many
    /// small jumps are.
    reference: Reading,
    /// The number the next record would get, and since when it would.
    arrivals: (RecordId, Duration),
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: UnixNanos,
    monotonic: Duration,
}

impl Reading {
    fn of(clock: &dyn Clock) -> Reading {
        Reading { wall: clock.now(), monotonic: clock.monotonic() }
    }

    fn in_step_with(self, reference: Reading) -> bool {
        let passed = self.monotonic.saturating_sub(reference.monotonic);
        let passed_by_wall = i128::from(self.wall.0) - i128::from(reference.wall.0);
        let drift = (passed.as_nanos() as i128 - passed_by_wall).unsigned_abs();
        drift <= (DRIFT_MAX + passed * DRIFT_PER_THOUSAND_MAX / 1_000).as_nanos()
    }
}

impl SteadyTime {
    /// Begins to watch the clock. It is believed after `settle`.
    pub(crate) fn new(clock: &dyn Clock, settle: Duration) -> SteadyTime {
        let since = Reading::of(clock);
        SteadyTime { settle, since, reference: since, arrivals: (RecordId(0), since.monotonic) }
    }

    /// The time, if it can be believed. `newest` is asked for the time of the newest record that is not later
    /// than the time it is given; `next_record` is the number that the next record will get.
    pub(crate) fn now(
        &mut self,
        clock: &dyn Clock,
        next_record: RecordId,
        newest: impl FnOnce(UnixNanos) -> Option<UnixNanos>,
    ) -> Option<UnixNanos> {
        let reading = Reading::of(clock);
        if !reading.in_step_with(self.reference) {
            tracing::warn!("the clock was set, or the machine slept: nothing expires until it has run steadily for a while");
            (self.since, self.reference) = (reading, reading);
        }
        if reading.monotonic.saturating_sub(self.reference.monotonic) >= DRIFT_MEASURED_OVER {
            self.reference = reading;
        }
        if self.arrivals.0 != next_record {
            self.arrivals = (next_record, reading.monotonic);
        }
        if reading.monotonic.saturating_sub(self.since.monotonic) < self.settle {
            return None;
        }
        let silent_since = self.arrivals.1.max(self.since.monotonic);
        if reading.monotonic.saturating_sub(silent_since) >= self.settle * SILENCE_WHILES {
            return Some(reading.wall);
        }
        newest(reading.wall)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);

    #[derive(Debug)]
    struct SetClock(Mutex<Reading>);

    impl Clock for SetClock {
        fn now(&self) -> UnixNanos {
            self.0.lock().wall
        }
        fn monotonic(&self) -> Duration {
            self.0.lock().monotonic
        }
    }

    impl SetClock {
        fn new() -> SetClock {
            SetClock(Mutex::new(Reading { wall: nanos(1_000 * DAY), monotonic: Duration::ZERO }))
        }
        fn pass(&self, time: Duration) {
            let mut reading = self.0.lock();
            reading.monotonic += time;
            reading.wall.0 += time.as_nanos() as u64;
        }
        fn jump(&self, by: Duration, forward: bool) {
            let wall = &mut self.0.lock().wall;
            wall.0 = if forward { wall.0 + by.as_nanos() as u64 } else { wall.0 - by.as_nanos() as u64 };
        }
    }

    fn nanos(time: Duration) -> UnixNanos {
        UnixNanos(time.as_nanos() as u64)
    }

    /// As if records of the present arrived all the time.
    fn busy(time: &mut SteadyTime, clock: &SetClock) -> Option<UnixNanos> {
        let arrived = RecordId(clock.monotonic().as_secs());
        time.now(clock, arrived, Some)
    }

    #[test]
    fn a_clock_is_believed_after_it_ran_steadily_for_a_while() {
        let clock = SetClock::new();
        let mut time = SteadyTime::new(&clock, HOUR);
        assert_eq!(busy(&mut time, &clock), None);
        clock.pass(HOUR - Duration::from_secs(1));
        assert_eq!(busy(&mut time, &clock), None);
        clock.pass(Duration::from_secs(1));
        assert_eq!(busy(&mut time, &clock), Some(clock.now()));
        // A year of slow corrections is no jump.
        for _ in 0..365 {
            clock.pass(DAY);
            clock.jump(Duration::from_secs(40), true);
            assert_eq!(busy(&mut time, &clock), Some(clock.now()));
        }
    }

    #[test]
    fn a_jump_begins_the_while_anew() {
        for (by, forward) in [(HOUR, false), (DAY, true), (3_650 * DAY, true), (Duration::from_secs(61), true)] {
            let clock = SetClock::new();
            let mut time = SteadyTime::new(&clock, HOUR);
            clock.pass(400 * DAY);
            assert!(busy(&mut time, &clock).is_some());
            clock.jump(by, forward);
            assert_eq!(busy(&mut time, &clock), None, "{by:?}");
            clock.pass(HOUR / 2);
            assert_eq!(busy(&mut time, &clock), None, "{by:?}");
            clock.pass(HOUR / 2);
            assert_eq!(busy(&mut time, &clock), Some(clock.now()), "{by:?}");
        }
    }

    #[test]
    fn many_small_jumps_are_no_way_around_it() {
        let clock = SetClock::new();
        let mut time = SteadyTime::new(&clock, HOUR);
        clock.pass(HOUR);
        let mut believed = 0;
        for _ in 0..100 {
            clock.pass(Duration::from_secs(5));
            clock.jump(Duration::from_secs(50), true);
            believed += u32::from(busy(&mut time, &clock).is_some());
        }
        assert!(believed <= 2, "{believed}");
    }

    #[test]
    fn a_wrong_clock_is_not_believed_against_the_records() {
        let clock = SetClock::new();
        let mut time = SteadyTime::new(&clock, HOUR);
        clock.jump(3_650 * DAY, true);
        for hour in 0..100 {
            clock.pass(HOUR);
            let present = UnixNanos(clock.now().0 - nanos(3_650 * DAY).0);
            let believed = time.now(&clock, RecordId(hour), |now| Some(present).filter(|newest| *newest <= now));
            assert!(believed.is_none_or(|believed| believed == present), "{believed:?} in hour {hour}");
        }
    }

    #[test]
    fn after_a_day_of_silence_the_clock_stands_alone() {
        let clock = SetClock::new();
        let mut time = SteadyTime::new(&clock, HOUR);
        let newest = clock.now();
        for hour in 1..50 {
            clock.pass(HOUR);
            let believed = time.now(&clock, RecordId(7), |_| Some(newest));
            assert_eq!(believed, Some(if hour > 24 { clock.now() } else { newest }), "hour {hour}");
        }
    }
}
