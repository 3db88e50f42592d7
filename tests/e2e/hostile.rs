//! Hostile questions: answered, or refused by name, at a bounded cost, while records arrive and other questions are answered.
//!
//! `HOSTILE_RECORDS=300000` asks them of as many records, and `-- --nocapture` shows what each cost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Answer, Server, StopOnDrop, memory_bytes_most, metric, poll, say};
use crate::search::START;

/// Half of them are sealed.
const RECORDS: u64 = 20_000;
/// No question may cost so many times the CPU of one that looks at every word of every record.
const CPU_RATIO_MAX: f64 = 40.0;
/// Memory that a question may add to what the server had at most before.
const MEMORY_BYTES_MAX: u64 = 400 << 20;

fn records() -> u64 {
    std::env::var("HOSTILE_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(RECORDS)
}

/// A server with as many live records as sealed ones.
fn stocked(records: u64) -> Server {
    let server = Server::start();
    for half in 0..2 {
        for part in 0..10 {
            let from = (half * 10 + part) * records / 20;
            let lines: Vec<Value> = (from..from + records / 20).map(line).collect();
            server.send_lines(&lines);
        }
        if half == 0 {
            server.flush();
        }
    }
    server
}

fn line(n: u64) -> Value {
    let text = format!("order {n} of customer {} took {} ms: {} by db-{}", n % 977, n % 3_000, "a".repeat((n % 60) as usize), n % 7);
    json!({"ts": START + n * 1_000_000, "service": "till", "msg": text, "user.id": n, "path": format!("/api/v{}/cart/{n}", n % 3)})
}

/// What is asked, and a part of the reason if it must be refused.
fn questions() -> Vec<(&'static str, String, Option<&'static str>)> {
    let any = |count: u32, term: &dyn Fn(u32) -> String| (0..count).map(term).collect::<Vec<_>>().join(" OR ");
    let nested = |depth: usize| format!("{}order{}", "(".repeat(depth), ")".repeat(depth));
    vec![
        ("nested repetition", "/(a+)+$/".to_owned(), None),
        ("runs of anything", "/.*.*.*x/".to_owned(), None),
        ("alternatives within a repetition", "/(a|aa|aaa)*b$/".to_owned(), None),
        ("letters of any alphabet", "/(\\w+\\s*){5}!/".to_owned(), None),
        ("any case", "/(?i)CUSTOMER.*(took|gave).*zzz/".to_owned(), None),
        ("a large repetition", "/a{1000}b/".to_owned(), None),
        ("a repetition of repetitions", "/(a{1000}){1000}/".to_owned(), Some("too large")),
        ("leading stars", "*a*b*c*".to_owned(), None),
        ("stars in a field", "path:*a*p*i*c*r*9".to_owned(), None),
        ("2,000 words", any(2_000, &|n| format!("w{n}")), None),
        ("500 prefixes", any(500, &|n| format!("w{n}*")), None),
        ("500 phrases", any(500, &|n| format!("\"of customers{n}\"")), None),
        ("2,000 words that must not be there", (0..2_000).map(|n| format!("-w{n} ")).collect(), None),
        ("1,000 messages", format!("body:({})", any(1_000, &|n| format!("w{n}"))), None),
        ("1,000 values", format!("user.id:({})", any(1_000, &|n| n.to_string())), None),
        ("4,000 words", any(4_000, &|n| format!("w{n}")), Some("bytes long")),
        ("5,000 letters", any(5_000, &|_| "x".to_owned()), Some("more than 2048 conditions")),
        ("100 regular expressions", any(100, &|n| format!("/x{n}/")), Some("more than 32 regular expressions")),
        ("64 parentheses", nested(64), None),
        ("9,000 parentheses", nested(9_000), Some("nested deeper than 64")),
        ("5,000 signs", format!("{}order", "NOT ".repeat(5_000)), None),
        ("a field that is on no record", "-nowhere:x".to_owned(), None),
        ("a byte of 0", "order\0zzz".to_owned(), None),
    ]
}

/// Seconds of CPU that the server used so far.
fn cpu_seconds(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.process().id())).unwrap();
    // The name in parentheses may hold blanks.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("not an error: {}", answer.text())).to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn hostile_questions_cost_no_more_than_a_bound() {
    let server = stocked(records());
    let ask =
        |query: &str, order: &str| server.get("/api/v1/search", &[("q", query), ("order", order), ("timeout", "2m"), ("limit", "10")]);
    // Every text is cut into words, and nothing is found.
    let begun = cpu_seconds(&server);
    ask("-order -customer", "desc").expect(200);
    let once = (cpu_seconds(&server) - begun).max(0.05);
    say(&format!("{} records, one look at every word: {once:.2} s of CPU", records()));
    let memory = memory_bytes_most(&server);
    for (what, query, refused) in questions() {
        for order in ["desc", "asc"] {
            let begun = cpu_seconds(&server);
            let answer = ask(&query, order);
            let spent = cpu_seconds(&server) - begun;
            say(&format!("{what}, {order}: {} in {spent:.2} s of CPU", answer.status));
            match refused {
                Some(part) => assert!(answer.status == 400 && message(&answer).contains(part), "{what}: {}", answer.text()),
                None => assert_eq!(answer.expect(200)["completeness"]["state"], "complete", "{what}"),
            }
            assert!(spent < once * CPU_RATIO_MAX, "{what}: {spent} s of CPU, where one look at every word costs {once} s");
        }
    }
    // A year of range, oldest first, as many as there may be, and more than that.
    let range = [("start", "2025-06-01T00:00:00Z"), ("end", "2026-06-01T00:00:00Z"), ("order", "asc"), ("q", "*"), ("timeout", "2m")];
    let all = server.get("/api/v1/search", &[&range[..], &[("limit", "100000")]].concat()).expect(200);
    assert_eq!(all["records"].as_array().unwrap().len() as u64, records().min(100_000));
    let more = server.get("/api/v1/search", &[&range[..], &[("limit", "100001")]].concat());
    assert!(message(&more).contains("up to 100000"), "{}", more.text());
    let grown = memory_bytes_most(&server) - memory;
    say(&format!("memory at most: {} MiB before, {} MiB more by hostile questions", memory >> 20, grown >> 20));
    assert!(grown < MEMORY_BYTES_MAX, "{grown} bytes more");
}

