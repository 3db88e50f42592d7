//! Records that are valid and strange: they are stored as they are, or refused by name, and others are not affected.

use std::io::Read;

use serde_json::{Value, json};

use crate::harness::{Server, needle, poll, post, try_get};
use crate::otlp::{self, MS};
use crate::search::START;

fn send(server: &Server, body: &str) -> Value {
    server.post("/api/v1/logs", "application/x-ndjson", body).expect(200)
}

fn only(server: &Server, query: &str) -> Value {
    let mut found = server.search(query);
    assert_eq!(found.len(), 1, "{query}");
    found.pop().unwrap()
}

/// Fault 39: they are kept as they came, live and sealed.
#[test]
fn times_far_off_are_kept() {
    let server = Server::start();
    let times = [("first", 1_u64), ("of 1970", 86_400_000_000_000), ("of 2100", 4_102_444_800_000_000_000), ("last", u64::MAX - 1)];
    let records = times.iter().map(|(name, time)| otlp::log(name, *time)).collect();
    let body = prost::Message::encode_to_vec(&otlp::logs(vec![otlp::logs_of("odd-clock", records)]));
    assert_eq!(server.post("/v1/logs", "application/x-protobuf", body).status, 200);
    let told = || -> Vec<Value> {
        let mut found = server.search("service:odd-clock");
        found.reverse();
        found.iter().map(|record| json!([record["body"], record["timestamp"]])).collect()
    };
    let live = told();
    let names: Vec<&str> = live.iter().map(|record| record[0].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "of 1970", "of 2100", "last"], "in the order of their times");
    assert_eq!(live[2][1], "2100-01-01T00:00:00.000000000Z");
    server.flush();
    assert_eq!(told(), live);
}

