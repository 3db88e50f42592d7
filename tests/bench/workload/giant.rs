//! One journey of very many records: a nightly job whose work items call each other, all under one trace.

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::attributes::{integer, text, text_value};
use super::batches::{BATCH_RECORDS, Batch, Batches, Emitted, Origin};
use super::ids::JourneyIds;
use super::random::Random;
use super::services::{Pod, SERVICES, TRACED};
use super::{START, logs, spans};

/// The job runs for an hour.
const JOB_NS: u64 = 3_600_000_000_000;
/// Most items are begun by one of so many before them.
const NEAR: u64 = 500;
/// One of so many logs is of a service that knows only the request id.
const LOGS_WITHOUT_TRACE: u64 = 10;

/// How much of it there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Giant {
    pub(crate) seed: u64,
    pub(crate) spans: usize,
    pub(crate) logs: usize,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    parent: Option<usize>,
    start: u64,
    duration_ns: u64,
}

impl Giant {
    pub(crate) fn ids(&self) -> JourneyIds {
        JourneyIds::of(self.seed, u64::MAX)
    }

    /// Requests that bring its spans.
    pub(crate) fn spans(&self) -> Box<dyn Iterator<Item = Batch> + Send> {
        let (ids, seed) = (self.ids(), self.seed);
        let items = self.items();
        let span = move |number: usize| {
            let item = items[number];
            let record = Span {
                trace_id: ids.trace.to_vec(),
                span_id: span_id(number),
                parent_span_id: item.parent.map(span_id).unwrap_or_default(),
                name: format!("item {}", number % 300),
                kind: if number.is_multiple_of(3) { SpanKind::Server } else { SpanKind::Internal } as i32,
                start_time_unix_nano: item.start,
                end_time_unix_nano: item.start + item.duration_ns,
                attributes: vec![text("request_id", &ids.request), integer("item", number as u64)],
                ..Span::default()
            };
            Emitted { pod: pod_of(seed, number), origin: origin(number % TRACED as usize), record }
        };
        Box::new(Batches::new((0..self.spans).map(span), BATCH_RECORDS, spans::encode))
    }

    /// Requests that bring its logs.
    pub(crate) fn logs(&self) -> Box<dyn Iterator<Item = Batch> + Send> {
        let (ids, seed, spans) = (self.ids(), self.seed, self.spans as u64);
        let items = self.items();
        let log = move |number: usize| {
            let mut random = Random::of(seed ^ 0x106, number as u64);
            let at = random.below(spans) as usize;
            let knows_trace = !(number as u64).is_multiple_of(LOGS_WITHOUT_TRACE);
            let service = if knows_trace { at % TRACED as usize } else { TRACED as usize + number % (SERVICES.len() - TRACED as usize) };
            let record = LogRecord {
                time_unix_nano: items[at].start + random.below(items[at].duration_ns),
                severity_number: if random.happens(0.001) { SeverityNumber::Error } else { SeverityNumber::Info } as i32,
                body: Some(text_value(format!("step {} of item {at} took {} us", number % 7, random.below(1_000_000)))),
                attributes: vec![text("request_id", &ids.request), integer("step", number as u64 % 7)],
                trace_id: if knows_trace { ids.trace.to_vec() } else { Vec::new() },
                span_id: if knows_trace { span_id(at) } else { Vec::new() },
                ..LogRecord::default()
            };
            let pod = if knows_trace { pod_of(seed, at) } else { Pod::any_of(service, &mut random) };
            Emitted { pod, origin: origin(service), record }
        };
        Box::new(Batches::new((0..self.logs).map(log), BATCH_RECORDS, logs::encode))
    }

    /// Each within the one that began it.
    fn items(&self) -> Vec<Item> {
        let mut random = Random::of(self.seed, 0x91a);
        let mut items = vec![Item { parent: None, start: START, duration_ns: JOB_NS }];
        for number in 1..self.spans as u64 {
            let oldest = if random.happens(0.7) { number.saturating_sub(NEAR) } else { 0 };
            let parent = (oldest + random.below(number - oldest)) as usize;
            let around = items[parent];
            let after_ns = random.below(around.duration_ns / 2 + 1);
            let duration_ns = 1_000 + random.below(around.duration_ns - after_ns);
            items.push(Item { parent: Some(parent), start: around.start + after_ns, duration_ns });
        }
        items
    }
}

fn span_id(number: usize) -> Vec<u8> {
    Random::of(0x5fa2, number as u64).bytes::<8>().to_vec()
}

/// An item is always worked on by the same service.
fn pod_of(seed: u64, number: usize) -> Pod {
    Pod::any_of(number % TRACED as usize, &mut Random::of(seed, number as u64))
}

fn origin(service: usize) -> Origin {
    Origin { journey: u64::MAX, service, traced: true, requested: true, sought: false }
}
