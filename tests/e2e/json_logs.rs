//! `POST /api/v1/logs`: JSON and plain text from services that never heard of OTLP.

use serde_json::json;

use crate::harness::Server;
use crate::ingest::nanoseconds;

#[test]
fn objects_arrays_and_lines_are_taken() {
    let server = Server::start();
    let bodies = [
        ("application/json", r#"{"msg":"one","service":"till"}"#.to_owned(), 1),
        ("application/json", r#"[{"msg":"two","service":"till"},{"msg":"three","service":"till"}]"#.to_owned(), 2),
        ("application/x-ndjson", "{\"msg\":\"four\",\"service\":\"till\"}\n\n{\"msg\":\"five\",\"service\":\"till\"}\r\n".to_owned(), 2),
    ];
    for (content_type, body, accepted) in bodies {
        let answer = server.post("/api/v1/logs", content_type, &body).expect(200);
        assert_eq!(answer["accepted"], accepted, "{content_type}: {answer}");
    }
    let mut bodies: Vec<_> = server.search("service:till").iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, ["five", "four", "one", "three", "two"]);
}

#[test]
fn recognised_keys_become_fields_and_the_rest_attributes() {
    let server = Server::start();
    server.send_lines(&[json!({
        "@timestamp": "2024-02-03T04:05:06.123456789+02:00", "message": "paid", "lvl": "WARN", "application": "till",
        "request_id": "7b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c11", "amount": 12.5, "customer": {"id": 7, "vip": true}
    })]);
    let record = server.search("paid").remove(0);
    assert_eq!(nanoseconds(&record["timestamp"]), 1_706_925_906_123_456_789);
    assert_eq!((&record["body"], &record["service"], &record["severity_number"]), (&json!("paid"), &json!("till"), &json!(13)));
    assert_eq!(record["request_ids"], json!(["7b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c11"]));
    assert_eq!(record["attributes"]["amount"], 12.5);
    assert_eq!((&record["attributes"]["customer.id"], &record["attributes"]["customer.vip"]), (&json!(7), &json!(true)));
}

#[test]
fn times_without_a_zone_are_of_the_zone_that_is_named_also_when_the_log_is_replayed() {
    let mut server = Server::start();
    let text = "2018-06-27 06:39:57.993 local\n2018-06-27T06:39:57Z zoned\n";
    let json = "{\"time\":\"2018-06-27 06:39:57\",\"msg\":\"local\"}\n{\"time\":\"2018-06-27T06:39:57+03:00\",\"msg\":\"zoned\"}\n";
    for (service, content_type, body) in [("plain", "text/plain", text), ("json", "application/x-ndjson", json)] {
        for (zone, name) in [("Europe/Berlin", "berlin"), ("%2B05:30", "offset"), ("", "none")] {
            let path = format!("/api/v1/logs?service={service}-{name}&timezone={zone}");
            assert_eq!(server.post(&path, content_type, body).expect(200)["accepted"], 2, "{path}");
        }
    }
    let expected = [
        ("plain-berlin", ["2018-06-27T04:39:57.993000000Z", "2018-06-27T06:39:57.000000000Z"]),
        ("plain-offset", ["2018-06-27T01:09:57.993000000Z", "2018-06-27T06:39:57.000000000Z"]),
        ("plain-none", ["2018-06-27T06:39:57.993000000Z", "2018-06-27T06:39:57.000000000Z"]),
        ("json-berlin", ["2018-06-27T04:39:57.000000000Z", "2018-06-27T03:39:57.000000000Z"]),
        ("json-offset", ["2018-06-27T01:09:57.000000000Z", "2018-06-27T03:39:57.000000000Z"]),
        ("json-none", ["2018-06-27T06:39:57.000000000Z", "2018-06-27T03:39:57.000000000Z"]),
    ];
    let assert_times = |server: &Server| {
        for (service, times) in expected {
            for (word, time) in ["local", "zoned"].into_iter().zip(times) {
                assert_eq!(server.search(&format!("service:{service} {word}"))[0]["timestamp"], time, "{service} {word}");
            }
        }
    };
    assert_times(&server);
    server.kill();
    server.start_again();
    assert_times(&server);
}

#[test]
fn one_body_read_by_two_zones_is_two_requests() {
    let server = Server::start();
    for zone in ["Europe/Berlin", "UTC", "UTC"] {
        server.post(&format!("/api/v1/logs?timezone={zone}"), "text/plain", "2018-06-27 06:39:57 twice").expect(200);
    }
    assert_eq!(server.search("twice").len(), 2);
}

#[test]
fn an_unknown_zone_is_refused_with_a_sentence() {
    let server = Server::start();
    let answer = server.post("/api/v1/logs?timezone=Europe/Atlantis", "text/plain", "2018-06-27 06:39:57 lost").expect(400);
    assert!(answer.to_string().contains("Europe/Atlantis"), "{answer}");
    assert!(answer.to_string().contains("name one like Europe/Berlin"), "{answer}");
    assert_eq!(server.search("lost").len(), 0);
}

#[test]
fn numbers_are_times_by_their_size() {
    let server = Server::start();
    let times = [
        json!(1_706_925_906),
        json!(1_706_925_906.5),
        json!(1_706_925_906_123_i64),
        json!(1_706_925_906_123_456_i64),
        json!(1_706_925_906_123_456_789_i64),
    ];
    let expected = [0, 500_000_000, 123_000_000, 123_456_000, 123_456_789].map(|fraction| 1_706_925_906_000_000_000_i128 + fraction);
    for (index, (time, expected)) in times.iter().zip(expected).enumerate() {
        server.send_lines(&[json!({"ts": time, "msg": format!("sized{index}")})]);
        let record = server.search(&format!("sized{index}")).remove(0);
        assert_eq!(nanoseconds(&record["timestamp"]), expected, "{time}");
    }
}

#[test]
fn levels_come_as_names_and_on_the_scales_of_pino_and_syslog() {
    let server = Server::start();
    let levels = [
        (json!("warning"), 13),
        (json!("E"), 17),
        (json!("fatal"), 21),
        (json!("debug"), 5),
        (json!(30), 9),
        (json!(50), 17),
        (json!(3), 17),
    ];
    for (index, (level, number)) in levels.iter().enumerate() {
        server.send_lines(&[json!({"level": level, "msg": format!("levelled{index}")})]);
        let record = server.search(&format!("levelled{index}")).remove(0);
        assert_eq!(record["severity_number"], *number, "{level}");
    }
}

#[test]
fn plain_text_lines_carry_time_level_and_request_id() {
    let server = Server::start();
    let text = "2024-02-03 04:05:06.123 17 ERROR cellar.pump [req-125a4afb-6f55-44ba-ad80-413f09f48a28 - -] pump failed\n2024-02-03 04:05:07 INFO restarted\n";
    let url = "/api/v1/logs?service=cellar";
    let answer = server.post(url, "text/plain", text).expect(200);
    assert_eq!(answer["accepted"], 2, "{answer}");
    let record = server.search("service:cellar pump failed").remove(0);
    assert_eq!((&record["severity_number"], &record["request_ids"]), (&json!(17), &json!(["req-125a4afb-6f55-44ba-ad80-413f09f48a28"])));
    assert_eq!(nanoseconds(&record["timestamp"]), 1_706_933_106_123_000_000);
    assert!(record["body"].as_str().unwrap().contains("pump failed"));
    assert_eq!(
        server.search("id:125A4AFB6F5544BAAD80413F09F48A28").len() + server.search("id:req-125a4afb-6f55-44ba-ad80-413f09f48a28").len(),
        2
    );
}

#[test]
fn a_line_that_is_not_json_is_kept_as_text_and_a_bad_one_is_named() {
    let server = Server::start();
    let answer = server
        .post("/api/v1/logs", "application/x-ndjson", "{\"msg\":\"good\"}\nsegmentation fault\n[1]\n{\"msg\":\"also good\"}\n")
        .expect(200);
    assert_eq!(server.search("segmentation fault").len(), 1);
    assert_eq!(server.search("good").len(), 2);
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(answer["accepted"].as_u64().unwrap() + rejected.len() as u64, 4, "{answer}");
    assert!(rejected.iter().all(|line| line["line"] == 3 && !line["reason"].as_str().unwrap().is_empty()), "{answer}");
}

#[test]
fn the_same_line_twice_is_two_records_unless_the_sender_says_otherwise() {
    let server = Server::start();
    for _ in 0..2 {
        server.send_lines(&[json!({"msg": "tick", "service": "clock"})]);
    }
    assert_eq!(server.search("service:clock").len(), 2);
    for _ in 0..2 {
        let url = server.url() + "/api/v1/logs";
        let headers = [("content-type", "application/json"), ("idempotency-key", "tock-1")];
        crate::harness::post(&url, &headers, br#"{"msg":"tock","service":"tower"}"#).expect(200);
    }
    assert_eq!(server.search("service:tower").len(), 1);
}
