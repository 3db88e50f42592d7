//! What a record must be to match: the tree a query is parsed to, evaluated the same way on live
//! records and on shards. Indexes only narrow; the columns decide.

mod columns;
mod evaluate;
mod facet;
mod literal;
mod pattern;
mod reader;
mod select;
mod words;

use std::collections::BTreeMap;

use regex::Regex;

use crate::fields::FieldCounts;
use crate::model::{
    ColumnValue, IdKey, IdTerm, NormalId, RecordsView, Severity, Signal, SpanId, SpanKind, StatusCode, UnixNanos, attribute_column, column,
};

pub(crate) use columns::{Columns, TIME_COLUMNS};
pub(crate) use evaluate::{for_each_text, resource_test_holds};
use evaluate::{severity_number_holds, value_holds, word_holds};
pub use facet::Facet;
pub(crate) use facet::FacetValues;
pub use literal::{Literal, duration_ns, number, time, unit_ns};
pub use pattern::Wildcard;
pub(crate) use reader::FieldReader;
pub(crate) use select::{matching_among, matching_rows, matching_rows_of_each, without};

/// What a value must pass.
pub(crate) type ValueTest<'t> = dyn Fn(ColumnValue<'_>) -> bool + 't;

/// A condition on a record.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// Every record.
    All,
    /// All of them hold.
    And(Vec<Predicate>),
    /// One of them holds.
    Or(Vec<Predicate>),
    /// It does not hold.
    Not(Box<Predicate>),
    /// The record is a log, or a span.
    Signal(Signal),
    /// A test on the record's texts: body or span name, status message, event names, exception and event texts.
    Text(TextTest),
    /// A test on one field.
    Field {
        /// Which field.
        field: Field,
        /// What it must be.
        test: FieldTest,
    },
    /// The record carries the id.
    Id(IdTest),
    /// A span without a parent.
    IsRoot,
    /// An `exception` span event, or a log with `exception.type` or `exception.message`.
    HasException,
}

impl Predicate {
    /// No record matches.
    pub(crate) const NOTHING: Predicate = Predicate::Or(Vec::new());

    /// Whether the record of a row matches.
    pub fn matches(&self, view: &RecordsView<'_>, row: usize) -> bool {
        evaluate::holds(self, view, row)
    }

    /// Keys of ids by one of which every matching record is found; `None` when records without any may match.
    pub(crate) fn required_keys(&self) -> Option<Vec<IdKey>> {
        match self {
            Predicate::Id(test) => Some(test.keys()),
            Predicate::And(all) => all.iter().find_map(Predicate::required_keys),
            Predicate::Or(any) => Some(any.iter().map(Predicate::required_keys).collect::<Option<Vec<_>>>()?.concat()),
            _ => None,
        }
    }

    /// The name of the one column whose values decide, and what they must pass, where that is so of every record that has
    /// its attributes in columns. Who has no value does not match.
    pub(crate) fn deciding(&self) -> Option<(String, Box<ValueTest<'_>>)> {
        let Predicate::Field { field, test } = self else { return None };
        let name = match field {
            Field::Service => column::SERVICE_NAME.to_owned(),
            Field::Name => column::NAME.to_owned(),
            Field::EventName => column::EVENT_NAME.to_owned(),
            Field::Attribute(keys) => match keys.as_slice() {
                [key] => attribute_column(key),
                _ => return None,
            },
            Field::Status => return Some(decided_by_number(column::STATUS_CODE, |code| word_holds(test, StatusCode(code).name()))),
            Field::SpanKind => return Some(decided_by_number(column::KIND, |kind| word_holds(test, SpanKind(kind).name()))),
            Field::Severity if severity_number_holds(test, Severity::default()).is_some() => {
                let of_number = |number| u8::try_from(number).ok().and_then(|number| severity_number_holds(test, Severity(number)));
                return Some(decided_by_number(column::SEVERITY_NUMBER, move |number| of_number(number).unwrap_or(false)));
            }
            _ => return None,
        };
        Some((name, Box::new(move |value| value_holds(test, value))))
    }

    /// What it comes to for records that have only these fields: attributes that none has are not looked for.
    pub(crate) fn among(&self, fields: &FieldCounts) -> Predicate {
        let has = |known: &BTreeMap<String, _>, keys: &[String]| fields.more || keys.iter().any(|key| known.contains_key(key));
        let all = |predicates: &[Predicate]| predicates.iter().map(|inner| inner.among(fields)).collect();
        match self {
            Predicate::And(inner) => Predicate::And(all(inner)),
            Predicate::Or(inner) => Predicate::Or(all(inner)),
            Predicate::Not(inner) => Predicate::Not(Box::new(inner.among(fields))),
            Predicate::Field { field: Field::Any(keys) | Field::Attribute(keys) | Field::Resource(keys), .. }
                if !has(&fields.attributes, keys) && !has(&fields.resource, keys) =>
            {
                Predicate::NOTHING
            }
            Predicate::Field { field: Field::Any(keys), test } if !has(&fields.resource, keys) => {
                let known = keys.iter().filter(|key| fields.attributes.contains_key(*key)).cloned().collect();
                Predicate::Field { field: Field::Attribute(known), test: test.clone() }
            }
            other => other.clone(),
        }
    }

