//! Tables on the wire: rows as JSON, or a file in the form that `accept` asks for.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use needle_query as query;
use query::Cell;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::completeness::{Completeness, CompletenessState};
use crate::error::ApiError;

/// Rows of cells.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableAnswer {
    /// What each cell of a row is.
    columns: Vec<TableColumn>,
    /// Each with a cell for each column; null where there is no value.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    rows: Rows,
    /// What was searched.
    completeness: Completeness,
    /// What is to be said beside it: fields that no record has, and what may have been meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableColumn {
    /// As the question names it.
    name: String,
    /// `string`, `int`, `uint`, `double`, `bool`, `timestamp`, `duration` (nanoseconds), `json`, `list`; of other types the
    /// name in Arrow, and values as text.
    r#type: String,
}

#[derive(Debug)]
struct Rows(query::Table);

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Csv,
    Arrow,
    Parquet,
}

const FORMS: [(&str, Form); 4] = [
    ("application/json", Form::Json),
    ("text/csv", Form::Csv),
    ("application/vnd.apache.arrow.stream", Form::Arrow),
    ("application/vnd.apache.parquet", Form::Parquet),
];

impl Form {
    /// The first form that `accept` names; JSON where it leaves the choice.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Form, ApiError> {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
        let mut wanted = accepted.split(',').map(|range| range.split(';').next().unwrap_or("").trim()).filter(|range| !range.is_empty());
        let form = |range: &str| match range {
            "*/*" | "application/*" => Some(Form::Json),
            "text/*" => Some(Form::Csv),
            _ => FORMS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(range)).map(|(_, form)| form),
        };
        match wanted.clone().next() {
            None => Ok(Form::Json),
            Some(_) => wanted.find_map(form).ok_or(ApiError::Accept { accepted }),
        }
    }

    fn content_type(self) -> HeaderValue {
        let (name, _) = FORMS.into_iter().find(|(_, form)| *form == self).expect("every form has a name");
        HeaderValue::from_static(name)
    }
}

/// In forms that have no place for it, whether the answer is all there is.
const COMPLETENESS: HeaderName = HeaderName::from_static("needle-completeness");

/// The answer in a form. A large one is written where it holds up no other request.
pub(crate) async fn answer(table: query::Table, form: Form) -> Result<Response, ApiError> {
    let completeness = match CompletenessState::from(table.completeness.state) {
        CompletenessState::Complete => "complete",
        CompletenessState::Arriving => "arriving",
        CompletenessState::Partial => "partial",
    };
    let written = tokio::task::spawn_blocking(move || match form {
        Form::Json => Ok(serde_json::to_vec(&TableAnswer::from(table)).expect("cells are always JSON")),
        Form::Csv => table.csv(),
        Form::Arrow => table.arrow_stream(),
        Form::Parquet => table.parquet(),
    });
    match written.await {
        Ok(body) => {
            let headers = [(header::CONTENT_TYPE, form.content_type()), (COMPLETENESS, HeaderValue::from_static(completeness))];
            Ok((headers, body?).into_response())
        }
        // Nobody cancels the task: it panicked, and the request that asked for it answers for that.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl From<query::Table> for TableAnswer {
    fn from(table: query::Table) -> TableAnswer {
        let columns = table.columns.iter().map(|column| TableColumn { name: column.name.clone(), r#type: column.kind.clone() });
        let (completeness, notes) = (table.completeness.clone().into(), table.notes.clone());
        TableAnswer { columns: columns.collect(), completeness, notes, rows: Rows(table) }
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.len()))?;
        for row in self.0.rows() {
            rows.serialize_element(&row.iter().map(Json).collect::<Vec<_>>())?;
        }
        rows.end()
    }
}

struct Json<'a>(&'a Cell<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Cell::Null => serializer.serialize_unit(),
            Cell::Bool(truth) => serializer.serialize_bool(*truth),
            Cell::Int(number) => serializer.serialize_i64(*number),
            Cell::UInt(number) => serializer.serialize_u64(*number),
            Cell::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            // The spellings of the protobuf JSON mapping, as in attributes.
            Cell::Double(number) if number.is_nan() => serializer.serialize_str("NaN"),
            Cell::Double(number) => serializer.serialize_str(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Json(json) => match serde_json::from_str::<&RawValue>(json) {
                Ok(value) => value.serialize(serializer),
                Err(_) => serializer.serialize_str(json),
            },
            Cell::Time(nanos) => match jiff::Timestamp::from_nanosecond(i128::from(*nanos)) {
                Ok(time) => serializer.collect_str(&format_args!("{time:.9}")),
                Err(_) => serializer.serialize_i64(*nanos),
            },
            Cell::List(cells) => serializer.collect_seq(cells.iter().map(Json)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cell: &Cell<'_>) -> String {
        serde_json::to_string(&Json(cell)).unwrap()
    }

    #[test]
    fn cells_are_json() {
        assert_eq!(written(&Cell::Null), "null");
        assert_eq!(written(&Cell::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(written(&Cell::UInt(u64::MAX)), "18446744073709551615");
        assert_eq!(written(&Cell::Double(0.5)), "0.5");
        assert_eq!(written(&Cell::Double(f64::NAN)), "\"NaN\"");
        assert_eq!(written(&Cell::Double(f64::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(written(&Cell::Time(1_772_334_000_120_000_000)), "\"2026-03-01T03:00:00.120000000Z\"");
        assert_eq!(written(&Cell::Time(-1)), "\"1969-12-31T23:59:59.999999999Z\"");
        assert_eq!(written(&Cell::Json(r#"{"code":500}"#)), r#"{"code":500}"#);
        assert_eq!(written(&Cell::Json("no json")), "\"no json\"");
        assert_eq!(written(&Cell::List(vec![Cell::Text("a".into()), Cell::Null])), "[\"a\",null]");
    }

    #[test]
    fn the_form_is_that_which_is_accepted() {
        let form = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            Form::of(&headers).map_err(|error| error.to_string())
        };
        assert_eq!(Form::of(&HeaderMap::new()).unwrap(), Form::Json);
        assert_eq!(form("*/*"), Ok(Form::Json));
        assert_eq!(form("text/csv; charset=utf-8"), Ok(Form::Csv));
        assert_eq!(form("image/png, application/vnd.apache.arrow.stream"), Ok(Form::Arrow));
        assert_eq!(form("application/vnd.apache.parquet;q=0.9"), Ok(Form::Parquet));
        let error = form("image/png").unwrap_err();
        assert!(error.contains("image/png") && error.contains("text/csv"), "{error}");
    }
}
