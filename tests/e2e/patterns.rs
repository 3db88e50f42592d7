//! Patterns: what messages have in common, the same in live, sealed and merged data.

use serde_json::{Value, json};

use crate::harness::{Server, stdout_of};
use crate::search::START;

const SECOND: u64 = 1_000_000_000;

/// Logins of many users, and a few failures that begin in the second minute.
fn send(server: &Server, users: std::ops::Range<u64>) {
    let line = |second: u64, service: &str, level: &str, message: String| json!({"ts": START + second * SECOND, "service": service, "level": level, "msg": message});
    let name = |user: u64| format!("{}{}", char::from(b'a' + (user / 26) as u8), char::from(b'a' + (user % 26) as u8));
    let logins = users.clone().map(|user| line(user, "web", "info", format!("user {} logged in from 10.0.0.{user}", name(user))));
    let failures = users.filter(|user| *user >= 60).map(|user| line(user, "db", "error", format!("query took {user}ms")));
    server.send_lines(&logins.chain(failures).collect::<Vec<_>>());
}

fn without_samples(mut answer: Value) -> Value {
    answer["completeness"].take();
    for pattern in answer["patterns"].as_array_mut().unwrap() {
        for sample in pattern["samples"].as_array_mut().unwrap() {
            *sample = sample["body"].take();
        }
    }
    answer
}

#[test]
fn patterns_are_the_same_however_records_are_stored() {
    let server = Server::start();
    send(&server, 40..80);
    server.flush();
    send(&server, 0..40);
    let since = (START + 60 * SECOND).to_string();
    let ask = |q: &str| without_samples(server.get("/api/v1/patterns", &[("q", q), ("since", &since), ("buckets", "4")]).expect(200));
    let live = ask("");
    let time = |second: u64| json!(format!("2026-01-05T10:0{}:{:02}.000000000Z", second / 60, second % 60));
    assert_eq!(
        live,
        json!({
            "patterns": [
                {
                    "pattern": "query took <duration>", "count": 20, "first": time(60), "last": time(79), "new": true,
                    "services": [{"name": "db", "count": 20}], "levels": [{"name": "error", "count": 20}],
                    "buckets": [0, 0, 20], "samples": ["query took 79ms", "query took 78ms", "query took 77ms"],
                },
                {
                    "pattern": "user <*> logged in from <ip>", "count": 80, "first": time(0), "last": time(79), "new": false,
                    "services": [{"name": "web", "count": 80}], "levels": [{"name": "info", "count": 80}],
                    "buckets": [30, 30, 20],
                    "samples": ["user db logged in from 10.0.0.79", "user da logged in from 10.0.0.78", "user cz logged in from 10.0.0.77"],
                },
            ],
            "total": 2, "new_total": 1, "records": 100, "beyond": 0,
            "buckets_start": time(0), "interval_ns": 30 * SECOND, "completeness": null,
        })
    );
    server.flush();
    assert_eq!(ask("* | patterns"), live, "sealed");
    assert_eq!(ask("level>=info | patterns"), live, "sealed, and looked at again");
    stdout_of(&server.cli(&["flush", "--merge"]));
    assert_eq!(ask(""), live, "merged");
}

#[test]
fn the_command_line_prints_patterns() {
    let server = Server::start();
    send(&server, 0..80);
    let all = stdout_of(&server.cli(&["patterns"]));
    assert_eq!(all.lines().count(), 3, "{all}");
    assert!(
        all.lines().nth(1).is_some_and(|line| line.contains("80") && line.ends_with("info   web      user <*> logged in from <ip>")),
        "{all}"
    );
    let new = stdout_of(&server.cli(&["patterns", "--new", "2026-01-05T10:01:00Z", "-o", "raw"]));
    assert_eq!(new, "query took <duration>\n");
    let piped = stdout_of(&server.cli(&["grep", "--since", "2026-01-01", "service:db | patterns", "-o", "csv"]));
    assert_eq!(piped.lines().next(), Some("pattern,count,first,last,new,services,levels"));
    assert!(piped.contains("query took <duration>,20,2026-01-05T10:01:00.000000000Z,"), "{piped}");
    let refused = server.cli(&["grep", "-R", "service:db | patterns"]);
    assert_eq!(refused.status.code(), Some(2));
    let nothing = server.cli(&["patterns", "service:nowhere"]);
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(1), 0));
}
