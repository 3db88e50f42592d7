//! The store: the door through which records come in and are read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch};

use crate::accept::{Accepted, AppendError, Decode, Incoming};
use crate::cache::ShardCache;
use crate::clock::{Clock, SystemClock};
use crate::commit::{self, Pending, Queue};
use crate::disk::{Disk, FolderLock, LocalDisk};
use crate::keep::{Keep, SealError};
use crate::live::LiveBatch;
use crate::metrics::Metrics;
use crate::model::{RecordId, Tenant};
use crate::recover::{self, OpenError, Recovered};
use crate::settings::StoreSettings;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::wal::{Frame, Sequence, Wal};
use crate::window::{self, Seen, Window};

/// How often background work is looked at when nothing wakes it.
const KEEPER_INTERVAL: Duration = Duration::from_millis(250);

/// Everything that was accepted.
pub struct Store {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the store's threads share.
pub(crate) struct Shared {
    pub(crate) settings: StoreSettings,
    pub(crate) keep: Keep,
    pub(crate) state: RwLock<State>,
    pub(crate) wal: Mutex<Box<dyn Wal>>,
    pub(crate) last_sequence: Mutex<Sequence>,
    pub(crate) queue: Queue,
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) live_bytes: AtomicUsize,
    pub(crate) window: Arc<Window>,
    pub(crate) poisoned: OnceLock<String>,
    pub(crate) accepted: watch::Sender<RecordId>,
    pub(crate) metrics: Metrics,
    cache: Arc<ShardCache>,
    /// Held while a seal runs: one at a time.
    sealing: Mutex<()>,
    last_seal_failure: Mutex<Option<String>>,
    closing: AtomicBool,
    wake_keeper: (Mutex<bool>, Condvar),
    _lock: FolderLock,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data", &self.shared.settings.data).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a data folder on the machine's disk and by its clock, replaying what was accepted and not yet sealed.
    pub fn open(settings: &StoreSettings, decode: Decode, metrics: &mut Registry) -> Result<Arc<Store>, OpenError> {
        Store::open_with(settings, decode, Arc::new(LocalDisk), Arc::new(SystemClock::default()), metrics)
    }

