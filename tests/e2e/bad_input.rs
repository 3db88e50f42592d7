//! Bad input gets an answer that says what is wrong, where, and how to mend it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;

use prost::Message;
use serde_json::{Value, json};

use crate::harness::{Answer, Server, needle, post, repository, run, skip};
use crate::ingest::gzipped;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// The default bound of a request body, before and after decompression.
const BODY_BYTES_MAX: usize = 64 << 20;

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The message of an OTLP error, which comes in the encoding of the request.
#[track_caller]
fn refusal(answer: &Answer, status: u16, code: i32) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let told = match answer.header("content-type") {
        "application/x-protobuf" => Status::decode(&*answer.body).unwrap(),
        "application/json" => {
            let json = answer.json();
            Status { code: i32::try_from(json["code"].as_i64().unwrap()).unwrap(), message: json["message"].as_str().unwrap().to_owned() }
        }
        other => panic!("a google.rpc.Status, not {other}: {}", answer.text()),
    };
    assert_eq!(told.code, code, "{}", told.message);
    assert!(!told.message.is_empty());
    told.message
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.to_lowercase().contains(&part.to_lowercase()), "does not say `{part}`: {text}");
    }
}

#[test]
fn otlp_32_39_undecodable_bodies_are_refused_for_good() {
    let server = Server::start();
    for path in ["/v1/logs", "/v1/traces"] {
        let url = server.otlp_http() + path;
        let protobuf = post(&url, &[PROTOBUF], b"\x0a\xff\xff\xff\x0fnot a message");
        refusal(&protobuf, 400, 3);
        assert_eq!(protobuf.header("content-type"), PROTOBUF.1);
        for body in [&b"{\"resourceSpans\": [{"[..], b"", b"not json", b"{\"resourceLogs\": 7, \"resourceSpans\": 7}"] {
            let json = post(&url, &[JSON], body);
            assert_says(&refusal(&json, 400, 3), &["json"]);
            assert_eq!(json.header("content-type"), JSON.1);
        }
        let torn = &gzipped(b"{}")[..12];
        assert_says(&refusal(&post(&url, &[JSON, ("content-encoding", "gzip")], torn), 400, 3), &["gzip"]);
    }
    assert!(server.search("*").is_empty());
}

#[test]
fn otlp_14_18_other_content_types_and_encodings_are_refused_with_those_that_work() {
    let server = Server::start();
    let url = server.otlp_http() + "/v1/logs";
    for headers in [&[("content-type", "text/html")][..], &[]] {
        let answer = post(&url, headers, b"{}");
        assert_says(&refusal(&answer, 415, 3), &["application/x-protobuf", "application/json"]);
    }
    let answer = post(&url, &[JSON, ("content-encoding", "br")], b"{}");
    // `UNIMPLEMENTED`, as gRPC says it of an encoding.
    assert_says(&refusal(&answer, 415, 12), &["br", "gzip"]);
    assert_says(answer.header("accept-encoding"), &["gzip"]);

    let lines = server.post("/api/v1/logs", "text/html", "<p>");
    assert_eq!(lines.status, 415, "{}", lines.text());
    assert_says(&lines.text(), &["text/html", "application/json", "text/plain"]);
}

#[test]
fn otlp_22_23_over_long_bodies_are_refused_before_and_after_decompression() {
    let server = Server::start();
    let url = server.otlp_http() + "/v1/logs";
    let bomb = gzipped(&vec![b' '; BODY_BYTES_MAX + 1]);
    assert!(bomb.len() < BODY_BYTES_MAX / 10);
    for kind in [PROTOBUF, JSON] {
        let answer = post(&url, &[kind, ("content-encoding", "gzip")], &bomb);
        assert_says(&refusal(&answer, 413, 8), &[&BODY_BYTES_MAX.to_string()]);
    }
    for address in [server.process().address("otlp-http"), server.process().address("http")] {
        let status = status_of_long_body(&address);
        assert!(status.starts_with("HTTP/1.1 413 "), "{status}");
    }
    // And it still serves.
    server.send_lines(&[json!({"msg": "still here"})]);
}

/// Sends until the server has heard enough, then reads what it says.
fn status_of_long_body(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        BODY_BYTES_MAX + 1
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let block = vec![b' '; 1 << 20];
        (0..=BODY_BYTES_MAX / block.len()).all(|_| writer.write_all(&block).is_ok())
    });
    let mut start = [0; 16];
    let result = stream.read_exact(&mut start);
    stream.shutdown(std::net::Shutdown::Both).ok();
    sender.join().unwrap();
    result.unwrap_or_else(|error| panic!("{address} closed without an answer: {error}"));
    String::from_utf8_lossy(&start).into_owned()
}

#[test]
fn bad_ids_are_refused_by_name() {
    let server = Server::start();
    for id in ["-", "null", "00000000000000000000000000000000", &"x".repeat(300)] {
        let answer = server.get(&format!("/api/v1/journey/{id}"), &[]);
        assert!(matches!(answer.status, 400 | 404), "{id}: {} {}", answer.status, answer.text());
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|message| message.contains(&id[..1])), "{}", answer.text());
    }
    let span = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz", "spanId": "0102030405060708", "name": "a"}]}]}]});
    let answer = post(&(server.otlp_http() + "/v1/traces"), &[JSON], span.to_string().as_bytes());
    assert_says(&refusal(&answer, 400, 3), &["trace", "zz"]);
}

