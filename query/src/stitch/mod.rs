//! Stitching: from the records an id leads to, to one tree of spans, logs, and services that only log.
//!
//! In this order: copies merged ([`copies`]), trees by parent id ([`tree`]), clocks estimated ([`clocks`]), calls and whom
//! they name ([`calls`]), missing parents and traces that lost their context placed ([`contexts`]), logs hung on their
//! spans ([`logs`]), the lines of services without spans turned into visits ([`logs_only`], by [`fit`], [`joint`],
//! [`odds`] and [`by_clock`]), what
//! nobody names placed by time ([`unnamed`], [`cover`]), where clocks are in question once more with what other journeys tell of
//! them ([`witness`]), and all of it listed in pre-order ([`nodes`]). Nothing here recurses: a chain
//! of 10,000 spans is as good as any. Every record is in the answer exactly once.

mod aids;
mod bar;
mod by_clock;
mod calls;
mod clocks;
mod close;
mod completeness;
mod contexts;
mod copies;
mod cover;
mod critical_path;
mod enclose;
mod fit;
mod joint;
mod line;
mod logs;
mod logs_only;
mod nodes;
mod odds;
mod tree;
mod undecided;
mod unnamed;
mod witness;

#[cfg(test)]
pub(crate) mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use needle_storage::RecordPlace;
use needle_storage::model::{NormalId, RecordId, SpanId, StatusCode, TraceId, UnixNanos};

pub(crate) use bar::Whole;
pub(crate) use calls::{URL_KEYS, authority_of, host_of, likeness};
pub(crate) use close::{Closed, Take, Texts, close, join_ids};
pub(crate) use line::Line;
pub(crate) use tree::ALL_INSTANCE_KEYS as INSTANCE_KEYS;
pub(crate) use witness::{Testimony, told_by};

/// Keys of attributes of logs that tell where they belong.
pub(crate) static LOG_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| logs_only::keys().chain(tree::keys()).collect());
/// And of spans.
pub(crate) static SPAN_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| calls::keys().chain(tree::keys()).collect());

use crate::answer::{Hub, Journey, JourneyService, LinkedJourney};
use bar::Bar;
use calls::Calls;
use clocks::Clocks;
use copies::Received;
use line::Source;
use logs::Context;
use tree::Tree;

/// What belongs to a node and may not have been read yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    /// Its span's number, and where it lies.
    pub(crate) span_at: Option<(RecordId, RecordPlace)>,
    /// In time order.
    pub(crate) lines: Vec<Line>,
    /// What its clock is corrected by where nodes are compared, nanoseconds; shown times may be as recorded.
    pub(crate) offset_ns: i64,
}

/// How a journey is stitched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Whether log-only services, lost contexts and missing parents are placed by inference.
    pub(crate) inferred: bool,
    /// Whether times are shown moved by the estimated offsets.
    pub(crate) corrected: bool,
    /// To tell whether records may still be arriving.
    pub(crate) now: UnixNanos,
}

/// A journey whose logs are still lines.
pub(crate) struct Stitched {
    /// Its nodes have no logs yet, and no spans that were not read.
    pub(crate) journey: Journey,
    /// Beside each node.
    pub(crate) beside: Vec<Beside>,
    /// Whose clocks other journeys may tell more of.
    pub(crate) in_question: BTreeSet<InQuestion>,
}

/// A process whose clock matters, and is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InQuestion {
    pub(crate) service: String,
    pub(crate) instance: Option<String>,
}

/// What stands with less confidence may stand better if more is known of its clock.
const SURE: f64 = 0.85;

