//! A store that lives several times: producers send to it while it seals, merges, retires and deletes, until something
//! happens to its disk; then it is opened again, perhaps more than once, and everything in it is held against the truth.

use std::sync::Arc;
use std::time::{Duration, Instant};

use needle_ingest::storage::model::{Record, Tenant, Value};
use needle_ingest::storage::predicate::{IdKind, IdTest, Predicate};
use needle_ingest::storage::{
    AppendError, BodyFormat, Clock as _, Decode, Incoming, OpenError, RawRequest, Search, Store, StoreSettings, SystemClock,
};
use needle_ingest::{IngestSettings, decoder};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::disk::{Fault, Lies, SimulatedDisk};
use crate::oracle::{Answer, Batch, Oracle, Told, Verdict};
use crate::random::Random;

/// What a program may get wrong, planted to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bug {
    pub(crate) lies: Lies,
    /// A repetition is not recognised.
    pub(crate) forgets_repetitions: bool,
    /// Starts do not make durable what a killed process left to the kernel.
    pub(crate) starts_unsynced: bool,
}

/// One store on one disk.
pub(crate) struct Life {
    folder: tempfile::TempDir,
    disk: SimulatedDisk,
    random: Random,
    oracle: Oracle,
    producers: u64,
    bug: Bug,
    /// How often it is opened before its log is replayed.
    replays_behind: f64,
    pub(crate) ends: Ends,
}

/// How often its process was ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    /// And the next one saw what it had left to the kernel.
    pub(crate) killed: u64,
    /// Before it was open, by a kill or with the power.
    pub(crate) while_opening: u64,
}

impl Ends {
    pub(crate) fn add(&mut self, other: Ends) {
        self.killed += other.killed;
        self.while_opening += other.while_opening;
    }
}

/// What is done to a store, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    SendTogether,
    Again,
    Flush,
    Merge,
    Retire,
    Collect,
    Index,
    Delete,
}

/// As often as it stands here.
const STEPS: [Step; 24] = [
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::Send,
    Step::SendTogether,
    Step::SendTogether,
    Step::SendTogether,
    Step::Again,
    Step::Again,
    Step::Again,
    Step::Flush,
    Step::Flush,
    Step::Flush,
    Step::Flush,
    Step::Merge,
    Step::Merge,
    Step::Retire,
    Step::Collect,
    Step::Index,
    Step::Delete,
];

impl Life {
    pub(crate) fn new(seed: u64, number: u64, bug: Bug) -> Life {
        let disk = SimulatedDisk::default();
        let folder = tempfile::tempdir().expect("a folder for the catalog");
        let random = Random::of(seed, number);
        Life { folder, disk, random, oracle: Oracle::default(), producers: 0, bug, replays_behind: 0.5, ends: Ends::default() }
    }

    /// One whose log is always replayed while others steps are done.
    pub(crate) fn replaying_behind(seed: u64, number: u64) -> Life {
        Life { replays_behind: 1.0, ..Life::new(seed, number, Bug::default()) }
    }

    /// Opens the store, does `steps` things to it, and closes it. What happens to the disk is for the caller to plan.
    pub(crate) async fn live(&mut self, steps: usize) -> Result<(), OpenError> {
        let store = self.open()?;
        self.repeat_unanswered(&store).await;
        for _ in 0..steps {
            self.step(&store).await;
        }
        Ok(())
    }

    /// Lets the fault happen within one of the next operations, and lives until then.
    pub(crate) async fn live_with(&mut self, operations: u64, fault: Fault, steps: usize) -> Result<(), OpenError> {
        self.disk.plan(operations, fault);
        self.live(steps).await
    }

    pub(crate) fn operations(&self) -> u64 {
        self.disk.operations()
    }

    /// Whether what was planned happened.
    pub(crate) fn was_hit(&self) -> bool {
        self.disk.happened().is_some()
    }

    /// Switches the power off and on.
    pub(crate) fn cut(&mut self) {
        self.disk.cut(&mut self.random);
    }

