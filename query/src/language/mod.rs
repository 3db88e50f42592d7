//! The query language: text to [`Predicate`]. Its reference is `query/LANGUAGE.md`.

mod error;
mod fields;
mod lexer;
mod operators;
mod parser;
mod pipe;
mod values;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod tests;

use needle_storage::predicate::{Facet, Field, Predicate};

pub(crate) use error::{LanguageError, nearest};
pub(crate) use fields::NAMES;
pub(crate) use pipe::{Direction, Measure, Pipe};
pub(crate) use values::LEVELS;

use crate::limits::QUERY_BYTES_MAX;

/// What a record must be to match the query. An empty query matches everything.
pub(crate) fn parse(query: &str) -> Result<Predicate, LanguageError> {
    match split(query)? {
        (predicate, None) => Ok(predicate),
        (_, Some(position)) => {
            let message = "a pipe makes numbers of records, and here records are asked for: ask /api/v1/aggregate (`needle grep` does by \
                           itself), or quote the text if a | is searched for";
            Err(LanguageError { message: message.to_owned(), position })
        }
    }
}

/// What a record must be to match the query, and what is made of those that do.
pub(crate) fn parse_piped(query: &str) -> Result<(Predicate, Pipe), LanguageError> {
    match split(query)? {
        (predicate, Some(position)) => Ok((predicate, pipe::parse(query, position)?)),
        (_, None) => {
            let message = "there is no pipe that says what to count: add one, as in `| count() by service`";
            Err(LanguageError { message: message.to_owned(), position: query.len() })
        }
    }
}

/// Whether a query asks for numbers instead of records.
pub fn is_piped(query: &str) -> bool {
    matches!(split(query), Ok((_, Some(_))))
}

/// The predicate of a query, and where its first pipe stands.
fn split(query: &str) -> Result<(Predicate, Option<usize>), LanguageError> {
    if query.len() > QUERY_BYTES_MAX {
        let message = format!("the query is {} bytes long, more than {QUERY_BYTES_MAX}: shorten it", query.len());
        return Err(LanguageError { message, position: QUERY_BYTES_MAX });
    }
    let (predicate, end) = parser::Parser::new(query).query()?;
    Ok((predicate, Some(end).filter(|end| *end < query.len())))
}

/// What records are told apart by, when they are counted by a field of that name.
pub(crate) fn facet(name: &str) -> Result<Facet, String> {
    use fields::Target;
    match fields::target(name) {
        Target::Fields(fields) if fields == [Field::Time] => {
            Err(format!("`{name}` is another on nearly every record: what is counted over time is a histogram"))
        }
        Target::Fields(fields) => Ok(Facet::First(fields)),
        Target::Kind => Ok(Facet::Signal),
        Target::Status => Ok(Facet::First(vec![Field::Status])),
        Target::Id(_) => Err(format!("`{name}` is another on nearly every record: count by a field that many share, as service or level")),
        Target::Has | Target::Is => Err(format!("`{name}` is a test, not a field: put it into the query, and count by a field")),
    }
}

/// A length of time, as `1m30s`; the error says how it is written.
pub fn duration_of(text: &str) -> Result<std::time::Duration, String> {
    values::interval_ns(text).map(std::time::Duration::from_nanos)
}

/// The nanoseconds of an interval, as `1m`.
pub(crate) fn interval_ns(text: &str) -> Result<u64, String> {
    values::interval_ns(text)
}
