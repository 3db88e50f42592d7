//! What the index of a shard covers: which terms a row has, and what the narrowing has to know of the rest.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::model::{ColumnValue, RecordsView, SpanKind, StatusCode, Value, ValueKind, column};

/// A value longer than this many bytes is not a term.
pub(super) const VALUE_BYTES_MAX: usize = 64;
/// A key is not indexed when it has more distinct values than this and than one of so many rows: such numbers
/// and ids would be nearly as many terms as rows.
const DISTINCT_MAX: usize = 1_024;
const DISTINCT_SHARE: usize = 8;
/// Terms of columns that are not attributes begin with this.
const COLUMN_PREFIX: &str = "\u{1}";
/// Stands between key and value; a key that holds it is left out.
const SEPARATOR: char = '\0';
/// More resources than this are not listed in the footer.
const RESOURCES_MAX: usize = 1_000;

/// Keys and resources the narrowing has to know about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cover {
    /// Attribute keys whose values are not terms.
    pub(super) keys_left_out: BTreeSet<String>,
    /// Attribute keys that some row has as a double: doubles are not terms.
    pub(super) doubles: BTreeSet<String>,
    /// Every resource in the shard, as typed JSON; none when there are too many to list.
    pub(super) resources: Option<Vec<String>>,
}

/// Finds out what is covered while rows go by.
#[derive(Debug)]
pub(super) struct CoverBuilder {
    distinct_max: usize,
    /// Distinct values of each key so far.
    distinct: HashMap<String, usize, ahash::RandomState>,
    keys_left_out: BTreeSet<String>,
    doubles: BTreeSet<String>,
    resources: BTreeSet<String>,
    last_resource: Option<String>,
}

impl CoverBuilder {
    /// For a shard of so many rows.
    pub(super) fn new(rows: usize) -> CoverBuilder {
        CoverBuilder {
            distinct_max: DISTINCT_MAX.max(rows / DISTINCT_SHARE),
            distinct: HashMap::default(),
            keys_left_out: BTreeSet::new(),
            doubles: BTreeSet::new(),
            resources: BTreeSet::new(),
            last_resource: None,
        }
    }

    /// Whether a value of this kind under this key is a term. Doubles are asked for by range.
    pub(super) fn covers(&mut self, key: &str, kind: ValueKind) -> bool {
        if kind == ValueKind::Double {
            if !self.doubles.contains(key) {
                self.doubles.insert(key.to_owned());
            }
            return false;
        }
        !key.contains(SEPARATOR) && !self.keys_left_out.contains(key)
    }

    /// A value of the key was seen that is new.
    pub(super) fn note_new(&mut self, key: &str) {
        let count = match self.distinct.get_mut(key) {
            Some(count) => count,
            None => self.distinct.entry(key.to_owned()).or_default(),
        };
        *count += 1;
        if *count > self.distinct_max {
            self.keys_left_out.insert(key.to_owned());
        }
    }

    /// A row has this resource.
    pub(super) fn note_resource(&mut self, json: Option<&str>) {
        if json.is_some() && json != self.last_resource.as_deref() {
            self.last_resource = json.map(str::to_owned);
            if self.resources.len() <= RESOURCES_MAX {
                self.resources.extend(json.map(str::to_owned));
            }
        }
    }

    /// What is covered.
    pub(super) fn finish(self) -> Cover {
        let all = self.resources.len() <= RESOURCES_MAX;
        Cover { keys_left_out: self.keys_left_out, doubles: self.doubles, resources: all.then(|| self.resources.into_iter().collect()) }
    }
}

impl Cover {
    /// Whether every value of the key that is no double and not too long is a term.
    pub(super) fn covers(&self, key: &str) -> bool {
        !key.contains(SEPARATOR) && !self.keys_left_out.contains(key)
    }

    /// Whether the term is of a key that was left out.
    pub(super) fn leaves_out(&self, term: &str) -> bool {
        !self.keys_left_out.is_empty() && term.split_once(SEPARATOR).is_some_and(|(key, _)| self.keys_left_out.contains(key))
    }
}

/// Appends the term of an attribute's value.
pub(super) fn write_field_term(key: &str, value: &str, out: &mut String) {
    out.push_str(key);
    out.push(SEPARATOR);
    out.push_str(value);
}

/// The term of an attribute's value.
pub(super) fn field_term(key: &str, value: &str) -> String {
    let mut term = String::with_capacity(key.len() + 1 + value.len());
    write_field_term(key, value, &mut term);
    term
}

/// The term of a value of a column that is not an attribute.
pub(super) fn column_term(column: &str, value: &str) -> String {
    format!("{COLUMN_PREFIX}{column}{SEPARATOR}{value}")
}

/// Calls `visit` with the columns of a row whose values are terms, and the values.
pub(super) fn for_each_column_value<'a>(view: &RecordsView<'a>, row: usize, mut visit: impl FnMut(&'static str, &'a str)) {
    let columns = [
        (column::SERVICE_NAME, Some(view.service(row))),
        (column::NAME, view.name(row)),
        (column::STATUS_CODE, view.status(row).map(StatusCode::name)),
        (column::KIND, view.kind(row).map(SpanKind::name)),
        (column::EVENT_NAME, view.event_name(row)),
    ];
    for (name, value) in columns {
        if let Some(value) = value.filter(|value| value.len() <= VALUE_BYTES_MAX) {
            visit(name, value);
        }
    }
}

/// Calls `visit` with the text of a value and, for an array, of each value in it: a test on an array
/// holds when it holds for one of them.
pub(super) fn for_each_value(value: ColumnValue<'_>, visit: &mut dyn FnMut(&str)) {
    let text = value.text();
    if text.len() <= VALUE_BYTES_MAX {
        visit(&text);
    }
    if value.kind() == ValueKind::Array
        && let Value::Array(values) = value.to_value()
    {
        for value in values {
            for_each_value(ColumnValue::Text(value.kind(), &value.text()), visit);
        }
    }
}
