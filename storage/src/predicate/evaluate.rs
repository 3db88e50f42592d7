//! Evaluating a predicate on a row.

use std::cmp::Ordering;

use super::{Comparison, Field, FieldTest, IdKind, IdTest, Literal, Predicate, TextTest};
use crate::model::{
    AttributeColumn, ColumnValue, NormalId, RecordsView, Severity, Signal, SpanKind, StatusCode, TraceId, UnixNanos, Value, ValueKind,
    has_ascii_word, words_lowercase,
};

/// Whether the record of a row matches.
pub(super) fn holds(predicate: &Predicate, view: &RecordsView<'_>, row: usize) -> bool {
    match predicate {
        Predicate::All => true,
        Predicate::And(all) => all.iter().all(|p| holds(p, view, row)),
        Predicate::Or(any) => any.iter().any(|p| holds(p, view, row)),
        Predicate::Not(inner) => !holds(inner, view, row),
        Predicate::Signal(signal) => view.signal == *signal,
        Predicate::Text(TextTest::Regex(regex)) => view.body(row).or_else(|| view.name(row)).is_some_and(|text| regex.is_match(text)),
        Predicate::Text(test) => text_holds(test, view, row),
        Predicate::Field { field, test } => field_holds(field, test, view, row),
        Predicate::Id(test) => KnownRequest { test, last: None }.id_holds(view, row),
        Predicate::IsRoot => view.signal == Signal::Spans && view.parent_span_id(row).is_none(),
        Predicate::HasException => has_exception(view, row),
    }
}

/// Attributes that say what went wrong begin so; their text is searched like a body.
pub(crate) const EXCEPTION_PREFIX: &str = "exception.";

