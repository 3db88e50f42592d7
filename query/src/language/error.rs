//! What is wrong with a query, where, and how to mend it.

/// A query that is not in the language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at position {position}")]
pub(crate) struct LanguageError {
    /// What is wrong, and how to mend it.
    pub(crate) message: String,
    /// Byte offset in the query.
    pub(crate) position: usize,
}

impl LanguageError {
    pub(super) fn new(position: usize, message: impl Into<String>) -> LanguageError {
        LanguageError { message: message.into(), position }
    }

    /// The line of the query that is meant, with a caret below the place. Long lines are shown around the
    /// place; control characters are shown as blanks, so that the caret stands where it should.
    pub(crate) fn caret(&self, query: &str) -> String {
        const AROUND_CHARS: usize = 60;
        let position = floor_char_boundary(query, self.position);
        let line_start = query[..position].rfind('\n').map_or(0, |at| at + 1);
        let line_end = query[position..].find('\n').map_or(query.len(), |at| position + at);
        let before: Vec<char> = query[line_start..position].chars().collect();
        let after: Vec<char> = query[position..line_end].chars().collect();
        let shown_before = &before[before.len().saturating_sub(AROUND_CHARS)..];
        let shown_after = &after[..after.len().min(AROUND_CHARS)];
        let prefix = if shown_before.len() < before.len() { "..." } else { "" };
        let suffix = if shown_after.len() < after.len() { "..." } else { "" };
        let visible = |c: &char| if c.is_control() { ' ' } else { *c };
        let line: String = shown_before.iter().chain(shown_after).map(visible).collect();
        let indent = " ".repeat(prefix.len() + shown_before.len());
        format!("{prefix}{line}{suffix}\n{indent}^")
    }
}

/// The beginning of a text, short enough to stand within a sentence.
pub(super) fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    const CHARS: usize = 60;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

fn floor_char_boundary(text: &str, position: usize) -> usize {
    let mut position = position.min(text.len());
    while !text.is_char_boundary(position) {
        position -= 1;
    }
    position
}

/// The candidate that was probably meant: at most one slip in a short word, two in a longer one.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = if word.chars().count() < 5 { 1 } else { 2 };
    candidates
        .iter()
        .map(|candidate| (slips(&word, candidate), *candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean X?`, or the whole choice when nothing is near.
pub(super) fn suggestion(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates) {
        Some(candidate) => format!("; did you mean {candidate}?"),
        None => format!("; one of {}", candidates.join(", ")),
    }
}

/// Edits from one word to another: inserted, dropped, replaced or swapped letters (optimal string alignment).
fn slips(a: &str, b: &str) -> usize {
    const LETTERS_MAX: usize = 32;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LETTERS_MAX || b.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let edited = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { edited.min(rows[i - 2][j - 2] + 1) } else { edited }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place() {
        let error = LanguageError::new(8, "x");
        assert_eq!(error.caret("größe:(a"), "größe:(a\n      ^");
        assert_eq!(LanguageError::new(100, "x").caret("abc"), "abc\n   ^");
        assert_eq!(LanguageError::new(6, "x").caret("one\ntwo"), "two\n  ^");
        let long = "a".repeat(200);
        assert_eq!(LanguageError::new(100, "x").caret(&long), format!("...{}...\n{}^", "a".repeat(120), " ".repeat(63)));
    }

    #[test]
    fn a_slip_is_recognised_and_a_guess_is_not_made() {
        assert_eq!(nearest("exeption", &["exception", "error"]), Some("exception"));
        assert_eq!(nearest("sapn", &["log", "span"]), Some("span"));
        assert_eq!(nearest("checkout", &["log", "span"]), None);
    }
}
