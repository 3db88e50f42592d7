//! What an answer does not know, in every answer.

use needle_query as query;
use serde::Serialize;
use utoipa::ToSchema;

/// What was searched, and what was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Completeness {
    /// Whether all that should be searched was.
    pub(crate) state: CompletenessState,
    /// Why not, in words.
    pub(crate) reasons: Vec<String>,
    /// Shards read or ruled out by their index, time range or ids.
    pub(crate) shards_searched: usize,
    /// Shards that could not be read.
    pub(crate) shards_failed: usize,
}

/// How far an answer can be trusted to be all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CompletenessState {
    /// All there is.
    Complete,
    /// Records may still be on their way.
    Arriving,
    /// Something is missing.
    Partial,
}

impl From<query::Completeness> for Completeness {
    fn from(completeness: query::Completeness) -> Completeness {
        Completeness {
            state: completeness.state.into(),
            reasons: completeness.reasons,
            shards_searched: completeness.shards_searched,
            shards_failed: completeness.shards_failed,
        }
    }
}

impl From<query::CompletenessState> for CompletenessState {
    fn from(state: query::CompletenessState) -> CompletenessState {
        match state {
            query::CompletenessState::Complete => CompletenessState::Complete,
            query::CompletenessState::Arriving => CompletenessState::Arriving,
            query::CompletenessState::Partial => CompletenessState::Partial,
        }
    }
}
