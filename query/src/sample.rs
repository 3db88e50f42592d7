//! Records whose every value is known, in a store: live, sealed, merged.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use needle_storage::model::{
    LogRow, LogsBuilder, RowIds, Severity, Signal, SpanId, SpanRow, SpansBuilder, Tenant, TraceId, UnixNanos, Value, ValueKind,
};
use needle_storage::{BodyFormat, Decoded, Incoming, RawRequest, Store, StoreSettings};
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use crate::sql::records::Source;
use crate::table::{Cell, Table};

/// 2026-03-01T03:00:00Z.
pub(crate) const START: u64 = 1_772_334_000_000_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) span: bool,
    /// Seconds after [`START`].
    pub(crate) second: u64,
    pub(crate) service: &'static str,
    /// Severity of a log; a third of it is a span's status.
    pub(crate) severity: u8,
    /// Body of a log, name of a span.
    pub(crate) text: &'static str,
    pub(crate) duration_ns: i64,
    pub(crate) trace: u8,
    pub(crate) request: Option<&'static str>,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}

impl Row {
    pub(crate) fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

fn any_value(key: &'static str) -> BoxedStrategy<Value> {
    let text = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(|text| Value::String(text.to_owned()));
    match key {
        "http.route" => text(&["/cart", "/pay", "/c*t", "/cart/1", ""]).boxed(),
        "code" => (199..203_i64).prop_map(Value::Int).boxed(),
        "share" => prop::sample::select(&[0.5, 1.0, -2.25, f64::NAN, f64::INFINITY][..]).prop_map(Value::Double).boxed(),
        "retried" => any::<bool>().prop_map(Value::Bool).boxed(),
        // Of any kind, also spelled as what it is not.
        _ => prop_oneof![
            (0..3_i64).prop_map(Value::Int),
            prop::sample::select(&[1.0, 1e21, f64::NAN][..]).prop_map(Value::Double),
            text(&["1", "1.0", "x", "NaN", "true", "1e21"]),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Empty),
            Just(Value::Bytes(vec![1])),
            prop::collection::vec((0..3_i64).prop_map(Value::Int), 0..3).prop_map(Value::Array),
        ]
        .boxed(),
    }
}

pub(crate) const KEYS: [&str; 5] = ["http.route", "code", "share", "retried", "mixed"];

pub(crate) fn any_row() -> impl Strategy<Value = Row> {
    let attributes =
        KEYS.map(|key| prop::option::weighted(0.7, any_value(key).prop_map(move |value| (key, value)))).into_iter().collect::<Vec<_>>();
    let texts = (
        prop::sample::select(&["till", "shelf", ""][..]),
        prop::sample::select(&["GET /cart", "payment refused", "a_b%c", ""][..]),
        prop::option::of(prop::sample::select(&["req-7", "REQ-7", "7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e"][..])),
    );
    (any::<bool>(), 0..200_u64, 0..25_u8, -5..2_000_000_i64, 0..3_u8, texts, attributes).prop_map(
        |(span, second, severity, duration_ns, trace, (service, text, request), attributes)| Row {
            span,
            second,
            service,
            severity,
            text,
            duration_ns,
            trace,
            request,
            attributes: attributes.into_iter().flatten().collect(),
        },
    )
}

