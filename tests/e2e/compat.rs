//! Data folders of earlier versions are read for ever. Each was written by the program of its time, with what that
//! answered to a search for everything beside it.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, repository};
use crate::otlp::{self, MS};

/// Shards whose ids are terms of tantivy.
#[test]
fn the_first_version_is_read_merged_and_read_again() {
    is_read_merged_and_read_again("v1");
}

/// Shards with longer fingerprints, and an id directory with longer keys.
#[test]
fn the_second_version_is_read_merged_and_read_again() {
    is_read_merged_and_read_again("v2");
}

fn is_read_merged_and_read_again(version: &str) {
    let (folder, expected) = copy_of(version);
    let mut server = Server::start_on(folder);
    assert_answers(&server, &expected, "as it was");
    // Neighbours, so that there is something to merge; later than everything there was.
    let time = otlp::now();
    server.send_lines(&[json!({"time": time / MS, "service": "later", "msg": "new"})]);
    let span = otlp::span(&otlp::unique(16), "new", time, time + MS);
    let request = prost::Message::encode_to_vec(&otlp::traces(vec![otlp::spans_of("later", vec![span])]));
    assert_eq!(server.post("/v1/traces", "application/x-protobuf", request).status, 200);
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    assert_answers(&server, &expected, "after a merge");
    assert_eq!(server.stop(), Some(0));
    let report = server.cli(&["check", "--json", "--data", server.data().to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((&report["findings"], &report["shards"]), (&json!([]), &json!(2)), "{report}");
    server.start_again();
    assert_answers(&server, &expected, "after a restart");
}

/// A folder of that version, and its records, oldest first.
fn copy_of(version: &str) -> (TempDir, Vec<Value>) {
    let source = repository().join("tests/compat").join(version);
    let folder = tempfile::tempdir().unwrap();
    copy(&source, folder.path());
    let answer: Value = serde_json::from_slice(&std::fs::read(source.join("search.json")).unwrap()).unwrap();
    (folder, answer["records"].as_array().unwrap().clone())
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else if entry.file_name() != "search.json" {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All records, and those of each id that one of them carries.
fn assert_answers(server: &Server, expected: &[Value], when: &str) {
    let found = server.search_with(&[("q", "-service:later"), ("order", "asc"), ("limit", "1000")]);
    assert_eq!(found, expected, "{when}");
    let ids = |record: &Value| -> Vec<String> {
        let requests = record["request_ids"].as_array().unwrap().iter();
        requests.chain([&record["trace_id"], &record["span_id"]]).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let all: std::collections::BTreeSet<String> = expected.iter().flat_map(ids).collect();
    assert!(all.len() > 10);
    for id in all {
        let carrying: Vec<&Value> = expected.iter().filter(|record| ids(record).contains(&id)).collect();
        let found = server.search_with(&[("q", &format!("id:{id}")), ("order", "asc"), ("limit", "1000")]);
        assert_eq!(found.iter().collect::<Vec<_>>(), carrying, "{when}: {id}");
    }
}
