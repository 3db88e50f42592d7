//! Builds records of a journey, times in milliseconds.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use needle_storage::model::{
    Attributes, Common, IdTerm, Link, Log, NormalId, Record, RecordId, Severity, Span, SpanId, SpanKind, StatusCode, TraceId, UnixNanos,
    Value,
};
use needle_storage::{Coverage, Known, ReadError, RecordPlace};

use crate::answer::Journey;
use crate::journey::{self, Outlined};
use crate::stitch::copies::Received;
use crate::stitch::tree::Tree;
use crate::stitch::{Closed, LOG_KEYS, Line, Options, SPAN_KEYS, Take, stitch};

pub(crate) const MS: u64 = 1_000_000;
/// Far enough from zero that clocks can go wrong both ways.
pub(crate) const EPOCH: u64 = 1_700_000_000_000_000_000;

pub(crate) fn at(ms: i64) -> UnixNanos {
    UnixNanos(EPOCH).saturating_add_signed(ms * MS as i64)
}

pub(crate) fn trace(n: u8) -> TraceId {
    TraceId([n; 16])
}

pub(crate) fn span_id(n: u64) -> SpanId {
    SpanId(n.to_be_bytes())
}

/// With inference, an hour later.
pub(crate) fn options() -> Options {
    Options { inferred: true, corrected: false, now: at(3_600_000) }
}

/// All records stitched as they are, without closing over ids.
pub(crate) fn stitched_as(records: &[Record], options: Options, failures: Vec<String>) -> Journey {
    let mut closed = Closed { failures, ..Closed::of(records) };
    let stitched = stitch("x", &mut closed, options, Arc::default()).expect("there are records");
    Outlined::of(stitched, closed.texts).whole(&Shop::default())
}

/// Records under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shop {
    pub(crate) records: Vec<Record>,
}

/// The span or log added last, for further details.
impl Shop {
    fn common(&self, service: &str, ms: i64) -> Common {
        Common {
            record_id: RecordId(self.records.len() as u64),
            time: at(ms),
            service: service.to_owned(),
            resource: vec![("service.name".to_owned(), Value::String(service.to_owned()))].into(),
            ..Common::default()
        }
    }

    /// A span of trace 1 from `start` to `end`.
    pub(crate) fn span(&mut self, service: &str, kind: SpanKind, id: u64, parent: u64, start: i64, end: i64) -> &mut Self {
        let mut common = self.common(service, start);
        common.trace_id = Some(trace(1));
        common.span_id = Some(span_id(id));
        self.records.push(Record::Span(Box::new(Span {
            common,
            duration_ns: (end - start) * MS as i64,
            parent_span_id: (parent != 0).then(|| span_id(parent)),
            name: format!("{service} {id}"),
            kind,
            ..Span::default()
        })));
        self
    }

    pub(crate) fn log(&mut self, service: &str, ms: i64, body: &str) -> &mut Self {
        let common = self.common(service, ms);
        self.records.push(Record::Log(Log {
            common,
            severity: Severity::INFO,
            body: Some(Value::String(body.to_owned())),
            ..Log::default()
        }));
        self
    }

    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Common)) -> &mut Self {
        match self.records.last_mut().expect("a record was added") {
            Record::Log(log) => change(&mut log.common),
            Record::Span(span) => change(&mut span.common),
        }
        self
    }

    pub(crate) fn edit_span(&mut self, change: impl FnOnce(&mut Span)) -> &mut Self {
        match self.records.last_mut().expect("a record was added") {
            Record::Log(_) => panic!("the last record is a log"),
            Record::Span(span) => change(span),
        }
        self
    }

    pub(crate) fn of_trace(&mut self, n: u8) -> &mut Self {
        self.edit(|common| common.trace_id = Some(trace(n)))
    }

    pub(crate) fn request(&mut self, id: &str) -> &mut Self {
        self.edit(|common| common.request_ids.push(id.to_owned()))
    }

    pub(crate) fn on_span(&mut self, id: u64) -> &mut Self {
        self.edit(|common| common.span_id = Some(span_id(id)))
    }

    pub(crate) fn attribute(&mut self, key: &str, value: &str) -> &mut Self {
        self.edit(|common| common.attributes.push((key.to_owned(), Value::String(value.to_owned()))))
    }

    pub(crate) fn instance(&mut self, name: &str) -> &mut Self {
        self.edit(|common| Arc::make_mut(&mut common.resource).push(("service.instance.id".to_owned(), Value::String(name.to_owned()))))
    }

    pub(crate) fn failed(&mut self) -> &mut Self {
        self.edit_span(|span| span.status = StatusCode::ERROR)
    }

    pub(crate) fn link(&mut self, to: TraceId) -> &mut Self {
        self.edit_span(|span| {
            span.links.push(Link { trace_id: Some(to), span_id: Some(span_id(1)), attributes: Attributes::new(), ..Link::default() });
        })
    }

    /// Moves the record added last by a clock error.
    pub(crate) fn skewed(&mut self, ms: i64) -> &mut Self {
        self.edit(|common| common.time = common.time.saturating_add_signed(ms * MS as i64))
    }

    /// The logs among the records.
    pub(crate) fn lines(&self) -> Vec<Line> {
        Closed::of(&self.records).lines
    }

    pub(crate) fn journey_with(&self, id: &str, inferred: bool, corrected: bool) -> Option<Journey> {
        let options = Options { inferred, corrected, ..options() };
        journey::outline(self, id, options, usize::MAX).expect("memory does not fail").map(|outlined| outlined.whole(self))
    }

    pub(crate) fn journey(&self, id: &str) -> Journey {
        self.journey_with(id, true, false).expect("the id is carried")
    }

    /// The journey of trace 1.
    pub(crate) fn stitched(&self) -> Journey {
        self.journey(&trace(1).to_string())
    }
}

