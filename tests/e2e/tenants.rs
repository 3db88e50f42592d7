//! Two tenants with the same ids, services and words: no answer of any route ever holds a record of the other.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::guard::token;
use crate::harness::{Answer, Server, post};
use crate::otlp::configured;
use crate::search::START;

/// In every text of a tenant's records, and in no question.
const MARKS: [(&str, &str); 2] = [("acme", "markofacme"), ("zeta", "markofzeta")];
const RECORDS: u64 = 40;

struct Caller {
    token: String,
    mark: &'static str,
    foreign: &'static str,
}

impl Caller {
    fn ask(&self, server: &Server, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let url = format!("{}{path}", server.url());
        match body {
            Some(body) => post(&url, &[("content-type", "application/json"), ("authorization", &bearer)], body.to_string().as_bytes()),
            None => crate::harness::request_with(method, &url, &[("authorization", &bearer)]),
        }
    }

    /// The answer, in which nothing is the other's.
    #[track_caller]
    fn sees(&self, server: &Server, path: &str) -> Value {
        let answer = self.ask(server, "GET", path, None);
        let text = answer.text();
        let found = text.find(self.foreign).map(|at| text[at.saturating_sub(100)..].chars().take(200).collect::<String>());
        assert_eq!(found, None, "{path}");
        answer.expect(200)
    }
}

/// The same ids for both tenants, as generators and load tests make them; random, but for the seed.
fn line(mark: &str, n: u64) -> Value {
    let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 7);
    json!({
        "ts": START + n * 1_000_000,
        "service": format!("{mark}-svc-{}", random % 3),
        "level": if random.is_multiple_of(4) { "error" } else { "info" },
        "msg": format!("order {} failed for {mark}", random % 5),
        "request_id": format!("shared-{}", n % 8),
        format!("key.{mark}"): format!("{mark}-{}", random % 7),
        "user.id": format!("{mark}-u{}", random % 11),
    })
}

fn send_spans(server: &Server, token: &str, mark: &str) {
    let span = |id: u64, parent: u64, name: &str| {
        json!({
            "traceId": format!("{:032x}", 0xabc), "spanId": format!("{id:016x}"), "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
            "name": format!("{name} {mark}"), "kind": if parent == 0 { 2 } else { 3 },
            "startTimeUnixNano": (START + id).to_string(), "endTimeUnixNano": (START + 1_000_000 + id).to_string(),
            "attributes": [{"key": "peer.service", "value": {"stringValue": format!("{mark}-peer")}}],
        })
    };
    let spans = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": format!("{mark}-web")}}]},
        "scopeSpans": [{"spans": [span(1, 0, "GET"), span(2, 1, "call")]}],
    }]});
    let headers = [("content-type", "application/json"), ("authorization", &*format!("Bearer {token}"))];
    post(&format!("{}/v1/traces", server.otlp_http()), &headers, spans.to_string().as_bytes()).expect(200);
}

#[test]
fn fault_62_a_tenant_that_floods_is_held_back_and_others_are_not() {
    let (_folder, server) = configured("[ingest]\ntenant_bytes_per_second_max = 20000\n");
    let [flood, other] = ["acme", "zeta"].map(|tenant| token(&server, "admin", tenant));
    let send = |token: &str, lines: usize| {
        let headers = [("content-type", "text/plain"), ("authorization", &*format!("Bearer {token}"))];
        post(&format!("{}/api/v1/logs", server.url()), &headers, "one of very many lines\n".repeat(lines).as_bytes())
    };
    let held_back = (0..100).filter(|_| send(&flood, 1_000).status == 429).count();
    assert!((80..99).contains(&held_back), "ten seconds' worth at once, and hardly any more: {held_back}");
    for _ in 0..100 {
        send(&other, 1).expect(200);
    }
    let refused = "needle_ingest_refused_requests_total{reason=\"tenant_rate\",transport=\"api\"}";
    let metrics =
        crate::harness::request_with("GET", &format!("{}/metrics", server.url()), &[("authorization", &format!("Bearer {other}"))]);
    assert!(metrics.text().contains(&format!("{refused} {held_back}")), "{}", metrics.text());
}

