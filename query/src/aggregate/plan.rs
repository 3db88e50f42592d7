//! From a pipe to a plan.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::expr_fn::{avg, count, count_distinct, max, min, sum};
use datafusion::functions_aggregate::percentile_cont::percentile_cont;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use needle_storage::model::ValueKind;
use needle_storage::predicate::Field;
use needle_storage::{FieldCounts, ReadError, RecordColumn, TableColumn, ValueType};

use super::Aggregation;
use crate::language::{Direction, Measure, Pipe};
use crate::sql::columns::{NamedColumn, Values, kinds};
use crate::sql::records::{RecordsTable, Source};

/// Which fields there are, where numbers of attributes are asked for.
pub(super) fn known_fields(pipe: &Pipe, source: &Source) -> Result<FieldCounts, ReadError> {
    let is_attribute = |field: &Field| matches!(field, Field::Any(_) | Field::Attribute(_) | Field::Resource(_));
    let asked = pipe.functions.iter().filter_map(|function| function.measure.number_fields()).flatten().any(is_attribute);
    if !asked {
        return Ok(FieldCounts::default());
    }
    let (known, coverage) = source.snapshot.known_fields(&|| source.is_withdrawn())?;
    source.note(coverage);
    Ok(known)
}

/// The plan of an aggregation.
pub(super) fn of(aggregation: &Aggregation, source: &Source, known: &FieldCounts) -> Result<LogicalPlan> {
    let pipe = &aggregation.pipe;
    let mut columns = Vec::new();
    let mut groups: Vec<Expr> = Vec::new();
    if let Some(every_ns) = pipe.every_ns {
        let time = add(&mut columns, TableColumn::Record(RecordColumn::Time));
        groups.push(bucket(time, every_ns).alias("group 0"));
    }
    for by in &pipe.by {
        let group = add(&mut columns, by.column.clone());
        groups.push(group.alias(format!("group {}", groups.len())));
    }
    let measures = pipe.functions.iter().enumerate().map(|(number, function)| {
        let measured = measured(&function.measure, &mut columns, known);
        measured.alias(format!("number {number}"))
    });
    let measures: Vec<Expr> = measures.collect();
    let names = pipe.column_names();
    let numbers = groups.len();
    let shown = names.iter().enumerate().map(|(place, name)| match place.checked_sub(numbers) {
        None => ident(format!("group {place}")).alias(name),
        Some(number) => {
            let value = ident(format!("number {number}"));
            let rate = pipe.functions[number].measure == Measure::Rate;
            if rate { (cast(value, DataType::Float64) / lit(seconds(aggregation, source))).alias(name) } else { value.alias(name) }
        }
    });
    let order =
        aggregation.order().into_iter().map(|(place, direction)| ident(&names[place]).sort(direction == Direction::Ascending, false));
    let table = RecordsTable::new(source.clone(), aggregation.predicate.clone(), aggregation.start, aggregation.end, columns);
    LogicalPlanBuilder::scan("records", provider_as_source(Arc::new(table)), None)?
        .aggregate(groups, measures)?
        .project(shown.collect::<Vec<_>>())?
        .sort(order.collect::<Vec<_>>())?
        .limit(0, pipe.limit)?
        .build()
}

/// Adds a column to those that are read; how it is named there.
fn add(columns: &mut Vec<NamedColumn>, column: TableColumn) -> Expr {
    let place = columns.iter().position(|known| known.column == column).unwrap_or_else(|| {
        columns.push(NamedColumn { name: format!("column {}", columns.len()), column, values: Values::Plain });
        columns.len() - 1
    });
    ident(format!("column {place}"))
}

/// Where the bucket of a time begins: at a whole multiple of its width.
fn bucket(time: Expr, every_ns: u64) -> Expr {
    let width = lit(i64::try_from(every_ns).unwrap_or(i64::MAX));
    let begins = cast(time, DataType::Int64) / width.clone() * width;
    cast(begins, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())))
}

fn measured(measure: &Measure, columns: &mut Vec<NamedColumn>, known: &FieldCounts) -> Expr {
    let mut number = |fields: &[Field]| add(columns, TableColumn::Value(fields.to_vec(), number_type(fields, known)));
    match measure {
        Measure::Count | Measure::Rate => count(lit(1_i64)),
        Measure::Sum(fields) => sum(number(fields)),
        Measure::Average(fields) => avg(number(fields)),
        Measure::Least(fields) => min(number(fields)),
        Measure::Greatest(fields) => max(number(fields)),
        Measure::Percentile(fields, share) => percentile_cont(cast(number(fields), DataType::Float64).sort(true, false), lit(*share)),
        Measure::CountOf(column) => count(add(columns, column.clone())),
        Measure::Distinct(column) => count_distinct(add(columns, column.clone())),
    }
}

/// Integers where nothing else is counted.
fn number_type(fields: &[Field], known: &FieldCounts) -> ValueType {
    let are_integers = |field: &Field| match field {
        Field::Duration | Field::Severity | Field::Time => true,
        Field::Any(keys) => is_all_integers(kinds(keys, &known.attributes).chain(kinds(keys, &known.resource))),
        Field::Attribute(keys) => is_all_integers(kinds(keys, &known.attributes)),
        Field::Resource(keys) => is_all_integers(kinds(keys, &known.resource)),
        _ => false,
    };
    if !known.more && fields.iter().all(are_integers) { ValueType::Int } else { ValueType::Double }
}

fn is_all_integers(kinds: impl Iterator<Item = ValueKind>) -> bool {
    let mut kinds = kinds.peekable();
    kinds.peek().is_some() && kinds.all(|kind| kind == ValueKind::Int)
}

/// The time that a rate is over: a bucket, or all that was asked for; where that is open, what there is.
fn seconds(aggregation: &Aggregation, source: &Source) -> f64 {
    // A rate over less than a second would be a guess.
    const SECONDS_MIN: f64 = 1.0;
    if let Some(every_ns) = aggregation.pipe.every_ns {
        return every_ns as f64 / 1e9;
    }
    let bounds = source.snapshot.time_bounds();
    let from = aggregation.start.or(bounds.map(|(first, _)| first)).unwrap_or_default();
    let to = aggregation.end.or(bounds.map(|(_, last)| last)).unwrap_or(from);
    (to.since(from) as f64 / 1e9).max(SECONDS_MIN)
}
