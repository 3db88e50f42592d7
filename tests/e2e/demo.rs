//! `needle demo`: the first thing anyone tries.

use std::collections::BTreeSet;

use crate::harness::{Process, json_lines, needle, poll, run, stdout_of};

#[test]
fn the_printed_ids_open_as_journeys_with_a_service_that_only_logs() {
    let any_port = "127.0.0.1:0";
    let mut demo = Process::spawn(&mut needle(&["demo", "--http", any_port, "--otlp-http", any_port, "--otlp-grpc", any_port]));
    let ids = poll("three ids on stdout", || {
        assert!(!demo.has_ended(), "{}\n{}", demo.stdout(), demo.stderr());
        let ids = ids_in(&demo.stdout());
        (ids.len() >= 3).then_some(ids)
    });
    let url = format!("http://{}", demo.address("http"));
    assert!(demo.stdout().contains(&url), "the address of the UI is printed: {}", demo.stdout());
    let mut services_seen = BTreeSet::new();
    for id in &ids {
        let journey = poll("the log-only service in the journey", || {
            let output = run(&mut needle(&["trace", id, "--json", "--url", &url]));
            let journey: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            let services = journey["services"].as_array()?.clone();
            services.iter().any(|service| service["inferred"] == true).then_some(journey)
        });
        services_seen.extend(journey["services"].as_array().unwrap().iter().map(|service| service["name"].to_string()));
        let nodes = journey["nodes"].as_array().unwrap();
        let placed = nodes.iter().find(|node| !node["inferred"].is_null()).expect("the service that only logs is a node");
        assert!(placed["depth"].as_u64().unwrap() > 0, "it stands inside the tree: {placed}");
        assert!(!placed["logs"].as_array().unwrap().is_empty(), "{placed}");
        let drawn = stdout_of(&run(&mut needle(&["trace", id, "--url", &url])));
        assert!(drawn.contains(placed["service"].as_str().unwrap()), "{drawn}");
    }
    assert!(services_seen.len() >= 4, "{services_seen:?}");
    let services = stdout_of(&run(&mut needle(&["services", "--json", "--url", &url])));
    assert!(services.lines().count() >= 6, "a shop of at least six services: {services}");
    poll("the calls of the shop as they are made, and no others", || (calls(&url) == shop()).then_some(()));
    demo.signal(rustix::process::Signal::TERM);
    assert_eq!(demo.wait(), Some(0), "{}", demo.stderr());
}

/// Caller, callee, kind, whether it is inferred.
type Call = (String, String, String, bool);

/// Who calls whom, as the program says.
fn calls(url: &str) -> BTreeSet<Call> {
    let edges = json_lines(&stdout_of(&run(&mut needle(&["services", "--graph", "--json", "--url", url]))));
    let text = |edge: &serde_json::Value, key: &str| edge[key].as_str().unwrap().to_owned();
    let call = |edge| (text(edge, "caller"), text(edge, "callee"), text(edge, "kind"), edge["inferred"].as_bool().unwrap());
    edges.iter().map(call).collect()
}

/// Who calls whom in the shop. Only `legacy-auth` has no spans, and two peers are not of the shop.
fn shop() -> BTreeSet<Call> {
    let calls = [
        ("gateway", "legacy-auth", "call", true),
        ("gateway", "orders", "call", false),
        ("inventory", "postgresql", "call", false),
        ("orders", "inventory", "call", false),
        ("orders", "mailer", "message", false),
        ("orders", "payments", "call", false),
        ("orders", "shipping", "call", false),
        ("payments", "bank.example", "call", false),
    ];
    calls.map(|(caller, callee, kind, inferred)| (caller.to_owned(), callee.to_owned(), kind.to_owned(), inferred)).into()
}

#[test]
fn a_bounded_demo_ends_by_itself() {
    let any_port = "127.0.0.1:0";
    let arguments = ["demo", "--requests", "5", "--exit", "--http", any_port, "--otlp-http", any_port, "--otlp-grpc", any_port];
    let output = run(&mut needle(&arguments));
    assert!(!ids_in(&stdout_of(&output)).is_empty(), "{output:?}");
}

/// UUIDs and trace ids among the words of a text.
fn ids_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let is_id = |word: &&str| {
        let hex = word.trim_start_matches("req-").replace('-', "");
        hex.len() == 32 && hex.chars().all(|c| c.is_ascii_hexdigit())
    };
    words.filter(is_id).map(str::to_owned).collect()
}
