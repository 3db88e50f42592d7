//! Evaluating a predicate on the rows of a batch.

use std::cmp::Ordering;

use super::{Comparison, Field, FieldTest, IdKind, IdTest, Literal, Predicate, TextTest};
use crate::model::{NormalId, RecordsView, Signal, SpanKind, StatusCode, Value, ValueKind, words_lowercase};

/// A predicate applied to a batch.
pub(crate) struct Matcher<'a> {
    predicate: &'a Predicate,
    view: &'a RecordsView<'a>,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(predicate: &'a Predicate, view: &'a RecordsView<'a>) -> Matcher<'a> {
        Matcher { predicate, view }
    }

    /// Whether the record of a row matches.
    pub(crate) fn matches(&self, row: usize) -> bool {
        holds(self.predicate, self.view, row)
    }
}

fn holds(predicate: &Predicate, view: &RecordsView<'_>, row: usize) -> bool {
    match predicate {
        Predicate::All => true,
        Predicate::And(all) => all.iter().all(|p| holds(p, view, row)),
        Predicate::Or(any) => any.iter().any(|p| holds(p, view, row)),
        Predicate::Not(inner) => !holds(inner, view, row),
        Predicate::Signal(signal) => view.signal == *signal,
        Predicate::Text(TextTest::Regex(regex)) => view.body(row).or_else(|| view.name(row)).is_some_and(|text| regex.is_match(text)),
        Predicate::Text(test) => text_holds(test, view, row),
        Predicate::Field { field, test } => field_holds(field, test, view, row),
        Predicate::Id(test) => id_holds(test, view, row),
        Predicate::IsRoot => view.signal == Signal::Spans && view.parent_span_id(row).is_none(),
        Predicate::HasException => has_exception(view, row),
    }
}

/// Calls `visit` with every text of a record that words are searched in. The index is built from the
/// same texts, so that what it narrows to never misses a match.
pub(crate) fn for_each_text(view: &RecordsView<'_>, row: usize, mut visit: impl FnMut(&str)) {
    [view.body(row), view.name(row), view.event_name(row), view.status_message(row)].into_iter().flatten().for_each(&mut visit);
    for (key, _, text) in view.attributes(row) {
        if key.starts_with("exception.") {
            visit(text);
        }
    }
    if let Some(json) = view.events_json(row)
        && let Ok(Value::Array(events)) = Value::from_json(json)
    {
        for event in &events {
            event.get("name").and_then(Value::as_str).into_iter().for_each(&mut visit);
            if let Some(Value::Map(attributes)) = event.get("attributes") {
                attributes.iter().for_each(|(_, value)| visit(&value.text()));
            }
        }
    }
}

fn text_holds(test: &TextTest, view: &RecordsView<'_>, row: usize) -> bool {
    let mut found = false;
    for_each_text(view, row, |text| found = found || text_matches(test, text));
    found
}

fn text_matches(test: &TextTest, text: &str) -> bool {
    let mut found = false;
    match test {
        TextTest::Word(wanted) => words_lowercase(text, |word| found |= word == wanted),
        TextTest::Prefix(wanted) => words_lowercase(text, |word| found |= word.starts_with(wanted.as_str())),
        TextTest::Regex(regex) => found = regex.is_match(text),
        TextTest::Phrase(wanted) => {
            let mut words = Vec::new();
            words_lowercase(text, |word| words.push(word.to_owned()));
            found = wanted.is_empty() || words.windows(wanted.len()).any(|window| window == wanted);
        }
    }
    found
}

fn id_holds(test: &IdTest, view: &RecordsView<'_>, row: usize) -> bool {
    let looks_at = |kind| test.kind == IdKind::Any || test.kind == kind;
    if let Some(wanted) = &test.id {
        if looks_at(IdKind::Trace)
            && let Some(trace) = view.trace_id(row)
        {
            let trace_is = NormalId::of_trace(trace) == *wanted;
            let low_half_is = matches!(wanted, NormalId::Short(short) if trace.0[8..] == *short);
            if trace_is || low_half_is {
                return true;
            }
        }
        if looks_at(IdKind::Request) && view.request_ids(row).any(|id| NormalId::of(id).as_ref() == Some(wanted)) {
            return true;
        }
    }
    looks_at(IdKind::Span) && test.span.is_some() && view.span_id(row) == test.span
}

fn has_exception(view: &RecordsView<'_>, row: usize) -> bool {
    let names_exception = |event: &Value| event.get("name").and_then(Value::as_str) == Some("exception");
    view.attributes(row).any(|(key, _, _)| key == "exception.type" || key == "exception.message")
        || view
            .events_json(row)
            .is_some_and(|json| matches!(Value::from_json(json), Ok(Value::Array(events)) if events.iter().any(names_exception)))
}

fn field_holds(field: &Field, test: &FieldTest, view: &RecordsView<'_>, row: usize) -> bool {
    match field {
        Field::Severity => severity_holds(test, view, row),
        Field::Duration => view.duration_ns(row).is_some_and(|ns| number_holds(test, ns as f64, &ns.to_string())),
        Field::Service => text_field_holds(test, Some(view.service(row))),
        Field::Body => view.body(row).is_some_and(|body| body_holds(test, body)),
        Field::Name => text_field_holds(test, view.name(row)),
        Field::Status => text_field_holds(test, view.status(row).map(StatusCode::name)),
        Field::StatusMessage => text_field_holds(test, view.status_message(row)),
        Field::SpanKind => text_field_holds(test, view.kind(row).map(SpanKind::name)),
        Field::EventName => text_field_holds(test, view.event_name(row)),
        Field::Attribute(keys) => attribute(keys, view, row).is_some_and(|(kind, text)| value_holds(test, kind, text)),
        Field::Resource(keys) => resource_holds(keys, test, view, row),
        Field::Any(keys) => match attribute(keys, view, row) {
            Some((kind, text)) => value_holds(test, kind, text),
            None => resource_holds(keys, test, view, row),
        },
    }
}

