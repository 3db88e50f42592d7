//! Words: the one way text is cut for search, in the index, on live records and in a query.

/// The words of a text: runs of letters and digits (any alphabet), as written.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
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