    /// Whether a record between two times may match, as far as its time tells.
    pub(crate) fn may_match_between(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        match self {
            Predicate::And(all) => all.iter().all(|inner| inner.may_match_between(time_min, time_max)),
            Predicate::Or(any) => any.iter().any(|inner| inner.may_match_between(time_min, time_max)),
            Predicate::Field { field: Field::Time, test: FieldTest::Compare(comparison, Literal { time: Some(time), .. }) } => {
                match comparison {
                    Comparison::Equal => (time_min..=time_max).contains(time),
                    Comparison::Greater | Comparison::GreaterOrEqual => comparison.accepts(time_max.cmp(time)),
                    Comparison::Less | Comparison::LessOrEqual => comparison.accepts(time_min.cmp(time)),
                }
            }
            _ => true,
        }
    }
}

/// A test on text. Words are runs of letters and digits, compared in lower case.
#[derive(Clone, Debug)]
pub enum TextTest {
    /// A word, in lower case.
    Word(String),
    /// A word that begins so, in lower case.
    Prefix(String),
    /// These words, one after the other, in lower case.
    Phrase(Vec<String>),
    /// A regular expression, searched in body or span name only.
    Regex(Regex),
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Event time of a log, start of a span.
    Time,
    /// `service.name`.
    Service,
    /// Severity of a log.
    Severity,
    /// The message of a log.
    Body,
    /// Name of a span.
    Name,
    /// Duration of a span, in nanoseconds.
    Duration,
    /// Outcome of a span: `unset`, `ok`, `error`.
    Status,
    /// Text of a span's outcome.
    StatusMessage,
    /// Role of a span: `server`, `client` and so on.
    SpanKind,
    /// Event name of a log.
    EventName,
    /// The first of these keys that the record's attributes have, else the resource's.
    Any(Vec<String>),
    /// The first of these keys that the record's attributes have.
    Attribute(Vec<String>),
    /// The first of these keys that the resource has.
    Resource(Vec<String>),
}

/// What a field must be. An absent field passes no test; negation is [`Predicate::Not`].
#[derive(Clone, Debug)]
pub enum FieldTest {
    /// Present.
    Exists,
    /// Compared by the field's own type: numbers as numbers, text as text.
    Compare(Comparison, Literal),
    /// Matches the whole text.
    Wildcard(Wildcard),
    /// Found in the text.
    Regex(Regex),
    /// Tested as text, by words.
    Text(TextTest),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `:` and `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    /// Whether an order of the field's value against the literal passes.
    pub fn accepts(self, order: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
        }
    }
}

/// A test for an id.
#[derive(Clone, Debug, PartialEq)]
pub struct IdTest {
    /// Which ids of the record are looked at.
    pub kind: IdKind,
    /// The trace or request id, if the text can be one.
    pub id: Option<NormalId>,
    /// The span id, if the text can be one.
    pub span: Option<SpanId>,
    /// What 16 digits are as a decimal number. Nothing tells whether that is meant or hex, so both are looked up.
    pub decimal: Option<SpanId>,
}

/// Which ids of a record are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// All of them.
    Any,
    /// The trace id.
    Trace,
    /// Request ids.
    Request,
    /// The span id.
    Span,
}

impl IdTest {
    /// A test for an id in any spelling; `None` for a placeholder such as `-` or `null`.
    pub fn of(kind: IdKind, text: &str) -> Option<IdTest> {
        let (in_hex, number) = (SpanId::from_hex(text.trim()), SpanId::from_decimal(text.trim()));
        let id = NormalId::of(text).filter(|_| kind != IdKind::Span);
        let span = in_hex.or(number).filter(|_| matches!(kind, IdKind::Any | IdKind::Span));
        let decimal = number.filter(|_| in_hex.is_some());
        (id.is_some() || span.is_some()).then_some(IdTest { kind, id, span, decimal })
    }

    /// A test for a trace or request id, whichever way a text would spell it.
    pub fn of_id(id: NormalId) -> IdTest {
        IdTest { kind: IdKind::Any, id: Some(id), span: None, decimal: None }
    }

    /// The trace and request ids that the text may mean.
    pub fn ids(&self) -> impl Iterator<Item = NormalId> + use<> {
        let as_number = self.decimal.filter(|_| self.kind != IdKind::Span).map(|id| NormalId::Short(id.0));
        self.id.clone().into_iter().chain(as_number)
    }

    /// The span ids that it may mean.
    pub fn spans(&self) -> impl Iterator<Item = SpanId> + use<> {
        let as_number = self.decimal.filter(|_| self.span.is_some());
        self.span.into_iter().chain(as_number)
    }

    /// The terms under which a matching record is indexed.
    pub fn terms(&self) -> Vec<IdTerm> {
        let mut terms = Vec::new();
        for id in self.ids() {
            terms.push(id.term());
            if let NormalId::Short(short) = id {
                terms.push(IdTerm::of_low_half(short));
            }
        }
        terms.extend(self.spans().map(IdTerm::of_span));
        terms
    }

    /// The keys under which a matching record is found.
    fn keys(&self) -> Vec<IdKey> {
        let terms = self.terms();
        // Of a wide id the first is of all its bits, which finds request ids; the last of its low half, which finds traces.
        match self.kind {
            IdKind::Request => terms.iter().filter_map(|term| term.keys().next()).collect(),
            IdKind::Trace => terms.iter().filter_map(|term| term.keys().last()).collect(),
            IdKind::Any | IdKind::Span => terms.iter().flat_map(IdTerm::keys).collect(),
        }
    }
}

/// A column of numbers that decides.
fn decided_by_number<'t>(name: &str, passes: impl Fn(i32) -> bool + 't) -> (String, Box<ValueTest<'t>>) {
    let test = move |value: ColumnValue<'_>| matches!(value, ColumnValue::Int(number) if i32::try_from(number).is_ok_and(&passes));
    (name.to_owned(), Box::new(test))
}
