//! From one id to all records of its journey: ids lead to records, records to further ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use needle_storage::model::{IdTerm, NormalId, Record, RecordId, TraceId};
use needle_storage::predicate::{IdKind, IdTest};
use needle_storage::{Found, Known, ReadError};

use crate::answer::{Hub, LinkedJourney};
use crate::ids;
use crate::limits::{CLOSE_IDS_MAX, CLOSE_RECORDS_MAX, CLOSE_ROUNDS_MAX, HUB_IDS_MAX};

/// All records reached from an id.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// Each once, by time and record id.
    pub(crate) records: Vec<Record>,
    /// Ids that were not followed.
    pub(crate) hubs: Vec<Hub>,
    /// Traces whose spans name a trace of this journey.
    pub(crate) incoming: Vec<LinkedJourney>,
    /// Shards read or ruled out.
    pub(crate) shards_searched: usize,
    /// Shards that could not be read, and why.
    pub(crate) failures: Vec<String>,
    /// Bounds that were reached, in words.
    pub(crate) cut: Vec<String>,
}

/// Follows `id` to a fixed point. `fetch` answers the records that carry one of the terms; those that are known
/// already it may leave out.
///
/// An id whose records carry more than [`HUB_IDS_MAX`] other traces or request ids joins what does not
/// belong together (a session, a load test, a batch): it is named as a hub and leads no further. If it
/// is the id asked for, its own records are the journey. A trace that is a hub keeps its records.
pub(crate) fn close<F>(id: &str, fetch: &mut F) -> Result<Closed, ReadError>
where
    F: FnMut(&[IdTerm], &Known<'_>) -> Result<Found, ReadError>,
{
    let Some(start) = ids::test_of(IdKind::Any, id) else { return Ok(Closed::default()) };
    let mut closure = Closure::new(start);
    for round in 0.. {
        let terms = closure.next_terms();
        if terms.is_empty() {
            break;
        }
        if round == CLOSE_ROUNDS_MAX {
            closure.closed.cut.push(format!("ids were followed {CLOSE_ROUNDS_MAX} times over; there may be more behind the last ones"));
            break;
        }
        let is_known = |record_id| closure.records.contains_key(&record_id);
        let known = if closure.records.is_empty() { Known::nothing() } else { Known::of(&is_known) };
        let found = fetch(&terms, &known)?;
        closure.take(found);
        if closure.records.len() > CLOSE_RECORDS_MAX {
            closure.closed.cut.push(format!("the journey has more than {CLOSE_RECORDS_MAX} records; no further ids were followed"));
            break;
        }
    }
    Ok(closure.finish())
}

/// What became of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    /// Its records belong to the journey, and their ids are followed.
    Leads,
    /// Its records belong to the journey; their ids are not followed.
    Ends,
    /// What carries it does not belong together.
    Hub,
}

/// A record with the ids by which it joins others.
struct Held {
    record: Record,
    ids: Vec<NormalId>,
    matches_start: bool,
}

struct Closure {
    start: IdTest,
    records: BTreeMap<RecordId, Held>,
    /// Ids that were asked for.
    followed: BTreeMap<NormalId, Follow>,
    frontier: BTreeSet<NormalId>,
    first_round: bool,
    closed: Closed,
}

impl Closure {
    fn new(start: IdTest) -> Closure {
        let frontier = start.id.iter().cloned().collect();
        Closure { start, records: BTreeMap::new(), followed: BTreeMap::new(), frontier, first_round: true, closed: Closed::default() }
    }

    /// The terms of the ids to follow now.
    fn next_terms(&mut self) -> Vec<IdTerm> {
        let mut terms: BTreeSet<IdTerm> = self.frontier.iter().flat_map(terms_of).collect();
        if std::mem::take(&mut self.first_round) {
            terms.extend(self.start.terms());
        }
        terms.into_iter().collect()
    }

    fn take(&mut self, found: Found) {
        self.closed.shards_searched = self.closed.shards_searched.max(found.coverage.shards_searched);
        for failure in found.coverage.failures {
            if !self.closed.failures.contains(&failure) {
                self.closed.failures.push(failure);
            }
        }
        for record in found.records {
            let record_id = record.common().record_id;
            self.records.entry(record_id).or_insert_with(|| {
                let ids = join_ids(&record);
                let matches_start = carries(&record, &ids, &self.start);
                Held { record, ids, matches_start }
            });
        }
        let asked = std::mem::take(&mut self.frontier);
        for (id, follow, hub) in self.judge(&asked) {
            self.closed.hubs.extend(hub);
            if let Some(half) = low_half(&id) {
                self.followed.entry(half).or_insert(follow);
            }
            self.followed.insert(id, follow);
        }
        self.extend_frontier();
    }

    /// What becomes of each of the ids asked for, by what is found with it.
    fn judge(&self, asked: &BTreeSet<NormalId>) -> Vec<(NormalId, Follow, Option<Hub>)> {
        let carriers = self.carriers(asked);
        let judge_one = |id: &NormalId| {
            let held = carriers.get(id).map_or(&[][..], Vec::as_slice);
            let joined: BTreeSet<&NormalId> = held.iter().flat_map(|held| &held.ids).filter(|other| *other != id).collect();
            if joined.len() <= HUB_IDS_MAX {
                return (id.clone(), Follow::Leads, None);
            }
            // A trace belongs together whatever request ids it has; what shares a request id may not.
            let is_trace = held.iter().any(|held| held.record.common().trace_id.map(NormalId::of_trace).as_ref() == Some(id));
            let reason = format!("found together with {} other ids (more than {HUB_IDS_MAX}), so they were not followed", joined.len());
            let spelled = held.iter().find_map(|held| spelling(&held.record, id)).unwrap_or_default();
            (id.clone(), if is_trace { Follow::Ends } else { Follow::Hub }, Some(Hub { id: spelled, reason }))
        };
        asked.iter().map(judge_one).collect()
    }

