//! SQL over the tables `logs` and `spans`. Its reference is `query/LANGUAGE.md`.

pub(crate) mod columns;
pub(crate) mod failure;
mod pushdown;
pub(crate) mod records;
pub(crate) mod run;
pub(crate) mod session;
mod statement;
#[cfg(test)]
mod tests;
mod windows;
mod withdraw;

use std::sync::Arc;

use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement;
use needle_storage::model::Signal;
use needle_storage::predicate::Predicate;
use needle_storage::{FieldCounts, ReadError};

use crate::answer::Completeness;
use crate::error::QueryError;
use crate::search::completeness;
use crate::table::Table;
use columns::{KeyPlace, NamedColumn, Values};
use records::{RecordsTable, Source};
use session::Memory;
use statement::{Asked, Keys};

/// The answer of a statement.
pub(crate) fn answer(source: &Source, memory: &Memory, text: &str) -> Result<Table, QueryError> {
    match statement::read(text)? {
        Asked::Tables => {
            Ok(Table::of_texts(&["table"], Signal::ALL.iter().map(|signal| [signal.as_str().to_owned()]), Completeness::default()))
        }
        Asked::Columns(signal) => columns_of(source, signal),
        Asked::Rows(statement) => rows(source, memory, text, *statement),
    }
}

/// The names and types of a table's columns: those of every record, then the keys in use.
fn columns_of(source: &Source, signal: Signal) -> Result<Table, QueryError> {
    let (known, coverage) = source.snapshot.known_fields(&|| source.is_withdrawn())?;
    let columns = columns::of_records(signal).into_iter().chain(columns::of_all_keys(signal, &known));
    let described = columns.map(|column| [column.name.clone(), column.kind().to_owned()]);
    Ok(Table::of_texts(&["column", "type"], described, completeness(&coverage)))
}

fn rows(source: &Source, memory: &Memory, text: &str, mut statement: Statement) -> Result<Table, QueryError> {
    let keys = statement::keys(&statement);
    let known = known_fields(source, &keys)?;
    if !keys.is_empty() {
        statement::write_stars_out(&mut statement);
    }
    run::run(source, memory, text, async || {
        let failed = |error| failure::of(&error, text);
        let context = session::context(memory).map_err(failed)?;
        register(&context, source, &keys, &known).map_err(failed)?;
        let plan = context.state().statement_to_plan(statement).await.map_err(failed)?;
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reads.verify_plan(&plan).map_err(failed)?;
        windows::check(&plan)?;
        Ok((context, plan))
    })
}

/// Which fields there are, where a statement names some that not every record has.
fn known_fields(source: &Source, keys: &Keys) -> Result<FieldCounts, ReadError> {
    let has_every_record =
        |key: &str| Signal::ALL.iter().any(|signal| columns::of_records(*signal).iter().any(|column| column.name == key));
    if keys.iter().all(|(place, key)| *place == KeyPlace::Either && has_every_record(key)) {
        return Ok(FieldCounts::default());
    }
    let (known, coverage) = source.snapshot.known_fields(&|| source.is_withdrawn())?;
    source.note(coverage);
    Ok(known)
}

/// The two tables, with the columns of the keys that are named.
fn register(context: &SessionContext, source: &Source, keys: &Keys, known: &FieldCounts) -> datafusion::common::Result<()> {
    for signal in Signal::ALL {
        let mut columns = columns::of_records(signal);
        for (place, key) in keys {
            let is_there = *place != KeyPlace::Either || known.attributes.contains_key(key) || known.resource.contains_key(key);
            if is_there && columns.iter().all(|column| column.name != columns::key_name(*place, key)) {
                columns.push(columns::of_key(*place, key, known));
            }
        }
        let table = RecordsTable::new(source.clone(), Predicate::Signal(signal), None, None, columns);
        context.register_table(signal.as_str(), Arc::new(table))?;
    }
    Ok(())
}

impl NamedColumn {
    /// What its values are, in a word.
    fn kind(&self) -> &'static str {
        match self.values {
            Values::Json => "json",
            _ => crate::table::kind_of(&self.column.data_type()),
        }
    }
}
