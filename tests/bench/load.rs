//! Sending: some senders take batches as fast as the server acknowledges them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::poll;
use crate::program::Program;
use crate::workload::{Batch, Signal, Workload};

const SENDERS: usize = 4;
/// Batches made ahead of the senders.
const AHEAD_BATCHES: usize = 8;

/// How sending went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) taken: Duration,
    /// Times a batch was told to come again.
    pub(crate) pushed_back: usize,
}

/// Sends all of it; when this returns, all of it is acknowledged.
pub(crate) fn send(program: &Program, workload: &Workload) -> Load {
    send_batches(program, workload.signal, workload.batches())
}

pub(crate) fn send_batches(program: &Program, signal: Signal, batches: impl Iterator<Item = Batch> + Send) -> Load {
    let start = Instant::now();
    let pushed_back = AtomicUsize::new(0);
    let (made, wanted) = std::sync::mpsc::sync_channel::<Batch>(AHEAD_BATCHES);
    let wanted = Mutex::new(wanted);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let sender = Sender::of(program, signal);
                loop {
                    let next = wanted.lock().unwrap().recv();
                    let Ok(batch) = next else { break };
                    pushed_back.fetch_add(sender.send(&batch.body), Ordering::Relaxed);
                }
            });
        }
        batches.for_each(|batch| made.send(batch).expect("senders outlive the batches"));
        drop(made);
    });
    Load { taken: start.elapsed(), pushed_back: pushed_back.into_inner() }
}

/// An exporter with a connection of its own.
pub(crate) struct Sender {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl Sender {
    pub(crate) fn of(program: &Program, signal: Signal) -> Sender {
        let path = match signal {
            Signal::Logs => "/v1/logs",
            Signal::Spans => "/v1/traces",
        };
        Sender { agent: agent(), url: program.otlp() + path, authorization: None }
    }

    /// The same for whom a token is asked of.
    pub(crate) fn with_token(self, token: &str) -> Sender {
        Sender { authorization: Some(format!("Bearer {token}")), ..self }
    }

    /// Sends until it is acknowledged; how often it was pushed back.
    pub(crate) fn send(&self, body: &[u8]) -> usize {
        let mut pushed_back = 0;
        poll("the acknowledgement of a batch", || {
            if self.try_send(body) == 200 {
                return Some(pushed_back);
            }
            pushed_back += 1;
            None
        })
    }

    /// Sends once: 200, or 429 or 503 where it may come again.
    pub(crate) fn try_send(&self, body: &[u8]) -> u16 {
        let request = self.agent.post(&self.url).content_type("application/x-protobuf");
        let request = match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        };
        let status = request.send(body).expect("an answer over HTTP").status().as_u16();
        assert!([200, 429, 503].contains(&status), "the server answered a batch with status {status}");
        status
    }
}

/// Keeps its connection; any status is an answer.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}
