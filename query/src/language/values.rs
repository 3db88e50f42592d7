//! What a value means: numbers, durations, levels, wildcards, regular expressions.

use needle_storage::model::{Severity, UnixNanos, words_lowercase};
use needle_storage::predicate::{self, Comparison, Field, FieldTest, IdKind, Literal, Predicate, TextTest, Wildcard, duration_ns};
use regex::{Regex, RegexBuilder};

use super::error::{LanguageError, nearest, shown, suggestion};
use super::fields::{self, KINDS, STATUSES};
use super::lexer::Text;
use super::operators::Operator;
use crate::ids;
use crate::limits::REGEX_BYTES_MAX;

pub(crate) const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// A value with the operator before it and its place in the query.
#[derive(Clone)]
pub(super) struct Operand {
    pub(super) operator: Operator,
    pub(super) text: Text,
    pub(super) position: usize,
}

impl Operand {
    /// The value as written, without quotes.
    pub(super) fn as_written(&self) -> &str {
        match &self.text {
            Text::Quoted(text) | Text::Bare { text, .. } => text,
            Text::Regex { pattern, .. } => pattern,
        }
    }

    /// `=~"a.*"` is `:/a.*/`.
    pub(super) fn patterned(mut self) -> Operand {
        self.operator = match self.operator {
            Operator::Matches => Operator::Equal,
            Operator::MatchesNot => Operator::NotEqual,
            _ => return self,
        };
        if let Text::Quoted(pattern) | Text::Bare { text: pattern, .. } = self.text {
            self.text = Text::Regex { pattern, ignore_case: false };
        }
        self
    }

    /// Whether it is `field:*`.
    pub(super) fn is_any(&self) -> bool {
        matches!(&self.text, Text::Bare { text, stars } if text == "*" && stars.len() == 1)
    }

    /// Whether the operator asks for equality; an error for the orders.
    pub(super) fn equality(&self, of: &str) -> Result<bool, LanguageError> {
        match self.operator {
            Operator::Equal => Ok(true),
            Operator::NotEqual => Ok(false),
            _ => Err(LanguageError::new(self.position, format!("{of} has no order: use `:` or `!=`"))),
        }
    }
}

/// `field`, operator and value as a predicate. An absent field passes no comparison, `!=` neither.
pub(super) fn field_predicate(field: &Field, operand: &Operand) -> Result<Predicate, LanguageError> {
    let on_field = |test| Predicate::Field { field: field.clone(), test };
    if operand.is_any() {
        let present = on_field(FieldTest::Exists);
        return Ok(if operand.equality("presence")? { present } else { Predicate::Not(Box::new(present)) });
    }
    let wanted = match class_of_status(field, operand)? {
        Some(class) => class,
        None => on_field(field_test(field, operand)?),
    };
    Ok(match operand.operator {
        Operator::NotEqual => Predicate::And(vec![on_field(FieldTest::Exists), Predicate::Not(Box::new(wanted))]),
        _ => wanted,
    })
}

