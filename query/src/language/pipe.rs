//! What stands after a `|`: functions over the records that match, their groups and their order.

use needle_storage::predicate::{Facet, Field, IdKind};
use needle_storage::{RecordColumn, TableColumn};

use super::error::{LanguageError, suggestion};
use super::fields::{self, Target};
use super::values::interval_ns;
use crate::limits::{PIPE_COLUMNS_MAX, PIPE_LIMIT_MAX};

/// What is made of the records that match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pipe {
    pub(crate) functions: Vec<Function>,
    pub(crate) by: Vec<By>,
    /// The width of a time bucket.
    pub(crate) every_ns: Option<u64>,
    /// Columns by their place among times, groups and functions, the first counts most.
    pub(crate) sort: Vec<(usize, Direction)>,
    pub(crate) limit: Option<usize>,
}

/// One number of a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    /// As the column is named.
    pub(crate) name: String,
    pub(crate) measure: Measure,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    /// Records.
    Count,
    /// Records that have a value.
    CountOf(TableColumn),
    /// Records in a second.
    Rate,
    /// Different values.
    Distinct(TableColumn),
    Sum(Vec<Field>),
    Average(Vec<Field>),
    Least(Vec<Field>),
    Greatest(Vec<Field>),
    /// The value that this share of values does not exceed.
    Percentile(Vec<Field>, f64),
}

/// What records are told apart by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct By {
    pub(crate) name: String,
    pub(crate) column: TableColumn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// The name of the column of time buckets.
const TIME_COLUMN: &str = "time";

const FUNCTIONS: [&str; 11] = ["count", "rate", "sum", "avg", "min", "max", "distinct", "p50", "p90", "p95", "p99"];
const STAGES: [&str; 3] = ["top", "sort", "limit"];

/// The pipe of a query whose first `|` stands at `position`.
pub(super) fn parse(query: &str, position: usize) -> Result<Pipe, LanguageError> {
    let mut parser = Parser { tokens: tokens(query, position)?, at: 0, end: query.len() };
    parser.expect_bar()?;
    let mut pipe = if parser.takes_word("top") { parser.top()? } else { parser.aggregation()? };
    while !parser.is_at_end() {
        let (_, position) = parser.next();
        parser.stage(&mut pipe, position)?;
    }
    Ok(pipe)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Bar,
    Open,
    Close,
    Comma,
    /// The only one that may hold what otherwise separates.
    Quoted(String),
    Word(String),
    End,
}

