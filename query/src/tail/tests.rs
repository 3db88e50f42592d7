use futures::StreamExt as _;
use needle_storage::model::{Common, Log};
use parking_lot::Mutex;

use super::*;

/// Records by number, even ones matching; what was accepted is told by the sender.
struct Numbers {
    accepted: watch::Receiver<RecordId>,
    /// Where tails read by themselves.
    reads: Mutex<Vec<RecordId>>,
    /// Where the lookout looked, and for how many predicates.
    rounds: Mutex<Vec<(RecordId, usize)>>,
}

fn record(n: u64) -> Record {
    Record::Log(Log { common: Common { record_id: RecordId(n), ..Common::default() }, ..Log::default() })
}

/// All match a `Predicate::Not`, even ones the others.
fn matches(predicate: &Predicate, n: u64) -> bool {
    matches!(predicate, Predicate::Not(_)) || n.is_multiple_of(2)
}

impl Feed for Numbers {
    fn next_record_id(&self) -> RecordId {
        *self.accepted.borrow()
    }

    fn newest(&self, _: &Predicate, until: RecordId, limit: usize) -> Result<Vec<Record>, ReadError> {
        let all: Vec<Record> = (0..until.0).filter(|n| n % 2 == 0).map(record).collect();
        Ok(all[all.len().saturating_sub(limit)..].to_vec())
    }

