#![doc = include_str!("../README.md")]

mod accept;
mod background;
mod cache;
mod catalog;
mod check;
mod clock;
mod commit;
mod dead_letter;
mod delete;
mod directory;
mod disk;
mod fields;
#[cfg(test)]
mod format;
mod health;
mod keep;
mod ledger;
mod live;
mod lookup;
mod metrics;
pub mod model;
mod objects;
mod places;
pub mod predicate;
mod priority;
mod recover;
mod repair;
mod retention;
mod settings;
mod shapes;
mod shard;
mod snapshot;
mod state;
mod store;
mod table;
mod terms;
mod tombstones;
#[doc(hidden)]
pub mod untrusted;
mod wal;
mod window;

pub use accept::{Accepted, AppendError, BodyFormat, Decode, Decoded, Incoming, Prepared, RawRequest};
pub use check::{CheckReport, Finding, FindingKind, check};
pub use clock::{Clock, SystemClock};
pub use delete::Deleted;
pub use disk::{Disk, DiskFile, Entry, LocalDisk};
pub use fields::FieldCounts;
pub use health::{FileSystem, FolderHealth, folder_health, formats};
pub use ledger::{Account, Counts as RecordCounts, Entry as LedgerEntry, Ledger};
pub use priority::give_way;
pub use recover::OpenError;
pub use repair::{RepairReport, repair};
pub use retention::{Retention, ServiceRetention};
pub use settings::{Durability, StoreSettings};
pub use shapes::{Mask, Newest, Shape, ShapeCounts, is_masked, readable, shape_of, split};
pub use shard::{ColumnReport, ShardReport};
pub use snapshot::{
    AcceptedAfter, AcceptedEach, Compared, ComparedField, ComparedPlace, Comparison, Counts, Coverage, Found, Group, Histogram, Known,
    LeftOut, Look, Outline, ReadError, RecordPlace, Search, Shapes, Sides, Snapshot, SnapshotVersion, TimeBuckets, WantedShapes,
};
pub use store::Store;
pub use table::{RecordColumn, Share, TableColumn, TableScan, ValueType, parquet_file};
