//! What of a statement's conditions storage can tell: they are translated to its predicate, which reads the index.
//!
//! A translation never rules out a row that the condition accepts. Where it accepts the same rows and no others, it is
//! exact, and the condition is not looked at again.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};
use needle_storage::model::{Severity, SpanId, TraceId, UnixNanos};
use needle_storage::predicate::{Comparison, Facet, Field, FieldTest, IdKind, IdTest, Literal, Predicate, Wildcard};
use needle_storage::{RecordColumn, TableColumn, ValueType};
use regex::RegexBuilder;

use super::columns::{NamedColumn, Values};
use crate::limits::REGEX_BYTES_MAX;

/// What storage is told of a condition.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) condition: Condition,
    pub(super) exact: bool,
}

/// What must hold of a row.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Predicate(Predicate),
    /// Its time is this one or later.
    From(UnixNanos),
    /// Its time is before this one.
    Before(UnixNanos),
}

/// What storage can tell of a condition; none when it can tell nothing.
pub(super) fn told(condition: &Expr, columns: &[NamedColumn]) -> Option<Told> {
    let columns = Columns(columns);
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition
        && let Some((column, operator, literal)) = columns.compared(left, *op, right)
        && column.column == TableColumn::Record(RecordColumn::Time)
    {
        return time(operator, literal);
    }
    columns.predicate(condition).map(|(predicate, exact)| Told { condition: Condition::Predicate(predicate), exact })
}

struct Columns<'a>(&'a [NamedColumn]);

type Translated = Option<(Predicate, bool)>;

impl Columns<'_> {
    fn column(&self, expression: &Expr) -> Option<&NamedColumn> {
        let Expr::Column(wanted) = expression else { return None };
        self.0.iter().find(|column| column.name == wanted.name)
    }

    /// A column and a literal that are compared, as if the column stood on the left.
    fn compared<'e>(&self, left: &'e Expr, operator: Operator, right: &'e Expr) -> Option<(&NamedColumn, Operator, &'e ScalarValue)> {
        match (left, right) {
            (column, Expr::Literal(literal, _)) => Some((self.column(column)?, operator, literal)),
            (Expr::Literal(literal, _), column) => Some((self.column(column)?, operator.swap()?, literal)),
            _ => None,
        }
    }

    fn predicate(&self, condition: &Expr) -> Translated {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (self.predicate(left), self.predicate(right)) {
                (Some((one, one_exact)), Some((other, other_exact))) => Some((Predicate::And(vec![one, other]), one_exact && other_exact)),
                (one, other) => one.or(other).map(|(predicate, _)| (predicate, false)),
            },
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                let ((one, one_exact), (other, other_exact)) = (self.predicate(left)?, self.predicate(right)?);
                Some((Predicate::Or(vec![one, other]), one_exact && other_exact))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (column, operator, literal) = self.compared(left, *op, right)?;
                comparison(column, operator, literal)
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let column = self.column(expr)?;
                let each = list.iter().map(|value| match value {
                    Expr::Literal(literal, _) => comparison(column, Operator::Eq, literal),
                    _ => None,
                });
                let (each, exact): (Vec<Predicate>, Vec<bool>) = each.collect::<Option<Vec<_>>>()?.into_iter().unzip();
                Some((Predicate::Or(each), exact.into_iter().all(|exact| exact)))
            }
            Expr::Like(Like { negated: false, expr, pattern, escape_char: None, case_insensitive: false }) => {
                let Expr::Literal(pattern, _) = pattern.as_ref() else { return None };
                like(self.column(expr)?, text(pattern)?)
            }
            Expr::IsNotNull(inner) => on_field(self.column(inner)?, FieldTest::Exists, false),
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "array_has" => {
                let ([column, Expr::Literal(id, _)], kind) = (args.as_slice(), IdKind::Request) else { return None };
                let request_ids = self.column(column)?.column == TableColumn::Record(RecordColumn::RequestIds);
                request_ids.then(|| IdTest::of(kind, text(id)?)).flatten().map(|test| (Predicate::Id(test), false))
            }
            _ => None,
        }
    }
}

