//! What a journey tells, held against the truth.

use std::collections::{BTreeMap, BTreeSet};

use needle_web::query::model::{Common, Record, Span, Value};
use needle_web::query::{Journey, Node};

use crate::graph::{Graph, NUMBERS_OF_A_REQUEST};
use crate::wire::NUMBER;

/// What became of the question for a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The parent is who called.
    Right,
    /// The parent is further up: true, but vague.
    Above,
    /// The parent is another place that was going on at the time.
    Wrong,
    /// The parent cannot have called: it was not going on, or belongs to another request.
    Impossible,
}

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) right: usize,
    pub(crate) above: usize,
    pub(crate) wrong: usize,
    pub(crate) impossible: usize,
}

impl Verdicts {
    fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Right => &mut self.right,
            Verdict::Above => &mut self.above,
            Verdict::Wrong => &mut self.wrong,
            Verdict::Impossible => &mut self.impossible,
        } += 1;
    }

    pub(crate) fn all(&self) -> usize {
        self.right + self.above + self.wrong + self.impossible
    }

    pub(crate) fn add(&mut self, other: &Verdicts) {
        self.right += other.right;
        self.above += other.above;
        self.wrong += other.wrong;
        self.impossible += other.impossible;
    }
}

/// Words by which reasons are told apart.
const WHYS: [&str; 21] = [
    "answered and so called it, if",
    "nobody else answered, if",
    "the same service answered, if",
    "not decided",
    "as the span that called it",
    "first span links to this one",
    "lies within a call that names its service",
    "fits a call that names its service",
    "its lines fit if its clock is moved",
    "go on after the call returned",
    "and encloses its lines",
    "came before its lines",
    "a message that nobody else took",
    "a call that nobody else answered",
    "which the same service answered",
    "answered and so called it",
    "if its clock is moved by",
    "the innermost span around it",
    "and within others",
    "begins last before it",
    "no span was received; ",
];

/// How sure the journey is of a parent that no sender said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) verdict: Verdict,
    pub(crate) confidence: f64,
    /// The kind of reason it gives.
    pub(crate) why: &'static str,
    /// Whether the journey says that it does not know, and names several.
    pub(crate) undecided: bool,
    /// Whether who called is among those it names.
    pub(crate) is_named: bool,
}

/// Counts over requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    pub(crate) requests: usize,
    /// Records of the requests, and those of them that their journeys show.
    pub(crate) records: usize,
    pub(crate) found: usize,
    /// Records of other requests in a journey.
    pub(crate) foreign: usize,
    /// Spans whose parent, or its place, is given by ids.
    pub(crate) spans: Verdicts,
    /// First spans of traces begun anew.
    pub(crate) traces: Verdicts,
    /// Visits to services that only log.
    pub(crate) visits: Verdicts,
    /// What was said of each visit, and of each trace begun anew.
    pub(crate) placed: Vec<Placed>,
    /// Visits whose lines are a node of their own.
    pub(crate) apart: usize,
    /// Lines of services with spans that stand on their span.
    pub(crate) lines: usize,
    pub(crate) lines_on_their_span: usize,
    /// Links that are named, of those that should be.
    pub(crate) links: usize,
    pub(crate) links_named: usize,
}

impl Score {
    pub(crate) fn add(&mut self, other: &Score) {
        self.requests += other.requests;
        self.records += other.records;
        self.found += other.found;
        self.foreign += other.foreign;
        self.spans.add(&other.spans);
        self.traces.add(&other.traces);
        self.visits.add(&other.visits);
        self.placed.extend_from_slice(&other.placed);
        self.apart += other.apart;
        self.lines += other.lines;
        self.lines_on_their_span += other.lines_on_their_span;
        self.links += other.links;
        self.links_named += other.links_named;
    }

    /// Whether all is as it truly was.
    pub(crate) fn is_perfect(&self) -> bool {
        self.found == self.records
            && self.foreign == 0
            && [self.spans, self.traces, self.visits].iter().all(|verdicts| verdicts.right == verdicts.all())
    }