/// Calls `visit` with every text of a record that words are searched in. The index is built from the
/// same texts, so that what it narrows to never misses a match.
pub(crate) fn for_each_text(view: &RecordsView<'_>, row: usize, mut visit: impl FnMut(&str)) {
    [view.body(row), view.name(row), view.event_name(row), view.status_message(row)].into_iter().flatten().for_each(&mut visit);
    let own = view.attribute_columns().iter().filter(|column| column.key.starts_with(EXCEPTION_PREFIX));
    own.filter_map(|column| column.get(row)).for_each(|value| visit(&value.text()));
    if view.may_have_other_attributes() {
        let others = view.other_attributes(row).filter(|(key, _)| key.starts_with(EXCEPTION_PREFIX));
        others.for_each(|(_, value)| visit(&value.text()));
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
    some_text(view, row, |text| text_matches(test, text))
}

pub(super) fn some_text(view: &RecordsView<'_>, row: usize, is_wanted: impl Fn(&str) -> bool) -> bool {
    let mut found = false;
    for_each_text(view, row, |text| found = found || is_wanted(text));
    found
}

fn text_matches(test: &TextTest, text: &str) -> bool {
    // Of ASCII, which most text is, it is known without cutting it into words.
    let known = match test {
        TextTest::Word(wanted) => has_ascii_word(text, wanted, true),
        TextTest::Prefix(wanted) => has_ascii_word(text, wanted, false),
        // Without its first word there is no phrase.
        TextTest::Phrase(wanted) => wanted.first().and_then(|first| has_ascii_word(text, first, true)).filter(|has| !has),
        TextTest::Regex(regex) => Some(regex.is_match(text)),
    };
    if let Some(known) = known {
        return known;
    }
    let mut found = false;
    match test {
        TextTest::Word(wanted) => words_lowercase(text, |word| found |= word == wanted),
        TextTest::Prefix(wanted) => words_lowercase(text, |word| found |= word.starts_with(wanted.as_str())),
        TextTest::Regex(_) => {}
        TextTest::Phrase(wanted) => {
            let mut words = Vec::new();
            words_lowercase(text, |word| words.push(word.to_owned()));
            found = wanted.is_empty() || words.windows(wanted.len()).any(|window| window == wanted);
        }
    }
    found
}

/// A test for an id that remembers the request id it looked at last: rows of one journey follow each other, and finding
/// the normal form of a spelling costs more than comparing it.
pub(super) struct KnownRequest<'a, 'v> {
    pub(super) test: &'a IdTest,
    pub(super) last: Option<(&'v str, bool)>,
}

impl<'v> KnownRequest<'_, 'v> {
    pub(super) fn id_holds(&mut self, view: &RecordsView<'v>, row: usize) -> bool {
        let looks_at = |kind| self.test.kind == IdKind::Any || self.test.kind == kind;
        let (looks_at_requests, looks_at_spans) = (looks_at(IdKind::Request), looks_at(IdKind::Span));
        if self.test.id.is_some() {
            if looks_at(IdKind::Trace)
                && let Some(trace) = view.trace_id(row)
                && self.test.ids().any(|wanted| trace_is(trace, &wanted))
            {
                return true;
            }
            if looks_at_requests && view.request_ids(row).any(|id| self.request_is_wanted(id)) {
                return true;
            }
        }
        looks_at_spans && view.span_id(row).is_some_and(|span| self.test.spans().any(|wanted| wanted == span))
    }

    fn request_is_wanted(&mut self, id: &'v str) -> bool {
        match self.last {
            Some((last, is_wanted)) if last == id => is_wanted,
            _ => {
                let is_wanted = NormalId::of(id).is_some_and(|id| self.test.ids().any(|wanted| wanted == id));
                self.last = Some((id, is_wanted));
                is_wanted
            }
        }
    }
}

/// Whether a trace is the wanted one, or ends in it.
fn trace_is(trace: TraceId, wanted: &NormalId) -> bool {
    match wanted {
        NormalId::Short(short) => trace.0[8..] == *short,
        _ => NormalId::of_trace(trace) == *wanted,
    }
}

fn has_exception(view: &RecordsView<'_>, row: usize) -> bool {
    let names_exception = |event: &Value| event.get("name").and_then(Value::as_str) == Some("exception");
    view.attributes(row).any(|(key, _)| key == "exception.type" || key == "exception.message")
        || view
            .events_json(row)
            .is_some_and(|json| matches!(Value::from_json(json), Ok(Value::Array(events)) if events.iter().any(names_exception)))
}

pub(super) fn field_holds(field: &Field, test: &FieldTest, view: &RecordsView<'_>, row: usize) -> bool {
    match field {
        Field::Time => time_holds(test, view.time(row)),
        Field::Severity => severity_holds(test, view, row),
        Field::Duration => view.duration_ns(row).is_some_and(|ns| duration_holds(test, ns)),
        Field::Service => text_field_holds(test, Some(view.service(row))),
        Field::Body => view.body(row).is_some_and(|body| body_holds(test, body)),
        Field::Name => text_field_holds(test, view.name(row)),
        Field::Status => text_field_holds(test, view.status(row).map(StatusCode::name)),
        Field::StatusMessage => text_field_holds(test, view.status_message(row)),
        Field::SpanKind => text_field_holds(test, view.kind(row).map(SpanKind::name)),
        Field::EventName => text_field_holds(test, view.event_name(row)),
        Field::Attribute(keys) => attribute(keys, view, row).is_some_and(|value| value_holds(test, value)),
        Field::Resource(keys) => resource_holds(keys, test, view, row),
        Field::Any(keys) => match attribute(keys, view, row) {
            Some(value) => value_holds(test, value),
            None => resource_holds(keys, test, view, row),
        },
    }
}

/// The first of these attributes that a row has.
pub(super) fn attribute<'a>(keys: &[String], view: &RecordsView<'a>, row: usize) -> Option<ColumnValue<'a>> {
    keys.iter().find_map(|key| {
        // A key with a column of its own may still stand in the general one, where a row has a value of another kind.
        let own = view.attribute_columns().iter().filter(|column| column.key == key).find_map(|column| column.get(row));
        own.or_else(|| view.other_attributes(row).find(|(name, _)| name == key).map(|(_, value)| value))
    })
}

