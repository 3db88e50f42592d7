//! Calls to services that only log: found by stitching journeys of theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use needle_storage::model::{NormalId, RecordsView, Signal, SpanKind, StatusCode, UnixNanos, column};
use needle_storage::predicate::Predicate;
use needle_storage::{Coverage, Look, ReadError};

use crate::answer::{InferredFrom, Journey, Node};
use crate::journey::{self, Outlined};
use crate::journeys::ids_of;
use crate::limits::{GRAPH_IDS_MAX, GRAPH_JOURNEYS_MAX};
use crate::stitch::Options;

use super::edges::{Call, Edges, Pair, Target};
use super::{Read, Wanted, cover};

/// What is read of a record to know its journey.
const COLUMNS: [&str; 3] = [column::SERVICE_NAME, column::TRACE_ID, column::REQUEST_ID];

/// Ids of journeys, chosen by chance: those with the smallest hashes, so that the same records give the same ones.
#[derive(Debug)]
pub(super) struct Sample {
    chosen: BTreeMap<u64, String>,
    /// Hashes of all ids that were seen, as long as there is room.
    seen: HashSet<u64, ahash::RandomState>,
    more: bool,
    hash: ahash::RandomState,
}

impl Sample {
    fn new() -> Sample {
        // Whoever makes ids gains nothing by choosing them.
        let hash = ahash::RandomState::with_seeds(1, 2, 3, 4);
        Sample { chosen: BTreeMap::new(), seen: HashSet::default(), more: false, hash }
    }

    fn add(&mut self, id: &NormalId, text: impl FnOnce() -> String) {
        let hash = self.hash.hash_one(id);
        if self.seen.contains(&hash) {
            return;
        }
        if self.seen.len() < GRAPH_IDS_MAX {
            self.seen.insert(hash);
        } else {
            self.more = true;
        }
        if self.chosen.len() < GRAPH_JOURNEYS_MAX || self.chosen.last_key_value().is_some_and(|(last, _)| hash < *last) {
            self.chosen.insert(hash, text());
            if self.chosen.len() > GRAPH_JOURNEYS_MAX {
                self.chosen.pop_last();
            }
        }
    }
}

/// Journeys to stitch: those of matching records; where all are wanted, of records of services that only log.
pub(super) fn sample(read: &impl Read, wanted: &Wanted, log_only: &BTreeSet<&str>, coverage: &mut Coverage) -> Result<Sample, ReadError> {
    let mut sample = Sample::new();
    if log_only.is_empty() {
        return Ok(sample);
    }
    let are_logs = Predicate::Signal(Signal::Logs);
    let predicate = if wanted.wants_all() { &are_logs } else { &wanted.predicate };
    let look = Look { predicate, start: wanted.start, end: wanted.end, columns: &COLUMNS, attributes: &[], also: None };
    let covered = read.look(&look, &mut |view, rows| {
        let names = view.services();
        let mut is_log_only = vec![None; names.map_or(0, |names| names.texts())];
        let mut wants = |row: usize| match names.and_then(|names| names.code(row)) {
            Some(code) => *is_log_only[code].get_or_insert_with(|| log_only.contains(view.service(row))),
            None => log_only.contains(view.service(row)),
        };
        let rows = rows.iter().map(|row| *row as usize).filter(|row| !wanted.wants_all() || wants(*row));
        add_ids(&mut sample, view, rows);
    })?;
    cover(coverage, covered);
    Ok(sample)
}

/// Adds the id by which the journey of each row is opened. Rows of one journey follow each other.
fn add_ids(sample: &mut Sample, view: &RecordsView<'_>, rows: impl Iterator<Item = usize>) {
    let mut last = None;
    for row in rows {
        let key = (view.trace_id(row), view.request_id(row));
        if last == Some(key) {
            continue;
        }
        last = Some(key);
        match key {
            (Some(trace_id), _) => sample.add(&NormalId::of_trace(trace_id), || trace_id.to_string()),
            (None, Some(request_id)) => {
                if let Some(id) = NormalId::of(request_id) {
                    sample.add(&id, || request_id.to_owned());
                }
            }
            (None, None) => {}
        }
    }
}

/// Counts the calls to services that only log, and from them, in the journeys of a sample.
pub(super) fn count_calls(
    read: &impl Read,
    wanted: &Wanted,
    log_only: &BTreeSet<&str>,
    sample: Sample,
    now: UnixNanos,
    edges: &mut Edges,
) -> Result<InferredFrom, ReadError> {
    let from = InferredFrom { ids: sample.chosen.len() as u64, of: sample.seen.len() as u64, more: sample.more };
    let mut stitched: HashSet<NormalId> = HashSet::new();
    for id in sample.chosen.into_values() {
        if NormalId::of(&id).is_some_and(|id| stitched.contains(&id)) {
            continue;
        }
        let options = Options { inferred: true, corrected: false, now };
        let Some(Outlined { journey, .. }) = journey::outline(read, &id, options, 0)? else { continue };
        stitched.extend(ids_of(&journey));
        count_journey(&journey, wanted, log_only, edges);
    }
    Ok(from)
}

fn count_journey(journey: &Journey, wanted: &Wanted, log_only: &BTreeSet<&str>, edges: &mut Edges) {
    let by_id: HashMap<&str, &Node> = journey.nodes.iter().map(|node| (&*node.node_id, node)).collect();
    for node in journey.nodes.iter().filter(|node| wanted.contains(node.start)) {
        let Some(inference) = &node.inferred else { continue };
        let Some(caller) = node.parent_node_id.as_deref().and_then(|parent| by_id.get(parent)) else { continue };
        let only_logs = |service: &str| log_only.contains(service);
        if caller.missing || caller.service == node.service || !(only_logs(&node.service) || only_logs(&caller.service)) {
            continue;
        }
        let (Some(from), Some(to)) = (edges.service(&caller.service), edges.service(&node.service)) else { continue };
        let waits = caller.kind == SpanKind::CLIENT;
        let call = Call {
            failed: node.log_errors > 0 || node.status == StatusCode::ERROR || (waits && caller.status == StatusCode::ERROR),
            duration_ns: if waits { caller.duration_ns } else { node.duration_ns },
            confidence: inference.confidence,
        };
        edges.add(Pair { caller: from, callee: Target::Inferred(to), is_message: caller.kind == SpanKind::PRODUCER }, call);
    }
}
