//! Which columns a predicate has to look at.

use std::collections::BTreeSet;

use super::{Field, Predicate, TextTest};
use crate::model::column;

/// The names of the columns needed to evaluate `predicate`.
pub(crate) fn columns(predicate: &Predicate) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    collect(predicate, &mut names);
    names
}

fn collect(predicate: &Predicate, names: &mut BTreeSet<&'static str>) {
    match predicate {
        Predicate::All | Predicate::Signal(_) => {}
        Predicate::And(all) | Predicate::Or(all) => all.iter().for_each(|inner| collect(inner, names)),
        Predicate::Not(inner) => collect(inner, names),
        Predicate::Text(TextTest::Regex(_)) => names.extend([column::BODY, column::NAME]),
        Predicate::Text(_) => {
            names.extend([column::BODY, column::NAME, column::EVENT_NAME, column::STATUS_MESSAGE, column::EVENTS]);
            names.extend([column::ATTRIBUTES, column::ATTRIBUTE_TYPES]);
        }
        Predicate::Field { field, .. } => field_columns(field, names),
        Predicate::Id(_) => names.extend([column::TRACE_ID, column::SPAN_ID, column::REQUEST_ID, column::MORE_IDS]),
        Predicate::IsRoot => names.extend([column::PARENT_SPAN_ID]),
        Predicate::HasException => names.extend([column::ATTRIBUTES, column::ATTRIBUTE_TYPES, column::EVENTS]),
    }
}

fn field_columns(field: &Field, names: &mut BTreeSet<&'static str>) {
    match field {
        Field::Service => names.extend([column::SERVICE_NAME]),
        Field::Severity => names.extend([column::SEVERITY_NUMBER, column::SEVERITY_TEXT]),
        Field::Body => names.extend([column::BODY]),
        Field::Name => names.extend([column::NAME]),
        Field::Duration => names.extend([column::DURATION]),
        Field::Status => names.extend([column::STATUS_CODE]),
        Field::StatusMessage => names.extend([column::STATUS_MESSAGE]),
        Field::SpanKind => names.extend([column::KIND]),
        Field::EventName => names.extend([column::EVENT_NAME]),
        Field::Attribute(_) => names.extend([column::ATTRIBUTES, column::ATTRIBUTE_TYPES]),
        Field::Resource(_) => names.extend([column::RESOURCE]),
        Field::Any(_) => names.extend([column::ATTRIBUTES, column::ATTRIBUTE_TYPES, column::RESOURCE]),
    }
}