#[test]
fn what_is_no_question_at_all_is_refused() {
    let server = Server::start();
    server.send_lines(&[line(1)]);
    let mut asker = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    // The server may close the connection before it has read all of it.
    let _ = write!(asker, "GET /api/v1/search?q={} HTTP/1.1\r\nhost: needle\r\nconnection: close\r\n\r\n", "a".repeat(1 << 20));
    let mut head = [0; 12];
    let status = asker.read_exact(&mut head).map(|()| String::from_utf8_lossy(&head).into_owned());
    assert!(status.is_err() || status.as_ref().is_ok_and(|status| status.starts_with("HTTP/1.1 4")), "{status:?}");
    let long = server.get("/api/v1/search", &[("q", &"a".repeat(40 << 10))]);
    assert!(message(&long).contains("more than 32768"), "{}", long.text());
    let answer = crate::harness::request("GET", &format!("{}/api/v1/search?q=order%FF%FE", server.url()));
    assert!(answer.status == 200 || answer.status == 400, "{}", answer.text());
    let cut = crate::harness::request("GET", &format!("{}/api/v1/search?q=order%0", server.url()));
    assert!(cut.status == 200 || cut.status == 400, "{}", cut.text());
    assert_eq!(server.search("order").len(), 1, "it goes on");
}

/// A question that costs far more than any test waits: every record passes each of many tests.
fn endless() -> String {
    (0..1_000).map(|n| format!("(order OR path:w{n}) ")).collect()
}

