//! Asks: the query language, search, stitching, tail.

mod answer;
mod engine;
mod error;
mod ids;
mod language;
mod limits;
mod stitch;

pub use answer::*;
pub use engine::QueryEngine;
pub use error::QueryError;
pub use needle_storage::model;
