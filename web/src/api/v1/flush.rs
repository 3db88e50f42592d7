//! `POST /api/v1/admin/flush`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parameters::{Parameters, truth};
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// How far to go.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FlushParameters {
    /// Whether to merge as well, until nothing is left to do; `false` unless told otherwise.
    #[param(value_type = Option<bool>)]
    merge: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FlushAnswer {
    /// Live records were sealed.
    flushed: bool,
    /// Shards were merged until nothing was left to do.
    merged: bool,
}

/// Seals live records now; answers when it is done.
#[utoipa::path(
    post,
    path = "/api/v1/admin/flush",
    tag = "operation",
    params(FlushParameters),
    responses(
        (status = 200, description = "Done", body = FlushAnswer),
        (status = 400, description = "Bad parameter", body = ErrorBody),
        (status = 403, description = "Asked by another site through a browser", body = ErrorBody)
    )
)]
pub(crate) async fn flush(
    State(web): State<Web>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<FlushParameters>,
) -> Result<Response, ApiError> {
    refuse_cross_site(&headers)?;
    let merge = truth("merge", parameters.merge, false)?;
    web.engine().flush(merge).await?;
    Ok(respond::json(move || FlushAnswer { flushed: true, merged: merge }).await)
}

/// Any page in a browser on this machine can send a plain POST here; browsers say where it comes from
/// (Fetch Metadata, `Sec-Fetch-Site`), programs send no such header.
pub(super) fn refuse_cross_site(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(ApiError::CrossSite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn another_site_cannot_ask_through_a_browser() {
        let from = |site| HeaderMap::from_iter([("sec-fetch-site".parse().unwrap(), HeaderValue::from_static(site))]);
        assert!(refuse_cross_site(&HeaderMap::new()).is_ok());
        assert!(refuse_cross_site(&from("same-origin")).is_ok());
        for site in ["cross-site", "same-site"] {
            assert!(matches!(refuse_cross_site(&from(site)), Err(ApiError::CrossSite)), "{site}");
        }
    }
}
