#![doc = include_str!("../README.md")]

mod accept;
mod background;
mod cache;
mod catalog;
mod clock;
mod commit;
mod delete;
#[cfg_attr(not(test), expect(dead_code, reason = "joined to the store in the next commit"))]
mod directory;
mod disk;
mod keep;
mod live;
mod metrics;
pub mod model;
mod objects;
pub mod predicate;
mod recover;
mod retention;
mod settings;
mod shard;
mod snapshot;
mod state;
mod store;
mod terms;
mod tombstones;
mod wal;
mod window;

pub use accept::{Accepted, AppendError, BodyFormat, Decode, Decoded, Incoming, RawRequest};
pub use clock::{Clock, SystemClock};
pub use delete::Deleted;
pub use disk::{Disk, DiskFile, Entry, LocalDisk};
pub use recover::OpenError;
pub use retention::{Retention, ServiceRetention};
pub use settings::StoreSettings;
pub use shard::{ColumnReport, ShardReport};
pub use snapshot::{AcceptedAfter, Coverage, Found, ReadError, Search, Snapshot};
pub use store::Store;
