//! What tails are told.

use std::sync::{Arc, OnceLock};

use needle_storage::model::{Record, RecordId};

/// A record on its way to tails, with what they show of it.
#[derive(Debug)]
pub struct TailedRecord {
    record: Record,
    shown: OnceLock<Box<str>>,
}

impl TailedRecord {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is shown of it: made by the first tail, for all of them.
    pub fn shown(&self, show: impl FnOnce(&Record) -> String) -> &str {
        self.shown.get_or_init(|| show(&self.record).into())
    }
}

impl From<Record> for TailedRecord {
    fn from(record: Record) -> Self {
        TailedRecord { record, shown: OnceLock::new() }
    }
}

/// What a tail delivers.
#[derive(Clone, Debug)]
pub enum TailEvent {
    /// A record, and the cursor behind it.
    Record {
        /// The record, shared by all tails that it matches.
        record: Arc<TailedRecord>,
        /// To resume after it.
        cursor: RecordId,
    },
    /// The reader was too slow, or resumed too late: so many records were not shown.
    Gap {
        /// Records accepted in between, matching or not.
        skipped: u64,
        /// To resume after the gap.
        cursor: RecordId,
    },
    /// Nothing matched for a while.
    Heartbeat {
        /// To resume from here.
        cursor: RecordId,
    },
}
