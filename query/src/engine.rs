//! The engine: each question on a blocking thread, over one consistent snapshot, until the asker goes away.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::Stream;
use needle_storage::model::{IdTerm, Record, RecordId, Tenant, UnixNanos};
use needle_storage::predicate::{IdKind, IdTest, Predicate};
use needle_storage::{AcceptedAfter, AcceptedEach, Coverage, Found, Known, Look, ReadError, RecordPlace, Search, Snapshot, Store};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::aggregate::Aggregation;
use crate::answer::{
    AggregateRequest, CompareAnswer, CompareRequest, CountAnswer, FieldValuesAnswer, FieldValuesRequest, FieldsAnswer, FieldsRequest,
    GraphAnswer, GraphRequest, HistogramAnswer, HistogramRequest, Journey, JourneyRequest, JourneysAnswer, Order, PatternsAnswer,
    PatternsRequest, SearchAnswer, SearchRequest, ServicesAnswer, TailEvent,
};
use crate::error::{QueryError, predicate_in, predicate_of};
use crate::graph::{Visit, Wanted};
use crate::kept::{Kept, KeptJourney, Key};
use crate::limits::{JOURNEY_WHOLE_MAX, TAIL_BACKFILL_MAX};
use crate::metrics::Metrics;
use crate::services::Tally;
use crate::sql::records::Source;
use crate::sql::session::Memory;
use crate::stitch::{Options, Take, Testimony};
use crate::table::Table;
use crate::tail::{Following, Lookout};
use crate::{compare, fields, graph, histogram, journey, journeys, neighbours, notes, patterns, search, services, sql, tail};

/// What the engine can be told.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuerySettings {
    /// Questions that are worked on at once; further ones wait. Each has a thread, and memory for one page of records.
    pub queries_max: usize,
    /// Memory in bytes that aggregations and SQL statements compute in, all together. What would take more is refused.
    pub sql_memory_bytes_max: usize,
}

impl Default for QuerySettings {
    fn default() -> Self {
        QuerySettings { queries_max: 16, sql_memory_bytes_max: 256 << 20 }
    }
}

impl QuerySettings {
    /// Refuses what cannot work; to be called before they are used.
    pub fn check(&self) -> Result<(), String> {
        let above_zero = [("queries_max", self.queries_max), ("sql_memory_bytes_max", self.sql_memory_bytes_max)];
        match above_zero.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("{name} is 0, so that no question would be answered: give a number above it")),
            None => Ok(()),
        }
    }
}

/// Answers questions about a tenant's records.
#[derive(Clone, Debug)]
pub struct QueryEngine {
    store: Arc<Store>,
    metrics: Metrics,
    kept: KeptJourney,
    places: Arc<Semaphore>,
    lookouts: Lookouts,
    memory: Memory,
    told: neighbours::Memory,
}

/// Who looks out for the tails of each tenant, as long as there are some.
type Lookouts = Arc<Mutex<HashMap<Tenant, Weak<Lookout<StoreFeed>>>>>;

impl QueryEngine {
    /// An engine over `store`.
    pub fn new(store: Arc<Store>, metrics: &mut prometheus_client::registry::Registry) -> QueryEngine {
        QueryEngine::with_settings(store, QuerySettings::default(), metrics)
    }

    /// An engine over `store` that was told otherwise.
    pub fn with_settings(store: Arc<Store>, settings: QuerySettings, metrics: &mut prometheus_client::registry::Registry) -> QueryEngine {
        let memory = Memory::new(settings.sql_memory_bytes_max);
        let places = Arc::new(Semaphore::new(settings.queries_max));
        QueryEngine {
            store,
            metrics: Metrics::register(metrics),
            kept: KeptJourney::default(),
            places,
            lookouts: Lookouts::default(),
            memory,
            told: neighbours::Memory::default(),
        }
    }

    /// Records that match.
    pub async fn search(&self, tenant: &Tenant, request: SearchRequest) -> Result<SearchAnswer, QueryError> {
        self.ask("search", tenant, move |reading| {
            let wanted = search::plan(&request)?;
            let mut answer = search::answer(reading.snapshot.search(&wanted, &reading.cancelled())?, request.order);
            // Who finds enough meant what was asked; the first page says it for all.
            if answer.next_cursor.is_none() && request.cursor.is_none() {
                answer.notes = reading.notes(&wanted.predicate, answer.records.is_empty());
            }
            Ok(answer)
        })
        .await
    }

