//! More than the program can take: what it acknowledges is stored, its memory stays bounded, and soon after the burst it
//! takes as much as before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::errors::resident_bytes;
use crate::harness::{Server, StopOnDrop, try_post};
use crate::oracle::{Answer, Batch, Oracle};
use crate::program::judge;
use crate::random::Random;

const RECORDS_OF_A_BATCH: u64 = 200;
const SETTINGS: &str = "[storage]
live_bytes_seal = 4000000
live_bytes_max = 10000000
seal_interval_ms = 1000
";
/// Far above what the settings allow to be live, and far below what the burst offers.
const MEMORY_BYTES_MAX: u64 = 500 << 20;

/// So often it is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(10);

/// What senders share.
#[derive(Default)]
struct Load {
    batches: Mutex<Vec<Batch>>,
    producers: AtomicU64,
    accepted: AtomicU64,
    pushed_back: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    /// Sends batches until it is over, one in ten a second time, and gives up none that was not answered.
    fn send(&self, url: &str, mut random: Random) {
        while !self.is_over.load(Ordering::Relaxed) {
            let producer = self.producers.fetch_add(1, Ordering::Relaxed);
            let mut batch = Batch { producer, first: 0, records: RECORDS_OF_A_BATCH, answer: Answer::No, deletion: Answer::No };
            let body = batch.body();
            for _ in 0..if random.happens(0.1) { 2 } else { 1 } {
                let status = try_post(&format!("{url}/api/v1/logs"), &[("content-type", "application/x-ndjson")], &body).unwrap().status;
                match status {
                    200 => {
                        batch.answer = Answer::Yes;
                        self.accepted.fetch_add(1, Ordering::Relaxed);
                    }
                    429 | 503 => _ = self.pushed_back.fetch_add(1, Ordering::Relaxed),
                    status => panic!("answered with {status}"),
                }
            }
            self.batches.lock().unwrap().push(batch);
        }
    }
}

/// What so many senders got through in a while: batches a second, and requests that were told to come again.
struct Phase {
    rate: f64,
    offered: f64,
    pushed_back: u64,
    memory_bytes: u64,
}

fn phase(server: &Server, oracle: &mut Oracle, producers: &mut u64, senders: u64, time: Duration) -> Phase {
    let load = Load { producers: AtomicU64::new(*producers), ..Load::default() };
    let (url, begun, mut memory_bytes) = (server.url(), Instant::now(), 0);
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let (load, url) = (&load, &url);
            scope.spawn(move || load.send(url, Random::of(sender, 77)));
        }
        let stop = StopOnDrop(&load.is_over);
        while begun.elapsed() < time {
            memory_bytes = memory_bytes.max(resident_bytes(server.process()));
            std::thread::park_timeout(MEMORY_INTERVAL);
        }
        drop(stop);
    });
    let seconds = begun.elapsed().as_secs_f64();
    *producers = load.producers.into_inner();
    oracle.batches.extend(load.batches.into_inner().unwrap());
    let (accepted, pushed_back) = (load.accepted.into_inner(), load.pushed_back.into_inner());
    Phase { rate: accepted as f64 / seconds, offered: (accepted + pushed_back) as f64 / seconds, pushed_back, memory_bytes }
}

/// Fault 61.
#[test]
fn more_than_it_can_take_is_told_to_come_again_and_passes() {
    let is_campaign = std::env::var("FAULTS").is_ok_and(|count| !count.is_empty());
    // Twice as much for ten minutes, ten times as much for one.
    let (calm, bursts) = if is_campaign { (10, [(2, 600), (10, 60)]) } else { (3, [(2, 5), (10, 5)]) };
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), SETTINGS).unwrap();
    let server = Server::start_with(&["--config", &settings.path().display().to_string()]);
    let (mut oracle, mut producers) = (Oracle::default(), 1);
    let before = phase(&server, &mut oracle, &mut producers, 2, Duration::from_secs(calm));
    for (times, burst) in bursts {
        let during = phase(&server, &mut oracle, &mut producers, 4 * times, Duration::from_secs(burst));
        let after = phase(&server, &mut oracle, &mut producers, 2, Duration::from_secs(calm));
        println!(
            "{} senders: {:.0} batches a second accepted of {:.0} offered, {} told to come again, {} MB of memory; before {:.0} a second, \
             right after {:.0}",
            4 * times,
            during.rate,
            during.offered,
            during.pushed_back,
            during.memory_bytes / 1_000_000,
            before.rate,
            after.rate
        );
        assert!(during.memory_bytes < MEMORY_BYTES_MAX, "{} bytes of memory", during.memory_bytes);
        assert!(after.rate > before.rate / 4.0, "it does not recover: {:.0} a second, {:.0} before", after.rate, before.rate);
    }
    let verdict = judge(&oracle, &server.url());
    println!("{verdict}");
    assert!(verdict.is_good(), "{verdict}");
}
