//! Tests.
use needle_storage::{Accepted, AppendError, Incoming};
use std::sync::Arc;
use std::sync::Mutex;

/// A store in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore {
    pub(crate) batches: Arc<Mutex<Vec<Incoming>>>,
    pub(crate) refuse: Arc<Mutex<Option<AppendError>>>,
}

impl MemoryStore {
    pub(crate) fn append(&self, incoming: &Incoming) -> Result<Accepted, AppendError> {
        if let Some(error) = self.refuse.lock().unwrap().clone() {
            return Err(error);
        }
        self.batches.lock().unwrap().push(incoming.clone());
        Ok(Accepted { stored: incoming.decoded.records.num_rows(), deduplicated: 0 })
    }
}
