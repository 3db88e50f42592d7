//! Cuts a query into tokens. What a character means depends on where it stands: at the start of a term
//! `/` may open a regular expression and `key:` is a field; in a value both are just text.

use super::error::LanguageError;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
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
        self.at += self.rest().len() - self.rest().trim_start().len();
        let start = self.at;
        let rest = self.rest();
        let mut chars = rest.chars();
        let token = match (chars.next(), chars.next()) {
            (None, _) => Token::End,
            (Some('('), _) => self.take(1, Token::Open),
            (Some(')'), _) => self.take(1, Token::Close),
            (Some('|'), _) => return Err(no_pipes_yet(start)),
            (Some('-' | '!'), Some(next)) if negates(next, place) => self.take(1, Token::Not),
            (Some('"'), _) => {
                let text = self.quoted()?;
                match operator(self.rest()).filter(|_| place == Place::Term) {
                    Some((operator, length)) => self.take(length, Token::Key { name: text, operator }),
                    None => Token::Text(Text::Quoted(text)),
                }
            }
            _ => match keyword(rest).or_else(|| key(rest).filter(|_| place == Place::Term)) {
                Some((token, length)) => self.take(length, token),
                None => Token::Text(self.text()?),
            },
        };
        Ok((token, start))
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
            None | Some(')') => Ok(None),
            Some(c) if c.is_whitespace() => Ok(None),
            Some('|') => Err(no_pipes_yet(start)),
            _ => Ok(Some((self.text()?, start))),
        }
    }

    fn take(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    fn text(&mut self) -> Result<Text, LanguageError> {
        if self.rest().starts_with('"') {
            return self.quoted().map(Text::Quoted);
        }
        if let Some((pattern, ignore_case, length)) = regex(self.rest()) {
            self.at += length;
            return Ok(Text::Regex { pattern, ignore_case });
        }
        Ok(self.bare())
    }

    fn quoted(&mut self) -> Result<String, LanguageError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
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

    fn bare(&mut self) -> Text {
        let rest = self.rest();
        let (mut text, mut stars, mut length, mut depth) = (String::new(), Vec::new(), 0, 0_usize);
        let mut chars = rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c.is_whitespace() => break,
                '|' | '"' if at > 0 => break,
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

fn no_pipes_yet(position: usize) -> LanguageError {
    LanguageError::new(position, "aggregation with `|` is not available yet: leave it out, or quote the text if a | is searched for")
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
        let ends = after.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        ends.then_some((token, word.len()))
    })
}

/// `name` and an operator, at the start of a term.
fn key(rest: &str) -> Option<(Token, usize)> {
    let starts_well = rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '$'));
    let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '$' | '/')))?;
    let name = &rest[..length];
    if !starts_well || name.ends_with(['-', '/']) {
        return None;
    }
    let (operator, operator_length) = operator(&rest[length..])?;
    Some((Token::Key { name: name.to_owned(), operator }, length + operator_length))
}

/// The operator after a key. `foo::bar`, `http://host` and `a=>b` have none.
fn operator(rest: &str) -> Option<(Operator, usize)> {
    if let Some(after) = rest.strip_prefix(':') {
        if after.starts_with(':') || after.starts_with("//") {
            return None;
        }
        return Some(ordering_operator(after).map_or((Operator::Equal, 1), |(operator, length)| (operator, length + 1)));
    }
    if rest.starts_with("!=") {
        return Some((Operator::NotEqual, 2));
    }
    if let Some(after) = rest.strip_prefix('=') {
        return (!after.starts_with('>')).then_some((Operator::Equal, if after.starts_with('=') { 2 } else { 1 }));
    }
    ordering_operator(rest)
}

fn ordering_operator(rest: &str) -> Option<(Operator, usize)> {
    [(">=", Operator::GreaterOrEqual), ("<=", Operator::LessOrEqual), (">", Operator::Greater), ("<", Operator::Less)]
        .into_iter()
        .find_map(|(text, operator)| rest.starts_with(text).then_some((operator, text.len())))
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
                let ends = after.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|'));
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
            c if c.is_whitespace() || c == '"' => return false,
            _ => {}
        }
    }
    false
}
