//! `POST /api/v1/logs` is answered by the ingest room's routes; here it is only described.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ErrorBody;

/// Whose lines, and how to read them.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters; ingest reads it")]
pub(crate) struct ImportParameters {
    /// The service of records that name none.
    service: Option<String>,
    /// The zone of times that carry none: `Europe/Berlin`, `+01:00`; UTC unless told. Where clocks are changed, an hour that comes
    /// twice or not at all is read by the offset before the change.
    timezone: Option<String>,
}

/// What became of the lines.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; ingest writes it")]
pub(crate) struct ImportAnswer {
    /// Records stored.
    accepted: usize,
    /// Lines that were not.
    rejected: Vec<RejectedLine>,
    /// What was assumed of the records that were stored; there only if something was.
    warning: Option<String>,
}

/// A line that was not stored.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; ingest writes it")]
pub(crate) struct RejectedLine {
    /// Its number, from 1.
    line: usize,
    /// Why.
    reason: String,
}

/// Log records in: a JSON object, an array of objects, objects line by line, or plain text lines.
///
/// Keys that are recognised (the first one found wins): time `timestamp time ts @timestamp date`, text `message msg body log`,
/// level `level severity lvl log.level`, service `service service.name app application logger_service`. All else is an attribute.
#[utoipa::path(
    post,
    path = "/api/v1/logs",
    tag = "import",
    security(("token" = ["ingest"])),
    params(ImportParameters, ("idempotency-key" = Option<String>, Header, description = "Requests with the same key are stored once")),
    request_body(
        description = "Records; gzip by `content-encoding`",
        content((serde_json::Value = "application/json"), (String = "application/x-ndjson"), (String = "text/plain"))
    ),
    responses(
        (status = 200, description = "Stored, but for the lines named", body = ImportAnswer),
        (status = 400, description = "No line could be read, or the time zone is not known", body = ErrorBody),
        (status = 413, description = "The body is too long", body = ErrorBody),
        (status = 415, description = "Unknown content type or encoding", body = ErrorBody),
        (status = 429, description = "Too much at once; `retry-after` says when to send again", body = ErrorBody),
        (status = 503, description = "Not writable just now; `retry-after` says when to send again", body = ErrorBody)
    )
)]
#[expect(dead_code, reason = "the route is ingest's")]
pub(crate) fn import_logs() {}
