//! Numbers instead of records: pipes and SQL, over HTTP and at the command line, in live and sealed data alike.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::counts::{live_and_sealed, with_lines};
use crate::harness::{Server, finish, json_lines, post, stdout_of};
use crate::search::START;

fn sql(server: &Server, statement: &str) -> Value {
    server.post("/api/v1/sql", "application/json", json!({ "query": statement }).to_string()).expect(200)
}

fn columns(answer: &Value) -> Vec<(&str, &str)> {
    let columns = answer["columns"].as_array().unwrap().iter();
    columns.map(|column| (column["name"].as_str().unwrap(), column["type"].as_str().unwrap())).collect()
}

#[test]
fn a_pipe_counts_by_field_and_time() {
    live_and_sealed(|server| {
        let ask = |query: &str| server.get("/api/v1/aggregate", &[("q", query)]).expect(200);
        let answer = ask("level>=info | count() by service every 1m");
        assert_eq!(columns(&answer), [("time", "timestamp"), ("service", "string"), ("count", "int")]);
        assert_eq!(
            answer["rows"],
            json!([
                ["2026-01-05T10:00:00.000000000Z", "till", 2],
                ["2026-01-05T10:02:00.000000000Z", "shelf", 1],
                ["2026-01-05T10:02:00.000000000Z", "till", 1],
            ])
        );
        assert_eq!(answer["completeness"]["state"], "complete");
        assert_eq!(ask("| avg(code), distinct(lane), count(lane)")["rows"], json!([[200.0, 2, 3]]), "`none` is no number");
        assert_eq!(ask("| top 1 lane")["rows"], json!([["a", 2]]));
        let late = server.get("/api/v1/aggregate", &[("q", "| count()"), ("start", &(START + 1).to_string())]).expect(200);
        assert_eq!(late["rows"], json!([[4]]));
    });
}

#[test]
fn a_statement_reads_tables_and_attributes_by_name() {
    live_and_sealed(|server| {
        let statement =
            "SELECT service, attributes['lane'] AS lane, count(*) AS records FROM logs WHERE level != 'warn' GROUP BY 1, 2 ORDER BY 2, 3";
        let answer = sql(server, statement);
        assert_eq!(columns(&answer), [("service", "string"), ("lane", "string"), ("records", "int")]);
        assert_eq!(answer["rows"], json!([["till", "a", 2], ["till", "b", 1]]));
        let whole = sql(server, "SELECT timestamp, attributes FROM logs WHERE \"lane\" = 'b'");
        assert_eq!(whole["rows"], json!([["2026-01-05T10:00:00.000000001Z", {"code": "none", "lane": "b"}]]));
        assert_eq!(sql(server, "SELECT count(*) FROM spans")["rows"], json!([[0]]));
    });
}

#[test]
fn answers_come_in_the_form_that_is_accepted() {
    let server = with_lines();
    let body = json!({"query": "SELECT service, count(*) AS records FROM logs GROUP BY service ORDER BY service"}).to_string();
    let answer = |accept: &str| post(&format!("{}/api/v1/sql", server.url()), &[("accept", accept)], body.as_bytes());
    let csv = answer("text/csv");
    assert_eq!((csv.header("content-type"), csv.header("needle-completeness")), ("text/csv", "complete"));
    assert_eq!(csv.text(), "service,records\nshelf,1\ntill,3\n");
    assert!(answer("application/vnd.apache.parquet").body.starts_with(b"PAR1"));
    assert_eq!(answer("application/vnd.apache.arrow.stream").header("content-type"), "application/vnd.apache.arrow.stream");
    assert_eq!(answer("image/png").status, 406);
}

#[test]
fn what_cannot_be_answered_says_why_and_where() {
    let server = with_lines();
    let refused = |statement: &str| server.post("/api/v1/sql", "application/json", json!({ "query": statement }).to_string()).expect(400);
    let unknown = refused("SELECT servce FROM logs");
    assert_eq!((&unknown["error"]["code"], &unknown["error"]["position"]), (&json!("bad_query"), &json!(7)));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("did you mean service?"), "{unknown}");
    for statement in ["DROP TABLE logs", "COPY logs TO '/tmp/x.csv'", "SELECT * FROM '/etc/passwd'", "SET a = 1"] {
        assert_eq!(refused(statement)["error"]["code"], "bad_query", "{statement}");
    }
    server.post("/api/v1/sql", "application/json", "SELECT 1").expect(400);
    let piped = server.get("/api/v1/search", &[("q", "a | count()")]).expect(400);
    assert!(piped["error"]["message"].as_str().unwrap().contains("/api/v1/aggregate"), "{piped}");
    let unpiped = server.get("/api/v1/aggregate", &[("q", "service:till")]).expect(400);
    assert_eq!(unpiped["error"]["position"], 12, "{unpiped}");
}

#[test]
fn the_commands_print_tables() {
    let server = with_lines();
    let everything = ["--since", "2026-01-01T00:00:00Z"];
    let grep = |query: &str, flags: &[&str]| server.cli(&[&["grep", query], &everything[..], flags].concat());
    let human = grep("* | count() by service", &[]);
    assert!(human.status.success());
    assert_eq!(stdout_of(&human), "SERVICE  COUNT\ntill         3\nshelf        1\n");
    let one = grep("| count() by service | limit 1", &["--json"]);
    assert_eq!(json_lines(&stdout_of(&one)), [json!({"service": "till", "count": 3})]);
    assert_eq!(grep("nowhere | count() by service", &[]).status.code(), Some(1));
    assert_eq!(grep("| cuont()", &[]).status.code(), Some(2));
    assert_eq!(grep("| count()", &["-R"]).status.code(), Some(2), "numbers have no journey");

    let statement = "SELECT service, count(*) AS records FROM logs GROUP BY service ORDER BY service";
    assert_eq!(stdout_of(&server.cli(&["sql", statement, "-o", "csv"])), "service,records\nshelf,1\ntill,3\n");
    assert_eq!(stdout_of(&server.cli(&["sql", statement, "-o", "logfmt"])), "service=shelf records=1\nservice=till records=3\n");
    assert_eq!(stdout_of(&server.cli(&["sql", statement, "-o", "csv", "--fields", "records"])), "records\n1\n3\n");
    assert_eq!(server.cli(&["sql", "SELECT * FROM spans"]).status.code(), Some(1), "no row");
    let bad = server.cli(&["sql", "SELECT nothing FROM logs"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad.stderr).contains('^'), "{bad:?}");

    let mut child = server.command(&["sql", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"SHOW TABLES").unwrap();
    assert_eq!(stdout_of(&finish(&mut child, "needle sql -")), "TABLE\nlogs\nspans\n");
}