fn decoded(rows: &[Row], signal: Signal) -> Decoded {
    let (mut logs, mut spans) = (LogsBuilder::with_capacity(0), SpansBuilder::with_capacity(0));
    for row in rows.iter().filter(|row| row.span == (signal == Signal::Spans)) {
        let ids = RowIds {
            trace_id: TraceId::from_bytes(&[row.trace; 16]),
            span_id: SpanId::from_bytes(&[row.trace; 8]),
            request_id: row.request,
            more_ids: &[],
        };
        let time = UnixNanos(START + row.second * SECOND);
        let resource = format!(r#"{{"service.name":"{}","host.name":"h{}","code":200}}"#, row.service, row.trace);
        if row.span {
            spans.set_resource(Some(&resource), Some(row.service));
            row.attributes.iter().for_each(|(key, value)| spans.attributes().push(key, value));
            let end = time.saturating_add_signed(row.duration_ns);
            spans.append(&SpanRow {
                start: time,
                end,
                ids,
                name: row.text,
                kind: i32::from(row.trace),
                status_code: i32::from(row.severity % 3),
                ..SpanRow::default()
            });
        } else {
            logs.set_resource(Some(&resource), Some(row.service));
            row.attributes.iter().for_each(|(key, value)| logs.attributes().push(key, value));
            let body = Some((ValueKind::String, row.text));
            logs.append(&LogRow { timestamp: time, ids, severity: Severity(row.severity), body, ..LogRow::default() });
        }
    }
    let records = if signal == Signal::Spans { spans.finish() } else { logs.finish() };
    Decoded { signal, records, own_times: true }
}

/// A store with some rows.
pub(crate) struct Sample {
    pub(crate) store: Arc<Store>,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Sample {
    /// Half of the rows are sealed, the others live.
    pub(crate) fn of(rows: &[Row]) -> Sample {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = StoreSettings { data: folder.path().to_owned(), wal_segment_bytes: 64 << 10, ..StoreSettings::default() };
        let refuse = |_: &RawRequest| Err("nothing is replayed here".to_owned());
        let store = Store::open(&settings, Arc::new(refuse), &mut Registry::default()).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let sample = Sample { store, runtime, _folder: folder };
        let (first, second) = rows.split_at(rows.len() / 2);
        sample.append(first, 0);
        sample.seal();
        sample.append(second, 1);
        sample
    }

    fn append(&self, rows: &[Row], part: u8) {
        for (number, signal) in Signal::ALL.into_iter().enumerate() {
            let body = vec![part, number as u8].into();
            let format = BodyFormat::OtlpLogsJson;
            let request = RawRequest { tenant: Tenant::default(), format, arrival: UnixNanos(1), service: None, timezone: None, body };
            let decoded = decoded(rows, signal);
            if decoded.records.num_rows() > 0 {
                let incoming = Incoming { request, decoded, idempotency_key: None };
                self.runtime.block_on(self.store.append(incoming)).expect("accepted");
            }
        }
    }

    pub(crate) fn seal(&self) {
        self.runtime.block_on(self.store.flush()).expect("sealed");
    }

    pub(crate) fn merge(&self) {
        self.seal();
        self.runtime.block_on(self.store.merge()).expect("merged");
    }

    /// What a question reads from.
    pub(crate) fn source(&self) -> Source {
        Source::new(Arc::new(self.store.snapshot(&Tenant::default())), Arc::new(AtomicBool::new(false)))
    }

    /// Asks half live, sealed and merged: the answer is the same.
    pub(crate) fn ask_in_every_state<T: PartialEq + std::fmt::Debug>(&self, ask: impl Fn(Source) -> T) -> T {
        let live = ask(self.source());
        self.seal();
        assert_eq!(ask(self.source()), live, "sealing changes the answer");
        self.merge();
        assert_eq!(ask(self.source()), live, "merging changes the answer");
        live
    }
}

/// The rows of a table as texts.
pub(crate) fn texts(table: &Table) -> Vec<Vec<String>> {
    table.rows().map(|row| row.iter().map(text).collect()).collect()
}

/// A cell as text; numbers to six digits, since sums of doubles depend on their order.
fn text(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "none".to_owned(),
        Cell::Bool(truth) => truth.to_string(),
        Cell::Int(number) => number.to_string(),
        Cell::UInt(number) => number.to_string(),
        Cell::Double(number) => format!("{number:.6e}"),
        Cell::Text(text) => text.to_string(),
        Cell::Json(json) => (*json).to_owned(),
        Cell::Time(nanos) => nanos.to_string(),
        Cell::List(cells) => cells.iter().map(text).collect::<Vec<_>>().join("+"),
    }
}
