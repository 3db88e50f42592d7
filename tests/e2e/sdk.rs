//! Real OpenTelemetry SDKs in other languages, in services that call each other.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Process, Server, poll, repository};
use crate::install;
use crate::journey::assert_is_a_tree;

#[test]
fn python_over_grpc() {
    let server = Server::start();
    assert_python(&server, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &server.otlp_grpc())]);
}

#[test]
fn python_over_http_protobuf() {
    let server = Server::start();
    let endpoint = server.otlp_http();
    assert_python(&server, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
}

#[test]
fn python_over_http_protobuf_with_gzip() {
    let server = Server::start();
    let endpoint = server.otlp_http();
    let settings = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    assert_python(&server, &settings);
}

#[test]
fn node_over_http_json() {
    let server = Server::start();
    let endpoint = server.otlp_http();
    let run = |name: &str, back: &str| {
        let mut command = Command::new("node");
        command.args(["--require", "./telemetry.cjs", "service.cjs"]).current_dir(install::node());
        service(&mut command, name, back, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)])
    };
    let back = run("back", "");
    let front = run("front", &url_of(&back));
    order(&front, 500);

    let journey = journey_with(&server, "\"front got /order/nothing\"", 3, 4);
    let front_server = node(&journey, "front", "server", None);
    let front_client = node(&journey, "front", "client", Some(&front_server));
    let back_server = node(&journey, "back", "server", Some(&front_client));
    // Node tells times in milliseconds and exports each line by itself: lines of one millisecond come in any order.
    for (node, service) in [(&front_server, "front"), (&back_server, "back")] {
        let mut lines = bodies(node);
        lines.sort_unstable();
        assert_eq!(lines, [format!("{service} failed"), format!("{service} got /order/nothing")]);
    }
    let log = &front_server["logs"][0];
    assert_eq!((&log["attributes"]["thread.id"], &log["attributes"]["spare"]), (&json!(7), &json!([1, "two", true])));
    assert_eq!(back_server["status"], "error", "{back_server}");
}

/// A Flask service asks a FastAPI service; `opentelemetry-instrument` reports both.
fn assert_python(server: &Server, endpoint: &[(&str, &str)]) {
    let run = |name: &str, back: &str| {
        let python = install::python();
        let mut command = Command::new(python.with_file_name("opentelemetry-instrument"));
        command.arg(python).arg(repository().join(format!("tests/sdk/python/{name}.py")));
        service(&mut command, name, back, endpoint)
    };
    let back = run("back", "");
    let front = run("front", &url_of(&back));
    order(&front, 409);

    let journey = journey_with(server, "\"ordering nothing\"", 5, 3);
    let front_server = node(&journey, "front", "server", None);
    let front_client = node(&journey, "front", "client", Some(&front_server));
    let back_server = node(&journey, "back", "server", Some(&front_client));
    assert_eq!((&front_server["name"], &back_server["name"]), (&json!("GET /order/<item>"), &json!("GET /stock/{item}")));
    assert_eq!(bodies(&front_server), ["ordering nothing", "no nothing left"]);
    assert_eq!(bodies(&back_server), ["stock of nothing is low"]);
    assert_eq!(back_server["logs"][0]["severity_number"], 13, "{back_server}");
}

fn service(command: &mut Command, name: &str, back: &str, settings: &[(&str, &str)]) -> Process {
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("OTEL_")) {
        command.env_remove(variable);
    }
    command
        .env("OTEL_SERVICE_NAME", name)
        .env("BACK_URL", back)
        .envs([("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_METRICS_EXPORTER", "none")])
        .env("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "true")
        // Milliseconds between two exports; the defaults are meant for production.
        .envs([("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_BLRP_SCHEDULE_DELAY", "100")])
        .envs(settings.iter().copied());
    Process::spawn(command)
}

/// Where a service serves, by the line that it prints.
fn url_of(service: &Process) -> String {
    poll("the address of a service", || {
        let ended = service.has_ended();
        let url = service.stdout().lines().find_map(|line| line.strip_prefix("serving ").map(str::to_owned));
        assert!(url.is_some() || !ended, "the service ended: {}", service.stderr());
        url
    })
}

fn order(front: &Process, status: u16) {
    let answer = crate::harness::request("GET", &format!("{}/order/nothing", url_of(front)));
    assert_eq!(answer.status, status, "{}\n{}", answer.text(), front.stderr());
}

/// The journey of the one log that matches, once so many spans and logs have arrived.
fn journey_with(server: &Server, query: &str, spans: u64, logs: u64) -> Value {
    let journey = poll(&format!("{spans} spans and {logs} logs of {query}"), || {
        let found = server.search(query);
        let journey = server.journey(found.first()?["trace_id"].as_str().expect("the SDK puts the trace id on its logs"));
        let count = |key: &str| journey["services"].as_array().unwrap().iter().map(|service| service[key].as_u64().unwrap()).sum::<u64>();
        (count("spans") >= spans && count("logs") >= logs).then_some(journey)
    });
    assert_is_a_tree(&journey);
    let mut services: Vec<_> = journey["services"].as_array().unwrap().iter().map(|service| service["name"].clone()).collect();
    services.sort_by_key(Value::to_string);
    assert_eq!(services, ["back", "front"]);
    assert_eq!(journey["completeness"]["missing_parents"], 0, "{journey}");
    let nodes = journey["nodes"].as_array().unwrap();
    assert_eq!(nodes.len() as u64, spans, "{journey}");
    assert!(nodes.iter().all(|node| node["inferred"].is_null() && node["missing"] == false), "{journey}");
    journey
}

/// The one node of a service and kind, below `parent`.
fn node(journey: &Value, service: &str, kind: &str, parent: Option<&Value>) -> Value {
    let nodes = journey["nodes"].as_array().unwrap();
    let of_kind = nodes.iter().filter(|node| node["service"] == service && node["kind"] == kind);
    let found: Vec<_> = of_kind.collect();
    assert_eq!(found.len(), 1, "nodes of {service} of kind {kind}: {journey}");
    assert_eq!(found[0]["parent_node_id"], parent.map_or(Value::Null, |parent| parent["node_id"].clone()));
    found[0].clone()
}

fn bodies(node: &Value) -> Vec<&str> {
    node["logs"].as_array().unwrap().iter().map(|log| log["body"].as_str().unwrap()).collect()
}
