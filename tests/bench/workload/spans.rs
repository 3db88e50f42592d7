//! Spans: traces of 8 to 40, from the front through services to their databases.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::attributes::{boolean, double, integer, text};
use super::batches::{ByPod, Emitted, Origin};
use super::ids::JourneyIds;
use super::interleave::{Interleaved, Timed};
use super::random::Random;
use super::services::{Call, FRONTS, Pod, TRACED};
use super::{START, journey_random};

/// With this, a few hundred traces are under way at once and about 5,000 spans come in a second.
const TRACE_GAP_NS: f64 = 5_000_000.0;
const ROOT_MEAN_NS: f64 = 1_500_000_000.0;
const ROOT_MIN_NS: u64 = 20_000_000;
const SPAN_MIN_NS: u64 = 20_000;
const STATUS: &str = "http.response.status_code";
/// A span of more is slow.
const LONG_NS: u64 = 500_000_000;
const FAILS: f64 = 0.03;
/// Children of a span look for another parent below this.
const DEPTH_MAX: u32 = 9;

/// All spans of a seed, in order of their ends, without an end.
pub(crate) fn records(seed: u64) -> impl Iterator<Item = Emitted<Span>> + Send {
    Interleaved::new(journey_random(seed), START, TRACE_GAP_NS, move |trace, start| Trace::new(seed, trace, start).spans())
}

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Serve,
    CallService,
    AskDatabase,
    Compute,
    Publish,
    Consume,
}

impl Work {
    fn kind(self) -> SpanKind {
        match self {
            Work::Serve => SpanKind::Server,
            Work::CallService | Work::AskDatabase => SpanKind::Client,
            Work::Compute => SpanKind::Internal,
            Work::Publish => SpanKind::Producer,
            Work::Consume => SpanKind::Consumer,
        }
    }

    fn is_leaf(self) -> bool {
        matches!(self, Work::AskDatabase)
    }

    /// Whether another service goes on from here, once.
    fn leads_elsewhere(self) -> bool {
        matches!(self, Work::CallService | Work::Publish)
    }
}

/// A span before it is written down.
#[derive(Clone, Debug)]
struct Node {
    work: Work,
    pod: Pod,
    id: [u8; 8],
    parent: Option<usize>,
    depth: u32,
    start: u64,
    duration_ns: u64,
    followed: bool,
}

struct Trace {
    number: u64,
    random: Random,
    ids: JourneyIds,
    nodes: Vec<Node>,
    thing: u64,
    user: u64,
}

impl Trace {
    fn new(seed: u64, number: u64, start: u64) -> Trace {
        let mut random = Random::of(seed, number);
        let (thing, user) = (random.between(100_000, 9_999_999), random.below(50_000));
        let mut trace = Trace { number, ids: JourneyIds::of(seed, number), random, nodes: Vec::new(), thing, user };
        trace.add_root(start);
        for _ in 1..trace.random.between(8, 40) {
            trace.add_child();
        }
        trace
    }

    fn add_root(&mut self, start: u64) {
        let front = self.random.below(FRONTS) as usize;
        let node = Node {
            work: Work::Serve,
            pod: Pod::any_of(front, &mut self.random),
            id: self.random.bytes(),
            parent: None,
            depth: 0,
            start,
            duration_ns: ROOT_MIN_NS + self.random.exponential(ROOT_MEAN_NS) as u64,
            followed: false,
        };
        self.nodes.push(node);
    }

    fn add_child(&mut self) {
        let parent_at = self.choose_parent();
        let parent = self.nodes[parent_at].clone();
        let work = self.work_below(parent.work);
        let random = &mut self.random;
        let pod = match work {
            Work::Serve | Work::Consume => Pod::any_of(random.below(TRACED) as usize, random),
            Work::CallService | Work::AskDatabase | Work::Compute | Work::Publish => parent.pod,
        };
        let share = if parent.work == Work::CallService { 0.8 + 0.19 * random.share() } else { 0.04 + 0.5 * random.share() };
        let duration_ns = ((parent.duration_ns as f64 * share) as u64).max(SPAN_MIN_NS);
        let start = match work {
            // Whoever takes a message does so after it was sent.
            Work::Consume => parent.start + parent.duration_ns + random.exponential(5e6) as u64,
            _ => parent.start + random.below(parent.duration_ns.saturating_sub(duration_ns) + 1),
        };
        let (id, depth) = (random.bytes(), parent.depth + 1);
        self.nodes[parent_at].followed = true;
        self.nodes.push(Node { work, pod, id, parent: Some(parent_at), depth, start, duration_ns, followed: false });
    }

