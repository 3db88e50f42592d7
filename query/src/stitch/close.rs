//! From one id to all records of its journey: ids lead to records, records to further ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use indexmap::{Equivalent, IndexMap};
use needle_storage::model::{Common, IdTerm, Log, NormalId, Record, RecordId, SpanId, TraceId};
use needle_storage::predicate::{IdKind, IdTest};
use needle_storage::{Coverage, Known, ReadError, RecordPlace};

use super::bar::Bar;
use super::line::{Line, Sources};
use crate::answer::{Hub, LinkedJourney};
use crate::ids;
use crate::limits::{CLOSE_IDS_MAX, CLOSE_RECORDS_MAX, CLOSE_ROUNDS_MAX, HUB_IDS_MAX, JOURNEY_WHOLE_MAX};

/// All records reached from an id.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// Each once, in no order.
    pub(crate) spans: Vec<Bar>,
    /// Log records, each once, in no order.
    pub(crate) lines: Vec<Line>,
    /// Log records as a whole, as far as they were read.
    pub(crate) texts: Texts,
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

/// What stitching uses up, for a second time.
pub(crate) struct Again {
    spans: Vec<Bar>,
    lines: Vec<Line>,
    hubs: Vec<Hub>,
    incoming: Vec<LinkedJourney>,
}

impl Closed {
    /// What it takes to stitch a journey once more, if other journeys may tell more of it: not of a large one, which has calls
    /// enough to tell of its clocks, nor where all is said by spans.
    pub(crate) fn again(&self) -> Option<Again> {
        let is_small = self.spans.len() + self.lines.len() <= JOURNEY_WHOLE_MAX;
        let services: HashSet<&str> = self.spans.iter().map(|span| &*span.source.service).collect();
        let traces: HashSet<Option<TraceId>> = self.spans.iter().map(|span| span.trace_id).collect();
        let leaves_open = || traces.len() > 1 || self.lines.iter().any(|line| !services.contains(&*line.source.service));
        (is_small && leaves_open()).then(|| Again {
            spans: self.spans.clone(),
            lines: self.lines.clone(),
            hubs: self.hubs.clone(),
            incoming: self.incoming.clone(),
        })
    }

    /// Puts back what stitching used up.
    pub(crate) fn refill(&mut self, Again { spans, lines, hubs, incoming }: Again) {
        (self.spans, self.lines, self.hubs, self.incoming) = (spans, lines, hubs, incoming);
    }
}

/// Log records by their numbers.
pub(crate) type Texts = HashMap<RecordId, Log, ahash::RandomState>;

/// Takes a record, and where the whole of it lies if this is its outline.
pub(crate) type Take<'a> = dyn FnMut(Record, Option<RecordPlace>) + 'a;

/// Follows `id` to a fixed point. `fetch` gives the records that carry one of the terms; those that are known already
/// it may leave out.
///
/// An id whose records carry more than [`HUB_IDS_MAX`] other traces or request ids joins what does not
/// belong together (a session, a load test, a batch): it is named as a hub and leads no further. If it
/// is the id asked for, its own records are the journey. A trace that is a hub keeps its records.
pub(crate) fn close<F>(id: &str, mut fetch: F) -> Result<Closed, ReadError>
where
    F: FnMut(&[IdTerm], &Known<'_>, &mut Take<'_>) -> Result<Coverage, ReadError>,
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
        let Closure { seen, held, .. } = &mut closure;
        let is_known = |record_id| seen.contains(&record_id);
        let known = if seen.is_empty() { Known::nothing() } else { Known::of(&is_known) };
        let (first_span, first_line) = (held.spans.len(), held.lines.len());
        let coverage = fetch(&terms, &known, &mut |record, place| {
            if !is_known(record.common().record_id) {
                held.take(record, place);
            }
        })?;
        seen.extend(held.spans[first_span..].iter().map(|(span, _)| span.record_id));
        seen.extend(held.lines[first_line..].iter().map(|(line, _)| line.record_id));
        closure.follow(coverage);
        if closure.seen.len() > CLOSE_RECORDS_MAX {
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

/// Records that were found, each with the number of its group.
struct Held {
    start: IdTest,
    spans: Vec<(Bar, u32)>,
    lines: Vec<(Line, u32)>,
    groups: Groups,
    sources: Sources,
    texts: Texts,
}

impl Held {
    fn take(&mut self, record: Record, place: Option<RecordPlace>) {
        let common = record.common();
        let group = self.groups.of(common);
        if span_matches(common.span_id, &self.start) {
            self.groups.by_spelling[group as usize].has_start = true;
        }
        match record {
            Record::Span(span) => self.spans.push((self.sources.bar(span, place), group)),
            Record::Log(log) => {
                self.lines.push((self.sources.line(&log, place), group));
                if place.is_none() {
                    self.texts.insert(log.common.record_id, log);
                }
            }
        }
    }
}

/// Records by the ids on them. A journey has many records and few such groups, so that all that is asked of ids is asked of these.
#[derive(Default)]
struct Groups {
    by_spelling: IndexMap<Spelled, Group, ahash::RandomState>,
}

/// The ids by which records join others.
struct Group {
    ids: Vec<NormalId>,
    /// And the low halves of those that are wide.
    with_halves: Vec<NormalId>,
    /// Whether one of its records is the span that was asked for.
    has_start: bool,
}

/// The ids of a group as its records have them.
#[derive(PartialEq, Eq, Hash)]
struct Spelled {
    trace_id: Option<TraceId>,
    request_ids: Vec<String>,
}

/// The same, borrowed from a record.
#[derive(Hash)]
struct Spelling<'a> {
    trace_id: Option<TraceId>,
    request_ids: &'a [String],
}