/// The journey of an id, all of it, with what other journeys tell of its clocks. `None` when no record carries the id.
pub(crate) fn stitch(id: &str, closed: &mut Closed, options: Options, elsewhere: Arc<Vec<Testimony>>) -> Option<Stitched> {
    let (mut spans, mut lines) = (std::mem::take(&mut closed.spans), std::mem::take(&mut closed.lines));
    spans.sort_by(|a, b| Told::Span(a).in_order(Told::Span(b)));
    lines.sort_by(|a, b| Told::Line(a).in_order(Told::Line(b)));
    let mut about = About::of(&spans, &lines)?;
    let spans = copies::merge(spans);
    about.count_spans(&spans);
    about.outgoing(&spans, &mut closed.incoming);

    about.forget(&closed.hubs);
    let mut tree = Tree::of_spans(spans);
    let mut clocks = Clocks::estimate(&tree, elsewhere);
    clocks.apply(&mut tree);
    if options.inferred {
        infer(&mut tree, lines, &about.ids_of_traces, &mut clocks);
    } else {
        let others = logs::on_their_spans(&mut tree, lines);
        logs_only::as_they_are(&mut tree, others);
    }
    let in_question = in_question(&tree, &clocks);
    let missing_parents = tree.missing.len();
    let (start, end) = about.shown_range(&clocks, options.corrected);
    let (nodes, beside) = nodes::in_pre_order(tree, options.corrected);
    let aids = aids::of(&nodes, &beside, end.since(start));
    for service in &mut about.services {
        service.self_time_ns = aids.self_times_ns.get(service.name.as_str()).copied().unwrap_or(0);
    }
    let (gaps, groups) = (aids.gaps, aids.groups);
    let journey = Journey {
        id: id.to_owned(),
        completeness: completeness::of(closed, about.end, missing_parents, options.now),
        trace_ids: about.trace_ids,
        request_ids: about.request_ids,
        hubs: std::mem::take(&mut closed.hubs),
        start,
        end,
        services: about.services,
        nodes_total: nodes.len(),
        nodes,
        gaps,
        groups,
        linked: std::mem::take(&mut closed.incoming),
        clock: clocks.into_answer(),
        missing_parents,
        next_cursor: None,
    };
    Some(Stitched { journey, beside, in_question })
}

/// All that no sender said: where missing parents, lost contexts and logs without a span belong. What is named is placed
/// first, then what only time tells.
fn infer(tree: &mut Tree, logs: Vec<Line>, ids_of_traces: &[(TraceId, Vec<NormalId>)], clocks: &mut Clocks) {
    let context = Context::of(tree, ids_of_traces);
    let mut calls = Calls::of(tree, &logs);
    contexts::missing_under_callers(tree, &calls);
    contexts::under_links(tree, &context);
    contexts::under_calls(tree, &context, &mut calls, clocks);
    let depths = nodes::depths(tree);
    let (given, others) = logs::on_own_spans(tree, logs);
    let without_span = logs::on_spans_of_their_service(tree, &depths, &context, others);
    logs_only::under_named_spans(tree, &mut calls, clocks, given);
    let mut guests = logs_only::under_calls(tree, &mut calls, without_span, clocks);
    guests.extend(contexts::without_caller(tree, &context, clocks));
    unnamed::place(tree, &context, &mut calls, guests, clocks);
    contexts::missing_under_visits(tree, &calls);
    for node in tree.nodes.iter().filter(|node| node.role == tree::Role::Lines) {
        clocks.tell(&node.service, &node.process);
    }
}

/// The processes that stand where they stand by time, and whose clocks are not known though clocks are off, or which are not
/// sure to stand there. None where several clocks are known and agree: then those that are not known are taken as right.
fn in_question(tree: &Tree, clocks: &Clocks) -> BTreeSet<InQuestion> {
    if clocks.agree() {
        return BTreeSet::new();
    }
    let by_time = tree.nodes.iter().filter(|node| node.role != tree::Role::Missing && node.inferred.is_some());
    let doubtful = by_time.filter(|node| {
        let unsure = node.inferred.as_ref().is_some_and(|why| why.confidence < SURE);
        !clocks.is_told(&node.service, &node.process) && (unsure || clocks.are_off())
    });
    doubtful.map(|node| InQuestion { service: node.service.to_string(), instance: node.process.instance.clone() }).collect()
}

