//! OTLP in every encoding, and what is answered to it.

use std::io::Write;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use prost::Message;
use serde_json::{Value, json};
use tonic::codec::CompressionEncoding;

use crate::harness::{Server, post};
use crate::otlp::{self, MS, attribute, hex, text, text_attribute};

/// A way from an SDK to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    HttpProtobuf,
    HttpJson,
    Grpc,
}

const WAYS: [(Way, bool); 6] = [
    (Way::HttpProtobuf, false),
    (Way::HttpProtobuf, true),
    (Way::HttpJson, false),
    (Way::HttpJson, true),
    (Way::Grpc, false),
    (Way::Grpc, true),
];

#[test]
fn otlp_05_15_16_every_encoding_stores_the_same_records() {
    let server = Server::start();
    let time = otlp::now();
    let mut first: Option<Vec<Value>> = None;
    for (way, gzip) in WAYS {
        let (traces, logs) = everything_otlp_can_say(time);
        let trace = hex(&traces.resource_spans[0].scope_spans[0].spans[0].trace_id);
        send(&server, way, gzip, &traces, &logs);
        let mut records = server.search(&format!("trace:{trace}"));
        assert_eq!(records.len(), 2, "{way:?} gzip {gzip}: {records:?}");
        records.iter_mut().for_each(forget_identity);
        match &first {
            None => first = Some(records),
            Some(first) => assert_eq!(&records, first, "{way:?} gzip {gzip} differs from {:?}", WAYS[0]),
        }
    }
}

#[test]
fn otlp_73_values_keep_their_type_and_nothing_is_cut() {
    let server = Server::start();
    let time = otlp::now();
    let (traces, logs) = everything_otlp_can_say(time);
    send(&server, Way::HttpProtobuf, false, &traces, &logs);
    for sealed in [false, true] {
        if sealed {
            server.flush();
        }
        let span = server.search("kind:span name:\"GET /cart\"").remove(0);
        assert_attributes(&span["attributes"]);
        assert_eq!(span["service"], "cart");
        assert_eq!(span["duration_ns"], 5 * MS);
        assert_eq!(nanoseconds(&span["start"]), i128::from(time));
        assert_eq!(span["status_message"], "no stock");
        assert_eq!(span["events"].as_array().unwrap().len(), 1, "{span}");
        assert_eq!(span["links"].as_array().unwrap().len(), 1, "{span}");
        assert_eq!(span["resource"]["service.name"], "cart");
        assert_eq!(span["scope"]["name"], "e2e");
        let log = server.search("kind:log").remove(0);
        assert_attributes(&log["attributes"]);
        assert_eq!(log["body"].as_str().unwrap().len(), LONG_BODY_BYTES);
        assert_eq!((&log["severity_number"], &log["severity"]), (&json!(17), &json!("ERROR")));
        assert_eq!(nanoseconds(&log["timestamp"]), i128::from(time + MS));
    }
}

fn assert_attributes(attributes: &Value) {
    assert_eq!(attributes["text"], "a\u{0}b\u{1F600}");
    assert_eq!(attributes["int"], i64::MIN);
    assert_eq!(attributes["double"], 0.1);
    assert_eq!(attributes["bool"], true);
    assert_eq!(attributes["list"], json!(["a", 2]));
    assert_eq!(attributes["map"], json!({"inner": {"deep": 1}}));
    assert_eq!(attributes["bytes"], "AP8=", "bytes are shown as base64");
}

#[test]
fn otlp_50_51_a_repeated_request_is_stored_once() {
    let mut server = Server::start();
    let (traces, logs) = everything_otlp_can_say(otlp::now());
    for _ in 0..3 {
        send(&server, Way::HttpProtobuf, false, &traces, &logs);
    }
    // The encoding on the way does not matter, and neither does a restart or a seal.
    send(&server, Way::HttpProtobuf, true, &traces, &logs);
    send(&server, Way::Grpc, true, &traces, &logs);
    server.kill();
    server.start_again();
    send(&server, Way::HttpProtobuf, false, &traces, &logs);
    server.flush();
    send(&server, Way::HttpProtobuf, false, &traces, &logs);
    assert_eq!(server.search("*").len(), 2);
}

#[test]
fn the_api_listener_takes_otlp_too() {
    let server = Server::start();
    let body = otlp::logs(vec![otlp::logs_of("cart", vec![otlp::log("over there", otlp::now())])]).encode_to_vec();
    assert_eq!(server.post("/v1/logs", "application/x-protobuf", body).status, 200);
    assert_eq!(server.search("\"over there\"").len(), 1);
}

