//! `GET /api/v1/fields` and `GET /api/v1/fields/{name}/values`.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, Timed, TimeoutParameter, number, time_range};
use super::respond;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Of which records.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FieldsParameters {
    /// In the query language; empty or `*` is everything.
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
}

/// Of which records, and which values.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FieldValuesParameters {
    /// In the query language; empty or `*` is everything.
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
    /// Only values that begin so, in upper or lower case.
    prefix: Option<String>,
    /// At most so many values; 20 unless told otherwise, 1,000 at most.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<String>,
}

/// Fields of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldsAnswer {
    /// The most frequent first.
    fields: Vec<Field>,
    /// Whether there are so many keys of attributes that some are not listed.
    more: bool,
    /// What was searched.
    completeness: Completeness,
}

/// A field that some records have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Field {
    /// As a query names it.
    name: String,
    /// The type that most of its values have: `string`, `int`, `double`, `bool`, `bytes`, `array`, `map`, `empty`, `level`, `duration`, `id`.
    r#type: &'static str,
    /// Records that have it.
    count: u64,
    /// Whether it is part of records, or an attribute of records or of what sent them.
    place: Place,
    /// Every type of its values, the most frequent first.
    types: Vec<FieldType>,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// It is part of every record of its signal.
    Record,
    /// It is an attribute of records.
    Attribute,
    /// It is an attribute of what sent them.
    Resource,
}

/// How many records have values of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldType {
    /// The type.
    r#type: &'static str,
    /// Records.
    count: u64,
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldValuesAnswer {
    /// The most frequent first.
    values: Vec<FieldValue>,
    /// Records with other values.
    other: u64,
    /// Records without the field.
    without: u64,
    /// False when there were too many values to keep apart: then one that came late may be missing though it is more
    /// frequent than some of these.
    exact: bool,
    /// What was searched.
    completeness: Completeness,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldValue {
    /// As text.
    value: String,
    /// Records that have it.
    count: u64,
}

/// The fields of matching records, with their types and how many records have each.
#[utoipa::path(
    get,
    path = "/api/v1/fields",
    tag = "fields",
    params(FieldsParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Fields", body = FieldsAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn fields(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<FieldsParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request()?;
    let answer = web.within(timeout, web.engine().fields(&tenant, request)).await?;
    Ok(respond::json(move || FieldsAnswer::from(answer)).await)
}

/// The most frequent values of a field of matching records.
#[utoipa::path(
    get,
    path = "/api/v1/fields/{name}/values",
    tag = "fields",
    params(("name" = String, Path, description = "A field, in any of its names: service, level, http.route, resource.host.name"), FieldValuesParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Values", body = FieldValuesAnswer),
        (status = 400, description = "Bad field, query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn values(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Name(name): Name,
    Timed { parameters, timeout }: Timed<FieldValuesParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request(name)?;
    let answer = web.within(timeout, web.engine().field_values(&tenant, request)).await?;
    Ok(respond::json(move || FieldValuesAnswer::from(answer)).await)
}

/// The name in the path.
pub(crate) struct Name(String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        name.map(|Path(name)| Name(name)).map_err(|rejection| ApiError::Path(rejection.body_text()))
    }
}

impl FieldsParameters {
    fn request(self) -> Result<query::FieldsRequest, ApiError> {
        let (start, end) = time_range(self.start, self.end)?;
        Ok(query::FieldsRequest { query: self.q.unwrap_or_default(), start, end })
    }
}

impl FieldValuesParameters {
    fn request(self, name: String) -> Result<query::FieldValuesRequest, ApiError> {
        let of = FieldsParameters { q: self.q, start: self.start, end: self.end }.request()?;
        let limit = number("limit", self.limit, usize::MAX)?;
        Ok(query::FieldValuesRequest { name, of, prefix: self.prefix.unwrap_or_default(), limit })
    }
}

impl From<query::FieldsAnswer> for FieldsAnswer {
    fn from(answer: query::FieldsAnswer) -> FieldsAnswer {
        FieldsAnswer {
            fields: answer.fields.into_iter().map(Field::from).collect(),
            more: answer.more,
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::FieldSummary> for Field {
    fn from(field: query::FieldSummary) -> Field {
        Field {
            r#type: field.types.first().map_or("empty", |(name, _)| name),
            name: field.name,
            count: field.count,
            place: field.place.into(),
            types: field.types.into_iter().map(|(r#type, count)| FieldType { r#type, count }).collect(),
        }
    }
}

impl From<query::FieldPlace> for Place {
    fn from(place: query::FieldPlace) -> Place {
        match place {
            query::FieldPlace::Record => Place::Record,
            query::FieldPlace::Attribute => Place::Attribute,
            query::FieldPlace::Resource => Place::Resource,
        }
    }
}

impl From<query::FieldValuesAnswer> for FieldValuesAnswer {
    fn from(answer: query::FieldValuesAnswer) -> FieldValuesAnswer {
        FieldValuesAnswer {
            values: answer.values.into_iter().map(|(value, count)| FieldValue { value, count }).collect(),
            other: answer.other,
            without: answer.without,
            exact: answer.exact,
            completeness: answer.completeness.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_says_its_types_and_its_place() {
        let field = query::FieldSummary {
            name: "code".to_owned(),
            place: query::FieldPlace::Attribute,
            count: 5,
            types: vec![("int", 3), ("string", 2)],
        };
        assert_eq!(
            serde_json::to_value(Field::from(field)).unwrap(),
            json!({
                "name": "code", "type": "int", "count": 5, "place": "attribute",
                "types": [{"type": "int", "count": 3}, {"type": "string", "count": 2}],
            })
        );
    }

    #[test]
    fn values_say_what_is_left() {
        let answer = query::FieldValuesAnswer { values: vec![("cart".to_owned(), 5)], other: 2, without: 1, ..Default::default() };
        let mut written = serde_json::to_value(FieldValuesAnswer::from(answer)).unwrap();
        assert_eq!(written["completeness"].take()["state"], "complete");
        assert_eq!(
            written,
            json!({"values": [{"value": "cart", "count": 5}], "other": 2, "without": 1, "exact": false, "completeness": null})
        );
    }
}