    fn choose_parent(&mut self) -> usize {
        let may = |node: &Node| !node.work.is_leaf() && node.depth < DEPTH_MAX && !(node.work.leads_elsewhere() && node.followed);
        // A few tries; the root can always have one more child.
        (0..8).map(|_| self.random.below(self.nodes.len() as u64) as usize).find(|&at| may(&self.nodes[at])).unwrap_or(0)
    }

    fn work_below(&mut self, parent: Work) -> Work {
        match parent {
            Work::CallService => Work::Serve,
            Work::Publish => Work::Consume,
            Work::Serve | Work::Consume | Work::Compute | Work::AskDatabase => match self.random.below(100) {
                0..35 => Work::CallService,
                35..65 => Work::AskDatabase,
                65..96 => Work::Compute,
                _ => Work::Publish,
            },
        }
    }

    fn spans(mut self) -> Vec<Timed<Emitted<Span>>> {
        let nodes = std::mem::take(&mut self.nodes);
        let span_of = |node: &Node| {
            let parent = node.parent.map(|parent| nodes[parent].id);
            let record = self.span(node, parent);
            let (requested, sought) = (node.work == Work::Serve, node.duration_ns > LONG_NS && answered_with_error(&record));
            let origin = Origin { journey: self.number, service: node.pod.service, traced: true, requested, sought };
            Timed { time: record.end_time_unix_nano, thing: Emitted { pod: node.pod, origin, record } }
        };
        nodes.iter().map(span_of).collect()
    }

