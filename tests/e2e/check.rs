//! `needle check` and `needle repair` on the folder of a real server.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::Server;

fn lines(part: u64) -> Vec<serde_json::Value> {
    (0..100).map(|n| json!({"time": 1_700_000_000_000_u64 + part * 1_000 + n, "service": "till", "request_id": format!("order-{part}-{n}"), "msg": "paid"})).collect()
}

fn shards(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("default")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Whatever the exit code is.
fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_folder_is_checked_damaged_repaired_and_served_again() {
    let mut server = Server::start();
    for part in 0..3 {
        server.send_lines(&lines(part));
        server.flush();
    }
    let data = server.data().to_str().unwrap().to_owned();
    let run = |command: &str| server.cli(&[command, "--data", &data]);
    let busy = run("check");
    let said = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert_eq!(busy.status.code(), Some(78), "{said}");
    assert!(said.contains(&server.process().id().to_string()) && said.contains("stop that process"), "{said}");
    assert!(!server.process().has_ended());
    server.stop();

    let run = |command: &str| server.cli(&[command, "--data", &data]);
    let sound = run("check");
    assert_eq!(sound.status.code(), Some(0), "{}", stdout(&sound));
    assert!(stdout(&sound).starts_with("sound: 3 shards with 300 records"), "{}", stdout(&sound));
    assert!(stdout(&run("repair")).starts_with("nothing to repair; 3 shards with 300 records"));

    std::fs::remove_file(server.data().join("_needle/catalog.db")).unwrap();
    let refused = run("serve");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("catalog.db is missing or empty") && said.contains("needle repair"), "{said}");
    let damaged = run("check");
    assert_eq!(damaged.status.code(), Some(2));
    assert!(stdout(&damaged).starts_with("DAMAGED _needle/catalog.db"), "{}", stdout(&damaged));
    let shard = shards(server.data()).remove(0);
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let would = server.cli(&["repair", "--dry-run", "--data", &data]);
    assert!(stdout(&would).contains("would have moved") && shard.exists(), "{}", stdout(&would));
    let repaired = run("repair");
    assert_eq!(repaired.status.code(), Some(2), "requests and deletions of the old catalog are lost: {}", stdout(&repaired));
    assert!(!shard.exists());
    assert_eq!(run("check").status.code(), Some(0), "{}", stdout(&run("check")));

    server.start_again();
    assert_eq!(server.search("service:till").len(), 300, "the log still had what was in the damaged shard");
}

#[test]
fn a_folder_that_is_none_is_unusable() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["check", "repair"] {
        let output = crate::harness::run(&mut crate::harness::needle(&[command, "--data", folder.path().to_str().unwrap()]));
        assert_eq!(output.status.code(), Some(78));
        assert!(String::from_utf8_lossy(&output.stderr).contains("is no data folder"), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made in it");
}
