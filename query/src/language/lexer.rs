//! Cuts a query into tokens. What a character means depends on where it stands: at the start of a term
//! `/` may open a regular expression and `key:` is a field; in a value both are just text.

use super::error::{LanguageError, shown};
use super::operators::{Operator, key, operator_of_quoted, ordering_operator};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// `key:` and the other operators; the value follows directly.
    Key {
        name: String,
        operator: Operator,
    },
    Text(Text),
    End,
}

/// What is searched for, in one of its three spellings.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Quoted(String),
    Regex {
        pattern: String,
        ignore_case: bool,
    },
    /// Escapes are resolved; `stars` are the byte offsets of the `*` that are wildcards.
    Bare {
        text: String,
        stars: Vec<usize>,
    },
}

impl Text {
    /// A value without the comma behind it, and without the brackets of the text that it was copied from.
    fn without_what_follows(self) -> Text {
        let Text::Bare { mut text, mut stars } = self else { return self };
        loop {
            let is_noise = match text.chars().next_back() {
                Some(',') => text.len() > 1,
                Some('}') => !text.contains('{'),
                Some(']') => !text.contains('['),
                _ => false,
            };
            if !is_noise {
                break;
            }
            text.pop();
        }
        stars.retain(|star| *star < text.len());
        Text::Bare { text, stars }
    }
}

/// Where the lexer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Between terms.
    Term,
    /// Between the values of `field:( ... )`.
    Value,
}

pub(super) struct Lexer<'a> {
    query: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(query: &'a str) -> Lexer<'a> {
        Lexer { query, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.query[self.at..]
    }

    /// The next token and where it begins.
    pub(super) fn token(&mut self, place: Place) -> Result<(Token, usize), LanguageError> {
        self.at += self.rest().len() - self.rest().trim_start_matches(is_blank).len();
        let start = self.at;
        let rest = self.rest();
        let mut chars = rest.chars();
        let token = match (chars.next(), chars.next()) {
            (Some('|'), Some('|')) => self.take(2, Token::Or),
            // What follows a pipe is another language.
            (None | Some('|'), _) => Token::End,
            (Some('('), _) => self.take(1, Token::Open),
            (Some(')'), _) => self.take(1, Token::Close),
            (Some(','), _) if place == Place::Value => self.take(1, Token::Or),
            (Some(sign @ ('-' | '!' | '\u{2212}' | '\u{2013}')), Some(next)) if negates(next, place) => {
                self.take(sign.len_utf8(), Token::Not)
            }
            (Some('"'), _) => {
                let text = self.quoted('"')?;
                match operator_of_quoted(self.rest()).filter(|_| place == Place::Term) {
                    Some((operator, length)) => self.take(length, Token::Key { name: text, operator }),
                    None => Token::Text(Text::Quoted(text)),
                }
            }
            _ => match keyword(rest).or_else(|| key(rest).filter(|_| place == Place::Term)) {
                Some((token, length)) => self.take(length, token),
                None => Token::Text(self.text(place)?),
            },
        };
        Ok((token, start))
    }

    /// Where the query ends: at a `|`, or with the text.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    /// Where `(` stands, if it follows directly, as in `field:(a OR b)`; it is consumed.
    pub(super) fn opens_list(&mut self) -> Option<usize> {
        let opens = self.rest().starts_with('(').then_some(self.at);
        self.at += usize::from(opens.is_some());
        opens
    }

    /// An operator that stands before a value, as in `field:(>1 <5)`.
    pub(super) fn value_operator(&mut self) -> Option<Operator> {
        let (operator, length) = ordering_operator(self.rest())?;
        self.at += length;
        Some(operator)
    }

    /// The value that follows directly on an operator; `None` when there is none.
    pub(super) fn value(&mut self) -> Result<Option<(Text, usize)>, LanguageError> {
        let start = self.at;
        match self.rest().chars().next() {
            None | Some(')' | '|') => Ok(None),
            Some(c) if is_blank(c) => Ok(None),
            Some('[' | '{') if opens_other_syntax(self.rest()) => Err(other_syntax(self.rest(), start)),
            _ => Ok(Some((self.text(Place::Term)?.without_what_follows(), start))),
        }
    }

    /// The word that stands next, for a hint.
    pub(super) fn next_word(&self) -> Option<&'a str> {
        self.rest().split(|c: char| is_blank(c) || matches!(c, '(' | ')' | '|' | '"' | ',' | '}')).find(|word| !word.is_empty())
    }

    fn take(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    fn text(&mut self, place: Place) -> Result<Text, LanguageError> {
        let rest = self.rest();
        if let Some(mark) = rest.chars().next().filter(|c| is_double_quote(*c)) {
            return self.quoted(mark).map(Text::Quoted);
        }
        if let Some((text, length)) = single_quoted(rest) {
            self.at += length;
            return Ok(Text::Quoted(text.to_owned()));
        }
        if let Some((pattern, ignore_case, length)) = regex(rest) {
            self.at += length;
            return Ok(Text::Regex { pattern, ignore_case });
        }
        Ok(self.bare(place))
    }

    /// The text up to the quote that closes it. Quotes that a word processor made close each other.
    fn quoted(&mut self, mark: char) -> Result<String, LanguageError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == '"' || (mark != '"' && is_double_quote(c)) => {
                    self.at += at + c.len_utf8();
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    // Any other backslash is part of the text, as in C:\temp.
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err(LanguageError::new(start, "this quote is not closed: add a \" at the end of the text"))
    }

    fn bare(&mut self, place: Place) -> Text {
        let rest = self.rest();
        let (mut text, mut stars, mut length, mut depth) = (String::new(), Vec::new(), 0, 0_usize);
        let mut chars = rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                c if is_blank(c) => break,
                c if at > 0 && (c == '|' || is_double_quote(c)) => break,
                ',' if place == Place::Value => break,
                // `connect()` is one word: parentheses that close within the word belong to it.
                '(' if depth > 0 || closes_within_word(&rest[at..]) => depth += 1,
                ')' if depth > 0 => depth -= 1,
                '(' | ')' => break,
                '*' => stars.push(text.len()),
                '\\' if chars.peek().is_some_and(|(_, next)| !next.is_alphanumeric() && !next.is_control()) => {
                    let (at, escaped) = chars.next().expect("it was peeked");
                    text.push(escaped);
                    length = at + escaped.len_utf8();
                    continue;
                }
                _ => {}
            }
            text.push(c);
            length = at + c.len_utf8();
        }
        self.at += length;
        Text::Bare { text, stars }
    }
}