    fn span(&mut self, node: &Node, parent: Option<[u8; 8]>) -> Span {
        let failed = self.random.happens(FAILS);
        let call = Call::of(node.pod.service, self.thing, &mut self.random);
        let (name, mut attributes) = self.describe(node.work, &call, failed);
        attributes.push(integer("thread", self.random.between(1, 32)));
        Span {
            trace_id: self.ids.trace.to_vec(),
            span_id: node.id.to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_vec()),
            name,
            kind: node.work.kind() as i32,
            start_time_unix_nano: node.start,
            end_time_unix_nano: node.start + node.duration_ns,
            attributes,
            events: self.events(node, failed),
            status: failed.then(|| Status { code: 2, message: "upstream failed".to_owned() }),
            ..Span::default()
        }
    }

    fn describe(&mut self, work: Work, call: &Call, failed: bool) -> (String, Vec<KeyValue>) {
        match work {
            Work::Serve => (format!("{} {}", call.method, call.route), self.served(call, failed)),
            Work::CallService => (call.method.to_owned(), self.called(call, failed)),
            Work::AskDatabase => self.asked(),
            Work::Compute => self.computed(),
            Work::Publish => self.message("publish"),
            Work::Consume => self.message("process"),
        }
    }

    fn status(&mut self, failed: bool) -> u64 {
        *self.random.pick(if failed { &[500, 502, 503, 504] } else { &[200, 200, 200, 201, 204, 304, 404] })
    }

    fn served(&mut self, call: &Call, failed: bool) -> Vec<KeyValue> {
        vec![
            text("request_id", &self.ids.request),
            text("http.request.method", call.method),
            text("http.route", call.route),
            text("url.path", &call.path),
            text("url.scheme", "https"),
            integer(STATUS, self.status(failed)),
            text("user.id", format!("u-{}", self.user)),
            text("client.address", format!("10.{}.{}.{}", self.user % 4, self.thing % 256, self.user % 251)),
            text("network.protocol.version", "1.1"),
            integer("http.response.body.size", self.random.below(200_000)),
        ]
    }

    fn called(&mut self, call: &Call, failed: bool) -> Vec<KeyValue> {
        let host = format!("{}-{}.shop", self.random.pick(&["stock", "pay", "price", "mail"]), self.random.below(12));
        vec![
            text("http.request.method", call.method),
            text("url.full", format!("https://{host}{}", call.path)),
            integer(STATUS, self.status(failed)),
            text("server.address", host),
            integer("server.port", 8443),
            text("network.protocol.version", "1.1"),
            integer("http.request.resend_count", self.random.below(100) / 95),
            double("connect_ms", (self.random.exponential(900.0) as u64) as f64 / 1e3),
            boolean("reused", self.random.happens(0.9)),
        ]
    }

    fn asked(&mut self) -> (String, Vec<KeyValue>) {
        let table = *self.random.pick(&["orders", "order_items", "users", "products", "prices", "sessions", "payments"]);
        let verb = *self.random.pick(&["SELECT", "SELECT", "SELECT", "INSERT", "UPDATE"]);
        let statement = match verb {
            "SELECT" => format!("SELECT * FROM {table} WHERE id = $1"),
            "INSERT" => format!("INSERT INTO {table} VALUES ($1, $2, $3, $4)"),
            _ => format!("UPDATE {table} SET state = $1 WHERE id = $2"),
        };
        let attributes = vec![
            text("db.system.name", "postgresql"),
            text("db.namespace", "shop"),
            text("db.operation.name", verb),
            text("db.collection.name", table),
            text("db.query.text", statement),
            text("server.address", format!("db-{}.shop", self.random.below(4))),
            integer("server.port", 5432),
            integer("db.response.returned_rows", self.random.below(200)),
            boolean("db.prepared", self.random.happens(0.7)),
        ];
        (format!("{verb} {table}"), attributes)
    }

    fn computed(&mut self) -> (String, Vec<KeyValue>) {
        const STEPS: [&str; 12] = [
            "validate",
            "render",
            "price",
            "rank",
            "authorise",
            "serialise",
            "plan_route",
            "apply_rules",
            "load_cart",
            "merge_cart",
            "compress",
            "sign",
        ];
        let step = *self.random.pick(&STEPS);
        let attributes = vec![
            text("code.function.name", format!("core.{step}")),
            text("code.file.path", format!("core/{step}.rs")),
            integer("code.line.number", 20 + 7 * step.len() as u64),
            integer("items", self.random.below(50)),
            double("cpu.ms", (self.random.exponential(3_000.0) as u64) as f64 / 1e3),
            boolean("cache.hit", self.random.happens(0.8)),
            text("variant", *self.random.pick(&["control", "a", "b"])),
            integer("order.id", self.thing),
            text("user.id", format!("u-{}", self.user)),
        ];
        (step.to_owned(), attributes)
    }

    fn message(&mut self, verb: &str) -> (String, Vec<KeyValue>) {
        let topic = *self.random.pick(&["orders.created", "orders.paid", "stock.changed", "mail.outbox", "audit.events"]);
        let attributes = vec![
            text("messaging.system", "kafka"),
            text("messaging.operation.name", verb),
            text("messaging.destination.name", topic),
            integer("messaging.destination.partition.id", self.random.below(12)),
            integer("messaging.kafka.offset", self.random.below(9_000_000)),
            integer("messaging.message.body.size", self.random.below(20_000)),
            text("messaging.client.id", format!("client-{}", self.random.below(30))),
            text("server.address", format!("queue-{}.shop", self.random.below(3))),
            text("user.id", format!("u-{}", self.user)),
        ];
        (format!("{verb} {topic}"), attributes)
    }

    fn events(&mut self, node: &Node, failed: bool) -> Vec<Event> {
        let time_unix_nano = node.start + self.random.below(node.duration_ns);
        if failed {
            let attributes = vec![
                text("exception.type", *self.random.pick(&["TimeoutError", "ConnectionRefused", "ConflictError"])),
                text(
                    "exception.message",
                    format!("{} of shop.internal gave up after {} ms", node.pod.service().name, self.random.below(900)),
                ),
            ];
            return vec![Event { time_unix_nano, name: "exception".to_owned(), attributes, ..Event::default() }];
        }
        if self.random.happens(0.05) {
            let attributes = vec![integer("attempt", self.random.between(2, 4))];
            return vec![Event { time_unix_nano, name: "retry".to_owned(), attributes, ..Event::default() }];
        }
        Vec::new()
    }
}

fn answered_with_error(span: &Span) -> bool {
    let status = span.attributes.iter().find(|attribute| attribute.key == STATUS).and_then(|status| status.value.as_ref());
    matches!(status.and_then(|status| status.value.as_ref()), Some(Value::IntValue(500..)))
}

/// As an exporter writes it: a resource for each pod.
pub(crate) fn encode(pods: ByPod<Span>) -> Vec<u8> {
    let scope = InstrumentationScope { name: "shop.tracing".to_owned(), version: "2.4.0".to_owned(), ..InstrumentationScope::default() };
    let of_pod = |(pod, spans)| ResourceSpans {
        resource: Some(Pod::resource(pod)),
        scope_spans: vec![ScopeSpans { scope: Some(scope.clone()), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: pods.into_iter().map(of_pod).collect() }.encode_to_vec()
}
