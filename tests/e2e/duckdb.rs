//! The data folder is plain Parquet: a reader that knows nothing of this program counts the same.

use std::process::Command;

use prost::Message;

use crate::harness::{Server, json_lines, repository, run, stdout_of};
use crate::ingest::nanoseconds;
use crate::install;
use crate::otlp::{self, MS, attribute, text_attribute};

#[test]
fn duckdb_counts_the_same() {
    let server = Server::start();
    for part in 0..3 {
        send_part(&server, part);
        server.flush();
    }
    let script = repository().join("tests/sdk/python/read_parquet.py");
    let output = run(Command::new(install::python()).arg(script).arg(server.data()).arg("shelf"));
    let told = json_lines(&stdout_of(&output)).remove(0);
    for (signal, query, time) in [("logs", "kind:log", "timestamp"), ("spans", "kind:span", "start")] {
        let records = server.search(query);
        assert_eq!(records.len(), 3 * 40, "{signal}");
        assert_eq!(told[signal]["count"], records.len(), "{signal}: {told}");
        let times: Vec<i128> = records.iter().map(|record| nanoseconds(&record[time])).collect();
        let edge = |name: &str| i128::from(told[signal][name].as_i64().unwrap());
        assert_eq!((edge("first"), edge("last")), (*times.iter().min().unwrap(), *times.iter().max().unwrap()), "{signal}: {told}");
        let shelved = records.iter().filter(|record| record["attributes"]["shelf"] == "top").count();
        assert_eq!(told[signal]["values"]["top"], shelved, "{signal}: {told}");
        for service in ["store-0", "store-1", "store-2"] {
            let of_service = records.iter().filter(|record| record["service"] == service).count();
            assert_eq!(told[signal]["services"][service], of_service, "{signal}: {told}");
        }
    }
}

/// 40 logs and 40 spans of one service; every fourth has the attribute that is looked up.
fn send_part(server: &Server, part: u64) {
    let start = otlp::now() - part * 100_000_000 * MS;
    let attributes = |n: u64| {
        let shelf = n.is_multiple_of(4).then(|| text_attribute("shelf", "top"));
        let number = attribute("n", opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(i64::try_from(n).unwrap()));
        shelf.into_iter().chain([number]).collect::<Vec<_>>()
    };
    let service = format!("store-{part}");
    let trace = otlp::unique(16);
    let mut logs: Vec<_> = (0..40).map(|n| otlp::log(&format!("line {n}"), start + n * MS)).collect();
    let mut spans: Vec<_> = (0..40).map(|n| otlp::span(&trace, &format!("step {n}"), start + n * MS, start + (n + 1) * MS)).collect();
    for n in 0..40 {
        logs[n as usize].attributes = attributes(n);
        spans[n as usize].attributes = attributes(n);
    }
    let logs = otlp::logs(vec![otlp::logs_of(&service, logs)]).encode_to_vec();
    let spans = otlp::traces(vec![otlp::spans_of(&service, spans)]).encode_to_vec();
    for (path, body) in [("/v1/logs", logs), ("/v1/traces", spans)] {
        assert_eq!(server.post(path, "application/x-protobuf", body).status, 200);
    }
}
