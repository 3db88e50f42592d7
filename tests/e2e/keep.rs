//! What is deleted or past its retention is found no more: live, sealed, merged, after a restart and after a crash.

use serde_json::{Value, json};

use crate::harness::{NEEDLE, Server, poll, request, request_with, run, stdout_of};
use crate::otlp::{self, MS};

const DAY_MS: u64 = 86_400_000;

fn line(time: u64, service: &str, id: &str, text: &str) -> Value {
    json!({"time": time, "service": service, "request_id": id, "msg": text})
}

fn bodies(server: &Server, query: &str) -> Vec<String> {
    let mut bodies: Vec<String> =
        server.search(query).iter().map(|record| record["body"].as_str().or(record["name"].as_str()).unwrap().to_owned()).collect();
    bodies.sort();
    bodies
}

/// Bytes of all shards, for files that are gone or smaller.
fn shard_bytes(server: &Server) -> u64 {
    fn below(folder: &std::path::Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries
            .map(Result::unwrap)
            .map(|entry| if entry.path().is_dir() { below(&entry.path()) } else { entry.metadata().unwrap().len() })
            .sum()
    }
    below(&server.data().join("default"))
}

fn delete(server: &Server, id: &str) -> Value {
    request("DELETE", &format!("{}/api/v1/records?id={id}", server.url())).expect(200)
}

/// Records of three ids, the first half of them sealed. One of them is also in a span.
fn with_orders(server: &Server) -> [String; 3] {
    let ids = [(); 3].map(|()| otlp::unique_uuid());
    let time = otlp::now() - 60_000 * MS;
    for part in ["first", "second"] {
        let lines: Vec<Value> =
            ids.iter().zip(["a", "b", "c"]).map(|(id, name)| line(time, "till", id, &format!("{name} {part}"))).collect();
        server.send_lines(&lines);
        if part == "first" {
            server.flush();
        }
    }
    ids
}

#[test]
fn a_deleted_id_is_found_by_no_question_wherever_its_records_are() {
    let mut server = Server::start();
    let [a, _, c] = with_orders(&server);
    let answer = delete(&server, &a.to_uppercase().replace('-', ""));
    assert_eq!((answer["deleted"].as_u64(), answer["completeness"]["state"].as_str()), (Some(2), Some("complete")), "{answer}");
    let check = |server: &Server, when: &str| {
        assert_eq!(bodies(server, "*"), ["b first", "b second", "c first", "c second"], "{when}");
        assert_eq!(bodies(server, &format!("id:{a}")), Vec::<String>::new(), "{when}");
        assert_eq!(server.get("/api/v1/count", &[("q", "*")]).expect(200)["count"], 4, "{when}");
        assert_eq!(server.get(&format!("/api/v1/journey/{a}"), &[]).status, 404, "{when}");
        let services = server.get("/api/v1/services", &[]).expect(200);
        assert_eq!(services["services"][0]["logs"], 4, "{when}: {services}");
        assert!(!stdout_of(&server.cli(&["grep", "till OR first OR second", "--json"])).contains(&a), "{when}");
    };
    check(&server, "at once");
    server.kill();
    server.start_again();
    check(&server, "after a crash");
    server.flush();
    check(&server, "sealed");
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    check(&server, "merged");
    assert_eq!(server.stop(), Some(0));
    server.start_again();
    check(&server, "after a restart");
    assert_eq!(delete(&server, &a)["deleted"], 0, "it is gone");

    server.send_lines(&[line(otlp::now(), "till", &a, "a came later")]);
    assert_eq!(bodies(&server, &format!("id:{a}")), ["a came later"], "a later record is a new one");
    delete(&server, &c);
    assert_eq!(bodies(&server, "*"), ["a came later", "b first", "b second"]);
}

#[test]
fn the_files_no_longer_hold_what_was_deleted() {
    let mut server = Server::start();
    let [a, b, c] = with_orders(&server);
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    let before = shard_bytes(&server);
    for id in [&a, &b, &c] {
        assert_eq!(delete(&server, id)["deleted"], 2);
    }
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    assert!(before > 0);
    assert_eq!(shard_bytes(&server), 0, "a file of nothing is no file");
    // A server that knows nothing of the deletions reads what is there.
    assert_eq!(server.stop(), Some(0));
    server.start_again();
    assert_eq!(bodies(&server, "*"), Vec::<String>::new());
}

