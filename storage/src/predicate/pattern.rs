//! Wildcards: `*` stands for any run of characters.

use std::fmt;

/// A pattern with `*` in it, matched against the whole text, case-sensitive.
#[derive(Clone, PartialEq, Eq)]
pub struct Wildcard {
    pieces: Vec<String>,
}

impl Wildcard {
    /// The pattern of a text in which `*` is the wildcard.
    pub fn new(pattern: &str) -> Wildcard {
        Wildcard { pieces: pattern.split('*').map(str::to_owned).collect() }
    }

    /// The text before the first `*`.
    pub fn literal_prefix(&self) -> &str {
        &self.pieces[0]
    }

    /// Whether the whole text matches. Linear: the leftmost place for each piece is the best one.
    pub fn matches(&self, text: &str) -> bool {
        let (first, rest) = self.pieces.split_first().expect("split yields at least one piece");
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            match left.find(piece.as_str()) {
                Some(at) => left = &left[at + piece.len()..],
                None => return false,
            }
        }
        left.len() >= last.len() && left.ends_with(last.as_str())
    }
}

impl fmt::Debug for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pieces.join("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, expected) in [
            ("/api/*", "/api/cart", true),
            ("/api/*", "/ap", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*cart*", "/api/cart/1", true),
            ("*b*b", "ab", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("*", "", true),
        ] {
            assert_eq!(Wildcard::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }
}
