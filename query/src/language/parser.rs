//! Recursive descent over the tokens: OR of ANDs of terms.

use needle_storage::model::Signal;
use needle_storage::predicate::{Comparison, Field, FieldTest, IdKind, Literal, Predicate};

use super::error::{LanguageError, shown, suggestion};
use super::fields::{self, KINDS, Target};
use super::lexer::{Lexer, Place, Text, Token};
use super::operators::Operator;
use super::values::{Operand, bare_predicate, compile, field_predicate, quoted_predicate};
use crate::limits::{QUERY_DEPTH_MAX, QUERY_PATTERNS_MAX, QUERY_TERMS_MAX};

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    peeked: Option<(Token, usize)>,
    depth: usize,
    terms: usize,
    patterns: usize,
}

/// The field whose values are listed: `field:( ... )`.
struct Listed<'a> {
    name: &'a str,
    operator: Operator,
}

impl<'a> Parser<'a> {
    pub(super) fn new(query: &'a str) -> Parser<'a> {
        Parser { lexer: Lexer::new(query), peeked: None, depth: 0, terms: 0, patterns: 0 }
    }

    /// The whole query, up to a `|` if there is one, and where it ends.
    pub(super) fn query(mut self) -> Result<(Predicate, usize), LanguageError> {
        let predicate = self.predicate()?;
        Ok((predicate, self.lexer.end()))
    }

    fn predicate(&mut self) -> Result<Predicate, LanguageError> {
        if self.peek(Place::Term)?.0 == Token::End {
            return Ok(Predicate::All);
        }
        let predicate = self.alternatives(None)?;
        match self.next(Place::Term)? {
            (Token::Close, position) => Err(LanguageError::new(position, "this parenthesis closes nothing: remove it, or quote the text")),
            _ => predicate.ok_or_else(|| {
                LanguageError::new(0, "nothing to search for: there is no letter or digit in it; quote it to search for the characters")
            }),
        }
    }

    /// `a OR b`. `None` when there was nothing but punctuation.
    fn alternatives(&mut self, list: Option<&Listed<'_>>) -> Result<Option<Predicate>, LanguageError> {
        let place = place(list);
        let mut any = Vec::new();
        loop {
            any.extend(self.conjunction(list)?);
            if self.peek(place)?.0 != Token::Or {
                break;
            }
            let (_, position) = self.next(place)?;
            if matches!(self.peek(place)?.0, Token::End | Token::Close | Token::Or | Token::And) {
                return Err(LanguageError::new(position, "OR needs a condition after it (write \"OR\" in quotes to search for the word)"));
            }
        }
        Ok(joined(any, Predicate::Or))
    }

    /// `a b` or `a AND b`.
    fn conjunction(&mut self, list: Option<&Listed<'_>>) -> Result<Option<Predicate>, LanguageError> {
        let place = place(list);
        let mut all = Vec::new();
        let mut first = true;
        loop {
            match self.peek(place)? {
                (Token::Or, position) if first => {
                    let message = "OR needs a condition before it (write \"OR\" in quotes to search for the word)";
                    return Err(LanguageError::new(*position, message));
                }
                (Token::End | Token::Close | Token::Or, _) => break,
                (Token::And, position) => {
                    let position = *position;
                    self.next(place)?;
                    if first || matches!(self.peek(place)?.0, Token::End | Token::Close | Token::Or | Token::And) {
                        let message = "AND needs a condition on both sides (write \"AND\" in quotes to search for the word)";
                        return Err(LanguageError::new(position, message));
                    }
                }
                _ => {}
            }
            let position = self.peek(place)?.1;
            let condition = self.negation(list)?;
            if let Some(list) = list
                && condition.as_ref().is_some_and(is_one_value)
                && all.iter().any(is_one_value)
            {
                return Err(LanguageError::new(
                    position,
                    format!("a record has one `{0}`: write {0}:(a OR b) for either", shown(list.name)),
                ));
            }
            all.extend(condition);
            first = false;
        }
        Ok(joined(all, Predicate::And))
    }

    fn negation(&mut self, list: Option<&Listed<'_>>) -> Result<Option<Predicate>, LanguageError> {
        let place = place(list);
        let mut negated = false;
        while self.peek(place)?.0 == Token::Not {
            let (_, position) = self.next(place)?;
            negated = !negated;
            if matches!(self.peek(place)?.0, Token::End | Token::Close | Token::Or | Token::And) {
                let message = "NOT needs a condition after it (write \"NOT\" in quotes to search for the word)";
                return Err(LanguageError::new(position, message));
            }
        }
        let predicate = self.condition(list)?;
        Ok(if negated { predicate.map(|inner| Predicate::Not(Box::new(inner))) } else { predicate })
    }

    fn condition(&mut self, list: Option<&Listed<'_>>) -> Result<Option<Predicate>, LanguageError> {
        let (token, position) = self.next(place(list))?;
        match (token, list) {
            (Token::Open, _) => self.group(list, position),
            (Token::Key { name, operator }, _) => self.field(&name, operator, position).map(Some),
            (Token::Text(text), Some(listed)) => self.listed_value(listed, text, position).map(Some),
            (Token::Text(text), None) => {
                self.count_term(position)?;
                self.count_pattern(&text, position)?;
                match text {
                    Text::Quoted(text) => quoted_predicate(&text, position).map(Some),
                    Text::Bare { text, stars } => bare_predicate(&text, &stars, position),
                    Text::Regex { pattern, ignore_case } => compile(&pattern, ignore_case, position)
                        .map(|regex| Some(Predicate::Text(needle_storage::predicate::TextTest::Regex(regex)))),
                }
            }
            _ => Err(LanguageError::new(position, "a condition is expected here: a word, a phrase or field:value")),
        }
    }

    /// Between parentheses; the opening one has been read.
    fn group(&mut self, list: Option<&Listed<'_>>, position: usize) -> Result<Option<Predicate>, LanguageError> {
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return Err(LanguageError::new(position, format!("parentheses are nested deeper than {QUERY_DEPTH_MAX}: remove some")));
        }
        let place = place(list);
        if self.peek(place)?.0 == Token::Close {
            return Err(LanguageError::new(position, "nothing stands between these parentheses: remove them, or quote the text"));
        }
        let inner = self.alternatives(list)?;
        match self.next(place)? {
            (Token::Close, _) => {}
            _ => return Err(LanguageError::new(position, "this parenthesis is not closed: add a ), or quote the text")),
        }
        self.depth -= 1;
        Ok(inner)
    }

