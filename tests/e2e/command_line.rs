//! The commands, as scripts and people call them.

use std::io::{Read, Write};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Process, Server, finish, json_lines, needle, poll, run, stdout_of};
use crate::otlp::{self, MS};

const REQUEST: &str = "5b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c22";

/// Some lines of the last minute.
fn with_lines() -> Server {
    let server = Server::start();
    let time = otlp::now() - 60_000 * MS;
    let line = |n: u64, service: &str, level: &str, text: &str| json!({"ts": time + n * 1000 * MS, "service": service, "level": level, "msg": text});
    let mut paid = line(3, "till", "warn", "paid late");
    paid["request_id"] = json!(REQUEST);
    let mut shelf = line(4, "shelf", "info", "taken off");
    shelf["request_id"] = json!(REQUEST.to_uppercase());
    server.send_lines(&[
        line(1, "till", "info", "opened"),
        line(2, "till", "error", "jammed"),
        paid,
        shelf,
        line(5, "till", "info", "closed"),
    ]);
    server
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn bodies(text: &str) -> Vec<Value> {
    json_lines(text).into_iter().map(|record| record["body"].clone()).collect()
}

#[test]
fn grep_prints_oldest_first_and_says_that_it_searched_the_last_hour() {
    let server = with_lines();
    let output = server.cli(&["grep", "service:till", "--json"]);
    assert_eq!(bodies(&stdout_of(&output)), ["opened", "jammed", "paid late", "closed"]);
    assert!(stderr_of(&output).contains("hour"), "{}", stderr_of(&output));
    let id = server.cli(&["grep", &format!("id:{REQUEST}"), "--json"]);
    assert_eq!(bodies(&stdout_of(&id)), ["paid late", "taken off"]);
    assert!(!stderr_of(&id).contains("hour"), "an id searches everything: {}", stderr_of(&id));
}

#[test]
fn grep_counts_limits_and_inverts() {
    let server = with_lines();
    assert_eq!(stdout_of(&server.cli(&["grep", "-c", "service:till"])).trim(), "4");
    assert_eq!(bodies(&stdout_of(&server.cli(&["grep", "-v", "service:till", "--json"]))), ["taken off"]);
    assert_eq!(bodies(&stdout_of(&server.cli(&["grep", "-e", "^(opened|closed)$", "--json"]))), ["opened", "closed"]);
    let limited = server.cli(&["grep", "service:till", "--limit", "1", "--json"]);
    assert_eq!(stdout_of(&limited).lines().count(), 1);
    assert!(stderr_of(&limited).contains("showing 1 of 4"), "{}", stderr_of(&limited));
    let whole = stdout_of(&server.cli(&["grep", "-R", "jammed OR \"paid late\"", "--json"]));
    assert!(whole.contains("taken off"), "the journey around a hit: {whole}");
}

#[test]
fn the_output_has_the_form_that_was_asked_for() {
    let server = with_lines();
    let form = |form: &str| stdout_of(&server.cli(&["grep", "jammed", "-o", form]));
    assert_eq!(form("raw"), "jammed\n");
    assert_eq!(json_lines(&form("json"))[0]["service"], "till");
    assert!(form("logfmt").contains("service=till"), "{}", form("logfmt"));
    let csv = form("csv");
    assert!(csv.lines().count() == 2 && csv.contains("jammed"), "a header and a row: {csv}");
    assert!(form("human").contains("till") && form("human").contains("jammed"));
    assert_eq!(
        json_lines(&stdout_of(&server.cli(&["grep", "jammed", "--json", "--fields", "body,service"]))),
        [json!({"body": "jammed", "service": "till"})]
    );
}

#[test]
fn exit_codes_tell_found_from_nothing_from_failure() {
    let server = with_lines();
    assert_eq!(code(&server.cli(&["grep", "jammed"])), 0);
    assert_eq!(code(&server.cli(&["trace", REQUEST])), 0);
    assert_eq!(code(&server.cli(&["services"])), 0);
    for nothing in [&["grep", "nowhere-to-be-found"][..], &["grep", "-c", "nowhere-to-be-found"], &["trace", "no-such-id"]] {
        let output = server.cli(nothing);
        assert_eq!(code(&output), 1, "{nothing:?}: {output:?}");
    }
    assert!(server.cli(&["grep", "nowhere-to-be-found"]).stdout.is_empty());
    assert_eq!(code(&server.cli(&["grep", "service:(till"])), 2);
    let nobody = run(&mut needle(&["grep", "x", "--url", "http://127.0.0.1:1"]));
    assert_eq!(code(&nobody), 2);
    assert!(stderr_of(&nobody).contains("127.0.0.1:1") && stderr_of(&nobody).contains("needle serve"), "{}", stderr_of(&nobody));
    let quiet = server.cli(&["grep", "jammed", "-q"]);
    assert_eq!((code(&quiet), quiet.stdout.len(), quiet.stderr.len()), (0, 0, 0), "{quiet:?}");
}

#[test]
fn a_bad_query_is_pointed_at() {
    let output = with_lines().cli(&["grep", "service:(till"]);
    let stderr = stderr_of(&output);
    let query = stderr.lines().position(|line| line.contains("service:(till")).unwrap_or_else(|| panic!("the query is repeated: {stderr}"));
    assert!(stderr.lines().nth(query + 1).is_some_and(|line| line.trim_start().starts_with('^')), "a caret stands below it: {stderr}");
}

#[test]
fn a_query_that_is_too_long_is_refused_with_the_bound() {
    let server = with_lines();
    for (words, bound) in [(5_000, "32768"), (10_000, "65534")] {
        let query = (0..words).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" OR ");
        let output = server.cli(&["grep", &query]);
        let stderr = stderr_of(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("bytes") && stderr.contains(bound) && !stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn trace_draws_the_journey() {
    let server = with_lines();
    for arguments in
        [&["trace", REQUEST][..], &["trace", &REQUEST.to_uppercase()], &["trace", &REQUEST.replace('-', "")], &["trace", "--flat", REQUEST]]
    {
        let text = stdout_of(&server.cli(arguments));
        for part in ["till", "shelf", "paid late", "taken off"] {
            assert!(text.contains(part), "{arguments:?} lacks {part}:\n{text}");
        }
    }
    let without = stdout_of(&server.cli(&["trace", "--logs=none", REQUEST]));
    assert!(!without.contains("paid late") && without.contains("till"), "{without}");
    let json: Value = serde_json::from_str(&stdout_of(&server.cli(&["trace", "--json", REQUEST]))).unwrap();
    assert_eq!(json["services"].as_array().unwrap().len(), 2, "{json}");
}

#[test]
fn a_pipe_changes_no_form_and_gets_no_colour() {
    let server = with_lines();
    for arguments in [&["grep", "service:till"][..], &["trace", REQUEST], &["services"]] {
        let plain = server.cli(arguments);
        assert!(!plain.stdout.contains(&0x1b), "{arguments:?} sends escapes into a pipe");
        let coloured = run(server.command(arguments).args(["--color", "always"]));
        assert!(coloured.stdout.contains(&0x1b), "{arguments:?} --color always has colour");
        let forced = run(server.command(arguments).env("CLICOLOR_FORCE", "1"));
        assert!(forced.stdout.contains(&0x1b), "{arguments:?} with CLICOLOR_FORCE has colour");
        let refused = run(server.command(arguments).env("CLICOLOR_FORCE", "1").args(["--color", "never"]));
        assert_eq!(refused.stdout, plain.stdout, "{arguments:?}");
    }
}

#[test]
fn control_characters_in_data_never_reach_the_terminal() {
    let server = Server::start();
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\rpaid\u{8}\u{9b}31m\u{202e}";
    server.send_lines(&[json!({"msg": format!("evil {hostile}"), "service": format!("till{hostile}"), "request_id": REQUEST, hostile: hostile, "level": "error"})]);
    for arguments in [&["grep", "evil"][..], &["grep", "-R", "evil"], &["trace", REQUEST], &["services"]] {
        let text = stdout_of(&server.cli(arguments));
        let sent = text.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
        assert_eq!(sent, None, "{arguments:?} sends it: {text:?}");
        assert!(!text.is_empty());
    }
    // For programs the data stays what it is: JSON has its own way to write it.
    let record = json_lines(&stdout_of(&server.cli(&["grep", "evil", "--json"]))).remove(0);
    assert_eq!(record["body"], format!("evil {hostile}"));
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let server = Server::start();
    let lines: Vec<Value> = (0..5000).map(|n| json!({"msg": format!("line {n} {}", "x".repeat(200)), "service": "long"})).collect();
    server.send_lines(&lines);
    let mut child =
        server.command(&["grep", "service:long", "--limit", "5000"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 100];
    let mut stdout = child.stdout.take().expect("stdout is piped");
    stdout.read_exact(&mut start).unwrap();
    drop(stdout);
    let output = finish(&mut child, "the end of a command");
    assert_eq!(code(&output), 0, "{output:?}");
}

#[test]
fn send_imports_files_and_stdin() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let lines = file("a.jsonl", "{\"msg\":\"from a file\",\"service\":\"kiosk\"}\n{\"msg\":\"another\",\"service\":\"kiosk\"}\n");
    let text = file("b.log", "2024-02-03 04:05:06 ERROR it broke\nTraceback:\n  at line 3\n2024-02-03 04:05:07 INFO it works\n");
    assert_eq!(code(&server.cli(&["send", &lines])), 0);
    assert_eq!(code(&server.cli(&["send", "--service", "stall", &text])), 0);
    let mut child =
        server.command(&["send", "--service", "pipe"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().expect("stdin is piped").write_all(b"{\"msg\":\"from stdin\"}\n").unwrap();
    let piped = finish(&mut child, "the end of a command");
    assert_eq!(code(&piped), 0, "{piped:?}");

    assert_eq!(server.search("service:kiosk").len(), 2);
    assert_eq!(server.search("service:pipe").len(), 1);
    let stall = server.search("service:stall");
    assert_eq!(stall.len(), 2, "continuation lines belong to the line above: {stall:?}");
    let broke = stall.iter().find(|record| record["severity"] == "ERROR").unwrap();
    assert!(broke["body"].as_str().unwrap().ends_with("at line 3"), "{broke}");
}

#[test]
fn send_reads_times_by_the_zone_that_it_is_given() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("local.log");
    std::fs::write(&path, "2024-07-03 04:05:06 it broke\n").unwrap();
    let send = |zone: &str| server.cli(&["send", "--service", "stall", "--timezone", zone, path.to_str().unwrap()]);
    for (zone, time) in [("Europe/Berlin", "2024-07-03T02:05:06.000000000Z"), ("+5", "2024-07-02T23:05:06.000000000Z")] {
        assert_eq!(code(&send(zone)), 0);
        let times: Vec<_> = server.search("service:stall").iter().map(|record| record["timestamp"].clone()).collect();
        assert!(times.contains(&json!(time)), "{zone}: {times:?}");
    }
    let refused = send("Europe/Atlantis");
    assert_eq!(code(&refused), 2);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Europe/Atlantis"), "{refused:?}");
}

#[test]
fn send_imports_otlp_files() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let (trace, time) = (otlp::unique(16), otlp::now());
    let spans = otlp::traces(vec![otlp::spans_of("mill", vec![otlp::span(&trace, "grind", time, time + MS)])]);
    let logs = otlp::logs(vec![otlp::logs_of("mill", vec![otlp::log_of_trace(&trace, "ground", time)])]);
    let path = folder.path().join("both.otlp.ndjson");
    std::fs::write(&path, format!("{}\n{}\n", serde_json::to_string(&spans).unwrap(), serde_json::to_string(&logs).unwrap())).unwrap();
    let output = server.cli(&["send", path.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{output:?}");
    let journey = server.journey(&otlp::hex(&trace));
    assert_eq!((&journey["services"][0]["spans"], &journey["services"][0]["logs"]), (&json!(1), &json!(1)), "{journey}");
}

#[test]
fn tail_follows() {
    let server = with_lines();
    let mut tail = Process::spawn(server.command(&["tail", "service:till", "-n", "2", "--json"]).stdin(Stdio::null()));
    let seen =
        |tail: &Process, count: usize| poll("lines of tail", || (tail.stdout().lines().count() >= count).then(|| bodies(&tail.stdout())));
    assert_eq!(seen(&tail, 2), ["paid late", "closed"], "the back-fill");
    server.send_lines(&[json!({"msg": "opened again", "service": "till"}), json!({"msg": "other", "service": "shelf"})]);
    assert_eq!(seen(&tail, 3)[2], "opened again");
    tail.signal(rustix::process::Signal::INT);
    assert!(matches!(tail.wait(), Some(0 | 130) | None));
}

#[test]
fn services_lists_each_with_its_counts() {
    let server = with_lines();
    let services = json_lines(&stdout_of(&server.cli(&["services", "--json"])));
    let names: Vec<_> = services.iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shelf", "till"]);
    let till = &services[1];
    assert_eq!((&till["logs"], &till["errors"]), (&json!(4), &json!(1)), "{till}");
}

#[test]
fn completions_and_the_manual_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout_of(&run(&mut needle(&["completions", shell])));
        assert!(script.contains("needle") && script.contains("grep"), "{shell}: {script}");
    }
    assert!(stdout_of(&run(&mut needle(&["man"]))).contains(".TH"));
    assert!(stdout_of(&run(&mut needle(&["--version"]))).starts_with("needle "));
}
