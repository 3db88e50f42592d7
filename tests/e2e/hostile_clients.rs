//! Exporters that may not send, pages of other sites, and clients that only hold on to what they are given.

use std::io::{Read, Write};
use std::net::TcpStream;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message as _;

use crate::guard::token;
use crate::harness::{Answer, Server, poll, post, request_with};
use crate::otlp;

const PROTOBUF: &str = "application/x-protobuf";

/// `google.rpc.Status`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn body() -> Vec<u8> {
    otlp::logs(vec![otlp::logs_of("web", vec![otlp::log("hello", 7)])]).encode_to_vec()
}

fn over_http(server: &Server, token: Option<&str>, content_type: &str, body: &[u8]) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> =
        [("content-type", content_type)].into_iter().chain(bearer.as_deref().map(|bearer| ("authorization", bearer))).collect();
    post(&format!("{}/v1/logs", server.otlp_http()), &headers, body)
}

fn over_grpc(server: &Server, token: Option<&str>) -> Result<(), tonic::Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = LogsServiceClient::connect(server.otlp_grpc()).await.unwrap();
        let mut request = tonic::Request::new(otlp::logs(vec![otlp::logs_of("web", vec![otlp::log("hello", 8)])]));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        client.export(request).await.map(|_| ())
    })
}

#[test]
fn otlp_46_a_missing_or_wrong_token_is_401_and_a_wrong_scope_403_in_the_encoding_of_the_request() {
    let server = Server::start();
    let (ingest, read) = (token(&server, "ingest", "default"), token(&server, "read", "default"));
    for (shown, status, code) in [(None, 401, 16), (Some("ndl_ingest_wrong"), 401, 16), (Some(&*read), 403, 7), (Some(&*ingest), 200, 0)] {
        let answer = over_http(&server, shown, PROTOBUF, &body());
        assert_eq!((answer.status, answer.header("content-type")), (status, PROTOBUF), "{shown:?}");
        let json = over_http(&server, shown, "application/json", b"{}");
        assert_eq!((json.status, json.header("content-type")), (status, "application/json"), "{shown:?}");
        let called = over_grpc(&server, shown);
        if code == 0 {
            assert!(called.is_ok(), "{called:?}");
            continue;
        }
        let (said, refused) = (Status::decode(&*answer.body).unwrap(), called.unwrap_err());
        assert_eq!((said.code, json.json()["code"].as_i64(), refused.code() as i32), (code, Some(code.into()), code));
        assert!(said.message.contains("needle token create") || said.message.contains("copy all of it"), "{}", said.message);
        assert_eq!((refused.message(), answer.header("retry-after")), (&*said.message, ""), "nobody sends it again");
        assert_eq!(Status::decode(refused.details()).unwrap(), said);
    }
    // A body of many megabytes is answered, not cut off.
    assert_eq!(over_http(&server, None, PROTOBUF, &vec![0; 3 << 20]).status, 401);
}

