//! The account of records: how many came in, and what became of each.
//!
//! `received = stored + rejected + deduplicated + in flight` holds whenever the account is read: every change is one
//! step under one lock, and a reader sees all terms at once. The terms come from different places, so that the equation
//! says something: *received* is what the decoder counted in the request, *rejected* what it refused by name and what
//! the sender was told is not stored, *stored* the rows that became readable, *in flight* the rows that were handed over
//! and not settled. What is stored is also held against the numbers that the store gave to records.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::model::Signal;

/// Whose records are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// What the records are: `logs` or `spans`.
    pub signal: &'static str,
    /// By which door they came.
    pub transport: &'static str,
}

impl Account {
    /// The account of a signal at a door.
    pub fn new(signal: Signal, transport: &'static str) -> Account {
        Account { signal: signal.as_str(), transport }
    }
}

/// The terms of one account, since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records in requests that were decoded, usable or not.
    pub received: u64,
    /// Records that became readable.
    pub stored: u64,
    /// Records refused by name, and records of requests of which nothing was stored.
    pub rejected: u64,
    /// Records of requests that were stored before.
    pub deduplicated: u64,
    /// Records that are on their way.
    pub in_flight: u64,
}

impl Counts {
    /// Received less what became of it; anything but 0 means that records were lost or made up on the way.
    pub fn unaccounted(&self) -> i64 {
        let settled = self.stored + self.rejected + self.deduplicated + self.in_flight;
        self.received.wrapping_sub(settled) as i64
    }
}

/// The account of all records of a process. Clones are one account.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    accounts: BTreeMap<Account, Counts>,
    /// Numbers that the store gave to records since the process started.
    numbered: u64,
    /// Of the first mismatch.
    alarm: Option<String>,
    mismatches: u64,
}

impl Ledger {
    /// Shows an account before anything is on it, so that its counters are seen to rise from 0.
    pub fn open(&self, account: Account) {
        self.book.lock().accounts.entry(account).or_default();
    }

    /// Enters a request: `received` records in it, of which `rejected` were refused and `handed_over` go to the store.
    pub fn receive(&self, account: Account, received: usize, rejected: usize, handed_over: usize) -> Entry {
        let records = handed_over as u64;
        self.change(account, |counts| {
            counts.received += received as u64;
            counts.rejected += rejected as u64;
            counts.in_flight += records;
        });
        Entry { ledger: self.clone(), account, records, settled: false }
    }

    /// The store gave numbers to so many records that it made readable; called after they were settled.
    pub(crate) fn number(&self, records: u64) {
        let mut book = self.book.lock();
        book.numbered += records;
        let stored: u64 = book.accounts.values().map(|counts| counts.stored).sum();
        if stored != book.numbered {
            let numbered = book.numbered;
            book.raise(format!("{stored} records were stored and {numbered} numbers given to records"));
        }
    }

    /// Every account, all of one moment.
    pub fn counts(&self) -> BTreeMap<Account, Counts> {
        self.book.lock().accounts.clone()
    }

    /// Why the account is wrong, if it is. It stays wrong until the process starts anew.
    pub fn alarm(&self) -> Option<String> {
        self.book.lock().alarm.clone()
    }

    fn change(&self, account: Account, change: impl FnOnce(&mut Counts)) {
        let mut book = self.book.lock();
        let counts = book.accounts.entry(account).or_default();
        let before = counts.unaccounted();
        change(counts);
        let (now, counts) = (counts.unaccounted(), *counts);
        if now != before {
            let Account { signal, transport } = account;
            book.raise(format!("{} {signal} that came by {transport} are unaccounted for: {counts:?}", now - before));
        }
    }
}

impl Book {
    fn raise(&mut self, what: String) {
        self.mismatches += 1;
        tracing::error!(mismatch = %what, "the account of records does not add up: this is a fault of needle, keep the log and report it");
        self.alarm.get_or_insert(what);
    }
}

/// The records of one request from their arrival until it is known what becomes of them. Dropped before that, they are
/// rejected: whoever drops it has not stored them.
#[derive(Debug)]
pub struct Entry {
    ledger: Ledger,
    account: Account,
    records: u64,
    settled: bool,
}

impl Entry {
    /// So many rows became readable.
    pub fn stored(mut self, rows: usize) {
        self.settle(|counts| counts.stored += rows as u64);
    }