    /// Lives of which each is killed at one of its operations, and leaves to the next what it did not sync.
    pub(crate) async fn live_and_be_killed(&mut self, steps: usize) {
        while self.random.happens(0.5) {
            if self.random.happens(0.5) {
                let scale = self.random.between(1, 8);
                self.disk.plan(self.random.between(1, 1 << scale), Fault::Kill);
            } else {
                self.disk.plan_at_creation(self.random.between(1, 3), Fault::Kill);
            }
            // A start that the kill prevents is judged by the next one.
            _ = self.live(steps).await;
            self.ends.killed += u64::from(self.was_hit());
            self.disk.mend();
        }
    }

    /// Opens the store after a cut, sometimes with cuts and kills while it opens, and judges what is in it: as it was opened,
    /// and after everything was sealed and merged.
    pub(crate) async fn judge(&mut self) -> Result<Verdict, OpenError> {
        while self.random.happens(0.3) {
            let operations = self.random.between(1, 12);
            let fault = *self.random.pick(&[Fault::Cut, Fault::Kill]);
            self.disk.plan(operations, fault);
            // It may open before that.
            self.ends.while_opening += u64::from(self.open().is_err());
            match fault {
                Fault::Cut => self.cut(),
                _ => self.disk.mend(),
            }
        }
        self.disk.mend();
        let store = self.open()?;
        wait_replayed(&store);
        let mut verdict = self.oracle.judge(everything(&store).iter().map(told));
        if self.random.happens(0.5) {
            store.flush().await.expect("the disk is well");
            store.merge().await.expect("the disk is well");
            let later = self.oracle.judge(everything(&store).iter().map(told));
            verdict.add(&Verdict { audited: 0, ..later });
        }
        Ok(verdict)
    }

    fn open(&mut self) -> Result<Arc<Store>, OpenError> {
        let settings = StoreSettings {
            data: self.folder.path().to_owned(),
            wal_segment_bytes: 16 << 10,
            replay_at_open_bytes_max: if self.random.happens(self.replays_behind) { 0 } else { u64::MAX },
            reserve_bytes: 4096,
            // Only what the steps say.
            seal_interval_ms: 86_400_000,
            ..StoreSettings::default()
        };
        let starting = Lies { files: true, folders: true };
        self.disk.lie(if self.bug.starts_unsynced { starting } else { self.bug.lies });
        let store = Store::open_with(&settings, decode(), self.disk.handle(), Arc::new(SystemClock::default()), &mut Registry::default());
        self.disk.lie(self.bug.lies);
        store
    }

    async fn step(&mut self, store: &Arc<Store>) {
        // What fails is in the oracle already: as not answered.
        match *self.random.pick(&STEPS) {
            Step::Send => self.send_new(store, 1).await,
            Step::SendTogether => {
                let batches = self.random.between(2, 5);
                self.send_new(store, batches).await;
            }
            Step::Again => self.send_again(store).await,
            Step::Flush => _ = store.flush().await,
            Step::Merge => _ = store.merge().await,
            Step::Retire => _ = store.tick_retire(),
            Step::Collect => _ = store.tick_collect(),
            Step::Index => _ = store.tick_directory(),
            Step::Delete => self.delete(store).await,
        }
    }

    async fn send_new(&mut self, store: &Arc<Store>, batches: u64) {
        let first = self.oracle.batches.len();
        for _ in 0..batches {
            self.producers += 1;
            let records = if self.random.happens(0.1) { self.random.between(100, 400) } else { self.random.between(1, 20) };
            let first = self.random.below(1_000);
            let batch = Batch { producer: self.producers, first, records, answer: Answer::No, deletion: Answer::No };
            self.oracle.batches.push(batch);
        }
        let all: Vec<usize> = (first..self.oracle.batches.len()).collect();
        self.send(store, &all).await;
    }

    /// One that was answered, several times at once: a repetition is not stored again.
    async fn send_again(&mut self, store: &Arc<Store>) {
        let answered = |batch: &Batch| batch.answer == Answer::Yes && batch.deletion == Answer::No;
        let known: Vec<usize> = (0..self.oracle.batches.len()).filter(|at| answered(&self.oracle.batches[*at])).collect();
        if !known.is_empty() {
            let at = *self.random.pick(&known);
            let times = self.random.between(1, 3) as usize;
            self.send(store, &vec![at; times]).await;
        }
    }

