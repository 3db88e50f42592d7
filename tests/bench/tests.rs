//! The workload's own tests, and a run of all figures at a small size.
#![allow(clippy::unwrap_used)]

mod promises;
mod workload;
