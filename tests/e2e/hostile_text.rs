//! Text that would like to be more than text comes in at every place of a record, and stays text wherever it comes out: in answers
//! of the API, on terminals, in files, in our own log, in the browser.

mod corpus;

use std::path::Path;
use std::process::{Command, Output};

use prost::Message as _;
use serde_json::json;

use crate::harness::{NEEDLE, Server, post, repository, run, run_to_the_end, say, skip, stdout_of};
use crate::otlp::{self, MS, attribute, text_attribute};
use corpus::corpus;

/// Records of one request.
const BATCH: usize = 100;

/// A server to which every text came as body, attribute key and value, service, span name, event, request id and level, by OTLP
/// and as JSON lines. Half of it is sealed.
fn stocked(texts: &[String]) -> Server {
    let server = Server::start();
    let start = otlp::now() - 60_000 * MS;
    for (number, batch) in texts.chunks(BATCH).enumerate() {
        let time = |at: usize| start + (number * BATCH + at) as u64 * MS;
        let logs = batch.iter().enumerate().map(|(at, text)| {
            let mut log = otlp::log(text, time(at));
            log.severity_text.clone_from(text);
            log.event_name.clone_from(text);
            log.attributes = vec![
                text_attribute("probe", &format!("log-{}", number * BATCH + at)),
                text_attribute("value", text),
                text_attribute("request_id", text),
                text_attribute(text, text),
            ];
            otlp::logs_of(text, vec![log])
        });
        send(&server, "/v1/logs", &otlp::logs(logs.collect()).encode_to_vec());
        let spans = batch.iter().enumerate().map(|(at, text)| {
            let mut span = otlp::span(&otlp::unique(16), text, time(at), time(at) + MS);
            span.attributes = vec![text_attribute("probe", &format!("span-{}", number * BATCH + at)), text_attribute("value", text)];
            span.attributes.push(attribute(text, otlp::texts(&[text.as_str(), text.as_str()]).value.unwrap()));
            span.status = otlp::failed(text);
            span.events = vec![opentelemetry_proto::tonic::trace::v1::span::Event {
                time_unix_nano: time(at),
                name: text.clone(),
                attributes: vec![text_attribute("exception.message", text)],
                ..Default::default()
            }];
            otlp::spans_of(text, vec![span])
        });
        send(&server, "/v1/traces", &otlp::traces(spans.collect()).encode_to_vec());
        let lines = batch.iter().enumerate().map(|(at, text)| {
            let probe = format!("json-{}", number * BATCH + at);
            json!({"ts": time(at), "msg": text, "service": text, "level": text, "probe": probe, "value": text, "request_id": text, "in": {text: text}})
        });
        server.send_lines(&lines.collect::<Vec<_>>());
        if number == texts.len() / BATCH / 2 {
            server.flush();
        }
    }
    server
}

fn send(server: &Server, path: &str, body: &[u8]) {
    let answer = post(&format!("{}{path}", server.otlp_http()), &[("content-type", "application/x-protobuf")], body);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "nothing is rejected: {}", answer.text());
}

/// What a terminal obeys, or shows as if it stood elsewhere.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character), 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// Every line that was printed is inert.
#[track_caller]
fn assert_inert(what: &str, text: &str, allowed: &[char]) {
    let found = text.chars().enumerate().find(|(_, character)| is_active(*character) && !allowed.contains(character));
    if let Some((at, character)) = found {
        let around: String = text.chars().skip(at.saturating_sub(80)).take(160).collect();
        panic!("{what}: {character:?} in {around:?}");
    }
}