#[test]
fn bad_queries_are_refused_with_the_place() {
    let server = Server::start();
    let cases = [
        ("service:(orders", 8),
        ("\"open phrase", 0),
        ("/open[/", 0),
        ("level>=loud", 7),
        ("duration>fast", 9),
        ("a AND", 2),
        ("(a OR b", 0),
        ("a )", 2),
    ];
    for (query, position) in cases {
        for path in ["/api/v1/search", "/api/v1/tail"] {
            let error = server.get(path, &[("q", query)]).expect(400)["error"].clone();
            let told = usize::try_from(error["position"].as_u64().unwrap_or_else(|| panic!("{query}: no position: {error}"))).unwrap();
            // The place where it is noticed may be a little further on than where it began.
            assert!((position..=query.len()).contains(&told), "{query}: {error}");
            let caret = error["caret"].as_str().unwrap_or_else(|| panic!("{query}: no caret: {error}"));
            let lines: Vec<&str> = caret.lines().collect();
            assert_eq!(lines[0].find(query).map(|start| start + told), lines[1].find('^'), "{query}:\n{caret}");
        }
    }
}

#[test]
fn bad_parameters_are_refused_by_name() {
    let server = Server::start();
    let cases = [("start", "yesterdayish"), ("end", "-"), ("limit", "many"), ("order", "sideways"), ("cursor", "made-up")];
    for (name, value) in cases {
        let error = server.get("/api/v1/search", &[("q", "*"), (name, value)]).expect(400);
        assert_says(error["error"]["message"].as_str().unwrap(), &[name]);
    }
    let nowhere = server.get("/api/v1/nowhere", &[]);
    assert_says(nowhere.expect(404)["error"]["message"].as_str().unwrap(), &["/api/v1/nowhere"]);
}

#[test]
fn otlp_29_hostile_nesting_is_refused_and_the_server_lives() {
    let server = Server::start();
    let deep = format!("{}{}{}", "{\"arrayValue\":{\"values\":[".repeat(20_000), "{}", "]}}".repeat(20_000));
    let body = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"timeUnixNano\":\"1\",\"body\":{deep}}}]}}]}}]}}");
    let answer = post(&(server.otlp_http() + "/v1/logs"), &[JSON], body.as_bytes());
    refusal(&answer, 400, 3);
    let lines = server.post(
        "/api/v1/logs",
        "application/x-ndjson",
        format!("{}1{}\n{{\"msg\":\"fine\"}}\n", "{\"a\":".repeat(20_000), "}".repeat(20_000)),
    );
    assert_eq!(lines.expect(200)["accepted"].as_u64().map(|accepted| accepted >= 1), Some(true));
    assert_eq!(server.search("fine").len(), 1);
}

/// Runs `serve` with settings it must refuse.
fn unusable(arguments: &[&str]) -> String {
    let any_port = "127.0.0.1:0";
    let folder = tempfile::tempdir().unwrap();
    let mut command = needle(&["serve"]);
    for (flag, value) in
        [("--otlp-grpc", any_port), ("--otlp-http", any_port), ("--http", any_port), ("--data", folder.path().to_str().unwrap())]
    {
        if !arguments.contains(&flag) {
            command.args([flag, value]);
        }
    }
    let Output { status, stderr, .. } = run(command.args(arguments));
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(78), "{arguments:?}: {stderr}");
    let said: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("listening on ")).collect();
    assert_eq!(said.len(), 1, "one sentence: {stderr}");
    said[0].to_owned()
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--http", "--otlp-http", "--otlp-grpc"] {
        assert_says(&unusable(&[flag, &address]), &[&address, flag, "in use"]);
    }
}

#[test]
fn a_locked_folder_names_the_process_that_has_it() {
    let server = Server::start();
    let folder = server.data().to_str().unwrap();
    assert_says(&unusable(&["--data", folder]), &[folder, &server.process().id().to_string(), "--data"]);
    server.send_lines(&[json!({"msg": "undisturbed"})]);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    assert_says(&unusable(&["--data", file.to_str().unwrap()]), &[file.to_str().unwrap()]);

    let sealed = folder.path().join("sealed");
    std::fs::create_dir(&sealed).unwrap();
    std::fs::set_permissions(&sealed, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    if std::fs::write(sealed.join("probe"), "").is_ok() {
        return skip("a data folder without permission", "this user may write anywhere");
    }
    assert_says(&unusable(&["--data", sealed.to_str().unwrap()]), &[sealed.to_str().unwrap(), "permission"]);
}

#[test]
fn bad_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = folder.path().join("needle.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let unknown = file("retentoin = \"7d\"\n");
    assert_says(&unusable(&["--config", &unknown]), &[&unknown, "retentoin"]);
    let wrong = file("http = 7\n");
    assert_says(&unusable(&["--config", &wrong]), &[&wrong, "http"]);
    let broken = file("http = \n");
    assert_says(&unusable(&["--config", &broken]), &[&broken, "line 1"]);
    assert_says(&unusable(&["--config", "no-such-file.toml"]), &["no-such-file.toml"]);
}

#[test]
fn listening_to_the_world_needs_the_flag_that_says_so() {
    for flag in ["--http", "--otlp-http", "--otlp-grpc"] {
        assert_says(&unusable(&[flag, "0.0.0.0:0"]), &["0.0.0.0", "--insecure-listen=i-understand"]);
    }
}

#[test]
fn http_on_the_grpc_port_is_told_where_to_go() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.process().address("otlp-grpc")).unwrap();
    stream
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_says(&answer, &["gRPC", "HTTP"]);
}

#[test]
fn the_sample_settings_are_read_by_the_program() {
    let sample = repository().join("deploy/needle.toml");
    let server = Server::start_with(&["--config", sample.to_str().unwrap()]);
    assert_eq!(server.get("/readyz", &[]).status, 200);
    let _: Value = server.get("/api/v1/services", &[]).expect(200);
}
