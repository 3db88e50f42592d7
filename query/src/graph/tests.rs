//! The graph is the one that a look at every pair of spans gives, whether they are live, sealed or merged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use needle_storage::model::{
    LogRow, LogsBuilder, RowIds, Severity, Signal, SpanId, SpanKind, SpanRow, SpansBuilder, Tenant, TraceId, UnixNanos, Value, ValueKind,
};
use needle_storage::{BodyFormat, Decoded, Incoming, RawRequest, Store, StoreSettings};
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use crate::answer::{GraphAnswer, GraphEdge, GraphRequest, InferredFrom};
use crate::engine::QueryEngine;

const SERVICES: [&str; 4] = ["web", "cart", "pay", "mail"];
const PEERS: [&str; 4] = ["db-1", "cart.shop.svc", "bank", "web"];
const START: u64 = 1_772_334_000_000_000_000;
const ERROR: i32 = 2;

#[derive(Clone, Debug)]
struct Row {
    trace: u8,
    id: u8,
    parent: u8,
    kind: i32,
    service: usize,
    peer: Option<usize>,
    status: i32,
    start: u64,
    duration_ns: u64,
}

fn any_row() -> impl Strategy<Value = Row> {
    let ids = (1..6_u8, 1..9_u8, 0..9_u8, 0..6_i32, 0..SERVICES.len());
    (ids, prop::option::of(0..PEERS.len()), 0..3_i32, 0..20_u64, 0..1_000_u64).prop_map(|(ids, peer, status, start, duration_ns)| {
        let (trace, id, parent, kind, service) = ids;
        Row { trace, id, parent, kind, service, peer, status, start, duration_ns }
    })
}

fn spans_of(rows: &[Row]) -> Decoded {
    let mut spans = SpansBuilder::with_capacity(rows.len());
    for row in rows {
        spans.set_service(Some(SERVICES[row.service]));
        if let Some(peer) = row.peer {
            spans.attributes().push("server.address", &Value::String(PEERS[peer].to_owned()));
        }
        let start = UnixNanos(START + row.start);
        let ids = RowIds { trace_id: Some(TraceId([row.trace; 16])), span_id: Some(SpanId([row.id; 8])), ..RowIds::default() };
        spans.append(&SpanRow {
            start,
            end: start.saturating_add_signed(row.duration_ns as i64),
            ids,
            parent_span_id: SpanId::from_bytes(&[row.parent; 8]),
            kind: row.kind,
            status_code: row.status,
            name: "x",
            ..SpanRow::default()
        });
    }
    Decoded { signal: Signal::Spans, records: spans.finish(), own_times: true }
}

/// A store of requests, each given by its number.
struct Shop {
    runtime: tokio::runtime::Runtime,
    store: Arc<Store>,
    requests: Arc<Vec<Decoded>>,
    _folder: tempfile::TempDir,
}