fn attribute<'a>(keys: &[String], view: &RecordsView<'a>, row: usize) -> Option<(ValueKind, &'a str)> {
    keys.iter().find_map(|key| view.attributes(row).find(|(name, _, _)| name == key).map(|(_, kind, text)| (kind, text)))
}

fn resource_holds(keys: &[String], test: &FieldTest, view: &RecordsView<'_>, row: usize) -> bool {
    view.resource().and_then(|resources| resources.get(row)).is_some_and(|json| resource_test_holds(keys, test, json))
}

/// Whether a resource, as typed JSON, passes the test.
pub(crate) fn resource_test_holds(keys: &[String], test: &FieldTest, json: &str) -> bool {
    let Ok(resource) = Value::from_json(json) else { return false };
    keys.iter().find_map(|key| resource.get(key)).is_some_and(|value| value_holds(test, value.kind(), &value.text()))
}

/// A level word stands for its four numbers: `level:warn` is 13 to 16, `level>warn` is 17 and above.
fn severity_holds(test: &FieldTest, view: &RecordsView<'_>, row: usize) -> bool {
    let severity = view.severity(row);
    if view.signal != Signal::Logs {
        return false;
    }
    match test {
        FieldTest::Exists => severity.0 > 0 || view.severity_text(row).is_some(),
        FieldTest::Compare(comparison, literal) => match (literal.severity, literal.number) {
            (Some(level), _) => severity.0 > 0 && comparison.accepts(((severity.0.saturating_sub(1)) / 4).cmp(&((level.0 - 1) / 4))),
            (None, Some(number)) => comparison.accepts(f64::from(severity.0).total_cmp(&number)),
            // A level word of the source's own, such as `notice2`.
            (None, None) => text_field_holds(test, view.severity_text(row)),
        },
        _ => text_field_holds(test, Some(view.severity_text(row).unwrap_or(severity.name()))),
    }
}

/// `body:refused` and `body:"connection refused"` look for words; the whole body is rarely what is known.
fn body_holds(test: &FieldTest, body: &str) -> bool {
    match test {
        FieldTest::Compare(Comparison::Equal, literal) => {
            let mut wanted = Vec::new();
            words_lowercase(&literal.text, |word| wanted.push(word.to_owned()));
            text_matches(&TextTest::Phrase(wanted), body)
        }
        _ => value_holds(test, ValueKind::String, body),
    }
}

fn text_field_holds(test: &FieldTest, text: Option<&str>) -> bool {
    text.is_some_and(|text| value_holds(test, ValueKind::String, text))
}

fn number_holds(test: &FieldTest, number: f64, text: &str) -> bool {
    match test {
        FieldTest::Compare(comparison, Literal { number: Some(wanted), .. }) => comparison.accepts(number.total_cmp(wanted)),
        _ => value_holds(test, ValueKind::String, text),
    }
}

fn value_holds(test: &FieldTest, kind: ValueKind, text: &str) -> bool {
    match test {
        FieldTest::Exists => true,
        FieldTest::Compare(comparison, literal) => {
            compare(kind, text, *comparison, literal).is_some_and(|order| comparison.accepts(order)) || in_array(kind, text, test)
        }
        FieldTest::Wildcard(wildcard) => wildcard.matches(text) || in_array(kind, text, test),
        FieldTest::Regex(regex) => regex.is_match(text),
        FieldTest::Text(text_test) => text_matches(text_test, text),
    }
}

/// A test on an array holds when it holds for one of its values: header attributes are arrays.
fn in_array(kind: ValueKind, text: &str, test: &FieldTest) -> bool {
    if kind != ValueKind::Array {
        return false;
    }
    let Value::Array(values) = Value::from_text(kind, text) else { return false };
    values.iter().any(|value| value_holds(test, value.kind(), &value.text()))
}

/// Numbers compare as numbers, text with text; numeric text is a number when it is asked for its order.
fn compare(kind: ValueKind, text: &str, comparison: Comparison, literal: &Literal) -> Option<Ordering> {
    match kind {
        ValueKind::Int | ValueKind::Double => {
            let wanted = literal.number?;
            if kind == ValueKind::Int
                && let (Ok(exact), Ok(exact_wanted)) = (text.parse::<i64>(), literal.text.parse::<i64>())
            {
                return Some(exact.cmp(&exact_wanted));
            }
            text.parse::<f64>().ok().and_then(|number| number.partial_cmp(&wanted))
        }
        ValueKind::String if comparison != Comparison::Equal => match (text.parse::<f64>(), literal.number) {
            (Ok(number), Some(wanted)) => number.partial_cmp(&wanted),
            _ => Some(text.cmp(literal.text.as_str())),
        },
        ValueKind::Empty => None,
        ValueKind::String | ValueKind::Bool | ValueKind::Bytes | ValueKind::Array | ValueKind::Map => Some(text.cmp(literal.text.as_str())),
    }
}
