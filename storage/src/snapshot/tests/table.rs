//! Rows as columns are the records that a search finds, whatever is asked of them and in however many shares.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::predicate::Facet;
use crate::snapshot::Snapshot;
use crate::table::{RecordColumn, Share, TableColumn, TableScan, ValueType};

const RECORD_COLUMNS: [RecordColumn; 14] = [
    RecordColumn::RecordId,
    RecordColumn::Time,
    RecordColumn::TraceId,
    RecordColumn::SpanId,
    RecordColumn::RequestId,
    RecordColumn::RequestIds,
    RecordColumn::Severity,
    RecordColumn::SeverityNumber,
    RecordColumn::Body,
    RecordColumn::ObservedTime,
    RecordColumn::Duration,
    RecordColumn::Attributes,
    RecordColumn::Resource,
    RecordColumn::Events,
];

fn code() -> Vec<Field> {
    vec![Field::Any(vec!["code".to_owned(), "route".to_owned()])]
}

fn columns() -> Vec<TableColumn> {
    let facets = [Facet::Signal, Facet::First(vec![Field::Service]), Facet::First(vec![Field::Name]), Facet::First(code())];
    let typed = [ValueType::Int, ValueType::Double, ValueType::Bool].map(|value_type| TableColumn::Value(code(), value_type));
    RECORD_COLUMNS.into_iter().map(TableColumn::Record).chain(facets.map(TableColumn::Text)).chain(typed).collect()
}

/// Holds the columns of all that matches against the records found, all together and each alone.
pub(super) fn assert_table(snapshot: &Snapshot, predicate: &Predicate, found: &[Record], way: usize) {
    let all = columns();
    let together = read(snapshot, predicate, &all, 1 + way % 3);
    let mut expected: Vec<Vec<String>> = found.iter().map(cells).collect();
    expected.sort();
    assert_eq!(together, expected, "other rows than found");
    // The first column names the record; any other is read beside it as it is among all.
    let other = 1 + way % (all.len() - 1);
    let mut chosen: Vec<Vec<String>> = together.iter().map(|cells| vec![cells[0].clone(), cells[other].clone()]).collect();
    chosen.sort();
    assert_eq!(read(snapshot, predicate, &[all[0].clone(), all[other].clone()], 2), chosen, "alone {:?} reads otherwise", all[other]);
    assert_eq!(read(snapshot, predicate, &[], 2).len(), found.len(), "counted otherwise without columns");
}

/// The rows of all shares, sorted.
fn read(snapshot: &Snapshot, predicate: &Predicate, columns: &[TableColumn], of: usize) -> Vec<Vec<String>> {
    let scan = TableScan { predicate: predicate.clone(), start: Some(UnixNanos(2)), end: Some(UnixNanos(18)), columns: columns.to_vec() };
    let mut rows = Vec::new();
    for number in 0..of {
        let coverage = snapshot.table(&scan, Share { number, of }, &|| false, &mut |batch| {
            rows.extend(shown(&batch));
            true
        });
        assert_eq!(coverage.unwrap().failures, Vec::<String>::new());
    }
    rows.sort();
    rows
}

fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("none");
    // Times as numbers: their names depend on what else is compiled in.
    let plain = |array: &ArrayRef| match array.data_type() {
        DataType::Timestamp(..) => cast(array, &DataType::Int64).unwrap(),
        _ => array.clone(),
    };
    let arrays: Vec<ArrayRef> = batch.columns().iter().map(plain).collect();
    let columns: Vec<_> = arrays.iter().map(|array| ArrayFormatter::try_new(array.as_ref(), &options).unwrap()).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// What the columns say of a record, told from the record itself.
fn cells(record: &Record) -> Vec<String> {
    let common = record.common();
    let text = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let json = |attributes: &Attributes| {
        let mut json = String::new();
        write_json_map(attributes, &mut json);
        json
    };
    let time = |time: UnixNanos| time.0.to_string();
    let (severity, number, body, observed, duration, name, events) = match record {
        Record::Log(log) => {
            let named = Some(log.severity.name().to_owned()).filter(|name| !name.is_empty());
            let number = Some(log.severity.0).filter(|number| *number > 0).map(|number| number.to_string());
            (named, number, log.body.as_ref().map(Value::text), log.observed_time.map(time), None, None, None)
        }
        Record::Span(span) => {
            let events = "[{\"time\":1,\"name\":\"exception\",\"attributes\":{\"exception.message\":\"card refused\"}}]";
            let events = (!span.events.is_empty()).then(|| events.to_owned());
            (None, None, None, None, Some(span.duration_ns.to_string()), Some(span.name.clone()), events)
        }
    };
    let value = ["code", "route"].iter().find_map(|key| first(&common.attributes, key)).or_else(|| first(&common.resource, "code"));
    vec![
        common.record_id.0.to_string(),
        time(common.time),
        text(common.trace_id.map(|id| id.to_string())),
        text(common.span_id.map(|id| id.to_string())),
        text(common.request_ids.first().cloned()),
        format!("[{}]", common.request_ids.join(", ")),
        text(severity),
        text(number),
        text(body),
        text(observed),
        text(duration),
        json(&common.attributes),
        json(&common.resource),
        text(events),
        if matches!(record, Record::Log(_)) { "log" } else { "span" }.to_owned(),
        common.service.clone(),
        text(name),
        text(value.map(Value::text)),
        text(value.and_then(|value| if let Value::Int(number) = value { Some(number.to_string()) } else { None })),
        text(value.and_then(counted).map(|number| format!("{number:?}"))),
        text(value.and_then(|value| if let Value::Bool(truth) = value { Some(truth.to_string()) } else { None })),
    ]
}

/// A value that counts as a number.
fn counted(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number).filter(|number| !number.is_nan()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn first<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a Value> {
    attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}
