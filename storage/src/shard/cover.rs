//! What the index of a shard covers, and how a predicate is narrowed by it.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::{RecordsView, Value, ValueKind};

/// A value longer than this many bytes is not a term.
pub(super) const VALUE_BYTES_MAX: usize = 64;
/// A key is not indexed when it has more distinct values than this and than a quarter of the rows: such
/// numbers and ids would be as many terms as rows.
const DISTINCT_MAX: usize = 10_000;

/// Keys and resources the narrowing has to know about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cover {
    /// Attribute keys whose values are not terms.
    pub(super) keys_left_out: HashSet<String>,
    /// Every resource in the shard, as typed JSON; none when there are too many to list.
    pub(super) resources: Option<Vec<String>>,
}

/// More resources than this are not listed in the footer.
const RESOURCES_MAX: usize = 1_000;

impl Cover {
    /// What the index of these rows will cover.
    pub(super) fn choose(view: &RecordsView<'_>) -> Cover {
        let mut distinct: HashMap<&str, HashSet<&str>> = HashMap::new();
        for row in 0..view.len() {
            for (key, _, text) in view.attributes(row) {
                let values = distinct.entry(key).or_default();
                if values.len() <= DISTINCT_MAX.max(view.len() / 4) {
                    values.insert(text);
                }
            }
        }
        let too_many = |values: &HashSet<&str>| values.len() > DISTINCT_MAX && values.len() > view.len() / 4;
        let keys_left_out = distinct.iter().filter(|(_, values)| too_many(values)).map(|(key, _)| (*key).to_owned()).collect();
        let mut resources: HashSet<&str> = HashSet::new();
        if let Some(column) = view.resource() {
            resources.extend((0..view.len()).filter_map(|row| column.get(row)));
        }
        let mut resources: Vec<String> = resources.into_iter().map(str::to_owned).collect();
        resources.sort();
        Cover { keys_left_out, resources: (resources.len() <= RESOURCES_MAX).then_some(resources) }
    }
}

/// The term of a field and a value.
pub(super) fn field_term(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// Calls `visit` with the text of a value and, for an array, of each value in it: a test on an array
/// holds when it holds for one of them.
pub(super) fn for_each_value(kind: ValueKind, text: &str, visit: &mut dyn FnMut(&str)) {
    if text.len() <= VALUE_BYTES_MAX {
        visit(text);
    }
    if kind == ValueKind::Array
        && let Value::Array(values) = Value::from_text(kind, text)
    {
        for value in values {
            for_each_value(value.kind(), &value.text(), visit);
        }
    }
}
