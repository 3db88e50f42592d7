//! After a repair every record is found once, whatever was lost; and a second repair has nothing to do.

use std::path::Path;

use super::*;
use crate::check::tests::{files, fill};
use crate::check::{FindingKind, check};
use crate::store::tests::{everything, incoming, open};

const CATALOG: &str = "_needle/catalog.db";

async fn filled() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let expected = everything(&open(folder.path()));
    assert_eq!(expected.len(), 200);
    (folder, expected)
}

fn shards(folder: &Path) -> Vec<String> {
    files(folder).into_keys().filter(|path| path.ends_with(".parquet") && !path.starts_with("_needle")).collect()
}

fn assert_sound(folder: &Path, when: &str) {
    let report = check(folder).unwrap();
    let damage: Vec<_> = report.findings.iter().filter(|finding| finding.kind == FindingKind::Damage).collect();
    assert!(damage.is_empty(), "{when}: {damage:?}");
    assert_eq!(repair(folder, false).unwrap().steps, Vec::<String>::new(), "{when}: nothing is left to do");
}

fn remove_catalog(folder: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("{CATALOG}{suffix}")));
    }
}

#[tokio::test]
async fn a_sound_folder_is_left_as_it_is() {
    let (folder, _) = filled().await;
    let before = files(folder.path());
    assert_eq!(repair(folder.path(), false).unwrap().steps, Vec::<String>::new());
    let mut after = files(folder.path());
    after.insert("_needle/lock".to_owned(), before["_needle/lock"].clone());
    assert!(after == before);
}

#[tokio::test]
async fn a_lost_catalog_is_made_anew_and_nothing_is_lost_or_doubled() {
    for damage in [None, Some("no database, but longer than a header of one would have to be to be looked at"), Some("")] {
        let (folder, expected) = filled().await;
        remove_catalog(folder.path());
        damage.into_iter().for_each(|bytes| std::fs::write(folder.path().join(CATALOG), bytes).unwrap());
        let before = files(folder.path());
        let would = repair(folder.path(), true).unwrap();
        assert!(files(folder.path()) == before && !would.steps.is_empty(), "{would:?}");
        let did = repair(folder.path(), false).unwrap();
        assert_eq!(did.losses.len(), 1, "{did:?}");
        assert_sound(folder.path(), "after a lost catalog");
        let store = open(folder.path());
        assert_eq!(everything(&store), expected);
        // Numbers are not given again.
        store.append(incoming("9999 r new")).await.unwrap();
        store.flush().await.unwrap();
        store.merge().await.unwrap();
        assert_eq!(everything(&store).len(), 201);
        drop(store);
        assert_sound(folder.path(), "after going on");
    }
}

#[tokio::test]
async fn a_repetition_that_the_log_still_has_is_recognised_after_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(incoming("10 req-1 once")).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    remove_catalog(folder.path());
    repair(folder.path(), false).unwrap();
    let store = open(folder.path());
    assert_eq!(store.append(incoming("10 req-1 once")).await.unwrap().deduplicated, 1);
    assert_eq!(everything(&store), ["once"]);
}

#[tokio::test]
async fn a_damaged_shard_is_set_aside_and_comes_back_from_the_log_where_that_has_it() {
    for n in 0..2 {
        let (folder, expected) = filled().await;
        let path = shards(folder.path()).swap_remove(n);
        let file = folder.path().join(&path);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[500] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let report = repair(folder.path(), false).unwrap();
        assert!(report.steps.iter().any(|step| step.contains(&path)), "{report:?}");
        assert!(!file.exists());
        assert!(std::fs::read(folder.path().join("_needle/damaged").join(&path)).unwrap() == bytes, "it is kept as it was");
        assert_sound(folder.path(), "after damage");
        assert_eq!(everything(&open(folder.path())), expected, "the log still had all of it");
    }
}

#[tokio::test]
async fn a_shard_and_those_it_was_made_of_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..3 {
        store.append(incoming(&format!("{n} req-{n} line {n}"))).await.unwrap();
        store.flush().await.unwrap();
    }
    let expected = everything(&store);
    let reading = store.snapshot(&crate::model::Tenant::default());
    store.merge().await.unwrap();
    drop(store);
    drop(reading);
    assert_eq!(shards(folder.path()).len(), 4, "what was merged is still there");
    remove_catalog(folder.path());
    let report = repair(folder.path(), false).unwrap();
    assert_eq!(report.shards, 1, "{report:?}");
    assert_eq!(files(folder.path()).keys().filter(|path| path.starts_with("_needle/copies")).count(), 3);
    assert_sound(folder.path(), "after a merge");
    assert_eq!(everything(&open(folder.path())), expected);
}