    fn accepted_from(&self, from: RecordId, predicate: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError> {
        self.reads.lock().push(from);
        let next = self.next_record_id().0.min(from.0 + limit as u64 * 2);
        Ok(AcceptedAfter {
            records: (from.0..next).filter(|n| matches(predicate, *n)).map(record).collect(),
            next: RecordId(next),
            ..AcceptedAfter::default()
        })
    }

    fn accepted_between(&self, from: RecordId, until: RecordId, predicates: &[&Predicate]) -> Result<AcceptedEach, ReadError> {
        self.rounds.lock().push((from, predicates.len()));
        let matched = |n| (0..predicates.len()).filter(|at| matches(predicates[*at], n)).collect::<Vec<_>>();
        let records = (from.0..until.0).map(|n| (record(n), matched(n))).filter(|(_, matched)| !matched.is_empty());
        Ok(AcceptedEach { records: records.collect(), next: until, ..AcceptedEach::default() })
    }
}

const NEVER: Duration = Duration::from_secs(3_600);

fn lookout(accepted: u64) -> (watch::Sender<RecordId>, Arc<Lookout<Numbers>>) {
    let (sender, receiver) = watch::channel(RecordId(accepted));
    let feed = Numbers { accepted: receiver.clone(), reads: Mutex::default(), rounds: Mutex::default() };
    (sender, Lookout::begin(feed, receiver))
}

fn following(cursor: Option<u64>, backfill: usize, heartbeat: Duration) -> Following {
    Following { query: "even".to_owned(), predicate: Predicate::All, cursor: cursor.map(RecordId), backfill, heartbeat }
}

fn tail(
    accepted: u64,
    cursor: Option<u64>,
    backfill: usize,
    heartbeat: Duration,
) -> (watch::Sender<RecordId>, impl Stream<Item = TailEvent>) {
    let (sender, lookout) = lookout(accepted);
    (sender, follow(lookout, following(cursor, backfill, heartbeat)))
}

async fn take(stream: &mut (impl Stream<Item = TailEvent> + Unpin), count: usize) -> Vec<(u64, u64)> {
    let mut shown = Vec::new();
    for _ in 0..count {
        match stream.next().await.expect("the stream goes on") {
            TailEvent::Record { record, cursor } => shown.push((record.record().common().record_id.0, cursor.0)),
            other => panic!("not a record: {other:?}"),
        }
    }
    shown
}

#[tokio::test]
async fn a_tail_begins_now_and_shows_what_is_accepted() {
    let (sender, stream) = tail(10, None, 0, NEVER);
    let mut stream = Box::pin(stream);
    sender.send(RecordId(15)).expect("a receiver");
    assert_eq!(take(&mut stream, 3).await, [(10, 11), (12, 13), (14, 15)]);
    let waiting = tokio::spawn(async move { take(&mut stream, 1).await });
    tokio::task::yield_now().await;
    sender.send(RecordId(17)).expect("a receiver");
    assert_eq!(waiting.await.expect("no panic"), [(16, 17)]);
}

#[tokio::test]
async fn older_matches_come_first_and_none_twice() {
    let (sender, stream) = tail(10, None, 3, NEVER);
    let mut stream = Box::pin(stream);
    sender.send(RecordId(13)).expect("a receiver");
    assert_eq!(take(&mut stream, 5).await, [(4, 10), (6, 10), (8, 10), (10, 11), (12, 13)]);
}

#[tokio::test]
async fn a_cursor_resumes_without_loss_or_repetition() {
    let (_sender, stream) = tail(9, Some(5), 100, NEVER);
    let mut stream = Box::pin(stream);
    assert_eq!(take(&mut stream, 2).await, [(6, 7), (8, 9)]);
    let (sender, stream) = tail(3, Some(1_000), 0, NEVER);
    let mut stream = Box::pin(stream);
    sender.send(RecordId(5)).expect("a receiver");
    assert_eq!(take(&mut stream, 1).await, [(4, 5)]);
}

#[tokio::test]
async fn a_reader_far_behind_is_told_how_much_it_missed() {
    let behind = TAIL_BEHIND_RECORDS_MAX + 7;
    let (sender, stream) = tail(behind, Some(0), 0, NEVER);
    let mut stream = Box::pin(stream);
    let first = stream.next().await;
    assert!(matches!(first, Some(TailEvent::Gap { skipped, cursor }) if skipped == behind && cursor == RecordId(behind)), "{first:?}");
    sender.send(RecordId(behind + 2)).expect("a receiver");
    assert_eq!(take(&mut stream, 1).await, [(behind + 1, behind + 2)]);
}

#[tokio::test]
async fn a_backlog_within_the_bound_is_shown_whole() {
    let (_sender, stream) = tail(9_000, Some(0), 0, NEVER);
    let mut stream = Box::pin(stream);
    let shown = take(&mut stream, 4_500).await;
    assert!(shown.iter().map(|(n, _)| *n).eq((0..9_000).step_by(2)));
}

#[tokio::test]
async fn silence_is_filled_with_heartbeats_and_the_end_is_the_stores() {
    let (sender, stream) = tail(10, None, 0, Duration::from_millis(1));
    let mut stream = Box::pin(stream);
    for _ in 0..3 {
        assert!(matches!(stream.next().await, Some(TailEvent::Heartbeat { cursor: RecordId(10) })));
    }
    drop(sender);
    while let Some(event) = stream.next().await {
        assert!(matches!(event, TailEvent::Heartbeat { .. }));
    }
}

#[tokio::test]
async fn tails_of_one_query_are_looked_for_once_and_none_reads_by_itself() {
    let (sender, lookout) = lookout(10);
    let mut tails: Vec<_> = (0..5).map(|_| Box::pin(follow(lookout.clone(), following(None, 0, NEVER)))).collect();
    let odd = Following { query: "all".to_owned(), predicate: Predicate::Not(Box::new(Predicate::All)), ..following(None, 0, NEVER) };
    let mut all = Box::pin(follow(lookout.clone(), odd));
    sender.send(RecordId(14)).expect("a receiver");
    for tail in &mut tails {
        assert_eq!(take(tail, 2).await, [(10, 11), (12, 13)]);
    }
    assert_eq!(take(&mut all, 4).await, [(10, 11), (11, 12), (12, 13), (13, 14)]);
    let feed = lookout.feed();
    assert!(feed.rounds.lock().iter().all(|(_, predicates)| *predicates == 2), "{:?}", feed.rounds.lock());
    assert_eq!(*feed.reads.lock(), []);
}

#[tokio::test]
async fn a_slow_reader_gets_from_the_store_what_made_room() {
    let (sender, lookout) = lookout(0);
    let mut slow = Box::pin(follow(lookout.clone(), following(Some(0), 0, NEVER)));
    let mut fast = Box::pin(follow(lookout.clone(), following(Some(0), 0, NEVER)));
    for until in (200..=4_000).step_by(200) {
        sender.send(RecordId(until)).expect("a receiver");
        assert_eq!(take(&mut fast, 100).await.last(), Some(&(until - 2, until - 1)));
    }
    assert_eq!(*lookout.feed().reads.lock(), [], "who keeps up does not read");
    assert!(take(&mut slow, 2_000).await.into_iter().map(|(n, _)| n).eq((0..4_000).step_by(2)));
    assert!(!lookout.feed().reads.lock().is_empty(), "the ring holds less than all of it");
}

#[tokio::test]
async fn what_was_found_before_a_deletion_is_not_shown_after_it() {
    let (sender, lookout) = lookout(0);
    let watched = lookout.watch("even", &Predicate::All);
    sender.send(RecordId(4)).expect("a receiver");
    while !lookout.look().expect("a round") {}
    assert!(matches!(watched.after(RecordId(0)), Next::Event(_)));
    lookout.forget();
    assert!(matches!(watched.after(RecordId(0)), Next::Forgotten), "the store knows what was deleted");
    assert!(matches!(watched.after(RecordId(4)), Next::Nothing(RecordId(4))));
}

#[tokio::test]
async fn a_lookout_that_cannot_keep_up_tells_its_tails_what_they_missed() {
    let (sender, lookout) = lookout(0);
    let mut tail = Box::pin(follow(lookout.clone(), following(None, 0, NEVER)));
    let behind = TAIL_BEHIND_RECORDS_MAX + 7;
    sender.send(RecordId(behind)).expect("a receiver");
    let event = tail.next().await;
    assert!(matches!(event, Some(TailEvent::Gap { skipped, cursor }) if skipped == behind && cursor == RecordId(behind)), "{event:?}");
    sender.send(RecordId(behind + 2)).expect("a receiver");
    assert_eq!(take(&mut tail, 1).await, [(behind + 1, behind + 2)]);
}
