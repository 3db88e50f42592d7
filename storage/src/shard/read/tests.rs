//! Rows that are picked are the rows that are decoded.

use std::sync::LazyLock;

use futures::executor::block_on;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::*;
use crate::catalog::Origins;
use crate::model::{LogRow, LogsBuilder, Record, RowIds, Severity, SpanId, SpanRow, SpansBuilder, Tenant, TraceId, ValueKind};
use crate::predicate::{Comparison, Field, FieldTest, Literal, matching_rows};
use crate::shard::blocks::BLOCK_BYTES;
use crate::shard::build;

/// More than a page, and not a whole number of them.
const ROWS: u64 = 5_000;

/// Scattered numbers: the finalizer of `SplitMix64`.
fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id<const N: usize>(number: u64) -> [u8; N] {
    std::array::from_fn(|at| (scattered(number) >> (8 * (at % 8))) as u8 | 1)
}

/// Columns of every form: some rows or all have a value, values repeat or differ, dictionaries fit or overflow.
fn push_attributes(attributes: &mut crate::model::AttributesBuilder, n: u64) {
    attributes.push_str("text.few", ["a", "", "ü", "long enough for two"][n as usize % 4]);
    if n.is_multiple_of(3) {
        attributes.push_str("text.many", &format!("{:x}/{}", scattered(n), "x".repeat(n as usize % 40)));
    }
    if n % 1_000 < 900 {
        attributes.push_str("text.overflows", &format!("/path/{}/{}", n / 3, "segment/".repeat(9)));
    }
    if n < 2_100 {
        attributes.push_int("int.runs", (n / 700) as i64 - 1);
    }
    attributes.push_int("int.differs", scattered(n) as i64);
    if scattered(n).is_multiple_of(2) {
        attributes.push_double("double", f64::from(n as u32 % 50) / 7.0);
        attributes.push_double("double.differs", scattered(n) as f64);
    }
    if !n.is_multiple_of(5) {
        attributes.push_bool("bool", scattered(n).is_multiple_of(3));
    }
    if n.is_multiple_of(1_234) {
        attributes.push_str(&format!("seldom.{n}"), "stands in the general column");
    }
}

