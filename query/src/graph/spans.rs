//! Spans and their parents: who called whom.

use needle_storage::model::{RecordId, RecordsView, SpanId, SpanKind, StatusCode, TraceId, column};
use needle_storage::predicate::Predicate;

use super::edges::{Call, Edges, Pair, Target};
use super::peers::Peer;

/// What is read of a span.
pub(super) const COLUMNS: [&str; 8] = [
    column::RECORD_ID,
    column::TRACE_ID,
    column::SPAN_ID,
    column::PARENT_SPAN_ID,
    column::SERVICE_NAME,
    column::KIND,
    column::STATUS_CODE,
    column::DURATION,
];

/// What is kept of a span while its parent is looked for. In the order of the fields, copies are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    trace_id: TraceId,
    span_id: SpanId,
    kind: SpanKind,
    service: u32,
    record_id: RecordId,
    parent: Option<SpanId>,
    peer: Option<u32>,
    duration_ns: i64,
    failed: bool,
    /// Whether it matches what was asked for.
    matches: bool,
}

impl Span {
    fn is_copy_of(&self, other: &Span) -> bool {
        let identity = |span: &Span| (span.trace_id, span.span_id, span.kind, span.service);
        identity(self) == identity(other)
    }

    fn calls(&self) -> bool {
        matches!(self.kind, SpanKind::CLIENT | SpanKind::PRODUCER)
    }

    fn handles(&self) -> bool {
        matches!(self.kind, SpanKind::SERVER | SpanKind::CONSUMER)
    }
}

/// The spans of one part of all traces.
#[derive(Debug)]
pub(super) struct Spans {
    part: u64,
    parts: u64,
    spans: Vec<Span>,
}

impl Spans {
    /// None yet. Traces belong to one of `parts` parts, each as a whole.
    pub(super) fn of_part(part: u64, parts: u64) -> Spans {
        Spans { part, parts, spans: Vec::new() }
    }

    /// Keeps those of some rows that belong to this part.
    pub(super) fn add(&mut self, view: &RecordsView<'_>, rows: &[u32], wanted: Option<&Predicate>, edges: &mut Edges) {
        let names = view.services();
        let mut numbers = vec![None; names.map_or(0, |names| names.texts())];
        for row in rows.iter().map(|row| *row as usize) {
            let (Some(trace_id), Some(span_id)) = (view.trace_id(row), view.span_id(row)) else { continue };
            if part_of(trace_id, self.parts) != self.part {
                continue;
            }
            let number = |edges: &mut Edges| edges.service(view.service(row));
            let service = match names.and_then(|names| names.code(row)) {
                None => number(edges),
                Some(code) => {
                    numbers[code] = numbers[code].or_else(|| number(edges));
                    numbers[code]
                }
            };
            let Some(service) = service else { continue };
            let mut span = Span {
                trace_id,
                span_id,
                kind: view.kind(row).unwrap_or_default(),
                service,
                record_id: view.record_id(row),
                parent: view.parent_span_id(row),
                peer: None,
                duration_ns: view.duration_ns(row).unwrap_or(0),
                failed: view.status(row) == Some(StatusCode::ERROR),
                matches: wanted.is_none_or(|wanted| wanted.matches(view, row)),
            };
            if span.calls() {
                span.peer = Peer::of(view, row).map(|peer| edges.peer(&peer));
            }
            self.spans.push(span);
        }
    }

    /// Counts the calls among them, each once however many copies of its spans there are.
    pub(super) fn count_calls(mut self, edges: &mut Edges) {
        self.spans.sort_unstable();
        self.spans.dedup_by(|later, first| later.is_copy_of(first));
        for trace in self.spans.chunk_by(|one, other| one.trace_id == other.trace_id) {
            Trace(trace).count_calls(edges);
        }
    }
}

/// To which of so many parts a trace belongs. Ids need not be random: some systems count.
fn part_of(trace_id: TraceId, parts: u64) -> u64 {
    let number = u128::from_be_bytes(trace_id.0);
    let mixed = ((number >> 64) as u64 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) % parts
}

/// The spans of a trace by their ids, each once.
struct Trace<'a>(&'a [Span]);

impl Trace<'_> {
    fn count_calls(&self, edges: &mut Edges) {
        let mut answered = vec![false; self.0.len()];
        for span in self.0 {
            match self.parent(span) {
                Parent::None => {}
                Parent::Missing => edges.missing_parents += u64::from(span.matches),
                Parent::At(at) => {
                    let parent = &self.0[at];
                    // What a call does inside of its own service, beside calling further in, is no answer.
                    answered[at] |= parent.service != span.service || span.handles() || span.calls();
                    if parent.service != span.service && (parent.matches || span.matches) {
                        add_call(parent, span, edges);
                    }
                }
            }
        }
        for (span, _) in self.0.iter().zip(&answered).filter(|(span, answered)| span.calls() && span.matches && !**answered) {
            match span.peer {
                None => edges.unanswered += 1,
                Some(peer) => {
                    let pair = Pair { caller: span.service, callee: Target::Peer(peer), is_message: span.kind == SpanKind::PRODUCER };
                    edges.add(pair, Call { failed: span.failed, duration_ns: span.duration_ns, confidence: 1.0 });
                }
            }
        }
    }

    /// The spans with an id, and where the first of them stands.
    fn with_id(&self, span_id: SpanId) -> (usize, &[Span]) {
        let first = self.0.partition_point(|span| span.span_id < span_id);
        let count = self.0[first..].partition_point(|span| span.span_id == span_id);
        (first, &self.0[first..first + count])
    }

    fn parent(&self, span: &Span) -> Parent {
        // In Zipkin's model the server's span has the id of the client's.
        let calling = if span.kind == SpanKind::SERVER { SpanKind::CLIENT } else { SpanKind::PRODUCER };
        let (first, same_id) = self.with_id(span.span_id);
        let callers = same_id.iter().enumerate().filter(|(_, other)| span.handles() && other.kind == calling);
        if let Some((at, _)) = callers.min_by_key(|(_, caller)| caller.record_id) {
            return Parent::At(first + at);
        }
        let Some(parent_id) = span.parent.filter(|parent_id| *parent_id != span.span_id) else { return Parent::None };
        let (first, same_id) = self.with_id(parent_id);
        // Of spans that share the id, the one of the child's service; else the handling one, which is the innermost.
        let nearness = |parent: &Span| (parent.service == span.service, parent.handles(), std::cmp::Reverse(parent.record_id));
        let nearest = same_id.iter().enumerate().max_by_key(|(_, parent)| nearness(parent));
        nearest.map_or(Parent::Missing, |(at, _)| Parent::At(first + at))
    }
}

/// What is known of a span's parent.
enum Parent {
    /// It has none.
    None,
    /// It was not received, or did not begin in time.
    Missing,
    /// It stands here.
    At(usize),
}

/// Counts a call as the caller saw it; where it does not wait or has no span for the call, as the callee did.
fn add_call(caller: &Span, callee: &Span, edges: &mut Edges) {
    let is_message = caller.kind == SpanKind::PRODUCER || callee.kind == SpanKind::CONSUMER;
    let waits = caller.kind == SpanKind::CLIENT && !is_message;
    let pair = Pair { caller: caller.service, callee: Target::Service(callee.service), is_message };
    let duration_ns = if waits { caller.duration_ns } else { callee.duration_ns };
    edges.add(pair, Call { failed: callee.failed || (caller.calls() && caller.failed), duration_ns, confidence: 1.0 });
}