    /// Opens a data folder on a disk and by a clock of the caller's.
    pub fn open_with(
        settings: &StoreSettings,
        decode: Decode,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        metrics: &mut Registry,
    ) -> Result<Arc<Store>, OpenError> {
        settings.check().map_err(OpenError::Settings)?;
        let metrics = Metrics::register(metrics);
        let Recovered { lock, keep, state, wal, last_sequence, window } = recover::recover(settings, &decode, &disk, clock, &metrics)?;
        let cache = Arc::new(ShardCache::new(keep.objects.clone(), settings.open_shards_max));
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            accepted: watch::Sender::new(state.next_record),
            state: RwLock::new(state),
            wal: Mutex::new(wal),
            last_sequence: Mutex::new(last_sequence),
            queue: Queue::default(),
            queued_bytes: AtomicUsize::new(0),
            live_bytes: AtomicUsize::new(0),
            window,
            poisoned: OnceLock::new(),
            metrics,
            cache,
            keep,
            sealing: Mutex::new(()),
            last_seal_failure: Mutex::new(None),
            closing: AtomicBool::new(false),
            wake_keeper: (Mutex::new(false), Condvar::new()),
            _lock: lock,
        });
        shared.measure(&shared.state.read());
        let committer = spawn("needle-commit", &shared, Shared::run_committer)?;
        let keeper = spawn("needle-keeper", &shared, Shared::run_keeper)?;
        Ok(Arc::new(Store { shared, threads: Mutex::new(vec![committer, keeper]) }))
    }

    /// Accepts a request: when this returns `Ok` its records are on disk, once, and found by every query
    /// that starts now. When it returns `Err` none of them is stored.
    pub async fn append(&self, incoming: Incoming) -> Result<Accepted, AppendError> {
        let records = incoming.decoded.records.num_rows();
        if records == 0 {
            return Ok(Accepted { stored: 0, deduplicated: 0 });
        }
        let digest = window::digest(&incoming);
        let claim = match digest {
            None => None,
            Some(digest) => loop {
                match self.shared.window.claim(digest) {
                    Seen::New(claim) => break Some(claim),
                    Seen::Before(records) => {
                        self.shared.metrics.records_deduplicated.inc_by(u64::from(records));
                        return Ok(Accepted { stored: 0, deduplicated: records as usize });
                    }
                    // Closing is the only event of this channel: the other copy is stored or has failed.
                    Seen::InFlight(mut decided) => while decided.changed().await.is_ok() {},
                }
            },
        };
        let record_count = u32::try_from(records).map_err(|_| AppendError::Disk("more than 2^32 records in one request".to_owned()))?;
        let frame = Frame::new(&incoming.request, record_count, digest).map_err(|error| AppendError::Disk(error.to_string()))?;
        let batch = LiveBatch::new(incoming.request.tenant.clone(), incoming.decoded);
        self.admit(batch.bytes)?;
        let (done, answer) = oneshot::channel();
        let bytes = batch.bytes;
        if self.shared.queue.push(Pending { frame, batch, claim, done }).is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.shared.closed());
        }
        let stored = answer.await.map_err(|_| self.shared.closed())??;
        Ok(Accepted { stored, deduplicated: 0 })
    }

    /// Reserves live memory. A request larger than all of it is let through when nothing else is live.
    fn admit(&self, bytes: usize) -> Result<(), AppendError> {
        let shared = &self.shared;
        let queued = shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let in_use = queued + shared.live_bytes.load(Ordering::Relaxed);
        if in_use > 0 && in_use + bytes > shared.settings.live_bytes_max {
            shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            shared.metrics.requests_pushed_back.inc();
            shared.wake_keeper();
            return Err(AppendError::Full { live_bytes: in_use, live_bytes_max: shared.settings.live_bytes_max });
        }
        Ok(())
    }

    /// A consistent view of a tenant's records: everything acknowledged before this call, each record once.
    pub fn snapshot(&self, tenant: &Tenant) -> Snapshot {
        let state = self.shared.state.read();
        Snapshot::new(
            state.live().filter(|batch| batch.tenant == *tenant).cloned().collect(),
            state.shards.iter().filter(|shard| shard.tenant == *tenant).cloned().collect(),
            state.next_record,
            self.shared.cache.clone(),
        )
    }

    /// Wakes whenever records were accepted; holds the number the next record will get.
    pub fn accepted(&self) -> watch::Receiver<RecordId> {
        self.shared.accepted.subscribe()
    }

    /// Seals all live records and waits for it.
    pub async fn flush(&self) -> Result<(), String> {
        let shared = self.shared.clone();
        let sealed = tokio::task::spawn_blocking(move || shared.seal_all()).await;
        sealed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Seals live records if there are enough of them or they are old enough. Whether it did.
    pub fn tick_seal(&self) -> Result<bool, String> {
        self.shared.tick_seal().map_err(|error| error.to_string())
    }

    /// Why requests are not accepted just now; empty when they are.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(reason) = self.shared.poisoned.get() {
            reasons.push(AppendError::Poisoned(reason.clone()).to_string());
        }
        if self.shared.closing.load(Ordering::Relaxed) {
            reasons.push(AppendError::ShuttingDown.to_string());
        }
        let (live_bytes, live_bytes_max) = (self.shared.live_bytes.load(Ordering::Relaxed), self.shared.settings.live_bytes_max);
        if live_bytes >= live_bytes_max {
            reasons.push(AppendError::Full { live_bytes, live_bytes_max }.to_string());
        }
        reasons.extend(self.shared.last_seal_failure.lock().iter().map(|failure| format!("live records could not be sealed: {failure}")));
        reasons
    }

    /// Stops accepting, commits what is queued, seals all live records and ends the store's threads.
    pub async fn shutdown(self: &Arc<Self>) {
        let store = self.clone();
        let stopped = tokio::task::spawn_blocking(move || store.stop()).await;
        if let Err(error) = stopped {
            tracing::error!(%error, "the store did not stop cleanly; what was acknowledged is in its log");
        }
    }

    fn stop(&self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        self.shared.wake_keeper();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked; what was acknowledged is in its log");
            }
        }
        if let Err(error) = self.shared.seal_all() {
            tracing::warn!(%error, "live records stay in the log and are replayed at the next start");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        self.shared.wake_keeper();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Commits until the queue is closed. What a fault in it left on disk is unknown, so nothing is accepted after one.
    fn run_committer(shared: &Shared) {
        if catch_unwind(AssertUnwindSafe(|| commit::run(shared))).is_err() {
            let reason = shared.poisoned.get_or_init(|| "the commit thread failed".to_owned());
            tracing::error!(%reason, "no more records are accepted until a restart");
            shared.queue.close();
            shared.queue.discard();
        }
    }

    /// Does background work until the store closes. A fault in it costs that one attempt.
    fn run_keeper(shared: &Shared) {
        while catch_unwind(AssertUnwindSafe(|| shared.keep_house())).is_err() {
            *shared.last_seal_failure.lock() = Some("background work failed and was started again".to_owned());
        }
    }

    fn keep_house(&self) {
        while !self.closing.load(Ordering::Relaxed) {
            {
                let (woken, condition) = &self.wake_keeper;
                let mut woken = woken.lock();
                if !*woken {
                    condition.wait_for(&mut woken, KEEPER_INTERVAL);
                }
                *woken = false;
            }
            self.window.forget(self.keep.seen_since());
            if let Err(error) = self.tick_seal() {
                tracing::warn!(%error, "live records stay in memory and in the log; sealing is tried again");
            }
        }
    }

    fn wake_keeper(&self) {
        *self.wake_keeper.0.lock() = true;
        self.wake_keeper.1.notify_all();
    }

    fn tick_seal(&self) -> Result<bool, SealError> {
        let due = {
            let state = self.state.read();
            let age = state.oldest.map(|since| self.keep.clock.monotonic().saturating_sub(since));
            let old = age.is_some_and(|age| age >= Duration::from_millis(self.settings.seal_interval_ms));
            old || state.frozen.is_some() || state.live_bytes() >= self.settings.live_bytes_seal
        };
        if due { self.seal_once() } else { Ok(false) }
    }

    fn seal_all(&self) -> Result<(), SealError> {
        // What was frozen by a seal that failed comes first, then what came since.
        while self.seal_once()? {}
        Ok(())
    }

    /// Seals what is live now. Whether there was anything.
    fn seal_once(&self) -> Result<bool, SealError> {
        let _one_at_a_time = self.sealing.lock();
        let Some(frozen) = self.state.write().freeze() else { return Ok(false) };
        let sealed = self.keep.seal(&frozen);
        *self.last_seal_failure.lock() = sealed.as_ref().err().map(ToString::to_string);
        let shards = sealed.inspect_err(|_| {
            self.metrics.seal_failures.inc();
        })?;
        self.metrics.seals.inc();
        {
            let mut state = self.state.write();
            state.thaw(shards);
            self.measure(&state);
        }
        if let Err(error) = self.wal.lock().forget(frozen.position.sealed) {
            tracing::warn!(%error, "a file of the log that is no longer needed stays until the next seal");
        }
        Ok(true)
    }

    /// Why the queue is closed.
    fn closed(&self) -> AppendError {
        self.poisoned.get().map_or(AppendError::ShuttingDown, |reason| AppendError::Poisoned(reason.clone()))
    }

    /// Brings gauges and bounds in line with the state.
    pub(crate) fn measure(&self, state: &State) {
        let live_bytes = state.live_bytes();
        self.live_bytes.store(live_bytes, Ordering::Relaxed);
        self.metrics.live_bytes.set(live_bytes as i64);
        self.metrics.live_records.set(state.live().map(|batch| batch.records.num_rows() as i64).sum());
        self.metrics.shards.set(state.shards.len() as i64);
        self.metrics.shard_bytes.set(state.shards.iter().map(|shard| shard.bytes as i64).sum());
        if live_bytes >= self.settings.live_bytes_seal {
            self.wake_keeper();
        }
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, run: fn(&Shared)) -> Result<JoinHandle<()>, OpenError> {
    let shared = shared.clone();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    spawned.map_err(|error| OpenError::Unusable { action: "start a thread for", path: name.into(), error })
}

#[cfg(test)]
mod tests;
