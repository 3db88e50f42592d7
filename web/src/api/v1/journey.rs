//! `GET /api/v1/journey/{id}`: all records reached from one id, in one tree.

mod skeleton;
mod wire;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use needle_query::JourneyRequest;
use needle_query::model::NormalId;
use serde::Deserialize;

use super::parameters::{Asking, Timed, TimeoutParameter, given, number, truth};
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// How to show the journey.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JourneyParameters {
    /// Whether to place log-only services and broken contexts by inference; `true` unless told otherwise.
    #[param(value_type = Option<bool>)]
    inferred: Option<String>,
    /// Whether to move times by the estimated clock offsets; `false` unless told otherwise.
    #[param(value_type = Option<bool>)]
    corrected: Option<String>,
    /// At most this many nodes; 10,000 unless told otherwise. A page ends earlier when its nodes have very many logs.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The whole tree of a journey as columns.
#[utoipa::path(
    get,
    path = "/api/v1/journey/{id}/skeleton",
    tag = "journeys",
    params(("id" = String, Path, description = "A trace id, span id, request id or correlation id, in any spelling"), SkeletonParameters, TimeoutParameter),
    responses(
        (status = 200, description = "The tree", body = skeleton::Skeleton),
        (status = 400, description = "Unusable id or parameter", body = ErrorBody),
        (status = 404, description = "Nothing carries the id", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn skeleton(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Id(id): Id,
    Timed { parameters, timeout }: Timed<SkeletonParameters>,
) -> Result<Response, ApiError> {
    let SkeletonParameters { inferred, corrected } = parameters;
    let request = JourneyParameters { inferred, corrected, ..JourneyParameters::default() }.request(id.clone())?;
    match web.within(timeout, web.engine().journey_outline(&tenant, request)).await? {
        Some(journey) => Ok(respond::json(move || skeleton::Skeleton::from(journey)).await),
        None => Err(ApiError::UnknownId { id }),
    }
}

/// The stitched journey of an id.
#[utoipa::path(
    get,
    path = "/api/v1/journey/{id}",
    tag = "journeys",
    params(("id" = String, Path, description = "A trace id, span id, request id or correlation id, in any spelling"), JourneyParameters, TimeoutParameter),
    responses(
        (status = 200, description = "The journey", body = wire::Journey),
        (status = 400, description = "Unusable id or parameter", body = ErrorBody),
        (status = 404, description = "Nothing carries the id", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn journey(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Id(id): Id,
    Timed { parameters, timeout }: Timed<JourneyParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request(id.clone())?;
    match web.within(timeout, web.engine().journey(&tenant, request)).await? {
        Some(journey) => Ok(respond::json(move || wire::Journey::from(journey)).await),
        None => Err(ApiError::UnknownId { id }),
    }
}

impl JourneyParameters {
    fn request(self, id: String) -> Result<JourneyRequest, ApiError> {
        let limit = number("limit", self.limit, usize::MAX)?;
        if limit == Some(0) {
            let mend = "give 1 or more, or leave it out".to_owned();
            return Err(ApiError::Parameter { name: "limit", value: "0".to_owned(), mend });
        }
        Ok(JourneyRequest {
            id,
            inferred: truth("inferred", self.inferred, true)?,
            corrected: truth("corrected", self.corrected, false)?,
            limit,
            cursor: given(self.cursor),
        })
    }
}

/// How to draw the journey.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SkeletonParameters {
    /// Whether to place log-only services and broken contexts by inference; `true` unless told otherwise.
    #[param(value_type = Option<bool>)]
    inferred: Option<String>,
    /// Whether to move times by the estimated clock offsets; `false` unless told otherwise.
    #[param(value_type = Option<bool>)]
    corrected: Option<String>,
}

/// The `{id}` of the path, one that can belong to a record.
pub(crate) struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|rejection| ApiError::Path(rejection.body_text()))?;
        match unusable(&id) {
            None => Ok(Id(id)),
            Some(mend) => Err(ApiError::Parameter { name: "id", value: id, mend: mend.to_owned() }),
        }
    }
}

/// Why an id cannot belong to any record; none when it can.
fn unusable(id: &str) -> Option<&'static str> {
    if NormalId::of(id).is_some() {
        return None;
    }
    Some(if id.trim().len() > 256 {
        "ids longer than 256 bytes are not indexed; search for a word of it instead"
    } else {
        "this is a placeholder that stands for no id; give a trace, span, request or correlation id"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_refused_with_the_reason() {
        for id in ["-", "null", "0", " ", "00000000000000000000000000000000"] {
            assert!(unusable(id).is_some_and(|why| why.contains("placeholder")), "{id}");
        }
        assert!(unusable(&"x".repeat(300)).is_some_and(|why| why.contains("256")));
    }

    #[test]
    fn every_spelling_of_an_id_is_usable() {
        for id in ["req-1", "125A4AFB-6F55-44BA-AD80-413F09F48A28", "00f067aa0ba902b7", "6554734444506566495", "order/7 é"] {
            assert_eq!(unusable(id), None, "{id}");
        }
    }

    #[test]
    fn inference_is_on_and_correction_off_unless_told_otherwise() {
        let request = JourneyParameters::default().request("x".to_owned()).unwrap();
        assert!(request.inferred && !request.corrected);
        assert_eq!((request.limit, request.cursor), (None, None));

        let text = |text: &str| Some(text.to_owned());
        let parameters = JourneyParameters { inferred: text("false"), corrected: text("true"), limit: text("500"), cursor: text("c") };
        let request = parameters.request("x".to_owned()).unwrap();
        assert!(!request.inferred && request.corrected);
        assert_eq!((request.limit, request.cursor.as_deref()), (Some(500), Some("c")));

        let nothing = JourneyParameters { limit: text("0"), ..JourneyParameters::default() };
        assert!(nothing.request("x".to_owned()).is_err());
    }
}
