//! The id directory in use: asked by queries, added to by seals, counted, and complained of. Whatever fails in it
//! costs reads, never answers.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::catalog::Origins;
use crate::directory::{DirectoryError, Hits, IdDirectory, Origin, RUNS_MAX};
use crate::metrics::Metrics;
use crate::model::{IdKey, IdTerm};

/// Its folder, beside the tenants'.
const FOLDER: &str = "_needle/ids";

/// The keys of all ids of one shard, and the seals it is made of.
pub(crate) type ShardKeys = (Origins, Vec<IdKey>);

/// From ids to the seals whose records may carry them.
#[derive(Debug)]
pub(crate) struct Lookup {
    directory: IdDirectory,
    metrics: Metrics,
}

impl Lookup {
    /// Opens the directory of a data folder. What of it cannot be read is said, and made anew in the background.
    pub(crate) fn open(objects: Arc<dyn ObjectStore>, metrics: Metrics) -> Result<Lookup, DirectoryError> {
        let (directory, unreadable) = IdDirectory::open(objects, Path::from(FOLDER))?;
        let lookup = Lookup { directory, metrics };
        lookup.complain(&unreadable);
        lookup.measure();
        Ok(lookup)
    }

    /// The seals whose records may be found by one of the keys. One question for all of them.
    pub(crate) fn find(&self, keys: &[IdKey]) -> Hits {
        let hits = self.directory.find(keys);
        self.metrics.directory_lookups.inc();
        self.metrics.directory_reads.inc_by(hits.reads as u64);
        if !hits.unreadable.is_empty() {
            self.complain(&hits.unreadable);
            self.measure();
        }
        hits
    }

    /// Whether a shard of these seals may hold one of the ids.
    pub(crate) fn may_hold(&self, origins: &Origins, terms: &[IdTerm]) -> bool {
        let hits = self.find(&keys_of(terms));
        origins.is_empty() || origins.iter().any(|origin| hits.may_hold(Origin(origin)))
    }

    /// The seals that need not be asked when a lookup does not find them.
    pub(crate) fn covered(&self) -> Origins {
        self.directory.covered()
    }

    /// Adds the keys of shards that are published and known to queries. A shard that could not be added is asked
    /// by each lookup until background work adds it.
    pub(crate) fn add_sealed(&self, keys: &[ShardKeys]) {
        if let Err(error) = self.add(keys) {
            tracing::warn!(%error, "a new shard is not in the id directory yet");
        }
    }

    /// Adds the keys of shards.
    pub(crate) fn add(&self, keys: &[ShardKeys]) -> Result<(), DirectoryError> {
        let added = self.directory.add(keys);
        self.measure();
        added
    }

    /// Whether lookups cost more reads than they should until parts are merged.
    pub(crate) fn has_too_many_parts(&self) -> bool {
        self.directory.size().runs > RUNS_MAX
    }

    /// Merges the next parts of the directory. `place` names the shard of a seal by any one of its seals; what has
    /// none is forgotten. Whether there was anything to merge.
    pub(crate) fn tick_merge(&self, place: impl Fn(u32) -> Option<u32>, stop: impl Fn() -> bool) -> Result<bool, DirectoryError> {
        let merged = self.directory.tick_merge(|Origin(origin)| place(origin).map(Origin), stop);
        self.measure();
        merged
    }

    fn complain(&self, unreadable: &[String]) {
        for complaint in unreadable {
            tracing::error!("{complaint}");
            self.metrics.directory_damaged_runs.inc();
        }
    }

    fn measure(&self) {
        let size = self.directory.size();
        self.metrics.directory_runs.set(size.runs as i64);
        self.metrics.directory_bytes.set(size.bytes as i64);
    }
}

/// The keys that records with these terms are found by.
pub(crate) fn keys_of(terms: &[IdTerm]) -> Vec<IdKey> {
    terms.iter().flat_map(IdTerm::keys).collect()
}

#[cfg(test)]
mod tests;
