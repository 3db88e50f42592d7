//! `POST /api/v1/sql`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::flush::refuse_cross_site;
use super::parameters::{Asking, NoParameters, Timed, TimeoutParameter};
use super::table::{self, Form, TableAnswer};
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// A question in SQL.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One statement over the tables `logs` and `spans`: SELECT, EXPLAIN, DESCRIBE or SHOW TABLES.
    #[schema(example = "SELECT service, count(*) FROM logs GROUP BY service")]
    query: String,
}

/// The answer of an SQL statement over the tables `logs` and `spans`.
///
/// Attributes stand under their keys: `attributes['http.route']`, `resource['host.name']`, or `"http.route"` for whichever
/// of the two has it. `DESCRIBE logs` lists the columns. Nothing can be changed. `accept` chooses among JSON, CSV, an Arrow
/// stream and Parquet.
#[utoipa::path(
    post,
    path = "/api/v1/sql",
    tag = "records",
    params(TimeoutParameter),
    request_body = SqlRequest,
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
        (status = 400, description = "Bad statement", body = ErrorBody),
        (status = 403, description = "Asked by another site through a browser", body = ErrorBody),
        (status = 406, description = "No such form", body = ErrorBody),
        (status = 422, description = "It takes more memory than queries may", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn sql(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters: NoParameters {}, timeout }: Timed<NoParameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    refuse_cross_site(&headers)?;
    let form = Form::of(&headers)?;
    let SqlRequest { query } = serde_json::from_slice(&body).map_err(|error| ApiError::Body(error.to_string()))?;
    let answer = web.within(timeout, web.engine().sql(&tenant, query)).await?;
    table::answer(answer, form).await
}
