//! One journey, page by page, whatever its size.
//!
//! A large journey is stitched from the outlines of its records: what tells where they belong, without what they say.
//! Only the records of the page that is asked for are read as a whole.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use needle_storage::model::{IdTerm, Log, Record, RecordId, SpanId, TraceId};
use needle_storage::{Coverage, Known, Outline, ReadError, RecordPlace, Snapshot};

use crate::answer::{CompletenessState, Journey, JourneyRequest};
use crate::cursor::{self, NodePlace};
use crate::error::QueryError;
use crate::limits::{PAGE_LOGS_MAX, PAGE_NODES_DEFAULT};
use crate::stitch::{Beside, Closed, LOG_KEYS, Line, Options, SPAN_KEYS, Stitched, Take, Texts, Whole, close, stitch};

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

/// A stitched journey, and what its records say as far as that is known.
pub(crate) struct Outlined {
    /// Its nodes have no logs yet, and no spans that were not read.
    pub(crate) journey: Journey,
    /// Beside each node.
    beside: Vec<Beside>,
    texts: Texts,
}

/// The journey of an id, stitched from the outlines of its records. `None` when nothing carries the id.
pub(crate) fn outline(read: &impl Read, id: &str, options: Options, whole_max: usize) -> Result<Option<Outlined>, ReadError> {
    let mut closed = read_closed(read, id, whole_max)?;
    let stitched = stitch(id, &mut closed, options, Arc::default());
    Ok(stitched.map(|stitched| Outlined::of(stitched, closed.texts)))
}

/// The outlines of all records that an id leads to.
pub(crate) fn read_closed(read: &impl Read, id: &str, whole_max: usize) -> Result<Closed, ReadError> {
    let mut closed = close(id, |terms, known, take| read.by_ids(terms, known, whole_max, take))?;
    read_copies(read, &mut closed)?;
    Ok(closed)
}

impl Outlined {
    /// Of lines that were stitched, and what is known of their records as a whole.
    pub(crate) fn of(Stitched { journey, beside, .. }: Stitched, texts: Texts) -> Outlined {
        Outlined { journey, beside, texts }
    }

    /// What is said of the journey as a whole, without its nodes.
    fn head(&self) -> Journey {
        let Journey {
            id,
            trace_ids,
            request_ids,
            hubs,
            start,
            end,
            services,
            nodes: _,
            nodes_total,
            gaps,
            groups,
            linked,
            clock,
            completeness,
            missing_parents,
            next_cursor: _,
        } = &self.journey;
        Journey {
            id: id.clone(),
            trace_ids: trace_ids.clone(),
            request_ids: request_ids.clone(),
            hubs: hubs.clone(),
            start: *start,
            end: *end,
            services: services.clone(),
            nodes: Vec::new(),
            nodes_total: *nodes_total,
            gaps: gaps.clone(),
            groups: groups.clone(),
            linked: linked.clone(),
            clock: clock.clone(),
            completeness: completeness.clone(),
            missing_parents: *missing_parents,
            next_cursor: None,
        }
    }
}

/// Reads the whole of spans that share an id: whether they are copies is told by all that they say.
fn read_copies(read: &impl Read, closed: &mut Closed) -> Result<(), ReadError> {
    let mut by_id: HashMap<(Option<TraceId>, SpanId), usize, ahash::RandomState> = HashMap::default();
    let mut copies: BTreeSet<usize> = BTreeSet::new();
    for (index, span) in closed.spans.iter().enumerate() {
        if let Some(span_id) = span.span_id {
            let first = *by_id.entry((span.trace_id, span_id)).or_insert(index);
            copies.extend([first, index].into_iter().filter(|_| first != index));
        }
    }
    let outlines = copies.iter().filter_map(|index| match closed.spans[*index].whole {
        Whole::At(place) => Some(place),
        Whole::Here(_) => None,
    });
    let mut found = Found::read(read, outlines)?;
    for index in copies {
        let span = &mut closed.spans[index];
        if let Some(Record::Span(whole)) = found.records.remove(&span.record_id) {
            span.whole = Whole::Here(whole);
        }
    }
    for failure in found.coverage.failures {
        if !closed.failures.contains(&failure) {
            closed.failures.push(failure);
        }
    }
    Ok(())
}

/// Whole records, by their numbers.
struct Found {
    records: HashMap<RecordId, Record, ahash::RandomState>,
    coverage: Coverage,
}

impl Found {
    fn read(read: &impl Read, places: impl Iterator<Item = RecordPlace>) -> Result<Found, ReadError> {
        let wanted: Vec<RecordPlace> = places.collect();
        let (records, coverage) = if wanted.is_empty() { Default::default() } else { read.records_at(&wanted)? };
        Ok(Found { records: records.into_iter().map(|record| (record.common().record_id, record)).collect(), coverage })
    }
}

/// Which part of a journey is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    from: NodePlace,
    nodes: usize,
    logs: usize,
}