#[tokio::test]
async fn an_older_catalog_learns_of_the_shards_that_came_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(incoming("1 r first")).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let catalog = std::fs::read(folder.path().join(CATALOG)).unwrap();
    let store = open(folder.path());
    for n in 2..5 {
        store.append(incoming(&format!("{n} r line {n}"))).await.unwrap();
        store.flush().await.unwrap();
    }
    let expected = everything(&store);
    drop(store);
    remove_catalog(folder.path());
    std::fs::write(folder.path().join(CATALOG), catalog).unwrap();
    // Whatever the log still has: without it only the shards know.
    std::fs::remove_dir_all(folder.path().join("_needle/wal")).unwrap();
    assert!(!check(folder.path()).unwrap().is_sound());
    repair(folder.path(), false).unwrap();
    assert_sound(folder.path(), "after an old backup");
    assert_eq!(everything(&open(folder.path())), expected);
}

#[tokio::test]
async fn a_repair_that_was_interrupted_between_two_catalogs_is_done_again() {
    let (folder, expected) = filled().await;
    let path = folder.path().join(CATALOG);
    std::fs::write(with_suffix(&path, "-wal"), "a journal of the old one").unwrap();
    std::fs::rename(&path, folder.path().join("_needle/catalog.db.1.old")).unwrap();
    std::fs::write(with_suffix(&path, ".new"), "half of a new one").unwrap();
    repair(folder.path(), false).unwrap();
    assert!(folder.path().join("_needle/catalog.db.1.old-wal").exists(), "no journal is left for the new one");
    assert_sound(folder.path(), "after an interruption");
    assert_eq!(everything(&open(folder.path())), expected);
}

#[tokio::test]
async fn what_an_old_catalog_does_not_know_is_said_until_it_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(incoming("1 r first")).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let catalog = std::fs::read(folder.path().join(CATALOG)).unwrap();
    let store = open(folder.path());
    store.append(incoming("2 r second")).await.unwrap();
    store.flush().await.unwrap();
    store.merge().await.unwrap();
    let expected = everything(&store);
    drop(store);
    let merged = shards(folder.path());
    assert_eq!(merged.len(), 1);
    remove_catalog(folder.path());
    std::fs::write(folder.path().join(CATALOG), catalog).unwrap();
    let store = open(folder.path());
    let test = crate::predicate::IdTest::of(crate::predicate::IdKind::Any, "r").unwrap();
    let found =
        store.snapshot(&crate::model::Tenant::default()).by_ids(&test.terms(), &crate::snapshot::Known::nothing(), &|| false).unwrap();
    let failures = found.coverage.failures.join("\n");
    assert!(failures.contains(&format!("{} is not in the catalog: run `needle repair`", merged[0])), "{failures}");
    let stranger = store
        .snapshot(&crate::model::Tenant::new("stranger").unwrap())
        .by_ids(&test.terms(), &crate::snapshot::Known::nothing(), &|| false)
        .unwrap();
    assert_eq!(stranger.coverage.failures, Vec::<String>::new(), "it is not the stranger's");
    drop(store);
    repair(folder.path(), false).unwrap();
    assert_sound(folder.path(), "after a repair");
    assert_eq!(everything(&open(folder.path())), expected);
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(incoming("1 gone first\n2 kept second")).await.unwrap();
    let test = crate::predicate::IdTest::of(crate::predicate::IdKind::Any, "gone").unwrap();
    store.delete(&crate::model::Tenant::default(), test.terms()).await.unwrap();
    store.flush().await.unwrap();
    while store.tick_retire().unwrap() {}
    assert_eq!(everything(&store), ["second"]);
    drop(store);
    let shard = folder.path().join(&shards(folder.path())[0]);
    std::fs::write(&shard, "damaged").unwrap();
    let report = repair(folder.path(), false).unwrap();
    assert!(report.losses.iter().any(|loss| loss.contains("restore it from a backup")), "{report:?}");
    assert_eq!(everything(&open(folder.path())), Vec::<String>::new());
}
