//! One request with the truth about it: who called whom, when it truly was, and what was written down.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::attributes::{double, integer, text};
use crate::conventions::{Convention, Passed, RequestId};
use crate::fleet::{Door, Fleet, Process};
use crate::naming::Naming;
use crate::random::Random;

/// Records of one request are numbered from a multiple of this.
pub(crate) const NUMBERS_OF_A_REQUEST: u64 = 1_000_000;
const LINES_FROM: u64 = 500_000;
const MICROSECOND: u64 = 1_000;

/// A stretch of true time, nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Window {
    pub(crate) fn length(self) -> u64 {
        self.to - self.from
    }

    pub(crate) fn meets(self, other: Window) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// What is left of a call between two trips through the network.
    pub(crate) fn behind_the_network(self, random: &mut Random) -> Window {
        let trip = |random: &mut Random| (100_000 + random.exponential(500_000.0) as u64).min(self.length() / 5);
        Window { from: self.from + trip(random), to: self.to - trip(random) }
    }

    /// Parts one after the other, with pauses between them.
    pub(crate) fn in_turn(self, parts: u64, random: &mut Random) -> Vec<Window> {
        let step = self.length() / parts;
        let mut part = |n: u64| {
            let pause = step / 40 + random.below(step / 6 + 1);
            Window { from: self.from + n * step + pause, to: self.from + (n + 1) * step - step / 40 }
        };
        (0..parts).map(&mut part).collect()
    }

    /// Parts that begin nearly at once.
    pub(crate) fn at_once(self, parts: u64, random: &mut Random) -> Vec<Window> {
        let mut part = |_| {
            let from = self.from + self.length() / 50 + random.below(self.length() / 20);
            Window { from, to: from + (self.to - from) / 20 * random.between(8, 19) }
        };
        (0..parts).map(&mut part).collect()
    }

    pub(crate) fn share(self, share: f64) -> u64 {
        self.from + (self.length() as f64 * share) as u64
    }
}

/// Where records belong: a span, or a visit to a service that only logs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) process: Process,
    pub(crate) window: Window,
    /// The place it was called from.
    pub(crate) above: Option<usize>,
    /// The trace that was passed on from here.
    pub(crate) trace: [u8; 16],
    pub(crate) span: Option<TrueSpan>,
    /// Its parent goes on without it.
    pub(crate) asynchronous: bool,
    convention: Option<Convention>,
}

/// A span as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct TrueSpan {
    pub(crate) id: [u8; 8],
    /// The parent it names.
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) kind: SpanKind,
    pub(crate) name: String,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) links: Vec<([u8; 16], [u8; 8])>,
    pub(crate) failed: bool,
    /// It never arrived.
    pub(crate) lost: bool,
    /// How often it is sent.
    pub(crate) copies: usize,
}

/// A log line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) place: usize,
    pub(crate) at: u64,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) body: String,
    pub(crate) trace: Option<[u8; 16]>,
    pub(crate) span: Option<[u8; 8]>,
}

/// One request.
pub(crate) struct Graph<'f> {
    pub(crate) fleet: &'f Fleet,
    pub(crate) random: Random,
    pub(crate) number: u64,
    pub(crate) request: RequestId,
    pub(crate) places: Vec<Place>,
    pub(crate) lines: Vec<Line>,
    /// Traces of other journeys that links lead to or come from.
    pub(crate) linked: Vec<[u8; 16]>,
    /// Some of its records come after the others were sealed and merged.
    pub(crate) late: bool,
    /// Another id that many requests share.
    pub(crate) shared: Option<String>,
    /// Services that log without a span do it by the request id only: nothing else would join them.
    pub(crate) by_request_only: bool,
}

