//! Producers that send to a server that dies and comes back, until each of their batches is answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{poll, try_get, try_post};
use crate::oracle::{Answer, Batch, Told};
use crate::random::Random;

/// Where the server is, and the how many-th it is.
#[derive(Default)]
pub(crate) struct Address {
    current: Mutex<(u64, Whereabouts)>,
    changed: Condvar,
}

#[derive(Default)]
enum Whereabouts {
    #[default]
    Dead,
    At(String),
    /// It will not come back.
    Gone,
}

impl Address {
    /// None while it is dead.
    pub(crate) fn set(&self, url: Option<String>) {
        self.change(url.map_or(Whereabouts::Dead, Whereabouts::At));
    }

    fn change(&self, to: Whereabouts) {
        let mut current = self.current.lock().unwrap();
        *current = (current.0 + 1, to);
        self.changed.notify_all();
    }

    /// Waits for a server that is not the one that did not answer. None when there will be none.
    pub(crate) fn after(&self, dead: u64) -> Option<(u64, String)> {
        let mut current = self.current.lock().unwrap();
        loop {
            match &*current {
                (_, Whereabouts::Gone) => return None,
                (number, Whereabouts::At(url)) if *number > dead => return Some((*number, url.clone())),
                _ => current = self.changed.wait(current).unwrap(),
            }
        }
    }
}

/// What senders and the killer share.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) address: Address,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) stop: AtomicBool,
}

/// Lets nobody wait any longer when whoever kills and starts the server gives up, be it by a failed assertion.
pub(crate) struct GoneOnDrop<'a>(pub(crate) &'a Round);

impl Drop for GoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.address.change(Whereabouts::Gone);
    }
}

impl Round {
    /// Sends one batch after the other until the round ends; each until it is answered. What the producer knows of them.
    pub(crate) fn send(&self, producers: u64, mut random: Random) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut dead = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let is_repetition = !batches.is_empty() && random.happens(0.1);
            if !is_repetition {
                let (records, first) = (random.between(1, 60), random.below(1_000));
                let producer = producers + batches.len() as u64;
                batches.push(Batch { producer, first, records, answer: Answer::Unknown, deletion: Answer::No });
            }
            let at = if is_repetition { random.below(batches.len() as u64) as usize } else { batches.len() - 1 };
            let body = batches[at].body();
            loop {
                let Some((number, url)) = self.address.after(dead) else { return batches };
                let sent = try_post(&format!("{url}/api/v1/logs"), &[("content-type", "application/x-ndjson")], &body);
                match sent.map(|answer| answer.status) {
                    Ok(200) => break,
                    // Pushed back: the server lives.
                    Ok(429 | 503) => std::thread::park_timeout(Duration::from_millis(5)),
                    Ok(status) => panic!("a batch was answered with {status}"),
                    Err(_) => dead = number,
                }
            }
            batches[at].answer = Answer::Yes;
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        batches
    }

    /// Asks for seals and merges, so that kills meet them.
    pub(crate) fn press(&self) {
        let mut dead = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let Some((number, url)) = self.address.after(dead) else { return };
            if try_post(&format!("{url}/api/v1/admin/flush?merge=true"), &[], b"").is_err() {
                dead = number;
            }
        }
    }
}

/// Waits until the server at `url` has replayed its log, so that answers are complete.
pub(crate) fn wait_replayed(url: &str) {
    poll("the end of the replay", || {
        let readiness = try_get(&format!("{url}/readyz"), &[]).expect("an answer over HTTP").json();
        readiness["partial"].is_null().then_some(())
    });
}

/// A record as the API tells it.
pub(crate) fn told(record: &Value) -> Told<'_> {
    Told {
        service: record["service"].as_str().unwrap_or_default(),
        message: record["body"].as_str().unwrap_or_default(),
        sequence: record["attributes"]["sequence"].as_i64(),
        padding: record["attributes"]["padding"].as_str(),
    }
}