fn query_of(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn a_thousand_hostile_texts_come_back_as_they_were_sent() {
    let texts = corpus();
    assert!(texts.len() >= 1_000, "{} texts", texts.len());
    say(&format!("hostile texts: {}", texts.len()));
    let server = stocked(&texts);
    let records = server.search("probe:*");
    assert_eq!(records.len(), 3 * texts.len());
    for record in &records {
        let probe = record["attributes"]["probe"].as_str().unwrap();
        let (kind, number) = probe.split_once('-').unwrap();
        let text = &texts[number.parse::<usize>().unwrap()];
        let said = if kind == "span" { &record["name"] } else { &record["body"] };
        assert_eq!(
            (said.as_str().unwrap_or_default(), record["attributes"]["value"].as_str()),
            (text.as_str(), Some(text.as_str())),
            "{probe}"
        );
        if kind == "log" && !text.is_empty() {
            assert_eq!(record["attributes"][text], **text, "{probe}: the key");
            assert_eq!(record["service"], **text, "{probe}");
        }
        if kind == "span" {
            assert_eq!(record["events"][0]["attributes"]["exception.message"], **text, "{probe}");
            assert_eq!(record["status_message"].as_str().unwrap_or_default(), text, "{probe}");
        }
    }
    answers_are_not_documents(&server, &texts);
    assert_inert("our own log", &server.process().stderr(), &['\n']);
}

/// No answer is one that a browser would run, and no header says what a sender said.
fn answers_are_not_documents(server: &Server, texts: &[String]) {
    for text in texts.iter().filter(|text| text.len() < 2_000).step_by(7) {
        let quoted = query_of(text);
        let service = format!("service:{quoted}");
        let answers = [
            server.get("/api/v1/search", &[("q", &service), ("limit", "3")]),
            server.get("/api/v1/search", &[("q", text), ("cursor", text)]),
            server.get("/api/v1/fields/service/values", &[("prefix", text)]),
            server.get("/api/v1/journey/x", &[("cursor", text)]),
            server.get("/api/v1/aggregate", &[("q", &format!("{service} | count() by service"))]),
            server.get("/api/v1/aggregate", &[("q", &format!("* | count() by {quoted}"))]),
            server.post("/api/v1/sql", "application/json", json!({"query": text}).to_string()),
            server.post(&format!("/api/v1/logs?service={}", percent(text)), "application/json", "["),
        ];
        for answer in answers {
            assert!(answer.status < 500, "{text:?}: {} {}", answer.status, answer.text());
            assert_eq!(answer.header("content-type").split(';').next(), Some("application/json"), "{text:?}: {answer:?}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{text:?}");
            assert!(answer.headers.get("set-cookie").is_none() && answer.headers.get("x-injected").is_none(), "{text:?}: {answer:?}");
            answer.json();
        }
    }
    let metrics = server.get("/metrics", &[]).text();
    assert!(!metrics.lines().any(|line| line.starts_with("forged")), "{metrics}");
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn commands_print_nothing_that_is_obeyed() {
    let texts = corpus();
    let server = stocked(&texts);
    let journeys: Vec<String> = ids_of_some(&server);
    let commands: Vec<Vec<&str>> = [
        vec!["grep", "probe:*", "--limit", "0"],
        vec!["grep", "probe:*", "-R", "--limit", "40"],
        vec!["grep", "probe:*", "-l", "--limit", "0"],
        vec!["grep", "probe:*", "--fields", "body,service,level,name,value,request_id", "--limit", "0"],
        vec!["fields"],
        vec!["fields", "service", "--limit", "1000"],
        vec!["services"],
        vec!["services", "--graph"],
        vec!["patterns", "--limit", "1000"],
        vec!["compare", "kind:span"],
        vec!["sql", "select service, body, level from logs"],
        vec!["sql", "select name, status_message from spans"],
        vec!["grep", "* | count() by service, level | limit 1000"],
    ]
    .into_iter()
    .chain(journeys.iter().flat_map(|id| [vec!["trace", id.as_str()], vec!["trace", id.as_str(), "--flat"]]))
    .collect();
    for command in &commands {
        // What people and line tools read is made safe in a pipe, too; whoever wants bytes takes csv, json or raw.
        for format in ["human", "logfmt"] {
            let mut arguments = command.clone();
            arguments.extend(["-o", format, "--allow-partial", "--color", "never"]);
            if !arguments.contains(&"--graph") || format == "human" {
                let output = server.cli(&arguments);
                // Some find nothing, which is not what is tried here.
                assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {output:?}");
                assert_inert(&format!("{arguments:?}"), &String::from_utf8(output.stdout).unwrap(), &['\n']);
                assert_inert(&format!("notes of {arguments:?}"), &String::from_utf8_lossy(&output.stderr), &['\n']);
            }
        }
        for format in ["human", "logfmt", "json", "csv"] {
            on_a_terminal(&server, command, format);
        }
    }
    raw_is_meant_and_indented(&server);
    cells_are_no_formulas(&server);
    assert_inert("our own log", &server.process().stderr(), &['\n']);
}

/// Ids whose journeys are short; by their trace, since a request id that is hostile is tried through `-R`.
fn ids_of_some(server: &Server) -> Vec<String> {
    let spans = server.get("/api/v1/search", &[("q", "kind:span"), ("limit", "200")]).expect(200);
    let spans = spans["records"].as_array().unwrap().iter().step_by(25);
    spans.map(|span| span["trace_id"].as_str().unwrap().to_owned()).collect()
}

/// A line of Python that runs a command on a terminal of its own and prints what that was sent, its line ends as they were.
const TERMINAL: &str = "import os,pty,sys\n\
    def read(fd):\n    data=os.read(fd,65536)\n    sys.stdout.buffer.write(data)\n    return data\n\
    pid,fd=pty.fork()\n\
    if pid==0:\n    os.execvp(sys.argv[1],sys.argv[1:])\n\
    try:\n    while read(fd): pass\nexcept OSError: pass\n\
    sys.stdout.flush()\nsys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))";

fn in_terminal(server: &Server, arguments: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL, NEEDLE]).args(arguments);
    command.env("NEEDLE_URL", server.url()).env("TERM", "xterm").env_remove("NO_COLOR");
    run(&mut command)
}

