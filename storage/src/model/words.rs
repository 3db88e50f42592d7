//! Words: the one way text is cut for search, in the index, on live records and in a query.

/// The words of a text: runs of letters and digits (any alphabet), as written.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a text of ASCII has a word that is, or at least begins with, one in lower case, as [`words_lowercase`] would find
/// it; none if the text or the word is not of that kind.
pub(crate) fn has_ascii_word(text: &str, wanted: &str, is_whole: bool) -> Option<bool> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    let first = *wanted.first()?;
    if !text.is_ascii() || !wanted.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return None;
    }
    let ends_word = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let mut places = memchr::memchr2_iter(first, first.to_ascii_uppercase(), text);
    Some(places.any(|at| {
        (at == 0 || ends_word(text.get(at - 1)))
            && text.get(at..at + wanted.len()).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            && (!is_whole || ends_word(text.get(at + wanted.len())))
    }))
}

/// Calls `visit` with each word of `text` in lower case, without allocating per word.
pub fn words_lowercase(text: &str, mut visit: impl FnMut(&str)) {
    let mut lower = String::new();
    let mut lowered = |word: &str| {
        if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            visit(word);
        } else {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            visit(&lower);
        }
    };
    if text.is_ascii() {
        // Most text: bytes are looked at, not characters.
        text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).for_each(lowered);
    } else {
        words(text).for_each(&mut lowered);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_word_of_ascii_is_found_as_by_cutting(text in "[abAB1 ./-]{0,12}|[abéİ ]{0,6}", wanted in "[ab1]{1,3}|[aé]{1,2}|A") {
            for is_whole in [true, false] {
                let mut cut = false;
                words_lowercase(&text, |word| cut |= if is_whole { word == wanted } else { word.starts_with(&wanted) });
                if let Some(found) = has_ascii_word(&text, &wanted, is_whole) {
                    prop_assert_eq!(found, cut, "{:?} in {:?}", wanted, text);
                }
            }
        }
    }

    #[test]
    fn most_texts_are_not_cut() {
        assert_eq!(has_ascii_word("GET /Cart 200", "cart", true), Some(true));
        assert_eq!(has_ascii_word("GET /Carts 200", "cart", true), Some(false));
        assert_eq!(has_ascii_word("GET /Carts 200", "cart", false), Some(true));
        assert_eq!(has_ascii_word("", "cart", false), Some(false));
        assert_eq!(has_ascii_word("caf\u{e9}", "caf", true), None);
    }
}