#[test]
fn otlp_75_pages_of_the_configured_sites_may_send_and_others_are_told_nothing() {
    let server = Server::start_with(&["--cors-origins", "https://shop.example,http://localhost:3000"]);
    let ingest = token(&server, "ingest", "default");
    for base in [server.otlp_http(), server.url()] {
        for path in ["/v1/logs", "/v1/traces", "/api/v1/logs"] {
            let preflight = |origin: &str| {
                let asks = [
                    ("origin", origin),
                    ("access-control-request-method", "POST"),
                    ("access-control-request-headers", "content-type,traceparent"),
                ];
                request_with("OPTIONS", &format!("{base}{path}"), &asks)
            };
            let allowed = preflight("https://shop.example");
            assert_eq!(allowed.status, 204, "{base}{path}");
            assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
            for name in ["content-type", "content-encoding", "authorization", "traceparent"] {
                assert!(allowed.header("access-control-allow-headers").contains(name));
            }
            assert!(allowed.header("vary").contains("origin") && allowed.header("access-control-allow-credentials").is_empty());
            for other in ["https://evil.example", "https://shop.example.evil", "null", "http://shop.example"] {
                let refused = preflight(other);
                assert!(refused.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{other}: {:?}", refused.headers);
                assert_ne!(refused.status, 204);
            }
        }
    }
    let bearer = format!("Bearer {ingest}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*bearer),
        ("origin", "https://shop.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let sent = post(&format!("{}/v1/logs", server.otlp_http()), &headers, b"{}");
    assert_eq!((sent.status, sent.header("access-control-allow-origin")), (200, "https://shop.example"));
    let asked = request_with("GET", &format!("{}/api/v1/count", server.url()), &[("origin", "https://shop.example")]);
    assert!(asked.header("access-control-allow-origin").is_empty(), "sending is not reading");
}

/// A server whose deadlines are short and whose places are few.
fn hasty() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("needle.toml");
    let limits = "[server]\nconnections_max = 200\nconnections_per_peer_max = 150\nheader_timeout_ms = 400\nbody_timeout_ms = 400\n";
    std::fs::write(&file, limits).unwrap();
    (Server::start_with(&["--config", file.to_str().unwrap()]), folder)
}

fn connect(url: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

#[test]
fn otlp_76_half_requests_and_slow_ones_are_given_up() {
    let (server, _folder) = hasty();
    for url in [server.otlp_http(), server.otlp_grpc(), server.url()] {
        for begin in ["", "POST /v1/lo", "POST /v1/logs HTTP/1.1\r\nhost: x\r\nx-slow: ", "PRI * HTTP/2.0\r\n\r\nSM"] {
            let mut rest = Vec::new();
            // Ends when the server closes, with or without an answer.
            let _ = connect(&url, begin).read_to_end(&mut rest);
            assert!(!rest.starts_with(b"HTTP/1.1 2"), "{begin:?}");
        }
    }
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{";
    let mut answer = String::new();
    let _ = connect(&server.otlp_http(), head).read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // One byte at a time, for as long as the server takes it.
    let mut slow = connect(&server.otlp_http(), head);
    let mut sent = 0;
    poll("the end of a body of single bytes", || {
        sent += 1;
        slow.write_all(b" ").is_err().then_some(())
    });
    assert!(sent < 10_000, "{sent} bytes");
}

#[test]
fn otlp_76_idle_connections_make_place_for_those_at_work() {
    let (server, _folder) = hasty();
    let mut idle = Vec::new();
    for round in 0..1_000 {
        idle.push(connect(&server.otlp_http(), if round % 2 == 0 { "" } else { "POST /v1/logs HTTP/1.1\r\n" }));
        if round % 100 == 0 {
            let sent = over_http(&server, None, PROTOBUF, &body());
            assert_eq!(sent.status, 200, "round {round}");
        }
    }
    let metrics = || server.get("/metrics", &[]).text();
    // Those that had to go may still be saying goodbye.
    poll("no more connections than places", || {
        let metrics = metrics();
        let open = metrics.lines().find_map(|line| line.strip_prefix("needle_server_connections{listener=\"otlp-http\"} ")).unwrap();
        (open.parse::<u64>().unwrap() <= 200).then_some(())
    });
    let metrics = metrics();
    assert!(metrics.contains("needle_server_turned_away_connections_total{listener=\"otlp-http\",reason=\"idle\"}"), "{metrics}");
}

#[test]
#[cfg(target_os = "linux")]
fn fault_68_a_server_without_file_descriptors_goes_on() {
    let data = tempfile::tempdir().unwrap();
    // The limit of this shell is that of the program.
    let script = format!(
        "ulimit -n 256 && exec {} serve --otlp-grpc 127.0.0.1:0 --otlp-http 127.0.0.1:0 --http 127.0.0.1:0 --data {}",
        crate::harness::NEEDLE,
        data.path().display()
    );
    let mut process = crate::harness::Process::spawn(std::process::Command::new("bash").args(["-c", &script]));
    process.wait_for("ready");
    let url = format!("http://{}", process.address("http"));
    let crowd: Vec<TcpStream> = (0..600).filter_map(|_| TcpStream::connect(url.trim_start_matches("http://")).ok()).collect();
    assert!(crowd.len() > 300);
    assert_eq!(request_with("GET", &format!("{url}/readyz"), &[]).status, 200);
    let logs = format!("http://{}/v1/logs", process.address("otlp-http"));
    assert_eq!(post(&logs, &[("content-type", "application/json")], b"{}").status, 200);
    drop(crowd);
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.wait(), Some(0));
}
