//! `GET /api/v1/journeys`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::Serialize;
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, SearchParameters, Timed, TimeoutParameter};
use super::respond;
use super::time::Time;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Journeys that contain a match.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct JourneysAnswer {
    /// Newest match first.
    journeys: Vec<JourneySummary>,
    /// `cursor` of the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// What was searched.
    completeness: Completeness,
}

/// One line of a list of journeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct JourneySummary {
    /// An id that opens it.
    id: String,
    /// Earliest record found.
    start: Time,
    /// From first to last.
    duration_ns: i64,
    /// Service and operation of the root.
    root: String,
    /// Services in it.
    services: Vec<String>,
    /// Spans in it.
    spans: usize,
    /// Logs in it.
    logs: usize,
    /// Errors in it.
    errors: usize,
}

/// Journeys that contain a matching record.
#[utoipa::path(
    get,
    path = "/api/v1/journeys",
    tag = "journeys",
    params(SearchParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Journeys", body = JourneysAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn journeys(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<SearchParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request(web.settings())?;
    let answer = web.within(timeout, web.engine().journeys(&tenant, request)).await?;
    Ok(respond::json(move || JourneysAnswer::from(answer)).await)
}

impl From<query::JourneysAnswer> for JourneysAnswer {
    fn from(answer: query::JourneysAnswer) -> JourneysAnswer {
        JourneysAnswer {
            journeys: answer.journeys.into_iter().map(JourneySummary::from).collect(),
            next_cursor: answer.next_cursor,
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::JourneySummary> for JourneySummary {
    fn from(summary: query::JourneySummary) -> JourneySummary {
        JourneySummary {
            id: summary.id,
            start: summary.start.into(),
            duration_ns: summary.duration_ns,
            root: summary.root,
            services: summary.services,
            spans: summary.spans,
            logs: summary.logs,
            errors: summary.errors,
        }
    }
}
