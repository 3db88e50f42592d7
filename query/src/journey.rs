//! One journey, page by page, whatever its size.
//!
//! A large journey is stitched from the outlines of its records: what tells where they belong, without what they say.
//! Only the records of the page that is asked for are read as a whole.

use std::collections::HashMap;

use needle_storage::model::{IdTerm, Record, RecordId, SpanId, TraceId};
use needle_storage::{Coverage, Known, Outline, ReadError, RecordPlace, Snapshot};

use crate::answer::{CompletenessState, Journey, JourneyRequest, Node};
use crate::cursor::{self, NodePlace};
use crate::error::QueryError;
use crate::limits::{PAGE_LOGS_MAX, PAGE_NODES_DEFAULT};
use crate::stitch::{Closed, LOG_KEYS, Options, Places, SPAN_KEYS, Take, close, stitch};

/// What journeys are read from.
pub(crate) trait Read {
    /// Gives every record that carries one of the terms and is not known; of more than `whole_max` some as outlines.
    fn by_ids(&self, terms: &[IdTerm], known: &Known<'_>, whole_max: usize, take: &mut Take<'_>) -> Result<Coverage, ReadError>;
    /// The whole records at some places.
    fn records_at(&self, places: &[RecordPlace]) -> Result<(Vec<Record>, Coverage), ReadError>;
}

/// Reads outlines from a snapshot.
pub(crate) fn read_outlines(
    snapshot: &Snapshot,
    terms: &[IdTerm],
    known: &Known<'_>,
    whole_max: usize,
    cancelled: &dyn Fn() -> bool,
    take: &mut Take<'_>,
) -> Result<Coverage, ReadError> {
    let outline = Outline { log_attributes: &LOG_KEYS, span_attributes: &SPAN_KEYS, whole_max };
    snapshot.outline_by_ids(terms, known, outline, cancelled, take)
}

/// The journey of an id, and where the whole of those records lies that are in it as outlines. `None` when nothing
/// carries the id.
pub(crate) fn outline(read: &impl Read, id: &str, options: Options, whole_max: usize) -> Result<Option<(Journey, Places)>, ReadError> {
    let mut closed = close(id, |terms, known, take| read.by_ids(terms, known, whole_max, take))?;
    read_copies(read, &mut closed)?;
    let places = std::mem::take(&mut closed.places);
    Ok(stitch(id, closed, options).map(|journey| (journey, places)))
}

/// Reads the whole of spans that share an id: whether they are copies is told by all that they say.
fn read_copies(read: &impl Read, closed: &mut Closed) -> Result<(), ReadError> {
    if closed.places.is_empty() {
        return Ok(());
    }
    let mut by_id: HashMap<(Option<TraceId>, SpanId), Vec<usize>, ahash::RandomState> = HashMap::default();
    for (index, record) in closed.records.iter().enumerate() {
        if let Record::Span(span) = record
            && let Some(span_id) = span.common.span_id
        {
            by_id.entry((span.common.trace_id, span_id)).or_default().push(index);
        }
    }
    let copies = by_id.into_values().filter(|same| same.len() > 1).flatten();
    let copies: Vec<usize> = copies.filter(|index| closed.places.contains_key(&closed.records[*index].common().record_id)).collect();
    let mut whole = Whole::read(read, &closed.places, copies.iter().map(|index| &closed.records[*index]))?;
    for index in copies {
        let record_id = closed.records[index].common().record_id;
        if whole.put(&mut closed.records[index]) {
            closed.places.remove(&record_id);
        }
    }
    for failure in whole.coverage.failures {
        if !closed.failures.contains(&failure) {
            closed.failures.push(failure);
        }
    }
    Ok(())
}

/// Whole records to put in the place of their outlines.
struct Whole {
    records: HashMap<RecordId, Record, ahash::RandomState>,
    coverage: Coverage,
}

impl Whole {
    fn read<'a>(read: &impl Read, places: &Places, outlines: impl Iterator<Item = &'a Record>) -> Result<Whole, ReadError> {
        let places: Vec<RecordPlace> = outlines.filter_map(|record| places.get(&record.common().record_id).copied()).collect();
        let (records, coverage) = read.records_at(&places)?;
        Ok(Whole { records: records.into_iter().map(|record| (record.common().record_id, record)).collect(), coverage })
    }

    /// Whether it was among them.
    fn put(&mut self, outline: &mut Record) -> bool {
        self.records.remove(&outline.common().record_id).map(|whole| *outline = whole).is_some()
    }
}

/// Which part of a journey is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    from: NodePlace,
    nodes: usize,
}

impl Page {
    pub(crate) fn of(request: &JourneyRequest) -> Result<Page, QueryError> {
        if request.limit == Some(0) {
            return Err(QueryError::Parameter("limit is 0: ask for at least 1, or leave it out".to_owned()));
        }
        let from = request.cursor.as_deref().map(cursor::to_node).transpose()?.unwrap_or_default();
        Ok(Page { from, nodes: request.limit.unwrap_or(PAGE_NODES_DEFAULT) })
    }