fn time(operator: Operator, literal: &ScalarValue) -> Option<Told> {
    let ScalarValue::TimestampNanosecond(Some(nanos), _) = literal else { return None };
    let (this, next) = (UnixNanos::from_column(*nanos), UnixNanos::from_column(nanos.saturating_add(1)));
    let never = || Condition::Predicate(Predicate::Or(Vec::new()));
    let condition = match operator {
        Operator::GtEq => Condition::From(this),
        Operator::Gt if *nanos == i64::MAX => never(),
        Operator::Gt => Condition::From(next),
        Operator::Lt => Condition::Before(this),
        // The latest time that the column can say stands for all later ones.
        Operator::LtEq if *nanos == i64::MAX => Condition::From(UnixNanos::MIN),
        Operator::LtEq => Condition::Before(next),
        _ => return None,
    };
    Some(Told { condition, exact: true })
}

fn comparison(column: &NamedColumn, operator: Operator, literal: &ScalarValue) -> Translated {
    match &column.column {
        TableColumn::Record(record) => record_comparison(*record, operator, literal),
        TableColumn::Text(Facet::First(fields)) if fields.as_slice() == [Field::Service] => service(operator, text(literal)?),
        TableColumn::Text(Facet::First(fields)) => {
            let doubles = column.values == Values::Attribute { doubles: true };
            text_comparison(fields, operator, text(literal)?, doubles)
        }
        TableColumn::Text(Facet::Signal) => None,
        TableColumn::Value(fields, value_type) => number_comparison(fields, *value_type, operator, literal),
    }
}

fn record_comparison(record: RecordColumn, operator: Operator, literal: &ScalarValue) -> Translated {
    let id = |kind| {
        let test = text(literal).filter(|_| operator == Operator::Eq).and_then(|text| IdTest::of(kind, text));
        test.map(|test| (Predicate::Id(test), false))
    };
    // In the column ids stand in one spelling, while the index knows all of them.
    let is_spelled_alike = |spelling: Option<String>| text(literal).is_some() && spelling.as_deref() == text(literal);
    match record {
        RecordColumn::TraceId => {
            id(IdKind::Trace).filter(|_| is_spelled_alike(text(literal).and_then(TraceId::from_hex).map(|id| id.to_string())))
        }
        RecordColumn::SpanId => {
            id(IdKind::Span).filter(|_| is_spelled_alike(text(literal).and_then(SpanId::from_hex).map(|id| id.to_string())))
        }
        RecordColumn::RequestId => id(IdKind::Request),
        RecordColumn::SeverityNumber => {
            let number = integer(literal).filter(|number| (1..=24).contains(number))?;
            Some((field_compared(Field::Severity, comparing(operator)?, &number.to_string()), false))
        }
        RecordColumn::Duration => {
            let ScalarValue::Int64(Some(nanos)) = literal else { return None };
            // Beyond 2^53 the predicate rounds.
            let exact = nanos.unsigned_abs() < 1 << 53;
            exact.then_some(())?;
            Some((field_compared(Field::Duration, comparing(operator)?, &nanos.to_string()), false))
        }
        RecordColumn::Body => body(operator, text(literal)?),
        RecordColumn::StatusMessage => text_comparison(&[Field::StatusMessage], operator, text(literal)?, false),
        _ => None,
    }
}

fn service(operator: Operator, wanted: &str) -> Translated {
    let is_wanted = field_compared(Field::Service, Comparison::Equal, wanted);
    match operator {
        Operator::Eq if !wanted.is_empty() => Some((is_wanted, true)),
        // Records without a service have none that is another.
        Operator::NotEq if !wanted.is_empty() => Some((Predicate::Not(Box::new(is_wanted)), false)),
        _ => None,
    }
}

/// Text has another order in the predicate, where numbers in it count as numbers.
fn text_comparison(fields: &[Field], operator: Operator, wanted: &str, doubles: bool) -> Translated {
    let [field] = fields else { return None };
    match operator {
        // What is not a number is not looked for among doubles, though some are spelled so.
        Operator::Eq if *field == Field::Severity => Some((level(wanted), false)),
        Operator::Eq if !wanted.is_empty() && (!doubles || number(wanted).is_some()) => {
            Some((field_compared(field.clone(), Comparison::Equal, wanted), false))
        }
        Operator::RegexMatch if *field != Field::Severity => Some((regex(field, wanted)?, false)),
        _ => None,
    }
}

