//! Who may do what: every route stands behind a guard that knows which scope it needs.
//!
//! A listener serves only [`Guarded`] routes, and those are made here alone: [`Guard::require`] puts a scope before routes, and
//! [`Guard::around`] finds out, for each request, who asks.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::StreamExt as _;
use needle_ingest::Ingest;

use super::attempts::Attempts;
use super::metrics::GuardMetrics;
use super::origins::{self, Origins};
use super::sessions::Sessions;
use super::slots::Peer;
use crate::tokens::{Caller, Scope, TokenBook, Unknown};

/// Headers by which a proxy tells whom it speaks for. No proxy is trusted, so nothing behind the guard sees them.
const OF_PROXIES: [&str; 8] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "x-scope-orgid", "x-tenant"];

/// How a listener stands in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// Only programs of this machine reach it.
    pub(crate) loopback: bool,
    /// What is sent to it is encrypted.
    pub(crate) tls: bool,
    /// Others reach it, and either no token is needed or nothing is encrypted.
    pub(crate) insecure: bool,
}

/// In whose words a refusal is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `grpc-status`.
    OtlpGrpc,
    /// `google.rpc.Status` in the encoding of the request.
    OtlpHttp,
    /// The API's errors.
    Api,
}

/// Routes that may be served.
#[derive(Clone)]
pub(crate) struct Guarded(Router);

impl Guarded {
    pub(super) fn into_router(self) -> Router {
        self.0
    }

    #[cfg(test)]
    pub(super) fn open(router: Router) -> Guarded {
        Guarded(router)
    }
}

/// Why a request does not come in.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What was found out about who asks; put into each request.
#[derive(Clone)]
struct Identified(Result<Caller, Refused>);

/// Knows tokens, sessions and who failed. Clones share everything.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) tokens: Arc<TokenBook>,
    pub(super) sessions: Sessions,
    pub(super) exposure: Exposure,
    attempts: Attempts,
    origins: Origins,
    metrics: GuardMetrics,
    ingest: Ingest,
}

impl Guard {
    pub(crate) fn new(tokens: Arc<TokenBook>, exposure: Exposure, origins: Origins, metrics: GuardMetrics, ingest: Ingest) -> Guard {
        let (sessions, attempts) = (Sessions::default(), Attempts::default());
        Guard { shared: Arc::new(Shared { tokens, sessions, exposure, attempts, origins, metrics, ingest }) }
    }

    /// These routes, for callers with this scope.
    pub(crate) fn require(&self, scope: Scope, form: Form, router: Router) -> Router {
        router.route_layer(middleware::from_fn_with_state(Required { guard: self.clone(), scope, form }, required))
    }

    /// These routes, that pages of the configured sites may send to as well.
    pub(crate) fn share(&self, router: Router) -> Router {
        router.route_layer(middleware::from_fn_with_state(self.shared.origins.clone(), origins::share))
    }

    /// Finds out who asks, before any route is looked at.
    pub(crate) fn around(&self, router: Router) -> Guarded {
        Guarded(router.layer(middleware::from_fn_with_state(self.clone(), identify)))
    }

    fn identify(&self, request: &Request) -> Result<Caller, Refused> {
        let Shared { tokens, sessions, .. } = &*self.shared;
        if let Some(anybody) = tokens.anybody() {
            self.refuse_rebound(request)?;
            self.refuse_other_sites(request)?;
            return Ok(anybody);
        }
        if let Some(shown) = request.headers().get(AUTHORIZATION) {
            let text = shown.to_str().ok().and_then(bearer).ok_or_else(|| unauthenticated("not_bearer", NOT_BEARER))?;
            return self.caller(request.extensions().get::<Peer>().copied(), text);
        }
        let Some(token) = cookie(request.headers()).and_then(|cookie| sessions.token_of(cookie, Instant::now())) else {
            return Err(unauthenticated("missing", MISSING));
        };
        // A cookie comes along whoever makes the browser ask.
        if !matches!(*request.method(), axum::http::Method::GET | axum::http::Method::HEAD) && !Origins::is_own_page(request) {
            return Err(cross_site());
        }
        tokens.caller_again(&token).map_err(|unknown| unauthenticated("session", why(unknown)))
    }

    /// Who shows this token. Failures are counted by address.
    pub(super) fn caller(&self, peer: Option<Peer>, text: &str) -> Result<Caller, Refused> {
        let Shared { tokens, attempts, .. } = &*self.shared;
        match tokens.caller(text) {
            Ok(caller) => Ok(caller),
            Err(unknown) => {
                if peer.is_some_and(|peer| !attempts.failed(peer, Instant::now())) {
                    let message = "too many wrong tokens came from this address: try again in a moment";
                    return Err(Refused { status: StatusCode::TOO_MANY_REQUESTS, reason: "too_often", message: message.to_owned() });
                }
                let reason = match unknown {
                    Unknown::Malformed | Unknown::Wrong => "wrong",
                    Unknown::Revoked => "revoked",
                    Unknown::Expired => "expired",
                };
                Err(unauthenticated(reason, why(unknown)))
            }
        }
    }

