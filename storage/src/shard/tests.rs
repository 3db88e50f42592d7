//! Shards with damaged bytes: an error that says so, or what was written; never anything else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::catalog::{Origins, ShardMeta};
use crate::directory::tests::watched::Watched;
use crate::model::{LogRow, LogsBuilder, NormalId, RowIds, Severity, Signal, Tenant, UnixNanos, ValueKind};

fn built() -> (ShardMeta, Vec<u8>) {
    let mut builder = LogsBuilder::with_capacity(0);
    builder.set_resource(Some(r#"{"service.name":"shop"}"#), Some("shop"));
    for n in 0..3_000_u64 {
        let request_id = format!("request-{}", n / 5);
        let body = format!("line {n} of {request_id}: {}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        builder.attributes().push_int("n", n as i64);
        builder.append(&LogRow {
            timestamp: UnixNanos(n * 1_000),
            ids: RowIds { request_id: Some(&request_id), ..RowIds::default() },
            severity: Severity::INFO,
            body: Some((ValueKind::String, &body)),
            ..LogRow::default()
        });
    }
    let built = build("id", &Tenant::default(), Signal::Logs, &Origins::one(7), &[builder.finish()]).unwrap();
    let meta = ShardMeta {
        id: "id".to_owned(),
        tenant: Tenant::default(),
        signal: Signal::Logs,
        path: "shard.parquet".to_owned(),
        time_min: built.time_min,
        time_max: built.time_max,
        record_min: built.record_min,
        record_max: built.record_max,
        rows: built.rows,
        bytes: built.bytes.len() as u64,
        format: FORMAT,
        origins: Origins::one(7),
        tail: built.tail,
    };
    (meta, built.bytes.to_vec())
}

/// All rows, and the rows of an id by the index.
fn read(meta: &ShardMeta, bytes: Vec<u8>) -> Result<(Vec<RecordBatch>, Vec<u32>), ShardError> {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    block_on(objects.put(&Path::from(meta.path.as_str()), bytes.into()))?;
    let reader = ShardReader::open(objects, meta.clone())?;
    if let Some(failure) = reader.index_failure() {
        return Err(ShardError::Form(failure.to_owned()));
    }
    let rows = reader.rows_with(&[NormalId::of("request-77").unwrap().term()])?;
    Ok((reader.batches()?, rows.rows().collect()))
}

#[test]
fn a_flipped_bit_is_an_error_wherever_it_is() {
    let (meta, bytes) = built();
    let (expected, rows) = read(&meta, bytes.clone()).unwrap();
    assert_eq!((rows.len(), expected.iter().map(RecordBatch::num_rows).sum::<usize>()), (5, 3_000));
    let mut random = 7_u64;
    let mut found = 0;
    for _ in 0..400 {
        // Knuth's linear congruential generator, so that every run flips the same bits.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut flipped = bytes.clone();
        let at = (random >> 24) as usize % flipped.len();
        flipped[at] ^= 1_u8 << (random >> 61);
        match catch_unwind(AssertUnwindSafe(|| read(&meta, flipped))).expect("no panic") {
            Err(error) => {
                assert!(error.to_string().contains("damaged"), "{error}");
                found += 1;
            }
            // Bytes that were not read, such as terms of the index that were not asked for.
            Ok(answer) => assert_eq!(answer, (expected.clone(), rows.clone())),
        }
    }
    assert!(found > 100, "{found} of 400: about half of the file is read");
}

#[test]
fn without_a_catalog_the_tail_vouches_for_itself() {
    let (meta, bytes) = built();
    assert!(examine("whole", &bytes.clone().into(), None).is_ok());
    let start = meta.tail.offset as usize;
    for at in start..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let examined = examine("flipped", &flipped.into(), None);
        assert!(examined.is_err(), "a bit of byte {} of the tail went unnoticed", at - start);
    }
}

#[test]
fn with_a_damaged_index_columns_are_scanned() {
    let (meta, bytes) = built();
    let (_, rows) = read(&meta, bytes.clone()).unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from(meta.path.as_str());
    block_on(objects.put(&path, bytes.clone().into())).unwrap();
    let reader = ShardReader::open(objects.clone(), meta).unwrap();
    let mut damaged = bytes;
    for range in reader.index_ranges() {
        damaged[range].iter_mut().for_each(|byte| *byte ^= 1);
    }
    block_on(objects.put(&path, damaged.into())).unwrap();
    let term = NormalId::of("request-77").unwrap().term();
    assert!(reader.id_candidates(std::slice::from_ref(&term)).is_err());
    assert!(reader.rows_with(&[term]).unwrap().rows().eq(rows));
}

#[test]
fn a_shard_and_its_index_are_opened_with_one_read() {
    let (meta, bytes) = built();
    let objects = Arc::new(Watched::new());
    objects.set(&Path::from(meta.path.as_str()), &bytes);
    let reader = ShardReader::open_with(objects.clone(), meta, Arc::new(ReadCache::new(1 << 20))).unwrap();
    assert_eq!((reader.index_failure(), objects.gets.load(Ordering::Relaxed)), (None, 1));
}

#[test]
fn a_cut_file_is_an_error() {
    let (meta, bytes) = built();
    for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(read(&meta, bytes[..end].to_vec()).is_err(), "cut at {end}");
    }
}

#[test]
fn a_footer_that_hides_a_column_is_a_fault() {
    let (meta, bytes) = built();
    let hides = |bytes: &[u8]| {
        let examined = examine(&meta.path, &bytes.to_vec().into(), None).unwrap();
        examined.faults.iter().any(|fault| fault.contains(r#"the columns {"request_id"} hold nothing, and they do"#))
    };
    assert!(!hides(&bytes));
    // As many bytes as before, so that nothing else of the footer is wrong.
    let empty = memchr::memmem::find(&bytes, b"empty_columns").unwrap();
    let at = empty + memchr::memmem::find(&bytes[empty..], b"\"event_name\"").unwrap();
    let mut hiding = bytes;
    hiding[at..at + 12].copy_from_slice(b"\"request_id\"");
    tail::put(&mut hiding[meta.tail.offset as usize..]).unwrap();
    assert!(hides(&hiding));
}