impl<'f> Graph<'f> {
    pub(crate) fn new(fleet: &'f Fleet, seed: u64, number: u64) -> Graph<'f> {
        let mut random = Random::of(seed, number);
        Graph {
            fleet,
            number,
            request: RequestId::any(&mut random),
            random,
            places: Vec::new(),
            lines: Vec::new(),
            linked: Vec::new(),
            late: false,
            shared: None,
            by_request_only: false,
        }
    }

    pub(crate) fn number_of_span(&self, place: usize) -> u64 {
        self.number * NUMBERS_OF_A_REQUEST + place as u64
    }

    pub(crate) fn number_of_line(&self, line: usize) -> u64 {
        self.number * NUMBERS_OF_A_REQUEST + LINES_FROM + line as u64
    }

    /// The ids that a place was given.
    pub(crate) fn passed_to(&self, place: usize) -> Passed {
        let caller = self.places[place].above.and_then(|above| self.places[above].span.as_ref());
        Passed { request: self.request.clone(), trace: self.places[place].trace, span: caller.map(|span| span.id) }
    }

    /// The service that faces the user begins a trace; its span carries both ids.
    pub(crate) fn begin(&mut self, window: Window) -> usize {
        let process = self.fleet.front(&mut self.random);
        let trace = self.random.bytes();
        self.serve(None, trace, process, window)
    }

    /// The server span of a process.
    pub(crate) fn serve(&mut self, above: Option<usize>, trace: [u8; 16], process: Process, window: Window) -> usize {
        let place = self.span(above, trace, process, SpanKind::Server, window);
        let begins = self.places[place].span.as_ref().is_some_and(|span| span.parent.is_none());
        if begins || self.random.happens(0.3) {
            let mut attributes = Convention::of_request(&self.request, &mut self.random).write(&self.passed_to(place)).attributes;
            if attributes.is_empty() {
                attributes = vec![text("request_id", self.plain_request_id(place))];
            }
            self.edit(place).attributes.extend(attributes);
        }
        place
    }

    fn plain_request_id(&self, place: usize) -> String {
        crate::conventions::spellings(&self.passed_to(place)).swap_remove(0)
    }

    pub(crate) fn compute(&mut self, above: usize, window: Window) -> usize {
        let (process, trace) = (self.places[above].process, self.places[above].trace);
        self.span(Some(above), trace, process, SpanKind::Internal, window)
    }

    /// The client span of a call, with what it says about whom it calls.
    pub(crate) fn call(&mut self, above: usize, window: Window, callee: Process) -> usize {
        let naming = Naming::any(&mut self.random);
        self.call_named(above, window, callee, naming)
    }

    pub(crate) fn call_named(&mut self, above: usize, window: Window, callee: Process, naming: Naming) -> usize {
        let (process, trace) = (self.places[above].process, self.places[above].trace);
        let place = self.span(Some(above), trace, process, SpanKind::Client, window);
        let attributes = naming.attributes(self.fleet, callee, &mut self.random);
        self.edit(place).attributes.extend(attributes);
        place
    }

    /// A call to a database, which neither traces nor logs.
    pub(crate) fn ask_database(&mut self, above: usize, window: Window) -> usize {
        let (process, trace) = (self.places[above].process, self.places[above].trace);
        let place = self.span(Some(above), trace, process, SpanKind::Client, window);
        let host = format!("db-{}.shop", self.random.below(4));
        let attributes = vec![text("db.system.name", "postgresql"), text("db.namespace", "shop"), text("server.address", host)];
        self.edit(place).attributes.extend(attributes);
        place
    }

    /// A call to somebody else's service.
    pub(crate) fn ask_stranger(&mut self, above: usize, window: Window) -> usize {
        let (process, trace) = (self.places[above].process, self.places[above].trace);
        let place = self.span(Some(above), trace, process, SpanKind::Client, window);
        let host = *self.random.pick(&["api.cards.example", "maps.example", "203.0.113.7"]);
        self.edit(place).attributes.push(text("url.full", format!("https://{host}/v2/charge")));
        place
    }

    pub(crate) fn publish(&mut self, above: usize, window: Window, topic: &str) -> usize {
        let (process, trace) = (self.places[above].process, self.places[above].trace);
        let place = self.span(Some(above), trace, process, SpanKind::Producer, window);
        let attributes =
            vec![text("messaging.system", "kafka"), text("messaging.destination.name", topic), text("server.address", "kafka-1.shop")];
        self.edit(place).attributes.extend(attributes);
        place
    }

    pub(crate) fn span(&mut self, above: Option<usize>, trace: [u8; 16], process: Process, kind: SpanKind, window: Window) -> usize {
        let caller = above.and_then(|above| self.places[above].span.as_ref().filter(|_| self.places[above].trace == trace));
        let span = TrueSpan {
            parent: caller.map(|caller| caller.id),
            id: self.random.bytes(),
            kind,
            name: format!("{} {}", self.fleet.service(process).name, kind.as_str_name().to_lowercase()),
            attributes: Vec::new(),
            links: Vec::new(),
            failed: false,
            lost: false,
            copies: if self.random.happens(0.01) { 2 } else { 1 },
        };
        self.places.push(Place { process, window, above, trace, span: Some(span), asynchronous: false, convention: None });
        self.places.len() - 1
    }

    pub(crate) fn edit(&mut self, place: usize) -> &mut TrueSpan {
        self.places[place].span.as_mut().expect("the place is a span")
    }

    /// A visit to a service that only logs, in the trace of its caller, or in none.
    pub(crate) fn visit(&mut self, above: Option<usize>, process: Process, window: Window) -> usize {
        let convention = if let Door::Text(style) = self.fleet.service(process).door {
            Convention::in_text(&self.request, style, self.by_request_only || above.is_none(), &mut self.random)
        } else if self.by_request_only || above.is_none() {
            Convention::of_request(&self.request, &mut self.random)
        } else {
            Convention::any(&self.request, &mut self.random)
        };
        self.visit_that_writes(above, process, window, convention)
    }

    /// Visits to one service write alike.
    pub(crate) fn visit_like(&mut self, other: usize, above: Option<usize>, process: Process, window: Window) -> usize {
        let convention = self.places[other].convention.expect("the other is a visit");
        self.visit_that_writes(above, process, window, convention)
    }

    fn visit_that_writes(&mut self, above: Option<usize>, process: Process, window: Window, convention: Convention) -> usize {
        let trace = above.map_or([0; 16], |above| self.places[above].trace);
        self.places.push(Place { process, window, above, trace, span: None, asynchronous: false, convention: Some(convention) });
        self.places.len() - 1
    }

    /// What a visited service logs: when it begins, in between, when it ends, or only some of it.
    pub(crate) fn log_visit(&mut self, place: usize) {
        let shares: &[f64] = match self.random.below(10) {
            0..4 => &[0.0, 1.0],
            4..7 => &[0.0, 0.45, 1.0],
            7 => &[0.02],
            8 => &[1.0],
            _ => &[0.5],
        };
        for share in shares {
            self.log_at(place, *share);
        }
    }

    /// A service that calls others says so before and after.
    pub(crate) fn log_around(&mut self, place: usize) {
        self.log_at(place, 0.0);
        self.log_at(place, 1.0);
    }

    pub(crate) fn log_at(&mut self, place: usize, share: f64) {
        let window = self.places[place].window;
        let step = (20 * MICROSECOND + self.random.exponential(100_000.0) as u64).min(window.length() / 10);
        let at = if share < 0.5 { window.share(share) + step } else { window.share(share) - step };
        let written = self.places[place].convention.expect("a visit").write(&self.passed_to(place));
        let body = if written.text.is_empty() { format!("step {share} of {}", self.random.below(1_000)) } else { written.text };
        let mut attributes = written.attributes;
        if share == 1.0 && self.fleet.service(self.places[place].process).says_duration {
            // In tenths of a millisecond, as access logs round it.
            attributes.push(double("duration_ms", ((at - window.from) / 100_000) as f64 / 10.0));
        }
        if self.fleet.service(self.places[place].process).says_thread {
            attributes.push(text("thread", format!("worker-{}", self.thread_of(place))));
        }
        self.lines.push(Line { place, at, attributes, body, trace: None, span: None });
    }

    /// The first thread of the process that is free when the visit begins.
    fn thread_of(&self, place: usize) -> usize {
        let Place { process, window, .. } = self.places[place];
        let earlier = self.places[..place].iter().filter(|other| other.process == process && other.window.meets(window));
        earlier.count()
    }

    pub(crate) fn log_attempt(&mut self, place: usize, attempt: u64) {
        for line in self.lines.iter_mut().filter(|line| line.place == place) {
            line.attributes.push(integer("attempt", attempt));
        }
    }

    /// Lines of services with spans, on the innermost span that was at work: most name it, some the trace only, some the
    /// request only.
    pub(crate) fn log_on_spans(&mut self) {
        for place in 0..self.places.len() {
            let handles = self.places[place].span.as_ref().is_some_and(|span| matches!(span.kind, SpanKind::Server | SpanKind::Consumer));
            for _ in 0..if handles { self.random.below(3) } else { 0 } {
                let at = self.places[place].window.share(0.02 + 0.9 * self.random.share());
                let line = self.line_at(place, at);
                self.lines.push(line);
            }
        }
    }

    fn line_at(&mut self, place: usize, at: u64) -> Line {
        let place = self.innermost_at_work(place, at);
        let (id, trace) = (self.edit(place).id, self.places[place].trace);
        let mut line = Line { place, at, attributes: Vec::new(), body: "working".to_owned(), trace: None, span: None };
        match self.random.below(20) {
            0..13 => (line.trace, line.span) = (Some(trace), Some(id)),
            13..17 => line.trace = Some(trace),
            _ => {
                let written = Convention::of_request(&self.request, &mut self.random).write(&self.passed_to(place));
                line.attributes = written.attributes;
                line.body = format!("working {}", written.text);
            }
        }
        line
    }

    /// Places stand after those that called them.
    fn innermost_at_work(&self, place: usize, at: u64) -> usize {
        let mut innermost = place;
        for (index, inner) in self.places.iter().enumerate().skip(place + 1) {
            let works = inner.span.as_ref().is_some_and(|span| span.kind == SpanKind::Internal && !span.lost);
            if works && inner.above == Some(innermost) && (inner.window.from..=inner.window.to).contains(&at) {
                innermost = index;
            }
        }
        innermost
    }
}