fn tokens(query: &str, position: usize) -> Result<Vec<(Token, usize)>, LanguageError> {
    let mut tokens = Vec::new();
    let mut at = position;
    while let Some(first) = query[at..].chars().next() {
        let start = at;
        at += first.len_utf8();
        let token = match first {
            c if c.is_whitespace() => continue,
            '|' => Token::Bar,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '"' => {
                let Some(length) = query[at..].find('"') else {
                    return Err(LanguageError::new(start, "this quote is not closed: add a \" at the end of the name"));
                };
                at += length + 1;
                Token::Quoted(query[start + 1..at - 1].to_owned())
            }
            _ => {
                let separates = |c: char| c.is_whitespace() || matches!(c, '|' | '(' | ')' | ',' | '"');
                at += query[at..].find(separates).unwrap_or(query.len() - at);
                Token::Word(query[start..at].to_owned())
            }
        };
        tokens.push((token, start));
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    /// Where the query ends.
    end: usize,
}

impl Parser {
    fn peek(&self) -> (Token, usize) {
        self.tokens.get(self.at).cloned().unwrap_or((Token::End, self.end))
    }

    fn next(&mut self) -> (Token, usize) {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let takes = self.peek().0 == *wanted;
        self.at += usize::from(takes);
        takes
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let takes = matches!(self.peek().0, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(takes);
        takes
    }

    fn expect_bar(&mut self) -> Result<(), LanguageError> {
        match self.next() {
            (Token::Bar, _) => Ok(()),
            (_, position) => Err(LanguageError::new(position, "a `|` is expected here, before the next step")),
        }
    }

    /// `count() by service every 1m`
    fn aggregation(&mut self) -> Result<Pipe, LanguageError> {
        let mut functions = vec![self.function()?];
        while self.takes(&Token::Comma) {
            functions.push(self.function()?);
        }
        let (mut by, mut every_ns) = (Vec::new(), None);
        loop {
            let (token, position) = self.peek();
            match token {
                Token::Word(word) if word.eq_ignore_ascii_case("by") && by.is_empty() => {
                    self.at += 1;
                    by = self.groups()?;
                }
                Token::Word(word) if word.eq_ignore_ascii_case("every") && every_ns.is_none() => {
                    self.at += 1;
                    every_ns = Some(self.interval()?);
                }
                Token::Bar | Token::End => break,
                _ => {
                    return Err(LanguageError::new(
                        position,
                        "`by field`, `every 1m`, another function after a comma, or `|` is expected here",
                    ));
                }
            }
        }
        self.checked(Pipe { functions, by, every_ns, sort: Vec::new(), limit: None })
    }

    /// `top 10 url.path`; `top` has been read.
    fn top(&mut self) -> Result<Pipe, LanguageError> {
        let limit = self.number("top", "top 10 url.path")?;
        let by = self.groups()?;
        let functions = vec![Function { name: "count".to_owned(), measure: Measure::Count }];
        let sort = vec![(by.len(), Direction::Descending)];
        self.checked(Pipe { functions, by, every_ns: None, sort, limit: Some(limit) })
    }

    /// Each column has a name of its own.
    fn checked(&self, pipe: Pipe) -> Result<Pipe, LanguageError> {
        let names = pipe.column_names();
        let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        match twice {
            Some((_, name)) => Err(LanguageError::new(self.peek().1, format!("`{name}` is there twice: leave one of them out"))),
            None if names.len() > PIPE_COLUMNS_MAX => {
                Err(LanguageError::new(self.peek().1, format!("{} columns are more than {PIPE_COLUMNS_MAX}: leave some out", names.len())))
            }
            None => Ok(pipe),
        }
    }

    /// `sort -count` or `limit 10`; the `|` before it stands at `position`.
    fn stage(&mut self, pipe: &mut Pipe, position: usize) -> Result<(), LanguageError> {
        let (token, at) = self.next();
        let Token::Word(word) = token else {
            return Err(LanguageError::new(
                if token == Token::End { position } else { at },
                "`sort` or `limit` is expected after this `|`",
            ));
        };
        match word.to_ascii_lowercase().as_str() {
            "sort" if pipe.sort.is_empty() => pipe.sort = self.sort(&pipe.column_names())?,
            "limit" if pipe.limit.is_none() => pipe.limit = Some(self.number("limit", "limit 10")?),
            "sort" | "limit" => {
                return Err(LanguageError::new(at, format!("`{word}` is said before (`top` sorts and limits): leave one out")));
            }
            name if FUNCTIONS.contains(&name) || name == "top" => {
                return Err(LanguageError::new(at, "only one step counts: put its functions side by side, as in `count(), p95(duration)`"));
            }
            _ => return Err(LanguageError::new(at, format!("`{word}` is not a step{}", suggestion(&word, &STAGES)))),
        }
        match self.peek() {
            (Token::Bar | Token::End, _) => Ok(()),
            (_, position) => Err(LanguageError::new(position, format!("`{word}` takes no more: a `|` or nothing is expected here"))),
        }
    }

    fn number(&mut self, of: &str, example: &str) -> Result<usize, LanguageError> {
        let (token, position) = self.next();
        let number = match &token {
            Token::Word(word) => word.replace(['_'], "").parse().ok(),
            _ => None,
        };
        match number {
            Some(number @ 1..=PIPE_LIMIT_MAX) => Ok(number),
            _ => Err(LanguageError::new(position, format!("`{of}` needs a number from 1 to {PIPE_LIMIT_MAX}, as in `{example}`"))),
        }
    }

    fn interval(&mut self) -> Result<u64, LanguageError> {
        match self.next() {
            (Token::Word(word), position) => interval_ns(&word).map_err(|mend| LanguageError::new(position, mend)),
            (_, position) => Err(LanguageError::new(position, "`every` needs a time, as in `every 1m`")),
        }
    }

    /// `-count, service`
    fn sort(&mut self, columns: &[String]) -> Result<Vec<(usize, Direction)>, LanguageError> {
        let mut sort = Vec::new();
        loop {
            let (name, position, sign) = self.sort_key()?;
            let Some(column) = columns.iter().position(|column| *column == name) else {
                let known: Vec<&str> = columns.iter().map(String::as_str).collect();
                return Err(LanguageError::new(position, format!("there is no column `{name}`{}", suggestion(&name, &known))));
            };
            let direction = match (sign, self.takes_word("desc"), self.takes_word("asc")) {
                (Some(direction), false, false) => direction,
                (None, true, false) => Direction::Descending,
                (None, false, _) => Direction::Ascending,
                _ => return Err(LanguageError::new(position, "the order is said twice: write `-name` or `name desc`")),
            };
            sort.push((column, direction));
            if !self.takes(&Token::Comma) {
                return Ok(sort);
            }
        }
    }

    /// The name of a column, where it stands, and the sign before it.
    fn sort_key(&mut self) -> Result<(String, usize, Option<Direction>), LanguageError> {
        let (token, position) = self.next();
        let mut sign = None;
        let mut name = match token {
            Token::Quoted(name) => name,
            Token::Word(word) => {
                sign = match word.as_bytes() {
                    [b'-', _, ..] => Some(Direction::Descending),
                    [b'+', _, ..] => Some(Direction::Ascending),
                    _ => None,
                };
                word[usize::from(sign.is_some())..].to_owned()
            }
            _ => return Err(LanguageError::new(position, "`sort` needs a column, as in `sort -count`")),
        };
        if self.takes(&Token::Open) {
            let argument = match self.peek() {
                (Token::Word(argument) | Token::Quoted(argument), _) => {
                    self.at += 1;
                    Some(argument)
                }
                _ => None,
            };
            self.close(position)?;
            name = function_name(&name.to_ascii_lowercase(), argument.as_deref());
        }
        Ok((name, position, sign))
    }

    fn close(&mut self, opened: usize) -> Result<(), LanguageError> {
        if self.takes(&Token::Close) {
            return Ok(());
        }
        match self.peek() {
            (Token::End, _) => Err(LanguageError::new(opened, "this parenthesis is not closed: add a )")),
            (_, position) => Err(LanguageError::new(position, "one field is expected between these parentheses, then `)`")),
        }
    }

    /// `service, url.path`
    fn groups(&mut self) -> Result<Vec<By>, LanguageError> {
        let mut by = Vec::new();
        loop {
            let (name, position) = self.field()?;
            by.push(By { column: group_column(&name, position)?, name });
            if !self.takes(&Token::Comma) {
                return Ok(by);
            }
        }
    }

    fn field(&mut self) -> Result<(String, usize), LanguageError> {
        match self.next() {
            (Token::Word(name) | Token::Quoted(name), position) if !name.is_empty() => Ok((name, position)),
            (_, position) => Err(LanguageError::new(position, "the name of a field is expected here, as in `by service`")),
        }
    }

    /// `p95(duration)`
    fn function(&mut self) -> Result<Function, LanguageError> {
        let (token, position) = self.next();
        let Token::Word(word) = token else {
            return Err(LanguageError::new(position, "a function is expected here, as in `count() by service`, or `top 10 field`"));
        };
        let name = word.to_ascii_lowercase();
        if !FUNCTIONS.contains(&name.as_str()) {
            let known: Vec<&str> = FUNCTIONS.into_iter().chain(STAGES).collect();
            return Err(LanguageError::new(position, format!("`{word}` is not a function{}", suggestion(&word, &known))));
        }
        let opened = self.peek().1;
        if !self.takes(&Token::Open) {
            return Err(LanguageError::new(
                opened,
                format!("`{name}` needs parentheses: {}", if takes_field(&name) { "name(field)" } else { "name()" }.replace("name", &name)),
            ));
        }
        let argument = if self.peek().0 == Token::Close { None } else { Some(self.field()?) };
        self.close(opened)?;
        let measure = measure(&name, argument.as_ref().map(|(field, at)| (field.as_str(), *at)), opened)?;
        Ok(Function { name: function_name(&name, argument.as_ref().map(|(field, _)| field.as_str())), measure })
    }
}

impl Measure {
    /// Where the numbers stand that it is computed from.
    pub(crate) fn number_fields(&self) -> Option<&[Field]> {
        match self {
            Measure::Count | Measure::CountOf(_) | Measure::Rate | Measure::Distinct(_) => None,
            Measure::Sum(fields)
            | Measure::Average(fields)
            | Measure::Least(fields)
            | Measure::Greatest(fields)
            | Measure::Percentile(fields, _) => Some(fields),
        }
    }

    /// The fields that it looks at.
    fn fields(&self) -> &[Field] {
        match self {
            Measure::CountOf(column) | Measure::Distinct(column) => fields_of(column),
            _ => self.number_fields().unwrap_or_default(),
        }
    }

    /// Whether it is in nanoseconds.
    pub(crate) fn is_time_that_passes(&self) -> bool {
        self.number_fields() == Some(&[Field::Duration])
    }
}

impl Pipe {
    /// The fields that it looks at.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        let measured = self.functions.iter().flat_map(|function| function.measure.fields());
        self.by.iter().flat_map(|by| fields_of(&by.column)).chain(measured)
    }

    /// The names of the columns of the answer.
    pub(crate) fn column_names(&self) -> Vec<String> {
        let time = self.every_ns.map(|_| TIME_COLUMN.to_owned());
        let groups = self.by.iter().map(|by| by.name.clone());
        time.into_iter().chain(groups).chain(self.functions.iter().map(|function| function.name.clone())).collect()
    }
}

fn takes_field(function: &str) -> bool {
    !matches!(function, "count" | "rate")
}

/// `count`, or `p95(duration)`.
fn function_name(function: &str, argument: Option<&str>) -> String {
    argument.map_or_else(|| function.to_owned(), |argument| format!("{function}({argument})"))
}

fn measure(function: &str, argument: Option<(&str, usize)>, opened: usize) -> Result<Measure, LanguageError> {
    let Some((field, position)) = argument else {
        return match function {
            "count" => Ok(Measure::Count),
            "rate" => Ok(Measure::Rate),
            _ => Err(LanguageError::new(opened, format!("`{function}` needs a field, as in {function}(duration)"))),
        };
    };
    Ok(match function {
        "count" => Measure::CountOf(group_column(field, position)?),
        "distinct" => Measure::Distinct(group_column(field, position)?),
        "sum" => Measure::Sum(number_fields(field, position)?),
        "avg" => Measure::Average(number_fields(field, position)?),
        "min" => Measure::Least(number_fields(field, position)?),
        "max" => Measure::Greatest(number_fields(field, position)?),
        "rate" => return Err(LanguageError::new(position, "`rate` counts records and takes no field: rate()")),
        percentile => {
            let percent: f64 = percentile[1..].parse().expect("the names of percentiles end in a number");
            Measure::Percentile(number_fields(field, position)?, percent / 100.0)
        }
    })
}

/// What records are told apart by when they are counted by a field of that name.
fn group_column(name: &str, position: usize) -> Result<TableColumn, LanguageError> {
    Ok(match fields::target(name) {
        Target::Fields(fields) => TableColumn::Text(Facet::First(fields)),
        Target::Kind => TableColumn::Text(Facet::Signal),
        Target::Status => TableColumn::Text(Facet::First(vec![Field::Status])),
        Target::Id(IdKind::Trace) => TableColumn::Record(RecordColumn::TraceId),
        Target::Id(IdKind::Span) => TableColumn::Record(RecordColumn::SpanId),
        Target::Id(IdKind::Request | IdKind::Any) => TableColumn::Record(RecordColumn::RequestId),
        Target::Has | Target::Is => return Err(not_a_field(name, position)),
    })
}

/// Where the numbers of a field of that name stand.
fn fields_of(column: &TableColumn) -> &[Field] {
    match column {
        TableColumn::Text(Facet::First(fields)) | TableColumn::Value(fields, _) => fields,
        TableColumn::Text(Facet::Signal) | TableColumn::Record(_) => &[],
    }
}

fn number_fields(name: &str, position: usize) -> Result<Vec<Field>, LanguageError> {
    match fields::target(name) {
        Target::Fields(fields) => Ok(fields),
        Target::Status => Ok(vec![Field::Any(fields::status_code_keys())]),
        Target::Has | Target::Is => Err(not_a_field(name, position)),
        Target::Kind | Target::Id(_) => {
            Err(LanguageError::new(position, format!("`{name}` is not a number: count it, or its values by distinct({name})")))
        }
    }
}

fn not_a_field(name: &str, position: usize) -> LanguageError {
    LanguageError::new(position, format!("`{name}` is a test, not a field: put it before the pipe, and count by a field"))
}