/// A level word stands for four numbers; where a record has none, the word of its source counts.
fn level(wanted: &str) -> Predicate {
    let compared = |severity| {
        let literal = Literal { text: wanted.to_owned(), severity, ..Literal::default() };
        Predicate::Field { field: Field::Severity, test: FieldTest::Compare(Comparison::Equal, literal) }
    };
    Predicate::Or(vec![compared(Severity::from_name(wanted)), compared(None)])
}

fn body(operator: Operator, wanted: &str) -> Translated {
    match operator {
        Operator::Eq => Some((field_compared(Field::Body, Comparison::Equal, wanted), false)),
        Operator::RegexMatch => Some((regex(&Field::Body, wanted)?, false)),
        _ => None,
    }
}

fn regex(field: &Field, pattern: &str) -> Option<Predicate> {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build().ok()?;
    Some(Predicate::Field { field: field.clone(), test: FieldTest::Regex(regex) })
}

fn number_comparison(fields: &[Field], value_type: ValueType, operator: Operator, literal: &ScalarValue) -> Translated {
    let [field] = fields else { return None };
    match (value_type, literal) {
        (ValueType::Int, ScalarValue::Int64(Some(number))) => {
            Some((field_compared(field.clone(), comparing(operator)?, &number.to_string()), false))
        }
        // There are two zeros, of which SQL says that one is less.
        (ValueType::Double, ScalarValue::Float64(Some(number))) if number.is_finite() && *number != 0.0 => {
            Some((field_compared(field.clone(), comparing(operator)?, &format!("{number:?}")), false))
        }
        (ValueType::Bool, ScalarValue::Boolean(Some(truth))) if operator == Operator::Eq => {
            Some((field_compared(field.clone(), Comparison::Equal, &truth.to_string()), false))
        }
        _ => None,
    }
}

/// `%` is any run of characters, as `*` is; from the first other sign on, anything may follow.
fn like(column: &NamedColumn, pattern: &str) -> Translated {
    let end = pattern.find(['_', '\\', '*']).unwrap_or(pattern.len());
    let mut wildcard = pattern[..end].replace('%', "*");
    if end < pattern.len() {
        wildcard.push('*');
    }
    let narrows = wildcard.chars().any(|c| c != '*') && wildcard.contains('*');
    on_field(column, FieldTest::Wildcard(Wildcard::new(&wildcard)), false).filter(|_| narrows)
}

/// A test on the one field of a column of text or numbers.
fn on_field(column: &NamedColumn, test: FieldTest, exact: bool) -> Translated {
    let field = match (&column.column, &test) {
        (TableColumn::Text(Facet::First(fields)), _) | (TableColumn::Value(fields, _), FieldTest::Exists) => match fields.as_slice() {
            [field @ (Field::Any(_) | Field::Attribute(_) | Field::Resource(_) | Field::Name | Field::Service)] => field.clone(),
            _ => return None,
        },
        (TableColumn::Record(RecordColumn::Body), _) => Field::Body,
        _ => return None,
    };
    Some((Predicate::Field { field, test }, exact))
}

fn field_compared(field: Field, comparison: Comparison, wanted: &str) -> Predicate {
    let duration_ns = number(wanted).filter(|_| field == Field::Duration);
    let literal = Literal { text: wanted.to_owned(), number: number(wanted), duration_ns, ..Literal::default() };
    Predicate::Field { field, test: FieldTest::Compare(comparison, literal) }
}

fn comparing(operator: Operator) -> Option<Comparison> {
    match operator {
        Operator::Eq => Some(Comparison::Equal),
        Operator::Gt => Some(Comparison::Greater),
        Operator::GtEq => Some(Comparison::GreaterOrEqual),
        Operator::Lt => Some(Comparison::Less),
        Operator::LtEq => Some(Comparison::LessOrEqual),
        _ => None,
    }
}

fn text(literal: &ScalarValue) -> Option<&str> {
    literal.try_as_str().flatten()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn integer(literal: &ScalarValue) -> Option<i64> {
    match literal {
        ScalarValue::UInt8(Some(number)) => Some((*number).into()),
        ScalarValue::Int64(Some(number)) => Some(*number),
        _ => None,
    }
}
