//! Comparing: which values tell records from others, the same in live, sealed and merged data.

use serde_json::{Value, json};

use crate::harness::{Server, stdout_of};
use crate::search::START;

/// Failures of one zone, among successes of two; every record has a request id and a size of its own.
fn send(server: &Server, numbers: std::ops::Range<u64>) {
    let line = |number: u64| {
        let failed = number.is_multiple_of(10);
        json!({
            "ts": START + number * 1_000_000, "service": if number.is_multiple_of(3) { "web" } else { "cart" }, "msg": format!("request {number}"),
            "level": if failed { "error" } else { "info" }, "zone": if failed || number.is_multiple_of(7) { "a" } else { "b" },
            "size": number * 17, "request_id": format!("request-{number}"),
        })
    };
    server.send_lines(&numbers.map(line).collect::<Vec<_>>());
}

#[test]
fn what_tells_records_apart_is_the_same_however_they_are_stored() {
    let server = Server::start();
    send(&server, 0..400);
    server.flush();
    send(&server, 400..1_000);
    let ask = |parameters: &[(&str, &str)]| {
        let mut answer = server.get("/api/v1/compare", parameters).expect(200);
        answer["completeness"].take();
        answer
    };
    let errors: [(&str, &str); 1] = [("q", "level:error")];
    let live = ask(&errors);
    assert_eq!((&live["selected_total"], &live["baseline_total"], &live["more"]), (&json!(100), &json!(900), &json!(false)));
    let values = live["fields"][0]["values"].as_array().unwrap();
    let counts = |value: &Value| ["value", "selected", "selected_total", "baseline", "baseline_total"].map(|key| value[key].clone());
    assert_eq!(live["fields"][0]["field"], "zone", "{live}");
    assert_eq!(counts(&values[0]), [json!("a"), json!(100), json!(100), json!(128), json!(900)]);
    assert_eq!(counts(&values[1]), [json!("b"), json!(0), json!(100), json!(772), json!(900)]);
    assert_eq!(live["fields"].as_array().unwrap().len(), 1, "{live}");
    let skipped = |name: &str| {
        let found = live["skipped"].as_array().unwrap().iter().find(|skipped| skipped["field"] == name);
        found.unwrap_or_else(|| panic!("{name} is not named: {live}"))["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(skipped("level"), "the query asks for it");
    assert_eq!(skipped("size"), "it is nearly unique: 1000 values on 1000 records");
    assert_eq!(skipped("service"), "it differs no more than by chance");
    let services: [(&str, &str); 2] = [("q", "service:web"), ("baseline", "service:cart level:error")];
    let live_services = ask(&services);
    for state in ["sealed", "merged"] {
        stdout_of(&server.cli(if state == "sealed" { &["flush"] } else { &["flush", "--merge"] }));
        assert_eq!(ask(&errors), live, "{state}");
        assert_eq!(ask(&services), live_services, "{state}");
    }
}

#[test]
fn the_command_line_compares() {
    let server = Server::start();
    send(&server, 0..200);
    let table = stdout_of(&server.cli(&["compare", "level:error"]));
    let second = table.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(second, ["zone", "a", "100.0%", "20", "14.4%", "26"], "{table}");
    let csv = stdout_of(&server.cli(&["compare", "level:error", "-o", "csv"]));
    assert!(csv.starts_with("field,value,selected,selected_total,baseline,baseline_total,score\nzone,a,20,20,26,180,0."), "{csv}");
    let everything = server.cli(&["compare", "*"]);
    assert_eq!(everything.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&everything.stderr).contains("selects every record"), "{everything:?}");
}
