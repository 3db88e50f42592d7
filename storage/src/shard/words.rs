//! Words as terms: which of them are in the dictionary, and how much of a long one.

/// Terms of words are at most this long.
const WORD_BYTES_MAX: usize = 64;

/// The beginning of a word that is its term: a query for a long word looks for the same beginning, so that the
/// index still never misses a match.
pub(super) fn truncated(word: &str) -> &str {
    &word[..word.floor_char_boundary(WORD_BYTES_MAX)]
}

/// Whether a word (in lower case) is a number or a piece of an id: one that begins with a digit, or consists of
/// hexadecimal digits with a decimal one among them. Most of them stand in one journey only; in the dictionary
/// they would be most of it. They are found by page, and only as a whole.
pub(super) fn is_number(word: &str) -> bool {
    let hexadecimal = |word: &str| word.bytes().all(|b| b.is_ascii_hexdigit());
    word.starts_with(|first: char| first.is_ascii_digit()) || (hexadecimal(word) && word.bytes().any(|b| b.is_ascii_digit()))
}

/// Whether a number may begin so; then the dictionary alone does not say which words do.
pub(super) fn may_begin_number(prefix: &str) -> bool {
    prefix.starts_with(|first: char| first.is_ascii_digit()) || prefix.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_a_number_begins_like_one() {
        for word in ["42", "10ms", "7f3a", "fe80", "0x1f", "125a4afb"] {
            assert!(is_number(word), "{word}");
            assert!((0..=word.len()).all(|end| may_begin_number(&word[..end])), "{word}");
        }
        for word in ["timeout", "timeout3", "feed", "über", "ms10"] {
            assert!(!is_number(word), "{word}");
        }
        assert!(!may_begin_number("timeo"));
    }
}
