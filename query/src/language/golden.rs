//! `query/golden.json`: what queries mean, or where and why they are refused. The UI's tests read the same file: what it
//! adds to a query and marks in the results must fit what the query means here.

use needle_storage::model::{NormalId, Signal, words};
use needle_storage::predicate::{Comparison, Field, FieldTest, IdTest, Literal, Predicate, TextTest};
use serde_json::Value;

use super::parse;

/// A condition, as a reader would say it.
pub(super) fn described(predicate: &Predicate) -> String {
    match predicate {
        Predicate::All => "everything".to_owned(),
        Predicate::And(all) => format!("({})", all.iter().map(described).collect::<Vec<_>>().join(" and ")),
        Predicate::Or(any) => format!("({})", any.iter().map(described).collect::<Vec<_>>().join(" or ")),
        Predicate::Not(inner) => format!("not {}", described(inner)),
        Predicate::Signal(Signal::Logs) => "log".to_owned(),
        Predicate::Signal(Signal::Spans) => "span".to_owned(),
        Predicate::Text(test) => text(test),
        Predicate::Field { field, test } => format!("{} {}", place(field), field_test(test)),
        Predicate::Id(test) => id(test),
        Predicate::IsRoot => "root".to_owned(),
        Predicate::HasException => "exception".to_owned(),
    }
}

fn text(test: &TextTest) -> String {
    match test {
        TextTest::Word(word) => format!("word {word}"),
        TextTest::Prefix(prefix) => format!("word {prefix}..."),
        TextTest::Phrase(words) => format!("words {}", words.join(" ")),
        TextTest::Regex(regex) => format!("regex {regex}"),
    }
}

fn place(field: &Field) -> String {
    match field {
        Field::Any(keys) => keys.join("|"),
        Field::Attribute(keys) => format!("attribute {}", keys.join("|")),
        Field::Resource(keys) => format!("resource {}", keys.join("|")),
        named => format!("{named:?}").to_uppercase(),
    }
}

fn field_test(test: &FieldTest) -> String {
    match test {
        FieldTest::Exists => "present".to_owned(),
        FieldTest::Compare(comparison, literal) => format!("{} {}", sign(*comparison), value(literal)),
        FieldTest::Wildcard(wildcard) => format!("like {wildcard:?}"),
        FieldTest::Regex(regex) => format!("regex {regex}"),
        FieldTest::Text(test) => text(test),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
    }
}

/// The text, and in brackets what it is beside that.
fn value(literal: &Literal) -> String {
    let kinds = [
        literal.number.map(|number| number.to_string()),
        literal.duration_ns.map(|nanos| format!("{nanos} ns")),
        literal.time.map(|time| format!("at {} ns", time.0)),
        literal.severity.map(|severity| format!("level {}", severity.0)),
    ];
    let kinds: Vec<String> = kinds.into_iter().flatten().collect();
    if kinds.is_empty() { format!("{:?}", literal.text) } else { format!("{:?} [{}]", literal.text, kinds.join(", ")) }
}

fn id(test: &IdTest) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let id = test.id.as_ref().map(|id| match id {
        NormalId::Wide(bytes) => hex(bytes),
        NormalId::Short(bytes) => hex(bytes),
        NormalId::Opaque(text) => format!("{text:?}"),
    });
    let span = test.span.map(|span| format!("span {span}"));
    format!("{:?} id {}", test.kind, [id, span].into_iter().flatten().collect::<Vec<_>>().join(" or "))
}

/// The words of texts that a matching record may be found by.
fn positive_words(predicate: &Predicate, found: &mut Vec<String>) {
    match predicate {
        Predicate::And(inner) | Predicate::Or(inner) => inner.iter().for_each(|inner| positive_words(inner, found)),
        Predicate::Text(TextTest::Word(word) | TextTest::Prefix(word)) => found.push(word.clone()),
        Predicate::Text(TextTest::Phrase(words)) => found.extend(words.iter().cloned()),
        _ => {}
    }
}

/// The conditions that all must hold.
fn conditions(predicate: &Predicate) -> Vec<String> {
    match predicate {
        Predicate::All => Vec::new(),
        Predicate::And(all) => all.iter().flat_map(conditions).collect(),
        other => vec![described(other)],
    }
}

/// What is wrong with an entry of the list.
fn wrong(entry: &Value) -> Option<String> {
    let query = entry["query"].as_str().expect("every entry has a query");
    let predicate = match (parse(query), &entry["refused"]) {
        (Ok(predicate), Value::Null) => predicate,
        (Ok(predicate), _) => return Some(format!("{query}: is not refused, it means {}", described(&predicate))),
        (Err(error), refused) => {
            let column = query[..error.position].chars().count();
            let found = (Some(error.message.as_str()), Some(error.position as u64), Some(column as u64));
            let wanted = (refused.as_str(), entry["at"].as_u64(), entry["column"].as_u64().or(entry["at"].as_u64()));
            return (found != wanted).then(|| format!("{query}: refused as {found:?} instead of {wanted:?}"));
        }
    };
    let means = described(&predicate);
    if entry["means"].as_str() != Some(&means) {
        return Some(format!("{query}: means {means}"));
    }
    let mut known = Vec::new();
    positive_words(&predicate, &mut known);
    for mark in entry["marks"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some(word) = words(mark).find(|word| !known.contains(&word.to_lowercase())) {
            return Some(format!("{query}: {mark} is marked, but {word} is not searched for"));
        }
    }
    let narrowed = entry["with"].as_str().map_or_else(|| format!("{} added:1", query.trim()), str::to_owned);
    let narrowed = conditions(&parse(&narrowed).expect("a condition can be added"));
    let wanted = [conditions(&predicate), conditions(&parse("added:1").expect("a condition"))].concat();
    (narrowed != wanted).then(|| format!("{query}: with a condition it means {narrowed:?}"))
}

#[test]
fn queries_mean_what_the_golden_list_says() {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../../golden.json")).expect("a list of entries");
    let wrong: Vec<String> = entries.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty() && entries.len() > 200, "of {}:\n{}", entries.len(), wrong.join("\n"));
}