impl Equivalent<Spelled> for Spelling<'_> {
    fn equivalent(&self, key: &Spelled) -> bool {
        self.trace_id == key.trace_id && self.request_ids == key.request_ids
    }
}

impl Spelled {
    /// How they spell an id.
    fn spelling(&self, id: &NormalId) -> Option<String> {
        let request = self.request_ids.iter().find(|spelled| NormalId::of(spelled).as_ref() == Some(id));
        request.cloned().or_else(|| self.trace_id.filter(|trace| NormalId::of_trace(*trace) == *id).map(|trace| trace.to_string()))
    }
}

impl Groups {
    /// The group of a record.
    fn of(&mut self, common: &Common) -> u32 {
        if let Some(known) = self.by_spelling.get_index_of(&Spelling { trace_id: common.trace_id, request_ids: &common.request_ids }) {
            return known as u32;
        }
        let ids = ids_of(common);
        let with_halves = ids.iter().flat_map(with_low_half).collect();
        let group = Group { ids, with_halves, has_start: false };
        self.by_spelling.insert_full(Spelled { trace_id: common.trace_id, request_ids: common.request_ids.clone() }, group).0 as u32
    }

    fn all(&self) -> impl Iterator<Item = &Group> {
        self.by_spelling.values()
    }
}

struct Closure {
    held: Held,
    /// The records' numbers.
    seen: HashSet<RecordId, ahash::RandomState>,
    /// Ids that were asked for.
    followed: BTreeMap<NormalId, Follow>,
    frontier: BTreeSet<NormalId>,
    first_round: bool,
    closed: Closed,
}

impl Closure {
    fn new(start: IdTest) -> Closure {
        let frontier = start.ids().collect();
        let (groups, sources, texts) = (Groups::default(), Sources::default(), Texts::default());
        Closure {
            held: Held { start, spans: Vec::new(), lines: Vec::new(), groups, sources, texts },
            seen: HashSet::default(),
            followed: BTreeMap::new(),
            frontier,
            first_round: true,
            closed: Closed::default(),
        }
    }

    /// The terms of the ids to follow now.
    fn next_terms(&mut self) -> Vec<IdTerm> {
        let mut terms: BTreeSet<IdTerm> = self.frontier.iter().flat_map(terms_of).collect();
        if std::mem::take(&mut self.first_round) {
            terms.extend(self.held.start.terms());
        }
        terms.into_iter().collect()
    }

    /// What is found with the ids asked for, and which ids come next.
    fn follow(&mut self, coverage: Coverage) {
        self.closed.shards_searched = self.closed.shards_searched.max(coverage.shards_searched);
        for failure in coverage.failures {
            if !self.closed.failures.contains(&failure) {
                self.closed.failures.push(failure);
            }
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
            let groups = carriers.get(id).map_or(&[][..], Vec::as_slice);
            let joined: BTreeSet<&NormalId> = groups.iter().flat_map(|(_, group)| &group.ids).filter(|other| *other != id).collect();
            if joined.len() <= HUB_IDS_MAX {
                return (id.clone(), Follow::Leads, None);
            }
            // A trace belongs together whatever request ids it has; what shares a request id may not.
            let is_trace = groups.iter().any(|(spelled, _)| spelled.trace_id.map(NormalId::of_trace).as_ref() == Some(id));
            let reason = format!("found together with {} other ids (more than {HUB_IDS_MAX}), so they were not followed", joined.len());
            let spelled = groups.iter().find_map(|(spelled, _)| spelled.spelling(id)).unwrap_or_default();
            (id.clone(), if is_trace { Follow::Ends } else { Follow::Hub }, Some(Hub { id: spelled, reason }))
        };
        asked.iter().map(judge_one).collect()
    }

