//! Background work, as `tick_*` functions that a test can call without a timer.

mod leaving;
mod merge;
mod name;
mod policy;
mod seal;
mod steady;

pub(crate) use leaving::Leaving;
pub(crate) use merge::{Rewritten, reading};
pub(crate) use name::{Rewrite, ShardName};
pub(crate) use policy::{Effort, MERGED_ROWS_MAX, choose};
pub(crate) use seal::{Keep, SealError, Sealed};
pub(crate) use steady::SteadyTime;
