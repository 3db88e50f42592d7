//! The store (signatures; the body is being written).

use std::path::PathBuf;
use std::sync::Arc;

use crate::accept::{Accepted, AppendError, Decode, Incoming};

/// What storage can be told.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The data folder.
    pub data: PathBuf,
    /// Live memory in bytes at which a seal starts.
    pub live_bytes_seal: usize,
    /// Live memory in bytes at which requests are pushed back.
    pub live_bytes_max: usize,
    /// Age in milliseconds at which live records are sealed.
    pub seal_interval_ms: u64,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings { data: PathBuf::from("data"), live_bytes_seal: 64 << 20, live_bytes_max: 192 << 20, seal_interval_ms: 60_000 }
    }
}

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data folder {folder} is in use by process {pid}: stop that process or give another folder with --data")]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        pid: String,
    },
    /// Anything else, with the path in the text.
    #[error("{0}")]
    Unusable(String),
}

/// Everything that was accepted.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens a data folder, replaying what was accepted and not yet sealed.
    pub fn open(
        _settings: &StoreSettings,
        _decode: Decode,
        _metrics: &mut prometheus_client::registry::Registry,
    ) -> Result<Arc<Store>, OpenError> {
        todo!()
    }

    /// Accepts a request: when this returns `Ok` its records are on disk, once, and found by every query that starts now.
    pub async fn append(&self, _incoming: Incoming) -> Result<Accepted, AppendError> {
        todo!()
    }

    /// A consistent view of a tenant's records: everything acknowledged before this call, each record once.
    pub fn snapshot(&self, _tenant: &crate::model::Tenant) -> crate::Snapshot {
        todo!()
    }

    /// Wakes whenever records were accepted; holds the number the next record will get.
    pub fn accepted(&self) -> tokio::sync::watch::Receiver<crate::model::RecordId> {
        todo!()
    }

    /// Seals all live records and waits for it.
    pub async fn flush(&self) -> Result<(), String> {
        todo!()
    }

    /// Why requests are not accepted just now; empty when they are.
    pub fn not_ready(&self) -> Vec<String> {
        Vec::new()
    }

    /// Seals all live records, waits for it, and stops accepting.
    pub async fn shutdown(&self) {
        todo!()
    }
}