    /// An equal request was stored before.
    pub(crate) fn deduplicated(mut self) {
        let records = self.records;
        self.settle(|counts| counts.deduplicated += records);
    }

    fn settle(&mut self, outcome: impl FnOnce(&mut Counts)) {
        self.settled = true;
        let records = self.records;
        self.ledger.change(self.account, |counts| {
            counts.in_flight -= records;
            outcome(counts);
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.settled {
            let records = self.records;
            self.settle(|counts| counts.rejected += records);
        }
    }
}

/// How the terms are told: a name, what it means, and where the number stands.
type Term = (&'static str, &'static str, fn(&Counts) -> u64);

const COUNTERS: [Term; 4] = [
    ("needle_records_received", "Records in requests that were decoded, usable or not.", |counts| counts.received),
    ("needle_records_stored", "Records stored: on disk and found by queries.", |counts| counts.stored),
    ("needle_records_rejected", "Records refused by name, and records of requests of which nothing was stored.", |counts| counts.rejected),
    ("needle_records_deduplicated", "Records of repeated requests, stored before.", |counts| counts.deduplicated),
];

impl Collector for Ledger {
    /// All terms of one moment: received = stored + rejected + deduplicated + in flight in every scrape.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (accounts, mismatches) = {
            let book = self.book.lock();
            (book.accounts.clone(), book.mismatches)
        };
        for (name, help, term) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (account, counts) in &accounts {
                ConstCounter::new(term(counts)).encode(family.encode_family(&account.labels())?)?;
            }
        }
        let help = "Records that were decoded and are on their way into the store.";
        let mut family = encoder.encode_descriptor("needle_records_in_flight", help, None, MetricType::Gauge)?;
        for (account, counts) in &accounts {
            ConstGauge::new(counts.in_flight as i64).encode(family.encode_family(&account.labels())?)?;
        }
        let help = "Received less stored, rejected, deduplicated and in flight: anything but 0 is a fault.";
        let mut family = encoder.encode_descriptor("needle_records_unaccounted", help, None, MetricType::Gauge)?;
        for (account, counts) in &accounts {
            ConstGauge::new(counts.unaccounted()).encode(family.encode_family(&account.labels())?)?;
        }
        let help = "Times that the account of records did not add up: anything but 0 is a fault.";
        let family = encoder.encode_descriptor("needle_records_mismatches", help, None, MetricType::Counter)?;
        ConstCounter::new(mismatches).encode(family)
    }
}

impl Account {
    fn labels(&self) -> [(&'static str, &'static str); 2] {
        [("signal", self.signal), ("transport", self.transport)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account::new(Signal::Logs, "grpc")
    }

    fn terms(ledger: &Ledger) -> (u64, u64, u64, u64, u64) {
        let counts = ledger.counts()[&account()];
        (counts.received, counts.stored, counts.rejected, counts.deduplicated, counts.in_flight)
    }

    #[test]
    fn every_record_is_in_one_place_from_arrival_on() {
        let ledger = Ledger::default();
        let stored = ledger.receive(account(), 10, 3, 7);
        let repeated = ledger.receive(account(), 2, 0, 2);
        let given_up = ledger.receive(account(), 5, 0, 5);
        assert_eq!(terms(&ledger), (17, 0, 3, 0, 14));
        stored.stored(7);
        repeated.deduplicated();
        drop(given_up);
        assert_eq!(terms(&ledger), (17, 7, 8, 2, 0));
        ledger.number(7);
        assert_eq!(ledger.alarm(), None);
    }

    #[test]
    fn a_mismatch_is_an_alarm_that_stays() {
        let lost = Ledger::default();
        lost.receive(account(), 10, 0, 10).stored(9);
        assert!(lost.alarm().unwrap().starts_with("1 logs that came by grpc are unaccounted for"), "{:?}", lost.alarm());
        assert_eq!(lost.counts()[&account()].unaccounted(), 1);
        let uncounted = Ledger::default();
        drop(uncounted.receive(account(), 10, 1, 8));
        assert!(uncounted.alarm().is_some());
        let unnumbered = Ledger::default();
        unnumbered.receive(account(), 10, 0, 10).stored(10);
        unnumbered.number(9);
        assert_eq!(unnumbered.alarm().unwrap(), "10 records were stored and 9 numbers given to records");
        unnumbered.receive(account(), 1, 0, 1).stored(1);
        unnumbered.number(2);
        assert!(unnumbered.alarm().is_some(), "an alarm is not forgotten");
    }
}
