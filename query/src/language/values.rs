//! What a value means: numbers, durations, levels, wildcards, regular expressions.

use needle_storage::model::{Severity, words_lowercase};
use needle_storage::predicate::{Comparison, Field, FieldTest, IdKind, Literal, Predicate, TextTest, Wildcard};
use regex::{Regex, RegexBuilder};

use super::error::{LanguageError, nearest, suggestion};
use super::fields::{KINDS, STATUSES};
use super::lexer::{Operator, Text};
use crate::ids;
use crate::limits::REGEX_BYTES_MAX;

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// A value with the operator before it and its place in the query.
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
    let test = field_test(field, operand)?;
    if operand.operator == Operator::NotEqual {
        return Ok(Predicate::And(vec![on_field(FieldTest::Exists), Predicate::Not(Box::new(on_field(test)))]));
    }
    Ok(on_field(test))
}

fn field_test(field: &Field, operand: &Operand) -> Result<FieldTest, LanguageError> {
    let comparison = match operand.operator {
        Operator::Equal | Operator::NotEqual => Comparison::Equal,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
    };
    let ordered = comparison != Comparison::Equal;
    let pattern_with_order = || LanguageError::new(operand.position, "a pattern has no order: use `:` or `!=` with it");
    match &operand.text {
        Text::Regex { .. } | Text::Bare { .. } if ordered && is_pattern(&operand.text) => Err(pattern_with_order()),
        Text::Regex { pattern, ignore_case } => compile(pattern, *ignore_case, operand.position).map(FieldTest::Regex),
        Text::Bare { text, stars } if !stars.is_empty() => Ok(wildcard(field, text, stars, operand.position)?),
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
    compile(&format!("^{}$", pieces(text, stars).join("(?s:.*)")), false, position).map(FieldTest::Regex)
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
    let mut literal = Literal { text: text.to_owned(), number: number(text), severity: None };
    match field {
        Field::Severity => {
            literal.severity = Severity::from_name(text);
            if ordered && literal.severity.is_none() && literal.number.is_none() {
                return Err(error(format!("`{text}` is not a level{}", suggestion(text, &LEVELS))));
            }
        }
        Field::Duration => {
            literal.number = duration_ns(text);
            if literal.number.is_none() {
                return Err(error(bad_duration(text)));
            }
        }
        Field::SpanKind => {
            let lower = text.to_ascii_lowercase();
            let name = lower.strip_prefix("span_kind_").unwrap_or(&lower);
            if !KINDS[2..].contains(&name) && name != "unspecified" {
                return Err(error(format!("`{text}` is not a span kind{}", suggestion(name, &KINDS[2..]))));
            }
            operand.equality("a span kind")?;
            literal.text = name.to_owned();
        }
        Field::Status => {
            let name = text.to_ascii_lowercase();
            if !STATUSES.contains(&name.as_str()) {
                let meant = nearest(&name, &STATUSES).map_or(String::new(), |status| format!("; did you mean {status}?"));
                return Err(error(format!(
                    "a span's status is error, ok or unset, not `{text}`{meant} (an attribute of that name is attr.status)"
                )));
            }
            operand.equality("a status")?;
            literal.text = name;
        }
        _ => {}
    }
    Ok(literal)
}

/// A finite number; `inf` and `nan` are words.
fn number(text: &str) -> Option<f64> {
    let starts_well = text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|number: &f64| starts_well && number.is_finite())
}

/// `500ms`, `1.5s`, `1m30s`, in nanoseconds. A bare number has no unit and is none, but 0 needs none.
fn duration_ns(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|length| *length > 0)?;
        let unit_length = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len() - digits);
        let nanoseconds = match rest[digits..digits + unit_length].trim() {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" | "sec" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            _ => return None,
        };
        total += number(&rest[..digits])? * nanoseconds;
        rest = &rest[digits + unit_length..];
    }
    (!text.is_empty() && total.is_finite()).then_some(if negative { -total } else { total })
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
    match number(text) {
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
    if stars.len() == text.len() {
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
