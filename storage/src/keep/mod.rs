//! Background work, as `tick_*` functions that a test can call without a timer.

mod merge;
mod name;
mod policy;
mod seal;

pub(crate) use name::ShardName;
pub(crate) use policy::{Effort, choose};
pub(crate) use seal::{Keep, SealError};