    /// What follows on `name:`.
    fn field(&mut self, name: &str, operator: Operator, position: usize) -> Result<Predicate, LanguageError> {
        debug_assert!(self.peeked.is_none(), "the value follows directly on the operator");
        if let Some(opens) = self.lexer.opens_list() {
            let list = Listed { name, operator };
            let values = self.group(Some(&list), opens)?;
            return values.ok_or_else(|| no_value(name, None, position));
        }
        let Some((text, value_position)) = self.lexer.value()? else { return Err(no_value(name, self.lexer.next_word(), position)) };
        self.test(name, &Operand { operator, text, position: value_position }, position)
    }

    fn listed_value(&mut self, list: &Listed<'_>, text: Text, position: usize) -> Result<Predicate, LanguageError> {
        let (mut operator, mut text) = (list.operator, text);
        if let Text::Bare { text: bare, stars } = &mut text
            && operator == Operator::Equal
            && let Some(own) = Lexer::new(bare).value_operator()
        {
            let length = if matches!(own, Operator::Greater | Operator::Less) { 1 } else { 2 };
            bare.drain(..length);
            stars.iter_mut().for_each(|star| *star -= length);
            operator = own;
        }
        self.test(list.name, &Operand { operator, text, position }, position)
    }

    fn test(&mut self, name: &str, operand: &Operand, position: usize) -> Result<Predicate, LanguageError> {
        self.count_term(position)?;
        if matches!(&operand.text, Text::Bare { text, .. } if text.is_empty()) {
            return Err(no_value(name, None, position));
        }
        let operand = &operand.clone().patterned();
        self.count_pattern(&operand.text, operand.position)?;
        match fields::target(name) {
            Target::Fields(fields) => {
                let tests = fields.iter().map(|field| field_predicate(field, operand)).collect::<Result<Vec<_>, _>>()?;
                Ok(joined(tests, Predicate::Or).expect("a target has at least one field"))
            }
            Target::Id(kind) => id(kind, name, operand),
            Target::Kind => kind(operand),
            Target::Status => status(operand),
            Target::Has => has(operand),
            Target::Is => is(operand),
        }
    }

