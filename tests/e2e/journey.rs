//! The journey of an id: one tree of spans, their logs, and services that only log.

use prost::Message;
use serde_json::{Value, json};

use crate::harness::{Server, post};
use crate::otlp::{self, MS, hex, text_attribute};

/// A request through `edge` and `stock`, both traced, and `ledger`, which only logs its request id.
struct Purchase {
    trace: String,
    request: String,
}

fn purchase(server: &Server) -> Purchase {
    let (trace, request, time) = (otlp::unique(16), otlp::unique_uuid(), otlp::now() - 60_000 * MS);
    let mut edge = otlp::span(&trace, "POST /buy", time, time + 300 * MS);
    edge.attributes = vec![otlp::attribute("http.request.header.x-request-id", otlp::texts(&[&request]).value.expect("a list"))];
    let mut call = otlp::child_of(&edge, "POST", time + 10 * MS, time + 200 * MS);
    call.kind = 3;
    let mut reserve = otlp::child_of(&call, "reserve", time + 20 * MS, time + 190 * MS);
    reserve.status = otlp::failed("sold out");
    let mut log = otlp::log_in(&reserve, "no item left on shelf", time + 100 * MS);
    log.severity_number = 17;
    let loose = otlp::logs_of("edge", vec![otlp::log_of_trace(&trace, "answered 409", time + 299 * MS)]);

    send(server, "/v1/traces", &otlp::traces(vec![otlp::spans_of("edge", vec![edge, call]), otlp::spans_of("stock", vec![reserve])]));
    send(server, "/v1/logs", &otlp::logs(vec![otlp::logs_of("stock", vec![log]), loose]));
    let line = |offset: u64, text: &str| json!({"time": time + offset * MS, "service": "ledger", "msg": text, "request_id": request.to_uppercase()});
    server.send_lines(&[line(210, "booking opened"), line(250, "booking cancelled")]);
    Purchase { trace: hex(&trace), request }
}