    /// How many records match (`limit`, `cursor` and `order` do not matter).
    pub async fn count(&self, tenant: &Tenant, request: SearchRequest) -> Result<CountAnswer, QueryError> {
        self.ask("count", tenant, move |reading| {
            let predicate = search::predicate_in_range(&request)?;
            let (count, coverage) = reading.snapshot.count(&predicate, request.start, request.end, &reading.cancelled())?;
            let notes = reading.notes(&predicate, count == 0);
            Ok(CountAnswer { count, notes, completeness: search::completeness(&coverage) })
        })
        .await
    }

    /// How many records match, over time and by the values of a field.
    pub async fn histogram(&self, tenant: &Tenant, request: HistogramRequest) -> Result<HistogramAnswer, QueryError> {
        self.ask("histogram", tenant, move |reading| {
            let plan = histogram::Plan::of(&request, reading.snapshot.time_bounds())?;
            Ok(plan.answer(reading.snapshot.histogram(&plan.histogram, &reading.cancelled())?))
        })
        .await
    }

    /// Numbers of matching records, as the pipe of the query says.
    pub async fn aggregate(&self, tenant: &Tenant, request: AggregateRequest) -> Result<Table, QueryError> {
        let memory = self.memory.clone();
        self.ask("aggregate", tenant, move |reading| {
            let aggregation = Aggregation::of(&request)?;
            let mut table = aggregation.answer(&reading.source(), &memory)?;
            table.notes = reading.notes(&aggregation.named(), table.is_empty());
            Ok(table)
        })
        .await
    }

    /// The answer of an SQL statement over the tables `logs` and `spans`.
    pub async fn sql(&self, tenant: &Tenant, statement: String) -> Result<Table, QueryError> {
        let memory = self.memory.clone();
        self.ask("sql", tenant, move |reading| sql::answer(&reading.source(), &memory, &statement)).await
    }

    /// The fields of matching records.
    pub async fn fields(&self, tenant: &Tenant, request: FieldsRequest) -> Result<FieldsAnswer, QueryError> {
        self.ask("fields", tenant, move |reading| {
            let predicate = predicate_in(&request.query, request.start, request.end)?;
            let (counts, coverage) = reading.snapshot.fields(&predicate, request.start, request.end, &reading.cancelled())?;
            Ok(fields::answer(counts, &coverage))
        })
        .await
    }

    /// The most frequent values of a field of matching records.
    pub async fn field_values(&self, tenant: &Tenant, request: FieldValuesRequest) -> Result<FieldValuesAnswer, QueryError> {
        self.ask("field_values", tenant, move |reading| {
            let plan = fields::ValuesPlan::of(&request)?;
            Ok(plan.answer(reading.snapshot.histogram(&plan.histogram, &reading.cancelled())?))
        })
        .await
    }

    /// What the messages of matching logs have in common, and how many are alike.
    pub async fn patterns(&self, tenant: &Tenant, request: PatternsRequest) -> Result<PatternsAnswer, QueryError> {
        self.ask("patterns", tenant, move |reading| {
            let plan = patterns::Plan::of(&request, reading.snapshot.time_bounds())?;
            let found = plan.answer(reading.snapshot.shapes(&plan.wanted, &reading.cancelled())?);
            Ok(found.with_samples(|places| reading.snapshot.records_at(places))?)
        })
        .await
    }

    /// Which values of which fields tell matching records from others.
    pub async fn compare(&self, tenant: &Tenant, request: CompareRequest) -> Result<CompareAnswer, QueryError> {
        self.ask("compare", tenant, move |reading| {
            let plan = compare::Plan::of(&request)?;
            Ok(plan.answer(reading.snapshot.compare(&plan.comparison, &reading.cancelled())?))
        })
        .await
    }

