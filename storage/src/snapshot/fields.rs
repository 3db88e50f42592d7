//! Counting fields.

use crate::fields::FieldCounts;
use crate::model::{RecordsView, UnixNanos};
use crate::shard::ShardReader;

use super::overlaps;
use super::scan::{Numbers, Sink};

/// Counts the fields of records between two times.
pub(super) struct Fields {
    pub(super) start: Option<UnixNanos>,
    pub(super) end: Option<UnixNanos>,
    pub(super) counts: FieldCounts,
}

impl Sink for Fields {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        overlaps((time_min, time_max), self.start.unwrap_or(UnixNanos::MIN), self.end)
    }

    fn take_shard(&mut self, shard: &ShardReader) -> bool {
        let noted = Some(shard).filter(|shard| self.bounds_suffice(shard.meta.time_min, shard.meta.time_max)).and_then(ShardReader::fields);
        let taken = noted.is_some();
        noted.into_iter().for_each(|counts| self.counts.add_all(counts.clone()));
        taken
    }

    fn bounds_suffice(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.start.is_none_or(|start| time_min >= start) && self.end.is_none_or(|end| time_max < end)
    }

    fn take_between(&mut self, view: &RecordsView<'_>, rows: &[u32], _time_min: UnixNanos, _time_max: UnixNanos) {
        self.counts.add(view, rows);
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], _numbers: Numbers<'_>) {
        let inside = |row: &&u32| {
            let time = view.time(**row as usize);
            self.bounds_suffice(time, time)
        };
        let rows: Vec<u32> = rows.iter().filter(inside).copied().collect();
        self.counts.add(view, &rows);
    }
}
