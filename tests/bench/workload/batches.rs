//! What the agent of each node sends: its pods' records, when it has enough of them.

use std::collections::BTreeMap;

use super::services::{NODES, Pod};

/// Records of one request.
pub(crate) const BATCH_RECORDS: usize = 1_000;

/// Records of one agent by pod, in order of time.
pub(crate) type ByPod<R> = BTreeMap<Pod, Vec<R>>;

/// A record and where it comes from.
#[derive(Debug)]
pub(crate) struct Emitted<R> {
    pub(crate) pod: Pod,
    pub(crate) origin: Origin,
    pub(crate) record: R,
}

/// What has to be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) journey: u64,
    pub(crate) service: usize,
    /// Carries the trace id.
    pub(crate) traced: bool,
    /// Carries the request id.
    pub(crate) requested: bool,
    /// A log that says the common word; a span that took long and answered with a server's error.
    pub(crate) sought: bool,
}

/// An export request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// OTLP protobuf.
    pub(crate) body: Vec<u8>,
    /// Of each record in it.
    pub(crate) origins: Vec<Origin>,
}

/// The requests that bring these records.
pub(crate) struct Batches<R, Records> {
    records: Records,
    encode: fn(ByPod<R>) -> Vec<u8>,
    agents: Vec<Agent<R>>,
    batch_records: usize,
}

struct Agent<R> {
    pods: ByPod<R>,
    origins: Vec<Origin>,
}

impl<R, Records: Iterator<Item = Emitted<R>>> Batches<R, Records> {
    pub(crate) fn new(records: Records, batch_records: usize, encode: fn(ByPod<R>) -> Vec<u8>) -> Batches<R, Records> {
        let agents = (0..NODES).map(|_| Agent { pods: ByPod::new(), origins: Vec::new() }).collect();
        Batches { records, encode, agents, batch_records }
    }

    fn send(&mut self, node: usize) -> Batch {
        let agent = &mut self.agents[node];
        Batch { body: (self.encode)(std::mem::take(&mut agent.pods)), origins: std::mem::take(&mut agent.origins) }
    }
}

impl<R, Records: Iterator<Item = Emitted<R>>> Iterator for Batches<R, Records> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        for Emitted { pod, origin, record } in self.records.by_ref() {
            let node = pod.node();
            let agent = &mut self.agents[node];
            agent.pods.entry(pod).or_default().push(record);
            agent.origins.push(origin);
            if agent.origins.len() == self.batch_records {
                return Some(self.send(node));
            }
        }
        let left = self.agents.iter().position(|agent| !agent.origins.is_empty())?;
        Some(self.send(left))
    }
}
