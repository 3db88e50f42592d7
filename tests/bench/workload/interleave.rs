//! Journeys under way at the same time, as the order in which their records come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::random::Random;

/// Something at a time.
#[derive(Debug)]
pub(crate) struct Timed<T> {
    pub(crate) time: u64,
    pub(crate) thing: T,
}

/// The things of one journey after another, in order of time.
pub(crate) struct Interleaved<T, Open> {
    open: Open,
    random: Random,
    mean_gap_ns: f64,
    next_journey: u64,
    next_start: u64,
    waiting: BinaryHeap<Reverse<Waiting<T>>>,
    put: u64,
}

struct Waiting<T> {
    time: u64,
    put: u64,
    thing: T,
}

impl<T, Open: FnMut(u64, u64) -> Vec<Timed<T>>> Interleaved<T, Open> {
    /// Journeys begin independently of each other, `mean_gap_ns` apart; `open` gives what happens in the journey of a number
    /// that begins at a time. Nothing in it happens before it begins.
    pub(crate) fn new(random: Random, start: u64, mean_gap_ns: f64, open: Open) -> Interleaved<T, Open> {
        Interleaved { open, random, mean_gap_ns, next_journey: 0, next_start: start, waiting: BinaryHeap::new(), put: 0 }
    }

    fn begin_journey(&mut self) {
        for Timed { time, thing } in (self.open)(self.next_journey, self.next_start) {
            self.waiting.push(Reverse(Waiting { time, put: self.put, thing }));
            self.put += 1;
        }
        self.next_journey += 1;
        self.next_start += self.random.exponential(self.mean_gap_ns) as u64;
    }
}

impl<T, Open: FnMut(u64, u64) -> Vec<Timed<T>>> Iterator for Interleaved<T, Open> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        while self.waiting.peek().is_none_or(|Reverse(first)| first.time >= self.next_start) {
            self.begin_journey();
        }
        self.waiting.pop().map(|Reverse(first)| first.thing)
    }
}

impl<T> Waiting<T> {
    fn order(&self) -> (u64, u64) {
        (self.time, self.put)
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}