impl Page {
    pub(crate) fn of(request: &JourneyRequest) -> Result<Page, QueryError> {
        if request.limit == Some(0) {
            return Err(QueryError::Parameter("limit is 0: ask for at least 1, or leave it out".to_owned()));
        }
        let from = request.cursor.as_deref().map(cursor::to_node).transpose()?.unwrap_or_default();
        Ok(Page { from, nodes: request.limit.unwrap_or(PAGE_NODES_DEFAULT), logs: PAGE_LOGS_MAX })
    }

    /// The stitching that the page is of, if it is not the first.
    pub(crate) fn stitching(&self) -> Option<Option<u64>> {
        (self.from != NodePlace::default()).then_some(self.from.stitching)
    }

    /// Whether this page is not all of a journey.
    pub(crate) fn leaves_some(&self, outlined: &Outlined) -> bool {
        let (nodes, end) = self.range(&outlined.beside);
        nodes.start > 0 || self.from.log > 0 || end.node < outlined.beside.len()
    }

    /// This page of a journey, its records as a whole. It ends after so many nodes, or before the node whose logs are too
    /// many for one page; a node that has more than a page of them by itself goes on where the next page begins.
    pub(crate) fn of_outlined(&self, read: &impl Read, outlined: Outlined) -> Result<Journey, ReadError> {
        let Outlined { mut journey, mut beside, mut texts } = outlined;
        let (range, end) = self.range(&beside);
        journey.next_cursor = (end.node < beside.len()).then(|| cursor::of_node(end));
        journey.nodes = journey.nodes.drain(range.clone()).collect();
        let beside = beside.drain(range).collect();
        self.filled(read, journey, beside, end, |record_id| texts.remove(&record_id))
    }

    /// The same of a journey that is kept for other pages.
    pub(crate) fn of_kept(&self, read: &impl Read, outlined: &Outlined, stitching: u64) -> Result<Journey, ReadError> {
        let Outlined { journey, beside, texts } = outlined;
        let (range, end) = self.range(beside);
        let next = NodePlace { stitching: Some(stitching), ..end };
        let journey = Journey {
            nodes: journey.nodes[range.clone()].to_vec(),
            next_cursor: (end.node < beside.len()).then(|| cursor::of_node(next)),
            ..outlined.head()
        };
        self.filled(read, journey, beside[range].to_vec(), end, |record_id| texts.get(&record_id).cloned())
    }

    /// Puts the whole records of a page into its nodes.
    fn filled(
        &self,
        read: &impl Read,
        mut journey: Journey,
        mut beside: Vec<Beside>,
        end: NodePlace,
        mut text: impl FnMut(RecordId) -> Option<Log>,
    ) -> Result<Journey, ReadError> {
        if end.log > 0
            && let Some(last) = beside.last_mut()
        {
            last.lines.truncate(end.log);
        }
        if let Some(first) = beside.first_mut() {
            first.lines.drain(..self.from.log.min(first.lines.len()));
        }
        let lines = beside.iter().flat_map(|beside| &beside.lines);
        let spans = beside.iter().filter_map(|beside| beside.span_at.map(|(_, place)| place));
        let mut found = Found::read(read, spans.chain(lines.filter_map(|line| line.place)))?;
        let mut missing = 0;
        for (node, Beside { span_at, lines, .. }) in journey.nodes.iter_mut().zip(beside) {
            if let Some((record_id, _)) = span_at {
                match found.records.remove(&record_id) {
                    Some(Record::Span(span)) => node.span = Some(span),
                    _ => missing += 1,
                }
            }
            let log = |line: &Line| text(line.record_id).map(Record::Log).or_else(|| found.records.remove(&line.record_id));
            node.logs = lines.iter().filter_map(log).collect();
            missing += lines.len() - node.logs.len();
        }
        if missing > 0 {
            let failures = found.coverage.failures.join("; ");
            journey.completeness.reasons.push(format!("what {missing} records of this page say could not be read: {failures}"));
            journey.completeness.state = CompletenessState::Partial;
        }
        Ok(journey)
    }

    /// The nodes of this page, and where the next one begins.
    fn range(&self, beside: &[Beside]) -> (Range<usize>, NodePlace) {
        let first = self.from.node.min(beside.len());
        let last = first.saturating_add(self.nodes).min(beside.len());
        let mut logs = 0;
        for (node, Beside { lines, .. }) in (first..last).zip(&beside[first..last]) {
            let from = if node == first { self.from.log.min(lines.len()) } else { 0 };
            let more = lines.len() - from;
            if logs > 0 && logs + more > self.logs {
                return (first..node, NodePlace { node, ..NodePlace::default() });
            }
            if more > self.logs {
                return (first..node + 1, NodePlace { node, log: from + self.logs, stitching: None });
            }
            logs += more;
        }
        (first..last, NodePlace { node: last, ..NodePlace::default() })
    }
}

