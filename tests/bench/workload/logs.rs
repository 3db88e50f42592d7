//! Log records: journeys of 20 to 30 lines through a few services.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use super::attributes::{boolean, double, integer, text, text_value};
use super::batches::{ByPod, Emitted, Origin};
use super::bodies::{self, Severity, Subject};
use super::ids::JourneyIds;
use super::interleave::{Interleaved, Timed};
use super::random::Random;
use super::services::{Call, Pod, SERVICES};
use super::{START, journey_random};

/// With this, about 300 journeys are under way at once and 2,000 records come in a second.
const JOURNEY_GAP_NS: f64 = 12_500_000.0;
const RECORD_GAP_NS: f64 = 150_000_000.0;
/// Loggers note the span of the moment; most lines stand in a span of their own.
const NEW_SPAN: f64 = 0.75;

/// All log records of a seed, in order of time, without an end.
pub(crate) fn records(seed: u64) -> impl Iterator<Item = Emitted<LogRecord>> + Send {
    let journeys =
        Interleaved::new(journey_random(seed), START, JOURNEY_GAP_NS, move |journey, start| Journey::new(seed, journey).lines(start));
    let mut rare = Random::of(seed, u64::MAX);
    journeys.enumerate().map(move |(number, mut emitted)| {
        if bodies::is_rare(number as u64) {
            emitted.record.body = Some(text_value(bodies::rare(&mut rare)));
            emitted.origin.sought = false;
        }
        emitted
    })
}

struct Journey {
    number: u64,
    random: Random,
    ids: JourneyIds,
    user: u64,
    order: u64,
    client_uses_tls: bool,
}

/// What a service does for a journey, for a few lines.
struct Visit {
    pod: Pod,
    call: Call,
    span: [u8; 8],
    lines_left: u64,
}

impl Journey {
    fn new(seed: u64, number: u64) -> Journey {
        let mut random = Random::of(seed, number);
        let (user, order) = (random.below(50_000), random.between(100_000, 9_999_999));
        let client_uses_tls = random.happens(0.9);
        Journey { number, ids: JourneyIds::of(seed, number), user, order, client_uses_tls, random }
    }

    fn lines(mut self, start: u64) -> Vec<Timed<Emitted<LogRecord>>> {
        let mut visit = self.visit();
        let mut time = start;
        let mut lines = Vec::new();
        for _ in 0..self.random.between(20, 30) {
            if visit.lines_left == 0 {
                visit = self.visit();
            }
            visit.lines_left -= 1;
            if self.random.happens(NEW_SPAN) {
                visit.span = self.random.bytes();
            }
            let (record, sought) = self.record(&visit, time);
            let origin =
                Origin { journey: self.number, service: visit.pod.service, traced: visit.pod.service().traced, requested: true, sought };
            lines.push(Timed { time, thing: Emitted { pod: visit.pod, origin, record } });
            time += 1 + self.random.exponential(RECORD_GAP_NS) as u64;
        }
        lines
    }

    fn visit(&mut self) -> Visit {
        let random = &mut self.random;
        let service = random.below(SERVICES.len() as u64) as usize;
        let pod = Pod::any_of(service, random);
        Visit { pod, call: Call::of(service, self.order, random), span: random.bytes(), lines_left: random.between(2, 8) }
    }

    /// A line, and whether it says the common word.
    fn record(&mut self, visit: &Visit, time: u64) -> (LogRecord, bool) {
        let severity = Severity::any(&mut self.random);
        let subject = Subject { path: &visit.call.path, method: visit.call.method, user: self.user, order: self.order };
        let (sentence, body) = bodies::say(severity, &subject, &mut self.random);
        let sought = bodies::is_common(&body);
        let traced = visit.pod.service().traced;
        let record = LogRecord {
            time_unix_nano: time,
            // Between the line and the agent that read it: a fifth of a millisecond, at times much more.
            observed_time_unix_nano: time + 50_000 + self.random.exponential(200_000.0) as u64,
            severity_number: severity.number(),
            severity_text: severity.text().to_owned(),
            body: Some(text_value(body)),
            attributes: self.attributes(visit, severity, sentence),
            trace_id: if traced { self.ids.trace.to_vec() } else { Vec::new() },
            span_id: if traced { visit.span.to_vec() } else { Vec::new() },
            ..LogRecord::default()
        };
        (record, sought)
    }

    fn attributes(&mut self, visit: &Visit, severity: Severity, sentence: u64) -> Vec<KeyValue> {
        let random = &mut self.random;
        let status = match severity {
            Severity::Error => *random.pick(&[500, 502, 503, 504]),
            Severity::Warn => *random.pick(&[200, 404, 409, 429]),
            Severity::Debug | Severity::Info => *random.pick(&[200, 200, 200, 200, 201, 204, 304]),
        };
        let mut attributes = vec![
            text("request_id", &self.ids.request),
            text("http.request.method", visit.call.method),
            text("http.route", visit.call.route),
            text("url.path", &visit.call.path),
            integer("http.response.status_code", status),
            text("user.id", format!("u-{}", self.user)),
            double("took_ms", (random.exponential(400.0) as u64) as f64 / 10.0),
            boolean("tls", self.client_uses_tls),
            boolean("cached", random.happens(0.8)),
            integer("retry", random.below(100) / 90),
            integer("thread", random.between(1, 32)),
        ];
        if !matches!(severity, Severity::Debug) {
            attributes.push(integer("code.line", 40 + 17 * sentence));
        }
        if severity == Severity::Error {
            attributes.push(text("error.type", *random.pick(&["TimeoutError", "ConnectionRefused", "ConflictError", "RangeError"])));
        }
        attributes
    }
}

/// As an exporter writes it: a resource for each pod.
pub(crate) fn encode(pods: ByPod<LogRecord>) -> Vec<u8> {
    let scope = |pod: &Pod| InstrumentationScope { name: format!("shop.{}", pod.service().name), ..InstrumentationScope::default() };
    let of_pod = |(pod, log_records)| ResourceLogs {
        resource: Some(Pod::resource(pod)),
        scope_logs: vec![ScopeLogs { scope: Some(scope(&pod)), log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: pods.into_iter().map(of_pod).collect() }.encode_to_vec()
}