#[test]
fn the_command_says_what_it_did_and_asks_before() {
    let server = Server::start();
    let [a, ..] = with_orders(&server);
    let unasked = server.cli(&["delete", &a]);
    assert_eq!(unasked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unasked.stderr).contains("--yes"), "{unasked:?}");
    assert_eq!(bodies(&server, &format!("id:{a}")).len(), 2);
    assert_eq!(stdout_of(&server.cli(&["delete", &a, "--yes"])), "deleted 2 records\n");
    let again = server.cli(&["delete", &a, "-y"]);
    assert_eq!((again.status.code(), again.stdout.as_slice()), (Some(1), &b"deleted 0 records\n"[..]));
    let no_id = server.cli(&["delete", "-y", "null"]);
    assert_eq!(no_id.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&no_id.stderr).contains("is no id"), "{no_id:?}");
    assert_eq!(bodies(&server, "*").len(), 4);
}

#[test]
fn another_site_cannot_delete_and_a_missing_id_is_named() {
    let server = Server::start();
    let [a, ..] = with_orders(&server);
    let url = format!("{}/api/v1/records", server.url());
    assert!(request("DELETE", &url).expect(400)["error"]["message"].as_str().unwrap().contains("id"));
    assert_eq!(request("DELETE", &format!("{url}?id=-")).status, 400);
    assert_eq!(request("DELETE", &format!("{url}?ids={a}")).status, 400);
    assert_eq!(request_with("DELETE", &format!("{url}?id={a}"), &[("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(bodies(&server, "*").len(), 6);
}

/// A settings file beside the data folder.
fn settings_file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("needle.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn records_past_their_retention_go_by_signal_and_service() {
    let mut server = Server::start();
    let (now, id) = (otlp::now(), otlp::unique_uuid());
    let ago = |days: u64| now - days * DAY_MS * MS;
    server.send_lines(&[line(ago(40), "till", &id, "till 40"), line(ago(2), "till", &id, "till 2")]);
    server.flush();
    server.send_lines(&[
        line(ago(40), "audit", &id, "audit 40"),
        line(ago(400), "audit", &id, "audit 400"),
        line(ago(40), "till", &id, "till 40 too"),
    ]);
    server.flush();
    let settings = tempfile::tempdir().unwrap();
    let file = settings_file(
        &settings,
        "[retention]\nlogs = \"30d\"\n[[retention.services]]\nservice = \"audit\"\nlogs = \"365d\"\n[storage]\nretention_settle_ms = 0\n",
    );
    assert_eq!(server.stop(), Some(0));
    server.start_again_with(&["--config", &file]);
    // Three of five would go.
    poll("the word that it is held back", || server.process().stderr().contains("start once with --yes").then_some(()));
    assert_eq!(bodies(&server, "*").len(), 5);
    assert_eq!(server.stop(), Some(0));
    server.start_again_with(&["--config", &file, "--yes"]);
    let left = poll("the end of what expired", || Some(bodies(&server, "*")).filter(|left| left.len() == 2));
    assert_eq!(left, ["audit 40", "till 2"]);
    let refused = server.post("/api/v1/logs", "application/x-ndjson", line(ago(40), "till", &id, "late").to_string());
    assert!(refused.status == 400 && refused.text().contains("past the retention"), "{}", refused.text());
    server.send_lines(&[line(ago(40), "audit", &id, "late")]);
    server.kill();
    server.start_again_with(&["--config", &file]);
    assert_eq!(bodies(&server, "*"), ["audit 40", "late", "till 2"]);
}

#[test]
fn by_default_a_clock_has_to_prove_itself_before_anything_expires() {
    let mut server = Server::start();
    let id = otlp::unique_uuid();
    server.send_lines(&[line(otlp::now() - 40 * DAY_MS * MS, "till", &id, "old")]);
    assert_eq!(server.stop(), Some(0));
    server.start_again_with(&["--retention", "30d"]);
    server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
    assert_eq!(bodies(&server, "*"), ["old"]);
}

#[test]
fn the_help_says_what_goes_and_what_stays() {
    let help = |command: &str| stdout_of(&run(std::process::Command::new(NEEDLE).args([command, "--help"])));
    for part in ["span id", "same journey stay", "arrive later", "cannot be undone", "flush --merge"] {
        assert!(help("delete").split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "{part}");
    }
    assert!(help("serve").contains("[retention]"));
}