fn resource_holds(keys: &[String], test: &FieldTest, view: &RecordsView<'_>, row: usize) -> bool {
    view.resource().and_then(|resources| resources.get(row)).is_some_and(|json| resource_test_holds(keys, test, json))
}

/// Attributes of the rows of one view, found as [`attribute`] finds them.
pub(super) struct AttributeReader<'q, 'v> {
    view: &'q RecordsView<'v>,
    /// Of each key the columns of its own.
    keys: Vec<(&'q str, Vec<AttributeColumn<'v>>)>,
}

impl<'q, 'v> AttributeReader<'q, 'v> {
    pub(super) fn new(keys: &'q [String], view: &'q RecordsView<'v>) -> AttributeReader<'q, 'v> {
        let columns = |key: &str| view.attribute_columns().iter().filter(|column| column.key == key).copied().collect();
        AttributeReader { view, keys: keys.iter().map(|key| (key.as_str(), columns(key))).collect() }
    }

    /// The value of the first key that a row has.
    pub(super) fn get(&self, row: usize) -> Option<ColumnValue<'v>> {
        let has_others = self.view.may_have_other_attributes();
        self.keys.iter().find_map(|(key, columns)| {
            let own = columns.iter().find_map(|column| column.get(row));
            let other = || self.view.other_attributes(row).find(|(name, _)| name == key).map(|(_, value)| value);
            own.or_else(|| if has_others { other() } else { None })
        })
    }
}

/// Whether a resource, as typed JSON, passes the test.
pub(crate) fn resource_test_holds(keys: &[String], test: &FieldTest, json: &str) -> bool {
    // A key of letters and points stands in JSON as it is, so most resources need not be taken apart.
    let is_plain = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if keys.iter().all(|key| is_plain(key) && !json.contains(key.as_str())) {
        return false;
    }
    let Ok(resource) = Value::from_json(json) else { return false };
    keys.iter().find_map(|key| resource.get(key)).is_some_and(|value| owned_value_holds(test, value))
}

/// A level word stands for its four numbers: `level:warn` is 13 to 16, `level>warn` is 17 and above.
fn severity_holds(test: &FieldTest, view: &RecordsView<'_>, row: usize) -> bool {
    let severity = view.severity(row);
    if view.signal != Signal::Logs {
        return false;
    }
    if let Some(known) = severity_number_holds(test, severity) {
        return known;
    }
    match test {
        FieldTest::Exists => severity.0 > 0 || view.severity_text(row).is_some(),
        // A level word of the source's own, such as `notice2`.
        FieldTest::Compare(..) => text_field_holds(test, view.severity_text(row)),
        _ => text_field_holds(test, Some(view.severity_text(row).unwrap_or(severity.name()))),
    }
}

/// Whether a level passes, where its number alone decides that.
pub(super) fn severity_number_holds(test: &FieldTest, severity: Severity) -> Option<bool> {
    let FieldTest::Compare(comparison, literal) = test else { return None };
    match (literal.severity, literal.number) {
        (Some(level), _) => Some(severity.0 > 0 && comparison.accepts(((severity.0.saturating_sub(1)) / 4).cmp(&((level.0 - 1) / 4)))),
        (None, Some(number)) => Some(comparison.accepts(f64::from(severity.0).total_cmp(&number))),
        (None, None) => None,
    }
}

fn time_holds(test: &FieldTest, time: UnixNanos) -> bool {
    match test {
        FieldTest::Exists => true,
        FieldTest::Compare(comparison, Literal { time: Some(wanted), .. }) => comparison.accepts(time.cmp(wanted)),
        _ => false,
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
        _ => value_holds(test, ColumnValue::Text(ValueKind::String, body)),
    }
}

