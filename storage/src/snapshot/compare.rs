//! Counting every value of every field, apart for two sets of records.

use std::collections::{BTreeMap, HashMap};

use arrow::array::Array;

use crate::fields::FIELD_COLUMNS;
use crate::model::{AttributeColumn, DictionaryView, RecordsView, UnixNanos, Value, column};
use crate::predicate::{Columns, Facet, FacetValues, Field, Predicate, matching_among, without};

use super::scan::{Numbers, Sink};
use super::{Coverage, ReadError, Snapshot, TIME_COLUMNS, overlaps};

/// Two sets of records to be compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The one set.
    pub selected: Predicate,
    /// The other; none for all records that are not in the first. A record may be in both.
    pub baseline: Option<Predicate>,
    /// From this time on, inclusive.
    pub start: Option<UnixNanos>,
    /// Up to this time, exclusive.
    pub end: Option<UnixNanos>,
}

/// Numbers of records: selected ones, and those of the baseline.
pub type Sides = [u64; 2];

/// The values of all fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Every field that some record has.
    pub fields: BTreeMap<ComparedPlace, ComparedField>,
    /// All records.
    pub records: Sides,
    /// Whether there were more fields than are looked at.
    pub more: bool,
    /// What was read.
    pub coverage: Coverage,
}

/// Where a field stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComparedPlace {
    /// Whether the record is a log or a span.
    Signal,
    /// In a column of that name.
    Column(&'static str),
    /// Among the record's attributes, under this key.
    Attribute(String),
    /// Among the resource's.
    Resource(String),
}

/// The values of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparedField {
    /// Records that have the field.
    pub present: Sides,
    /// Records by value; empty when they are not told apart.
    pub values: BTreeMap<String, Sides>,
    /// Why they are not, if so.
    pub left_out: Option<LeftOut>,
    /// Length of all values, in bytes.
    pub bytes: usize,
}

/// Why the values of a field are not told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// They are too many, or too long.
    TooMany,
    /// They are request ids.
    Ids,
}

/// A field with more values than this is left out: it is a measure, or nearly unique.
pub(super) const VALUES_MAX: usize = if cfg!(test) { 5 } else { 1_000 };
/// And one whose values take more bytes.
const VALUES_BYTES_MAX: usize = 64 << 10;
/// Values of all fields together; whatever field has another one then is left out.
const ALL_VALUES_MAX: usize = 256 << 10;
/// Fields that are looked at.
const FIELDS_MAX: usize = 2_000;

/// Fields that are no attributes and whose values many records share.
const COLUMNS: [(&str, Field); 7] = [
    (column::SERVICE_NAME, Field::Service),
    (column::SEVERITY_NUMBER, Field::Severity),
    (column::EVENT_NAME, Field::EventName),
    (column::NAME, Field::Name),
    (column::KIND, Field::SpanKind),
    (column::STATUS_CODE, Field::Status),
    (column::STATUS_MESSAGE, Field::StatusMessage),
];

/// Those whose values are not looked at.
const UNREAD_COLUMNS: [&str; 4] = [column::BODY, column::TRACE_ID, column::SPAN_ID, column::DURATION];

impl Snapshot {
    /// How many records of each of two sets have which values of which fields. Each column is read once.
    pub fn compare(&self, comparison: &Comparison, cancelled: &dyn Fn() -> bool) -> Result<Compared, ReadError> {
        let asked = Columns::of(&comparison.selected).with_predicate(comparison.baseline.as_ref().unwrap_or(&Predicate::All));
        let asks_time = TIME_COLUMNS.iter().any(|name| asked.contain(name));
        let columns = asked.with(&TIME_COLUMNS).with_every_attribute();
        let either = match &comparison.baseline {
            None => Predicate::All,
            Some(baseline) => Predicate::Or(vec![comparison.selected.clone(), baseline.clone()]),
        };
        let mut unread: Vec<&'static str> = UNREAD_COLUMNS.to_vec();
        unread.retain(|name| !columns.contain(name));
        let columns = columns.with(&FIELD_COLUMNS).without(&unread);
        let facets = COLUMNS.map(|(name, field)| (name, Facet::First(vec![field])));
        let mut sink = Comparing { comparison, cancelled, asks_time, facets, all_values: 0, compared: Compared::default() };
        let coverage = self.sweep(&either, columns, cancelled, &mut sink)?;
        Ok(Compared { coverage, ..sink.compared })
    }
}

