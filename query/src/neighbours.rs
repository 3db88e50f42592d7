//! What other journeys of the same time tell of clocks. A clock is kept by a machine, not by a request: where the records of
//! one journey leave open whose lines are whose, those of others may tell by how much a clock is off.
//!
//! Which journeys are asked depends on what is stored alone: those nearest in time of each process in question. So the same
//! records give the same answer, whatever was asked before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use needle_storage::model::{IdTerm, NormalId, Tenant, UnixNanos, column};
use needle_storage::predicate::{Comparison, Field, FieldTest, Literal, Predicate};
use needle_storage::{Coverage, Known, Look, ReadError, Snapshot, SnapshotVersion};
use parking_lot::Mutex;

use crate::answer::Journey;
use crate::graph::Visit;
use crate::journey::{self, Outlined, read_closed};
use crate::journeys::ids_of;
use crate::limits::{NEIGHBOUR_RECORDS_MAX, NEIGHBOURS_KEPT_MAX, NEIGHBOURS_MAX, NEIGHBOURS_WITHIN_NS, QUESTIONS_MAX};
use crate::stitch::{INSTANCE_KEYS, InQuestion, Options, Stitched, Take, Testimony, close, stitch, told_by};

/// What is read of a record to know its journey.
const COLUMNS: [&str; 2] = [column::TRACE_ID, column::REQUEST_ID];

/// What neighbours are found in.
pub(crate) trait Read: journey::Read {
    /// Calls `visit` with the rows that are asked for.
    fn look(&self, look: &Look<'_>, visit: &mut Visit<'_>) -> Result<Coverage, ReadError>;
    /// Outlines of the records that carry one of the terms and are not known. `None` where there are more than so many.
    fn few_by_ids(&self, terms: &[IdTerm], known: &Known<'_>, max: usize, take: &mut Take<'_>) -> Result<Option<Coverage>, ReadError>;
    /// What was told before, as long as nothing changed.
    fn remembered(&self, id: &str) -> Option<Arc<Vec<Testimony>>>;
    /// Keeps what was told.
    fn remember(&self, id: &str, told: &Arc<Vec<Testimony>>);
}

/// The journey of an id, stitched from the outlines of its records; where it leaves clocks in question, with what other
/// journeys tell of them.
pub(crate) fn outline(read: &impl Read, id: &str, options: Options, whole_max: usize) -> Result<Option<Outlined>, ReadError> {
    let mut closed = read_closed(read, id, whole_max)?;
    let again = closed.again();
    let Some(stitched) = stitch(id, &mut closed, options, Arc::default()) else { return Ok(None) };
    // Asking costs some fifty lookups: without a span there is no call whose time a better clock could tell from another's.
    let has_calls = stitched.journey.services.iter().any(|service| service.spans > 0);
    let told = match &again {
        Some(_) if has_calls && !stitched.in_question.is_empty() => ask(read, &stitched)?,
        _ => Vec::new(),
    };
    let stitched = match again.filter(|_| !told.is_empty()) {
        Some(again) => {
            closed.refill(again);
            stitch(id, &mut closed, options, Arc::new(told))
        }
        None => Some(stitched),
    };
    Ok(stitched.map(|stitched| Outlined::of(stitched, closed.texts)))
}

/// What the neighbours of a journey tell.
fn ask(read: &impl Read, stitched: &Stitched) -> Result<Vec<Testimony>, ReadError> {
    let journey = &stitched.journey;
    let own: HashSet<NormalId> = ids_of(journey).into_iter().collect();
    let mut asked: HashSet<NormalId> = HashSet::new();
    let mut told = Vec::new();
    for question in stitched.in_question.iter().take(QUESTIONS_MAX) {
        for (id, text) in nearest(read, question, middle(journey), &own)? {
            if asked.insert(id) {
                told.extend(told_by_id(read, &text)?.iter().cloned());
            }
        }
    }
    Ok(told)
}

fn middle(journey: &Journey) -> UnixNanos {
    journey.start.saturating_add_signed(journey.end.since(journey.start) / 2)
}

