//! Bytes of no good will, for everything that reads what others wrote: the network, the disk, people, and their terminals.
//!
//! A target is a function of bytes that panics when something is wrong. The same functions are tried by a seeded mutator
//! (`tests.rs`, in `make test`) and by libFuzzer, which sees which branches of our crates an input takes (`guided.rs`, by
//! `make fuzz`). What either finds is mended, and becomes a test where the fault was.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[allow(dead_code, unused_imports, unreachable_pub, clippy::all)]
mod cli;
pub mod drive;
mod files;
mod mend;
mod mutate;
mod targets;
mod watch;
#[allow(dead_code, unused_imports)]
#[path = "../bench/workload/mod.rs"]
mod workload;

pub use mutate::{Mutator, Random};
pub use targets::TARGETS;
pub use watch::{Finding, try_input, watch};

/// Something that reads bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// By what it is chosen.
    pub name: &'static str,
    /// Reads an input; panics when something is wrong.
    pub read: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What inputs are made of.
    pub words: &'static [&'static str],
    /// Longer inputs are not tried.
    pub bytes_max: usize,
    /// Memory that an input may take, whatever its length; else [`watch::TIMES_MAX`] times its length.
    pub memory_bytes: usize,
    /// Runs in `make test`.
    pub short_runs: u64,
}
