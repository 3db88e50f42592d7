//! A predicate means the same on live records, on a fresh shard and after a restart, with and without the id directory.

mod compare;
mod histogram;
mod shapes;
mod table;

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use regex::Regex;

use super::Search;
use crate::accept::{BodyFormat, Decoded, Incoming, RawRequest};
use crate::model::{write_json_map, *};
use crate::predicate::{Comparison, Field, FieldTest, IdKind, IdTest, Literal, Predicate, TextTest, Wildcard};
use crate::settings::StoreSettings;
use crate::store::Store;

const TEXTS: [&str; 8] = [
    "payment declined for card-51",
    "Payment OK",
    "GET /cart/42",
    "",
    "ÜBER straße naïve",
    "connection refused: 10.0.0.1",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa long",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab other",
];
const WORDS: [&str; 9] = [
    "payment",
    "card",
    "51",
    "über",
    "refused",
    "missing",
    "pay",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "long",
];
const REGEXES: [&str; 8] =
    ["(?i)pay.*card", "declined for", "refused: [0-9]+", "(?i)über", "naïve$", "^GET /ca", "a{40}b other", "card-5[0-9]$|OK"];
const IDS: [&str; 6] =
    ["7d3f9a52-11c0-4f0e-9a7b-2f6f0b1c2d3e", "7D3F9A5211C04F0E9A7B2F6F0B1C2D3E", "order-7", "5af7183fb1d4cf5f", "6554734444506566495", "-"];
/// A trace, its low half as a trace of its own, and a span.
const MORE_IDS: [&str; 3] = ["02020202020202025af7183fb1d4cf5f", "00000000000000005af7183fb1d4cf5f", "0303030303030303"];
const KEYS: [&str; 3] = ["code", "route", "tags"];

#[derive(Clone, Debug)]
struct Row {
    span: bool,
    time: u64,
    text: &'static str,
    id: Option<&'static str>,
    trace: u8,
    severity: u8,
    service: &'static str,
    attributes: Vec<(&'static str, Value)>,
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..4_i64).prop_map(Value::Int),
        prop_oneof![Just(0.0), Just(1.0), Just(2.5)].prop_map(Value::Double),
        prop_oneof![Just("1"), Just("1.0"), Just("/cart"), Just("x")].prop_map(|text| Value::String(text.to_owned())),
        prop::sample::select(&IDS[..2]).prop_map(|id| Value::String(id.to_owned())),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Empty),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let value = prop_oneof![any_scalar(), prop::collection::vec(any_scalar(), 0..3).prop_map(Value::Array)];
    let attributes = prop::collection::vec((prop::sample::select(&KEYS[..]), value), 0..3);
    let texts =
        (prop::sample::select(&TEXTS[..]), prop::option::of(prop::sample::select(&IDS[..])), prop::sample::select(&["web", "pay"][..]));
    (any::<bool>(), 0..20_u64, texts, 0..4_u8, 0..25_u8, attributes).prop_map(
        |(span, time, (text, id, service), trace, severity, attributes)| Row { span, time, text, id, trace, severity, service, attributes },
    )
}

fn any_predicate() -> impl Strategy<Value = Predicate> {
    let literal = prop::sample::select(&["1", "1.0", "2.5", "/cart", "x", "TRUE", "web", "error", "0", IDS[0]][..]);
    let test = (literal, prop::sample::select(&[Comparison::Equal, Comparison::Equal, Comparison::GreaterOrEqual, Comparison::Less][..]));
    let compared = test.prop_map(|(text, comparison)| {
        FieldTest::Compare(comparison, Literal { severity: Severity::from_name(text), ..Literal::of(text) })
    });
    let field_test = prop_oneof![4 => compared, 1 => Just(FieldTest::Exists), 1 => Just(FieldTest::Wildcard(Wildcard::new("/c*t")))];
    let keys = || prop::collection::vec(prop::sample::select(&["code", "route", "tags", "service.name"][..]).prop_map(str::to_owned), 1..3);
    let field = prop_oneof![
        Just(Field::Service),
        Just(Field::Severity),
        Just(Field::Body),
        Just(Field::Name),
        Just(Field::Status),
        Just(Field::Duration),
        keys().prop_map(Field::Any),
        keys().prop_map(Field::Attribute),
        keys().prop_map(Field::Resource),
    ];
    let comparison = prop::sample::select(
        &[Comparison::Equal, Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Less, Comparison::LessOrEqual][..],
    );
    let time = (0..20_u64, comparison).prop_map(|(nanos, comparison)| {
        let test = FieldTest::Compare(comparison, Literal { time: Some(UnixNanos(nanos)), ..Literal::default() });
        Predicate::Field { field: Field::Time, test }
    });
    let word = || prop::sample::select(&WORDS[..]).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Predicate::All),
        prop_oneof![Just(Signal::Logs), Just(Signal::Spans)].prop_map(Predicate::Signal),
        word().prop_map(|word| Predicate::Text(TextTest::Word(word))),
        word().prop_map(|word| Predicate::Text(TextTest::Prefix(word))),
        prop::collection::vec(word(), 1..3).prop_map(|words| Predicate::Text(TextTest::Phrase(words))),
        prop::sample::select(&REGEXES[..]).prop_map(|regex| Predicate::Text(TextTest::Regex(Regex::new(regex).unwrap()))),
        (field, field_test).prop_map(|(field, test)| Predicate::Field { field, test }),
        (prop::sample::select(&IDS[..]), prop::sample::select(&[IdKind::Any, IdKind::Request, IdKind::Trace][..]))
            .prop_map(|(id, kind)| IdTest::of(kind, id).map_or(Predicate::All, Predicate::Id)),
        time,
        Just(Predicate::IsRoot),
        Just(Predicate::HasException),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Predicate::Or),
            inner.prop_map(|predicate| Predicate::Not(Box::new(predicate))),
        ]
    })
}

