//! FORMAT.md draws every byte on disk; here it is held true to what the code writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rusqlite::Connection;

use crate::catalog::Origins;
use crate::check::tests::{files, fill};
use crate::directory::IdDirectory;
use crate::model::{IdKey, IdTerm, LogRow, LogsBuilder, NormalId, RowIds, Signal, SpanRow, SpansBuilder, Tenant, UnixNanos};
use crate::shard;

const PAGE: &str = include_str!("../../FORMAT.md");

/// Lines that the page should have and has not.
fn assert_said(lines: impl IntoIterator<Item = String>) {
    let missing: Vec<String> = lines.into_iter().filter(|line| !PAGE.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "FORMAT.md does not say:\n{}", missing.join("\n"));
}

fn shard_of(signal: Signal) -> Bytes {
    let batch = match signal {
        Signal::Logs => {
            let mut builder = LogsBuilder::with_capacity(0);
            builder.append(&LogRow {
                timestamp: UnixNanos(1),
                ids: RowIds { request_id: Some("req-1"), ..RowIds::default() },
                ..LogRow::default()
            });
            builder.finish()
        }
        Signal::Spans => {
            let mut builder = SpansBuilder::with_capacity(0);
            builder.append(&SpanRow { start: UnixNanos(1), ..SpanRow::default() });
            builder.finish()
        }
    };
    shard::build("id", &Tenant::default(), signal, &Origins::one(1), &[batch]).unwrap().bytes
}

#[test]
fn columns_and_footer_entries_of_shards() {
    for signal in Signal::ALL {
        let reader = ParquetRecordBatchReaderBuilder::try_new(shard_of(signal)).unwrap();
        let columns: Vec<String> =
            reader.schema().fields().iter().map(|field| format!("| `{}` | {} |", field.name(), field.data_type())).collect();
        assert!(columns.len() > 15);
        assert_said(columns);
        let entries = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let ours: Vec<_> = entries.iter().filter(|entry| entry.key.starts_with("needle.")).collect();
        assert_eq!(ours.len(), 5);
        for entry in ours {
            let value: serde_json::Map<String, serde_json::Value> = match entry.key.as_str() {
                "needle.tail" => serde_json::Map::new(),
                _ => serde_json::from_str(entry.value.as_ref().unwrap()).unwrap(),
            };
            let fields = value.keys().map(|field| format!("`{field}`"));
            assert_said(fields.chain([format!("`{}`", entry.key)]));
        }
    }
    assert_said([format!("shard format **{}**", shard::FORMAT)]);
}

#[tokio::test]
async fn tables_of_the_catalog_and_the_head_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let connection = Connection::open(folder.path().join("_needle/catalog.db")).unwrap();
    let version: u32 = connection.query_row("pragma user_version", [], |row| row.get(0)).unwrap();
    let question = "select tables.name, columns.name, lower(columns.type) from sqlite_schema as tables,
        pragma_table_info(tables.name) as columns where tables.type = 'table' and tables.name not like 'sqlite_%'";
    let mut statement = connection.prepare(question).unwrap();
    let columns = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)));
    let columns: Vec<(String, String, String)> = columns.unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(columns.iter().map(|(table, ..)| table).collect::<BTreeSet<_>>().len(), 6);
    assert_said(columns.into_iter().map(|(table, column, kind)| format!("| `{table}.{column}` | {kind} |")));
    assert_said([format!("catalog format **{version}**")]);

    let segment = files(folder.path()).into_iter().find(|(path, _)| path.ends_with(".wal")).unwrap().1;
    let text = |range: std::ops::Range<usize>| String::from_utf8(segment[range].to_vec()).unwrap();
    assert_said([format!("`{}`", text(0..8)), format!("`{}`", text(8..12)), format!("frame version **{}**", segment[12])]);
}

#[test]
fn the_head_of_a_run_of_the_directory() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (directory, _) = IdDirectory::open(objects.clone(), Path::from("_needle/ids")).unwrap();
    directory.add(&[(Origins::one(1), vec![IdKey(7 << 40)])]).unwrap();
    let run = block_on(async { objects.get(&Path::from("_needle/ids/0000000001.ids")).await?.bytes().await }).unwrap();
    assert_said([format!("`{}`", String::from_utf8(run[..4].to_vec()).unwrap()), format!("run version **{}**", run[4])]);
}

#[test]
fn the_worked_examples() {
    let id = NormalId::of("5B0D58AA-0FD6-4A52-9D20-6F7A2B1D9C22").unwrap();
    let term: String = IdTerm::as_bytes(&id.term()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_said([format!("`{term}`"), format!("`{:016x}`", id.key().0)]);
    let shard = shard_of(Signal::Logs);
    assert_said([format!("`{}`", String::from_utf8(shard[..4].to_vec()).unwrap())]);
}
