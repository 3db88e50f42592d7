//! Deleting by id: gone for every question from now on, and from the files when shards are written anew.

use crate::catalog::{CatalogError, Deletion};
use crate::model::{IdTerm, Tenant};
use crate::snapshot::Coverage;
use crate::store::Shared;

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Records that were there and are found no more.
    pub records: u64,
    /// Where they were looked for. Records of a shard that could not be read are not counted, and deleted all the same.
    pub coverage: Coverage,
}

impl Shared {
    /// Deletes every record that carries one of the ids and was accepted before this call.
    pub(crate) fn delete(&self, tenant: &Tenant, terms: &[IdTerm]) -> Result<Deleted, CatalogError> {
        let _one_at_a_time = self.deleting.lock();
        let snapshot = self.snapshot(tenant);
        let (records, coverage) = snapshot.count_with(terms);
        if records > 0 || !coverage.failures.is_empty() {
            let time = self.keep.clock.now();
            let tombstones = self.keep.catalog.bury(&Deletion { tenant, terms, before: snapshot.next_record_id(), time })?;
            let mut state = self.state.write();
            state.bury(tombstones);
            self.measure(&state);
            self.metrics.records_deleted.inc_by(records);
        }
        Ok(Deleted { records, coverage })
    }
}
