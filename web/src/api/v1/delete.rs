//! `DELETE /api/v1/records`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::flush::refuse_cross_site;
use super::parameters::{Asking, Parameters, given};
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// What to delete.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteParameters {
    /// A trace, request or span id, in any spelling.
    #[param(required, value_type = String)]
    id: Option<String>,
}

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DeleteAnswer {
    /// Records that carried the id and are found no more.
    deleted: u64,
    /// Where they were looked for. Those in a shard that could not be read are not counted, and deleted all the same.
    completeness: Completeness,
}

/// Deletes every record that carries an id and was accepted before; answers when no question finds them any more.
/// Their bytes leave the files when those are next written anew. It cannot be undone.
#[utoipa::path(
    delete,
    path = "/api/v1/records",
    tag = "records",
    params(DeleteParameters),
    responses(
        (status = 200, description = "Done", body = DeleteAnswer),
        (status = 400, description = "Bad parameter, or no id", body = ErrorBody),
        (status = 403, description = "Asked by another site through a browser", body = ErrorBody)
    )
)]
pub(crate) async fn delete(
    State(web): State<Web>,
    Asking(tenant): Asking,
    headers: HeaderMap,
    Parameters(parameters): Parameters<DeleteParameters>,
) -> Result<Response, ApiError> {
    refuse_cross_site(&headers)?;
    let id = given(parameters.id).ok_or_else(|| ApiError::Parameter {
        name: "id",
        value: String::new(),
        mend: "give the trace, request or span id whose records are to go".to_owned(),
    })?;
    let answer = web.engine().delete(&tenant, &id).await?;
    Ok(respond::json(move || DeleteAnswer::from(answer)).await)
}

impl From<query::CountAnswer> for DeleteAnswer {
    fn from(answer: query::CountAnswer) -> DeleteAnswer {
        DeleteAnswer { deleted: answer.count, completeness: answer.completeness.into() }
    }
}