/// Statements that would compute for minutes or days, most of them before there is a row that anybody takes.
const ENDLESS_STATEMENTS: [&str; 6] = [
    "SELECT count(*) FROM logs a, logs b WHERE a.body || b.body || a.service || b.service = 'x'",
    "SELECT count(*) FROM logs a, logs b, logs c, logs d",
    "SELECT count(*) FROM logs a JOIN logs b ON a.service = b.service JOIN logs c ON b.service = c.service WHERE a.body || b.body || c.body = 'x'",
    "SELECT count(*) FROM logs a JOIN logs b ON a.service = b.service AND a.body || b.body = 'x' JOIN logs c ON a.service = c.service AND c.body || a.body = 'x'",
    "SELECT count(*) FROM logs a WHERE NOT EXISTS (SELECT 1 FROM logs b, logs c WHERE b.body > a.body AND c.body > b.body AND c.body < a.body)",
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT count(*) FROM numbers",
];
/// Of these the one whose rows grow: on a fast machine they fill the memory that it may have before its time is over.
const GROWING: usize = 2;

#[test]
fn records_arrive_and_are_found_while_hostile_questions_run() {
    let server = stocked(RECORDS);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for query in [endless(), "/(a+)+$/".to_owned(), "/.*.*.*x/".to_owned()] {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let answer = server.get("/api/v1/search", &[("q", &query), ("timeout", "2s")]);
                    assert!([200, 504].contains(&answer.status), "{}", answer.text());
                }
            });
        }
        let stop = StopOnDrop(&done);
        for n in 0..20 {
            server.send_lines(&[json!({"msg": "arrived meanwhile", "request_id": format!("meanwhile-{n}")})]);
            assert_eq!(server.search(&format!("request:meanwhile-{n}")).len(), 1);
        }
        drop(stop);
    });
}

#[test]
fn a_question_stops_when_its_asker_leaves_or_its_time_is_over() {
    let server = stocked(RECORDS);
    let idle = || poll("no question that is worked on", || (metric(&server, "needle_queries_running") == 0).then_some(()));
    let withdrawn = || metric(&server, "needle_queries_total{kind=\"search\",outcome=\"withdrawn\"}");
    let mut asker = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    let query = endless().replace(' ', "%20");
    write!(asker, "GET /api/v1/search?timeout=5m&q={query} HTTP/1.1\r\nhost: needle\r\n\r\n").unwrap();
    poll("a question that is worked on", || (metric(&server, "needle_queries_running") == 1).then_some(()));
    assert_eq!(withdrawn(), 0);
    drop(asker);
    idle();
    poll("a question that was withdrawn", || (withdrawn() == 1).then_some(()));

    let answer = server.get("/api/v1/search", &[("q", &endless()), ("timeout", "50ms")]);
    assert_eq!(answer.expect(504)["error"]["code"], "timeout");
    assert!(message(&answer).contains("within 50 ms"), "{}", answer.text());
    idle();
    poll("a second question that was withdrawn", || (withdrawn() == 2).then_some(()));
    for path in ["count", "histogram", "fields", "fields/service/values", "journeys", "patterns", "compare", "services/graph"] {
        let answer = server.get(&format!("/api/v1/{path}"), &[("q", &endless()), ("timeout", "50ms")]);
        assert_eq!(answer.expect(504)["error"]["code"], "timeout", "{path}");
    }
    let answer = server.get("/api/v1/aggregate", &[("q", &format!("{} | count() by body", endless())), ("timeout", "50ms")]);
    assert_eq!(answer.expect(504)["error"]["code"], "timeout");
    for (number, statement) in ENDLESS_STATEMENTS.into_iter().enumerate() {
        let body = serde_json::json!({ "query": statement }).to_string();
        let answer = server.post("/api/v1/sql?timeout=200ms", "application/json", body.as_bytes());
        let (status, code) = if number == GROWING && answer.status == 422 { (422, "too_large") } else { (504, "timeout") };
        assert_eq!(answer.expect(status)["error"]["code"], code, "{statement}");
        idle();
    }
    idle();
    let since = ["--since", "2026-01-01", "--timeout", "300ms"];
    for command in [
        vec!["grep", "--", &endless()],
        vec!["patterns", "--", &endless()],
        vec!["compare", "--", &endless()],
        vec!["sql", ENDLESS_STATEMENTS[0]],
    ] {
        let (name, rest) = command.split_first().expect("a command has a name");
        let range = if *name == "sql" { &since[2..] } else { &since[..] };
        let ended = server.cli(&[&[*name], range, rest].concat());
        assert_eq!(ended.status.code(), Some(3), "{name}: {ended:?}");
        idle();
    }
}