fn send(server: &Server, path: &str, request: &impl Message) {
    let answer = post(&(server.otlp_http() + path), &[("content-type", "application/x-protobuf")], &request.encode_to_vec());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn any_spelling_of_any_id_opens_the_same_journey() {
    let server = Server::start();
    let other = purchase(&server);
    let Purchase { trace, request } = purchase(&server);
    let undashed = request.replace('-', "");
    for sealed in [false, true] {
        if sealed {
            server.flush();
        }
        let nodes = server.journey(&trace)["nodes"].clone();
        assert_eq!(nodes.as_array().unwrap().len(), 4, "three spans and the log-only service: {nodes}");
        for id in [trace.to_uppercase(), request.clone(), request.to_uppercase(), undashed.clone(), format!("%7B{request}%7D")] {
            assert_eq!(server.journey(&id)["nodes"], nodes, "{id}");
        }
        assert!(!nodes.to_string().contains(&other.trace));
    }
}

#[test]
fn services_are_told_with_their_spans_logs_and_errors() {
    let server = Server::start();
    let journey = server.journey(&purchase(&server).request);
    let mut services: Vec<Value> = journey["services"].as_array().unwrap().clone();
    services.sort_by_key(|service| service["name"].to_string());
    assert_eq!(
        services,
        [
            json!({"name": "edge", "spans": 2, "logs": 1, "errors": 0, "self_time_ns": 90 * MS, "inferred": false}),
            json!({"name": "ledger", "spans": 0, "logs": 2, "errors": 0, "self_time_ns": 0, "inferred": true}),
            json!({"name": "stock", "spans": 1, "logs": 1, "errors": 2, "self_time_ns": 170 * MS, "inferred": false}),
        ]
    );
    assert_eq!(journey["completeness"]["missing_parents"], 0, "{journey}");
    assert_eq!(journey["duration_ns"], 300 * MS);
}

#[test]
fn a_service_that_only_logs_is_placed_with_a_reason() {
    let server = Server::start();
    let Purchase { trace, .. } = purchase(&server);
    let journey = server.journey(&trace);
    let nodes = journey["nodes"].as_array().unwrap();
    let ledger = nodes.iter().find(|node| node["service"] == "ledger").expect("a node of the log-only service");
    assert!(!ledger["inferred"]["reason"].as_str().unwrap().is_empty());
    let confidence = ledger["inferred"]["confidence"].as_f64().unwrap();
    assert!(confidence > 0.0 && confidence <= 1.0, "{confidence}");
    assert_eq!(bodies(ledger), ["booking opened", "booking cancelled"]);
    // 210 to 250 ms lie in the edge's span (0 to 300) but not in its call to the stock (10 to 200).
    let parent = nodes.iter().find(|node| node["node_id"] == ledger["parent_node_id"]).expect("its parent");
    assert_eq!((&parent["service"], &parent["name"]), (&json!("edge"), &json!("POST /buy")));
    assert!(nodes.iter().all(|node| node["service"] == "ledger" || node["inferred"].is_null()));

    let told = server.get(&format!("/api/v1/journey/{trace}"), &[("inferred", "false")]).expect(200);
    assert!(told["nodes"].as_array().unwrap().iter().all(|node| node["inferred"].is_null()), "{told}");
}

#[test]
fn logs_hang_on_their_spans() {
    let server = Server::start();
    let journey = server.journey(&purchase(&server).trace);
    let nodes = journey["nodes"].as_array().unwrap();
    let node = |name: &str| nodes.iter().find(|node| node["name"] == name).unwrap_or_else(|| panic!("no node {name}: {journey}"));
    assert_eq!(bodies(node("reserve")), ["no item left on shelf"]);
    // It names only the trace: its service's span that was open then has it.
    assert_eq!(bodies(node("POST /buy")), ["answered 409"]);
}

#[test]
fn nodes_stand_in_tree_order_below_parents_that_exist() {
    let server = Server::start();
    let journey = server.journey(&purchase(&server).trace);
    assert_is_a_tree(&journey);
    let names: Vec<_> =
        journey["nodes"].as_array().unwrap().iter().filter(|node| !node["span"].is_null()).map(|node| node["name"].clone()).collect();
    assert_eq!(names, ["POST /buy", "POST", "reserve"]);
}

#[test]
fn a_parent_that_never_came_is_told() {
    let server = Server::start();
    let (trace, time) = (otlp::unique(16), otlp::now() - 60_000 * MS);
    let root = otlp::span(&trace, "root", time, time + 9 * MS);
    let lost = otlp::child_of(&root, "lost", time, time + 8 * MS);
    let orphans = ["left", "right"].map(|name| otlp::child_of(&lost, name, time + MS, time + 5 * MS));
    let spans = std::iter::once(root).chain(orphans).collect();
    send(&server, "/v1/traces", &otlp::traces(vec![otlp::spans_of("mill", spans)]));

    let journey = server.journey(&hex(&trace));
    assert_is_a_tree(&journey);
    let nodes = journey["nodes"].as_array().unwrap();
    let missing: Vec<_> = nodes.iter().filter(|node| node["missing"] == true).collect();
    assert_eq!(missing.len(), 1, "both orphans stand below one placeholder: {journey}");
    assert_eq!(nodes.iter().filter(|node| node["parent_node_id"] == missing[0]["node_id"]).count(), 2);
    assert_eq!((&journey["completeness"]["state"], &journey["completeness"]["missing_parents"]), (&json!("partial"), &json!(1)));
}

#[test]
fn a_span_sent_twice_is_one_node() {
    let server = Server::start();
    let (trace, time) = (otlp::unique(16), otlp::now());
    let span = otlp::span(&trace, "twice", time, time + MS);
    let extra = otlp::child_of(&span, "once", time, time + MS);
    send(&server, "/v1/traces", &otlp::traces(vec![otlp::spans_of("mill", vec![span.clone()])]));
    server.flush();
    send(&server, "/v1/traces", &otlp::traces(vec![otlp::spans_of("mill", vec![span, extra])]));
    assert_eq!(server.journey(&hex(&trace))["nodes"].as_array().unwrap().len(), 2);
}

#[test]
fn an_id_of_many_requests_is_named_and_not_followed() {
    let server = Server::start();
    let (trace, request) = (otlp::unique(16), otlp::unique_uuid());
    let time = otlp::now();
    let mut span = otlp::span(&trace, "mine", time, time + MS);
    span.attributes = vec![text_attribute("request_id", "-"), text_attribute("correlation_id", &request)];
    send(&server, "/v1/traces", &otlp::traces(vec![otlp::spans_of("mill", vec![span])]));
    server.send_lines(&[json!({"msg": "someone else's", "request_id": "-", "service": "mine"})]);
    let journey = server.journey(&request);
    assert_eq!(journey["nodes"].as_array().unwrap().len(), 1, "a placeholder joins nothing: {journey}");
}

#[test]
fn an_id_that_nothing_carries_is_not_found() {
    let server = Server::start();
    purchase(&server);
    let id = hex(&otlp::unique(16));
    let answer = server.get(&format!("/api/v1/journey/{id}"), &[]);
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains(&id), "the answer names the id: {}", answer.text());
}

