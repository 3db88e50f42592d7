//! Check 77: real SDKs by every protocol and compression they have. What is sent is found, field by field.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, repository, run};
use crate::install;

/// Spans, and as many logs; more than one batch of an SDK holds.
const COUNT: usize = 600;

/// Runs a sender by every protocol, with and without gzip.
fn try_all(language: &str, least_integer: i64, sender: impl Fn() -> Command) {
    let server = Server::start();
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for gzip in [false, true] {
            let service = format!("{language}-{}-{gzip}", protocol.replace('/', "-"));
            let mut command = sender();
            for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("OTEL_")) {
                command.env_remove(variable);
            }
            let endpoint = if protocol == "grpc" { server.otlp_grpc() } else { server.otlp_http() };
            command.env("COUNT", COUNT.to_string()).env("OTEL_SERVICE_NAME", &service);
            command.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            if gzip {
                command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
            }
            let output = run(&mut command);
            assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stderr));
            assert_all_arrived(&server, &service, least_integer);
        }
    }
}

fn assert_all_arrived(server: &Server, service: &str, least_integer: i64) {
    let of = |kind: &str| {
        let mut found = server.search(&format!("service:{service} kind:{kind}"));
        found.sort_by_key(|record| record["attributes"]["n"].as_u64());
        assert_eq!(found.len(), COUNT, "{service}: {kind}s");
        found
    };
    for (n, (span, log)) in of("span").iter().zip(of("log")).enumerate() {
        let attributes =
            json!({"text": "ä\u{0}\u{1f600}", "int": least_integer, "double": 0.1, "bool": true, "list": ["a", "b"], "empty": "", "n": n});
        assert_eq!(span["attributes"], attributes, "{service}");
        assert_eq!(log["attributes"], attributes, "{service}");
        assert_eq!((&span["name"], &log["body"]), (&json!(format!("span {n}")), &json!(format!("line {n}"))));
        assert_eq!((&span["span_kind"], &span["status"], &span["status_message"]), (&json!("client"), &json!("error"), &json!("failed")));
        assert_eq!((&span["events"][0]["name"], &span["events"][0]["attributes"]), (&json!("event"), &json!({"n": n})));
        assert_eq!((&span["links"][0]["span_id"], &span["links"][0]["attributes"]), (&span["span_id"], &json!({"n": n})));
        assert_eq!((&log["trace_id"], &log["span_id"]), (&span["trace_id"], &span["span_id"]));
        assert_eq!((&log["severity_number"], &log["severity"]), (&json!(13), &json!("WARN")));
        for record in [span, &log] {
            assert_eq!((&record["resource"]["service.name"], &record["scope"]), (&json!(service), &interop_scope()));
        }
    }
}

fn interop_scope() -> Value {
    json!({"name": "interop", "version": "1.2.3"})
}

#[test]
fn otlp_77_python_by_every_protocol() {
    try_all("python", i64::MIN, || {
        let mut command = Command::new(install::python());
        command.arg(repository().join("tests/sdk/python/interop.py"));
        command
    });
}

#[test]
fn otlp_77_node_by_every_protocol() {
    // Numbers of JavaScript are whole up to 2^53.
    try_all("node", -(1 << 53), || {
        let mut command = Command::new("node");
        command.arg("interop.cjs").current_dir(install::node());
        command
    });
}