    /// The journey of an id; none when nothing carries it.
    pub async fn journey(&self, tenant: &Tenant, request: JourneyRequest) -> Result<Option<Journey>, QueryError> {
        let (kept, key, deletions) = (self.kept.clone(), Key::of(tenant, &request), self.kept.deletions());
        let answer = self.ask("journey", tenant, move |reading| {
            let page = journey::Page::of(&request)?;
            let same = page.stitching().and_then(|number| kept.get(&key, number)).or_else(|| kept.get_fresh(&key, &reading.snapshot));
            if let Some(Kept { number, outlined, snapshot }) = same {
                return Ok(Some(page.of_kept(&Reading { snapshot, ..reading }, &outlined, number)?));
            }
            let options = Options { inferred: request.inferred, corrected: request.corrected, now: now() };
            let Some(outlined) = neighbours::outline(&reading, &request.id, options, JOURNEY_WHOLE_MAX)? else { return Ok(None) };
            if !page.leaves_some(&outlined) {
                return Ok(Some(page.of_outlined(&reading, outlined)?));
            }
            let Kept { number, outlined, .. } = kept.keep(key, Arc::new(outlined), reading.snapshot.clone(), deletions);
            Ok(Some(page.of_kept(&reading, &outlined, number)?))
        });
        let answer = answer.await;
        self.kept.used();
        answer
    }

    /// The whole tree of a journey, its records without what they say; none when nothing carries the id.
    pub async fn journey_outline(&self, tenant: &Tenant, request: JourneyRequest) -> Result<Option<Journey>, QueryError> {
        let (kept, key, deletions) = (self.kept.clone(), Key::of(tenant, &request), self.kept.deletions());
        let answer = self.ask("journey", tenant, move |reading| {
            let options = Options { inferred: request.inferred, corrected: request.corrected, now: now() };
            if let Some(same) = kept.get_fresh(&key, &reading.snapshot) {
                return Ok(Some(same.outlined.journey.clone()));
            }
            let Some(outlined) = neighbours::outline(&reading, &request.id, options, 0)? else { return Ok(None) };
            let journey = outlined.journey.clone();
            // Who draws a large journey asks for the records of some of its nodes next.
            if journey.nodes_total > JOURNEY_WHOLE_MAX {
                kept.keep(key, Arc::new(outlined), reading.snapshot.clone(), deletions);
            }
            Ok(Some(journey))
        });
        let answer = answer.await;
        self.kept.used();
        answer
    }

    /// Journeys that contain a match, newest match first.
    pub async fn journeys(&self, tenant: &Tenant, request: SearchRequest) -> Result<JourneysAnswer, QueryError> {
        self.ask("journeys", tenant, move |reading| {
            let wanted = search::plan(&SearchRequest { order: Order::Descending, ..request })?;
            Ok(journeys::find(&reading, &wanted, now())?)
        })
        .await
    }

    /// Services seen between two times.
    pub async fn services(&self, tenant: &Tenant, start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<ServicesAnswer, QueryError> {
        self.ask("services", tenant, move |reading| {
            let mut tally = Tally::default();
            let look = services::look(start, end, &Predicate::All);
            let coverage = reading.snapshot.look(&look, &reading.cancelled(), &mut |view, rows| tally.add(view, rows))?;
            Ok(tally.answer(start, end, &coverage))
        })
        .await
    }

    /// Who calls whom between two times.
    pub async fn graph(&self, tenant: &Tenant, request: GraphRequest) -> Result<GraphAnswer, QueryError> {
        self.ask("graph", tenant, move |reading| {
            let predicate = predicate_in(&request.query, request.start, request.end)?;
            Ok(graph::answer(&reading, &Wanted { predicate, start: request.start, end: request.end }, now())?)
        })
        .await
    }

    /// Follows new records that match, from `cursor` or from now; `backfill` older matches come first. After so much silence
    /// there is a sign of life. Called within a runtime.
    pub fn tail(
        &self,
        tenant: &Tenant,
        query: &str,
        cursor: Option<RecordId>,
        backfill: usize,
        heartbeat: Duration,
    ) -> Result<impl Stream<Item = TailEvent> + Send + 'static + use<>, QueryError> {
        let predicate = predicate_of(query)?;
        if backfill > TAIL_BACKFILL_MAX {
            return Err(QueryError::Parameter(format!(
                "{backfill} older records are more than {TAIL_BACKFILL_MAX} at once: search for them, and follow from there"
            )));
        }
        let following = Following { query: query.trim().to_owned(), predicate, cursor, backfill, heartbeat };
        Ok(tail::follow(self.lookout(tenant), following))
    }

