//! `GET /api/v1/compare`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, Timed, TimeoutParameter, given, number, time_range};
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Which records, and what they are compared with.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CompareParameters {
    /// The selected records, in the query language.
    #[param(required, example = "status:error")]
    q: Option<String>,
    /// The records they are compared with, in the query language. All others of the time range unless told otherwise.
    baseline: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
    /// At most so many fields; 20 unless told otherwise, 1,000 at most.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<String>,
}

/// What tells the selected records from the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct CompareAnswer {
    /// The most different first.
    fields: Vec<FieldDifference>,
    /// How many fields differ, also beyond the limit.
    total: usize,
    /// All selected records.
    selected_total: u64,
    /// All records of the baseline.
    baseline_total: u64,
    /// Fields that say nothing of the difference, and why.
    skipped: Vec<SkippedField>,
    /// Whether there are so many fields that some were not looked at.
    more: bool,
    /// What was searched.
    completeness: Completeness,
}

/// A field whose values are shared out differently.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct FieldDifference {
    /// As a query names it.
    field: String,
    /// The most different first; ten at most.
    values: Vec<ValueDifference>,
    /// The largest score of a value, without its sign.
    score: f64,
}

/// A value on both sides. All counts are exact.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ValueDifference {
    /// As text; null where the field is absent.
    #[schema(required)]
    value: Option<String>,
    /// Selected records that have it.
    selected: u64,
    /// Of so many that have the field; of all, where it is absent.
    selected_total: u64,
    /// Records of the baseline that have it.
    baseline: u64,
    /// Of so many that have the field; of all, where it is absent.
    baseline_total: u64,
    /// How far the two shares differ for certain (99.9 %), from -1 to 1; above 0 if it is more frequent among the selected.
    score: f64,
}

/// A field that was not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SkippedField {
    /// As a query names it.
    field: String,
    /// Why not.
    reason: String,
}

/// Which values of which fields tell the selected records from the others, with counts on both sides.
#[utoipa::path(
    get,
    path = "/api/v1/compare",
    tag = "fields",
    params(CompareParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Differences", body = CompareAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn compare(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<CompareParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request()?;
    let answer = web.within(timeout, web.engine().compare(&tenant, request)).await?;
    Ok(respond::json(move || CompareAnswer::from(answer)).await)
}

impl CompareParameters {
    fn request(self) -> Result<query::CompareRequest, ApiError> {
        let (start, end) = time_range(self.start, self.end)?;
        let limit = number("limit", self.limit, usize::MAX)?;
        Ok(query::CompareRequest { query: self.q.unwrap_or_default(), baseline: given(self.baseline), start, end, limit })
    }
}

impl From<query::CompareAnswer> for CompareAnswer {
    fn from(answer: query::CompareAnswer) -> CompareAnswer {
        let skipped = answer.skipped.into_iter().map(|query::SkippedField { field, reason }| SkippedField { field, reason });
        CompareAnswer {
            fields: answer.fields.into_iter().map(FieldDifference::from).collect(),
            total: answer.total,
            selected_total: answer.selected_total,
            baseline_total: answer.baseline_total,
            skipped: skipped.collect(),
            more: answer.more,
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::FieldDifference> for FieldDifference {
    fn from(difference: query::FieldDifference) -> FieldDifference {
        let values = difference.values.into_iter().map(ValueDifference::from).collect();
        FieldDifference { field: difference.field, values, score: difference.score }
    }
}

impl From<query::ValueDifference> for ValueDifference {
    fn from(difference: query::ValueDifference) -> ValueDifference {
        let query::ValueDifference { value, selected, selected_total, baseline, baseline_total, score } = difference;
        ValueDifference { value, selected, selected_total, baseline, baseline_total, score }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use needle_query::model::UnixNanos;
    use serde_json::json;

    #[test]
    fn a_value_is_counted_on_both_sides() {
        let value = query::ValueDifference { value: None, selected: 1, selected_total: 2, baseline: 3, baseline_total: 4, score: -0.5 };
        let difference = query::FieldDifference { field: "zone".to_owned(), values: vec![value], score: 0.5 };
        let values = json!([{"value": null, "selected": 1, "selected_total": 2, "baseline": 3, "baseline_total": 4, "score": -0.5}]);
        assert_eq!(
            serde_json::to_value(FieldDifference::from(difference)).unwrap(),
            json!({"field": "zone", "values": values, "score": 0.5})
        );
    }

    #[test]
    fn every_parameter_arrives() {
        let text = |text: &str| Some(text.to_owned());
        let parameters = CompareParameters { q: text("a"), baseline: text("b"), start: text("5"), end: text("9"), limit: text("3") };
        let request = parameters.request().unwrap();
        assert_eq!((request.query.as_str(), request.baseline.as_deref(), request.limit), ("a", Some("b"), Some(3)));
        assert_eq!((request.start, request.end), (Some(UnixNanos(5)), Some(UnixNanos(9))));
        let all = CompareParameters { baseline: text(""), ..CompareParameters::default() }.request().unwrap();
        assert_eq!((all.query.as_str(), all.baseline), ("", None));
    }
}
