//! Where a field and its operator stand, and where text only looks like it.

use super::fields;
use super::lexer::{Token, is_blank};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
}

/// `name` and an operator, at the start of a term; its value follows directly.
pub(super) fn key(rest: &str) -> Option<(Token, usize)> {
    let starts_well = rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$'));
    let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '$' | '/')))?;
    let name = &rest[..length];
    if !starts_well || name.ends_with(['-', '/', '.']) {
        return None;
    }
    let after = &rest[length..];
    let (operator, operator_length) = match operator(after) {
        Some(found) => close_operator(name, after, found)?,
        None => distant_operator(name, after)?,
    };
    Some((Token::Key { name: name.to_owned(), operator }, length + operator_length))
}

/// The operator after a key. `foo::bar`, `http://host` and `a=>b` have none.
pub(super) fn operator(rest: &str) -> Option<(Operator, usize)> {
    if let Some(after) = rest.strip_prefix(':') {
        if after.starts_with(':') || after.starts_with("//") {
            return None;
        }
        return Some(ordering_operator(after).map_or((Operator::Equal, 1), |(operator, length)| (operator, length + 1)));
    }
    if rest.starts_with("=>") {
        return None;
    }
    let equal = [
        ("!=", Operator::NotEqual),
        ("!~", Operator::MatchesNot),
        ("=~", Operator::Matches),
        ("==", Operator::Equal),
        ("=", Operator::Equal),
    ];
    let found = equal.into_iter().find_map(|(text, operator)| rest.starts_with(text).then_some((operator, text.len())));
    found.or_else(|| ordering_operator(rest))
}

pub(super) fn ordering_operator(rest: &str) -> Option<(Operator, usize)> {
    [(">=", Operator::GreaterOrEqual), ("<=", Operator::LessOrEqual), (">", Operator::Greater), ("<", Operator::Less)]
        .into_iter()
        .find_map(|(text, operator)| rest.starts_with(text).then_some((operator, text.len())))
}

/// An operator that stands directly behind a name. A plain word with a colon and a blank behind it is a word of a sentence
/// (`failed: no route`), `Vec<u8>` is a type, and `C:\temp` a path.
fn close_operator(name: &str, after: &str, (operator, length): (Operator, usize)) -> Option<(Operator, usize)> {
    let value = &after[length..];
    let blanks = blanks(value);
    if blanks == 0 && !value.is_empty() {
        let word = value.split(is_blank).next().unwrap_or(value);
        let is_type = operator == Operator::Less && word.contains('>');
        let is_path = name.len() == 1 && word.starts_with('\\');
        return (!is_type && !is_path).then_some((operator, length));
    }
    match &after[..length] {
        ":" => fields::is_known(name).then_some((operator, length)),
        // `user= status=500` is how logfmt writes that there is no user.
        "=" => Some((operator, length)),
        _ => Some((operator, length + blanks)),
    }
}

/// `duration > 1.5s`: the operator stands apart from the name. Then it has blanks on both sides, or is none that text uses.
fn distant_operator(name: &str, after: &str) -> Option<(Operator, usize)> {
    let gap = blanks(after);
    let rest = &after[gap..];
    if gap == 0 || rest.starts_with(':') {
        return None;
    }
    let (operator, length) = operator(rest)?;
    let value = &rest[length..];
    let blanks = blanks(value);
    let value = &value[blanks..];
    let is_number = value.strip_prefix('-').unwrap_or(value).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let fits = blanks > 0 || value.is_empty() || length > 1 || operator == Operator::Equal || is_number || value.starts_with('"');
    let has_value = !value.is_empty() && !value.starts_with([')', '>', '<', '=', '|']);
    (fits && (has_value || fields::is_known(name))).then_some((operator, gap + length + blanks))
}

/// The operator behind a name in quotes. That is how JSON writes keys, with a blank behind the colon or without.
pub(super) fn operator_of_quoted(rest: &str) -> Option<(Operator, usize)> {
    let (operator, length) = operator(rest)?;
    let blanks = blanks(&rest[length..]);
    Some((operator, if rest.len() > length + blanks { length + blanks } else { length }))
}

/// Bytes of the blanks that a text begins with.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_blank).len()
}
