//! What storage counts, under Prometheus names.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) records_replayed: Counter,
    pub(crate) requests_pushed_back: Counter,
    pub(crate) wal_frames: Counter,
    pub(crate) wal_bytes: Counter,
    pub(crate) wal_groups: Counter,
    pub(crate) wal_failures: Counter,
    pub(crate) wal_torn_tails: Counter,
    pub(crate) wal_lost_frames: Counter,
    pub(crate) replay_left_bytes: Gauge,
    pub(crate) seals: Counter,
    pub(crate) seal_failures: Counter,
    pub(crate) merges: Counter,
    pub(crate) merged_records: Counter,
    pub(crate) merge_failures: Counter,
    pub(crate) records_deleted: Counter,
    pub(crate) records_removed: Counter,
    pub(crate) tombstones: Gauge,
    pub(crate) retention_held: Gauge,
    pub(crate) directory_lookups: Counter,
    pub(crate) directory_reads: Counter,
    pub(crate) directory_damaged_runs: Counter,
    pub(crate) directory_runs: Gauge,
    pub(crate) directory_bytes: Gauge,
    pub(crate) live_records: Gauge,
    pub(crate) live_bytes: Gauge,
    pub(crate) shards: Gauge,
    pub(crate) shard_bytes: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let m = &metrics;
        let storage = registry.sub_registry_with_prefix("needle_storage");
        storage.register("records_replayed", "Records read from the log at start, acknowledged before it", m.records_replayed.clone());
        storage.register("requests_pushed_back", "Requests refused because live memory was full", m.requests_pushed_back.clone());
        storage.register("wal_frames", "Frames written to the write-ahead log", m.wal_frames.clone());
        storage.register_with_unit("wal_written", "Written to the write-ahead log", Unit::Bytes, m.wal_bytes.clone());
        storage.register("wal_groups", "Syncs of the write-ahead log, each for a group of requests", m.wal_groups.clone());
        storage.register("wal_failures", "Groups that could not be written", m.wal_failures.clone());
        storage.register("wal_torn_tails", "Unfinished frames cut off at start; they were never acknowledged", m.wal_torn_tails.clone());
        storage.register("wal_lost_frames", "Frames of the write-ahead log that could not be read at start", m.wal_lost_frames.clone());
        storage.register_with_unit(
            "replay_left",
            "Of the write-ahead log, not replayed since the start",
            Unit::Bytes,
            m.replay_left_bytes.clone(),
        );
        storage.register("seals", "Seals of live records into shards", m.seals.clone());
        storage.register("seal_failures", "Seals that failed and will be tried again", m.seal_failures.clone());
        storage.register("merges", "Merges of small shards into larger ones", m.merges.clone());
        storage.register("merged_records", "Records written again by merges", m.merged_records.clone());
        storage.register("merge_failures", "Merges that failed; the shards stay as they were", m.merge_failures.clone());
        storage.register("records_deleted", "Records deleted by id", m.records_deleted.clone());
        storage.register("records_removed", "Records that left the shards, deleted or past their retention", m.records_removed.clone());
        storage.register("tombstones", "Deleted ids whose records may still be in shards", m.tombstones.clone());
        storage.register(
            "retention_held",
            "1 while a shorter retention is not followed, because it would take more than half of the records",
            m.retention_held.clone(),
        );
        storage.register("live_records", "Records not yet in a shard", m.live_records.clone());
        storage.register_with_unit("live", "Memory of records not yet in a shard", Unit::Bytes, m.live_bytes.clone());
        storage.register("shards", "Shards that queries read", m.shards.clone());
        storage.register_with_unit("shards", "Length of all shards", Unit::Bytes, m.shard_bytes.clone());
        let directory = registry.sub_registry_with_prefix("needle_directory");
        directory.register("lookups", "Questions to the id directory", m.directory_lookups.clone());
        directory.register("reads", "Reads of the id directory, each of one block", m.directory_reads.clone());
        directory.register("damaged_runs", "Parts of the id directory that could not be read", m.directory_damaged_runs.clone());
        directory.register("runs", "Parts of the id directory; an id costs one read in each", m.directory_runs.clone());
        directory.register("bytes", "Length of the id directory", m.directory_bytes.clone());
        metrics
    }
}