    /// The score of one journey; `None` stands for an id that nothing was found by.
    pub(crate) fn of(graph: &Graph<'_>, journey: Option<&Journey>) -> Score {
        let expected = numbers_of(graph);
        let mut score = Score { requests: 1, records: expected.len(), links: graph.linked.len(), ..Score::default() };
        let Some(journey) = journey else { return score };
        let shown: BTreeSet<u64> = journey.nodes.iter().flat_map(numbers_in).collect();
        score.found = shown.intersection(&expected).count();
        score.foreign = shown.difference(&expected).count();
        score.links_named = graph.linked.iter().filter(|trace| journey.linked.iter().any(|link| link.trace_id.0 == **trace)).count();
        let tree = Told::of(graph, journey);
        tree.judge_spans(&mut score);
        tree.judge_lines(&mut score);
        score
    }
}

fn numbers_of(graph: &Graph<'_>) -> BTreeSet<u64> {
    let arrived = |place: &usize| graph.places[*place].span.as_ref().is_some_and(|span| !span.lost);
    let spans = (0..graph.places.len()).filter(arrived).map(|place| graph.number_of_span(place));
    spans.chain((0..graph.lines.len()).map(|line| graph.number_of_line(line))).collect()
}

fn number_of(record: &Record) -> u64 {
    let body = if let Record::Log(log) = record { log.body.as_ref() } else { None };
    number_in(record.common()).unwrap_or_else(|| {
        // A plain line ends with it.
        let text = body.map(Value::text).unwrap_or_default();
        let number = text.rsplit_once(&format!(" {NUMBER}=")).map(|(_, number)| number.trim().parse());
        number.unwrap_or_else(|| panic!("a record without its number: {text}")).unwrap()
    })
}

fn number_in(common: &Common) -> Option<u64> {
    common.attributes.iter().find(|(key, _)| key == NUMBER).map(|(_, value)| match value {
        Value::Int(number) => *number as u64,
        other => panic!("no number: {other:?}"),
    })
}

fn number_of_span(span: &Span) -> u64 {
    number_in(&span.common).expect("a span has its number")
}

/// The numbers of a node's records.
pub(crate) fn numbers_in(node: &Node) -> impl Iterator<Item = u64> + '_ {
    node.span.iter().map(|span| number_of_span(span)).chain(node.logs.iter().map(number_of))
}

/// A journey, with what its nodes truly are.
struct Told<'a> {
    graph: &'a Graph<'a>,
    journey: &'a Journey,
    by_id: BTreeMap<&'a str, usize>,
    /// Places that a node stands for: one span, or all visits whose lines it has.
    places_of: Vec<BTreeSet<usize>>,
    /// Nodes that have a visit's lines.
    nodes_of: BTreeMap<usize, BTreeSet<usize>>,
}