#[test]
fn no_answer_of_any_route_holds_a_record_of_the_other_tenant() {
    let server = Server::start();
    let admins = MARKS.map(|(tenant, _)| token(&server, "admin", tenant));
    let callers: Vec<Caller> = (0..2).map(|at| Caller { token: admins[at].clone(), mark: MARKS[at].1, foreign: MARKS[1 - at].1 }).collect();
    for sealed in [true, false] {
        for caller in &callers {
            let from = if sealed { 0 } else { RECORDS };
            let lines: String = (from..from + RECORDS).map(|n| format!("{}\n", line(caller.mark, n))).collect();
            let headers = [("content-type", "application/x-ndjson"), ("authorization", &*format!("Bearer {}", caller.token))];
            post(&format!("{}/api/v1/logs", server.url()), &headers, lines.as_bytes()).expect(200);
            send_spans(&server, &caller.token, caller.mark);
        }
        if sealed {
            callers[0].ask(&server, "POST", "/api/v1/admin/flush?merge=true", Some(&json!({}))).expect(200);
        }
    }
    let searches = [
        "*",
        "failed",
        "fai*",
        "/order%20[0-4]/",
        "level%3Aerror",
        "request%3Ashared-3",
        "id%3Ashared-3",
        "service%3A*svc*",
        "kind%3Aspan",
        "-nowhere%3Ax",
        "order%20OR%20GET",
        "user.id%3A*",
    ];
    for caller in &callers {
        let mut seen = 0;
        for query in searches {
            seen += caller.sees(&server, &format!("/api/v1/search?q={query}&limit=1000"))["records"].as_array().unwrap().len();
            let own = caller.sees(&server, &format!("/api/v1/count?q={query}"))["count"].as_u64().unwrap();
            assert!(own <= 2 * RECORDS + 4, "{query} counts {own}");
            for route in ["journeys", "histogram", "fields", "patterns"] {
                caller.sees(&server, &format!("/api/v1/{route}?q={query}"));
            }
            for field in ["service", "user.id", "level"] {
                caller.sees(&server, &format!("/api/v1/fields/{field}/values?q={query}"));
                caller.sees(&server, &format!("/api/v1/histogram?q={query}&by={field}"));
                caller.sees(&server, &format!("/api/v1/aggregate?q={query}%20%7C%20count()%20by%20{field}"));
            }
        }
        assert!(seen as u64 > 4 * RECORDS, "its own records are found: {seen}");
        for route in ["services", "services/graph", "compare?q=level%3Aerror"] {
            caller.sees(&server, &format!("/api/v1/{route}"));
        }
        for id in (0..8).map(|n| format!("shared-{n}")).chain([format!("{:032x}", 0xabc)]) {
            let journey = caller.sees(&server, &format!("/api/v1/journey/{id}"));
            assert!(journey.to_string().contains(caller.mark), "{journey}");
            caller.sees(&server, &format!("/api/v1/journey/{id}/skeleton"));
        }
        for statement in ["SELECT * FROM logs", "SELECT * FROM spans", "SELECT service, count(*) FROM logs GROUP BY service ORDER BY 2"] {
            let answer = caller.ask(&server, "POST", "/api/v1/sql", Some(&json!({"query": statement})));
            assert!(answer.text().contains(caller.mark) && !answer.text().contains(caller.foreign), "{statement}: {}", answer.text());
        }
        tails_its_own(&server, caller);
    }
    let (deletes, keeps) = (&callers[0], &callers[1]);
    let before = keeps.sees(&server, "/api/v1/count?q=request%3Ashared-3")["count"].clone();
    assert!(deletes.ask(&server, "DELETE", "/api/v1/records?id=shared-3", None).expect(200)["deleted"].as_u64().unwrap() > 0);
    assert_eq!(deletes.sees(&server, "/api/v1/count?q=request%3Ashared-3")["count"], 0);
    assert_eq!(keeps.sees(&server, "/api/v1/count?q=request%3Ashared-3")["count"], before, "the other's records stay");
}

/// What a tail of everything begins with, up to the caller's newest record.
fn tails_its_own(server: &Server, caller: &Caller) {
    let url = format!("{}/api/v1/tail?backfill=1000", server.url());
    let mut answer = ureq::get(&url).header("authorization", format!("Bearer {}", caller.token)).call().unwrap();
    let mut reader = answer.body_mut().as_reader();
    let (mut text, mut part) = (String::new(), [0; 4096]);
    while text.matches("event: record").count() < (2 * RECORDS) as usize {
        let read = reader.read(&mut part).unwrap();
        assert!(read > 0, "the tail ended: {text}");
        text.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    assert!(text.contains(caller.mark) && !text.contains(caller.foreign));
}