fn on_a_terminal(server: &Server, command: &[&str], format: &str) {
    let mut arguments = command.to_vec();
    arguments.extend(["-o", format, "--allow-partial", "--color", "never"]);
    let output = in_terminal(server, &arguments);
    let allowed: &[char] = if format == "csv" { &['\n', '\t'] } else { &['\n'] };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty() || output.status.code() == Some(1), "{arguments:?} says nothing");
    // The terminal itself makes CR LF of every line end.
    assert_inert(&format!("{arguments:?} on a terminal"), &text.replace("\r\n", "\n"), allowed);
}

/// `-o raw` does not go to a terminal unasked, and no line of a body looks like a record.
fn raw_is_meant_and_indented(server: &Server) {
    let arguments = ["grep", "probe:*", "--limit", "0", "-o", "raw"];
    let refused = in_terminal(server, &arguments);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--yes"), "{said}");
    let meant = in_terminal(server, &[arguments.as_slice(), &["--yes"]].concat());
    assert!(meant.status.success() && meant.stdout.contains(&0x1b));
    let piped = server.cli(&arguments);
    let text = stdout_of(&piped);
    let forged = text
        .split(['\n', '\r'])
        .find(|line| line.starts_with("2026-11-28") || line.starts_with("> forged") || line.starts_with("ERROR forged"));
    assert_eq!(forged, None);
    assert!(text.contains("\n    2026-11-28T12:00:00Z ERROR audit"));
}

/// Neither the command line nor the API writes a cell that a spreadsheet computes.
fn cells_are_no_formulas(server: &Server) {
    let sql = "select service, body, level from logs";
    let asked = [("content-type", "application/json"), ("accept", "text/csv")];
    let answer = post(&format!("{}/api/v1/sql", server.url()), &asked, json!({ "query": sql }).to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let printed = |arguments: &[&str]| stdout_of(&server.cli(arguments));
    let files = [
        answer.text(),
        printed(&["sql", sql, "-o", "csv"]),
        printed(&["grep", "probe:*", "--limit", "0", "-o", "csv"]),
        printed(&["grep", "probe:*", "--limit", "0", "-o", "csv", "--fields", "value,service,name"]),
        printed(&["fields", "service", "--limit", "1000", "-o", "csv"]),
        printed(&["services", "-o", "csv"]),
        printed(&["patterns", "--limit", "1000", "-o", "csv"]),
    ];
    for file in files {
        let cells = cells(&file);
        assert!(cells.len() > 500, "{} cells", cells.len());
        let formula = cells.iter().find(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']) && cell.parse::<f64>().is_err());
        assert_eq!(formula, None);
        assert!(cells.iter().any(|cell| cell.starts_with("'=")), "they are there, as text");
    }
}

/// The cells of a file of comma-separated values (RFC 4180).
fn cells(file: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = file.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            character => cell.push(character),
        }
    }
    cells
}

#[test]
fn bytes_that_are_no_text_are_refused_or_marked() {
    let server = Server::start();
    // Overlong forms, surrogates, and beyond the last character.
    for bad in [
        &b"\xc0\xaf"[..],
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xb0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\x80",
        b"\xc3",
    ] {
        let lines = [b"{\"msg\":\"".as_slice(), bad, b"\"}"].concat();
        assert_eq!(server.post("/api/v1/logs", "application/x-ndjson", &lines).status, 400, "{bad:x?}");
        let message = [
            &[
                0x0a,
                (8 + bad.len()) as u8,
                0x12,
                (6 + bad.len()) as u8,
                0x12,
                (4 + bad.len()) as u8,
                0x2a,
                (2 + bad.len()) as u8,
                0x0a,
                bad.len() as u8,
            ],
            bad,
        ]
        .concat();
        let answer = post(&format!("{}/v1/logs", server.otlp_http()), &[("content-type", "application/x-protobuf")], &message);
        assert_eq!(answer.status, 400, "{bad:x?}: {}", answer.text());
    }
    // JSON that escapes half a character.
    for half in ["\\ud800", "\\udc00", "x\\ud83dy"] {
        let answer = server.post("/api/v1/logs", "application/json", format!("{{\"msg\":\"{half}\"}}"));
        assert!(answer.status == 200 || answer.status == 400, "{half}: {}", answer.text());
    }
    for record in server.search("*") {
        assert_inert("what was taken", record["body"].as_str().unwrap_or_default(), &[]);
    }
    assert_inert("our own log", &server.process().stderr(), &['\n']);
}