    fn count_term(&mut self, position: usize) -> Result<(), LanguageError> {
        self.terms += 1;
        if self.terms > QUERY_TERMS_MAX {
            return Err(LanguageError::new(position, format!("more than {QUERY_TERMS_MAX} conditions: split the query")));
        }
        Ok(())
    }

    /// A star at the end is none: it needs no regular expression.
    fn count_pattern(&mut self, text: &Text, position: usize) -> Result<(), LanguageError> {
        let is_pattern = match text {
            Text::Quoted(_) => false,
            Text::Regex { .. } => true,
            Text::Bare { text, stars } => stars.iter().any(|star| star + 1 < text.len()),
        };
        self.patterns += usize::from(is_pattern);
        if self.patterns > QUERY_PATTERNS_MAX {
            let message =
                format!("more than {QUERY_PATTERNS_MAX} regular expressions and wildcards: join some as /a|b|c/, or split the query");
            return Err(LanguageError::new(position, message));
        }
        Ok(())
    }

    fn peek(&mut self, place: Place) -> Result<&(Token, usize), LanguageError> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.token(place)?);
        }
        Ok(self.peeked.as_ref().expect("it was just filled"))
    }

    fn next(&mut self, place: Place) -> Result<(Token, usize), LanguageError> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => self.lexer.token(place),
        }
    }
}

fn place(list: Option<&Listed<'_>>) -> Place {
    if list.is_some() { Place::Value } else { Place::Term }
}

/// One predicate is itself, several are joined.
fn joined(mut predicates: Vec<Predicate>, join: fn(Vec<Predicate>) -> Predicate) -> Option<Predicate> {
    if predicates.len() < 2 { predicates.pop() } else { Some(join(predicates)) }
}

fn no_value(name: &str, next: Option<&str>, position: usize) -> LanguageError {
    let (name, value) = (shown(name), shown(next.unwrap_or("value")));
    LanguageError::new(
        position,
        format!("`{name}` has no value: write it directly after the operator, as in {name}:{value}, or quote the text to search for it"),
    )
}

/// Whether it is one value of a field that has one.
fn is_one_value(predicate: &Predicate) -> bool {
    use Field::{Duration, EventName, Name, Service, Severity, SpanKind, Status, Time};
    matches!(
        predicate,
        Predicate::Field {
            field: Service | Name | Severity | Status | SpanKind | EventName | Time | Duration,
            test: FieldTest::Compare(Comparison::Equal, _),
        }
    )
}

fn equal_or_not(operand: &Operand, of: &str, predicate: Predicate) -> Result<Predicate, LanguageError> {
    Ok(if operand.equality(of)? { predicate } else { Predicate::Not(Box::new(predicate)) })
}

