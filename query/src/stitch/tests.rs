//! Journeys in small: built by hand, in any order, closed over an index in memory and stitched.

mod aids;
pub(crate) mod builder;
mod clocks_and_paths;
mod closing;
mod doubts;
mod placing;
mod properties;
mod trees;
