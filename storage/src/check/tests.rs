//! A sound folder is sound, and each kind of damage is found, named, and leaves the folder as it is.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::store::tests::{incoming, open};

/// Two shards that were merged to one, another one, and records in the log.
pub(crate) async fn fill(folder: &Path) {
    let store = open(folder);
    for n in 0..4_u32 {
        let lines: Vec<String> = (0..50).map(|line| format!("{} req-{n}-{} order {line} paid", 1_000 * n + line, line / 5)).collect();
        store.append(incoming(&lines.join("\n"))).await.unwrap();
        if n < 3 {
            store.flush().await.unwrap();
        }
        if n == 1 {
            store.merge().await.unwrap();
        }
    }
}

pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn shards(folder: &Path) -> Vec<String> {
    files(folder).into_keys().filter(|path| path.ends_with(".parquet")).collect()
}

fn findings(folder: &Path) -> Vec<String> {
    let report = check(folder).unwrap();
    report.findings.iter().map(|finding| format!("{:?} {}: {}", finding.kind, finding.path, finding.found)).collect()
}

#[tokio::test]
async fn a_sound_folder_is_sound_and_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let before = files(folder.path());
    let report = check(folder.path()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.shards, report.rows, report.frames), (2, 150, 1));
    assert!(report.bytes > 10_000);
    assert!(files(folder.path()) == before);
}

#[tokio::test]
async fn a_folder_that_is_open_or_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(check(folder.path()), Err(OpenError::NoFolder(_))));
    let store = open(folder.path());
    let refusal = check(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains(&std::process::id().to_string()) && refusal.contains("stop"), "{refusal}");
    drop(store);
    assert_eq!(findings(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn damage_to_a_shard_is_named_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    for path in shards(folder.path()) {
        let file = folder.path().join(&path);
        let whole = std::fs::read(&file).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 23) {
            let mut bytes = whole.clone();
            bytes[at] ^= 8;
            std::fs::write(&file, bytes).unwrap();
            let found = findings(folder.path());
            assert!(found.iter().any(|line| line.starts_with(&format!("Damage {path}"))), "byte {at}: {found:?}");
        }
        for length in [0, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            assert!(findings(folder.path())[0].starts_with(&format!("Damage {path}")), "cut at {length}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(findings(folder.path())[0].contains("is missing"));
        std::fs::write(&file, &whole).unwrap();
    }
    assert_eq!(findings(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_shard_that_the_catalog_does_not_list_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let path = &shards(folder.path())[0];
    let copy = path.replace(".parquet", "-2.parquet");
    std::fs::copy(folder.path().join(path), folder.path().join(&copy)).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let found = findings(folder.path());
    assert!(found.iter().any(|line| line.starts_with("Note notes.txt")), "{found:?}");
    let merged_again = path.replace("-m100", "-m99");
    std::fs::rename(folder.path().join(&copy), folder.path().join(&merged_again)).unwrap();
    let found = findings(folder.path());
    assert!(found.contains(&format!("Damage {merged_again}: is not in the catalog, so its records are not found")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("it would be found twice")), "{found:?}");
}

#[tokio::test]
async fn a_shard_in_the_place_of_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let paths = shards(folder.path());
    std::fs::copy(folder.path().join(&paths[0]), folder.path().join(&paths[1])).unwrap();
    let found = findings(folder.path());
    assert!(found.iter().any(|line| line.starts_with(&format!("Damage {}", paths[1]))), "{found:?}");
}

#[tokio::test]
async fn damage_to_the_log_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..5 {
        store.append(incoming(&format!("{n} req-{n} line {n}"))).await.unwrap();
    }
    drop(store);
    let segment = files(folder.path()).into_keys().find(|path| path.ends_with(".wal")).unwrap();
    let file = folder.path().join(&segment);
    let whole = std::fs::read(&file).unwrap();
    assert_eq!(check(folder.path()).unwrap().frames, 5);
    for (at, expected) in [(0, "does not begin as"), (100, "are no frame"), (250, "are no frame")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let found = findings(folder.path());
        assert!(found.iter().any(|line| line.starts_with(&format!("Damage {segment}")) && line.contains(expected)), "byte {at}: {found:?}");
    }
}

#[tokio::test]
async fn a_catalog_that_cannot_be_used_is_named_and_shards_are_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let catalog = folder.path().join("_needle/catalog.db");
    for damage in ["not a database at all", ""] {
        std::fs::write(&catalog, damage.repeat(100)).unwrap();
        let report = check(folder.path()).unwrap();
        assert!(report.findings.iter().any(|finding| finding.kind == FindingKind::Damage), "{report:?}");
        assert_eq!((report.shards, report.rows), (2, 150));
    }
    std::fs::remove_file(&catalog).unwrap();
    assert!(findings(folder.path())[0].contains("catalog"));
}
