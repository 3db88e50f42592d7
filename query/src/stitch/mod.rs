//! Stitching: from the records an id leads to, to one tree of spans, logs, and services that only log.
//!
//! In this order: copies merged ([`copies`]), trees by parent id ([`tree`]), clocks estimated ([`clocks`]), calls and whom
//! they name ([`calls`]), missing parents and traces that lost their context placed ([`contexts`]), logs hung on their
//! spans ([`logs`]), the lines of services without spans turned into visits ([`logs_only`], by [`fit`] and [`joint`]), what
//! nobody names placed by time ([`unnamed`], [`cover`]), and all of it listed in pre-order ([`nodes`]). Nothing here recurses: a chain
//! of 10,000 spans is as good as any. Every record is in the answer exactly once.

mod aids;
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
mod logs;
mod logs_only;
mod nodes;
mod tree;
mod unnamed;

#[cfg(test)]
pub(crate) mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use needle_storage::model::{Log, NormalId, Record, StatusCode, TraceId, UnixNanos};

pub(crate) use close::{Closed, Places, Take, close, join_ids};

/// Keys of attributes of logs that tell where they belong.
pub(crate) static LOG_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| logs_only::keys().chain(tree::keys()).collect());
/// And of spans.
pub(crate) static SPAN_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| calls::keys().chain(tree::keys()).collect());

use crate::answer::{Hub, Journey, JourneyService, LinkedJourney};
use calls::Calls;
use clocks::Clocks;
use copies::Received;
use logs::Context;
use tree::Tree;

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

/// The journey of an id, all of it. `None` when no record carries the id.
pub(crate) fn stitch(id: &str, mut closed: Closed, options: Options) -> Option<Journey> {
    let mut records = std::mem::take(&mut closed.records);
    records.sort_by(in_order);
    records.dedup_by_key(|record| record.common().record_id);
    let mut about = About::of(&records)?;
    let (spans, logs) = apart(records);
    let spans = copies::merge(spans);
    about.count_spans(&spans);
    about.outgoing(&spans, &mut closed.incoming);

    about.forget(&closed.hubs);
    let mut tree = Tree::of_spans(spans);
    let mut clocks = Clocks::estimate(&tree);
    clocks.apply(&mut tree);
    if options.inferred {
        infer(&mut tree, logs, &about.ids_of_traces, &mut clocks);
    } else {
        let others = logs::on_their_spans(&mut tree, logs);
        logs_only::as_they_are(&mut tree, others);
    }
    let missing_parents = tree.missing.len();
    let (start, end) = about.shown_range(&clocks, options.corrected);
    let nodes = nodes::in_pre_order(tree, options.corrected);
    let aids = aids::of(&nodes, end.since(start));
    for service in &mut about.services {
        service.self_time_ns = aids.self_times_ns.get(service.name.as_str()).copied().unwrap_or(0);
    }
    let (gaps, groups) = (aids.gaps, aids.groups);
    Some(Journey {
        id: id.to_owned(),
        completeness: completeness::of(&closed, about.end, missing_parents, options.now),
        trace_ids: about.trace_ids,
        request_ids: about.request_ids,
        hubs: closed.hubs,
        start,
        end,
        services: about.services,
        nodes_total: nodes.len(),
        nodes,
        gaps,
        groups,
        linked: closed.incoming,
        clock: clocks.into_answer(),
        missing_parents,
        next_cursor: None,
    })
}

/// All that no sender said: where missing parents, lost contexts and logs without a span belong. What is named is placed
/// first, then what only time tells.
fn infer(tree: &mut Tree, logs: Vec<Log>, ids_of_traces: &[(TraceId, Vec<NormalId>)], clocks: &mut Clocks) {
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
    guests.extend(contexts::without_caller(tree, &context));
    unnamed::place(tree, &context, &mut calls, guests, clocks);
    contexts::missing_under_visits(tree, &calls);
}

/// By time. What has the same time is told apart by what it says, so that the order of arrival does not matter; only lines
/// that say the same of themselves stand as they arrived.
fn in_order(a: &Record, b: &Record) -> Ordering {
    let (a, b) = (a.common(), b.common());
    let told = a.time.cmp(&b.time).then(a.span_id.cmp(&b.span_id)).then_with(|| a.service.cmp(&b.service));
    told.then_with(|| a.request_ids.cmp(&b.request_ids)).then(a.record_id.cmp(&b.record_id))
}

fn apart(records: Vec<Record>) -> (Vec<Received>, Vec<Log>) {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Record::Log(log) => logs.push(log),
            Record::Span(span) => spans.push(Received { span, flags: Vec::new() }),
        }
    }
    (spans, logs)
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
    fn of(records: &[Record]) -> Option<About> {
        let mut about = About {
            trace_ids: Vec::new(),
            request_ids: Vec::new(),
            ids_of_traces: Vec::new(),
            services: Vec::new(),
            ranges: HashMap::new(),
            end: records.iter().map(completeness::end_of).max()?,
        };
        let (mut traces, mut requests) = (BTreeSet::new(), BTreeSet::new());
        let mut places: HashMap<&str, usize> = HashMap::new();
        for record in records {
            let common = record.common();
            if let Some(trace_id) = common.trace_id {
                if traces.insert(trace_id) {
                    about.trace_ids.push(trace_id);
                }
                requests.insert(NormalId::of_trace(trace_id));
            }
            about.ids_of_traces.extend(logs::ids_with_trace(common).filter(|(_, ids)| ids.len() > 1 || matches!(record, Record::Span(_))));
            let place = *places.entry(&common.service).or_insert_with(|| {
                about.services.push(JourneyService { name: common.service.clone(), inferred: true, ..JourneyService::default() });
                about.services.len() - 1
            });
            if matches!(record, Record::Log(_)) {
                about.services[place].logs += 1;
                about.services[place].errors += usize::from(record.is_error());
            }
            let range = about
                .ranges
                .entry((common.service.clone(), tree::Process::of(common).instance))
                .or_insert((UnixNanos::MAX, UnixNanos::MIN));
            *range = (range.0.min(common.time), range.1.max(completeness::end_of(record)));
        }
        // A trace id that is found as a request id as well is listed once, as a trace.
        for id in records.iter().flat_map(|record| &record.common().request_ids) {
            if NormalId::of(id).is_some_and(|normal| requests.insert(normal)) {
                about.request_ids.push(id.clone());
            }
        }
        about.ids_of_traces.sort_unstable();
        about.ids_of_traces.dedup();
        Some(about)
    }

    fn count_spans(&mut self, spans: &[Received]) {
        let places: HashMap<String, usize> = self.services.iter().enumerate().map(|(n, service)| (service.name.clone(), n)).collect();
        for Received { span, .. } in spans {
            let service = &mut self.services[places[&span.common.service]];
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
                if seen.insert((trace_id, span.common.span_id)) {
                    outgoing.push(LinkedJourney { trace_id, span_id: span.common.span_id, incoming: false });
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
