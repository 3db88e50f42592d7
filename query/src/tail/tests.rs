use std::sync::Mutex;

use futures::StreamExt as _;
use needle_storage::model::{Common, Log};

use super::*;

/// Records by number, even ones matching; what was accepted is told by the sender.
struct Numbers {
    accepted: watch::Receiver<RecordId>,
    reads: Mutex<Vec<RecordId>>,
}

fn record(n: u64) -> Record {
    Record::Log(Log { common: Common { record_id: RecordId(n), ..Common::default() }, ..Log::default() })
}

impl Feed for Numbers {
    fn next_record_id(&self) -> RecordId {
        *self.accepted.borrow()
    }

    fn newest(&self, _: &Predicate, until: RecordId, limit: usize) -> Result<Vec<Record>, ReadError> {
        let all: Vec<Record> = (0..until.0).filter(|n| n % 2 == 0).map(record).collect();
        Ok(all[all.len().saturating_sub(limit)..].to_vec())
    }

    fn accepted_from(&self, from: RecordId, _: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError> {
        self.reads.lock().expect("no reader panicked").push(from);
        let next = self.next_record_id().0.min(from.0 + limit as u64 * 2);
        Ok(AcceptedAfter {
            records: (from.0..next).filter(|n| n % 2 == 0).map(record).collect(),
            next: RecordId(next),
            ..AcceptedAfter::default()
        })
    }
}

const NEVER: Duration = Duration::from_secs(3_600);

fn tail(
    accepted: u64,
    cursor: Option<u64>,
    backfill: usize,
    heartbeat: Duration,
) -> (watch::Sender<RecordId>, impl Stream<Item = TailEvent>) {
    let (sender, receiver) = watch::channel(RecordId(accepted));
    let feed = Numbers { accepted: receiver.clone(), reads: Mutex::new(Vec::new()) };
    (sender, follow(feed, Predicate::All, receiver, cursor.map(RecordId), backfill, heartbeat))
}

async fn take(stream: &mut (impl Stream<Item = TailEvent> + Unpin), count: usize) -> Vec<(u64, u64)> {
    let mut shown = Vec::new();
    for _ in 0..count {
        match stream.next().await.expect("the stream goes on") {
            TailEvent::Record { record, cursor } => shown.push((record.common().record_id.0, cursor.0)),
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