    /// Who looks out for a tenant's tails; the first one's tail calls it.
    fn lookout(&self, tenant: &Tenant) -> Arc<Lookout<StoreFeed>> {
        let mut lookouts = self.lookouts.lock();
        if let Some(lookout) = lookouts.get(tenant).and_then(Weak::upgrade) {
            return lookout;
        }
        lookouts.retain(|_, lookout| lookout.strong_count() > 0);
        let feed = StoreFeed { store: self.store.clone(), tenant: tenant.clone() };
        let lookout = Lookout::begin(feed, self.store.accepted());
        lookouts.insert(tenant.clone(), Arc::downgrade(&lookout));
        lookout
    }

    /// Deletes every record that carries an id, in any of its spellings; how many that were.
    pub async fn delete(&self, tenant: &Tenant, id: &str) -> Result<CountAnswer, QueryError> {
        let Some(test) = IdTest::of(IdKind::Any, id) else {
            return Err(QueryError::Parameter(format!("{id:?} is no id: give a trace, request or span id, at most 256 bytes long")));
        };
        let deleted = self.store.delete(tenant, test.terms()).await.map_err(QueryError::Storage)?;
        self.kept.clear();
        if let Some(lookout) = self.lookouts.lock().get(tenant).and_then(Weak::upgrade) {
            lookout.forget();
        }
        Ok(CountAnswer { count: deleted.records, notes: Vec::new(), completeness: search::completeness(&deleted.coverage) })
    }

    /// Seals live records now; with `merge`, also merges until nothing is left to do.
    pub async fn flush(&self, merge: bool) -> Result<(), QueryError> {
        self.store.flush().await.map_err(QueryError::Storage)?;
        if merge {
            self.store.merge().await.map_err(QueryError::Storage)?;
        }
        Ok(())
    }

    /// Why the store does not accept records just now; empty when it does.
    pub fn not_ready(&self) -> Vec<String> {
        self.store.not_ready()
    }

    /// What every answer is missing just now; empty when nothing is.
    pub fn not_readable(&self) -> Vec<String> {
        self.store.not_readable()
    }

    /// Runs a question on a blocking thread, when there is a place. When the returned future is dropped, the question is
    /// withdrawn; its place is free when its work has stopped.
    async fn ask<T: Send + 'static>(
        &self,
        kind: &'static str,
        tenant: &Tenant,
        question: impl FnOnce(Reading) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let began = Instant::now();
        let (store, tenant, told) = (self.store.clone(), tenant.clone(), self.told.clone());
        let asker = Asker::default();
        let withdrawn = asker.0.clone();
        let place = self.places.clone().acquire_owned().await.expect("the places are never closed");
        let (running, metrics) = (self.metrics.begin(), self.metrics.clone());
        let task = tokio::task::spawn_blocking(move || {
            let snapshot = Arc::new(store.snapshot(&tenant));
            let reading = Reading { snapshot, withdrawn: withdrawn.clone(), tenant, told };
            let answer = question(reading);
            if withdrawn.load(Ordering::Relaxed) && answer.is_err() {
                metrics.answered(kind, "withdrawn", began.elapsed().as_secs_f64());
            }
            drop((place, running));
            answer
        });
        let answer = task.await.unwrap_or_else(|error| {
            tracing::error!(kind, %error, "a query failed");
            Err(QueryError::Storage("the query failed within needle; its log says more".to_owned()))
        });
        let outcome = match &answer {
            Ok(_) => "answered",
            Err(QueryError::Storage(_)) => "failed",
            Err(_) => "refused",
        };
        self.metrics.answered(kind, outcome, began.elapsed().as_secs_f64());
        answer
    }
}