    /// Producers that were not answered send again after the start; some never come back.
    async fn repeat_unanswered(&mut self, store: &Arc<Store>) {
        let unanswered = (0..self.oracle.batches.len()).filter(|at| self.oracle.batches[*at].answer == Answer::Unknown);
        let unanswered: Vec<usize> = unanswered.collect();
        let again: Vec<usize> = unanswered.into_iter().filter(|_| self.random.happens(0.7)).collect();
        self.send(store, &again).await;
    }

    /// Sends batches at once and notes the answers.
    async fn send(&mut self, store: &Arc<Store>, batches: &[usize]) {
        let mut sending = JoinSet::new();
        for (copy, at) in batches.iter().enumerate() {
            let (store, batch) = (store.clone(), self.oracle.batches[*at].clone());
            // A program that forgets repetitions stores what it takes for something new.
            let key = self.bug.forgets_repetitions.then(|| format!("{at} {copy} {}", self.random.next()));
            let at = *at;
            sending.spawn(async move { (at, send(&store, &batch, key).await) });
        }
        while let Some(sent) = sending.join_next().await {
            let (at, answer) = sent.expect("a sender does not panic");
            let known = &mut self.oracle.batches[at].answer;
            *known = match (*known, answer) {
                (Answer::Yes, _) | (_, Answer::Yes) => Answer::Yes,
                (Answer::Unknown, _) | (_, Answer::Unknown) => Answer::Unknown,
                _ => Answer::No,
            };
        }
    }

    async fn delete(&mut self, store: &Arc<Store>) {
        let answered = |batch: &&mut Batch| batch.answer == Answer::Yes && batch.deletion == Answer::No;
        let mut known: Vec<&mut Batch> = self.oracle.batches.iter_mut().filter(answered).collect();
        if known.is_empty() {
            return;
        }
        let at = self.random.below(known.len() as u64) as usize;
        let batch = &mut known[at];
        batch.deletion = Answer::Unknown;
        let test = IdTest::of(IdKind::Any, &batch.order()).expect("an order is an id");
        if store.delete(&Tenant::default(), test.terms()).await.is_ok() {
            batch.deletion = Answer::Yes;
        }
    }
}

fn decode() -> Decode {
    decoder(&IngestSettings::default())
}

async fn send(store: &Store, batch: &Batch, idempotency_key: Option<String>) -> Answer {
    let arrival = SystemClock::default().now();
    let request = RawRequest {
        tenant: Tenant::default(),
        format: BodyFormat::JsonLogs,
        arrival,
        service: None,
        timezone: None,
        body: batch.body().into(),
    };
    let decoded = decode()(&request).expect("the batch is sound");
    match store.append(Incoming { request, decoded, idempotency_key }).await {
        Ok(_) => Answer::Yes,
        // Was not even tried.
        Err(AppendError::Full { .. } | AppendError::ShuttingDown) => Answer::No,
        // May have reached the disk.
        Err(AppendError::Disk(_) | AppendError::Poisoned(_)) => Answer::Unknown,
    }
}

/// Waits until nothing is missing; a replay that fails is one that never ends.
fn wait_replayed(store: &Store) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !store.not_readable().is_empty() {
        assert!(Instant::now() < deadline, "the log is not replayed: {:?}", store.not_ready());
        std::thread::yield_now();
    }
}

fn everything(store: &Store) -> Vec<Record> {
    let search = Search { predicate: Predicate::All, start: None, end: None, ascending: true, after: None, limit: usize::MAX };
    let found = store.snapshot(&Tenant::default()).search(&search, &|| false).expect("the disk is well");
    // What it says it cannot read is missing, and is counted as lost.
    found.records
}

fn told(record: &Record) -> Told<'_> {
    let Record::Log(log) = record else { return Told { service: "", message: "", sequence: None, padding: None } };
    let attribute = |key: &str| log.common.attributes.iter().find(|(own, _)| own == key).map(|(_, value)| value);

    Told {
        service: &log.common.service,
        message: log.body.as_ref().and_then(text).unwrap_or_default(),
        sequence: if let Some(Value::Int(sequence)) = attribute("sequence") { Some(*sequence) } else { None },
        padding: attribute("padding").and_then(text),
    }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}
