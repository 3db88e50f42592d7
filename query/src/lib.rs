#![doc = include_str!("../README.md")]

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
mod notes;
#[cfg(test)]
mod one_meaning;
mod patterns;
mod search;
mod services;
mod stitch;
mod tail;

pub use answer::*;
pub use engine::{QueryEngine, QuerySettings};
pub use error::QueryError;
pub use language::duration_of;
pub use needle_storage::model;
