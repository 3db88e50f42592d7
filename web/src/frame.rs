//! What stands around every route: metrics, security headers, compression, deadlines, and answers for what went wrong.

use std::any::Any;
use std::future::Future;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use needle_query::QueryError;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::assets;
use crate::error::ApiError;
use crate::metrics::WebMetrics;

/// `own` routes, the UI behind them, and `ingest` routes, in one frame.
pub(crate) fn around(own: Router, ingest: Router, metrics: &WebMetrics) -> Router {
    let panics = metrics.clone();
    own.fallback(assets::serve)
        // Server-sent events are left alone by the layer's default: a compressor would hold them back.
        .layer(CompressionLayer::new().gzip(true))
        .merge(ingest.reset_fallback())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| answer_panic(&*panic, &panics)))
        .layer(middleware::map_response(secured))
        .layer(middleware::from_fn_with_state(metrics.clone(), measured))
}

/// The answer to a question, unless it takes longer than `timeout`. A question that is dropped, because its time
/// is up or because the client left, stops.
pub(crate) async fn in_time<T>(timeout: Duration, question: impl Future<Output = Result<T, QueryError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(timeout, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ApiError::Timeout(timeout)),
    }
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::Method { method: method.to_string(), path: uri.path().to_owned() }
}

fn answer_panic(panic: &(dyn Any + Send), metrics: &WebMetrics) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!("a request panicked: {}", text.unwrap_or("without a message"));
    metrics.panicked();
    ApiError::Panic.into_response()
}

/// Nothing but this server's own files runs in the page, whatever a log line says. Scripts may set single style
/// properties (the CSS object model is not subject to the policy); style elements and attributes in markup are refused.
/// Text becomes neither markup nor script (Trusted Types), since no policy is made that would turn it into either.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                                       form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

async fn secured(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers hold what services logged: no cache on the way keeps them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn measured(State(metrics): State<WebMetrics>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // The pattern of the route, never the path: ids in it would make a time series each.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    metrics.answered(route.as_ref().map_or("ui", MatchedPath::as_str), &method, response.status(), begun.elapsed());
    response
}

#[cfg(test)]
mod tests;