/// The ids of the journeys nearest in time that a process had a part in.
fn nearest(read: &impl Read, question: &InQuestion, at: UnixNanos, own: &HashSet<NormalId>) -> Result<Vec<(NormalId, String)>, ReadError> {
    let predicate = predicate_of(question);
    let mut found: BTreeMap<NormalId, (u64, String)> = BTreeMap::new();
    for within_ns in NEIGHBOURS_WITHIN_NS {
        let (start, end) = (at.saturating_add_signed(-within_ns), at.saturating_add_signed(within_ns));
        let look = Look { predicate: &predicate, start: Some(start), end: Some(end), columns: &COLUMNS, attributes: &[], also: None };
        found.clear();
        read.look(&look, &mut |view, rows| {
            let mut last = None;
            for row in rows.iter().map(|row| *row as usize) {
                let key = (view.trace_id(row), view.request_id(row));
                let away_ns = view.time(row).since(at).unsigned_abs();
                let id = match key {
                    (Some(trace_id), _) => Some((NormalId::of_trace(trace_id), trace_id.to_string())),
                    (None, Some(request_id)) => NormalId::of(request_id).map(|id| (id, request_id.to_owned())),
                    (None, None) => None,
                };
                // Rows of one journey follow each other.
                if last != Some((key, away_ns))
                    && let Some((id, text)) = id.filter(|(id, _)| !own.contains(id))
                {
                    let known = found.entry(id).or_insert_with(|| (away_ns, text.clone()));
                    *known = std::mem::take(known).min((away_ns, text));
                }
                last = Some((key, away_ns));
            }
        })?;
        if found.len() >= NEIGHBOURS_MAX {
            break;
        }
    }
    let mut nearest: Vec<(u64, NormalId, String)> = found.into_iter().map(|(id, (away_ns, text))| (away_ns, id, text)).collect();
    nearest.sort();
    nearest.truncate(NEIGHBOURS_MAX);
    Ok(nearest.into_iter().map(|(_, id, text)| (id, text)).collect())
}

fn predicate_of(question: &InQuestion) -> Predicate {
    let is = |field: Field, text: &str| Predicate::Field {
        field,
        test: FieldTest::Compare(Comparison::Equal, Literal { text: text.to_owned(), ..Literal::default() }),
    };
    let service = is(Field::Service, &question.service);
    let Some(instance) = &question.instance else { return service };
    let keys = INSTANCE_KEYS.iter().map(|key| is(Field::Any(vec![(*key).to_owned()]), instance));
    Predicate::And(vec![service, Predicate::Or(keys.collect())])
}

/// What the journey of an id tells; nothing if it is a large one.
fn told_by_id(read: &impl Read, id: &str) -> Result<Arc<Vec<Testimony>>, ReadError> {
    if let Some(told) = read.remembered(id) {
        return Ok(told);
    }
    let mut too_many = false;
    let closed = close(id, |terms, known, take| {
        if too_many {
            return Ok(Coverage::default());
        }
        let coverage = read.few_by_ids(terms, known, NEIGHBOUR_RECORDS_MAX, take)?;
        too_many |= coverage.is_none();
        Ok(coverage.unwrap_or_default())
    })?;
    let told = Arc::new(if too_many { Vec::new() } else { told_by(closed) });
    read.remember(id, &told);
    Ok(told)
}

/// What neighbours told, as long as nothing is stored or deleted: whoever looks at one journey soon looks at the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<Tenant, Remembered>>>);

#[derive(Debug)]
struct Remembered {
    version: SnapshotVersion,
    told: HashMap<String, Arc<Vec<Testimony>>>,
}

impl Memory {
    pub(crate) fn get(&self, tenant: &Tenant, snapshot: &Snapshot, id: &str) -> Option<Arc<Vec<Testimony>>> {
        let tenants = self.0.lock();
        tenants.get(tenant).filter(|known| known.version.is_of(snapshot))?.told.get(id).cloned()
    }

    pub(crate) fn keep(&self, tenant: &Tenant, snapshot: &Snapshot, id: &str, told: &Arc<Vec<Testimony>>) {
        let mut tenants = self.0.lock();
        // Of other tenants nothing is kept: what is remembered is bounded as a whole.
        tenants.retain(|known, remembered| known == tenant && remembered.version.is_of(snapshot));
        let known = tenants.entry(tenant.clone()).or_insert_with(|| Remembered { version: snapshot.version(), told: HashMap::new() });
        if known.told.len() >= NEIGHBOURS_KEPT_MAX {
            known.told.clear();
        }
        known.told.insert(id.to_owned(), told.clone());
    }
}
