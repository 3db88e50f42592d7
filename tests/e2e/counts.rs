//! Counts: over time, by the values of a field, in live and sealed data alike.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::search::START;

const MINUTE: u64 = 60_000_000_000;

/// Three minutes of two services.
fn with_lines() -> Server {
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
fn live_and_sealed(ask: impl Fn(&Server)) {
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