/// Withdraws the question when the asker goes away.
#[derive(Default)]
struct Asker(Arc<AtomicBool>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One consistent view, for one question.
struct Reading {
    snapshot: Arc<Snapshot>,
    withdrawn: Arc<AtomicBool>,
    tenant: Tenant,
    told: neighbours::Memory,
}

impl Reading {
    fn cancelled(&self) -> impl Fn() -> bool {
        || self.withdrawn.load(Ordering::Relaxed)
    }

    /// What is to be said beside an answer. That the fields cannot be read is no reason to withhold it.
    fn notes(&self, predicate: &Predicate, is_empty: bool) -> Vec<String> {
        let known = || self.snapshot.fields(&Predicate::All, None, None, &self.cancelled()).ok().map(|(counts, _)| counts);
        notes::of(predicate, is_empty, known)
    }

    /// What tables of this question read from.
    fn source(&self) -> Source {
        Source::new(self.snapshot.clone(), self.withdrawn.clone())
    }
}

impl journeys::Read for Reading {
    fn search(&self, search: &Search) -> Result<Found, ReadError> {
        self.snapshot.search(search, &self.cancelled())
    }
}

impl graph::Read for Reading {
    fn look(&self, look: &Look<'_>, visit: &mut Visit<'_>) -> Result<Coverage, ReadError> {
        self.snapshot.look(look, &self.cancelled(), visit)
    }

    fn count(&self, predicate: &Predicate, start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<u64, ReadError> {
        Ok(self.snapshot.count(predicate, start, end, &self.cancelled())?.0)
    }
}

impl journey::Read for Reading {
    fn by_ids(&self, terms: &[IdTerm], known: &Known<'_>, whole_max: usize, take: &mut Take<'_>) -> Result<Coverage, ReadError> {
        journey::read_outlines(&self.snapshot, terms, known, whole_max, &self.cancelled(), take)
    }

    fn records_at(&self, places: &[RecordPlace]) -> Result<(Vec<Record>, Coverage), ReadError> {
        self.snapshot.records_at(places)
    }
}

impl neighbours::Read for Reading {
    fn look(&self, look: &Look<'_>, visit: &mut Visit<'_>) -> Result<Coverage, ReadError> {
        self.snapshot.look(look, &self.cancelled(), visit)
    }

    fn few_by_ids(&self, terms: &[IdTerm], known: &Known<'_>, max: usize, take: &mut Take<'_>) -> Result<Option<Coverage>, ReadError> {
        let taken = Cell::new(0);
        let enough = || taken.get() > max || self.withdrawn.load(Ordering::Relaxed);
        let read = journey::read_outlines(&self.snapshot, terms, known, 0, &enough, &mut |record, place| {
            taken.set(taken.get() + 1);
            if taken.get() <= max {
                take(record, place);
            }
        });
        match read {
            Err(ReadError::Cancelled) if !self.withdrawn.load(Ordering::Relaxed) => Ok(None),
            Ok(_) if taken.get() > max => Ok(None),
            read => read.map(Some),
        }
    }

    fn remembered(&self, id: &str) -> Option<Arc<Vec<Testimony>>> {
        self.told.get(&self.tenant, &self.snapshot, id)
    }

    fn remember(&self, id: &str, told: &Arc<Vec<Testimony>>) {
        self.told.keep(&self.tenant, &self.snapshot, id, told);
    }
}

/// A store as tails read it.
struct StoreFeed {
    store: Arc<Store>,
    tenant: Tenant,
}

impl tail::Feed for StoreFeed {
    fn next_record_id(&self) -> RecordId {
        self.store.snapshot(&self.tenant).next_record_id()
    }

    fn newest(&self, predicate: &Predicate, until: RecordId, limit: usize) -> Result<Vec<Record>, ReadError> {
        let snapshot = self.store.snapshot(&self.tenant);
        let mut newest: Vec<Record> = Vec::new();
        let mut after = None;
        // What was accepted since is found as well, and left out: it comes when the tail follows.
        while newest.len() < limit {
            let wanted = Search { predicate: predicate.clone(), start: None, end: None, ascending: false, after, limit };
            let found = snapshot.search(&wanted, &|| false)?;
            after = found.records.last().map(|record| (record.common().time, record.common().record_id));
            newest.extend(found.records.into_iter().filter(|record| record.common().record_id < until));
            if !found.more || after.is_none() {
                break;
            }
        }
        newest.truncate(limit);
        newest.reverse();
        Ok(newest)
    }

    fn accepted_from(&self, from: RecordId, predicate: &Predicate, limit: usize) -> Result<AcceptedAfter, ReadError> {
        self.store.snapshot(&self.tenant).accepted_from(from, predicate, limit)
    }

    fn accepted_between(&self, from: RecordId, until: RecordId, predicates: &[&Predicate]) -> Result<AcceptedEach, ReadError> {
        self.store.snapshot(&self.tenant).accepted_between(from, until, predicates)
    }
}

fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
