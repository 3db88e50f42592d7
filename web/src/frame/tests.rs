use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures::stream;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use super::*;

async fn panics() -> &'static str {
    panic!("on purpose")
}

fn framed() -> Router {
    let events = || async { Sse::new(stream::iter([Ok::<_, std::convert::Infallible>(Event::default().data("x".repeat(500)))])) };
    let own = Router::new()
        .route("/api/v1/search", get(|| async { Json(json!({"text": "x".repeat(500)})) }))
        .route("/api/v1/panics", get(panics))
        .route("/api/v1/tail", get(events));
    let read = |body: axum::body::Bytes| async move { body.len().to_string() };
    let ingest = Router::new().route("/api/v1/logs", post(read)).route("/v1/logs", post(panics)).fallback(|| async { "ingest" });
    around(own, ingest, &WebMetrics::default())
}

async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    framed().oneshot(request.body(body).unwrap()).await.unwrap()
}

async fn get_from(path: &str) -> Response {
    send("GET", path, &[], Body::empty()).await
}

async fn error_of(response: Response) -> serde_json::Value {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<serde_json::Value>(&body).unwrap()["error"].take()
}

#[tokio::test]
async fn an_unknown_path_of_the_api_is_a_json_404() {
    for path in ["/api/v1/serch", "/api", "/api/v1/search/", "/v1/metrics"] {
        let response = get_from(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(error_of(response).await["code"], "not_found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_json_405_that_names_the_right_one() {
    for (method, path, allowed) in [("POST", "/api/v1/search", "GET,HEAD"), ("GET", "/api/v1/logs", "POST")] {
        let response = send(method, path, &[], Body::empty()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(response.headers()[header::ALLOW], allowed);
        assert_eq!(error_of(response).await["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn a_panic_is_a_json_500_of_that_request_only() {
    let metrics = WebMetrics::default();
    for (method, path) in [("GET", "/api/v1/panics"), ("POST", "/v1/logs")] {
        let response = send(method, path, &[], Body::empty()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let error = error_of(response).await;
        assert_eq!(error["code"], "internal");
        assert!(!error["message"].as_str().unwrap().contains("on purpose"), "the cause belongs into the log: {error}");
    }
    drop(metrics);
    assert_eq!(get_from("/api/v1/search").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/", "/api/v1/search", "/api/v1/nothing", "/api/v1/panics", "/v1/logs"] {
        let response = get_from(path).await;
        let headers = response.headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("script-src 'self';") && policy.contains("require-trusted-types-for 'script'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer", "{path}");
        assert!(headers.contains_key(header::CACHE_CONTROL), "{path}");
    }
    assert_eq!(get_from("/api/v1/search").await.headers()[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_take_it_but_events_never() {
    let zipped = [("accept-encoding", "gzip, br")];
    let answer = send("GET", "/api/v1/search", &zipped, Body::empty()).await;
    assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(answer.headers()[header::VARY], "accept-encoding");
    assert!(answer.into_body().collect().await.unwrap().to_bytes().len() < 200);
    let events = send("GET", "/api/v1/tail", &zipped, Body::empty()).await;
    assert!(!events.headers().contains_key(header::CONTENT_ENCODING));
    assert!(!get_from("/api/v1/search").await.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_dropped_and_said_so() {
    struct Dropped(std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let dropped = std::sync::Arc::default();
    let guard = Dropped(std::sync::Arc::clone(&dropped));
    let question = async move {
        let _guard = guard;
        std::future::pending::<Result<(), QueryError>>().await
    };
    let answer = in_time(Duration::from_millis(1), question).await;
    assert!(matches!(answer, Err(ApiError::Timeout(_))));
    assert!(dropped.load(std::sync::atomic::Ordering::SeqCst));
    assert!(in_time(Duration::from_secs(60), async { Ok(()) }).await.is_ok());
}