/// The tree of a shop's spans, before anything is inferred.
pub(in crate::stitch) fn tree_of(shop: &Shop) -> Tree {
    let spans = Closed::of(&shop.records).spans;
    Tree::of_spans(spans.into_iter().map(|span| Received { span, flags: Vec::new() }).collect())
}

fn terms_of(record: &Record) -> Vec<IdTerm> {
    let common = record.common();
    let mut terms: Vec<IdTerm> = common.span_id.map(IdTerm::of_span).into_iter().collect();
    if let Some(trace_id) = common.trace_id {
        let id = NormalId::of_trace(trace_id);
        terms.push(id.term());
        terms.extend(id.low_half_term());
    }
    terms.extend(common.request_ids.iter().filter_map(|id| NormalId::of(id)).map(|id| id.term()));
    if let Record::Span(span) = record {
        terms.extend(span.links.iter().filter_map(|link| link.trace_id).map(|id| NormalId::of_trace(id).term()));
    }
    terms
}

/// A tree as text, one line for each node.
pub(crate) fn drawn(journey: &Journey) -> String {
    let mut text = String::new();
    for node in &journey.nodes {
        let mark = if node.missing {
            "?"
        } else if node.inferred.is_some() {
            "~"
        } else {
            ""
        };
        let flags: String = node.flags.iter().map(|flag| format!(" !{flag}")).collect();
        let logs: Vec<String> = node.logs.iter().map(body_of).collect();
        let logs = if logs.is_empty() { String::new() } else { format!(" [{}]", logs.join(", ")) };
        writeln!(text, "{}{mark}{}{flags}{logs}", "  ".repeat(node.depth), node.node_id.trim_start_matches('0')).expect("a string grows");
    }
    text
}

fn body_of(record: &Record) -> String {
    match record {
        Record::Log(log) => log.body.as_ref().map(Value::text).unwrap_or_default(),
        Record::Span(_) => panic!("a span among logs"),
    }
}

#[track_caller]
pub(crate) fn check(journey: &Journey, expected: &[&str]) {
    let drawn = drawn(journey);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines, expected, "\n{drawn}");
}

/// Three services, one of which only logs: the request of a shop.
pub(crate) fn checkout() -> Shop {
    let mut shop = Shop::default();
    shop.span("gateway", SpanKind::SERVER, 1, 0, 0, 400).request("125a4afb-6f55-44ba-ad80-413f09f48a28");
    shop.span("gateway", SpanKind::CLIENT, 2, 1, 10, 390).attribute("server.address", "orders");
    shop.span("orders", SpanKind::SERVER, 3, 2, 15, 380);
    shop.log("orders", 100, "reserve stock").of_trace(1).on_span(3);
    shop.log("legacy-auth", 20, "token near expiry").request("125A4AFB-6F55-44BA-AD80-413F09F48A28");
    shop.log("legacy-auth", 60, "token ok").request("125a4afb6f5544baad80413f09f48a28");
    shop
}

/// Answers as storage does.
impl journey::Read for Shop {
    fn by_ids(&self, terms: &[IdTerm], known: &Known<'_>, whole_max: usize, take: &mut Take<'_>) -> Result<Coverage, ReadError> {
        let wanted: BTreeSet<&IdTerm> = terms.iter().collect();
        let carries = |record: &&Record| terms_of(record).iter().any(|term| wanted.contains(term));
        let found = self.records.iter().filter(carries).filter(|record| !known.has(record.common().record_id));
        for (n, record) in found.enumerate() {
            let place = RecordPlace::live(0, record.common().record_id.0 as u32);
            if n < whole_max { take(record.clone(), None) } else { take(outline_of(record), Some(place)) }
        }
        Ok(Coverage { shards_searched: 1, failures: Vec::new() })
    }

    fn records_at(&self, places: &[RecordPlace]) -> Result<(Vec<Record>, Coverage), ReadError> {
        let places: HashSet<&RecordPlace> = places.iter().collect();
        let is_wanted = |record: &&Record| places.contains(&RecordPlace::live(0, record.common().record_id.0 as u32));
        Ok((self.records.iter().filter(is_wanted).cloned().collect(), Coverage::default()))
    }
}

/// What tells where a record belongs, without what it says.
fn outline_of(record: &Record) -> Record {
    let mut outline = record.clone();
    match &mut outline {
        Record::Log(log) => {
            log.body = None;
            log.common.attributes.retain(|(key, _)| LOG_KEYS.contains(&key.as_str()));
        }
        Record::Span(span) => {
            span.events.clear();
            span.common.attributes.retain(|(key, _)| SPAN_KEYS.contains(&key.as_str()));
        }
    }
    outline
}
