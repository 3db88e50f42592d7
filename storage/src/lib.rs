//! Remembers: the write-ahead log, live records, shards and the catalog.

mod accept;
pub mod model;
pub mod predicate;
mod snapshot;
mod store;

pub use accept::{Accepted, AppendError, BodyFormat, Decode, Decoded, Incoming, RawRequest};
pub use snapshot::{AcceptedAfter, Coverage, Found, ReadError, Search, Snapshot};
pub use store::{OpenError, Store, StoreSettings};
