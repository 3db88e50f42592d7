//! What is wrong with a statement, in our words and with its place where the planner tells one.

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::QueryError;
use crate::language::{LanguageError, nearest};

/// A statement that is not answered, with the way to mend it.
pub(crate) fn refused(message: impl Into<String>) -> QueryError {
    QueryError::Statement(message.into())
}

/// The failure of a statement of that text.
pub(crate) fn of(error: &DataFusionError, text: &str) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::TooLarge(
            "the answer takes more memory than queries may (query.sql_memory_bytes_max): narrow the time range, ask for fewer groups or \
             columns, or add a LIMIT to what is sorted"
                .to_owned(),
        ),
        DataFusionError::SQL(error, _) => syntax(error, text),
        DataFusionError::SchemaError(schema, _) => {
            placed(unknown(schema), error.diagnostic().and_then(|known| known.span).map(|span| (span.start.line, span.start.column)), text)
        }
        DataFusionError::Internal(message) => {
            tracing::error!(%message, "a statement failed within the engine");
            QueryError::Storage("the statement failed within needle; its log says more".to_owned())
        }
        DataFusionError::External(other) => QueryError::Storage(other.to_string()),
        DataFusionError::Diagnostic(diagnostic, inner) => {
            placed(sentence(&inner.message()), diagnostic.span.map(|span| (span.start.line, span.start.column)), text)
        }
        other => {
            let span = error.diagnostic().and_then(|known| known.span);
            placed(sentence(&other.message()), span.map(|span| (span.start.line, span.start.column)), text)
        }
    }
}

/// Without the planner's own traces, and on one line.
fn sentence(message: &str) -> String {
    let first = message.split("\n\nbacktrace").next().unwrap_or(message);
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn syntax(error: &ParserError, text: &str) -> QueryError {
    let message = match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => return refused("the statement is nested too deeply: take it apart"),
    };
    // The parser tells places in words only.
    let (what, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let place = place.split_once(", Column: ").and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?)));
    placed(format!("this is not SQL: {}", sentence(what)), place, text)
}

/// A column that is not there.
fn unknown(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound { field, valid_fields } = error else { return sentence(&error.to_string()) };
    let names: Vec<&str> = valid_fields.iter().map(|field| field.name.as_str()).collect();
    // `duration` stands for `duration_ns` in the query language.
    let longer = || names.iter().copied().find(|name| name.strip_prefix(field.name.as_str()).is_some_and(|unit| unit.starts_with('_')));
    let meant = nearest(&field.name, &names).or_else(longer).map_or_else(String::new, |name| format!("; did you mean {name}?"));
    let asked = field.flat_name().replace('"', "");
    format!(
        "there is no column {asked}, and no record has an attribute of that name{meant} (names with a dot or capitals stand in double quotes)"
    )
}

/// The failure with its place, if there is one; lines and columns count from 1.
fn placed(message: String, place: Option<(u64, u64)>, text: &str) -> QueryError {
    let Some(position) = place.and_then(|place| offset(place, text)) else { return QueryError::Statement(message) };
    let caret = LanguageError { message: message.clone(), position }.caret(text);
    QueryError::Language { message, position, caret }
}

fn offset((line, column): (u64, u64), text: &str) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..)?;
    Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at))
}
