//! Search: the query language over everything, in a stable order, page by page.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message;
use serde_json::{Value, json};

use crate::harness::Server;
use crate::otlp::{self, MS, attribute, text_attribute};

/// 2026-01-05T10:00:00Z.
pub(crate) const START: u64 = 1_767_607_200_000_000_000;

const TRACE: [u8; 16] = [0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
const SPAN: [u8; 8] = [0xfe, 0xdc, 1, 2, 3, 4, 5, 6];

/// What is asked, and the names of the records that answer it, newest first. `sealed` asks the same of shards.
pub(crate) const CASES: [(&str, &[&str]); 53] = [
    ("*", &["s3", "s2", "s1", "l6", "l5", "l4", "l3", "l2", "l1"]),
    ("payment", &["s1", "l3", "l2"]),
    ("timeout payment", &["l3", "l2"]),
    ("TIMEOUT Payment", &["l3", "l2"]),
    ("timeo*", &["l5", "l3", "l2"]),
    ("timeo", &[]),
    ("\"connection refused\"", &["l4"]),
    ("\"refused connection\"", &[]),
    ("/conn(ection)? refused/", &["l5", "l4"]),
    ("/^payment/", &["l2"]),
    ("service:payment", &["s2", "l3", "l2"]),
    ("-service:payment", &["s3", "s1", "l6", "l5", "l4", "l1"]),
    ("NOT service:payment kind:log", &["l6", "l5", "l4", "l1"]),
    ("service:(payment OR web)", &["s2", "s1", "l3", "l2", "l1"]),
    ("service.name:payment kind:span", &["s2"]),
    ("service!=payment service!=web", &["s3", "l6", "l5", "l4"]),
    ("level>=warn", &["l5", "l4", "l3", "l2"]),
    ("level:error", &["l4", "l3"]),
    ("severity:ERROR", &["l4", "l3"]),
    ("level<info", &["l6"]),
    ("duration>500ms", &["s2", "s1"]),
    ("duration<=500ms", &["s3"]),
    ("duration>=1.5s", &["s1"]),
    ("http.response.status_code>=500", &["s1"]),
    ("http.status_code:502", &["s1"]),
    ("http.response.status_code<500", &["s3", "l1"]),
    ("url.path:/api/*", &["s3", "l1"]),
    ("user.id:*", &["l1"]),
    ("user.id:7", &["l1"]),
    ("attr.user.id:7", &["l1"]),
    ("resource.host.name:till-3", &["l6", "l5", "l4"]),
    ("env:prod", &["s2", "l3", "l2"]),
    ("body:\"connection refused\"", &["l4"]),
    ("message:refused", &["l5", "l4"]),
    ("name:\"POST /pay\"", &["s1"]),
    ("trace:ABCD0102030405060708090A0B0C0D0E", &["s2", "s1", "l3"]),
    ("id:abcd0102030405060708090a0b0c0d0e kind:log", &["l3"]),
    ("span:fedc010203040506", &["s1", "l3"]),
    ("request:5B0D58AA0FD64A529D206F7A2B1D9C22", &["s1", "l2"]),
    ("id:{5b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c22}", &["s1", "l2"]),
    ("kind:span status:error", &["s1"]),
    ("is:root", &["s3", "s1"]),
    ("has:exception", &["s2"]),
    ("(timeout OR refused) level:error", &["l4", "l3"]),
    ("timeout OR refused level:error", &["l4", "l3", "l2"]),
    ("IllegalStateException", &["s2"]),
    ("retries>2 retries<10", &["l3"]),
    ("retries > 2", &["l3"]),
    ("service = 'payment' kind:log", &["l3", "l2"]),
    ("http.response.status_code:5xx", &["s1"]),
    ("kind:log timestamp>=2026-01-05T10:00:05Z", &["l6", "l5"]),
    ("kind:log timestamp:(>2026-01-05T11:00:02+01:00 <2026-01-05T10:00:04Z)", &["l3"]),
    ("level:err*", &["l4", "l3"]),
];

/// Sends the records of [`CASES`].
pub(crate) fn send_sample(server: &Server) {
    let logs = otlp::logs(vec![
        otlp::logs_of("web", vec![l1()]),
        in_environment(otlp::logs_of("payment", vec![l2(), l3()])),
        on_host(otlp::logs_of(
            "till",
            vec![
                record("l4", 4, 17, "connection refused by bank"),
                record("l5", 5, 13, "conn refused after timeouts"),
                record("l6", 6, 5, "polled"),
            ],
        )),
    ]);
    let mut spans =
        otlp::traces(vec![otlp::spans_of("web", vec![s1()]), otlp::spans_of("payment", vec![s2()]), otlp::spans_of("menu", vec![s3()])]);
    let environment = text_attribute("deployment.environment", "prod");
    spans.resource_spans[1].resource.as_mut().expect("a resource").attributes.push(environment);
    for (path, body) in [("/v1/logs", logs.encode_to_vec()), ("/v1/traces", spans.encode_to_vec())] {
        let answer = server.post(path, "application/x-protobuf", body);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
    }
}

fn in_environment(mut logs: opentelemetry_proto::tonic::logs::v1::ResourceLogs) -> opentelemetry_proto::tonic::logs::v1::ResourceLogs {
    logs.resource.as_mut().expect("a resource").attributes.push(text_attribute("deployment.environment.name", "prod"));
    logs
}

fn on_host(mut logs: opentelemetry_proto::tonic::logs::v1::ResourceLogs) -> opentelemetry_proto::tonic::logs::v1::ResourceLogs {
    logs.resource.as_mut().expect("a resource").attributes.push(text_attribute("host.name", "till-3"));
    logs
}

fn record(name: &str, second: u64, severity_number: i32, body: &str) -> LogRecord {
    let level = match severity_number {
        17.. => "ERROR",
        13.. => "WARN",
        9.. => "INFO",
        _ => "DEBUG",
    };
    let attributes = vec![text_attribute("nickname", name)];
    LogRecord { severity_number, severity_text: level.into(), attributes, ..otlp::log(body, START + second * 1000 * MS) }
}

fn l1() -> LogRecord {
    let mut log = record("l1", 1, 9, "request started");
    log.attributes.extend([
        text_attribute("url.path", "/api/cart"),
        attribute("user.id", OtlpValue::IntValue(7)),
        attribute("http.response.status_code", OtlpValue::IntValue(200)),
    ]);
    log
}

fn l2() -> LogRecord {
    let mut log = record("l2", 2, 13, "payment timeout, will retry");
    log.attributes.push(text_attribute("request_id", "5b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c22"));
    log
}

fn l3() -> LogRecord {
    let mut log = record("l3", 3, 17, "Timeout of PAYMENT provider");
    log.attributes.push(attribute("retries", OtlpValue::IntValue(3)));
    (log.trace_id, log.span_id) = (TRACE.to_vec(), SPAN.to_vec());
    log
}

fn s1() -> Span {
    let start = START + 7000 * MS;
    let mut span = otlp::span(&TRACE, "POST /pay", start, start + 2000 * MS);
    span.span_id = SPAN.to_vec();
    span.status = otlp::failed("payment failed");
    span.attributes = vec![
        text_attribute("nickname", "s1"),
        attribute("http.response.status_code", OtlpValue::IntValue(502)),
        attribute("http.request.header.x-request-id", otlp::texts(&["5B0D58AA-0FD6-4A52-9D20-6F7A2B1D9C22"]).value.expect("a list")),
        text_attribute("note", "payment"),
    ];
    span.events = vec![Event { time_unix_nano: start + MS, name: "payment rejected".into(), ..Default::default() }];
    span
}

fn s2() -> Span {
    let start = START + 8000 * MS;
    let mut span = otlp::child_of(&s1(), "charge", start, start + 800 * MS);
    span.span_id = vec![2; 8];
    span.attributes = vec![text_attribute("nickname", "s2")];
    let exception = vec![text_attribute("exception.type", "IllegalStateException"), text_attribute("exception.message", "no route")];
    span.events = vec![Event { time_unix_nano: start + MS, name: "exception".into(), attributes: exception, ..Default::default() }];
    span
}

fn s3() -> Span {
    let start = START + 9000 * MS;
    let mut span = otlp::span(&[3; 16], "GET /menu", start, start + 500 * MS);
    span.span_id = vec![3; 8];
    span.attributes = vec![
        text_attribute("nickname", "s3"),
        text_attribute("url.path", "/api/menu"),
        attribute("http.status_code", OtlpValue::IntValue(200)),
    ];
    span
}

/// Asks all [`CASES`] and tells all that are answered wrongly.
pub(crate) fn assert_cases(server: &Server, state: &str) {
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|(query, expected)| {
            let answer = server.get("/api/v1/search", &[("q", query)]);
            if answer.status != 200 {
                return Some(format!("{query}: status {}: {}", answer.status, answer.text()));
            }
            let found = nicknames(answer.json()["records"].as_array().expect("records"));
            (found != *expected).then(|| format!("{query}: expected {expected:?}, found {found:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{state}:\n{}", wrong.join("\n"));
}

fn nicknames(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["attributes"]["nickname"].as_str().unwrap_or_else(|| panic!("{record}")).to_owned()).collect()
}

#[test]
fn queries_find_what_they_mean() {
    let server = Server::start();
    send_sample(&server);
    assert_cases(&server, "live");
}

#[test]
fn start_is_inclusive_end_is_exclusive_and_both_come_in_two_forms() {
    let server = Server::start();
    send_sample(&server);
    for sealed in [false, true] {
        if sealed {
            server.flush();
        }
        let within = |start: &str, end: &str| nicknames(&server.search_with(&[("q", "kind:log"), ("start", start), ("end", end)]));
        assert_eq!(within("2026-01-05T10:00:02Z", "2026-01-05T10:00:05Z"), ["l4", "l3", "l2"]);
        assert_eq!(within("2026-01-05T11:00:02+01:00", "1767607205000000000"), ["l4", "l3", "l2"]);
        assert_eq!(within("2026-01-05T10:00:02.000000001Z", "2026-01-05T10:00:05.000000001Z"), ["l5", "l4", "l3"]);
        let oldest_first = server.search_with(&[("q", "kind:log"), ("order", "asc")]);
        assert_eq!(nicknames(&oldest_first), ["l1", "l2", "l3", "l4", "l5", "l6"]);
    }
}

#[test]
fn pages_neither_repeat_nor_skip_over_live_and_sealed_records() {
    let server = Server::start();
    // Many records share a time, so that a page ends between equals; the times of the parts overlap.
    let part = |name: &str, count: u64| {
        let lines: Vec<Value> =
            (0..count).map(|n| json!({"ts": START + (n / 9) * 1000 * MS, "msg": format!("{name}-{n}"), "service": "press"})).collect();
        server.send_lines(&lines);
    };
    part("old", 130);
    server.flush();
    part("middle", 110);
    server.flush();
    part("live", 90);

    let all = server.search("service:press");
    let identities = |records: &[Value]| -> Vec<String> { records.iter().map(|record| record["record_id"].to_string()).collect() };
    assert_eq!(identities(&all).into_iter().collect::<BTreeSet<_>>().len(), 330);
    for limit in ["1000", "97", "7"] {
        let paged = server.search_with(&[("q", "service:press"), ("limit", limit)]);
        assert_eq!(paged, all, "limit {limit}");
        let mut upwards = server.search_with(&[("q", "service:press"), ("limit", limit), ("order", "asc")]);
        upwards.reverse();
        assert_eq!(upwards, all, "limit {limit}, oldest first, turned round");
    }
    let times: Vec<_> = all.iter().map(|record| crate::ingest::nanoseconds(&record["timestamp"])).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older));
}

