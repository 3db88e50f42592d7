//! What is counted from columns is what is counted from the records.

use std::collections::BTreeMap;

use super::super::{Group, Histogram, Search, Snapshot, TimeBuckets};
use crate::fields::FieldCounts;
use crate::model::{Log, Record, Span, UnixNanos, Value, column};
use crate::predicate::{Facet, Field, Predicate};

/// So many different ways to count.
pub(super) const WAYS: usize = 12 * 3 * 2;

/// Numbers by value and bucket.
type Counted = BTreeMap<Option<String>, Vec<u64>>;

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn facets() -> Vec<Option<Facet>> {
    let fields = [
        vec![Field::Service],
        vec![Field::Severity],
        vec![Field::Name],
        vec![Field::Status],
        vec![Field::Body, Field::Name],
        vec![Field::Attribute(keys(&["code"]))],
        vec![Field::Attribute(keys(&["route", "tags"]))],
        vec![Field::Any(keys(&["code", "service.name"]))],
        vec![Field::Resource(keys(&["missing", "code"]))],
        vec![Field::EventName, Field::Duration],
    ];
    [None, Some(Facet::Signal)].into_iter().chain(fields.into_iter().map(Facet::First).map(Some)).collect()
}

fn log(record: &Record) -> Option<&Log> {
    if let Record::Log(log) = record { Some(log) } else { None }
}

fn span(record: &Record) -> Option<&Span> {
    if let Record::Span(span) = record { Some(span) } else { None }
}

/// The value of a record, by the record alone.
fn value(facet: &Facet, record: &Record) -> Option<String> {
    let common = record.common();
    let find = |keys: &[String], among: &[(String, Value)]| {
        keys.iter().find_map(|wanted| Some(among.iter().find(|(key, _)| key == wanted)?.1.text()))
    };
    let field = |field: &Field| match field {
        Field::Service => Some(common.service.clone()).filter(|service| !service.is_empty()),
        Field::Severity => Some(log(record)?.severity.level().to_owned()).filter(|level| !level.is_empty()),
        Field::Body => log(record)?.body.as_ref().map(Value::text),
        Field::Name => Some(span(record)?.name.clone()),
        Field::Status => Some(span(record)?.status.name().to_owned()),
        Field::Duration => Some(span(record)?.duration_ns.to_string()),
        Field::Attribute(keys) => find(keys, &common.attributes),
        Field::Resource(keys) => find(keys, &common.resource),
        Field::Any(keys) => find(keys, &common.attributes).or_else(|| find(keys, &common.resource)),
        Field::EventName => log(record)?.event_name.clone(),
        Field::Time | Field::SpanKind | Field::StatusMessage => unreachable!("not asked for"),
    };
    match facet {
        Facet::Signal => Some(if log(record).is_some() { "log" } else { "span" }.to_owned()),
        Facet::First(fields) => fields.iter().find_map(field),
    }
}

fn counted(records: &[Record], by: Option<&Facet>, buckets: TimeBuckets) -> Counted {
    let mut counted = Counted::new();
    for record in records {
        let bucket = (record.common().time.0 - buckets.first.0) / buckets.width_ns;
        let value = by.and_then(|facet| value(facet, record));
        counted.entry(value).or_insert_with(|| vec![0; buckets.count])[bucket as usize] += 1;
    }
    counted
}

/// How many records have which fields, by the records alone.
fn fields_of(records: &[Record]) -> FieldCounts {
    let mut fields = FieldCounts::default();
    for record in records {
        let common = record.common();
        let of_both = [
            (column::SERVICE_NAME, !common.service.is_empty()),
            (column::TRACE_ID, common.trace_id.is_some()),
            (column::SPAN_ID, common.span_id.is_some()),
            (column::REQUEST_ID, !common.request_ids.is_empty()),
        ];
        let of_log = |log: &Log| {
            vec![
                (column::SEVERITY_NUMBER, log.severity.0 > 0),
                (column::BODY, log.body.is_some()),
                (column::EVENT_NAME, log.event_name.is_some()),
            ]
        };
        let of_span = |span: &Span| {
            let always = [column::NAME, column::DURATION, column::KIND, column::STATUS_CODE].map(|name| (name, true));
            always.into_iter().chain([(column::STATUS_MESSAGE, span.status_message.is_some())]).collect()
        };
        let own = log(record).map(of_log).or_else(|| span(record).map(of_span)).unwrap_or_default();
        for (name, _) in of_both.into_iter().chain(own).filter(|(_, has)| *has) {
            *fields.columns.entry(name.to_owned()).or_default() += 1;
        }
        for (counts, attributes) in [(&mut fields.attributes, &common.attributes[..]), (&mut fields.resource, &common.resource[..])] {
            for (key, value) in attributes {
                *counts.entry(key.clone()).or_default().entry(char::from(value.kind().letter())).or_default() += 1;
            }
        }
    }
    fields
}

/// Holds histograms of what a predicate finds to the records that it finds; `number` chooses how to count: one of [`WAYS`].
pub(super) fn assert_counted(snapshot: &Snapshot, predicate: &Predicate, number: usize) {
    let facets = facets();
    assert_eq!(facets.len() * 3 * 2, WAYS);
    let by = facets[number % facets.len()].clone();
    let number = number / facets.len();
    let width_ns = [1, 4, 30][number % 3];
    let (start, end) = if (number / 3).is_multiple_of(2) { (None, None) } else { (Some(UnixNanos(3)), Some(UnixNanos(17))) };
    let first = UnixNanos(start.map_or(0, |start| start.0 / width_ns * width_ns));
    let buckets = TimeBuckets { first, width_ns, count: (20 / width_ns + 1) as usize };
    let search = Search { predicate: predicate.clone(), start, end, ascending: true, after: None, limit: 1_000 };
    let found = snapshot.search(&search, &|| false).unwrap();
    let (fields, _) = snapshot.fields(predicate, start, end, &|| false).unwrap();
    assert_eq!(fields, fields_of(&found.records), "{predicate:?}");
    let histogram = Histogram { predicate: predicate.clone(), start, end, buckets, by };
    let counts = snapshot.histogram(&histogram, &|| false).unwrap();
    assert_eq!(counts.coverage.failures, Vec::<String>::new());
    assert_eq!(counts.beyond, Vec::<u64>::new());
    let groups: Counted = counts.groups.iter().cloned().map(|Group { value, counts }| (value, counts)).collect();
    assert_eq!(groups.len(), counts.groups.len(), "a value stands in two groups");
    assert_eq!(groups, counted(&found.records, histogram.by.as_ref(), buckets), "{histogram:?}");
}
