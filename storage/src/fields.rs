//! Which fields records have, of which kinds, and how many records have each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::model::{DictionaryView, RecordsView, Value, ValueKind, column};

/// Records by the kind of their value, each kind as its letter ([`ValueKind::letter`]).
type Kinds = BTreeMap<char, u64>;

/// How many records have which fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCounts {
    /// By the name of the column, of fields that are no attributes.
    pub columns: BTreeMap<String, u64>,
    /// Attributes of records: by key, then by kind.
    pub attributes: BTreeMap<String, Kinds>,
    /// Attributes of resources.
    pub resource: BTreeMap<String, Kinds>,
    /// Whether there were more keys than are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// Keys of attributes that are kept, of records and of resources each.
pub(crate) const FIELDS_MAX: usize = if cfg!(test) { 40 } else { 10_000 };

/// Fields that are no attributes: the column that tells of them, and whether a row has one.
type Presence = fn(&RecordsView<'_>, usize) -> bool;
const COLUMNS: [(&str, Presence); 12] = [
    (column::SERVICE_NAME, |view, row| !view.service(row).is_empty()),
    (column::SEVERITY_NUMBER, |view, row| view.severity(row).0 > 0 || view.severity_text(row).is_some()),
    (column::BODY, |view, row| view.body(row).is_some()),
    (column::EVENT_NAME, |view, row| view.event_name(row).is_some()),
    (column::NAME, |view, row| view.name(row).is_some()),
    (column::DURATION, |view, row| view.duration_ns(row).is_some()),
    (column::KIND, |view, row| view.kind(row).is_some()),
    (column::STATUS_CODE, |view, row| view.status(row).is_some()),
    (column::STATUS_MESSAGE, |view, row| view.status_message(row).is_some()),
    (column::TRACE_ID, |view, row| view.trace_id(row).is_some()),
    (column::SPAN_ID, |view, row| view.span_id(row).is_some()),
    (column::REQUEST_ID, |view, row| view.request_id(row).is_some()),
];

/// The columns that are looked at, besides those of attributes.
pub(crate) const FIELD_COLUMNS: [&str; 17] = [
    column::SERVICE_NAME,
    column::SEVERITY_NUMBER,
    column::SEVERITY_TEXT,
    column::BODY,
    column::EVENT_NAME,
    column::NAME,
    column::DURATION,
    column::KIND,
    column::STATUS_CODE,
    column::STATUS_MESSAGE,
    column::TRACE_ID,
    column::SPAN_ID,
    column::REQUEST_ID,
    column::REQUEST_ID_KEY,
    column::ATTRIBUTES,
    column::ATTRIBUTE_TYPES,
    column::RESOURCE,
];

impl FieldCounts {
    /// Counts the fields of some rows.
    pub(crate) fn add(&mut self, view: &RecordsView<'_>, rows: &[u32]) {
        for (name, has) in COLUMNS {
            let count = rows.iter().filter(|row| has(view, **row as usize)).count() as u64;
            if count > 0 {
                *self.columns.entry(name.to_owned()).or_default() += count;
            }
        }
        for own in view.attribute_columns() {
            let (kind, all) = own.present();
            let count = if rows.len() == view.len() { all } else { rows.iter().filter(|row| own.get(**row as usize).is_some()).count() };
            self.add_attribute(own.key, kind, count as u64);
        }
        let mut others: HashMap<(&str, ValueKind), u64, ahash::RandomState> = HashMap::default();
        for (key, value) in rows.iter().flat_map(|row| view.other_attributes(*row as usize)) {
            *others.entry((key, value.kind())).or_default() += 1;
        }
        others.into_iter().for_each(|((key, kind), count)| self.add_attribute(key, kind, count));
        if let Some(resources) = view.resource() {
            self.add_resources(resources, rows);
        }
    }

    /// Attributes of records and of resources.
    pub(crate) fn keys(&self) -> usize {
        self.attributes.len() + self.resource.len()
    }

    /// Counts what was counted elsewhere.
    pub(crate) fn add_all(&mut self, other: FieldCounts) {
        for (name, count) in other.columns {
            *self.columns.entry(name).or_default() += count;
        }
        for (known, more) in [(&mut self.attributes, other.attributes), (&mut self.resource, other.resource)] {
            for (key, kinds) in more {
                self.more |= !kinds.into_iter().all(|(kind, count)| add(known, &key, kind, count));
            }
        }
        self.more |= other.more;
    }

    fn add_attribute(&mut self, key: &str, kind: ValueKind, count: u64) {
        self.more |= !add(&mut self.attributes, key, char::from(kind.letter()), count);
    }

    /// Each resource is parsed once, however many rows have it.
    fn add_resources(&mut self, resources: DictionaryView<'_>, rows: &[u32]) {
        let mut by_code: BTreeMap<usize, u64> = BTreeMap::new();
        for code in rows.iter().filter_map(|row| resources.code(*row as usize)) {
            *by_code.entry(code).or_default() += 1;
        }
        for (code, count) in by_code {
            let Ok(Value::Map(resource)) = Value::from_json(resources.values().value(code)) else { continue };
            let mut seen = BTreeSet::new();
            for (key, value) in resource.iter().filter(|(key, _)| seen.insert(key.clone())) {
                self.more |= !add(&mut self.resource, key, char::from(value.kind().letter()), count);
            }
        }
    }
}

/// Adds to the number of a key and kind. False when there are too many keys for it.
fn add(counts: &mut BTreeMap<String, Kinds>, key: &str, kind: char, count: u64) -> bool {
    if count == 0 {
        return true;
    }
    if !counts.contains_key(key) {
        if counts.len() >= FIELDS_MAX {
            return false;
        }
        counts.insert(key.to_owned(), Kinds::new());
    }
    *counts.get_mut(key).expect("it is there or was just inserted").entry(kind).or_default() += count;
    true
}
