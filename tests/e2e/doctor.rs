//! `needle doctor` and `needle config`.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Server, needle, run, stdout_of};

/// What the doctor says of a server, in JSON; its exit code.
fn examine(server: &Server) -> (Value, i32) {
    let process = server.process();
    let (grpc, otlp, http) = (process.address("otlp-grpc"), process.address("otlp-http"), process.address("http"));
    let data = server.data().to_str().unwrap();
    report(&run(&mut needle(&["doctor", "--json", "--otlp-grpc", &grpc, "--otlp-http", &otlp, "--http", &http, "--data", data])))
}

fn report(output: &Output) -> (Value, i32) {
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (json, output.status.code().unwrap())
}

#[track_caller]
fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("nothing about {check}: {report}"))
}

/// The worst state and its exit code: a machine may have little space, or an overlay below its temporary folder.
fn assert_code(report: &Value, code: i32) {
    let expected = match report["state"].as_str().unwrap() {
        "good" | "skipped" => 0,
        "warning" => 1,
        _ => 2,
    };
    assert_eq!(code, expected, "{report}");
}

#[test]
fn a_running_server_is_tried_and_nothing_stays_behind() {
    let server = Server::start();
    let (report, code) = examine(&server);
    for check in [
        "server",
        "port otlp-grpc",
        "port otlp-http",
        "port http",
        "round trip grpc",
        "round trip http",
        "server clock",
        "settings",
        "program",
    ] {
        assert_eq!(finding(&report, check)["state"], "good", "{report}");
    }
    for check in ["data folder", "disk space", "disk sync", "clock", "open files"] {
        assert!(finding(&report, check)["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "{report}");
    }
    assert!(finding(&report, "data folder")["found"].as_str().unwrap().contains(&format!("process {}", server.process().id())), "{report}");
    assert_code(&report, code);
    assert!(server.search("*").is_empty(), "what was sent is deleted");
    assert_eq!(report["formats"].as_array().unwrap().len(), 4);
    let data = report["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == "data").unwrap();
    assert_eq!((&data["value"], &data["origin"]), (&server.data().to_str().unwrap().into(), &"flag --data".into()));
}

#[test]
fn without_a_server_the_rest_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not/yet");
    let any = "127.0.0.1:0";
    let (report, code) = report(&run(&mut needle(&[
        "doctor",
        "--json",
        "--otlp-grpc",
        any,
        "--otlp-http",
        any,
        "--http",
        "127.0.0.1:1",
        "--data",
        missing.to_str().unwrap(),
    ])));
    assert_eq!(finding(&report, "server")["state"], "skipped");
    assert_eq!(finding(&report, "round trip grpc")["state"], "skipped");
    assert!(finding(&report, "data folder")["found"].as_str().unwrap().contains("will be made"), "{report}");
    assert_code(&report, code);
    assert!(!missing.exists(), "it makes nothing");
}

#[test]
fn a_port_of_somebody_else_and_a_folder_that_cannot_be_written_are_broken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // Listens, and answers as no needle does.
    let (heard, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in taken.incoming() {
            let mut bytes = [0; 4096];
            let length = stream.unwrap().read(&mut bytes).unwrap_or(0);
            heard.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0";
    let arguments = [
        "doctor",
        "--json",
        "--otlp-grpc",
        any,
        "--otlp-http",
        &address,
        "--http",
        "127.0.0.1:1",
        "--data",
        folder.path().to_str().unwrap(),
        "--token",
        "a-secret",
    ];
    let (report, code) = report(&run(&mut needle(&arguments)));
    let asked = hears.recv().unwrap();
    assert!(asked.starts_with("POST /v1/logs") && !asked.contains("a-secret"), "nobody else is shown the token: {asked}");
    let port = finding(&report, "port otlp-http");
    assert_eq!(port["state"], "broken", "{report}");
    assert!(port["found"].as_str().unwrap().contains(&address) && port["mend"].as_str().unwrap().contains("--otlp-http"), "{port}");
    assert_eq!(code, 2);
    let human = run(&mut needle(&arguments.iter().filter(|argument| **argument != "--json").copied().collect::<Vec<_>>()));
    let text = String::from_utf8(human.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("BROKEN   port otlp-http")), "{text}");
    assert_eq!(human.status.code(), Some(2));
}

#[test]
fn unusable_settings_are_named() {
    let output = run(&mut needle(&["doctor", "--http", "nowhere"]));
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--http nowhere"), "{output:?}");
}

#[test]
fn config_prints_every_setting_with_its_origin_as_a_file_that_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("needle.toml");
    std::fs::write(&file, "[ingest]\nnesting_max = 7\n").unwrap();
    let mut command = needle(&["config", "--config", file.to_str().unwrap(), "--otlp-http", "127.0.0.1:1"]);
    let printed = stdout_of(&run(command.env("NEEDLE_DATA", "/srv/needle")));
    for line in [
        format!("ingest.nesting_max = 7  # file {}", file.display()),
        "otlp_http = \"127.0.0.1:1\"  # flag --otlp-http".to_owned(),
        "data = \"/srv/needle\"  # environment NEEDLE_DATA".to_owned(),
        "ingest.metrics = \"refuse\"  # default".to_owned(),
        "# disk_limit is not set  # default".to_owned(),
    ] {
        assert!(printed.lines().any(|found| found == line), "{line} is not in\n{printed}");
    }
    let again = folder.path().join("printed.toml");
    std::fs::write(&again, &printed).unwrap();
    let output = run(&mut needle(&["config", "--json", "--config", again.to_str().unwrap()]));
    let settings: Value = serde_json::from_str(&stdout_of(&output)).unwrap();
    assert_eq!(settings.as_array().unwrap().len(), printed.lines().count());
}