fn text_field_holds(test: &FieldTest, text: Option<&str>) -> bool {
    text.is_some_and(|text| word_holds(test, text))
}

/// Of a text, or of the word that a number is called by.
pub(super) fn word_holds(test: &FieldTest, text: &str) -> bool {
    value_holds(test, ColumnValue::Text(ValueKind::String, text))
}

fn duration_holds(test: &FieldTest, nanos: i64) -> bool {
    match test {
        FieldTest::Compare(comparison, Literal { duration_ns: Some(wanted), .. }) => comparison.accepts((nanos as f64).total_cmp(wanted)),
        _ => value_holds(test, ColumnValue::Text(ValueKind::String, &nanos.to_string())),
    }
}

pub(super) fn value_holds(test: &FieldTest, value: ColumnValue<'_>) -> bool {
    match test {
        FieldTest::Exists => true,
        FieldTest::Compare(comparison, literal) => {
            compare(value, *comparison, literal).is_some_and(|order| comparison.accepts(order)) || in_array(value, test)
        }
        FieldTest::Wildcard(wildcard) => wildcard.matches(&value.text()) || in_array(value, test),
        FieldTest::Regex(regex) => regex.is_match(&value.text()),
        FieldTest::Text(text_test) => text_matches(text_test, &value.text()),
    }
}

fn owned_value_holds(test: &FieldTest, value: &Value) -> bool {
    value_holds(test, ColumnValue::Text(value.kind(), &value.text()))
}

/// A test on an array holds when it holds for one of its values: header attributes are arrays.
fn in_array(value: ColumnValue<'_>, test: &FieldTest) -> bool {
    let ColumnValue::Text(ValueKind::Array, text) = value else { return false };
    let Value::Array(values) = Value::from_text(ValueKind::Array, text) else { return false };
    values.iter().any(|value| owned_value_holds(test, value))
}

/// Numbers compare as numbers, text with text.
fn compare(value: ColumnValue<'_>, comparison: Comparison, literal: &Literal) -> Option<Ordering> {
    match value.kind() {
        ValueKind::Int | ValueKind::Double => {
            let wanted = literal.number?;
            if value.kind() == ValueKind::Int
                && let (Some(exact), Ok(exact_wanted)) = (value.integer(), literal.text.parse::<i64>())
            {
                return Some(exact.cmp(&exact_wanted));
            }
            value.number().and_then(|number| number.partial_cmp(&wanted))
        }
        ValueKind::String if comparison != Comparison::Equal => order_of_text(value, literal),
        // The literal is `TRUE` in some languages.
        ValueKind::Bool => Some(value.text().as_ref().cmp(literal.text.to_ascii_lowercase().as_str())),
        ValueKind::Empty => None,
        // Of an array each of its values is asked for its order.
        ValueKind::Bytes | ValueKind::Array | ValueKind::Map if comparison != Comparison::Equal => None,
        ValueKind::String | ValueKind::Bytes | ValueKind::Array | ValueKind::Map => Some(value.text().as_ref().cmp(literal.text.as_str())),
    }
}

/// Text that is asked for its order is a number, a length or a point of time where the literal is one; other text has no
/// place in such an order. Beside any other literal it is ordered by its letters.
fn order_of_text(value: ColumnValue<'_>, literal: &Literal) -> Option<Ordering> {
    let text = value.text();
    let numbers = || literal.number.and_then(|wanted| super::number(&text)?.partial_cmp(&wanted));
    let durations = || literal.duration_ns.and_then(|wanted| super::duration_ns(&text)?.partial_cmp(&wanted));
    let times = || literal.time.and_then(|wanted| Some(super::time(&text)?.cmp(&wanted)));
    if literal.has_type() { numbers().or_else(durations).or_else(times) } else { Some(text.as_ref().cmp(literal.text.as_str())) }
}