/// A record as far as it tells of the journey as a whole.
#[derive(Clone, Copy)]
enum Told<'a> {
    Span(&'a Bar),
    Line(&'a Line),
}

impl<'a> Told<'a> {
    /// All of them, where both kinds are in order.
    fn all(spans: &'a [Bar], lines: &'a [Line]) -> impl Iterator<Item = Told<'a>> {
        let mut spans = spans.iter().map(Told::Span).peekable();
        let mut lines = lines.iter().map(Told::Line).peekable();
        std::iter::from_fn(move || match (spans.peek(), lines.peek()) {
            (Some(span), Some(line)) if line.in_order(*span) == Ordering::Less => lines.next(),
            (Some(_), _) => spans.next(),
            (None, _) => lines.next(),
        })
    }

    /// By time. What has the same time is told apart by what it says, so that the order of arrival does not matter; only
    /// lines that say the same of themselves stand as they arrived.
    fn in_order(self, other: Told<'_>) -> Ordering {
        let told = self.time().cmp(&other.time()).then_with(|| self.span_id().cmp(&other.span_id()));
        let told = told.then_with(|| self.service().cmp(other.service())).then_with(|| self.request_ids().cmp(other.request_ids()));
        told.then_with(|| self.record_id().cmp(&other.record_id()))
    }

    fn time(self) -> UnixNanos {
        match self {
            Told::Span(span) => span.start,
            Told::Line(line) => line.time,
        }
    }

    fn end(self) -> UnixNanos {
        match self {
            Told::Span(span) => span.end(),
            Told::Line(line) => line.time,
        }
    }

    fn record_id(self) -> RecordId {
        match self {
            Told::Span(span) => span.record_id,
            Told::Line(line) => line.record_id,
        }
    }

    fn trace_id(self) -> Option<TraceId> {
        match self {
            Told::Span(span) => span.trace_id,
            Told::Line(line) => line.trace_id,
        }
    }

    fn span_id(self) -> Option<SpanId> {
        match self {
            Told::Span(span) => span.span_id,
            Told::Line(line) => line.span_id,
        }
    }

    fn source(self) -> &'a Arc<Source> {
        match self {
            Told::Span(span) => &span.source,
            Told::Line(line) => &line.source,
        }
    }

    fn service(self) -> &'a str {
        &self.source().service
    }

    fn request_ids(self) -> &'a [String] {
        &self.source().request_ids
    }
}

/// What the records tell before they are a tree.
struct About {
    trace_ids: Vec<TraceId>,
    request_ids: Vec<String>,
    ids_of_traces: Vec<(TraceId, Vec<NormalId>)>,
    services: Vec<JourneyService>,
    /// First start and last end of each service instance, for the range as corrected.
    ranges: HashMap<(String, Option<String>), (UnixNanos, UnixNanos)>,
    end: UnixNanos,
}