    /// Without tokens, a server on loopback answers to names of this machine only: a page of any site can give its own name the
    /// address 127.0.0.1, and its scripts would then read everything here. Such a name has a dot.
    fn refuse_rebound(&self, request: &Request) -> Result<(), Refused> {
        let Some(host) = origins::host_of(request).filter(|_| self.shared.exposure.loopback) else { return Ok(()) };
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        if is_address || !name.contains('.') || name.ends_with(".localhost") {
            return Ok(());
        }
        let message = format!(
            "this server is asked as {name:?}, which is no name of this machine: ask http://localhost or http://127.0.0.1, or make a token with `needle token create`"
        );
        Err(Refused { status: StatusCode::FORBIDDEN, reason: "host", message })
    }

    /// Without tokens, nothing but this keeps any page in a browser from sending, deleting and merging.
    fn refuse_other_sites(&self, request: &Request) -> Result<(), Refused> {
        if self.shared.origins.may_change(request) { Ok(()) } else { Err(cross_site()) }
    }

    /// The answer to a request that does not come in.
    fn deny(&self, form: Form, refused: Refused, parts: &Parts) -> Response {
        self.shared.metrics.refused(refused.reason);
        tracing::debug!(reason = refused.reason, "a request was not let in");
        let Refused { status, message, .. } = refused;
        let mut response = match form {
            Form::OtlpGrpc => self.shared.ingest.deny_grpc(parts, status, message),
            Form::OtlpHttp => self.shared.ingest.deny_http(parts, status, message),
            Form::Api => needle_web::deny(status, message),
        };
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED && form != Form::OtlpGrpc {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from(Attempts::retry_after_seconds()));
        }
        response
    }
}

async fn identify(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    for name in OF_PROXIES {
        request.headers_mut().remove(HeaderName::from_static(name));
    }
    let identified = Identified(guard.identify(&request));
    request.extensions_mut().insert(identified);
    next.run(request).await
}

/// What a group of routes needs.
#[derive(Clone)]
struct Required {
    guard: Guard,
    scope: Scope,
    form: Form,
}

async fn required(State(Required { guard, scope, form }): State<Required>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match parts.extensions.remove::<Identified>() {
        Some(Identified(Ok(caller))) if caller.scope.allows(scope) => caller,
        Some(Identified(Ok(caller))) => return guard.deny(form, forbidden(caller.scope, scope), &parts),
        Some(Identified(Err(refused))) => return guard.deny(form, refused, &parts),
        // Routes without the guard around them are a fault of ours; they let nobody in.
        None => return guard.deny(form, unauthenticated("unguarded", MISSING), &parts),
    };
    parts.extensions.insert(caller.tenant.clone());
    if form != Form::Api {
        // Records that were let in are taken in whole; their sender has to know.
        return next.run(Request::from_parts(parts, body)).await;
    }
    let (denied_as, ended) = (parts.clone(), caller.ended.clone());
    tokio::select! {
        response = next.run(Request::from_parts(parts, body)) => {
            response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended.cancelled_owned())))
        }
        () = caller.ended.cancelled() => {
            let refused = match caller.token {
                Some(_) => unauthenticated("revoked", why(Unknown::Revoked)),
                None => unauthenticated("missing", MISSING),
            };
            guard.deny(form, refused, &denied_as)
        }
    }
}

const MISSING: &str = "a token is needed: `needle token create` on the server makes one; show it with --token or NEEDLE_TOKEN, or in the header \
                       `authorization: Bearer TOKEN` (exporters: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN)";
const NOT_BEARER: &str = "the authorization header is not of the form `Bearer TOKEN`: show a token that `needle token create` made";

fn why(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::Malformed => "this is no token, or not a whole one: copy all of it, from `ndl_` on",
        Unknown::Wrong => {
            "this token is not known here: it was made for another server, or its file was replaced; `needle token create` makes one"
        }
        Unknown::Revoked => "this token was revoked: `needle token create` on the server makes another one",
        Unknown::Expired => "this token has expired: `needle token create` on the server makes another one",
    }
}

pub(super) fn unauthenticated(reason: &'static str, message: &str) -> Refused {
    Refused { status: StatusCode::UNAUTHORIZED, reason, message: message.to_owned() }
}

pub(super) fn forbidden(has: Scope, needed: Scope) -> Refused {
    let message =
        format!("this token has the scope {has}, and this needs {needed}: use one that `needle token create --scope {needed}` made");
    Refused { status: StatusCode::FORBIDDEN, reason: "scope", message }
}

pub(super) fn cross_site() -> Refused {
    let message =
        "requests that another site makes through a browser are refused: add its origin to cors_origins if its pages may send records";
    Refused { status: StatusCode::FORBIDDEN, reason: "cross_site", message: message.to_owned() }
}

/// The token behind `Bearer`.
fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The name of the cookie of a session. Over TLS the prefix makes browsers refuse one that was set otherwise.
pub(super) fn cookie_name(tls: bool) -> &'static str {
    if tls { "__Host-needle_session" } else { "needle_session" }
}

/// The session of a browser.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| [cookie_name(true), cookie_name(false)].contains(name))
        .map(|(_, value)| value)
}
