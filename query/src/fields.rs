//! Fields and their values, by the names that a query knows them by.

use std::collections::BTreeMap;

use needle_storage::model::{ValueKind, column};
use needle_storage::predicate::{Facet, Field};
use needle_storage::{Counts, Coverage, FieldCounts, Histogram, TimeBuckets};

use crate::answer::{FieldPlace, FieldSummary, FieldValuesAnswer, FieldValuesRequest, FieldsAnswer};
use crate::error::{QueryError, predicate_in};
use crate::histogram::{at_most, facet};
use crate::language;
use crate::limits::{VALUES, VALUES_MAX};
use crate::search::completeness;

/// Fields that are no attributes: their column, their name and their type.
const COLUMNS: [(&str, &str, &str); 12] = [
    (column::SERVICE_NAME, "service", "string"),
    (column::SEVERITY_NUMBER, "level", "level"),
    (column::BODY, "body", "string"),
    (column::EVENT_NAME, "event.name", "string"),
    (column::NAME, "name", "string"),
    (column::DURATION, "duration", "duration"),
    (column::KIND, "span.kind", "string"),
    (column::STATUS_CODE, "status", "string"),
    (column::STATUS_MESSAGE, "status_message", "string"),
    (column::TRACE_ID, "trace_id", "id"),
    (column::SPAN_ID, "span_id", "id"),
    (column::REQUEST_ID, "request_id", "id"),
];

/// The answer of what was counted.
pub(crate) fn answer(counts: FieldCounts, coverage: &Coverage) -> FieldsAnswer {
    let of_column = |(column, name, kind): (&str, &str, &'static str)| {
        let count = *counts.columns.get(column)?;
        Some(FieldSummary { name: name.to_owned(), place: FieldPlace::Record, count, types: vec![(kind, count)] })
    };
    let mut fields: Vec<FieldSummary> = COLUMNS.into_iter().filter_map(of_column).collect();
    for (key, kinds) in &counts.attributes {
        fields.push(summary(attribute_name(key), FieldPlace::Attribute, kinds));
    }
    // What a resource says of its service is the field `service`.
    for (key, kinds) in counts.resource.iter().filter(|(key, _)| *key != "service.name") {
        let name = resource_name(key, counts.attributes.contains_key(key));
        fields.push(summary(name, FieldPlace::Resource, kinds));
    }
    fields.sort_by(|one, other| other.count.cmp(&one.count).then(one.place.cmp(&other.place)).then_with(|| one.name.cmp(&other.name)));
    FieldsAnswer { fields, more: counts.more, completeness: completeness(coverage) }
}

/// The name of a column.
pub(crate) fn column_name(column: &str) -> Option<&'static str> {
    COLUMNS.iter().find(|(own, ..)| *own == column).map(|(_, name, _)| *name)
}

/// The name of an attribute of records.
pub(crate) fn attribute_name(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { format!("attr.{key}") }
}

/// The name of an attribute of resources.
pub(crate) fn resource_name(key: &str, is_attribute_too: bool) -> String {
    if is_bare(key) && !is_attribute_too { key.to_owned() } else { format!("resource.{key}") }
}

/// Whether a query finds an attribute by its bare key.
fn is_bare(key: &str) -> bool {
    let Ok(Facet::First(fields)) = language::facet(key) else { return false };
    matches!(fields.as_slice(), [Field::Any(keys)] if keys[0] == key)
}

fn summary(name: String, place: FieldPlace, kinds: &BTreeMap<char, u64>) -> FieldSummary {
    let mut types: Vec<(&'static str, u64)> = kinds.iter().map(|(letter, count)| (type_name(*letter), *count)).collect();
    types.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    FieldSummary { name, place, count: types.iter().map(|(_, count)| count).sum(), types }
}

fn type_name(letter: char) -> &'static str {
    match ValueKind::from_letter(u8::try_from(letter).unwrap_or(b's')) {
        ValueKind::Empty => "empty",
        ValueKind::String => "string",
        ValueKind::Int => "int",
        ValueKind::Double => "double",
        ValueKind::Bool => "bool",
        ValueKind::Bytes => "bytes",
        ValueKind::Array => "array",
        ValueKind::Map => "map",
    }
}

/// What a question for values asks of storage, and how its answer is cut.
pub(crate) struct ValuesPlan {
    pub(crate) histogram: Histogram,
    prefix: String,
    limit: usize,
}

