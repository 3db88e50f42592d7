//! Sealing changes where records are kept, and nothing else.

use serde_json::Value;

use crate::harness::Server;
use crate::search;

#[test]
fn live_and_sealed_records_answer_alike() {
    let mut server = Server::start();
    search::send_sample(&server);
    let live = answers(&server);
    server.flush();
    search::assert_cases(&server, "sealed");
    assert_same(&answers(&server), &live, "after the seal");
    assert_eq!(server.stop(), Some(0));
    server.start_again();
    assert_same(&answers(&server), &live, "after a restart");
}

#[test]
fn a_clean_stop_keeps_live_records() {
    let mut server = Server::start();
    search::send_sample(&server);
    let live = answers(&server);
    assert_eq!(server.stop(), Some(0));
    server.start_again();
    assert_same(&answers(&server), &live, "after a restart");
}

#[test]
fn a_crash_keeps_live_records() {
    let mut server = Server::start();
    search::send_sample(&server);
    let live = answers(&server);
    server.kill();
    server.start_again();
    assert_same(&answers(&server), &live, "after a crash");
}

#[test]
fn a_seal_of_nothing_is_fine() {
    let server = Server::start();
    server.flush();
    search::send_sample(&server);
    server.flush();
    server.flush();
    search::assert_cases(&server, "sealed twice");
}

#[test]
fn journeys_are_the_same_from_shards() {
    let server = Server::start();
    search::send_sample(&server);
    let id = "5b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c22";
    let live = server.journey(id);
    assert!(live["nodes"].as_array().unwrap().len() >= 2, "{live}");
    server.flush();
    let sealed = server.journey(id);
    for key in ["nodes", "services", "trace_ids", "request_ids", "start", "end"] {
        assert_eq!(sealed[key], live[key], "{key}");
    }
}

/// The records that answer each query, whole and in order.
fn answers(server: &Server) -> Vec<(&'static str, Vec<Value>)> {
    search::CASES.iter().map(|(query, _)| (*query, server.search(query))).collect()
}

fn assert_same(found: &[(&str, Vec<Value>)], expected: &[(&str, Vec<Value>)], when: &str) {
    for ((query, found), (_, expected)) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{query}: the answer differs {when}");
    }
}