/// A tenant or service that is a path stays below the data folder, and makes no file of its name.
#[test]
fn names_are_no_paths() {
    let server = Server::start();
    for name in ["../../escape", "/tmp/escape", "..%2fescape", "a/../../escape", "..", ".", "escape\0", "CON", "a\\..\\escape"] {
        server.send_lines(&[json!({"msg": "x", "service": name})]);
        for header in ["x-needle-tenant", "x-scope-orgid", "x-tenant"] {
            let answer = post(
                &format!("{}/api/v1/logs", server.url()),
                &[("content-type", "application/json"), (header, &name.replace('\0', ""))],
                b"{\"msg\":\"x\"}",
            );
            assert!(answer.status < 500, "{header}: {name}: {}", answer.text());
        }
        for path in [
            "/../../etc/passwd",
            "/..%2f..%2fetc%2fpasswd",
            "/assets/..%2f..%2f..%2fetc%2fpasswd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/assets/%00",
        ] {
            let answer = server.get(path, &[]);
            assert!(!answer.text().contains("root:"), "{path}");
            assert!(answer.status < 500, "{path}: {}", answer.status);
        }
    }
    server.flush();
    let parent = server.data().parent().unwrap();
    assert!(!parent.join("escape").exists() && !Path::new("/tmp/escape").exists());
    let tenants: Vec<String> =
        std::fs::read_dir(server.data()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(tenants.iter().all(|name| name == "default" || name == "_needle"), "{tenants:?}");
}

#[test]
fn a_browser_shows_them_as_text() {
    let folder = repository().join("web/ui");
    if !cfg!(feature = "ui") {
        return skip("hostile text in a browser", "built without the feature `ui`");
    }
    let Some(browser) =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].into_iter().find(|path| Path::new(path).exists())
    else {
        return skip("hostile text in a browser", "there is no Chromium; `make test` installs it");
    };
    if !folder.join("node_modules").is_dir() {
        return skip("hostile text in a browser", "web/ui/node_modules is missing; `make test` installs it");
    }
    let texts = corpus();
    let server = stocked(&texts);
    let trace = otlp::unique(16);
    let whole = one_journey(&server, &texts, &trace);
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", "hostile"]).current_dir(folder);
    npm.envs([("NEEDLE_URL", server.url()), ("NEEDLE_JOURNEY", whole), ("NEEDLE_JOURNEYS", ids_of_some(&server)[..2].join(","))]);
    npm.env("CHROMIUM", browser);
    let output = run_to_the_end(&mut npm);
    say(String::from_utf8_lossy(&output.stdout).trim_end());
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// A journey that holds all the texts: spans of services, their logs, events, attributes.
fn one_journey(server: &Server, texts: &[String], trace: &[u8]) -> String {
    let start = otlp::now() - 30_000 * MS;
    let root = otlp::span(trace, "root", start, start + 20_000 * MS);
    let mut spans = vec![otlp::spans_of("front", vec![root.clone()])];
    let mut logs = Vec::new();
    for (number, text) in texts.iter().enumerate().filter(|(_, text)| text.len() < 2_000) {
        let begin = start + (1 + number as u64) * 10 * MS;
        let mut span = otlp::child_of(&root, text, begin, begin + 5 * MS);
        span.attributes = vec![text_attribute(text, text), text_attribute("http.url", text), text_attribute("value", text)];
        span.status = otlp::failed(text);
        logs.push(otlp::logs_of(text, vec![otlp::log_in(&span, text, begin + MS)]));
        spans.push(otlp::spans_of(text, vec![span]));
    }
    for spans in spans.chunks(BATCH) {
        send(server, "/v1/traces", &otlp::traces(spans.to_vec()).encode_to_vec());
    }
    for logs in logs.chunks(BATCH) {
        send(server, "/v1/logs", &otlp::logs(logs.to_vec()).encode_to_vec());
    }
    otlp::hex(trace)
}
