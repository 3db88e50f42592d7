#![doc = include_str!("../README.md")]

mod aggregate;
mod answer;
mod compare;
mod cursor;
mod durations;
mod engine;
mod error;
mod fields;
mod graph;
mod histogram;
mod ids;
mod journey;
mod journeys;
mod kept;
mod language;
mod limits;
mod metrics;
mod neighbours;
mod notes;
#[cfg(test)]
mod one_meaning;
mod patterns;
#[cfg(test)]
mod sample;
mod search;
mod services;
mod sql;
mod stitch;
mod table;
mod tail;

pub use answer::*;
pub use engine::{QueryEngine, QuerySettings};
pub use error::{QueryError, columns_of, predicate_of};
pub use language::duration_of;
pub use language::is_piped;
pub use needle_storage::model;
pub use table::{Cell, Table, TableColumnSummary, no_formula};
