//! Words as terms: which of them are in the dictionary, and how much of a long one.

/// Terms of words are at most this long.
const WORD_BYTES_MAX: usize = 64;

/// The beginning of a word that is its term: a query for a long word looks for the same beginning, so that the
/// index still never misses a match.
pub(super) fn truncated(word: &str) -> &str {
    &word[..word.floor_char_boundary(WORD_BYTES_MAX)]
}

/// What may follow the digits of a number: `10ms`, `5xx`, `0x1f`.
const SUFFIX_BYTES_MAX: usize = 3;

/// Whether a word (in lower case) is a number or a piece of an id: digits with at most a short ending, or
/// hexadecimal digits with a decimal one among them. Most of them stand in one journey only; in the dictionary
/// they would be most of it. They are found by page, and only as a whole.
pub(super) fn is_number(word: &str) -> bool {
    let digits = word.starts_with(|first: char| first.is_ascii_digit()) && has_short_ending(word);
    digits || (is_hexadecimal(word) && word.bytes().any(|b| b.is_ascii_digit()))
}

/// Whether this can be a part of a number, at its beginning or within it; then the dictionary alone does not say
/// which words hold it.
pub(super) fn may_be_in_number(part: &str) -> bool {
    is_hexadecimal(part) || has_short_ending(part)
}

/// Whether a term may be the beginning of a longer word.
pub(super) fn may_be_cut(term: &str) -> bool {
    // A cut is at the boundary of a character, which is at most 4 bytes long.
    term.len() > WORD_BYTES_MAX - 4
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn has_short_ending(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_ascii_digit()).len() <= SUFFIX_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_number_may_be_in_one() {
        for word in ["42", "10ms", "7f3a", "fe80", "0x1f", "125a4afb"] {
            assert!(is_number(word), "{word}");
            let parts = (0..word.len()).flat_map(|start| (start..=word.len()).map(move |end| &word[start..end]));
            assert!(parts.into_iter().all(may_be_in_number), "{word}");
        }
        for word in ["timeout", "timeout3", "feed", "über", "ms10", "5timeouts"] {
            assert!(!is_number(word), "{word}");
        }
        assert!(!may_be_in_number("timeo"));
    }
}