/// Fault 44.
#[test]
fn a_body_of_ten_megabytes_comes_back_whole_and_a_larger_one_is_refused_by_name() {
    let server = Server::start();
    let text = "0123456789abcdef ".repeat(620_000);
    let line = |text: &str| json!({"ts": START, "service": "verbose", "msg": text}).to_string();
    assert_eq!(send(&server, &line(&text))["accepted"], 1);
    assert_eq!(only(&server, "service:verbose")["body"].as_str().unwrap().len(), text.len());
    server.flush();
    assert!(only(&server, "service:verbose")["body"] == text.as_str(), "it is whole");
    let refused = send(&server, &format!("{}\n{}", line(&"x".repeat(17 << 20)), line("short")));
    assert_eq!(refused["accepted"], 1, "the other is stored");
    let reason = refused["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("record_bytes_max") && reason.contains("16777216"), "{reason}");
}

/// Fault 45: no schema grows, and all of it is found.
#[test]
fn ten_thousand_attributes_and_as_many_different_keys_are_stored() {
    let server = Server::start();
    let mut wide = json!({"ts": START, "service": "wide", "msg": "wide"});
    (0..10_000).for_each(|n| wide[format!("key.{n}")] = json!(n));
    let narrow = |n: u32| json!({"ts": START + u64::from(n), "service": "many", "msg": "narrow", format!("own.{n}"): n});
    let long_key = json!({"ts": START, "service": "long", "msg": "long", "k".repeat(1 << 20): 1});
    server.send_lines(&[wide, long_key]);
    (0..10).for_each(|part| server.send_lines(&(part * 1_000..part * 1_000 + 1_000).map(narrow).collect::<Vec<_>>()));
    for state in ["live", "sealed"] {
        assert_eq!(only(&server, "service:wide")["attributes"].as_object().unwrap().len(), 10_000, "{state}");
        assert_eq!(only(&server, "key.9999:9999")["service"], "wide", "{state}");
        assert_eq!(only(&server, "own.7777:7777")["service"], "many", "{state}");
        assert_eq!(only(&server, "service:long")["attributes"].as_object().unwrap().keys().next().unwrap().len(), 1 << 20, "{state}");
        server.flush();
    }
}

/// Fault 48.
#[test]
fn numbers_at_the_edge_are_kept_exactly_and_have_an_order() {
    let server = Server::start();
    let lines = [
        ("largest", "9223372036854775807"),
        ("smallest", "-9223372036854775808"),
        ("tiny", "5e-324"),
        ("minus zero", "-0.0"),
        ("one", "1"),
    ];
    let body: String = lines
        .iter()
        .map(|(name, number)| format!("{{\"ts\":{START},\"service\":\"sums\",\"msg\":\"{name}\",\"amount\":{number}}}\n"))
        .collect();
    assert_eq!(send(&server, &body)["accepted"], lines.len());
    for state in ["live", "sealed"] {
        for (name, number) in lines {
            let record = only(&server, &format!("service:sums \"{name}\""));
            let expected: Value = serde_json::from_str(number).unwrap();
            assert_eq!(record["attributes"]["amount"], expected, "{state} {name}");
        }
        let sorted = server.get("/api/v1/aggregate", &[("q", "service:sums | max(amount), min(amount)")]).expect(200);
        assert_eq!(sorted["rows"][0][0].as_f64(), Some(9_223_372_036_854_775_807_f64), "{state} {sorted}");
        assert_eq!(sorted["rows"][0][1].as_f64(), Some(-9_223_372_036_854_775_808_f64), "{state} {sorted}");
        server.flush();
    }
    let too_large =
        server.post("/api/v1/logs", "application/x-ndjson", format!("{{\"ts\":{START},\"msg\":\"too large\",\"amount\":1e400}}\n"));
    assert_eq!(too_large.status, 400);
    assert!(too_large.text().contains("number out of range"), "{}", too_large.text());
}

/// Fault 52: what all requests share is no request.
#[test]
fn an_id_that_everything_carries_melts_nothing_together() {
    let server = Server::start();
    let line = |n: u64| json!({"ts": START + n * 1_000_000_000, "service": format!("s{}", n % 50), "msg": "probe", "x-request-id": "test", "trace_id": format!("{:032x}", n + 1)});
    (0..20).for_each(|part| server.send_lines(&(part * 500..part * 500 + 500).map(line).collect::<Vec<_>>()));
    server.flush();
    let one = server.journey(&format!("{:032x}", 77));
    let logs: usize = one["nodes"].as_array().unwrap().iter().map(|node| node["logs"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(logs, 1, "only its own: {}", one["services"]);
    assert_eq!(one["hubs"][0]["id"], "test", "{}", one["hubs"]);
}

/// Fault 63: who does not read is told what it missed, and nobody waits for it.
#[test]
fn a_tail_that_is_not_read_holds_nobody_up() {
    let server = Server::start();
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let stalled = agent.get(format!("{}/api/v1/tail", server.url())).query_pairs([("q", "*")]).call().unwrap();
    let padding = "y".repeat(2_000);
    let before = resident_bytes(&server);
    for part in 0..60_u64 {
        let lines: Vec<Value> =
            (0..500).map(|n| json!({"ts": START + part * 500 + n, "service": "loud", "msg": format!("{n} {padding}")})).collect();
        server.send_lines(&lines);
    }
    let more = resident_bytes(&server).saturating_sub(before);
    // 60 MB of text were sent and may be live; what a tail keeps is bounded besides.
    assert!(more < 500 << 20, "{more} bytes more");
    let (mut reader, mut first) = (stalled.into_body().into_with_config().limit(u64::MAX).reader(), [0; 4096]);
    assert!(reader.read(&mut first).unwrap() > 0, "it still gets something when it reads");
    assert_eq!(server.get("/api/v1/search", &[("q", "service:loud"), ("limit", "1")]).status, 200);
}

fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Fault 66: they wait for each other, and records are taken in meanwhile.
#[test]
fn a_thousand_questions_at_once_are_answered_while_records_arrive() {
    let server = Server::start();
    server.send_lines(&(0..2_000).map(|n| json!({"ts": START + n, "service": "s", "msg": format!("word{n}")})).collect::<Vec<_>>());
    let url = format!("{}/api/v1/search", server.url());
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..1_000)
            .map(|n| {
                let url = &url;
                scope.spawn(move || try_get(url, &[("q", &format!("word{n}")), ("limit", "1")]).unwrap().status)
            })
            .collect();
        (0..20).for_each(|n| server.send_lines(&[json!({"ts": START + n, "service": "new", "msg": "meanwhile"})]));
        let statuses: Vec<u16> = asking.into_iter().map(|asked| asked.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    });
    assert_eq!(server.search("service:new").len(), 20);
}

/// Faults 35 and 68: connections wait until there are files again; the server lives.
#[test]
fn few_open_files_are_enough_to_live() {
    let data = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0";
    let program = needle(&[]).get_program().to_string_lossy().into_owned();
    let mut command = std::process::Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 256; exec \"$0\" serve --otlp-grpc \"$1\" --otlp-http \"$1\" --http \"$1\" --data \"$2\"",
        &program,
        any,
    ]);
    let process = crate::harness::Process::spawn(command.arg(data.path()));
    process.wait_for("ready");
    assert!(process.stderr().contains("open files"), "it warns: {}", process.stderr());
    let address = process.address("http");
    let idle: Vec<_> = (0..400).map_while(|_| std::net::TcpStream::connect(&address).ok()).collect();
    assert!(!process.has_ended());
    drop(idle);
    let line = json!({"ts": otlp::now() - MS, "service": "later", "msg": "still here"}).to_string();
    poll("an answer again", || {
        let sent = post(&format!("http://{address}/api/v1/logs"), &[("content-type", "application/x-ndjson")], line.as_bytes());
        (sent.status == 200).then_some(())
    });
    assert!(!process.has_ended());
}

/// Fault 36, in small.
#[test]
fn open_files_do_not_grow_with_use() {
    let server = Server::start();
    let open_files = || std::fs::read_dir(format!("/proc/{}/fd", server.process().id())).unwrap().count();
    let use_it = |rounds: std::ops::Range<u64>| {
        for round in rounds {
            server.send_lines(&[
                json!({"ts": START + round, "service": "s", "msg": format!("round {round}"), "request_id": format!("req-{round}")}),
            ]);
            server.post("/api/v1/admin/flush?merge=true", "application/json", "").expect(200);
            assert_eq!(server.search(&format!("request:req-{round}")).len(), 1);
        }
    };
    use_it(0..10);
    let before = open_files();
    use_it(10..40);
    assert!(open_files() <= before + 10, "{before} files were open, then {}", open_files());
}