    fn carriers<'a>(&'a self, asked: &'a BTreeSet<NormalId>) -> HashMap<NormalId, Vec<&'a Held>> {
        let mut carriers: HashMap<NormalId, Vec<&Held>> = HashMap::new();
        for held in self.records.values() {
            for id in held.ids.iter().flat_map(with_low_half).filter(|id| asked.contains(id)) {
                carriers.entry(id).or_default().push(held);
            }
        }
        carriers
    }

    fn extend_frontier(&mut self) {
        let mut fresh = BTreeSet::new();
        for held in self.records.values().filter(|held| self.leads_on(held)) {
            fresh.extend(held.ids.iter().filter(|id| !self.followed.contains_key(id)).cloned());
        }
        let room = CLOSE_IDS_MAX.saturating_sub(self.followed.len());
        if fresh.len() > room {
            self.closed.cut.push(format!("the journey has more than {CLOSE_IDS_MAX} ids; the rest was not followed"));
        }
        self.frontier = fresh.into_iter().take(room).collect();
    }

    /// Whether the ids of a record are followed: it was reached otherwise than by a hub.
    fn leads_on(&self, held: &Held) -> bool {
        self.reached(held, |follow| follow == Follow::Leads) || span_matches(&held.record, &self.start)
    }

    fn belongs(&self, held: &Held) -> bool {
        held.matches_start || self.reached(held, |follow| follow != Follow::Hub)
    }

    fn reached(&self, held: &Held, accepted: impl Fn(Follow) -> bool) -> bool {
        held.ids.iter().flat_map(with_low_half).any(|id| self.followed.get(&id).copied().is_some_and(&accepted))
    }

    fn finish(mut self) -> Closed {
        let ours: BTreeSet<TraceId> =
            self.records.values().filter(|held| self.belongs(held)).filter_map(|held| held.record.common().trace_id).collect();
        let (kept, others): (Vec<Held>, Vec<Held>) = std::mem::take(&mut self.records).into_values().partition(|held| self.belongs(held));
        for held in others {
            self.closed.incoming.extend(incoming_link(&held.record, &ours));
        }
        self.closed.incoming.sort_by_key(|link| (link.trace_id, link.span_id));
        self.closed.incoming.dedup();
        let mut records: Vec<Record> = kept.into_iter().map(|held| held.record).collect();
        records.sort_by_key(|record| (record.common().time, record.common().record_id));
        self.closed.records = records;
        self.closed.hubs.sort_by(|a, b| a.id.cmp(&b.id));
        self.closed
    }
}

/// The terms under which the records of an id are found: a 64-bit id also by the traces that end in it,
/// a 128-bit one also by services that know its low half only. Spans that link to it are found as well;
/// they lead to linked journeys.
fn terms_of(id: &NormalId) -> Vec<IdTerm> {
    let mut terms = IdTest { kind: IdKind::Any, id: Some(id.clone()), span: None }.terms();
    terms.extend(low_half(id).map(|half| half.term()));
    terms.push(IdTerm::of_link(id));
    terms
}

/// The low 64 bits of a 128-bit id, as Datadog's tracers log them.
pub(super) fn low_half(id: &NormalId) -> Option<NormalId> {
    match id {
        NormalId::Wide(bytes) => {
            let half: [u8; 8] = bytes[8..].try_into().expect("8 of 16 bytes");
            (half != [0; 8]).then_some(NormalId::Short(half))
        }
        _ => None,
    }
}

fn with_low_half(id: &NormalId) -> impl Iterator<Item = NormalId> + use<> {
    low_half(id).into_iter().chain([id.clone()])
}

/// The trace and request ids of a record, in normal form, each once.
pub(crate) fn join_ids(record: &Record) -> Vec<NormalId> {
    let common = record.common();
    let mut ids: Vec<NormalId> = common.trace_id.map(NormalId::of_trace).into_iter().collect();
    for spelled in &common.request_ids {
        ids.extend(NormalId::of(spelled).filter(|id| !ids.contains(id)));
    }
    ids
}

fn carries(record: &Record, ids: &[NormalId], test: &IdTest) -> bool {
    let by_id = test.id.as_ref().is_some_and(|wanted| ids.iter().flat_map(with_low_half).any(|id| id == *wanted));
    by_id || span_matches(record, test)
}

fn span_matches(record: &Record, test: &IdTest) -> bool {
    test.span.is_some() && record.common().span_id == test.span
}

/// How a record spells an id.
fn spelling(record: &Record, id: &NormalId) -> Option<String> {
    let common = record.common();
    let request = common.request_ids.iter().find(|spelled| NormalId::of(spelled).as_ref() == Some(id));
    request.cloned().or_else(|| common.trace_id.filter(|trace| NormalId::of_trace(*trace) == *id).map(|trace| trace.to_string()))
}

/// A span that was found because it links to this journey, not because it carries one of its ids.
fn incoming_link(record: &Record, ours: &BTreeSet<TraceId>) -> Option<LinkedJourney> {
    let Record::Span(span) = record else { return None };
    let trace_id = span.common.trace_id?;
    let link = span.links.iter().find(|link| link.trace_id.is_some_and(|trace| ours.contains(&trace)))?;
    (!ours.contains(&trace_id)).then_some(LinkedJourney { trace_id, span_id: link.span_id, incoming: true })
}
