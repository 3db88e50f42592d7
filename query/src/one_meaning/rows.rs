//! Rows: what a record holds, in the few places that questions look at.

use needle_storage::Decoded;
use needle_storage::model::{LogRow, LogsBuilder, RowIds, Severity, Signal, SpanRow, SpansBuilder, UnixNanos, Value, ValueKind};
use proptest::prelude::*;

pub(super) const TEXTS: [&str; 7] = [
    "payment declined for card-51",
    "Payment OK: order-7 done",
    "GET /cart/42",
    "",
    "ÜBER straße naïve",
    "connection refused: 10.0.0.1",
    "id 7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e seen",
];
pub(super) const SERVICES: [&str; 3] = ["web", "pay", "Web"];
pub(super) const IDS: [&str; 3] = ["7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e", "7D3F9A5211C04F0E9A7B2F6F0B1C2D3E", "order-7"];
pub(super) const KEYS: [&str; 6] = ["code", "when", "took_ms", "tags", "http.status_code", "user.id"];
/// Texts of values; [`super::question`] knows which of them are numbers, durations and times.
pub(super) const VALUES: [&str; 12] = [
    "1",
    "1.0",
    "2.5",
    "-3",
    "500",
    "5ms",
    "1.5s",
    "1970-01-01T00:00:00.000000005Z",
    "1970-01-01T01:00:00.000000009+01:00",
    "web",
    "/cart",
    "true",
];

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) span: bool,
    pub(super) time: u64,
    pub(super) text: &'static str,
    pub(super) service: &'static str,
    pub(super) id: Option<&'static str>,
    /// Of a log.
    pub(super) severity: u8,
    /// Of a span.
    pub(super) duration_ns: u64,
    pub(super) failed: bool,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(&[1_i64, 2, 5, -3, 500, 503][..]).prop_map(Value::Int),
        prop::sample::select(&[1.0, 2.5, 500.0][..]).prop_map(Value::Double),
        prop::sample::select(&VALUES[..]).prop_map(|text| Value::String(text.to_owned())),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Empty),
    ]
}

pub(super) fn any_row() -> impl Strategy<Value = Row> {
    let value = prop_oneof![3 => any_scalar(), 1 => prop::collection::vec(any_scalar(), 0..3).prop_map(Value::Array)];
    let attributes = prop::collection::btree_map(prop::sample::select(&KEYS[..]), value, 0..4);
    let texts = (prop::sample::select(&TEXTS[..]), prop::sample::select(&SERVICES[..]), prop::option::of(prop::sample::select(&IDS[..])));
    let numbers = (0..20_u64, 0..25_u8, prop::sample::select(&[0_u64, 5_000_000, 1_500_000_000][..]));
    (any::<bool>(), any::<bool>(), texts, numbers, attributes).prop_map(
        |(span, failed, (text, service, id), (time, severity, duration_ns), attributes)| Row {
            span,
            time,
            text,
            service,
            id,
            severity,
            duration_ns,
            failed,
            attributes: attributes.into_iter().collect(),
        },
    )
}

/// The logs, or the spans, among some rows, the first of which has a number.
pub(super) fn decoded(rows: &[Row], first: usize, spans: bool) -> Decoded {
    let (mut logs, mut span_rows) = (LogsBuilder::with_capacity(0), SpansBuilder::with_capacity(0));
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| row.span == spans) {
        let resource = format!(r#"{{"service.name":"{}","host.name":"h-{}"}}"#, row.service, row.service);
        let ids = RowIds { request_id: row.id, ..RowIds::default() };
        let number = Value::Int((first + number) as i64);
        if spans {
            span_rows.set_resource(Some(&resource), Some(row.service));
            row.attributes.iter().for_each(|(key, value)| span_rows.attributes().push(key, value));
            span_rows.attributes().push("number", &number);
            let (start, end) = (UnixNanos(row.time), UnixNanos(row.time + row.duration_ns));
            span_rows.append(&SpanRow {
                start,
                end,
                ids,
                name: row.text,
                status_code: if row.failed { 2 } else { 0 },
                ..SpanRow::default()
            });
        } else {
            logs.set_resource(Some(&resource), Some(row.service));
            row.attributes.iter().for_each(|(key, value)| logs.attributes().push(key, value));
            logs.attributes().push("number", &number);
            let body = Some((ValueKind::String, row.text));
            logs.append(&LogRow { timestamp: UnixNanos(row.time), ids, severity: Severity(row.severity), body, ..LogRow::default() });
        }
    }
    let (signal, records) = if spans { (Signal::Spans, span_rows.finish()) } else { (Signal::Logs, logs.finish()) };
    Decoded { signal, records, own_times: true }
}
