//! The conditions of a question on a shard, looked at one after the other: what one leaves is all that the next one reads.
//!
//! Of slow failed spans of one service, say, the service is read of all rows, the status of the service's spans, the duration
//! of the failed ones among them, and what is asked for of those that are left. A condition that leaves most rows is
//! looked at together with what is asked for, since reading few rows out of a page saves nothing when they are many.

use std::cell::Cell;

use crate::model::RecordsView;
use crate::predicate::{Columns, Comparison, Field, FieldTest, Predicate, TextTest, matching_rows};
use crate::shard::{RowRanges, ShardError, ShardReader, Visit, Wanted};

/// A condition that leaves one in so many rows, or more, rules too little out to be looked at alone.
const LEFT_OF: u64 = 8;
/// What fewer rows leave tells too little.
const JUDGED_ROWS: u64 = 512;

/// Takes rows of a view that match, and the numbers of all its rows.
pub(super) type Take<'a> = dyn FnMut(&RecordsView<'_>, &[u32], &[u32]) + 'a;

type ReadRows = fn(&ShardReader, &RowRanges, Wanted<'_>, &mut Visit<'_>) -> Result<(), ShardError>;

/// Everything that must hold, and everything that must not.
pub(super) struct Conditions<'a> {
    /// Those that look at little first.
    alone: Vec<Condition<'a>>,
    /// What must not hold is looked at together, last: it rarely leaves little.
    last: Vec<&'a Predicate>,
    /// Rows of pages that may still be kept.
    left_to_keep: Cell<u64>,
}

/// Pages of so many rows are kept of one question: they are read again when it is asked again, or refined. More of them would
/// only push each other out.
const KEPT_ROWS: u64 = 1 << 17;

struct Condition<'a> {
    predicate: &'a Predicate,
    /// It was seen to leave much.
    leaves_much: Cell<bool>,
}

impl<'a> Conditions<'a> {
    pub(super) fn of(predicate: &'a Predicate) -> Conditions<'a> {
        let mut all = Vec::new();
        flatten(predicate, &mut all);
        let (last, mut first): (Vec<_>, Vec<_>) = all.into_iter().partition(|condition| matches!(condition, Predicate::Not(_)));
        first.sort_by_key(|condition| weight(condition));
        let alone = first.into_iter().map(|predicate| Condition { predicate, leaves_much: Cell::new(false) });
        Conditions { alone: alone.collect(), last, left_to_keep: Cell::new(KEPT_ROWS) }
    }

    /// Hands out which of some rows match, with these columns. False when the question was withdrawn meanwhile.
    pub(super) fn read(
        &self,
        reader: &ShardReader,
        rows: RowRanges,
        columns: &Columns,
        cancelled: &dyn Fn() -> bool,
        take: &mut Take<'_>,
    ) -> Result<bool, ShardError> {
        let (mut rows, mut together) = (rows, self.last.clone());
        let left_to_keep = self.left_to_keep.get().saturating_sub(reader.rows_around(&rows));
        self.left_to_keep.set(left_to_keep);
        let read = if left_to_keep > 0 { ShardReader::read } else { ShardReader::read_once };
        for Condition { predicate, leaves_much } in &self.alone {
            if rows.is_empty() {
                return Ok(true);
            }
            if leaves_much.get() {
                together.push(predicate);
                continue;
            }
            let predicate = &in_shard(predicate, reader);
            let Some(left) = left_by(predicate, reader, read, &rows, cancelled)? else { return Ok(false) };
            leaves_much.set(rows.len() >= JUDGED_ROWS && left.len() * LEFT_OF > rows.len());
            rows = left;
        }
        let predicate = Predicate::And(together.into_iter().map(|condition| in_shard(condition, reader)).collect());
        let columns = columns.clone().with_predicate(&predicate);
        let mut goes_on = true;
        read(reader, &rows, Wanted::Columns(&columns), &mut |view, numbers| {
            match matching_rows(&predicate, view, cancelled) {
                Some(matching) => take(view, &matching, numbers),
                None => goes_on = false,
            }
            Ok(goes_on)
        })?;
        Ok(goes_on)
    }
}

/// The rows for which one condition holds; none when the question was withdrawn meanwhile.
fn left_by(
    predicate: &Predicate,
    reader: &ShardReader,
    read: ReadRows,
    rows: &RowRanges,
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<RowRanges>, ShardError> {
    let (mut left, mut goes_on) = (RowRanges::default(), true);
    if matches!(predicate, Predicate::Or(none) if none.is_empty()) {
        return Ok(Some(left));
    }
    if let Some(found) = reader.rows_by_code(rows, predicate)? {
        return Ok((!cancelled()).then_some(found));
    }
    read(reader, rows, Wanted::Columns(&Columns::of(predicate)), &mut |view, numbers| {
        match matching_rows(predicate, view, cancelled) {
            Some(matching) => matching.into_iter().map(|row| numbers[row as usize]).for_each(|row| left.push(row..row + 1)),
            None => goes_on = false,
        }
        Ok(goes_on)
    })?;
    Ok(goes_on.then_some(left))
}

/// A condition with what the shard knows of its fields: of an attribute that no resource has, resources need not be read.
fn in_shard(condition: &Predicate, reader: &ShardReader) -> Predicate {
    reader.fields().map_or_else(|| condition.clone(), |fields| condition.among(fields))
}

fn flatten<'a>(predicate: &'a Predicate, all: &mut Vec<&'a Predicate>) {
    match predicate {
        Predicate::And(inner) => inner.iter().for_each(|inner| flatten(inner, all)),
        Predicate::All => {}
        other => all.push(other),
    }
}

/// What looking at a condition costs and leaves, in order: codes of a dictionary that must be one of a few, numbers, texts.
fn weight(condition: &Predicate) -> u8 {
    match condition {
        Predicate::All | Predicate::Signal(_) => 0,
        Predicate::Id(_) => 1,
        Predicate::Field { field, test } => {
            let is_exact = matches!(test, FieldTest::Compare(Comparison::Equal, _));
            match field {
                Field::Service | Field::Name | Field::Status | Field::SpanKind | Field::Severity | Field::EventName => 2,
                Field::Attribute(_) | Field::Any(_) | Field::Resource(_) if is_exact => 3,
                Field::Attribute(_) | Field::Any(_) | Field::Resource(_) => 4,
                Field::Time | Field::Duration => 5,
                Field::Body | Field::StatusMessage => 8,
            }
        }
        Predicate::IsRoot => 6,
        Predicate::HasException => 7,
        Predicate::Text(TextTest::Word(_) | TextTest::Prefix(_) | TextTest::Phrase(_)) => 8,
        Predicate::Text(TextTest::Regex(_)) => 9,
        Predicate::And(all) | Predicate::Or(all) => all.iter().map(weight).max().unwrap_or(0),
        Predicate::Not(inner) => weight(inner),
    }
}
