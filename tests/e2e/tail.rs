//! Tail: new records as they are acknowledged, over server-sent events.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::harness::{Server, request};

/// An open tail.
struct Tail {
    lines: std::io::Lines<BufReader<ureq::BodyReader<'static>>>,
}

/// A server-sent event.
#[derive(Debug)]
struct Event {
    name: String,
    cursor: String,
    data: Value,
}

impl Tail {
    /// When this returns, the tail has begun.
    fn open(server: &Server, parameters: &[(&str, &str)]) -> Tail {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(120))).build().into();
        let response = agent.get(format!("{}/api/v1/tail", server.url())).query_pairs(parameters.iter().copied()).call().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let reader = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        Tail { lines: reader.lines() }
    }

    fn next(&mut self) -> Event {
        let mut event = Event { name: String::new(), cursor: String::new(), data: Value::Null };
        loop {
            let line = self.lines.next().expect("the tail goes on").unwrap();
            match line.split_once(':') {
                Some(("event", name)) => event.name = name.trim_start().to_owned(),
                Some(("id", cursor)) => event.cursor = cursor.trim_start().to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !event.name.is_empty() => return event,
                _ => {}
            }
        }
    }

    /// The next record, past heartbeats.
    fn next_record(&mut self) -> (Value, String) {
        loop {
            let event = self.next();
            match &*event.name {
                "record" => return (event.data["body"].clone(), event.cursor),
                "heartbeat" => {}
                _ => panic!("{event:?}"),
            }
        }
    }
}

impl Tail {
    fn next_bodies(&mut self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.next_record().0).collect()
    }
}

/// What happens to a server between two looks at it.
type Step = fn(&mut Server);

fn line(text: &str) -> Value {
    json!({"msg": text, "service": "pier"})
}

#[test]
fn a_record_arrives_once_it_is_acknowledged() {
    let server = Server::start();
    server.send_lines(&[line("before")]);
    let mut tail = Tail::open(&server, &[("q", "service:pier")]);
    server.send_lines(&[line("first"), json!({"msg": "elsewhere", "service": "dock"}), line("second")]);
    assert_eq!(tail.next_record().0, "first");
    assert_eq!(tail.next_record().0, "second");
    server.flush();
    server.send_lines(&[line("third")]);
    assert_eq!(tail.next_record().0, "third");
}

#[test]
fn a_tail_resumes_where_it_was_cut() {
    let server = Server::start();
    let mut tail = Tail::open(&server, &[("q", "service:pier")]);
    server.send_lines(&[line("one"), line("two"), line("three")]);
    let (body, cursor) = tail.next_record();
    assert_eq!(body, "one");
    drop(tail);
    server.send_lines(&[line("four")]);
    let mut tail = Tail::open(&server, &[("q", "service:pier"), ("cursor", &cursor)]);
    server.send_lines(&[line("five")]);
    let bodies: Vec<_> = (0..4).map(|_| tail.next_record().0).collect();
    assert_eq!(bodies, ["two", "three", "four", "five"]);
}

#[test]
fn a_cursor_leads_on_across_a_seal_a_merge_and_a_restart() {
    let mut server = Server::start();
    let mut tail = Tail::open(&server, &[("q", "service:pier")]);
    server.send_lines(&[line("one"), line("two")]);
    let (body, mut cursor) = tail.next_record();
    assert_eq!(body, "one");
    let steps: [(&str, Step); 5] = [
        ("three", |server| server.flush()),
        ("four", |server| _ = server.post("/api/v1/admin/flush?merge=true", "", "").expect(200)),
        ("five", |server| {
            assert_eq!(server.stop(), Some(0));
            server.start_again();
        }),
        ("six", |server| {
            server.kill();
            server.start_again();
        }),
        ("seven", |server| server.flush()),
    ];
    let mut expected = vec!["two"];
    for (text, step) in steps {
        drop(tail);
        server.send_lines(&[line(text), json!({"msg": "elsewhere", "service": "dock"})]);
        step(&mut server);
        expected.push(text);
        let from_here = [("q", "service:pier"), ("cursor", &*cursor)];
        assert_eq!(Tail::open(&server, &from_here).next_bodies(expected.len()), expected);
        tail = Tail::open(&server, &from_here);
        let (body, next) = tail.next_record();
        assert_eq!(body, expected.remove(0));
        cursor = next;
    }
    server.send_lines(&[line("eight")]);
    expected.push("eight");
    assert_eq!(tail.next_bodies(expected.len()), expected);
}

#[test]
fn what_was_deleted_is_not_followed() {
    let server = Server::start();
    let mut tail = Tail::open(&server, &[("q", "service:pier")]);
    server.send_lines(&[line("first"), json!({"msg": "gone", "service": "pier", "request_id": "order-77"}), line("kept")]);
    let (_, cursor) = tail.next_record();
    assert_eq!(tail.next_record().0, "gone");
    let deleted = request("DELETE", &format!("{}/api/v1/records?id=order-77", server.url())).expect(200);
    assert_eq!(deleted["deleted"], 1, "{deleted}");
    let mut again = Tail::open(&server, &[("q", "service:pier"), ("cursor", &cursor)]);
    assert_eq!(again.next_record().0, "kept");
}

#[test]
fn a_bad_cursor_is_refused_with_a_sentence() {
    let server = Server::start();
    let answer = server.get("/api/v1/tail", &[("cursor", "yesterday")]).expect(400);
    assert!(answer["error"]["message"].as_str().unwrap().contains("give the `id:` of an event"), "{answer}");
}

#[test]
fn many_tails_see_the_same() {
    let server = Server::start();
    let mut tails: Vec<Tail> = (0..8).map(|_| Tail::open(&server, &[("q", "*")])).collect();
    for n in 0..5 {
        server.send_lines(&[line(&format!("wave {n}"))]);
    }
    for tail in &mut tails {
        let bodies: Vec<_> = (0..5).map(|_| tail.next_record().0).collect();
        assert_eq!(bodies, ["wave 0", "wave 1", "wave 2", "wave 3", "wave 4"]);
    }
}

#[test]
fn a_bad_query_is_refused_before_the_tail_begins() {
    let server = Server::start();
    let answer = server.get("/api/v1/tail", &[("q", "service:(pier")]).expect(400);
    assert!(answer["error"]["position"].is_u64(), "{answer}");
}

#[test]
fn a_server_with_an_open_tail_still_stops() {
    let mut server = Server::start();
    let _tail = Tail::open(&server, &[("q", "*")]);
    assert_eq!(server.stop(), Some(0));
}
