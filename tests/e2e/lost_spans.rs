//! Real traces without the spans of some services, which then only log: they must appear from their lines, where they were.
//!
//! The real tree is the oracle: the first span that was received above a line's node must be the first above the line's own
//! span. Where two calls go on at once and nothing names whom they call, nobody can know which of them a line belongs to:
//! so these are shares, with the least that they may be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde_json::Value;

use crate::harness::{Server, say};
use crate::journey::assert_is_a_tree;
use crate::nezha;
use crate::source::{Above, LINE, Says, SourceLine, SourceSpan, by_trace, parents, request_id, send_lines, send_spans};
use crate::traces::social_network;

/// A social network's post, whose calls have neither a kind nor the name of whom they call.
#[test]
fn a_service_of_a_social_network_appears_from_its_lines() {
    let Some(mut spans) = social_network() else { return };
    for span in spans.iter_mut().filter(|span| span.parent_id.is_none()) {
        span.attributes.push(("http.request.header.x-request-id".to_owned(), request_id(&span.trace_id)));
    }
    let lines: Vec<SourceLine> = spans.iter().flat_map(lines_of).collect();
    // The web server's span is the root: without it nothing tells the request id.
    let one_each = services(&lines).into_iter().filter(|service| *service != "nginx-web-server").map(|service| vec![service]);
    let apart = vec!["url-shorten-service", "media-service", "social-graph-service"];
    let one_calls_the_other = vec!["home-timeline-service", "social-graph-service"];
    let all_lost: Vec<Vec<&str>> = one_each.chain([apart, one_calls_the_other]).collect();
    for says in [Says::Trace, Says::Request] {
        let mut all = Share::default();
        for lost in &all_lost {
            let share = share(&spans, &lines, lost, says);
            say(&format!("social network, lines say their {says:?}, without {}: {share}", lost.join(", ")));
            all.add(share);
        }
        all.assert_at_least(96.5, 94.0, &format!("social network, lines say their {says:?}"));
    }
}

/// What a service writes when it begins something and when it has done it.
fn lines_of(span: &SourceSpan) -> [SourceLine; 2] {
    let tags = span.attributes.iter().filter(|(key, _)| key != "http.request.header.x-request-id");
    let tags: String = tags.map(|(key, value)| format!(" {key}={value}")).collect();
    let line = |time_ns: u64, text: String| SourceLine {
        trace_id: span.trace_id.clone(),
        span_id: span.span_id.clone(),
        service: span.service.clone(),
        instance: span.instance.clone(),
        time_ns,
        text,
    };
    let took_us = (span.end_ns - span.start_ns) / 1000;
    [line(span.start_ns, format!("{} begins{tags}", span.name)), line(span.end_ns, format!("{} took {took_us} us", span.name))]
}

/// A ticket shop. Its lines have the time at which the container's runtime got them, some after the end of the span.
#[test]
fn a_service_of_a_ticket_shop_appears_from_its_lines() {
    let Some((spans, lines)) = nezha::source() else { return };
    for says in [Says::Trace, Says::Span] {
        let mut all = Share::default();
        for lost in services(&lines) {
            let share = share(&spans, &lines, &[lost], says);
            say(&format!("ticket shop, lines say their {says:?}, without {lost}: {share}"));
            all.add(share);
        }
        all.assert_at_least(99.0, 98.5, &format!("ticket shop, lines say their {says:?}"));
    }
}

fn services(lines: &[SourceLine]) -> BTreeSet<&str> {
    lines.iter().map(|line| &*line.service).collect()
}

/// Of how many how many are right.
#[derive(Clone, Copy, Default)]
struct Count {
    right: usize,
    of: usize,
}

impl Count {
    fn take(&mut self, right: bool) {
        self.right += usize::from(right);
        self.of += 1;
    }

    fn percent(self) -> f64 {
        100.0 * self.right as f64 / self.of.max(1) as f64
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({:.1} %)", self.right, self.of, self.percent())
    }
}

#[derive(Default)]
struct Share {
    /// Lines below the span that they were below.
    lines: Count,
    /// Visits to a lost service all of whose lines are.
    visits: Count,
    /// Lines on a node that says that it is their service's, and why it stands there.
    shown: Count,
    /// Spans whose parent was lost, below the span that they were below.
    orphans: Count,
    /// What is wrong.
    wrong: Vec<String>,
}

impl Share {
    fn add(&mut self, other: Share) {
        for (sum, count) in [
            (&mut self.lines, other.lines),
            (&mut self.visits, other.visits),
            (&mut self.shown, other.shown),
            (&mut self.orphans, other.orphans),
        ] {
            sum.right += count.right;
            sum.of += count.of;
        }
        self.wrong.extend(other.wrong);
    }

    /// Says the share, and holds that so many percent of the lines and of the orphans are right and that no line is lost
    /// or goes unexplained.
    fn assert_at_least(&self, lines_percent_min: f64, orphans_percent_min: f64, of: &str) {
        say(&format!("{of}: {self}"));
        assert_eq!(self.shown.right, self.shown.of, "{of}: lines without a node of their service: {self}");
        let wrong = self.wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.lines.percent() >= lines_percent_min, "{of}: less than {lines_percent_min} % of lines are right: {self}\n{wrong}");
        let orphans = "of orphans are right";
        assert!(self.orphans.percent() >= orphans_percent_min, "{of}: less than {orphans_percent_min} % {orphans}: {self}\n{wrong}");
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lines {}, visits {}, shown {}, orphans {}", self.lines, self.visits, self.shown, self.orphans)
    }
}

