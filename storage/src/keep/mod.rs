//! Background work, as `tick_*` functions that a test can call without a timer.

mod merge;
mod policy;
mod seal;

pub(crate) use merge::is_merged;
pub(crate) use policy::{Effort, choose};
pub(crate) use seal::{Keep, SealError};