impl Shop {
    fn of(requests: Vec<Decoded>) -> Shop {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = StoreSettings { data: folder.path().to_owned(), ..StoreSettings::default() };
        let requests = Arc::new(requests);
        let known = requests.clone();
        let decode = Arc::new(move |request: &RawRequest| Ok(known[usize::from(request.body[0])].clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Shop { runtime, store: Store::open(&settings, decode, &mut Registry::default()).expect("a store"), requests, _folder: folder }
    }

    fn send(&self, number: u8) {
        let decoded = self.requests[usize::from(number)].clone();
        let format = if decoded.signal == Signal::Spans { BodyFormat::OtlpTracesJson } else { BodyFormat::OtlpLogsJson };
        let body = Bytes::from(vec![number]);
        let request = RawRequest { tenant: Tenant::default(), format, arrival: UnixNanos(1), service: None, timezone: None, body };
        self.runtime.block_on(self.store.append(Incoming { request, decoded, idempotency_key: None })).expect("accepted");
    }

    fn graph(&self, request: &GraphRequest) -> GraphAnswer {
        let engine = QueryEngine::new(self.store.clone(), &mut Registry::default());
        let mut graph = self.runtime.block_on(engine.graph(&Tenant::default(), request.clone())).expect("a graph");
        // How many shards there are is not what is compared.
        graph.completeness.shards_searched = 0;
        graph
    }
}

/// What is counted of an edge: durations, and how many calls failed.
type Counted = BTreeMap<(&'static str, &'static str, bool), (Vec<i64>, u64)>;

/// What is expected of a graph.
struct Expected {
    counted: Counted,
    missing_parents: u64,
    unanswered: u64,
    /// Services that sent something.
    sent: BTreeSet<&'static str>,
}

/// The calls of these rows by comparing all with all.
fn brute_force(rows: &[Row], matches: impl Fn(&Row) -> bool, from: u64, to: u64) -> Expected {
    let (calls, handles) = (|row: &Row| row.kind == 3 || row.kind == 4, |row: &Row| row.kind == 2 || row.kind == 5);
    let mut spans: Vec<&Row> = Vec::new();
    for row in rows.iter().filter(|row| (from..to).contains(&row.start)) {
        let is_copy = |other: &&Row| (other.trace, other.id, other.kind, other.service) == (row.trace, row.id, row.kind, row.service);
        if !spans.iter().any(is_copy) {
            spans.push(row);
        }
    }
    let sent: BTreeSet<&'static str> = rows.iter().filter(|row| (from..to).contains(&row.start)).map(|row| SERVICES[row.service]).collect();
    let (mut counted, mut missing, mut unanswered) = (Counted::new(), 0, 0);
    let mut answered = vec![false; spans.len()];
    for span in &spans {
        let calling = if span.kind == 2 { 3 } else { 4 };
        let same_id = |other: &&Row| other.trace == span.trace && other.id == span.id && handles(span) && other.kind == calling;
        let with_id = |other: &Row| span.parent != 0 && span.parent != span.id && other.trace == span.trace && other.id == span.parent;
        let nearness = |at: &usize| (spans[*at].service == span.service, handles(spans[*at]), std::cmp::Reverse(*at));
        let by_parent = || (0..spans.len()).filter(|at| with_id(spans[*at])).max_by_key(nearness);
        let Some(at) = spans.iter().position(same_id).or_else(by_parent) else {
            missing += u64::from(span.parent != 0 && span.parent != span.id && matches(span));
            continue;
        };
        let parent = spans[at];
        answered[at] |= parent.service != span.service || handles(span) || calls(span);
        if parent.service != span.service && (matches(parent) || matches(span)) {
            let is_message = parent.kind == 4 || span.kind == 5;
            let counts = counted.entry((SERVICES[parent.service], SERVICES[span.service], is_message)).or_default();
            counts.0.push(if parent.kind == 3 && !is_message { parent.duration_ns } else { span.duration_ns } as i64);
            counts.1 += u64::from(span.status == ERROR || (calls(parent) && parent.status == ERROR));
        }
    }
    for (span, _) in spans.iter().zip(&answered).filter(|(span, answered)| calls(span) && matches(span) && !**answered) {
        // Peer 1 is in the domain of the cart.
        let peer = span.peer.map(|peer| PEERS[peer]);
        match peer.filter(|peer| !sent.iter().any(|service| peer.split('.').next() == Some(service))) {
            None => unanswered += 1,
            Some(peer) => {
                let counts = counted.entry((SERVICES[span.service], peer, span.kind == 4)).or_default();
                counts.0.push(span.duration_ns as i64);
                counts.1 += u64::from(span.status == ERROR);
            }
        }
    }
    Expected { counted, missing_parents: missing, unanswered, sent }
}

fn assert_same(graph: &GraphAnswer, expected: &Expected) {
    let shown: Vec<_> = graph.edges.iter().map(|edge| (edge.caller.as_str(), edge.callee.as_str(), edge.is_message)).collect();
    assert_eq!(shown, expected.counted.keys().copied().collect::<Vec<_>>());
    for (edge, (durations, errors)) in graph.edges.iter().zip(expected.counted.values()) {
        let mut sorted = durations.clone();
        sorted.sort_unstable();
        let nearest = |percent: usize| Some(sorted[(sorted.len() * percent).div_ceil(100) - 1]);
        let GraphEdge { calls, errors: failed, p50_ns, p95_ns, p99_ns, .. } = *edge;
        assert_eq!(
            (calls, failed, p50_ns, p95_ns, p99_ns),
            (sorted.len() as u64, *errors, nearest(50), nearest(95), nearest(99)),
            "{edge:?}"
        );
        assert!(edge.exact && edge.confidence.is_none());
        let named = |name: &str| graph.nodes.iter().find(|node| node.service == name).expect("a node for each end");
        assert_eq!(named(&edge.callee).external, !expected.sent.contains(edge.callee.as_str()));
        assert!(!named(&edge.caller).external);
    }
    assert_eq!((graph.missing_parents, graph.unanswered), (expected.missing_parents, expected.unanswered));
    assert_eq!(graph.inferred_from, InferredFrom::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn calls_are_those_of_a_look_at_every_pair(
        rows in prop::collection::vec(any_row(), 1..80),
        split in 0..80_usize,
        service in prop::option::of(0..SERVICES.len()),
        range in (0..10_u64, 10..21_u64),
    ) {
        let split = split.min(rows.len());
        let shop = Shop::of(vec![spans_of(&rows[..split]), spans_of(&rows[split..])]);
        let request = GraphRequest {
            query: service.map_or(String::new(), |service| format!("service:{}", SERVICES[service])),
            start: Some(UnixNanos(START + range.0)),
            end: Some(UnixNanos(START + range.1)),
        };
        let expected = brute_force(&rows, |row| service.is_none_or(|service| service == row.service), range.0, range.1);
        if split > 0 {
            shop.send(0);
        }
        shop.runtime.block_on(shop.store.flush()).expect("sealed");
        if split < rows.len() {
            shop.send(1);
        }
        let mixed = shop.graph(&request);
        assert_same(&mixed, &expected);
        shop.runtime.block_on(shop.store.flush()).expect("sealed");
        assert_eq!(mixed, shop.graph(&request), "live and sealed differ");
        shop.runtime.block_on(shop.store.merge()).expect("merged");
        assert_eq!(mixed, shop.graph(&request), "a merge changes the graph");
    }
}

/// Requests to the web, each with a call to `auth`, which only logs; and lines of it whose caller is not known.
fn visits(count: u8) -> Shop {
    let mut spans = SpansBuilder::with_capacity(0);
    let mut logs = LogsBuilder::with_capacity(0);
    logs.set_service(Some("auth"));
    for n in 1..=count {
        let request = format!("request-{n}");
        let begun = START + u64::from(n) * 1_000_000_000;
        for (id, parent, kind, offset_ns, duration_ns) in
            [(1, 0, SpanKind::SERVER, 0, 50_000_000), (2, 1, SpanKind::CLIENT, 1_000_000, 9_000_000)]
        {
            spans.set_service(Some("web"));
            if kind == SpanKind::CLIENT {
                spans.attributes().push("server.address", &Value::String("auth".to_owned()));
            }
            let start = UnixNanos(begun + offset_ns);
            let ids = RowIds {
                trace_id: Some(TraceId([n; 16])),
                span_id: Some(SpanId([id; 8])),
                request_id: Some(&request),
                ..RowIds::default()
            };
            let end = start.saturating_add_signed(duration_ns);
            let parent_span_id = SpanId::from_bytes(&[parent; 8]);
            spans.append(&SpanRow { start, end, ids, parent_span_id, kind: kind.0, name: "x", ..SpanRow::default() });
        }
        let ids = RowIds { request_id: Some(&request), ..RowIds::default() };
        let severity = if n == 1 { Severity::ERROR } else { Severity(9) };
        let body = Some((ValueKind::String, "verified"));
        logs.append(&LogRow { timestamp: UnixNanos(begun + 5_000_000), ids, severity, body, ..LogRow::default() });
    }
    let shop = Shop::of(vec![
        Decoded { signal: Signal::Spans, records: spans.finish(), own_times: true },
        Decoded { signal: Signal::Logs, records: logs.finish(), own_times: true },
    ]);
    shop.send(0);
    shop.send(1);
    shop
}

#[test]
fn calls_to_a_service_that_only_logs_are_inferred() {
    let graph = visits(3).graph(&GraphRequest::default());
    let [edge] = graph.edges.as_slice() else { panic!("one edge: {:?}", graph.edges) };
    assert_eq!((edge.caller.as_str(), edge.callee.as_str(), edge.calls, edge.errors), ("web", "auth", 3, 1));
    assert!(edge.confidence.is_some_and(|confidence| confidence > 0.5 && confidence <= 1.0), "{edge:?}");
    assert_eq!(edge.p50_ns, Some(9_000_000), "as the caller saw it");
    assert_eq!(graph.inferred_from, InferredFrom { ids: 3, of: 3, more: false });
    assert_eq!(graph.unanswered, 3);
    let inferred: Vec<_> = graph.nodes.iter().map(|node| (node.service.as_str(), node.inferred, node.external)).collect();
    assert_eq!(inferred, [("auth", true, false), ("web", false, false)]);
}

#[test]
fn a_sample_says_of_how_many_it_is_and_is_the_same_every_time() {
    let shop = visits(20);
    let graph = shop.graph(&GraphRequest::default());
    assert_eq!(graph.inferred_from, InferredFrom { ids: 8, of: 20, more: false });
    assert_eq!(graph.edges[0].calls, 8);
    shop.runtime.block_on(shop.store.flush()).expect("sealed");
    assert_eq!(graph, shop.graph(&GraphRequest::default()));
    let many = visits(40).graph(&GraphRequest::default());
    assert_eq!(many.inferred_from, InferredFrom { ids: 8, of: 32, more: true });
}

#[test]
fn a_query_chooses_the_journeys_of_inferred_calls() {
    let shop = visits(5);
    let asked = |query: &str| shop.graph(&GraphRequest { query: query.to_owned(), ..GraphRequest::default() });
    let graph = asked("level:error");
    assert_eq!((graph.edges.len(), graph.edges[0].calls, graph.inferred_from.of), (1, 1, 1));
    assert_eq!(graph.nodes.iter().map(|node| node.logs).sum::<u64>(), 1);
    assert_eq!(asked("service:nobody").edges, []);
}
