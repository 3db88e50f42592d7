//! What storage can be told, and how the limits relate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::keep::MERGED_ROWS_MAX;
use crate::retention::Retention;

/// Settings of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The data folder.
    pub data: PathBuf,
    /// Live memory in bytes at which a seal starts.
    pub live_bytes_seal: usize,
    /// Live memory in bytes at which requests are pushed back until a seal is done.
    pub live_bytes_max: usize,
    /// Age in milliseconds at which live records are sealed, however few.
    pub seal_interval_ms: u64,
    /// Length in bytes of a file of the write-ahead log, reserved when it is begun.
    pub wal_segment_bytes: u64,
    /// What an acknowledgement outlives.
    pub durability: Durability,
    /// A log with at most so many bytes that are in no shard is replayed before the store is open; a longer one while it
    /// accepts and answers, and says what is missing.
    pub replay_at_open_bytes_max: u64,
    /// Bytes of the disk that are kept free for what frees more: a full disk would else let nothing expire.
    pub reserve_bytes: u64,
    /// How long, in milliseconds, a request is recognised when it comes again; longer while the log still holds it.
    pub repetition_window_ms: u64,
    /// Shards kept open for reading.
    pub open_shards_max: usize,
    /// Memory in bytes for blocks and pages of shards that were read lately.
    pub block_cache_bytes_max: usize,
    /// Memory in bytes for the shapes of bodies (`| patterns`) of shards: two bytes a record, and the shapes.
    pub shape_cache_bytes_max: usize,
    /// Rows of the largest shard that a merge makes; 1 means that nothing is merged.
    pub merged_rows_max: u64,
    /// How long, in milliseconds, the file of a shard stays after another has taken its place, for readers that
    /// listed it before. Who lists the folder within this time finds the records of both.
    pub garbage_grace_ms: u64,
    /// How long records are kept.
    pub retention: Retention,
    /// Whether a retention that is shorter than before may take more than half of what is stored. It is said for one
    /// start, not kept in a file.
    #[serde(skip)]
    pub shorter_retention_is_meant: bool,
    /// How long, in milliseconds, the clock must have run steadily before anything expires; and 24 times as long
    /// when nothing arrives that bears it out.
    pub retention_settle_ms: u64,
}

/// What an acknowledgement outlives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A power cut: what is acknowledged was synced.
    #[default]
    Disk,
    /// The end of the process: what is acknowledged was written and not synced, so that a crash of the machine may cost
    /// the last of it.
    Os,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings {
            data: PathBuf::from("needle-data"),
            live_bytes_seal: 40 << 20,
            live_bytes_max: 112 << 20,
            seal_interval_ms: 60_000,
            wal_segment_bytes: 32 << 20,
            durability: Durability::default(),
            replay_at_open_bytes_max: 2 << 20,
            reserve_bytes: 16 << 20,
            repetition_window_ms: 15 * 60_000,
            open_shards_max: 256,
            block_cache_bytes_max: 32 << 20,
            shape_cache_bytes_max: 16 << 20,
            merged_rows_max: MERGED_ROWS_MAX,
            garbage_grace_ms: 0,
            retention: Retention::default(),
            shorter_retention_is_meant: false,
            retention_settle_ms: 60 * 60_000,
        }
    }
}

/// A merge fits into memory, and rows of a shard are counted in 31 bits by its index.
const MERGED_ROWS_MAX_MAX: u64 = 10_000_000;

impl StoreSettings {
    /// What does not fit together, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.live_bytes_max < 2 * self.live_bytes_seal {
            return Err(format!(
                "live_bytes_max ({}) must be at least twice live_bytes_seal ({}), so that records are accepted while a seal runs",
                self.live_bytes_max, self.live_bytes_seal
            ));
        }
        if self.live_bytes_max > 1 << 30 {
            // Text columns of one seal are joined, and Arrow addresses at most 2 GiB of text in one.
            return Err(format!("live_bytes_max ({}) must not be above 1 GiB", self.live_bytes_max));
        }
        if self.open_shards_max == 0 {
            return Err("open_shards_max must be at least 1".to_owned());
        }
        if !(1..=MERGED_ROWS_MAX_MAX).contains(&self.merged_rows_max) {
            return Err(format!(
                "merged_rows_max ({}) must be between 1 (nothing is merged) and {MERGED_ROWS_MAX_MAX}",
                self.merged_rows_max
            ));
        }
        self.retention.check()
    }
}