/// `status:5xx` is a status code of 500 to 599.
fn class_of_status(field: &Field, operand: &Operand) -> Result<Option<Predicate>, LanguageError> {
    let (Field::Any(keys) | Field::Attribute(keys), Text::Bare { text, .. }) = (field, &operand.text) else { return Ok(None) };
    let hundreds = match text.as_bytes() {
        [digit @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => char::from(*digit),
        _ => return Ok(None),
    };
    if !keys.iter().any(|key| key == "http.response.status_code") {
        return Ok(None);
    }
    operand.equality("a class of status codes")?;
    let bound =
        |comparison, text: String| Predicate::Field { field: field.clone(), test: FieldTest::Compare(comparison, Literal::of(&text)) };
    Ok(Some(Predicate::And(vec![
        bound(Comparison::GreaterOrEqual, format!("{hundreds}00")),
        bound(Comparison::LessOrEqual, format!("{hundreds}99")),
    ])))
}

fn field_test(field: &Field, operand: &Operand) -> Result<FieldTest, LanguageError> {
    let comparison = match operand.operator {
        Operator::Equal | Operator::NotEqual | Operator::Matches | Operator::MatchesNot => Comparison::Equal,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
    };
    let ordered = comparison != Comparison::Equal;
    let refused = |message| Err(LanguageError::new(operand.position, message));
    let of_levels = *field == Field::Severity;
    match &operand.text {
        text if ordered && is_pattern(text) => refused("a pattern has no order: use `:` or `!=` with it"),
        text if *field == Field::Time && is_pattern(text) => {
            refused("a time has no pattern: compare it, as in timestamp:(>=2026-11-01T10:00:00Z <2026-11-01T11:00:00Z)")
        }
        Text::Regex { pattern, ignore_case } => compile(pattern, *ignore_case || of_levels, operand.position).map(FieldTest::Regex),
        // Levels are written in any case.
        Text::Bare { text, stars } if of_levels && !stars.is_empty() => whole(text, stars, true, operand.position),
        Text::Bare { text, stars } if !stars.is_empty() => wildcard(field, text, stars, operand.position),
        Text::Quoted(text) | Text::Bare { text, .. } if !ordered && *field == Field::Body && lowercase_words(text).is_empty() => {
            let pattern = if text.is_empty() { "^$".to_owned() } else { regex::escape(text) };
            compile(&pattern, false, operand.position).map(FieldTest::Regex)
        }
        Text::Quoted(text) | Text::Bare { text, .. } => Ok(FieldTest::Compare(comparison, literal(field, text, ordered, operand)?)),
    }
}

fn is_pattern(text: &Text) -> bool {
    match text {
        Text::Regex { .. } => true,
        Text::Bare { stars, .. } => !stars.is_empty(),
        Text::Quoted(_) => false,
    }
}

fn wildcard(field: &Field, text: &str, stars: &[usize], position: usize) -> Result<FieldTest, LanguageError> {
    // In a message what is known is a word, not how the whole of it begins.
    if *field == Field::Body
        && stars == [text.len() - 1]
        && let [word] = lowercase_words(&text[..text.len() - 1]).as_slice()
    {
        return Ok(FieldTest::Text(TextTest::Prefix(word.clone())));
    }
    if stars.len() == text.matches('*').count() {
        return Ok(FieldTest::Wildcard(Wildcard::new(text)));
    }
    // A literal `\*` beside wildcards is more than the wildcard form can say.
    whole(text, stars, false, position)
}

/// A wildcard as a regular expression over the whole text.
fn whole(text: &str, stars: &[usize], ignore_case: bool, position: usize) -> Result<FieldTest, LanguageError> {
    compile(&format!("^{}$", pieces(text, stars).join("(?s:.*)")), ignore_case, position).map(FieldTest::Regex)
}

/// The text between the stars, escaped for a regular expression.
fn pieces(text: &str, stars: &[usize]) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for &star in stars {
        pieces.push(regex::escape(&text[from..star]));
        from = star + 1;
    }
    pieces.push(regex::escape(&text[from..]));
    pieces
}

fn literal(field: &Field, text: &str, ordered: bool, operand: &Operand) -> Result<Literal, LanguageError> {
    let error = |message: String| LanguageError::new(operand.position, message);
    let mut literal = Literal::of(text);
    match field {
        Field::Time => {
            literal.time = Some(point_in_time(text).ok_or_else(|| error(bad_time(text)))?);
            if !ordered && !text.contains(':') && text.contains('-') {
                return Err(error(format!("`{text}` is a single moment: write timestamp:(>={text} <...) for a day")));
            }
        }
        Field::Severity => {
            literal.severity = Severity::from_name(text);
            if ordered && literal.severity.is_none() && literal.number.is_none() {
                return Err(error(format!("`{}` is not a level{}", shown(text), suggestion(text, &LEVELS))));
            }
        }
        Field::Duration => {
            literal.duration_ns = duration_ns(text);
            if literal.duration_ns.is_none() {
                return Err(error(bad_duration(text)));
            }
        }
        Field::SpanKind => {
            let lower = text.to_ascii_lowercase();
            let name = lower.strip_prefix("span_kind_").unwrap_or(&lower);
            if !KINDS[2..].contains(&name) && name != "unspecified" {
                return Err(error(format!("`{}` is not a span kind{}", shown(text), suggestion(name, &KINDS[2..]))));
            }
            operand.equality("a span kind")?;
            literal.text = name.to_owned();
        }
        Field::Status => {
            let name = text.to_ascii_lowercase();
            if !STATUSES.contains(&name.as_str()) {
                let meant = nearest(&name, &STATUSES).map_or(String::new(), |status| format!("; did you mean {status}?"));
                return Err(error(format!(
                    "a span's status is error, ok or unset, not `{}`{meant} (an attribute of that name is attr.status)",
                    shown(text)
                )));
            }
            operand.equality("a status")?;
            literal.text = name;
        }
        // A number in `elapsed_ms` is compared with `1.5s` in milliseconds.
        Field::Any(keys) | Field::Attribute(keys) | Field::Resource(keys) => {
            let unit = keys.first().and_then(|key| fields::unit_of_key_ns(key));
            literal.number = literal.number.or_else(|| Some(literal.duration_ns? / unit?));
        }
        _ => {}
    }
    Ok(literal)
}