impl ValuesPlan {
    pub(crate) fn of(request: &FieldValuesRequest) -> Result<ValuesPlan, QueryError> {
        let (start, end) = (request.of.start, request.of.end);
        let predicate = predicate_in(&request.of.query, start, end)?;
        let by = Some(facet(&request.name)?);
        let limit = at_most("limit", request.limit.unwrap_or(VALUES), VALUES_MAX)?;
        let histogram = Histogram { predicate, start, end, buckets: TimeBuckets::ONE, by };
        Ok(ValuesPlan { histogram, prefix: request.prefix.to_lowercase(), limit })
    }

    pub(crate) fn answer(&self, counts: Counts) -> FieldValuesAnswer {
        let (mut values, mut without, mut unlike) = (Vec::new(), 0, 0);
        for group in counts.groups {
            let count = group.total();
            match group.value {
                Some(value) if value.to_lowercase().starts_with(&self.prefix) => values.push((value, count)),
                Some(_) => unlike += count,
                None => without = count,
            }
        }
        values.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let beyond: u64 = counts.beyond.iter().sum();
        let cut = values.split_off(self.limit.min(values.len()));
        FieldValuesAnswer {
            values,
            other: cut.iter().map(|(_, count)| count).sum::<u64>() + unlike + beyond,
            without,
            exact: counts.beyond.is_empty(),
            completeness: completeness(&counts.coverage),
        }
    }
}

#[cfg(test)]
mod tests {
    use needle_storage::Group;

    use super::*;

    #[test]
    fn fields_are_named_as_a_query_finds_them() {
        let one = |kind| BTreeMap::from([(kind, 1)]);
        let attributes = [("http.route", one('s')), ("level", one('s')), ("code", BTreeMap::from([('s', 2), ('i', 3)]))];
        let resource = [("service.name", one('s')), ("code", one('i')), ("host.name", one('s'))];
        let counts = FieldCounts {
            columns: BTreeMap::from([(column::SERVICE_NAME.to_owned(), 9)]),
            attributes: attributes.into_iter().map(|(key, kinds)| (key.to_owned(), kinds)).collect(),
            resource: resource.into_iter().map(|(key, kinds)| (key.to_owned(), kinds)).collect(),
            more: false,
        };
        let answer = answer(counts, &Coverage::default());
        let named: Vec<_> = answer.fields.iter().map(|field| (field.name.as_str(), field.count)).collect();
        assert_eq!(named, [("service", 9), ("code", 5), ("attr.level", 1), ("http.route", 1), ("host.name", 1), ("resource.code", 1)]);
        assert_eq!(answer.fields[1].types, [("int", 3), ("string", 2)]);
        for field in &answer.fields {
            assert!(facet(&field.name).is_ok(), "{} can be asked for", field.name);
        }
    }

    #[test]
    fn values_come_largest_first_and_the_rest_is_summed() {
        let request = |prefix: &str| FieldValuesRequest {
            name: "service".to_owned(),
            prefix: prefix.to_owned(),
            limit: Some(1),
            ..FieldValuesRequest::default()
        };
        let group = |value: Option<&str>, count| Group { value: value.map(str::to_owned), counts: vec![count] };
        let counts = Counts { groups: vec![group(Some("cart"), 2), group(None, 7), group(Some("Checkout"), 5)], ..Counts::default() };
        let plan = |prefix| ValuesPlan::of(&request(prefix)).expect("a plan");
        let answer = plan("").answer(counts.clone());
        assert_eq!((answer.values.as_slice(), answer.other, answer.without, answer.exact), (&[("Checkout".to_owned(), 5)][..], 2, 7, true));
        assert_eq!(plan("CA").answer(counts.clone()).values, [("cart".to_owned(), 2)]);
        let beyond = plan("").answer(Counts { beyond: vec![4], ..counts });
        assert_eq!((beyond.other, beyond.exact), (6, false));
        let refused = |request| ValuesPlan::of(&request).map(|_| ()).expect_err("refused").to_string();
        assert!(refused(FieldValuesRequest { name: "trace_id".to_owned(), ..request("") }).contains("nearly every record"));
        assert!(refused(FieldValuesRequest { limit: Some(0), ..request("") }).contains("1 or more"));
    }
}
