//! Long words as terms: only their beginning is indexed, and a query for one looks for the same
//! beginning, so that the index still never misses a match.

/// Terms of words are at most this long.
const WORD_BYTES_MAX: usize = 64;

/// The beginning of a word that is its term.
pub(super) fn truncated(word: &str) -> &str {
    &word[..word.floor_char_boundary(WORD_BYTES_MAX)]
}