    fn carriers<'a>(&'a self, asked: &BTreeSet<NormalId>) -> HashMap<NormalId, Vec<(&'a Spelled, &'a Group)>> {
        let mut carriers: HashMap<NormalId, Vec<_>> = HashMap::new();
        for (spelled, group) in &self.held.groups.by_spelling {
            for id in group.with_halves.iter().filter(|id| asked.contains(id)) {
                carriers.entry(id.clone()).or_default().push((spelled, group));
            }
        }
        carriers
    }

    fn extend_frontier(&mut self) {
        let mut fresh = BTreeSet::new();
        for group in self.held.groups.all().filter(|group| self.leads_on(group)) {
            fresh.extend(group.ids.iter().filter(|id| !self.followed.contains_key(id)).cloned());
        }
        let room = CLOSE_IDS_MAX.saturating_sub(self.followed.len());
        if fresh.len() > room {
            self.closed.cut.push(format!("the journey has more than {CLOSE_IDS_MAX} ids; the rest was not followed"));
        }
        self.frontier = fresh.into_iter().take(room).collect();
    }

    /// Whether the ids of a group are followed: it was reached otherwise than by a hub.
    fn leads_on(&self, group: &Group) -> bool {
        group.has_start || self.reached(group, |follow| follow == Follow::Leads)
    }

    /// Whether the records of a group belong to the journey, whichever of them they are.
    fn belongs(&self, group: &Group) -> bool {
        let carries_start = self.held.start.ids().any(|wanted| group.with_halves.contains(&wanted));
        carries_start || self.reached(group, |follow| follow != Follow::Hub)
    }

    fn reached(&self, group: &Group, accepted: impl Fn(Follow) -> bool) -> bool {
        group.with_halves.iter().any(|id| self.followed.get(id).copied().is_some_and(&accepted))
    }

    fn finish(mut self) -> Closed {
        let belongs: Vec<bool> = self.held.groups.all().map(|group| self.belongs(group)).collect();
        let Held { start, spans, lines, mut texts, .. } = self.held;
        let belongs = |group: u32, span_id| belongs[group as usize] || span_matches(span_id, &start);
        let mut others = Vec::new();
        for (span, group) in spans {
            if belongs(group, span.span_id) { self.closed.spans.push(span) } else { others.push(span) }
        }
        for (line, group) in lines {
            if belongs(group, line.span_id) {
                self.closed.lines.push(line);
            } else {
                texts.remove(&line.record_id);
            }
        }
        let traces = self.closed.spans.iter().map(|span| span.trace_id).chain(self.closed.lines.iter().map(|line| line.trace_id));
        let ours: BTreeSet<TraceId> = traces.flatten().collect();
        self.closed.incoming.extend(others.iter().filter_map(|span| incoming_link(span, &ours)));
        self.closed.incoming.sort_by_key(|link| (link.trace_id, link.span_id));
        self.closed.incoming.dedup();
        self.closed.texts = texts;
        self.closed.hubs.sort_by(|a, b| a.id.cmp(&b.id));
        self.closed
    }
}

#[cfg(test)]
impl Closed {
    /// All of these records, as a whole.
    pub(crate) fn of(records: &[Record]) -> Closed {
        let nothing = IdTest { kind: IdKind::Any, id: None, span: None, decimal: None };
        let mut held = Closure::new(nothing).held;
        records.iter().for_each(|record| held.take(record.clone(), None));
        let Held { spans, lines, texts, .. } = held;
        let (spans, lines) = (spans.into_iter().map(|(span, _)| span), lines.into_iter().map(|(line, _)| line));
        Closed { spans: spans.collect(), lines: lines.collect(), texts, ..Closed::default() }
    }
}

/// The terms under which the records of an id are found: a 64-bit id also by the traces that end in it,
/// a 128-bit one also by services that know its low half only. Spans that link to it are found as well;
/// they lead to linked journeys.
fn terms_of(id: &NormalId) -> Vec<IdTerm> {
    let mut terms = IdTest::of_id(id.clone()).terms();
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
    ids_of(record.common())
}

fn ids_of(common: &Common) -> Vec<NormalId> {
    let mut ids: Vec<NormalId> = common.trace_id.map(NormalId::of_trace).into_iter().collect();
    for spelled in &common.request_ids {
        ids.extend(NormalId::of(spelled).filter(|id| !ids.contains(id)));
    }
    ids
}

fn span_matches(span_id: Option<SpanId>, test: &IdTest) -> bool {
    span_id.is_some_and(|span_id| test.spans().any(|wanted| wanted == span_id))
}

/// A span that was found because it links to this journey, not because it carries one of its ids.
fn incoming_link(span: &Bar, ours: &BTreeSet<TraceId>) -> Option<LinkedJourney> {
    let trace_id = span.trace_id?;
    let link = span.links.iter().find(|link| link.trace_id.is_some_and(|trace| ours.contains(&trace)))?;
    (!ours.contains(&trace_id)).then_some(LinkedJourney { trace_id, span_id: link.span_id, incoming: true })
}
