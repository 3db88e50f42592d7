//! Background work, as `tick_*` functions that a test can call without a timer.

mod seal;

pub(crate) use seal::{Keep, SealError};