fn logs() -> RecordBatch {
    let mut logs = LogsBuilder::with_capacity(0);
    for n in 0..ROWS {
        let resource = format!(r#"{{"host":"h{}"}}"#, n % 7);
        logs.set_resource(Some(&resource), Some(["shop", "cart", "mail"][n as usize % 3]));
        push_attributes(logs.attributes(), n);
        let (request_id, more_ids) = (format!("request-{}", n / 20), [format!("more-{n}")]);
        logs.append(&LogRow {
            timestamp: UnixNanos(n * 1_000 + scattered(n) % 700),
            observed_timestamp: (!n.is_multiple_of(4)).then_some(UnixNanos(n * 1_000 + scattered(n) % 90_000)),
            ids: RowIds {
                trace_id: (n % 9 < 7).then(|| TraceId::from_bytes(&id::<16>(n / 20)).unwrap()),
                span_id: n.is_multiple_of(2).then(|| SpanId::from_bytes(&id::<8>(n)).unwrap()),
                request_id: (n % 11 < 10).then_some(request_id.as_str()),
                more_ids: if n.is_multiple_of(6) { &more_ids } else { &[] },
            },
            severity: if n.is_multiple_of(13) { Severity::ERROR } else { Severity::INFO },
            body: (n % 17 < 16).then_some((ValueKind::String, format!("line {n} says {:x}", scattered(n)).as_str())),
            flags: u32::from(n.is_multiple_of(2)),
            ..LogRow::default()
        });
    }
    logs.finish()
}

fn spans() -> RecordBatch {
    let mut spans = SpansBuilder::with_capacity(0);
    spans.set_resource(Some("{}"), Some("shop"));
    for n in 0..ROWS {
        push_attributes(spans.attributes(), n);
        let start = UnixNanos(n * 1_000);
        spans.append(&SpanRow {
            start,
            end: UnixNanos(start.0 + scattered(n) % 1_000_000),
            ids: RowIds { trace_id: TraceId::from_bytes(&id::<16>(n / 30)), span_id: SpanId::from_bytes(&id::<8>(n)), ..RowIds::default() },
            parent_span_id: (!n.is_multiple_of(30)).then(|| SpanId::from_bytes(&id::<8>(n - 1)).unwrap()),
            name: ["GET /", "query"][usize::from(n % 100 > 60)],
            kind: (n % 6) as i32,
            status_code: i32::from(n.is_multiple_of(50)) * 2,
            status_message: if n.is_multiple_of(50) { "it failed" } else { "" },
            events: if n.is_multiple_of(40) { r#"[{"time":1,"name":"exception","attributes":{}}]"# } else { "" },
            ..SpanRow::default()
        });
    }
    spans.finish()
}

fn shard_of(signal: Signal, batch: RecordBatch) -> ShardReader {
    shard_with(signal, batch, Arc::new(ReadCache::new(1 << 20)))
}

fn shard_with(signal: Signal, batch: RecordBatch, cache: Arc<ReadCache>) -> ShardReader {
    let built = build("id", &Tenant::default(), signal, &Origins::one(1), &[batch]).unwrap();
    let meta = ShardMeta {
        id: "id".to_owned(),
        tenant: Tenant::default(),
        signal,
        path: "shard.parquet".to_owned(),
        time_min: built.time_min,
        time_max: built.time_max,
        record_min: built.record_min,
        record_max: built.record_max,
        rows: built.rows,
        bytes: built.bytes.len() as u64,
        format: FORMAT,
        origins: Origins::one(1),
        tail: built.tail,
    };
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    block_on(objects.put(&Path::from(meta.path.as_str()), built.bytes.into())).unwrap();
    ShardReader::open_with(objects, meta, cache).unwrap()
}

static SHARDS: LazyLock<[ShardReader; 2]> = LazyLock::new(|| [shard_of(Signal::Logs, logs()), shard_of(Signal::Spans, spans())]);

/// What one of the two ways of reading hands out.
fn records(shard: &ShardReader, rows: &RowRanges, is_picked: bool) -> (Vec<u32>, Vec<Record>) {
    let fields = shard.wanted_fields(Wanted::Records);
    let mut found = (Vec::new(), Vec::new());
    let mut visit = |view: &RecordsView<'_>, numbers: &[u32]| {
        found.0.extend_from_slice(numbers);
        found.1.extend((0..view.len()).map(|row| view.record(row)));
        Ok(true)
    };
    if is_picked { shard.pick(rows, &fields, true, &mut visit) } else { shard.decode(rows, &fields, true, &mut visit) }.unwrap();
    found
}

#[test]
fn every_flat_column_can_be_picked() {
    for shard in SHARDS.iter() {
        let fields = shard.parquet.schema().fields().iter().zip(&shard.picked);
        let decoded: Vec<&str> = fields.filter(|(_, picked)| picked.is_none()).map(|(field, _)| field.name().as_str()).collect();
        assert_eq!(decoded, [column::MORE_IDS, column::ATTRIBUTES]);
    }
}

#[test]
fn of_a_page_that_is_kept_no_blocks_are() {
    let cache = Arc::new(ReadCache::new(4 << 20));
    let shard = shard_with(Signal::Logs, logs(), cache.clone());
    let place = &chunks::page_locations(shard.parquet.metadata(), 0, 0).unwrap()[0];
    let block = place.offset as u64 / BLOCK_BYTES;
    let first_of_file = 0;
    assert!(cache.blocks(first_of_file, block..block + 1).is_none(), "opening reads only what is near the end");
    let (numbers, _) = records(&shard, &RowRanges::of(0..3), true);
    assert_eq!(numbers, [0, 1, 2]);
    assert!(shard.file.kept_page(place.offset as u64).is_some());
    assert!(cache.blocks(first_of_file, block..block + 1).is_none());
    shard.file.read(0..1).unwrap();
    assert!(cache.blocks(first_of_file, 0..1).is_some(), "but of what is read otherwise they are");
}

#[test]
fn all_rows_picked_are_all_rows_decoded() {
    for shard in SHARDS.iter() {
        assert_eq!(records(shard, &shard.all(), true), records(shard, &shard.all(), false));
    }
}

fn attribute_is(key: &str, literal: &str) -> Predicate {
    let test = FieldTest::Compare(Comparison::GreaterOrEqual, Literal::of(literal));
    Predicate::Field { field: Field::Attribute(vec![key.to_owned()]), test }
}

#[test]
fn rows_told_by_codes_are_those_whose_values_pass() {
    let is = |(field, comparison, literal)| Predicate::Field { field, test: FieldTest::Compare(comparison, Literal::of(literal)) };
    let of_own = [
        (Field::Service, Comparison::Equal, "cart"),
        (Field::Name, Comparison::Equal, "query"),
        (Field::EventName, Comparison::Equal, "exception"),
        (Field::Status, Comparison::Equal, "error"),
        (Field::SpanKind, Comparison::Equal, "server"),
        (Field::Severity, Comparison::GreaterOrEqual, "warn"),
        (Field::Severity, Comparison::Less, "13"),
        (Field::Severity, Comparison::Equal, "notice2"),
    ];
    let all = [("text.few", "b"), ("int.runs", "1"), ("double", "3.5"), ("text.many", "x"), ("int.differs", "0"), ("nowhere", "1")];
    let conditions: Vec<Predicate> = all.into_iter().map(|(key, literal)| attribute_is(key, literal)).chain(of_own.map(is)).collect();
    let mut told = 0;
    for (shard, condition) in SHARDS.iter().flat_map(|shard| conditions.iter().map(move |condition| (shard, condition))) {
        let rows = RowRanges::of_rows((0..ROWS as u32).filter(|row| row % 5 < 3).collect());
        let mut expected = Vec::new();
        let columns = Columns::of(condition);
        let decoded = shard.decode(&rows, &shard.wanted_fields(Wanted::Columns(&columns)), false, &mut |view, numbers| {
            expected.extend(matching_rows(condition, view, &|| false).unwrap().into_iter().map(|row| numbers[row as usize]));
            Ok(true)
        });
        decoded.unwrap();
        if let Some(found) = shard.rows_by_code(&rows, condition).unwrap() {
            assert!(found.rows().eq(expected.iter().copied()), "{condition:?}");
            told += usize::from(!found.is_empty() && found != rows);
        }
    }
    assert!(told >= 11, "{told} conditions were told by codes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rows_picked_are_the_rows_decoded(
        starts in prop::collection::vec((0..ROWS as u32, 1..6_u32), 0..12),
        signal in 0..2_usize,
    ) {
        let shard = &SHARDS[signal];
        let rows = RowRanges::of_rows(starts.into_iter().flat_map(|(start, count)| start..(start + count).min(ROWS as u32)).collect());
        prop_assume!(!rows.is_empty());
        let picked = records(shard, &rows, true);
        prop_assert_eq!(&picked, &records(shard, &rows, false));
        prop_assert!(rows.rows().eq(picked.0));
    }
}
