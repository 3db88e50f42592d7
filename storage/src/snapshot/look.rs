//! Looking at rows one by one: the columns that a question names, batch by batch.

use crate::model::{RecordsView, UnixNanos};
use crate::predicate::{Columns, Predicate, TIME_COLUMNS};

use super::overlaps;
use super::scan::{Numbers, Sink};

/// Which rows a question looks at, and what of them.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Rows that match.
    pub predicate: &'a Predicate,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
    /// Columns that are read, beside times and what the predicate looks at.
    pub columns: &'a [&'static str],
    /// And attributes with these keys.
    pub attributes: &'a [&'a str],
    /// A predicate that is asked about rows of the view, whose columns are read as well.
    pub also: Option<&'a Predicate>,
}

/// Takes some rows of a view.
pub(super) type Visit<'a> = dyn FnMut(&RecordsView<'_>, &[u32]) + 'a;

impl Look<'_> {
    /// What is read of a row.
    pub(super) fn columns(&self) -> Columns {
        let columns = Columns::default().with(&TIME_COLUMNS).with(self.columns).with_attributes(self.attributes);
        self.also.map_or(columns.clone(), |also| columns.with_predicate(also))
    }
}

/// Hands out every row between two times.
pub(super) struct Within<'a> {
    pub(super) start: Option<UnixNanos>,
    pub(super) end: Option<UnixNanos>,
    pub(super) visit: &'a mut Visit<'a>,
}

impl Within<'_> {
    fn contains(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.start.is_none_or(|start| time_min >= start) && self.end.is_none_or(|end| time_max < end)
    }
}

impl Sink for Within<'_> {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        overlaps((time_min, time_max), self.start.unwrap_or(UnixNanos::MIN), self.end)
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], _numbers: Numbers<'_>) {
        let inside = |row: &&u32| {
            let time = view.time(**row as usize);
            self.contains(time, time)
        };
        let rows: Vec<u32> = rows.iter().filter(inside).copied().collect();
        if !rows.is_empty() {
            (self.visit)(view, &rows);
        }
    }
}
