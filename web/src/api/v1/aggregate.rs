//! `GET /api/v1/aggregate`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use needle_query as query;
use serde::Deserialize;

use super::parameters::{Asking, Timed, TimeoutParameter, time_range};
use super::table::{self, Form, TableAnswer};
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// What to count, and of which records.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AggregateParameters {
    /// In the query language, with a pipe that says what to count.
    #[param(value_type = String, example = "level>=warn | count() by service every 1m")]
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
}

/// Numbers of matching records: counts, rates, sums, averages, percentiles, by fields and over time.
///
/// The columns are `time` (where buckets begin, with `every`), the fields after `by`, and the functions, under the names
/// that the query gives them. `accept` chooses among JSON, CSV, an Arrow stream and Parquet.
#[utoipa::path(
    get,
    path = "/api/v1/aggregate",
    tag = "records",
    params(AggregateParameters, TimeoutParameter),
    responses(
        (
            status = 200,
            description = "Rows; in other forms than JSON the header `needle-completeness` says whether they are all",
            content(
                (TableAnswer = "application/json"),
                (String = "text/csv"),
                (Vec<u8> = "application/vnd.apache.arrow.stream"),
                (Vec<u8> = "application/vnd.apache.parquet")
            )
        ),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 406, description = "No such form", body = ErrorBody),
        (status = 422, description = "It takes more memory than queries may", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn aggregate(
    State(web): State<Web>,
    Asking(tenant): Asking,
    headers: HeaderMap,
    Timed { parameters, timeout }: Timed<AggregateParameters>,
) -> Result<Response, ApiError> {
    let form = Form::of(&headers)?;
    let (start, end) = time_range(parameters.start, parameters.end)?;
    let request = query::AggregateRequest { query: parameters.q.unwrap_or_default(), start, end };
    let answer = web.within(timeout, web.engine().aggregate(&tenant, request)).await?;
    table::answer(answer, form).await
}