impl<'a> Told<'a> {
    fn of(graph: &'a Graph<'a>, journey: &'a Journey) -> Told<'a> {
        let by_id = journey.nodes.iter().enumerate().map(|(number, node)| (&*node.node_id, number)).collect();
        let mut told = Told { graph, journey, by_id, places_of: Vec::new(), nodes_of: BTreeMap::new() };
        for (number, node) in journey.nodes.iter().enumerate() {
            let mut places = BTreeSet::new();
            if node.missing {
                places.extend(told.lost_place(&node.node_id));
            } else if let Some(span) = &node.span {
                places.extend(told.own(number_of_span(span)));
            }
            let lines: Vec<usize> = node.logs.iter().filter_map(|log| told.own(number_of(log))).collect();
            for place in lines.into_iter().map(|line| told.place_of(line)).collect::<BTreeSet<_>>() {
                if graph.places[place].span.is_none() {
                    told.nodes_of.entry(place).or_default().insert(number);
                    if node.span.is_none() && !node.missing {
                        places.insert(place);
                    }
                }
            }
            told.places_of.push(places);
        }
        told
    }

    /// The number within the request; none for records of others.
    fn own(&self, number: u64) -> Option<usize> {
        (number / NUMBERS_OF_A_REQUEST == self.graph.number).then_some((number % NUMBERS_OF_A_REQUEST) as usize)
    }

    fn place_of(&self, number: usize) -> usize {
        let first_line = (self.graph.number_of_line(0) % NUMBERS_OF_A_REQUEST) as usize;
        number.checked_sub(first_line).map_or(number, |line| self.graph.lines[line].place)
    }

    fn lost_place(&self, node_id: &str) -> Option<usize> {
        let is_it = |place: &usize| {
            let span = self.graph.places[*place].span.as_ref();
            span.is_some_and(|span| span.lost && node_id.starts_with(&format!("missing-{}", crate::conventions::hex(&span.id))))
        };
        (0..self.graph.places.len()).find(is_it)
    }

    fn parent_of(&self, node: usize) -> Option<usize> {
        self.journey.nodes[node].parent_node_id.as_deref().map(|id| self.by_id[id])
    }

    /// The next place above that left a trace of itself: what was lost is known where a child names it.
    fn caller(&self, place: usize, named: bool) -> Option<usize> {
        let mut above = self.graph.places[place].above?;
        while !named && self.graph.places[above].span.as_ref().is_some_and(|span| span.lost) {
            above = self.graph.places[above].above?;
        }
        Some(above)
    }

    /// Judges the parent that a node was given by where its place was truly called from.
    fn judge(&self, node: usize, place: usize, named: bool) -> Verdict {
        let caller = self.caller(place, named);
        let Some(parent) = self.parent_of(node) else {
            return if caller.is_none() { Verdict::Right } else { Verdict::Above };
        };
        let given = &self.places_of[parent];
        if given.is_empty() {
            return Verdict::Impossible;
        }
        if caller.is_some_and(|caller| given.iter().all(|given| *given == caller)) {
            return Verdict::Right;
        }
        let mut above = self.graph.places[place].above;
        while let Some(at) = above {
            if given.iter().all(|given| *given == at) {
                return Verdict::Above;
            }
            above = self.graph.places[at].above;
        }
        let window = self.graph.places[place].window;
        let possible = |given: &usize| match self.graph.places[place].asynchronous {
            true => self.graph.places[*given].window.from <= window.to,
            false => self.graph.places[*given].window.meets(window),
        };
        if given.iter().all(possible) { Verdict::Wrong } else { Verdict::Impossible }
    }

    fn placed(&self, node: usize, place: usize, verdict: Verdict) -> Placed {
        // What is said by ids is certain.
        let why = self.journey.nodes[node].inferred.as_ref();
        let candidates: Vec<&String> = why.map(|why| why.candidates.iter().collect()).unwrap_or_default();
        let caller = self.caller(place, false);
        let is_caller = |id: &&&String| caller.is_some_and(|caller| self.places_of[self.by_id[id.as_str()]].contains(&caller));
        Placed {
            verdict,
            confidence: why.map_or(1.0, |why| why.confidence),
            why: why.map_or("said by ids", |why| WHYS.into_iter().find(|kind| why.reason.contains(kind)).unwrap_or("another reason")),
            undecided: !candidates.is_empty(),
            is_named: candidates.iter().any(|id| is_caller(&id)),
        }
    }

    fn judge_spans(&self, score: &mut Score) {
        for (number, node) in self.journey.nodes.iter().enumerate() {
            let Some(place) = node.span.as_ref().and_then(|span| self.own(number_of_span(span))) else { continue };
            let of_place = &self.graph.places[place];
            let named = of_place.span.as_ref().is_some_and(|span| span.parent.is_some());
            let verdict = self.judge(number, place, named);
            let begun_anew = !named && of_place.above.is_some();
            if begun_anew {
                score.traces.count(verdict);
                score.placed.push(self.placed(number, place, verdict));
            } else {
                score.spans.count(verdict);
            }
        }
    }

    fn judge_lines(&self, score: &mut Score) {
        for (place, nodes) in &self.nodes_of {
            let hung_on_a_span = |node: &usize| self.journey.nodes[*node].span.is_some() || self.journey.nodes[*node].missing;
            let judged = |node: &usize| (if hung_on_a_span(node) { Verdict::Wrong } else { self.judge(*node, *place, false) }, *node);
            let (worst, node) = nodes.iter().map(judged).max().unwrap();
            score.visits.count(worst);
            score.placed.push(self.placed(node, *place, worst));
            let alone = nodes.len() == 1 && nodes.iter().all(|node| self.places_of[*node].len() == 1);
            score.apart += usize::from(alone);
        }
        for (number, node) in self.journey.nodes.iter().enumerate() {
            for line in node.logs.iter().filter_map(|log| self.own(number_of(log))) {
                let place = self.place_of(line);
                if self.graph.places[place].span.is_some() {
                    score.lines += 1;
                    score.lines_on_their_span += usize::from(self.places_of[number].contains(&place));
                }
            }
        }
    }
}
