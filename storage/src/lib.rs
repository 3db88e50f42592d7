//! Remembers: the write-ahead log, live records, shards and the catalog.

mod accept;
pub mod model;
mod store;

pub use accept::{Accepted, AppendError, BodyFormat, Decode, Decoded, Incoming, RawRequest};
pub use store::{OpenError, Store, StoreSettings};