fn id(kind: IdKind, name: &str, operand: &Operand) -> Result<Predicate, LanguageError> {
    let text = operand.as_written();
    if matches!(&operand.text, Text::Regex { .. }) || matches!(&operand.text, Text::Bare { stars, .. } if !stars.is_empty()) {
        return Err(LanguageError::new(operand.position, format!("{name} takes a whole id, in any spelling, not a pattern")));
    }
    let Some(test) = crate::ids::test_of(kind, text) else {
        let expected = if kind == IdKind::Span { "a span id is 16 hex digits, not all 0" } else { "it is a placeholder or too long" };
        return Err(LanguageError::new(operand.position, format!("`{}` is not an id: {expected}", shown(text))));
    };
    equal_or_not(operand, "an id", Predicate::Id(test))
}

fn kind(operand: &Operand) -> Result<Predicate, LanguageError> {
    let text = operand.as_written().to_ascii_lowercase();
    let predicate = match text.as_str() {
        "log" | "logs" => Predicate::Signal(Signal::Logs),
        "span" | "spans" => Predicate::Signal(Signal::Spans),
        _ if operand.is_any() => Predicate::All,
        _ if KINDS[2..].contains(&text.strip_prefix("span_kind_").unwrap_or(&text)) || text == "unspecified" => {
            return field_predicate(&Field::SpanKind, operand);
        }
        _ => {
            let message = format!("`{}` is not a kind{}", shown(operand.as_written()), suggestion(&text, &KINDS));
            return Err(LanguageError::new(operand.position, message));
        }
    };
    equal_or_not(operand, "a kind", predicate)
}

/// `status:error` is a span's outcome, `status>=500` a status code.
fn status(operand: &Operand) -> Result<Predicate, LanguageError> {
    let text = operand.as_written();
    let is_code = text.starts_with(|c: char| c.is_ascii_digit()) && !matches!(operand.text, Text::Regex { .. });
    let field = if is_code { Field::Any(fields::status_code_keys()) } else { Field::Status };
    field_predicate(&field, operand)
}

fn has(operand: &Operand) -> Result<Predicate, LanguageError> {
    let text = operand.as_written();
    let predicate = match text {
        "exception" => Predicate::HasException,
        "error" => any_error(),
        // `has:user.id` is `user.id:*`.
        key if key.contains('.') => {
            let present = Operand {
                operator: Operator::Equal,
                text: Text::Bare { text: "*".to_owned(), stars: vec![0] },
                position: operand.position,
            };
            match fields::target(key) {
                Target::Fields(fields) => {
                    let tests = fields.iter().map(|field| field_predicate(field, &present)).collect::<Result<Vec<_>, _>>()?;
                    joined(tests, Predicate::Or).expect("a target has at least one field")
                }
                _ => return Err(LanguageError::new(operand.position, format!("whether a record has `{key}` cannot be asked"))),
            }
        }
        _ => {
            let hint = suggestion(text, &["exception", "error"]);
            let text = shown(text);
            let message = format!("has:{text} is not known{hint} (whether a field is present is asked with {text}:*)");
            return Err(LanguageError::new(operand.position, message));
        }
    };
    equal_or_not(operand, "has", predicate)
}

fn is(operand: &Operand) -> Result<Predicate, LanguageError> {
    let text = operand.as_written();
    let predicate = match text {
        "root" => Predicate::IsRoot,
        "error" => any_error(),
        "log" => Predicate::Signal(Signal::Logs),
        "span" => Predicate::Signal(Signal::Spans),
        _ => {
            let message = format!("is:{} is not known{}", shown(text), suggestion(text, &["root", "error", "log", "span"]));
            return Err(LanguageError::new(operand.position, message));
        }
    };
    equal_or_not(operand, "is", predicate)
}

/// A span that failed, or a log of severity error and above.
fn any_error() -> Predicate {
    let severity = Literal { severity: Some(needle_storage::model::Severity::ERROR), ..Literal::of("error") };
    let status = Literal::of("error");
    Predicate::Or(vec![
        Predicate::Field { field: Field::Severity, test: FieldTest::Compare(Comparison::GreaterOrEqual, severity) },
        Predicate::Field { field: Field::Status, test: FieldTest::Compare(Comparison::Equal, status) },
    ])
}
