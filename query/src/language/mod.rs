//! The query language: text to [`Predicate`]. Its reference is `query/LANGUAGE.md`.

mod error;
mod fields;
mod lexer;
mod parser;
mod values;

#[cfg(test)]
mod meaning;
#[cfg(test)]
mod tests;

use needle_storage::predicate::Predicate;

pub(crate) use error::LanguageError;

use crate::limits::QUERY_BYTES_MAX;

/// What a record must be to match the query. An empty query matches everything.
pub(crate) fn parse(query: &str) -> Result<Predicate, LanguageError> {
    if query.len() > QUERY_BYTES_MAX {
        let message = format!("the query is {} bytes long, more than {QUERY_BYTES_MAX}: shorten it", query.len());
        return Err(LanguageError { message, position: QUERY_BYTES_MAX });
    }
    parser::Parser::new(query).query()
}
