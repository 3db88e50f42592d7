//! Routes for whoever runs the server: `/healthz`, `/readyz`, `/metrics`.

mod exposition;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::web::Web;

/// The routes.
pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Health {
    /// Always `ok`: a process that does not live does not answer.
    status: &'static str,
}

/// Whether records are accepted and questions answered just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// Why not; empty when ready.
    reasons: Vec<String>,
    /// What every answer is missing just now, although records are accepted; absent when nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partial: Vec<String>,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, description = "It does", body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether records are accepted and questions answered just now.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses((status = 200, description = "Yes", body = Readiness), (status = 503, description = "No, and why", body = Readiness))
)]
async fn readyz(State(web): State<Web>) -> Response {
    let mut reasons = web.engine().not_ready();
    if web.closing().is_cancelled() {
        reasons.push("the server is shutting down".to_owned());
    }
    readiness(reasons, web.engine().not_readable())
}

fn readiness(reasons: Vec<String>, partial: Vec<String>) -> Response {
    match reasons.is_empty() {
        true => (StatusCode::OK, Json(Readiness { status: "ready", reasons, partial })).into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(Readiness { status: "not_ready", reasons, partial })).into_response(),
    }
}

/// Metrics of the process, in OpenMetrics text for those who ask for it, else in Prometheus text.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"))
)]
async fn metrics(State(web): State<Web>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (content_type, text) = exposition::write(web.registry(), accept);
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn what_keeps_the_server_from_accepting_is_named() {
        assert_eq!(readiness(Vec::new(), Vec::new()).status(), StatusCode::OK);
        let response = readiness(vec!["the disk is full".to_owned()], Vec::new());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"status":"not_ready","reasons":["the disk is full"]}"#);
    }

    #[tokio::test]
    async fn a_server_that_replays_its_log_is_ready_and_says_what_is_missing() {
        let response = readiness(Vec::new(), vec!["replaying the log: 3 of 9 MB".to_owned()]);
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"status":"ready","reasons":[],"partial":["replaying the log: 3 of 9 MB"]}"#);
    }
}
