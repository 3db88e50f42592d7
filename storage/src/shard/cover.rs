//! What the index of a shard covers: which values of a row are found by it, and what the narrowing has to know of
//! the rest.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{ColumnValue, RecordsView, SpanKind, StatusCode, Value, ValueKind, column};

/// A value longer than this many bytes is not in the index.
pub(super) const VALUE_BYTES_MAX: usize = 64;
/// More resources than this are not listed in the footer.
const RESOURCES_MAX: usize = 1_000;

/// Keys and resources the narrowing has to know about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cover {
    /// Attribute keys that some row has as a double: doubles are asked for by range and are not in the index.
    pub(super) doubles: BTreeSet<String>,
    /// Every resource in the shard, as typed JSON; none when there are too many to list.
    pub(super) resources: Option<Vec<String>>,
}

/// Finds out what is covered while rows go by.
#[derive(Debug, Default)]
pub(super) struct CoverBuilder {
    doubles: BTreeSet<String>,
    resources: BTreeSet<String>,
    last_resource: Option<String>,
}

impl CoverBuilder {
    /// Whether a value of this kind under this key is in the index.
    pub(super) fn covers(&mut self, key: &str, kind: ValueKind) -> bool {
        let double = kind == ValueKind::Double;
        if double && !self.doubles.contains(key) {
            self.doubles.insert(key.to_owned());
        }
        !double
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
        Cover { doubles: self.doubles, resources: all.then(|| self.resources.into_iter().collect()) }
    }
}

/// Calls `visit` with the columns of a row whose values are in the index, and the values.
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
