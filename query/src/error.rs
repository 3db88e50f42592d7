//! Why a question was not answered.

use needle_storage::ReadError;
use needle_storage::model::UnixNanos;
use needle_storage::predicate::Predicate;

use crate::language::{self, LanguageError, Pipe};

/// Why a question was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// The query is not in the language.
    #[error("{message} at position {position}")]
    Language {
        /// What is wrong, and how to mend it.
        message: String,
        /// Byte offset in the query.
        position: usize,
        /// The query with a caret line below it.
        caret: String,
    },
    /// The SQL statement cannot be answered.
    #[error("{0}")]
    Statement(String),
    /// The answer takes more than it may.
    #[error("{0}")]
    TooLarge(String),
    /// A parameter is unusable.
    #[error("{0}")]
    Parameter(String),
    /// The data could not be read.
    #[error("{0}")]
    Storage(String),
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> QueryError {
        QueryError::Storage(error.to_string())
    }
}

/// The predicate of a query about a time range that is one.
pub(crate) fn predicate_in(query: &str, start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<Predicate, QueryError> {
    in_order(start, end)?;
    predicate_of(query)
}

fn in_order(start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<(), QueryError> {
    match (start, end) {
        (Some(start), Some(end)) if start > end => Err(QueryError::Parameter("start is after end: swap them".to_owned())),
        _ => Ok(()),
    }
}

fn in_query(error: LanguageError, query: &str) -> QueryError {
    QueryError::Language { caret: error.caret(query), position: error.position, message: error.message }
}

/// The predicate and the pipe of a query about a time range that is one.
pub(crate) fn piped_in(query: &str, start: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<(Predicate, Pipe), QueryError> {
    in_order(start, end)?;
    language::parse_piped(query).map_err(|error| in_query(error, query))
}

/// The names of the columns that a query with a pipe is answered in.
pub fn columns_of(query: &str) -> Result<Vec<String>, QueryError> {
    Ok(piped_in(query, None, None)?.1.column_names())
}

/// What a record must be to match a query without a pipe.
pub fn predicate_of(query: &str) -> Result<Predicate, QueryError> {
    language::parse(query).map_err(|error| in_query(error, query))
}
