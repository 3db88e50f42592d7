//! Writing an answer.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The answer that `convert` makes, as JSON. A journey of 100,000 spans is tens of megabytes, so the work is
/// done where it holds up no other request.
pub(crate) async fn json<T: Serialize>(convert: impl FnOnce() -> T + Send + 'static) -> Response {
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&convert()).expect("wire types are always JSON")).await;
    match written {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        // Nobody cancels the task: it panicked, and the request that asked for it answers for that.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
