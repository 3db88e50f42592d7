//! Counts: over time, by the values of a field, in live and sealed data alike.

use serde_json::{Value, json};

use crate::harness::{Server, json_lines, stdout_of};
use crate::search::START;

const MINUTE: u64 = 60_000_000_000;

/// Three minutes of two services.
pub(crate) fn with_lines() -> Server {
    let server = Server::start();
    let line = |minute: u64, service: &str, level: &str, fields: Value| {
        let mut line = json!({"ts": START + minute * MINUTE + 1, "service": service, "level": level, "msg": "counted"});
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        line
    };
    server.send_lines(&[
        line(0, "till", "info", json!({"lane": "a", "code": 200})),
        line(0, "till", "info", json!({"lane": "b", "code": "none"})),
        line(2, "till", "error", json!({"lane": "a"})),
        line(2, "shelf", "warn", json!({"code": 200})),
    ]);
    server
}

/// Asks of live records, then of sealed ones.
pub(crate) fn live_and_sealed(ask: impl Fn(&Server)) {
    let server = with_lines();
    ask(&server);
    server.flush();
    ask(&server);
}

#[test]
fn a_histogram_counts_by_minute_and_service() {
    live_and_sealed(|server| {
        let answer = server.get("/api/v1/histogram", &[("interval", "1m"), ("by", "service")]).expect(200);
        assert_eq!(
            answer["buckets"],
            json!([
                {"start": "2026-01-05T10:00:00.000000000Z", "count": 2},
                {"start": "2026-01-05T10:01:00.000000000Z", "count": 0},
                {"start": "2026-01-05T10:02:00.000000000Z", "count": 2},
            ])
        );
        assert_eq!((&answer["interval_ns"], &answer["total"], &answer["other"]), (&json!(MINUTE), &json!(4), &Value::Null));
        assert_eq!(
            answer["groups"],
            json!([{"value": "till", "total": 3, "counts": [2, 0, 1]}, {"value": "shelf", "total": 1, "counts": [0, 0, 1]}])
        );
        assert_eq!(answer["completeness"]["state"], "complete");
    });
}

#[test]
fn a_histogram_takes_the_query_the_range_and_any_field() {
    live_and_sealed(|server| {
        let (start, end) = ((START + MINUTE).to_string(), (START + 3 * MINUTE).to_string());
        let parameters = [("q", "level>=warn"), ("start", start.as_str()), ("end", &end), ("buckets", "1"), ("by", "lane")];
        let answer = server.get("/api/v1/histogram", &parameters).expect(200);
        assert_eq!(
            answer["groups"],
            json!([{"value": "a", "total": 1, "counts": [1]}, {"value": null, "total": 1, "counts": [1]}]),
            "{answer}"
        );
        let lanes = server.get("/api/v1/histogram", &[("by", "lane"), ("limit", "1"), ("buckets", "1")]).expect(200);
        assert_eq!(lanes["other"], json!({"values": 1, "total": 1, "counts": [1]}), "{lanes}");
        let empty = server.get("/api/v1/histogram", &[("q", "nowhere"), ("interval", "1m")]).expect(200);
        assert_eq!((&empty["total"], empty["buckets"].as_array().unwrap().len()), (&json!(0), 3));
    });
}

#[test]
fn a_histogram_of_nothing_is_empty_and_a_bad_one_says_why() {
    let server = Server::start();
    let answer = server.get("/api/v1/histogram", &[]).expect(200);
    assert_eq!((&answer["buckets"], &answer["completeness"]["state"]), (&json!([]), &json!("complete")));
    for (name, value, mend) in [
        ("buckets", "10001", "10000 or fewer"),
        ("interval", "5", "needs a unit"),
        ("by", "trace_id", "count by a field that many share"),
        ("q", "service:(", "not closed"),
        ("per", "1m", "`per`"),
    ] {
        let refusal = server.get("/api/v1/histogram", &[(name, value)]).expect(400);
        let message = refusal["error"]["message"].as_str().unwrap();
        assert!(message.contains(mend), "{name}={value}: {message}");
    }
}

#[test]
fn fields_are_listed_with_their_types_and_counts() {
    live_and_sealed(|server| {
        let answer = server.get("/api/v1/fields", &[]).expect(200);
        let of = |name: &str| answer["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned().unwrap_or_default();
        assert_eq!((&of("service")["count"], &of("lane")["count"]), (&json!(4), &json!(3)), "{answer}");
        let code = json!({
            "name": "code", "type": "int", "count": 3, "place": "attribute",
            "types": [{"type": "int", "count": 2}, {"type": "string", "count": 1}],
        });
        assert_eq!(of("code"), code);
        let warned = server.get("/api/v1/fields", &[("q", "level:warn")]).expect(200);
        assert!(!warned.to_string().contains("lane"), "only of what matches: {warned}");
    });
}

#[test]
fn values_are_listed_with_their_counts() {
    live_and_sealed(|server| {
        let values = |name: &str, parameters: &[(&str, &str)]| server.get(&format!("/api/v1/fields/{name}/values"), parameters).expect(200);
        let lanes = values("lane", &[]);
        assert_eq!(lanes["values"], json!([{"value": "a", "count": 2}, {"value": "b", "count": 1}]));
        assert_eq!((&lanes["without"], &lanes["other"], &lanes["exact"]), (&json!(1), &json!(0), &json!(true)));
        assert_eq!(values("service", &[("prefix", "SH")])["values"], json!([{"value": "shelf", "count": 1}]));
        assert_eq!(values("level", &[("q", "service:till"), ("limit", "1")])["values"], json!([{"value": "info", "count": 2}]));
        assert_eq!(values("missing", &[])["values"], json!([]));
    });
}

#[test]
fn the_command_lists_fields_and_values() {
    let server = with_lines();
    let fields = server.cli(&["fields"]);
    let text = stdout_of(&fields);
    assert!(fields.status.success() && text.starts_with("NAME") && text.contains("lane"), "{text}");
    assert_eq!(stdout_of(&server.cli(&["fields", "lane", "-o", "csv"])), "value,count\na,2\nb,1\n");
    assert_eq!(json_lines(&stdout_of(&server.cli(&["fields", "lane", "--json", "--limit", "1"]))), [json!({"value": "a", "count": 2})]);
    assert_eq!(stdout_of(&server.cli(&["fields", "service", "--query", "level:warn", "-o", "raw"])), "shelf\n");
    assert_eq!(server.cli(&["fields", "missing"]).status.code(), Some(1));
    assert_eq!(server.cli(&["fields", "trace_id"]).status.code(), Some(2));
}