const LONG_BODY_BYTES: usize = 300_000;

/// One span and one log with every kind of value.
fn everything_otlp_can_say(time: u64) -> (ExportTraceServiceRequest, ExportLogsServiceRequest) {
    let attributes = vec![
        text_attribute("text", "a\u{0}b\u{1F600}"),
        attribute("int", OtlpValue::IntValue(i64::MIN)),
        attribute("double", OtlpValue::DoubleValue(0.1)),
        attribute("bool", OtlpValue::BoolValue(true)),
        attribute("bytes", OtlpValue::BytesValue(vec![0, 255])),
        attribute("list", OtlpValue::ArrayValue(ArrayValue { values: vec![text("a"), integer(2)] })),
        attribute("map", map("inner", map("deep", OtlpValue::IntValue(1)))),
    ];
    let mut span = otlp::span(&otlp::unique(16), "GET /cart", time, time + 5 * MS);
    span.attributes = attributes.clone();
    span.status = otlp::failed("no stock");
    span.events = vec![Event {
        time_unix_nano: time + MS,
        name: "retry".into(),
        attributes: vec![text_attribute("why", "busy")],
        ..Default::default()
    }];
    span.links = vec![Link { trace_id: vec![7; 16], span_id: vec![7; 8], ..Default::default() }];
    let mut log = otlp::log_in(&span, &"long ".repeat(LONG_BODY_BYTES / 5), time + MS);
    log.severity_number = 17;
    log.severity_text = "ERROR".to_owned();
    log.attributes = attributes;
    (otlp::traces(vec![otlp::spans_of("cart", vec![span])]), otlp::logs(vec![otlp::logs_of("cart", vec![log])]))
}

fn integer(value: i64) -> opentelemetry_proto::tonic::common::v1::AnyValue {
    opentelemetry_proto::tonic::common::v1::AnyValue { value: Some(OtlpValue::IntValue(value)) }
}

fn map(key: &str, value: OtlpValue) -> OtlpValue {
    OtlpValue::KvlistValue(KeyValueList { values: vec![attribute(key, value)] })
}

fn send(server: &Server, way: Way, gzip: bool, traces: &ExportTraceServiceRequest, logs: &ExportLogsServiceRequest) {
    if way == Way::Grpc {
        return send_grpc(server, gzip, traces.clone(), logs.clone());
    }
    let (content_type, encoded) = match way {
        Way::HttpJson => ("application/json", [serde_json::to_vec(traces).unwrap(), serde_json::to_vec(logs).unwrap()]),
        _ => ("application/x-protobuf", [traces.encode_to_vec(), logs.encode_to_vec()]),
    };
    for (path, body) in ["/v1/traces", "/v1/logs"].into_iter().zip(encoded) {
        let url = server.otlp_http() + path;
        let answer = if gzip {
            post(&url, &[("content-type", content_type), ("content-encoding", "gzip")], &gzipped(&body))
        } else {
            post(&url, &[("content-type", content_type)], &body)
        };
        assert_eq!(answer.status, 200, "{way:?} gzip {gzip} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), content_type);
    }
}

fn send_grpc(server: &Server, gzip: bool, traces: ExportTraceServiceRequest, logs: ExportLogsServiceRequest) {
    let endpoint = server.otlp_grpc();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut trace_client = TraceServiceClient::connect(endpoint.clone()).await.unwrap();
        let mut logs_client = LogsServiceClient::connect(endpoint).await.unwrap();
        if gzip {
            trace_client = trace_client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
            logs_client = logs_client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
        }
        let answer = trace_client.export(traces).await.unwrap().into_inner();
        assert_eq!(answer.partial_success.unwrap_or_default().rejected_spans, 0);
        let answer = logs_client.export(logs).await.unwrap().into_inner();
        assert_eq!(answer.partial_success.unwrap_or_default().rejected_log_records, 0);
    });
}

pub(crate) fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Takes away what differs between two sendings of the same records.
fn forget_identity(record: &mut Value) {
    let record = record.as_object_mut().unwrap();
    for key in ["record_id", "trace_id", "span_id", "observed_timestamp"] {
        record.remove(key);
    }
}

pub(crate) fn nanoseconds(time: &Value) -> i128 {
    let text = time.as_str().unwrap_or_else(|| panic!("not a time: {time}"));
    text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_nanosecond()
}
