//! `/api/v1/session` is answered by the program, which knows the tokens; here it is only described.

use utoipa::ToSchema;

use crate::error::ErrorBody;

/// How the asking browser stands.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; the program writes it")]
pub(crate) struct Session {
    /// Whether questions are answered to those who show a token only.
    needs_token: bool,
    /// Whether the cookie that came along is that of a session.
    signed_in: bool,
    /// What the session allows.
    scope: Option<String>,
    /// Whose data it is about.
    tenant: Option<String>,
    /// Whether other machines can reach this server although no token is needed or nothing is encrypted.
    insecure: bool,
}

/// What is shown.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; the program reads it")]
pub(crate) struct SignIn {
    /// As `needle token create` printed it.
    token: String,
}

/// How the asking browser stands.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, description = "So", body = Session)))]
#[expect(dead_code, reason = "the route is the program's")]
pub(crate) fn session() {}

/// Shows a token once, for a cookie that browsers send along from then on; for pages of this server only.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    request_body = SignIn,
    responses(
        (status = 200, description = "Signed in; the cookie is in `set-cookie`", body = Session),
        (status = 400, description = "No token in the body", body = ErrorBody),
        (status = 401, description = "The token is not known", body = ErrorBody),
        (status = 403, description = "The token may not ask, or another site asks", body = ErrorBody),
        (status = 429, description = "Too many wrong tokens; `retry-after` says when to try again", body = ErrorBody)
    )
)]
#[expect(dead_code, reason = "the route is the program's")]
pub(crate) fn sign_in() {}

/// Ends the session.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    responses(
        (status = 200, description = "Signed out", body = Session),
        (status = 403, description = "Another site asks", body = ErrorBody)
    )
)]
#[expect(dead_code, reason = "the route is the program's")]
pub(crate) fn sign_out() {}