/// Sends the traces in which a lost service logs, without its spans, and compares the journeys with the real trees.
fn share(spans: &[SourceSpan], lines: &[SourceLine], lost: &[&str], says: Says) -> Share {
    let is_lost = |service: &str| lost.contains(&service);
    let affected: BTreeSet<&str> = lines.iter().filter(|line| is_lost(&line.service)).map(|line| &*line.trace_id).collect();
    let server = Server::start();
    send_spans(&server, spans.iter().filter(|span| affected.contains(&*span.trace_id) && !is_lost(&span.service)));
    let affected_lines = lines.iter().enumerate().filter(|(_, line)| affected.contains(&*line.trace_id));
    send_lines(&server, affected_lines.clone(), says);
    server.flush();
    let mut lines_of: HashMap<&str, Vec<(usize, &SourceLine)>> = HashMap::new();
    for (number, line) in affected_lines.filter(|(_, line)| is_lost(&line.service)) {
        lines_of.entry(&line.trace_id).or_default().push((number, line));
    }
    let mut share = Share::default();
    for (trace, spans) in by_trace(spans).into_iter().filter(|(trace, _)| affected.contains(trace)) {
        let journey = server.journey(trace);
        assert_is_a_tree(&journey);
        let real = Real { parents: parents(&spans), lost: spans.iter().map(|span| is_lost(&span.service)).collect(), spans: &spans };
        real.compare(&Stitched::of(&journey), &lines_of[trace], &mut share);
    }
    share
}

/// A trace as it was.
struct Real<'trace> {
    spans: &'trace [SourceSpan],
    parents: Vec<Above>,
    lost: Vec<bool>,
}

impl Real<'_> {
    fn compare(&self, stitched: &Stitched<'_>, lines: &[(usize, &SourceLine)], share: &mut Share) {
        let place_of: HashMap<&str, usize> = self.spans.iter().enumerate().map(|(index, span)| (&*span.span_id, index)).collect();
        let mut visits: BTreeMap<usize, bool> = BTreeMap::new();
        for (number, line) in lines {
            // A line of a span that the source lacks has no known place.
            let Some(&span) = place_of.get(&*line.span_id) else { continue };
            let node = stitched.node_of_line(*number);
            let (found, expected) = (stitched.received_at(node), self.received_above(span));
            share.lines.take(found == expected);
            share.shown.take(node["service"] == line.service && !node["inferred"]["reason"].is_null());
            *visits.entry(self.visit(span)).or_insert(true) &= found == expected;
            if found != expected {
                let wrong = format!("{} line {number} of {}: below {found:?} instead of {expected:?}", line.trace_id, line.service);
                share.wrong.push(wrong);
            }
        }
        visits.into_values().for_each(|right| share.visits.take(right));
        for index in (0..self.spans.len()).filter(|&index| !self.lost[index]) {
            if matches!(self.parents[index], Above::Span(parent) if self.lost[parent]) {
                let node = stitched.node_of_span(&self.spans[index].span_id);
                let (found, expected) = (stitched.received_at(stitched.above(node)), self.received_above(index));
                share.orphans.take(found == expected);
                if found != expected {
                    let orphan = &self.spans[index];
                    let wrong = format!("{} span {}: below {found:?} instead of {expected:?}", orphan.trace_id, orphan.span_id);
                    share.wrong.push(wrong);
                }
            }
        }
    }

    /// The first span above that was received.
    fn received_above(&self, mut index: usize) -> Option<&str> {
        loop {
            let Above::Span(parent) = self.parents[index] else { return None };
            if !self.lost[parent] {
                return Some(&self.spans[parent].span_id);
            }
            index = parent;
        }
    }

    /// The lost span that a received one called.
    fn visit(&self, mut index: usize) -> usize {
        while let Above::Span(parent) = self.parents[index] {
            if !self.lost[parent] {
                break;
            }
            index = parent;
        }
        index
    }
}

/// A journey as it was answered.
struct Stitched<'journey> {
    nodes: HashMap<&'journey str, &'journey Value>,
    by_span: HashMap<&'journey str, &'journey Value>,
    by_line: HashMap<&'journey str, &'journey Value>,
}

impl<'journey> Stitched<'journey> {
    fn of(journey: &'journey Value) -> Stitched<'journey> {
        let nodes = journey["nodes"].as_array().unwrap();
        let lines = nodes.iter().flat_map(|node| node["logs"].as_array().unwrap().iter().map(move |log| (log, node)));
        Stitched {
            nodes: nodes.iter().map(|node| (node["node_id"].as_str().unwrap(), node)).collect(),
            by_span: nodes.iter().filter_map(|node| Some((node["span"]["span_id"].as_str()?, node))).collect(),
            by_line: lines.map(|(log, node)| (log["attributes"][LINE].as_str().unwrap(), node)).collect(),
        }
    }

    fn node_of_line(&self, number: usize) -> &'journey Value {
        self.by_line.get(&*format!("line {number}")).unwrap_or_else(|| panic!("line {number} is not in its journey"))
    }

    fn node_of_span(&self, span_id: &str) -> &'journey Value {
        self.by_span.get(span_id).unwrap_or_else(|| panic!("{span_id} is not in its journey"))
    }

    /// Null above a root.
    fn above(&self, node: &'journey Value) -> &'journey Value {
        node["parent_node_id"].as_str().map_or(&Value::Null, |parent| self.nodes[parent])
    }

    /// The span that was received at a node, or else the first above it.
    fn received_at(&self, mut node: &'journey Value) -> Option<&'journey str> {
        while !node.is_null() && node["span"].is_null() {
            node = self.above(node);
        }
        node["span"]["span_id"].as_str()
    }
}
