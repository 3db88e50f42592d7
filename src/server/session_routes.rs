//! `/api/v1/session`: a page in a browser shows its token once, and has a cookie from then on.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::guard::{Guard, Refused, cookie, cookie_name, cross_site, forbidden};
use super::origins::Origins;
use super::sessions::LIFETIME;
use super::slots::Peer;
use crate::tokens::{Caller, Scope};

/// A token is much shorter.
const BODY_BYTES_MAX: usize = 4 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

impl Guard {
    /// The routes; they need no scope, since they are how one is shown.
    pub(crate) fn session_routes(&self) -> Router {
        Router::new().route("/api/v1/session", get(state).post(sign_in).delete(sign_out)).with_state(self.clone())
    }

    fn state(&self, caller: Option<&Caller>) -> serde_json::Value {
        json!({
            "needs_token": self.shared.tokens.demands(),
            "signed_in": caller.is_some(),
            "scope": caller.map(|caller| caller.scope.name()),
            "tenant": caller.map(|caller| caller.tenant.as_str()),
            "insecure": self.shared.exposure.insecure,
        })
    }

    /// The cookie with this value, kept for so many seconds.
    fn set_cookie(&self, value: &str, seconds: u64) -> HeaderValue {
        let tls = self.shared.exposure.tls;
        let secure = if tls { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}", cookie_name(tls));
        HeaderValue::from_str(&text).expect("base64url and fixed words are visible ASCII")
    }

    fn of_session(&self, headers: &HeaderMap) -> Option<Caller> {
        let token = self.shared.sessions.token_of(cookie(headers)?, Instant::now())?;
        self.shared.tokens.caller_again(&token).ok()
    }
}

async fn state(State(guard): State<Guard>, headers: HeaderMap) -> Response {
    Json(guard.state(guard.of_session(&headers).as_ref())).into_response()
}

async fn sign_in(State(guard): State<Guard>, request: Request) -> Response {
    if !Origins::is_own_page(&request) {
        return refuse(cross_site());
    }
    let peer = request.extensions().get::<Peer>().copied();
    let is_json = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.unwrap_or_else(|_| Bytes::new());
    let Some(SignIn { token }) = serde_json::from_slice(&body).ok().filter(|_| is_json) else {
        return needle_web::deny(StatusCode::BAD_REQUEST, "send {\"token\": \"ndl_...\"} as application/json".to_owned());
    };
    let caller = match guard.caller(peer, token.trim()) {
        Ok(caller) if caller.scope.allows(Scope::Read) => caller,
        Ok(caller) => return refuse(forbidden(caller.scope, Scope::Read)),
        Err(refused) => return refuse(refused),
    };
    match guard.shared.sessions.open(caller.token.as_deref().unwrap_or_default(), Instant::now()) {
        Ok(cookie) => {
            let cookie = guard.set_cookie(&cookie, LIFETIME.as_secs());
            ([(SET_COOKIE, cookie)], Json(guard.state(Some(&caller)))).into_response()
        }
        Err(message) => needle_web::deny(StatusCode::INTERNAL_SERVER_ERROR, message),
    }
}

async fn sign_out(State(guard): State<Guard>, request: Request) -> Response {
    if !Origins::is_own_page(&request) {
        return refuse(cross_site());
    }
    if let Some(cookie) = cookie(request.headers()) {
        guard.shared.sessions.close(cookie);
    }
    ([(SET_COOKIE, guard.set_cookie("", 0))], Json(guard.state(None))).into_response()
}

fn refuse(refused: Refused) -> Response {
    needle_web::deny(refused.status, refused.message)
}
