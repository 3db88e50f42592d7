//! Asks: the query language, search, stitching, tail.

mod answer;
mod engine;

pub use answer::*;
pub use engine::{QueryEngine, QueryError};
pub use needle_storage::model;
