//! The first matches in an order, kept while records are looked at in any order.

use crate::model::{RecordId, RecordsView, UnixNanos};

use super::Search;
use super::scan::{Numbers, Sink};

/// Where a record stands in the total order.
pub(super) type Place = (UnixNanos, RecordId);

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Live(usize),
    Shard(usize),
}

/// A matching record that was not yet fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) place: Place,
    pub(super) source: Source,
    pub(super) row: u32,
}

/// The first `limit` matches, and one more to know whether there are more.
pub(super) struct Nearest<'a> {
    search: &'a Search,
    keep: usize,
    hits: Vec<Hit>,
    /// Nothing behind this place is among the first.
    bound: Option<Place>,
}

/// Hits are pruned when there are so many more than needed: then each costs constant time on average.
const SLACK: usize = 1_024;

impl<'a> Nearest<'a> {
    pub(super) fn new(search: &'a Search) -> Nearest<'a> {
        Nearest { search, keep: search.limit.saturating_add(1), hits: Vec::new(), bound: None }
    }

    /// Whether records between two times can be among the first.
    pub(super) fn may_improve(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        if self.hits.len() > self.keep {
            self.prune();
        }
        let search = self.search;
        let in_range = search.start.is_none_or(|start| time_max >= start) && search.end.is_none_or(|end| time_min < end);
        let (first, last) = ((time_min, RecordId(0)), (time_max, RecordId(u64::MAX)));
        let nearest_place = if search.ascending { first } else { last };
        let farthest_place = if search.ascending { last } else { first };
        in_range
            && search.after.is_none_or(|after| self.before(after, farthest_place))
            && self.bound.is_none_or(|bound| self.before(nearest_place, bound))
    }

    /// Considers a matching row.
    fn offer(&mut self, view: &RecordsView<'_>, local: usize, source: Source, row: u32) {
        let place = (view.time(local), view.record_id(local));
        let search = self.search;
        let wanted = search.start.is_none_or(|start| place.0 >= start)
            && search.end.is_none_or(|end| place.0 < end)
            && search.after.is_none_or(|after| self.before(after, place))
            && self.bound.is_none_or(|bound| self.before(place, bound));
        if wanted {
            self.hits.push(Hit { place, source, row });
            if self.hits.len() >= self.keep.saturating_mul(2).saturating_add(SLACK) {
                self.prune();
            }
        }
    }

    /// A sink for the rows of one source.
    pub(super) fn of(&mut self, source: Source) -> NearestOf<'_, 'a> {
        NearestOf { nearest: self, source }
    }

    /// The first matches in order, and whether there are more.
    pub(super) fn finish(mut self) -> (Vec<Hit>, bool) {
        self.prune();
        let more = self.hits.len() > self.search.limit;
        self.hits.truncate(self.search.limit);
        (self.hits, more)
    }

    fn before(&self, one: Place, other: Place) -> bool {
        if self.search.ascending { one < other } else { one > other }
    }

    fn prune(&mut self) {
        let ascending = self.search.ascending;
        self.hits.sort_unstable_by(|one, other| {
            let order = one.place.cmp(&other.place);
            if ascending { order } else { order.reverse() }
        });
        self.hits.truncate(self.keep);
        if self.hits.len() == self.keep {
            self.bound = self.hits.last().map(|hit| hit.place);
        }
    }
}

/// Takes the rows of one source.
pub(super) struct NearestOf<'n, 'a> {
    nearest: &'n mut Nearest<'a>,
    source: Source,
}

impl Sink for NearestOf<'_, '_> {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.nearest.may_improve(time_min, time_max)
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], numbers: Numbers<'_>) {
        for row in rows {
            self.nearest.offer(view, *row as usize, self.source, numbers.of(*row));
        }
    }
}