/// A time as it is written, or as seconds, milli-, micro- or nanoseconds since 1970, by their size as in logs.
fn point_in_time(text: &str) -> Option<UnixNanos> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return predicate::time(text);
    }
    let number: u64 = text.parse().ok()?;
    let unit = match number {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit).map(UnixNanos)
}

fn bad_time(text: &str) -> String {
    format!("`{}` is not a time: write 2026-11-01T10:00:00Z (a relative one is the start of the search, as in --since 15m)", shown(text))
}

/// A time of at least a nanosecond, as `1m`.
pub(super) fn interval_ns(text: &str) -> Result<u64, String> {
    let nanos = duration_ns(text).ok_or_else(|| bad_duration(text))?;
    if (1.0..u64::MAX as f64).contains(&nanos) {
        Ok(nanos as u64)
    } else {
        Err(format!("`{text}` is not a time that passes: give 1ns or more"))
    }
}

fn bad_duration(text: &str) -> String {
    let text = shown(text);
    match predicate::number(&text) {
        Some(_) => format!("a duration needs a unit: {text}ms? (ns, us, ms, s, m, h, d)"),
        None => format!("`{text}` is not a duration: write it as 500ms, 1.5s or 2m (ns, us, ms, s, m, h, d)"),
    }
}

/// A regular expression of bounded size.
pub(super) fn compile(pattern: &str, ignore_case: bool, position: usize) -> Result<Regex, LanguageError> {
    // In the pattern, not beside it: indexes look at the pattern to find out what a match must hold.
    let pattern = if ignore_case { &format!("(?i){pattern}") } else { pattern };
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| LanguageError::new(position, bad_regex(&error)))
}

fn bad_regex(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "this regular expression is too large: use smaller repetitions".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
            format!("this regular expression is not valid: {last} (put a \\ before a character that is meant literally)")
        }
    }
}

/// The words of a text, in lower case.
pub(super) fn lowercase_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    words_lowercase(text, |word| words.push(word.to_owned()));
    words
}

/// A quoted text: its words one after the other; if it has none, its characters.
pub(super) fn quoted_predicate(text: &str, position: usize) -> Result<Predicate, LanguageError> {
    match phrase(lowercase_words(text)) {
        Some(test) => Ok(Predicate::Text(test)),
        None if text.trim().is_empty() => {
            Err(LanguageError::new(position, "these quotes are empty: put what is searched for between them"))
        }
        None => compile(&regex::escape(text), false, position).map(|regex| Predicate::Text(TextTest::Regex(regex))),
    }
}

/// A bare word outside of any field; `None` when it has neither letter nor digit.
pub(super) fn bare_predicate(text: &str, stars: &[usize], position: usize) -> Result<Option<Predicate>, LanguageError> {
    // `*:*` is Lucene's.
    if stars.len() == text.len() || (text == "*:*" && stars.len() == 2) {
        return Ok(Some(Predicate::All));
    }
    if stars.is_empty() {
        let Some(test) = phrase(lowercase_words(text)) else { return Ok(None) };
        let words = Predicate::Text(test);
        let id = ids::looks_like_id(text).then(|| ids::test_of(IdKind::Any, ids::without_punctuation(text)));
        return Ok(Some(match id.flatten() {
            Some(id) => Predicate::Or(vec![Predicate::Id(id), words]),
            None => words,
        }));
    }
    if stars == [text.len() - 1] && text[..text.len() - 1].ends_with(char::is_alphanumeric) {
        let mut words = lowercase_words(&text[..text.len() - 1]);
        let prefix = words.pop().expect("it ends with a letter or digit");
        let prefix = Predicate::Text(TextTest::Prefix(prefix));
        return Ok(Some(match phrase(words) {
            Some(before) => Predicate::And(vec![Predicate::Text(before), prefix]),
            None => prefix,
        }));
    }
    let inside = pieces(text, stars);
    if inside.iter().all(String::is_empty) {
        return Ok(Some(Predicate::All));
    }
    compile(&inside.join(r"\S*"), true, position).map(|regex| Some(Predicate::Text(TextTest::Regex(regex))))
}

fn phrase(mut words: Vec<String>) -> Option<TextTest> {
    match words.len() {
        0 => None,
        1 => words.pop().map(TextTest::Word),
        _ => Some(TextTest::Phrase(words)),
    }
}
