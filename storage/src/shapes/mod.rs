//! Shapes of messages: what is left of a body when numbers, ids, times, addresses and paths are masked. Records that one
//! line of code wrote mostly share a shape.
//!
//! A shape is a function of its text alone, and shapes are gathered by rules that only know sets of them. So what is
//! found does not depend on the order of records, nor on how they are split over batches and shards.

mod gather;
mod mask;
mod rows;

pub(crate) use gather::Gathered;
pub use gather::{Newest, Shape, ShapeCounts};
pub(crate) use mask::mask;
pub(crate) use rows::{RowShapes, ShapeCache, ShapeTable};

/// What stands in a shape in place of text. In the shape each is one control character, which no text keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// A number, also of several parts as a version has.
    Number,
    /// Hexadecimal digits: a hash, an address in memory.
    Hex,
    /// A UUID.
    Uuid,
    /// An address of the internet protocol.
    Ip,
    /// A date, or a time of day.
    Time,
    /// A number with a unit of time.
    Duration,
    /// A path in a file system or of a request.
    Path,
    /// An address with a scheme.
    Url,
    /// Anything.
    Any,
}

/// Every mask, with its character and its name for readers.
const MASKS: [(Mask, char, &str); 9] = [
    (Mask::Number, '\u{1}', "<num>"),
    (Mask::Hex, '\u{2}', "<hex>"),
    (Mask::Uuid, '\u{3}', "<uuid>"),
    (Mask::Ip, '\u{4}', "<ip>"),
    (Mask::Time, '\u{5}', "<time>"),
    (Mask::Duration, '\u{6}', "<duration>"),
    (Mask::Path, '\u{7}', "<path>"),
    (Mask::Url, '\u{e}', "<url>"),
    (Mask::Any, '\u{f}', "<*>"),
];

impl Mask {
    /// The character that stands for it.
    pub fn character(self) -> char {
        MASKS[self as usize].1
    }

    /// The mask that a character stands for.
    fn of(character: char) -> Option<&'static (Mask, char, &'static str)> {
        MASKS.iter().find(|(_, own, _)| *own == character)
    }
}

/// The shape of a text.
pub fn shape_of(text: &str) -> String {
    let mut shape = String::new();
    mask(text, &mut shape);
    shape
}

/// A shape for readers: `user <num> logged in from <ip>`.
pub fn readable(shape: &str) -> String {
    let mut text = String::with_capacity(shape.len() + 32);
    for character in shape.chars() {
        match Mask::of(character) {
            Some((_, _, name)) => text.push_str(name),
            None => text.push(character),
        }
    }
    text
}

/// Whether a token of a shape is masked as a whole, so that it is no word.
pub fn is_masked(token: &str) -> bool {
    token.chars().any(|character| Mask::of(character).is_some()) && !token.contains(char::is_alphanumeric)
}

/// The tokens of a shape, and what stands around them: one separator more than tokens, some of which may be empty.
pub fn split(shape: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut tokens, mut separators) = (Vec::new(), Vec::new());
    let mut rest = shape;
    loop {
        let (separator, from_token) = rest.split_at(rest.find(|c: char| !separates(c)).unwrap_or(rest.len()));
        separators.push(separator);
        if from_token.is_empty() {
            return (tokens, separators);
        }
        let (token, after) = from_token.split_at(from_token.find(separates).unwrap_or(from_token.len()));
        tokens.push(token);
        rest = after;
    }
}

/// Whether a character stands between tokens.
fn separates(character: char) -> bool {
    character == ' ' || character == ':' || (character.is_ascii() && mask::ends_chunk(character as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_found_where_it_stands() {
        for (at, (mask, character, name)) in MASKS.into_iter().enumerate() {
            assert_eq!((mask as usize, mask.character()), (at, character));
            assert!(character.is_control() && !character.is_whitespace());
            assert_eq!(readable(&format!("a {character}.")), format!("a {name}."));
        }
    }

    #[test]
    fn tokens_and_separators_take_turns() {
        let (tokens, separators) = split("[a-b] c: \u{1}%");
        assert_eq!((tokens.as_slice(), separators.as_slice()), (&["a-b", "c", "\u{1}%"][..], &["[", "] ", ": ", ""][..]));
        assert!(is_masked("\u{1}%") && !is_masked("v\u{1}") && !is_masked("-"));
        let (tokens, separators) = split("");
        assert_eq!((tokens.len(), separators.len()), (0, 1));
    }
}
