//! Counts that need no rows: the histogram of storage reads codes and bounds instead.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{Field, Schema};
use needle_storage::model::UnixNanos;
use needle_storage::predicate::Facet;
use needle_storage::{Counts, Histogram, TableColumn, TimeBuckets};

use super::Aggregation;
use crate::error::QueryError;
use crate::language::{Direction, Measure};
use crate::limits::HISTOGRAM_BUCKETS_MAX;
use crate::search::completeness;
use crate::sql::records::Source;
use crate::table::Table;

/// Records of one time and value.
struct Counted {
    time: UnixNanos,
    value: Option<String>,
    count: i64,
}

/// The answer, if it is of a shape that can be counted; none when rows have to be made.
pub(super) fn answer(aggregation: &Aggregation, source: &Source) -> Result<Option<Table>, QueryError> {
    let pipe = &aggregation.pipe;
    let only_counts = pipe.functions.iter().all(|function| function.measure == Measure::Count);
    let (Some(by), true) = (facet(aggregation), only_counts) else { return Ok(None) };
    let Some(buckets) = buckets(aggregation, source) else { return Ok(None) };
    let Aggregation { predicate, start, end, .. } = aggregation;
    let histogram = Histogram { predicate: predicate.clone(), start: *start, end: *end, buckets, by };
    let counts = source.snapshot.histogram(&histogram, &|| source.is_withdrawn())?;
    if !counts.beyond.is_empty() {
        return Ok(None);
    }
    Ok(Some(table(aggregation, buckets, &counts)))
}

/// What is counted apart, if it is no more than one thing with few values: none at all is fine too.
fn facet(aggregation: &Aggregation) -> Option<Option<Facet>> {
    match aggregation.pipe.by.as_slice() {
        [] => Some(None),
        [by] => match &by.column {
            TableColumn::Text(facet) => Some(Some(facet.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The buckets of time, if they are not too many.
fn buckets(aggregation: &Aggregation, source: &Source) -> Option<TimeBuckets> {
    let Some(width_ns) = aggregation.pipe.every_ns else { return Some(TimeBuckets::ONE) };
    let (first, last) = source.snapshot.time_bounds().unwrap_or_default();
    let first = aggregation.start.map_or(first, |start| start.max(first));
    let last = aggregation.end.map_or(last, |end| UnixNanos(end.0.saturating_sub(1)).min(last)).max(first);
    let count = usize::try_from(last.0 / width_ns - first.0 / width_ns).ok()?.checked_add(1)?;
    let fits = count <= HISTOGRAM_BUCKETS_MAX && i64::try_from(last.0).is_ok();
    fits.then_some(TimeBuckets { first: UnixNanos(first.0 / width_ns * width_ns), width_ns, count })
}

fn table(aggregation: &Aggregation, buckets: TimeBuckets, counts: &Counts) -> Table {
    let pipe = &aggregation.pipe;
    let mut rows: Vec<Counted> = counts
        .groups
        .iter()
        .flat_map(|group| {
            let begins = |bucket: usize| UnixNanos(buckets.first.0 + buckets.width_ns.saturating_mul(bucket as u64));
            let counted = group.counts.iter().enumerate().filter(|(_, count)| **count > 0);
            counted.map(move |(bucket, count)| Counted { time: begins(bucket), value: group.value.clone(), count: *count as i64 })
        })
        .collect();
    let whole = pipe.every_ns.is_none() && pipe.by.is_empty();
    if whole && rows.is_empty() {
        rows.push(Counted { time: UnixNanos::MIN, value: None, count: 0 });
    }
    let order = aggregation.order();
    rows.sort_unstable_by(|one, other| compare(aggregation, &order, one, other));
    rows.truncate(pipe.limit.unwrap_or(usize::MAX));
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    let mut names = pipe.column_names().into_iter();
    let mut add = |array: ArrayRef| {
        fields.push(Field::new(names.next().expect("every column has a name"), array.data_type().clone(), true));
        arrays.push(array);
    };
    if pipe.every_ns.is_some() {
        let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.time.saturating_i64()));
        add(Arc::new(times.with_timezone("UTC")));
    }
    if !pipe.by.is_empty() {
        add(Arc::new(rows.iter().map(|row| row.value.as_deref()).collect::<StringArray>()));
    }
    add(Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.count))));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("each column has a value for each row");
    Table::new(&schema, vec![batch], None, completeness(&counts.coverage))
}

/// The order of two rows; records without a value come last.
fn compare(aggregation: &Aggregation, order: &[(usize, Direction)], one: &Counted, other: &Counted) -> Ordering {
    let times = usize::from(aggregation.pipe.every_ns.is_some());
    let groups = times + aggregation.pipe.by.len();
    let of_column = |(place, direction): &(usize, Direction)| {
        let turned = |order: Ordering| if *direction == Direction::Descending { order.reverse() } else { order };
        match *place {
            place if place < times => turned(one.time.cmp(&other.time)),
            place if place < groups => match (&one.value, &other.value) {
                (Some(one), Some(other)) => turned(one.cmp(other)),
                (one, other) => one.is_none().cmp(&other.is_none()),
            },
            _ => turned(one.count.cmp(&other.count)),
        }
    };
    order.iter().map(of_column).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}