/// Whether a character parts words of the query: also those without width that come with copied text.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}')
}

/// `'text'` that ends with the word; in `can't` and `'tis` it is an apostrophe.
fn single_quoted(rest: &str) -> Option<(&str, usize)> {
    let is_mark = |c: char| matches!(c, '\'' | '\u{2018}' | '\u{2019}');
    let inner = rest.strip_prefix(is_mark)?;
    let offset = rest.len() - inner.len();
    inner.match_indices(is_mark).find_map(|(at, mark)| {
        let after = &inner[at + mark.len()..];
        let ends = after.chars().next().is_none_or(|c| is_blank(c) || matches!(c, ')' | '|' | ','));
        ends.then_some((&inner[..at], offset + at + mark.len()))
    })
}

/// Whether a value is a range of Lucene or the inside of JSON.
fn opens_other_syntax(rest: &str) -> bool {
    let inside = rest[1..].trim_start_matches(is_blank);
    inside.is_empty() || inside.starts_with(['"', '[', '{', '}', ']']) || range(rest).is_some()
}

/// The ends of `[a TO b]`.
fn range(rest: &str) -> Option<(&str, &str)> {
    let (inside, _) = rest[1..].split_once([']', '}'])?;
    let (from, to) = inside.split_once(" TO ")?;
    Some((from.trim(), to.trim()))
}

fn other_syntax(rest: &str, position: usize) -> LanguageError {
    let message = match range(rest) {
        Some((from, to)) => format!("a range is written with operators: (>={} <={})", shown(from), shown(to)),
        None => "lists and objects are not compared: name a field of it, as user.id:42, or quote the text to search for it".to_owned(),
    };
    LanguageError::new(position, message)
}

/// `-x` negates; `--flag`, `->` and `- ` do not. Between values `-5` is a number.
fn negates(next: char, place: Place) -> bool {
    match place {
        Place::Term => next.is_alphanumeric() || matches!(next, '"' | '(' | '/' | '_' | '@' | '$' | '*'),
        Place::Value => next.is_alphabetic() || matches!(next, '"' | '(' | '/' | '_'),
    }
}

fn keyword(rest: &str) -> Option<(Token, usize)> {
    [("AND", Token::And), ("OR", Token::Or), ("NOT", Token::Not)].into_iter().find_map(|(word, token)| {
        let after = rest.strip_prefix(word)?;
        let ends = after.chars().next().is_none_or(|c| is_blank(c) || matches!(c, '(' | ')' | '"'));
        ends.then_some((token, word.len()))
    })
}

/// `/.../` or `/.../i` that ends with the word; `/api/cart` is text.
fn regex(rest: &str) -> Option<(String, bool, usize)> {
    let inner = rest.strip_prefix('/')?;
    let mut pattern = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' => {
                let after = &inner[at + 1..];
                let (after, ignore_case) = after.strip_prefix('i').map_or((after, false), |after| (after, true));
                let ends = after.chars().next().is_none_or(|c| is_blank(c) || matches!(c, ')' | '|' | ','));
                return (ends && !pattern.is_empty()).then(|| (pattern, ignore_case, rest.len() - after.len()));
            }
            '\\' => match chars.next() {
                Some((_, '/')) => pattern.push('/'),
                Some((_, other)) => pattern.extend(['\\', other]),
                None => return None,
            },
            _ => pattern.push(c),
        }
    }
    None
}

fn closes_within_word(rest: &str) -> bool {
    let mut depth = 0_usize;
    for c in rest.chars() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return true;
                }
            }
            c if is_blank(c) || c == '"' => return false,
            _ => {}
        }
    }
    false
}