/// Counts while rows go by.
struct Comparing<'c> {
    comparison: &'c Comparison,
    cancelled: &'c dyn Fn() -> bool,
    /// Whether a record's side depends on its time: then bounds do not do.
    asks_time: bool,
    facets: [(&'static str, Facet); COLUMNS.len()],
    all_values: usize,
    compared: Compared,
}

impl Comparing<'_> {
    fn contains(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        self.comparison.start.is_none_or(|start| time_min >= start) && self.comparison.end.is_none_or(|end| time_max < end)
    }

    /// Counts rows that are between the times, each on its sides.
    fn count(&mut self, view: &RecordsView<'_>, rows: Vec<u32>) {
        // Of a question that was withdrawn nothing is counted: it has no answer.
        let Some(selected) = matching_among(&self.comparison.selected, view, rows.clone(), self.cancelled) else { return };
        let baseline = match &self.comparison.baseline {
            None => without(rows, &selected),
            Some(baseline) => matching_among(baseline, view, rows, self.cancelled).unwrap_or_default(),
        };
        for (side, rows) in [selected, baseline].iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            self.compared.records[side] += rows.len() as u64;
            self.add(ComparedPlace::Signal, view.signal.as_str().trim_end_matches('s'), side, rows.len() as u64);
            self.count_columns(view, rows, side);
            view.attribute_columns().iter().for_each(|own| self.count_own(own, view, rows, side));
            self.count_others(view, rows, side);
            if let Some(resources) = view.resource() {
                self.count_resources(resources, rows, side);
            }
        }
    }

    fn count_columns(&mut self, view: &RecordsView<'_>, rows: &[u32], side: usize) {
        let facets = self.facets.clone();
        for (name, facet) in &facets {
            let mut numbers: HashMap<String, u32, ahash::RandomState> = HashMap::default();
            let mut counts: Vec<u64> = Vec::new();
            let mut number_of = |value: &str| match numbers.get(value) {
                Some(number) => *number,
                None => {
                    let number = numbers.len() as u32;
                    numbers.insert(value.to_owned(), number);
                    number
                }
            };
            let mut add = |number: Option<u32>, count| {
                let Some(number) = number else { return };
                counts.resize(counts.len().max(number as usize + 1), 0);
                counts[number as usize] += count;
            };
            FacetValues::of(Some(facet), view).count(rows, &mut number_of, &mut add);
            for (value, number) in numbers {
                self.add(ComparedPlace::Column(name), &value, side, counts.get(number as usize).copied().unwrap_or(0));
            }
        }
    }

    /// An attribute with a column of its own.
    fn count_own(&mut self, own: &AttributeColumn<'_>, view: &RecordsView<'_>, rows: &[u32], side: usize) {
        let place = ComparedPlace::Attribute(own.key.to_owned());
        let Some(texts) = own.dictionary() else {
            for (row, value) in rows.iter().filter_map(|row| Some((*row as usize, own.get(*row as usize)?))) {
                let text = value.text();
                self.add_attribute(&place, &text, view.request_id(row), side);
            }
            return;
        };
        let mut counts = vec![0_u64; texts.values().len()];
        for row in rows.iter().map(|row| *row as usize) {
            let Some(code) = texts.code(row) else { continue };
            counts[code] += 1;
            if view.request_id(row).is_some_and(|id| id == texts.values().value(code)) {
                self.leave_out(&place, LeftOut::Ids);
            }
        }
        for (code, count) in counts.into_iter().enumerate() {
            self.add(place.clone(), texts.values().value(code), side, count);
        }
    }

    fn count_others(&mut self, view: &RecordsView<'_>, rows: &[u32], side: usize) {
        for row in rows.iter().map(|row| *row as usize) {
            for (key, value) in view.other_attributes(row) {
                self.add_attribute(&ComparedPlace::Attribute(key.to_owned()), &value.text(), view.request_id(row), side);
            }
        }
    }

    /// Each resource is parsed once, however many rows have it.
    fn count_resources(&mut self, resources: DictionaryView<'_>, rows: &[u32], side: usize) {
        let mut by_code: BTreeMap<usize, u64> = BTreeMap::new();
        for code in rows.iter().filter_map(|row| resources.code(*row as usize)) {
            *by_code.entry(code).or_default() += 1;
        }
        for (code, count) in by_code {
            let Ok(Value::Map(resource)) = Value::from_json(resources.values().value(code)) else { continue };
            // The service is a column.
            let attributes: BTreeMap<String, Value> = resource.into_iter().rev().filter(|(key, _)| key != "service.name").collect();
            for (key, value) in attributes {
                self.add(ComparedPlace::Resource(key), &value.text(), side, count);
            }
        }
    }

    fn add_attribute(&mut self, place: &ComparedPlace, value: &str, request_id: Option<&str>, side: usize) {
        if request_id == Some(value) {
            self.leave_out(place, LeftOut::Ids);
        }
        self.add(place.clone(), value, side, 1);
    }

    fn leave_out(&mut self, place: &ComparedPlace, why: LeftOut) {
        let Some(field) = self.field(place.clone()) else { return };
        let given_back = field.leave_out(why);
        self.all_values -= given_back;
    }

    fn field(&mut self, place: ComparedPlace) -> Option<&mut ComparedField> {
        if self.compared.fields.len() >= FIELDS_MAX && !self.compared.fields.contains_key(&place) {
            self.compared.more = true;
            return None;
        }
        Some(self.compared.fields.entry(place).or_default())
    }

    fn add(&mut self, place: ComparedPlace, value: &str, side: usize, count: u64) {
        let room = ALL_VALUES_MAX > self.all_values;
        let Some(field) = self.field(place).filter(|_| count > 0) else { return };
        field.present[side] += count;
        if field.left_out.is_some() {
            return;
        }
        if let Some(counts) = field.values.get_mut(value) {
            counts[side] += count;
        } else if room && field.values.len() < VALUES_MAX && field.bytes + value.len() <= VALUES_BYTES_MAX {
            field.bytes += value.len();
            let mut counts = Sides::default();
            counts[side] = count;
            field.values.insert(value.to_owned(), counts);
            self.all_values += 1;
        } else {
            let given_back = field.leave_out(LeftOut::TooMany);
            self.all_values -= given_back;
        }
    }
}

impl ComparedField {
    /// No longer tells values apart; how many it did. That values are ids says more than that they are many.
    fn leave_out(&mut self, why: LeftOut) -> usize {
        self.left_out = self.left_out.max(Some(why));
        self.bytes = 0;
        std::mem::take(&mut self.values).len()
    }
}

impl Sink for Comparing<'_> {
    fn wants(&mut self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        overlaps((time_min, time_max), self.comparison.start.unwrap_or(UnixNanos::MIN), self.comparison.end)
    }

    fn bounds_suffice(&self, time_min: UnixNanos, time_max: UnixNanos) -> bool {
        !self.asks_time && self.contains(time_min, time_max)
    }

    fn take_between(&mut self, view: &RecordsView<'_>, rows: &[u32], _time_min: UnixNanos, _time_max: UnixNanos) {
        self.count(view, rows.to_vec());
    }

    fn take(&mut self, view: &RecordsView<'_>, rows: &[u32], _numbers: Numbers<'_>) {
        let inside: Vec<u32> =
            rows.iter().copied().filter(|row| self.contains(view.time(*row as usize), view.time(*row as usize))).collect();
        self.count(view, inside);
    }
}
