//! One meaning: a query finds the same records live, sealed, merged, after a restart and without the id directory, newest or
//! oldest first, at once or page by page, and those are the records that a few lines say it should find.

mod question;
mod rows;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use needle_storage::model::{Record, Tenant, UnixNanos, Value};
use needle_storage::{BodyFormat, Decoded, Incoming, RawRequest, Store, StoreSettings};
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use self::question::{Question, any_question};
use self::rows::{Row, any_row, decoded};
use crate::{Order, QueryEngine, SearchRequest};

/// Rows by their numbers, in a store whose requests name the rows that they bring.
struct Shelf {
    rows: Arc<Vec<Row>>,
    settings: StoreSettings,
    runtime: Runtime,
}

impl Shelf {
    fn new(rows: Vec<Row>, folder: &Path) -> Shelf {
        let settings = StoreSettings { data: folder.to_owned(), wal_segment_bytes: 64 << 10, ..StoreSettings::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Shelf { rows: Arc::new(rows), settings, runtime }
    }

    fn open(&self) -> Arc<Store> {
        let rows = self.rows.clone();
        let decode = move |request: &RawRequest| Ok(named_by(&request.body, &rows));
        Store::open(&self.settings, Arc::new(decode), &mut Registry::default()).expect("the store opens")
    }

    /// Stores the rows with these numbers.
    fn append(&self, store: &Store, numbers: std::ops::Range<usize>) {
        for format in [BodyFormat::OtlpLogsJson, BodyFormat::OtlpTracesJson] {
            let kind = if format == BodyFormat::OtlpLogsJson { 'l' } else { 's' };
            let body = Bytes::from(format!("{kind} {} {}", numbers.start, numbers.end));
            let decoded = named_by(&body, &self.rows);
            let request = RawRequest { tenant: Tenant::default(), format, arrival: UnixNanos(1), service: None, timezone: None, body };
            self.runtime.block_on(store.append(Incoming { request, decoded, idempotency_key: None })).expect("stored");
        }
    }

    /// The numbers of the rows on a page, and where the next begins.
    fn page(&self, engine: &QueryEngine, request: &SearchRequest) -> (Vec<usize>, Option<String>) {
        let answer = self.runtime.block_on(engine.search(&Tenant::default(), request.clone()));
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", request.query));
        (answer.records.iter().map(number_of).collect(), answer.next_cursor)
    }

    /// All pages.
    fn search(&self, engine: &QueryEngine, mut request: SearchRequest) -> Vec<usize> {
        let mut found = Vec::new();
        loop {
            let (page, next) = self.page(engine, &request);
            found.extend(page);
            match next {
                Some(cursor) => request.cursor = Some(cursor),
                None => return found,
            }
        }
    }

    /// Asks the questions of a store in every way there is.
    fn check(&self, store: &Arc<Store>, stored: usize, questions: &[(Question, String)], limit: usize, state: &str) {
        let engine = QueryEngine::new(store.clone(), &mut Registry::default());
        for (question, query) in questions {
            let mut expected: Vec<usize> = (0..stored).filter(|number| question.holds(&self.rows[*number])).collect();
            let request = |order, limit| SearchRequest { query: query.clone(), limit, order, ..SearchRequest::default() };
            let count = self.runtime.block_on(engine.count(&Tenant::default(), request(Order::Descending, 1))).expect("a count");
            assert_eq!(count.count, expected.len() as u64, "{state}: counting {query}");
            let oldest_first = self.search(&engine, request(Order::Ascending, 1_000));
            assert!(oldest_first.is_sorted_by_key(|number| self.rows[*number].time), "{state}: {query}: not in order");
            let mut found = oldest_first.clone();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{state}: {query}");
            assert_eq!(self.search(&engine, request(Order::Ascending, limit)), oldest_first, "{state}: {query}, pages of {limit}");
            let mut newest_first = self.search(&engine, request(Order::Descending, limit));
            newest_first.reverse();
            assert_eq!(newest_first, oldest_first, "{state}: {query}, newest first, pages of {limit}");
        }
    }

    /// Turns pages while rows arrive and are sealed: what was there at the beginning comes once, what came since at most once.
    fn check_while_arriving(&self, store: &Arc<Store>, stored: usize, question: &(Question, String), order: Order, limit: usize) {
        let engine = QueryEngine::new(store.clone(), &mut Registry::default());
        let mut request = SearchRequest { query: question.1.clone(), limit, order, ..SearchRequest::default() };
        let (mut found, mut arrived) = (Vec::new(), stored);
        loop {
            let (page, next) = self.page(&engine, &request);
            found.extend(page);
            let Some(cursor) = next else { break };
            request.cursor = Some(cursor);
            if arrived < self.rows.len() {
                self.append(store, arrived..arrived + 1);
                arrived += 1;
            }
            if arrived % 3 == 0 {
                self.runtime.block_on(store.flush()).expect("sealed");
            }
        }
        let distinct: BTreeSet<usize> = found.iter().copied().collect();
        assert_eq!(distinct.len(), found.len(), "{}: repeated among {found:?}", question.1);
        let missing: Vec<usize> =
            (0..stored).filter(|number| question.0.holds(&self.rows[*number]) && !distinct.contains(number)).collect();
        assert!(missing.is_empty(), "{}: skipped {missing:?} of {found:?}", question.1);
        assert!(found.iter().all(|number| question.0.holds(&self.rows[*number])), "{}: {found:?}", question.1);
    }
}

/// What a request brings: `l 3 7` are the logs among rows 3 to 6.
fn named_by(body: &[u8], rows: &[Row]) -> Decoded {
    let text = std::str::from_utf8(body).expect("our own bytes");
    let parts: Vec<&str> = text.split(' ').collect();
    let [kind, from, to] = parts.as_slice() else { panic!("not a request of ours: {text}") };
    let number = |text: &str| text.parse::<usize>().expect("a number");
    decoded(&rows[number(from)..number(to)], number(from), *kind == "s")
}

fn number_of(record: &Record) -> usize {
    let number = record.common().attributes.iter().find(|(key, _)| key == "number");
    match number {
        Some((_, Value::Int(number))) => *number as usize,
        other => panic!("a record without its number: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_query_finds_the_same_whatever_became_of_the_records(
        rows in prop::collection::vec(any_row(), 6..60),
        questions in prop::collection::vec(any_question().prop_flat_map(|question| {
            let spelled = question.spelled();
            (Just(question), spelled)
        }), 24),
        limit in 1..9_usize,
        ascending: bool,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::new(rows, folder.path());
        // A third arrives while pages are turned.
        let stored = shelf.rows.len() * 2 / 3;
        let store = shelf.open();
        shelf.append(&store, 0..stored / 3);
        shelf.runtime.block_on(store.flush()).expect("sealed");
        shelf.append(&store, stored / 3..stored / 2);
        shelf.runtime.block_on(store.flush()).expect("sealed");
        shelf.append(&store, stored / 2..stored);
        shelf.check(&store, stored, &questions, limit, "live and sealed");
        shelf.runtime.block_on(store.flush()).expect("sealed");
        shelf.check(&store, stored, &questions, limit, "sealed");
        shelf.runtime.block_on(store.merge()).expect("merged");
        shelf.check(&store, stored, &questions, limit, "merged");
        let order = if ascending { Order::Ascending } else { Order::Descending };
        shelf.check_while_arriving(&store, stored, &questions[0], order, limit);
        drop(store);
        // What arrived is in the log only. Some of it may not have been asked to arrive.
        let (directory, all) = (shelf.settings.data.join("_needle/ids"), shelf.open());
        let stored = shelf.search(&QueryEngine::new(all.clone(), &mut Registry::default()), SearchRequest { limit: 1_000, ..SearchRequest::default() }).len();
        shelf.check(&all, stored, &questions, limit, "after a restart");
        drop(all);
        if directory.exists() {
            std::fs::remove_dir_all(directory).expect("removed");
        }
        shelf.check(&shelf.open(), stored, &questions, limit, "without the id directory");
    }
}