    /// Leaves this page of a journey. It ends after so many nodes, or before the node whose logs are too many for one
    /// page; a node that has more than a page of them by itself goes on where the next page begins.
    pub(crate) fn cut(&self, mut journey: Journey) -> Journey {
        let total = journey.nodes.len();
        let mut nodes: Vec<Node> = journey.nodes.drain(self.from.node.min(total)..).take(self.nodes).collect();
        if let Some(first) = nodes.first_mut() {
            first.logs.drain(..self.from.log.min(first.logs.len()));
        }
        let (mut logs, mut log_from) = (0, self.from.log);
        let mut end = NodePlace { node: self.from.node.saturating_add(nodes.len()), log: 0 };
        for (at, node) in nodes.iter_mut().enumerate() {
            if logs > 0 && logs + node.logs.len() > PAGE_LOGS_MAX {
                end = NodePlace { node: self.from.node + at, log: 0 };
                break;
            }
            if node.logs.len() > PAGE_LOGS_MAX {
                node.logs.truncate(PAGE_LOGS_MAX);
                end = NodePlace { node: self.from.node + at, log: log_from + PAGE_LOGS_MAX };
                break;
            }
            logs += node.logs.len();
            log_from = 0;
        }
        nodes.truncate(end.node.saturating_sub(self.from.node) + usize::from(end.log > 0));
        journey.nodes = nodes;
        journey.next_cursor = (end.node < total).then(|| cursor::of_node(end));
        journey
    }
}

/// Puts whole records in the place of the outlines on a page.
pub(crate) fn fill(read: &impl Read, journey: &mut Journey, places: &Places) -> Result<(), ReadError> {
    if places.is_empty() {
        return Ok(());
    }
    let mut whole = Whole::read(read, places, journey.nodes.iter().flat_map(|node| node.span.iter().chain(&node.logs)))?;
    for record in journey.nodes.iter_mut().flat_map(|node| node.span.iter_mut().chain(&mut node.logs)) {
        whole.put(record);
    }
    if !whole.coverage.failures.is_empty() {
        let failures = whole.coverage.failures.join("; ");
        journey.completeness.reasons.push(format!("some records are shown without what they say: {failures}"));
        journey.completeness.state = CompletenessState::Partial;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use needle_storage::model::{Common, Log};

    use super::*;
    use crate::stitch::tests::builder::checkout;

    #[test]
    fn pages_of_a_journey_are_the_whole_in_tree_order() {
        let whole = checkout().stitched();
        let mut request = JourneyRequest { id: whole.id.clone(), inferred: true, corrected: false, limit: Some(3), cursor: None };
        let mut ids = Vec::new();
        loop {
            let page = Page::of(&request).expect("our own cursor").cut(whole.clone());
            assert_eq!(page.nodes_total, whole.nodes.len());
            ids.extend(page.nodes.into_iter().map(|node| node.node_id));
            request.cursor = page.next_cursor;
            if request.cursor.is_none() {
                break;
            }
        }
        assert!(ids.iter().eq(whole.nodes.iter().map(|node| &node.node_id)));
        request.cursor = Some("n999".to_owned());
        assert!(Page::of(&request).expect("a cursor").cut(whole).nodes.is_empty());
        request.limit = Some(0);
        assert!(Page::of(&request).is_err());
    }

    #[test]
    fn a_node_with_very_many_logs_goes_on_on_the_next_page() {
        let mut whole = checkout().stitched();
        let log = |n: usize| Record::Log(Log { common: Common { record_id: RecordId(n as u64), ..Common::default() }, ..Log::default() });
        for (at, logs) in [(0, 3), (1, PAGE_LOGS_MAX * 2 + 5), (2, PAGE_LOGS_MAX - 5), (3, 6)] {
            whole.nodes[at].logs = (0..logs).map(log).collect();
        }
        let expected: Vec<(String, RecordId)> = placed_logs(&whole.nodes).collect();
        let mut request = JourneyRequest { id: whole.id.clone(), inferred: true, corrected: false, limit: None, cursor: None };
        let (mut found, mut nodes) = (Vec::new(), Vec::new());
        loop {
            let page = Page::of(&request).expect("our own cursor").cut(whole.clone());
            assert!(page.nodes.iter().map(|node| node.logs.len()).sum::<usize>() <= PAGE_LOGS_MAX);
            found.extend(placed_logs(&page.nodes));
            nodes.extend(page.nodes.iter().map(|node| node.node_id.clone()));
            request.cursor = page.next_cursor;
            if request.cursor.is_none() {
                break;
            }
        }
        assert!(found == expected, "every log once, in order");
        nodes.dedup();
        assert!(nodes.iter().eq(whole.nodes.iter().map(|node| &node.node_id)), "every node, the long one on several pages");
    }

    fn placed_logs(nodes: &[Node]) -> impl Iterator<Item = (String, RecordId)> {
        nodes.iter().flat_map(|node| node.logs.iter().map(|log| (node.node_id.clone(), log.common().record_id)))
    }
}
