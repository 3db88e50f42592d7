//! Which columns a predicate has to look at.

use std::collections::BTreeSet;

use super::evaluate::EXCEPTION_PREFIX;
use super::{Facet, Field, IdKind, Predicate, TextTest};
use crate::model::{IdSort, IdTerm, attribute_key, column};

/// Columns that say when.
pub(crate) const TIME_COLUMNS: [&str; 3] = [column::TIMESTAMP, column::START, column::ORIGINAL_TIME];

/// Columns to read: some of a signal's, and of the attributes with a column of their own those with some keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    names: BTreeSet<&'static str>,
    attributes: BTreeSet<String>,
    /// Also attributes that tell of exceptions.
    exceptions: bool,
    /// Also all other attributes.
    every_attribute: bool,
}

impl Columns {
    /// What `predicate` looks at.
    pub(crate) fn of(predicate: &Predicate) -> Columns {
        Columns::default().with_predicate(predicate)
    }

    /// Those that carry ids.
    pub(crate) fn of_ids() -> Columns {
        Columns::default().with(&[column::TRACE_ID, column::SPAN_ID, column::REQUEST_ID, column::MORE_IDS, column::LINKS])
    }

    /// Those that may carry one of these ids.
    pub(crate) fn of_terms(terms: &[IdTerm]) -> Columns {
        let mut columns = Columns::default();
        for term in terms {
            columns.add(match term.sort() {
                IdSort::Span => &[column::SPAN_ID],
                IdSort::Link => &[column::LINKS],
                IdSort::TraceOrRequest => &[column::TRACE_ID, column::REQUEST_ID, column::MORE_IDS],
            });
        }
        columns
    }

    /// Those that tell where a record belongs in its journey, without what it says; and the attributes with these keys.
    pub(crate) fn of_outline(attributes: &[&str]) -> Columns {
        let columns = Columns::default().with(&[
            column::RECORD_ID,
            column::TIMESTAMP,
            column::START,
            column::ORIGINAL_TIME,
            column::TRACE_ID,
            column::SPAN_ID,
            column::PARENT_SPAN_ID,
            column::REQUEST_ID,
            column::MORE_IDS,
            column::SERVICE_NAME,
            column::RESOURCE,
            column::SEVERITY_NUMBER,
            column::DURATION,
            column::NAME,
            column::KIND,
            column::STATUS_CODE,
            column::LINKS,
        ]);
        columns.with_attributes(attributes)
    }

    /// These, and some more.
    pub(crate) fn with(mut self, names: &[&'static str]) -> Columns {
        self.names.extend(names);
        self
    }

    /// These, and where the values of a facet stand.
    pub(crate) fn with_facet(mut self, facet: &Facet) -> Columns {
        if let Facet::First(fields) = facet {
            fields.iter().for_each(|field| self.add_field(field));
        }
        self
    }

    /// These, and attributes with these keys.
    pub(crate) fn with_attributes(mut self, keys: &[&str]) -> Columns {
        if !keys.is_empty() {
            self.add_attributes(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        }
        self
    }

    /// These, and what a predicate looks at.
    pub(crate) fn with_predicate(mut self, predicate: &Predicate) -> Columns {
        self.add_predicate(predicate);
        self
    }

    /// These, and every attribute.
    pub(crate) fn with_every_attribute(mut self) -> Columns {
        self.every_attribute = true;
        self
    }

    /// These but some.
    pub(crate) fn without(mut self, names: &[&'static str]) -> Columns {
        self.names.retain(|name| !names.contains(name));
        self
    }

    /// Whether the column of that name is one of them.
    pub(crate) fn contain(&self, name: &str) -> bool {
        let attribute = || attribute_key(name).is_some_and(|key| self.attributes.contains(key) || self.also(key));
        self.names.contains(name) || attribute()
    }

    /// Whether an attribute with one of these keys is looked at.
    pub(crate) fn contain_attribute_of(&self, keys: &BTreeSet<String>) -> bool {
        keys.iter().any(|key| self.attributes.contains(key) || self.also(key))
    }

    fn also(&self, key: &str) -> bool {
        self.every_attribute || (self.exceptions && key.starts_with(EXCEPTION_PREFIX))
    }

    fn add(&mut self, names: &[&'static str]) {
        self.names.extend(names);
    }

    fn add_attributes(&mut self, keys: &[String]) {
        self.add(&[column::ATTRIBUTES, column::ATTRIBUTE_TYPES]);
        self.attributes.extend(keys.iter().cloned());
    }

    /// What another predicate looks at, too.
    pub(crate) fn add_predicate(&mut self, predicate: &Predicate) {
        match predicate {
            Predicate::All | Predicate::Signal(_) => {}
            Predicate::And(all) | Predicate::Or(all) => all.iter().for_each(|inner| self.add_predicate(inner)),
            Predicate::Not(inner) => self.add_predicate(inner),
            Predicate::Text(TextTest::Regex(_)) => self.add(&[column::BODY, column::NAME]),
            Predicate::Text(_) => {
                self.add(&[column::BODY, column::NAME, column::EVENT_NAME, column::STATUS_MESSAGE, column::EVENTS]);
                self.add_attributes(&[]);
                self.exceptions = true;
            }
            Predicate::Field { field, .. } => self.add_field(field),
            Predicate::Id(test) => self.add(match test.kind {
                IdKind::Any => &[column::TRACE_ID, column::SPAN_ID, column::REQUEST_ID, column::MORE_IDS],
                IdKind::Trace => &[column::TRACE_ID],
                IdKind::Request => &[column::REQUEST_ID, column::MORE_IDS],
                IdKind::Span => &[column::SPAN_ID],
            }),
            Predicate::IsRoot => self.add(&[column::PARENT_SPAN_ID]),
            Predicate::HasException => {
                self.add(&[column::EVENTS]);
                self.add_attributes(&[]);
                self.exceptions = true;
            }
        }
    }

    fn add_field(&mut self, field: &Field) {
        match field {
            Field::Time => self.add(&TIME_COLUMNS),
            Field::Service => self.add(&[column::SERVICE_NAME]),
            Field::Severity => self.add(&[column::SEVERITY_NUMBER, column::SEVERITY_TEXT]),
            Field::Body => self.add(&[column::BODY]),
            Field::Name => self.add(&[column::NAME]),
            Field::Duration => self.add(&[column::DURATION]),
            Field::Status => self.add(&[column::STATUS_CODE]),
            Field::StatusMessage => self.add(&[column::STATUS_MESSAGE]),
            Field::SpanKind => self.add(&[column::KIND]),
            Field::EventName => self.add(&[column::EVENT_NAME]),
            Field::Attribute(keys) => self.add_attributes(keys),
            Field::Resource(_) => self.add(&[column::RESOURCE]),
            Field::Any(keys) => {
                self.add_attributes(keys);
                self.add(&[column::RESOURCE]);
            }
        }
    }
}