fn trace(number: u8) -> Option<TraceId> {
    // The second of them is a 64-bit id padded to 128 bits.
    let high = if number == 1 { 0 } else { number };
    TraceId::from_bytes(&[[high; 8], [0x5a, 0xf7, 0x18, 0x3f, 0xb1, 0xd4, 0xcf, 0x5f]].concat()).filter(|_| number > 0)
}

fn decoded(rows: &[Row], signal: Signal) -> Decoded {
    let (mut logs, mut spans) = (LogsBuilder::with_capacity(0), SpansBuilder::with_capacity(0));
    for row in rows.iter().filter(|row| row.span == (signal == Signal::Spans)) {
        let resource = format!(r#"{{"service.name":"{}","code":1}}"#, row.service);
        let ids =
            RowIds { trace_id: trace(row.trace), span_id: SpanId::from_bytes(&[row.trace + 1; 8]), request_id: row.id, more_ids: &[] };
        if row.span {
            spans.set_resource(Some(&resource), Some(row.service));
            row.attributes.iter().for_each(|(key, value)| spans.attributes().push(key, value));
            let end = UnixNanos(row.time + u64::from(row.severity % 3));
            let events =
                if row.severity == 7 { r#"[{"time":1,"name":"exception","attributes":{"exception.message":"card refused"}}]"# } else { "" };
            spans.append(&SpanRow {
                start: UnixNanos(row.time),
                end,
                ids,
                name: row.text,
                status_code: i32::from(row.severity % 3),
                events,
                ..SpanRow::default()
            });
        } else {
            logs.set_resource(Some(&resource), Some(row.service));
            row.attributes.iter().for_each(|(key, value)| logs.attributes().push(key, value));
            logs.append(&LogRow {
                timestamp: UnixNanos(row.time),
                ids,
                severity: Severity(row.severity),
                body: Some((ValueKind::String, row.text)),
                ..LogRow::default()
            });
        }
    }
    let records = if signal == Signal::Spans { spans.finish() } else { logs.finish() };
    Decoded { signal, records, own_times: true }
}

/// What matches each of the predicates, counted in the way beside it too, and what carries each of the ids.
fn answers(store: &Store, predicates: &[(Predicate, usize)]) -> Vec<Vec<Record>> {
    let snapshot = store.snapshot(&Tenant::default());
    let ask = |(predicate, way): &(Predicate, usize)| {
        let search = Search {
            predicate: predicate.clone(),
            start: Some(UnixNanos(2)),
            end: Some(UnixNanos(18)),
            ascending: false,
            after: None,
            limit: 1000,
        };
        let found = snapshot.search(&search, &|| false).unwrap();
        assert_eq!(found.coverage.failures, Vec::<String>::new());
        let (count, _) = snapshot.count(predicate, search.start, search.end, &|| false).unwrap();
        assert_eq!(count, found.records.len() as u64, "counted otherwise than found");
        histogram::assert_counted(&snapshot, predicate, *way);
        if way % 4 == 1 {
            let baseline = (way % 8 == 1).then(|| &predicates[way % predicates.len()].0);
            compare::assert_compared(&snapshot, predicate, baseline, way % 16 > 8);
        }
        if way.is_multiple_of(4) {
            shapes::assert_shapes(&snapshot, predicate, way.is_multiple_of(8));
        }
        table::assert_table(&snapshot, predicate, &found.records, *way);
        found.records
    };
    assert_accepted(&snapshot, &predicates.iter().map(|(predicate, _)| predicate).collect::<Vec<_>>());
    let with_id = |id: &&str| {
        let terms = IdTest::of(IdKind::Any, id).map(|test| test.terms()).unwrap_or_default();
        let found = snapshot.by_ids(&terms, &super::Known::nothing(), &|| false).unwrap();
        assert_eq!(found.coverage.failures, Vec::<String>::new());
        found.records
    };
    shapes::assert_shapes(&snapshot, &Predicate::All, false);
    predicates.iter().map(ask).chain(IDS.iter().chain(&MORE_IDS).map(with_id)).collect()
}

/// What several predicates are told together is what each is told alone.
fn assert_accepted(snapshot: &super::Snapshot, predicates: &[&Predicate]) {
    let numbers = |records: &[Record]| records.iter().map(|record| record.common().record_id).collect::<Vec<_>>();
    for (from, until) in [(0, 1_000), (7, 25), (20, 20)].map(|(from, until)| (RecordId(from), RecordId(until))) {
        let together = snapshot.accepted_between(from, until, predicates).unwrap();
        assert_eq!(together.next, until.min(snapshot.next_record_id()).max(from));
        for (at, predicate) in predicates.iter().enumerate() {
            let mut alone = numbers(&snapshot.accepted_from(from, predicate, 1_000).unwrap().records);
            alone.retain(|number| *number < until);
            let told = together.records.iter().filter(|(_, matched)| matched.contains(&at)).map(|(record, _)| record.clone());
            assert_eq!(numbers(&told.collect::<Vec<_>>()), alone, "{predicate:?}");
        }
    }
}

fn carries(record: &Record, id: &IdTest) -> bool {
    let common = record.common();
    let own = common.request_ids.iter().filter_map(|text| NormalId::of(text)).chain(common.trace_id.map(NormalId::of_trace));
    own.flat_map(|own| [Some(own.term()), own.low_half_term()]).flatten().any(|term| id.terms().contains(&term))
}

/// Each test's rows are handed to the decoder through the body: their place in this list.
fn check(rows: Vec<Row>, predicates: &[(Predicate, usize)], split: usize, deleted: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { data: folder.path().to_owned(), wal_segment_bytes: 64 << 10, ..StoreSettings::default() };
    let rows = Arc::new(rows);
    let parts = [0..split.min(rows.len()), split.min(rows.len())..rows.len()];
    let all = rows.clone();
    let decode_part = move |part: &Bytes| {
        let signal = if part[0] == b's' { Signal::Spans } else { Signal::Logs };
        decoded(&all[parts[usize::from(part[1] - b'0')].clone()], signal)
    };
    let decode = {
        let decode_part = decode_part.clone();
        move |request: &RawRequest| Ok(decode_part(&request.body))
    };
    let open = || Store::open(&settings, Arc::new(decode.clone()), &mut Registry::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = open();
    let append = |store: &Store, body: &'static str| {
        let body = Bytes::from_static(body.as_bytes());
        let format = if body[0] == b's' { BodyFormat::OtlpTracesJson } else { BodyFormat::OtlpLogsJson };
        let request =
            RawRequest { tenant: Tenant::default(), format, arrival: UnixNanos(1), service: None, timezone: None, body: body.clone() };
        runtime.block_on(store.append(Incoming { request, decoded: decode_part(&body), idempotency_key: None })).unwrap();
    };
    ["l0", "s0"].into_iter().for_each(|body| append(&store, body));
    let answers = |store: &Store| answers(store, predicates);
    runtime.block_on(store.flush()).unwrap();
    ["l1", "s1"].into_iter().for_each(|body| append(&store, body));
    let id = deleted.and_then(|id| IdTest::of(IdKind::Any, id));
    let mut expected = answers(&store);
    if let Some(id) = &id {
        expected.iter_mut().for_each(|records| records.retain(|record| !carries(record, id)));
        runtime.block_on(store.delete(&Tenant::default(), id.terms())).unwrap();
    }
    let live = answers(&store);
    assert_eq!(live, expected, "what is not deleted stays, what is deleted goes");
    runtime.block_on(store.flush()).unwrap();
    let sealed = answers(&store);
    assert_eq!(live, sealed, "live and sealed differ");
    runtime.block_on(store.merge()).unwrap();
    while store.tick_directory().unwrap() {}
    let merged = answers(&store);
    assert_eq!(sealed, merged, "a merge changes answers");
    drop(store);
    assert_eq!(merged, answers(&open()), "a restart changes answers");
    let directory = settings.data.join("_needle/ids");
    // There is none when everything was deleted before it was sealed.
    if directory.exists() {
        std::fs::remove_dir_all(directory).unwrap();
    }
    let store = open();
    assert_eq!(merged, answers(&store), "without the id directory answers change");
    while store.tick_directory().unwrap() {}
    assert_eq!(merged, answers(&store), "the id directory, made anew, changes answers");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_predicate_means_the_same_live_sealed_and_merged(
        rows in prop::collection::vec(any_row(), 1..60),
        predicates in prop::collection::vec((any_predicate(), 0..histogram::WAYS), 20),
        split in 0..60_usize,
        deleted in prop::option::of(prop::sample::select(&IDS[..])),
    ) {
        check(rows, &predicates, split, deleted);
    }
}
