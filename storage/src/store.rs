//! The store: the door through which records come in and are read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, oneshot, watch};

use crate::accept::{Accepted, AppendError, Decode, Incoming, Prepared, RawRequest};
use crate::background::{Bell, Replay, Reserve, Upkeep};
use crate::cache::ShardCache;
use crate::clock::{Clock, SystemClock};
use crate::commit::{Pending, Queue};
use crate::dead_letter;
use crate::delete::Deleted;
use crate::disk::{Disk, FolderLock, LocalDisk};
use crate::keep::{Effort, Keep, SealError, SteadyTime};
use crate::ledger::{self, Account, Ledger};
use crate::metrics::Metrics;
use crate::model::{IdTerm, RecordId, Tenant};
use crate::recover::{self, OWN_FOLDER, OpenError, Recovered};
use crate::settings::StoreSettings;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::wal::{Sequence, Wal};
use crate::window::{Seen, Window};

/// How long a request waits for live memory before it is pushed back: a seal of what is live takes less, so that
/// senders at full speed are slowed and not refused.
const ADMIT_WAIT_MAX: Duration = Duration::from_secs(1);

/// Everything that was accepted.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
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
    /// Woken when a seal freed live memory.
    freed: Notify,
    pub(crate) window: Arc<Window>,
    pub(crate) poisoned: OnceLock<String>,
    pub(crate) accepted: watch::Sender<RecordId>,
    pub(crate) metrics: Metrics,
    pub(crate) cache: Arc<ShardCache>,
    /// Held while a seal runs: one at a time.
    pub(crate) sealing: Mutex<()>,
    /// What of the log is not replayed; none when all is.
    pub(crate) replay: Mutex<Option<Replay>>,
    /// Woken when all of the log is replayed.
    pub(crate) replayed: Condvar,
    /// Held while shards are written anew or removed: one piece of work at a time.
    pub(crate) upkeep: Mutex<Upkeep>,
    /// Room that is kept free for what frees more.
    pub(crate) reserve: Mutex<Reserve>,
    /// Held while records are deleted: one deletion at a time.
    pub(crate) deleting: Mutex<()>,
    /// Why the last group of requests was not written; none when it was.
    pub(crate) last_append_failure: Mutex<Option<String>>,
    pub(crate) last_seal_failure: Mutex<Option<String>>,
    pub(crate) ledger: Ledger,
    pub(crate) disk: Arc<dyn Disk>,
    /// The end was announced; requests under way are still accepted.
    draining: AtomicBool,
    pub(crate) closing: AtomicBool,
    pub(crate) closed: (Mutex<bool>, Condvar),
    pub(crate) wake_keeper: Bell,
    /// Rung when batches in memory came, which may be joined.
    pub(crate) wake_joiner: Bell,
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
        let ledger = Ledger::default();
        metrics.register_collector(Box::new(ledger.clone()));
        let metrics = Metrics::register(metrics);
        let Recovered { lock, keep, state, wal, last_sequence, window, garbage, retention, replay, reserve } =
            recover::recover(settings, &decode, &disk, clock, &metrics)?;
        let time = SteadyTime::new(keep.clock.as_ref(), Duration::from_millis(settings.retention_settle_ms));
        let (blocks, shapes) = (settings.block_cache_bytes_max, settings.shape_cache_bytes_max);
        let cache = Arc::new(ShardCache::new(keep.objects.clone(), settings.open_shards_max, blocks, shapes));
        let is_short = replay.bytes() <= settings.replay_at_open_bytes_max;
        let replay = Some(replay).filter(|replay| replay.bytes() > 0);
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            accepted: watch::Sender::new(state.next_record),
            state: RwLock::new(state),
            wal: Mutex::new(wal),
            last_sequence: Mutex::new(last_sequence),
            queue: Queue::default(),
            queued_bytes: AtomicUsize::new(0),
            live_bytes: AtomicUsize::new(0),
            freed: Notify::new(),
            window,
            poisoned: OnceLock::new(),
            metrics,
            cache,
            keep,
            sealing: Mutex::new(()),
            replay: Mutex::new(replay),
            replayed: Condvar::new(),
            upkeep: Mutex::new(Upkeep::new(garbage, time, retention)),
            reserve: Mutex::new(reserve),
            deleting: Mutex::new(()),
            last_append_failure: Mutex::new(None),
            last_seal_failure: Mutex::new(None),
            ledger,
            disk,
            draining: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            closed: (Mutex::new(false), Condvar::new()),
            wake_keeper: Bell::default(),
            wake_joiner: Bell::default(),
            _lock: lock,
        });
        shared.measure(&shared.state.read());
        // What fails here is tried again beside everything else.
        while is_short && shared.tick_replay().is_ok_and(|has_more| has_more) {}
        let mut threads = Vec::new();
        if shared.is_replaying() {
            threads.push(spawn("needle-replay", &shared, Shared::run_replay)?);
        }
        threads.push(spawn("needle-commit", &shared, Shared::run_committer)?);
        threads.push(spawn("needle-joiner", &shared, Shared::run_joiner)?);
        threads.push(spawn("needle-keeper", &shared, Shared::run_keeper)?);
        threads.push(spawn("needle-upkeep", &shared, Shared::run_upkeep)?);
        Ok(Arc::new(Store { shared, threads: Mutex::new(threads) }))
    }

    /// Accepts a request: when this returns `Ok` its records are on disk, once, and found by every query
    /// that starts now. When it returns `Err` none of them is stored.
    pub async fn append(&self, incoming: Incoming) -> Result<Accepted, AppendError> {
        let records = incoming.decoded.records.num_rows();
        let entry = self.shared.ledger.receive(Account::new(incoming.decoded.signal, "direct"), records, 0, records);
        self.append_received(incoming.prepare()?, entry).await
    }

    /// Accepts a request whose records are in the ledger already. A caller who stops waiting may find all of them stored, or none.
    pub async fn append_received(&self, prepared: Prepared, entry: ledger::Entry) -> Result<Accepted, AppendError> {
        let Prepared { digest, frame, batch } = prepared;
        let records = batch.records.num_rows();
        if records == 0 {
            return Ok(Accepted { stored: 0, deduplicated: 0 });
        }
        let claim = match digest {
            None => None,
            Some(digest) => loop {
                match self.shared.window.claim(digest) {
                    Seen::New(claim) => break Some(claim),
                    Seen::Before => {
                        entry.deduplicated();
                        return Ok(Accepted { stored: 0, deduplicated: records });
                    }
                    // Closing is the only event of this channel: the other copy is stored or has failed.
                    Seen::InFlight(mut decided) => while decided.changed().await.is_ok() {},
                }
            },
        };
        self.admit(batch.bytes).await?;
        let (done, answer) = oneshot::channel();
        let bytes = batch.bytes;
        if self.shared.queue.push(Pending { frame, batch, claim, entry, done }).is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.shared.refusal());
        }
        let stored = answer.await.map_err(|_| self.shared.refusal())??;
        Ok(Accepted { stored, deduplicated: 0 })
    }

    /// Reserves live memory; where there is none, waits a little for a seal to free some.
    async fn admit(&self, bytes: usize) -> Result<(), AppendError> {
        let deadline = tokio::time::Instant::now() + ADMIT_WAIT_MAX;
        loop {
            // Listened for before memory is looked at, so that what is freed in between is not missed.
            let freed = self.shared.freed.notified();
            let Err(full) = self.reserve(bytes) else { return Ok(()) };
            self.shared.wake_keeper.ring();
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                self.shared.metrics.requests_pushed_back.inc();
                return Err(full);
            }
        }
    }

    /// Reserves live memory. A request larger than all of it is let through when nothing else is live.
    fn reserve(&self, bytes: usize) -> Result<(), AppendError> {
        let shared = &self.shared;
        let queued = shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let in_use = queued + shared.live_bytes.load(Ordering::Relaxed);
        if in_use > 0 && in_use + bytes > shared.settings.live_bytes_max {
            shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(AppendError::Full { live_bytes: in_use, live_bytes_max: shared.settings.live_bytes_max });
        }
        Ok(())
    }

    /// A consistent view of a tenant's records: everything acknowledged before this call, each record once.
    pub fn snapshot(&self, tenant: &Tenant) -> Snapshot {
        self.shared.snapshot(tenant)
    }

    /// Wakes whenever records were accepted; holds the number the next record will get.
    pub fn accepted(&self) -> watch::Receiver<RecordId> {
        self.shared.accepted.subscribe()
    }

    /// Seals all live records, also those that are still to be replayed, and waits for it.
    pub async fn flush(&self) -> Result<(), String> {
        let shared = self.shared.clone();
        let sealed = tokio::task::spawn_blocking(move || {
            shared.wait_replayed()?;
            shared.seal_all().map_err(|error| error.to_string())
        });
        sealed.await.map_err(|error| error.to_string())?
    }

    /// Deletes every record of a tenant that carries one of the ids and was accepted before this call. When it
    /// returns, that is durable, and no query that starts then finds them; their bytes leave the shards when
    /// those are next looked after. Records that arrive later with such an id are new ones.
    pub async fn delete(&self, tenant: &Tenant, terms: Vec<IdTerm>) -> Result<Deleted, String> {
        let (shared, tenant) = (self.shared.clone(), tenant.clone());
        let deleted = tokio::task::spawn_blocking(move || shared.delete(&tenant, &terms)).await;
        deleted.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Merges shards, without what has to leave them, until nothing is left to do, and waits for it.
    pub async fn merge(&self) -> Result<(), String> {
        let shared = self.shared.clone();
        let merged = tokio::task::spawn_blocking(move || {
            while shared.look_after_shards(Effort::Everything)? {}
            Ok::<(), SealError>(())
        });
        merged.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Merges the next shards that the policy finds. Whether there were any.
    pub fn tick_merge(&self) -> Result<bool, String> {
        self.shared.tick_merge(Effort::Steady).map_err(|error| error.to_string())
    }

    /// Takes records that are deleted or past their retention out of the next shard that holds some, or ends the
    /// shards that hold nothing else. Whether there were any.
    pub fn tick_retire(&self) -> Result<bool, String> {
        self.shared.tick_retire().map_err(|error| error.to_string())
    }

    /// Removes files of shards that ended, when no query reads them and their grace has passed. Whether there were any.
    pub fn tick_collect(&self) -> Result<bool, String> {
        self.shared.tick_collect().map_err(|error| error.to_string())
    }

    /// Adds the next shards that the id directory does not cover, and merges its next parts. Whether there were any.
    pub fn tick_directory(&self) -> Result<bool, String> {
        self.shared.tick_directory().map_err(|error| error.to_string())
    }

    /// Seals live records if there are enough of them or they are old enough. Whether it did.
    pub fn tick_seal(&self) -> Result<bool, String> {
        self.shared.tick_seal().map_err(|error| error.to_string())
    }

    /// The account of all records since the store was opened.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Keeps a request that a fault of ours could not deal with, for whoever looks for the fault; where it is kept.
    pub fn keep_dead_letter(&self, request: &RawRequest) -> Result<Option<PathBuf>, String> {
        let own = self.shared.settings.data.join(OWN_FOLDER);
        dead_letter::keep(self.shared.disk.as_ref(), &own, request).map_err(|error| error.to_string())
    }

    /// Says from now on, where it is asked, that the end has begun. Requests are accepted until [`Store::shutdown`].
    pub fn announce_shutdown(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Why requests are not accepted just now; empty when they are.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(reason) = self.shared.poisoned.get() {
            reasons.push(AppendError::Poisoned(reason.clone()).to_string());
        }
        if self.shared.closing.load(Ordering::Relaxed) || self.shared.draining.load(Ordering::Relaxed) {
            reasons.push(AppendError::ShuttingDown.to_string());
        }
        reasons.extend(
            self.shared
                .ledger
                .alarm()
                .map(|alarm| format!("the account of records does not add up ({alarm}): keep the log, report it, and start needle anew")),
        );
        let (live_bytes, live_bytes_max) = (self.shared.live_bytes.load(Ordering::Relaxed), self.shared.settings.live_bytes_max);
        if live_bytes >= live_bytes_max {
            reasons.push(AppendError::Full { live_bytes, live_bytes_max }.to_string());
        }
        reasons.extend(self.shared.last_append_failure.lock().clone());
        reasons.extend(self.shared.last_seal_failure.lock().iter().map(|failure| format!("live records could not be sealed: {failure}")));
        reasons
    }

    /// What every answer is missing just now: records that were accepted before the start and are still to be replayed. Empty
    /// when nothing is.
    pub fn not_readable(&self) -> Vec<String> {
        self.shared.state.read().replay.iter().map(ToString::to_string).collect()
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
        self.shared.close();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked; what was acknowledged is in its log");
            }
        }
        if self.shared.is_replaying() {
            return tracing::info!("the log was not replayed to its end; the next start goes on with it");
        }
        if let Err(error) = self.shared.seal_all() {
            tracing::warn!(%error, "live records stay in the log and are replayed at the next start");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    pub(crate) fn snapshot(&self, tenant: &Tenant) -> Snapshot {
        Snapshot::new(&self.state.read(), tenant, self.cache.clone(), self.keep.lookup.clone())
    }

    /// Takes no more requests and ends the threads.
    fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.queue.close();
        self.wake_keeper.ring();
        self.wake_joiner.ring();
        *self.closed.0.lock() = true;
        self.closed.1.notify_all();
    }

    /// Why the queue is closed.
    fn refusal(&self) -> AppendError {
        self.poisoned.get().map_or(AppendError::ShuttingDown, |reason| AppendError::Poisoned(reason.clone()))
    }

    /// Brings gauges and bounds in line with the state.
    pub(crate) fn measure(&self, state: &State) {
        // What is replayed is bounded by itself.
        let live_bytes = state.accepted.bytes();
        if self.live_bytes.swap(live_bytes, Ordering::Relaxed) > live_bytes {
            self.freed.notify_waiters();
        }
        self.metrics.live_bytes.set((live_bytes + state.replayed.bytes()) as i64);
        self.metrics.live_records.set(state.live().map(|batch| batch.records.num_rows() as i64).sum());
        self.metrics.shards.set(state.shards.len() as i64);
        self.metrics.tombstones.set(state.tombstones.values().map(|own| own.iter().count() as i64).sum());
        self.metrics.shard_bytes.set(state.shards.iter().map(|shard| shard.bytes as i64).sum());
        if live_bytes >= self.settings.live_bytes_seal {
            self.wake_keeper.ring();
        }
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, run: fn(&Shared)) -> Result<JoinHandle<()>, OpenError> {
    let shared = shared.clone();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared));
    spawned.map_err(|error| OpenError::Unusable { action: "start a thread for", path: name.into(), error })
}

#[cfg(test)]
pub(crate) mod tests;
