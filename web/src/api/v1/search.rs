//! `GET /api/v1/search` and `GET /api/v1/count`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::Serialize;
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, CountParameters, SearchParameters, Timed, TimeoutParameter};
use super::record::Record;
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Records found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SearchAnswer {
    /// In the order asked for.
    records: Vec<Record>,
    /// `cursor` of the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// What else is to be known, if the answer may not be what was meant; absent if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What was searched.
    completeness: Completeness,
}

/// How many records match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CountAnswer {
    /// Matching records.
    count: u64,
    /// What else is to be known, if the answer may not be what was meant; absent if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What was searched.
    completeness: Completeness,
}

/// Records that match, page by page.
#[utoipa::path(
    get,
    path = "/api/v1/search",
    tag = "records",
    params(SearchParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Records", body = SearchAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn search(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<SearchParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request(web.settings())?;
    let answer = web.within(timeout, web.engine().search(&tenant, request)).await?;
    Ok(respond::json(move || SearchAnswer::from(answer)).await)
}

/// How many records match.
#[utoipa::path(
    get,
    path = "/api/v1/count",
    tag = "records",
    params(CountParameters, TimeoutParameter),
    responses(
        (status = 200, description = "The number", body = CountAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn count(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<CountParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request()?;
    let answer = web.within(timeout, web.engine().count(&tenant, request)).await?;
    Ok(respond::json(move || CountAnswer::from(answer)).await)
}

impl From<query::SearchAnswer> for SearchAnswer {
    fn from(answer: query::SearchAnswer) -> SearchAnswer {
        SearchAnswer {
            records: answer.records.into_iter().map(Record::from).collect(),
            next_cursor: answer.next_cursor,
            notes: answer.notes,
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::CountAnswer> for CountAnswer {
    fn from(answer: query::CountAnswer) -> CountAnswer {
        CountAnswer { count: answer.count, notes: answer.notes, completeness: answer.completeness.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use needle_query::model;
    use serde_json::json;

    #[test]
    fn an_answer_says_what_it_does_not_know() {
        let answer = query::SearchAnswer {
            records: vec![model::Record::Log(model::Log::default())],
            next_cursor: Some("c".to_owned()),
            notes: vec!["no record has the field `x`".to_owned()],
            completeness: query::Completeness {
                state: query::CompletenessState::Partial,
                reasons: vec!["shard 7 cannot be read".to_owned()],
                shards_searched: 6,
                shards_failed: 1,
            },
        };
        let written = serde_json::to_value(SearchAnswer::from(answer)).unwrap();
        assert_eq!(written["records"][0]["kind"], "log");
        assert_eq!(written["next_cursor"], "c");
        assert_eq!(written["notes"], json!(["no record has the field `x`"]));
        assert_eq!(
            written["completeness"],
            json!({"state": "partial", "reasons": ["shard 7 cannot be read"], "shards_searched": 6, "shards_failed": 1})
        );
    }

    #[test]
    fn the_last_page_has_a_null_cursor() {
        let written = serde_json::to_value(SearchAnswer::from(query::SearchAnswer::default())).unwrap();
        assert_eq!(
            written,
            json!({
                "records": [],
                "next_cursor": null,
                "completeness": {"state": "complete", "reasons": [], "shards_searched": 0, "shards_failed": 0},
            })
        );
    }
}