impl About {
    /// `None` when there is no record. Spans are counted later, when copies are merged.
    fn of(spans: &[Bar], lines: &[Line]) -> Option<About> {
        let mut about = About {
            trace_ids: Vec::new(),
            request_ids: Vec::new(),
            ids_of_traces: Vec::new(),
            services: Vec::new(),
            ranges: HashMap::new(),
            end: Told::all(spans, lines).map(Told::end).max()?,
        };
        let mut traces = BTreeSet::new();
        let mut places: HashMap<&str, usize, ahash::RandomState> = HashMap::default();
        // Of a source and a trace only the first span and the first line tell of ids.
        let mut heard: HashSet<(*const Source, Option<TraceId>, bool), ahash::RandomState> = HashSet::default();
        let mut spelled: Vec<(&String, NormalId)> = Vec::new();
        let mut ranges: HashMap<*const Source, (UnixNanos, UnixNanos), ahash::RandomState> = HashMap::default();
        for told in Told::all(spans, lines) {
            let place = *places.entry(told.service()).or_insert_with(|| {
                about.services.push(JourneyService { name: told.service().to_owned(), inferred: true, ..JourneyService::default() });
                about.services.len() - 1
            });
            let source = Arc::as_ptr(told.source());
            let range = ranges.entry(source).or_insert((told.time(), told.end()));
            *range = (range.0.min(told.time()), range.1.max(told.end()));
            if let Told::Line(line) = told {
                about.services[place].logs += 1;
                about.services[place].errors += usize::from(line.is_error);
            }
            if !heard.insert((source, told.trace_id(), matches!(told, Told::Line(_)))) {
                continue;
            }
            about.trace_ids.extend(told.trace_id().filter(|trace_id| traces.insert(*trace_id)));
            let ids: Vec<(&String, NormalId)> = told.request_ids().iter().filter_map(|id| Some((id, NormalId::of(id)?))).collect();
            let joined = logs::ids_with_trace(told.trace_id(), ids.iter().map(|(_, id)| id.clone()));
            about.ids_of_traces.extend(joined.filter(|(_, ids)| ids.len() > 1 || matches!(told, Told::Span(_))));
            spelled.extend(ids);
        }
        for source in spans.iter().map(|span| &span.source).chain(lines.iter().map(|line| &line.source)) {
            // Each source once: the first of its records takes the range away.
            if let Some((from, to)) = ranges.remove(&Arc::as_ptr(source)) {
                about.extend_range(source, from, to);
            }
        }
        // A trace id that is found as a request id as well is listed once, as a trace.
        let mut requests: BTreeSet<NormalId> = traces.iter().map(|trace_id| NormalId::of_trace(*trace_id)).collect();
        about.request_ids.extend(spelled.into_iter().filter(|(_, id)| requests.insert(id.clone())).map(|(id, _)| id.clone()));
        about.ids_of_traces.sort_unstable();
        about.ids_of_traces.dedup();
        Some(about)
    }

    fn extend_range(&mut self, source: &Source, from: UnixNanos, to: UnixNanos) {
        let key = (source.service.to_string(), source.process.instance.clone());
        let range = self.ranges.entry(key).or_insert((UnixNanos::MAX, UnixNanos::MIN));
        *range = (range.0.min(from), range.1.max(to));
    }

    fn count_spans(&mut self, spans: &[Received]) {
        let places: HashMap<String, usize, ahash::RandomState> =
            self.services.iter().enumerate().map(|(n, service)| (service.name.clone(), n)).collect();
        for Received { span, .. } in spans {
            let service = &mut self.services[places[&*span.source.service]];
            service.spans += 1;
            service.inferred = false;
            service.errors += usize::from(span.status == StatusCode::ERROR);
        }
    }

    /// Hubs say nothing about what belongs together.
    fn forget(&mut self, hubs: &[Hub]) {
        let traces: BTreeSet<NormalId> = self.trace_ids.iter().map(|trace_id| NormalId::of_trace(*trace_id)).collect();
        let hubs: BTreeSet<NormalId> = hubs.iter().filter_map(|hub| NormalId::of(&hub.id)).filter(|id| !traces.contains(id)).collect();
        for (_, ids) in &mut self.ids_of_traces {
            ids.retain(|id| !hubs.contains(id));
        }
    }

    /// Adds the traces that links of these spans name, before those that name this journey.
    fn outgoing(&self, spans: &[Received], linked: &mut Vec<LinkedJourney>) {
        let ours: BTreeSet<TraceId> = self.trace_ids.iter().copied().collect();
        let mut outgoing: Vec<LinkedJourney> = Vec::new();
        let mut seen = BTreeSet::new();
        for Received { span, .. } in spans {
            for trace_id in span.links.iter().filter_map(|link| link.trace_id).filter(|trace_id| !ours.contains(trace_id)) {
                if seen.insert((trace_id, span.span_id)) {
                    outgoing.push(LinkedJourney { trace_id, span_id: span.span_id, incoming: false });
                }
            }
        }
        outgoing.append(linked);
        *linked = outgoing;
    }

    /// From the first start to the last end, as shown.
    fn shown_range(&self, clocks: &Clocks, corrected: bool) -> (UnixNanos, UnixNanos) {
        let shown = self.ranges.iter().map(|((service, instance), (start, end))| {
            let offset_ns = if corrected { clocks.shown_ns(service, instance.as_ref()) } else { 0 };
            (start.saturating_add_signed(offset_ns), end.saturating_add_signed(offset_ns))
        });
        shown.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default()
    }
}