/// Pre-order, with depths, child counts and parents that agree.
pub(crate) fn assert_is_a_tree(journey: &Value) {
    let nodes = journey["nodes"].as_array().expect("a journey has nodes");
    let mut open: Vec<&Value> = Vec::new();
    for node in nodes {
        let depth = usize::try_from(node["depth"].as_u64().expect("a depth")).unwrap();
        open.truncate(depth);
        let above = open.last().map_or(&Value::Null, |parent| &parent["node_id"]);
        assert_eq!(&node["parent_node_id"], above, "not in pre-order at {node}");
        assert_eq!(open.len(), depth, "a depth without a parent at {node}");
        let children = nodes.iter().filter(|child| child["parent_node_id"] == node["node_id"]).count();
        assert_eq!(node["children"], children, "{node}");
        open.push(node);
    }
}

fn bodies(node: &Value) -> Vec<&str> {
    node["logs"].as_array().unwrap().iter().map(|log| log["body"].as_str().unwrap()).collect()
}

#[test]
fn pages_are_of_one_journey_while_more_arrives_until_something_is_deleted() {
    let server = Server::start();
    let Purchase { trace, request } = purchase(&server);
    let whole = server.journey(&trace)["nodes"].clone();
    let page = |cursor: Option<&str>| {
        let parameters: Vec<(&str, &str)> = [("limit", "1")].into_iter().chain(cursor.map(|cursor| ("cursor", cursor))).collect();
        server.get(&format!("/api/v1/journey/{trace}"), &parameters)
    };
    let first = page(None).expect(200);
    // Earlier than all the rest: in a journey stitched anew it would move the other nodes.
    let late = json!({"time": otlp::now() - 120_000 * MS, "service": "early-bird", "msg": "first of all", "request_id": request});
    server.send_lines(&[late]);
    let (mut nodes, mut cursor) = (first["nodes"].as_array().unwrap().clone(), first["next_cursor"].as_str().map(str::to_owned));
    let second = cursor.clone();
    while let Some(at) = cursor {
        let next = page(Some(&at)).expect(200);
        nodes.extend(next["nodes"].as_array().unwrap().clone());
        cursor = next["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(Value::from(nodes), whole);
    assert_eq!(page(None).expect(200)["nodes_total"], 5, "who asks anew sees it");
    assert_eq!(server.get(&format!("/api/v1/journey/{trace}/skeleton"), &[]).expect(200)["nodes_total"], 5);

    let answer = crate::harness::request("DELETE", &format!("{}/api/v1/records?id={trace}", server.url()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(page(second.as_deref()).status, 404, "what is deleted is on no page any more");
}