#[test]
fn a_page_turned_while_records_arrive_and_are_sealed_keeps_its_place() {
    let server = Server::start();
    let send = |from: u64, to: u64| {
        server
            .send_lines(&(from..to).map(|n| json!({"ts": START + n * MS, "msg": format!("n{n}"), "service": "belt"})).collect::<Vec<_>>());
    };
    send(0, 40);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for turn in 0.. {
        let parameters = [("q", "service:belt"), ("limit", "10"), ("cursor", &cursor)];
        let page = server.get("/api/v1/search", &parameters[..if turn == 0 { 2 } else { 3 }]).expect(200);
        seen.extend(page["records"].as_array().unwrap().iter().map(|record| record["body"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
        // Newer than all that was asked for: not part of the pages to come.
        send(100 + turn * 5, 105 + turn * 5);
        if turn == 1 {
            server.flush();
        }
    }
    assert_eq!(seen, (0..40).rev().map(|n| format!("n{n}")).collect::<Vec<_>>());
}

#[test]
fn every_answer_says_how_complete_it_is() {
    let server = Server::start();
    let answer = server.get("/api/v1/search", &[("q", "nothing")]).expect(200);
    assert_eq!((&answer["records"], &answer["completeness"]["state"]), (&json!([]), &json!("complete")), "{answer}");
    for path in ["/healthz", "/readyz", "/metrics", "/api/openapi.json"] {
        assert_eq!(server.get(path, &[]).status, 200, "{path}");
    }
    let openapi = server.get("/api/openapi.json", &[]).expect(200);
    for path in ["/api/v1/search", "/api/v1/journey/{id}", "/api/v1/tail", "/api/v1/services", "/api/v1/logs"] {
        assert!(openapi["paths"][path].is_object(), "{path} is described");
    }
}

#[test]
fn services_are_counted() {
    let server = Server::start();
    send_sample(&server);
    for sealed in [false, true] {
        if sealed {
            server.flush();
        }
        let answer = server.get("/api/v1/services", &[]).expect(200);
        let of = |name: &str| answer["services"].as_array().unwrap().iter().find(|service| service["name"] == name).unwrap().clone();
        let payment = of("payment");
        assert_eq!((&payment["spans"], &payment["logs"], &payment["errors"]), (&json!(1), &json!(2), &json!(1)), "{answer}");
        assert_eq!(answer["services"].as_array().unwrap().len(), 4, "{answer}");
    }
}
