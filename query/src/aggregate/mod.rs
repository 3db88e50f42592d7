//! Numbers of the records that match: the pipe of the query language. Its reference is `query/LANGUAGE.md`.

mod counted;
mod plan;
#[cfg(test)]
mod tests;

use needle_storage::model::UnixNanos;
use needle_storage::predicate::{Field, FieldTest, Predicate};

use crate::answer::AggregateRequest;
use crate::error::{QueryError, piped_in};
use crate::language::{Direction, Pipe};
use crate::sql::failure;
use crate::sql::records::Source;
use crate::sql::run::run;
use crate::sql::session::{self, Memory};
use crate::table::Table;

/// A question for numbers.
pub(crate) struct Aggregation {
    predicate: Predicate,
    pipe: Pipe,
    start: Option<UnixNanos>,
    end: Option<UnixNanos>,
}

impl Aggregation {
    pub(crate) fn of(request: &AggregateRequest) -> Result<Aggregation, QueryError> {
        let (predicate, pipe) = piped_in(&request.query, request.start, request.end)?;
        Ok(Aggregation { predicate, pipe, start: request.start, end: request.end })
    }

    /// Every field that the query names, before the pipe and after it.
    pub(crate) fn named(&self) -> Predicate {
        let exists = |field: &Field| Predicate::Field { field: field.clone(), test: FieldTest::Exists };
        Predicate::And(std::iter::once(self.predicate.clone()).chain(self.pipe.fields().map(exists)).collect())
    }

    /// The numbers; counted without making rows where that is possible.
    pub(crate) fn answer(&self, source: &Source, memory: &Memory) -> Result<Table, QueryError> {
        match counted::answer(self, source)? {
            Some(table) => Ok(table),
            None => self.computed(source, memory),
        }
    }

    /// The numbers, computed from rows.
    fn computed(&self, source: &Source, memory: &Memory) -> Result<Table, QueryError> {
        let known = plan::known_fields(&self.pipe, source)?;
        let mut table = run(source, memory, "", async || {
            let context = session::context(memory).map_err(|error| failure::of(&error, ""))?;
            let plan = plan::of(self, source, &known).map_err(|error| failure::of(&error, ""))?;
            Ok((context, plan))
        })?;
        let first = table.columns.len() - self.pipe.functions.len();
        for (column, function) in table.columns[first..].iter_mut().zip(&self.pipe.functions) {
            if function.measure.is_time_that_passes() {
                column.kind = "duration".to_owned();
            }
        }
        Ok(table)
    }

    /// Places of the columns that decide the order: as the pipe says, then by time, by the first number, the largest
    /// first, and by value. Two rows are never equal in all of them.
    fn order(&self) -> Vec<(usize, Direction)> {
        let times = usize::from(self.pipe.every_ns.is_some());
        let numbers = times + self.pipe.by.len();
        let by_default = (0..times).map(|place| (place, Direction::Ascending)).chain([(numbers, Direction::Descending)]);
        let by_value = (times..numbers).map(|place| (place, Direction::Ascending));
        let mut order = self.pipe.sort.clone();
        for (place, direction) in by_default.chain(by_value) {
            if order.iter().all(|(known, _)| *known != place) {
                order.push((place, direction));
            }
        }
        order
    }
}
