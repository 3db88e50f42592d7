//! The records that are sent: made up, but of one seed always the same bytes.
//!
//! Thirty services of three pods each serve requests that come independently of each other; a few hundred are under way at any
//! time. Agents on fifteen nodes collect what their pods say and send it as OTLP protobuf.

mod attributes;
mod batches;
pub(crate) mod bodies;
mod giant;
mod ids;
mod interleave;
mod logs;
mod random;
mod services;
mod spans;

pub(crate) use batches::{BATCH_RECORDS, Batch};
pub(crate) use giant::Giant;
pub(crate) use ids::JourneyIds;
pub(crate) use random::Random;
pub(crate) use services::SERVICES;

use batches::Batches;

/// The first request comes in at this time, in nanoseconds since the epoch: 2026-06-01 12:00 UTC.
const START: u64 = 1_780_315_200_000_000_000;

/// Which of the two kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Logs,
    Spans,
}

/// Records of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) signal: Signal,
    pub(crate) seed: u64,
    pub(crate) records: usize,
}

impl Workload {
    /// The requests that bring all records, in the order they are sent.
    pub(crate) fn batches(&self) -> Box<dyn Iterator<Item = Batch> + Send> {
        self.batches_of(BATCH_RECORDS)
    }

    /// In requests of so many records.
    pub(crate) fn batches_of(&self, batch_records: usize) -> Box<dyn Iterator<Item = Batch> + Send> {
        match self.signal {
            Signal::Logs => Box::new(Batches::new(logs::records(self.seed).take(self.records), batch_records, logs::encode)),
            Signal::Spans => Box::new(Batches::new(spans::records(self.seed).take(self.records), batch_records, spans::encode)),
        }
    }

    pub(crate) fn ids(&self, journey: u64) -> JourneyIds {
        JourneyIds::of(self.seed, journey)
    }
}

/// When journeys begin.
fn journey_random(seed: u64) -> Random {
    Random::of(seed, u64::MAX - 1)
}