#[cfg(test)]
impl Outlined {
    /// All of it on one page.
    pub(crate) fn whole(self, read: &impl Read) -> Journey {
        let all = Page { from: NodePlace::default(), nodes: usize::MAX, logs: usize::MAX };
        all.of_outlined(read, self).expect("memory does not fail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::tests::builder::{Shop, checkout, options, trace};

    /// All pages, each made of the journey stitched anew.
    fn pages(shop: &Shop, nodes: Option<usize>) -> Vec<Journey> {
        let id = trace(1).to_string();
        let mut request = JourneyRequest { id: id.clone(), inferred: true, corrected: false, limit: nodes, cursor: None };
        let mut pages = Vec::new();
        loop {
            let outlined = outline(shop, &id, options(), 2).expect("memory does not fail").expect("the id is carried");
            let page = Page::of(&request).expect("our own cursor").of_outlined(shop, outlined).expect("memory does not fail");
            request.cursor = page.next_cursor.clone();
            pages.push(page);
            if request.cursor.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_of_a_journey_are_the_whole_in_tree_order() {
        let whole = checkout().stitched();
        let pages = pages(&checkout(), Some(3));
        assert!(pages.len() > 1 && pages.iter().all(|page| page.nodes_total == whole.nodes.len()));
        let nodes: Vec<_> = pages.into_iter().flat_map(|page| page.nodes).collect();
        assert_eq!(format!("{nodes:?}"), format!("{:?}", whole.nodes));
    }

    #[test]
    fn a_page_may_lie_behind_the_end_and_needs_a_size() {
        let mut request =
            JourneyRequest { id: String::new(), inferred: true, corrected: false, limit: None, cursor: Some("n999".to_owned()) };
        let behind = outline(&checkout(), &trace(1).to_string(), options(), 2).expect("memory does not fail").expect("the id is carried");
        let page = Page::of(&request).expect("a cursor").of_outlined(&checkout(), behind).expect("memory does not fail");
        assert!(page.nodes.is_empty() && page.next_cursor.is_none());
        request.limit = Some(0);
        assert!(Page::of(&request).is_err());
    }

    #[test]
    fn a_node_with_very_many_logs_goes_on_on_the_next_page() {
        let mut shop = checkout();
        let (many, few) = (PAGE_LOGS_MAX * 2 + 5, PAGE_LOGS_MAX - 5);
        for (span, logs) in [(1, 3), (2, many), (3, few), (4, 6)] {
            for n in 0..logs {
                shop.log("web", n as i64 % 50, "").of_trace(1).on_span(span);
            }
        }
        let whole = shop.stitched();
        let expected: Vec<(Arc<str>, RecordId)> = placed_logs(&whole).collect();
        let pages = pages(&shop, None);
        assert!(pages.iter().all(|page| page.nodes.iter().map(|node| node.logs.len()).sum::<usize>() <= PAGE_LOGS_MAX));
        assert!(pages.len() >= 4, "{many} logs take three pages, and the others at least one more");
        assert!(pages.iter().flat_map(placed_logs).eq(expected), "every log once, in order");
        let mut nodes: Vec<&str> = pages.iter().flat_map(|page| page.nodes.iter().map(|node| &*node.node_id)).collect();
        nodes.dedup();
        assert!(nodes.into_iter().eq(whole.nodes.iter().map(|node| &*node.node_id)), "every node, the long one on several pages");
    }

    /// A store whose shards can no longer be read when the page is.
    struct Blind(Shop);

    impl Read for Blind {
        fn by_ids(&self, terms: &[IdTerm], known: &Known<'_>, whole_max: usize, take: &mut Take<'_>) -> Result<Coverage, ReadError> {
            self.0.by_ids(terms, known, whole_max, take)
        }

        fn records_at(&self, _places: &[RecordPlace]) -> Result<(Vec<Record>, Coverage), ReadError> {
            Ok((Vec::new(), Coverage { shards_searched: 0, failures: vec!["shard a: checksum".to_owned()] }))
        }
    }

    #[test]
    fn what_cannot_be_read_any_more_is_said() {
        let stitched = |read: &Blind, whole_max| {
            let outlined = outline(read, &trace(1).to_string(), options(), whole_max).expect("memory does not fail");
            outlined.expect("the id is carried").whole(read).completeness
        };
        let blind = Blind(checkout());
        assert_eq!(stitched(&blind, usize::MAX).state, CompletenessState::Complete, "all was read as a whole");
        let partial = stitched(&blind, 0);
        assert_eq!(partial.state, CompletenessState::Partial);
        assert!(partial.reasons.iter().any(|reason| reason.contains("shard a: checksum")), "{:?}", partial.reasons);
    }

    fn placed_logs(journey: &Journey) -> impl Iterator<Item = (Arc<str>, RecordId)> {
        journey.nodes.iter().flat_map(|node| node.logs.iter().map(|log| (node.node_id.clone(), log.common().record_id)))
    }
}
