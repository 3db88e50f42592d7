//! What can go wrong with a request, and the one mapping to status codes.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use needle_query::QueryError;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not answered as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The engine could not answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A parameter is unusable.
    #[error("{name} is {value:?}: {mend}")]
    Parameter { name: &'static str, value: String, mend: String },
    /// The parameters cannot be told apart: an unknown one, one given twice, broken encoding.
    #[error("the query string cannot be used: {0}")]
    QueryString(String),
    /// The id in the path cannot be read.
    #[error("the path cannot be used: {0}")]
    Path(String),
    /// The body is not what the route takes.
    #[error("the body cannot be used: {0}: send {{\"query\": \"SELECT ...\"}}")]
    Body(String),
    /// None of the forms that the client accepts.
    #[error(
        "there is no answer as {accepted:?}: accept application/json, text/csv, application/vnd.apache.arrow.stream or application/vnd.apache.parquet"
    )]
    Accept { accepted: String },
    /// Nothing carries the id.
    #[error("no record carries the id {id:?}: check its spelling, or whether its services send here")]
    UnknownId { id: String },
    /// There is no such route.
    #[error("there is no {path}: GET /api/openapi.json lists what there is")]
    UnknownPath { path: String },
    /// The route exists, but not for this method.
    #[error("{path} does not answer to {method}: the `allow` header names what it answers to")]
    Method { method: String, path: String },
    /// A page of another site asks the browser to change something here.
    #[error("requests that another site makes through a browser are refused: use the needle command or this server's own page")]
    CrossSite,
    /// The program does not let the request in.
    #[error("{1}")]
    Denied(StatusCode, String),
    /// The program put no tenant into the request.
    #[error("the server does not know whose data this is about: it is served without what finds that out")]
    NoTenant,
    /// The question took too long.
    #[error(
        "no answer within {} ms: narrow the time range or the query, or ask with timeout= for more (at most web.query_timeout_max_ms)",
        .0.as_millis()
    )]
    Timeout(Duration),
    /// A fault of ours; the log says which.
    #[error("the server failed on this request and goes on with others: its log says what happened")]
    Panic,
}

/// Every answer that is an error has this body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What happened.
    pub(crate) error: ErrorDetail,
}

/// What happened, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// For programs: `bad_query`, `bad_parameter`, `not_found`, `method_not_allowed`, `not_acceptable`, `cross_site`, `too_large`,
    /// `unauthenticated`, `forbidden`, `too_often`, `timeout`, `storage`, `internal`.
    pub(crate) code: &'static str,
    /// What, where, and how to mend it.
    pub(crate) message: String,
    /// Of a bad query: the byte offset of what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) position: Option<usize>,
    /// Of a bad query: the query with a caret line below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) caret: Option<String>,
}

impl ApiError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            ApiError::Query(QueryError::Language { .. } | QueryError::Statement(_)) => (StatusCode::BAD_REQUEST, "bad_query"),
            ApiError::Query(QueryError::Parameter(_))
            | ApiError::Parameter { .. }
            | ApiError::QueryString(_)
            | ApiError::Path(_)
            | ApiError::Body(_) => (StatusCode::BAD_REQUEST, "bad_parameter"),
            ApiError::Query(QueryError::TooLarge(_)) => (StatusCode::UNPROCESSABLE_ENTITY, "too_large"),
            ApiError::Accept { .. } => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            ApiError::Query(_) => (StatusCode::INTERNAL_SERVER_ERROR, "storage"),
            ApiError::UnknownId { .. } | ApiError::UnknownPath { .. } => (StatusCode::NOT_FOUND, "not_found"),
            ApiError::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            ApiError::CrossSite => (StatusCode::FORBIDDEN, "cross_site"),
            ApiError::Denied(status, _) => (*status, denial_code(*status)),
            ApiError::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
            ApiError::Panic | ApiError::NoTenant => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn body(&self) -> ErrorBody {
        let (_, code) = self.status_and_code();
        let error = match self {
            ApiError::Query(QueryError::Language { message, position, caret }) => {
                ErrorDetail { code, message: message.clone(), position: Some(*position), caret: Some(caret.clone()) }
            }
            other => ErrorDetail { code, message: other.to_string(), position: None, caret: None },
        };
        ErrorBody { error }
    }
}

fn denial_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::TOO_MANY_REQUESTS => "too_often",
        StatusCode::BAD_REQUEST => "bad_parameter",
        _ => "internal",
    }
}

/// The API's answer to a request that the program does not let in.
pub fn deny(status: StatusCode, why: String) -> Response {
    ApiError::Denied(status, why).into_response()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _) = self.status_and_code();
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), "{self}");
        }
        let body = serde_json::to_vec(&self.body()).expect("strings and numbers are always JSON");
        (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn answer(error: ApiError) -> (StatusCode, serde_json::Value) {
        let response = error.into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_bad_query_shows_where() {
        let error = QueryError::Language { message: "the quote is not closed".to_owned(), position: 2, caret: "a \"b\n  ^".to_owned() };
        let (status, body) = answer(error.into()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "code": "bad_query", "message": "the quote is not closed", "position": 2, "caret": "a \"b\n  ^",
            }})
        );
    }

    #[tokio::test]
    async fn each_failure_has_its_status() {
        let unusable = ApiError::Parameter { name: "limit", value: "x".to_owned(), mend: "give a number".to_owned() };
        for (error, status, code) in [
            (unusable, 400, "bad_parameter"),
            (QueryError::Parameter("cursor".to_owned()).into(), 400, "bad_parameter"),
            (ApiError::UnknownId { id: "x".to_owned() }, 404, "not_found"),
            (QueryError::Statement("no table".to_owned()).into(), 400, "bad_query"),
            (QueryError::TooLarge("memory".to_owned()).into(), 422, "too_large"),
            (ApiError::Body("no JSON".to_owned()), 400, "bad_parameter"),
            (ApiError::Accept { accepted: "image/png".to_owned() }, 406, "not_acceptable"),
            (ApiError::CrossSite, 403, "cross_site"),
            (ApiError::Timeout(Duration::from_secs(1)), 504, "timeout"),
            (QueryError::Storage("shard 7".to_owned()).into(), 500, "storage"),
            (ApiError::Panic, 500, "internal"),
        ] {
            let (answered, body) = answer(error).await;
            assert_eq!((answered.as_u16(), body["error"]["code"].as_str()), (status, Some(code)));
            assert!(body["error"].get("position").is_none(), "only a query has a position: {body}");
        }
    }

    #[tokio::test]
    async fn a_bad_parameter_is_named_with_its_value_and_the_way_out() {
        let error = ApiError::Parameter { name: "limit", value: "x".to_owned(), mend: "give a number".to_owned() };
        let (_, body) = answer(error).await;
        assert_eq!(body["error"]["message"], "limit is \"x\": give a number");
    }
}
