//! A request on which decoding panics, with the real store.

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use needle_storage::model::Tenant;
use needle_storage::{Store, StoreSettings};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tower::ServiceExt as _;

use super::FATAL_BODY;
use crate::otlp::status::Status;
use crate::otlp::{grpc, http as over_http};
use crate::pipeline::Ingest;
use crate::settings::IngestSettings;

fn one_log() -> Vec<u8> {
    let log_records = vec![LogRecord { time_unix_nano: 7, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }.encode_to_vec()
}

/// The status and the body of the answer to a request over HTTP.
async fn post(router: &Router, body: &[u8]) -> (StatusCode, Vec<u8>) {
    let request = Request::post("/v1/logs").header("content-type", "application/x-protobuf").body(Body::from(body.to_vec())).unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    (head.status, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn otlp_47_a_request_that_decoding_fails_on_costs_itself_only_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, mut registry) = (IngestSettings::default(), Default::default());
    let stored = StoreSettings { data: folder.path().to_owned(), ..StoreSettings::default() };
    let store = Store::open(&stored, crate::decoder(&settings), &mut registry).unwrap();
    let ingest = Ingest::new(store.clone(), settings, &mut registry);
    let of_a_tenant = |routes: Router| routes.layer(axum::Extension(Tenant::default()));
    let routes = of_a_tenant(over_http::routes(&ingest));

    let (status, body) = post(&routes, FATAL_BODY).await;
    let told = Status::decode(body.as_slice()).unwrap();
    // INTERNAL, which nobody sends again: a request that is poison does not come back.
    assert_eq!((status, told.code, told.details.len()), (StatusCode::INTERNAL_SERVER_ERROR, 13, 0));
    let frame = [&[0][..], &(FATAL_BODY.len() as u32).to_be_bytes(), FATAL_BODY].concat();
    let call = Request::post("/opentelemetry.proto.collector.logs.v1.LogsService/Export").version(Version::HTTP_2);
    let call = call.header("content-type", "application/grpc").body(Body::from(frame)).unwrap();
    assert_eq!(of_a_tenant(grpc::routes(&ingest)).oneshot(call).await.unwrap().headers()["grpc-status"], "13");

    assert_eq!(post(&routes, &one_log()).await.0, StatusCode::OK, "the next one is served");
    let letters: Vec<_> =
        std::fs::read_dir(folder.path().join("_needle/dead-letter")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| std::fs::read(letter).unwrap() == FATAL_BODY), "{letters:?}");
    let counts = store.ledger().counts();
    assert_eq!(counts.values().map(|counts| counts.received).sum::<u64>(), 1, "what was not decoded is in no account");
    assert_eq!(store.ledger().alarm(), None);
    store.shutdown().await;
}
