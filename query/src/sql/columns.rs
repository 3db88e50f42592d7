//! The columns of the tables: those of every record, and attributes by their keys.

use std::collections::{BTreeMap, BTreeSet};

use needle_storage::model::{Signal, ValueKind};
use needle_storage::predicate::{Facet, Field};
use needle_storage::{FieldCounts, RecordColumn, TableColumn, ValueType};

/// A column with its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedColumn {
    pub(crate) name: String,
    pub(crate) column: TableColumn,
    pub(crate) values: Values,
}

/// What the values of a column are, beyond their type in Arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// What their type says.
    Plain,
    /// Text that is JSON.
    Json,
    /// Nanoseconds that pass.
    Duration,
    /// Of an attribute; with whether some record has a double under its key.
    Attribute { doubles: bool },
}

/// Where a key is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyPlace {
    /// `"key"`: the record's attributes, else the resource.
    Either,
    /// `attributes['key']`
    Attributes,
    /// `resource['key']`
    Resource,
}

/// The columns that every record of a signal has.
pub(crate) fn of_records(signal: Signal) -> Vec<NamedColumn> {
    let text = |name, field| named(name, TableColumn::Text(Facet::First(vec![field])), Values::Plain);
    let record = |name, column| named(name, TableColumn::Record(column), Values::Plain);
    let json = |name, column| named(name, TableColumn::Record(column), Values::Json);
    let kind = named("kind", TableColumn::Text(Facet::Signal), Values::Plain);
    let mut columns = match signal {
        Signal::Logs => vec![
            kind,
            record("timestamp", RecordColumn::Time),
            text("service", Field::Service),
            text("level", Field::Severity),
            record("severity", RecordColumn::Severity),
            record("severity_number", RecordColumn::SeverityNumber),
            record("body", RecordColumn::Body),
            text("event_name", Field::EventName),
            record("observed_timestamp", RecordColumn::ObservedTime),
        ],
        Signal::Spans => vec![
            kind,
            record("timestamp", RecordColumn::Time),
            record("start", RecordColumn::Time),
            text("service", Field::Service),
            text("name", Field::Name),
            text("span_kind", Field::SpanKind),
            text("status", Field::Status),
            record("status_message", RecordColumn::StatusMessage),
            named("duration_ns", TableColumn::Record(RecordColumn::Duration), Values::Duration),
            record("parent_span_id", RecordColumn::ParentSpanId),
            json("events", RecordColumn::Events),
            json("links", RecordColumn::Links),
            record("trace_state", RecordColumn::TraceState),
            record("dropped_events_count", RecordColumn::DroppedEventsCount),
            record("dropped_links_count", RecordColumn::DroppedLinksCount),
        ],
    };
    columns.extend([
        record("trace_id", RecordColumn::TraceId),
        record("span_id", RecordColumn::SpanId),
        record("request_id", RecordColumn::RequestId),
        record("request_ids", RecordColumn::RequestIds),
        json("attributes", RecordColumn::Attributes),
        json("resource", RecordColumn::Resource),
        json("scope", RecordColumn::Scope),
        record("flags", RecordColumn::Flags),
        record("dropped_attributes_count", RecordColumn::DroppedAttributesCount),
        record("record_id", RecordColumn::RecordId),
    ]);
    columns
}

fn named(name: &str, column: TableColumn, values: Values) -> NamedColumn {
    NamedColumn { name: name.to_owned(), column, values }
}

/// The name of the column of a key.
pub(crate) fn key_name(place: KeyPlace, key: &str) -> String {
    match place {
        KeyPlace::Either => key.to_owned(),
        KeyPlace::Attributes => format!("attributes['{}']", key.replace('\'', "''")),
        KeyPlace::Resource => format!("resource['{}']", key.replace('\'', "''")),
    }
}

/// The column of a key, of the type that all of its values have; text where they differ.
pub(crate) fn of_key(place: KeyPlace, key: &str, known: &FieldCounts) -> NamedColumn {
    let keys = vec![key.to_owned()];
    let attribute_kinds = kinds(&keys, &known.attributes).filter(|_| place != KeyPlace::Resource);
    let resource_kinds = kinds(&keys, &known.resource).filter(|_| place != KeyPlace::Attributes);
    let kinds: Vec<ValueKind> = attribute_kinds.chain(resource_kinds).collect();
    let field = match (place, known.attributes.contains_key(key), known.resource.contains_key(key)) {
        (KeyPlace::Attributes, ..) => Field::Attribute(keys),
        (KeyPlace::Resource, ..) => Field::Resource(keys),
        // What no record has there need not be looked for; when too many keys are in use, all are.
        (KeyPlace::Either, true, false) if !known.more => Field::Attribute(keys),
        (KeyPlace::Either, false, true) if !known.more => Field::Resource(keys),
        (KeyPlace::Either, ..) => Field::Any(keys),
    };
    let are_all = |wanted: &[ValueKind]| !kinds.is_empty() && !known.more && kinds.iter().all(|kind| wanted.contains(kind));
    let column = if are_all(&[ValueKind::Int]) {
        TableColumn::Value(vec![field], ValueType::Int)
    } else if are_all(&[ValueKind::Int, ValueKind::Double]) {
        TableColumn::Value(vec![field], ValueType::Double)
    } else if are_all(&[ValueKind::Bool]) {
        TableColumn::Value(vec![field], ValueType::Bool)
    } else {
        TableColumn::Text(Facet::First(vec![field]))
    };
    let doubles = known.more || kinds.contains(&ValueKind::Double);
    NamedColumn { name: key_name(place, key), column, values: Values::Attribute { doubles } }
}

/// The kinds of values under some keys.
pub(crate) fn kinds<'a>(keys: &[String], counts: &'a BTreeMap<String, BTreeMap<char, u64>>) -> impl Iterator<Item = ValueKind> + use<'a> {
    let letters: Vec<&'a BTreeMap<char, u64>> = keys.iter().filter_map(|key| counts.get(key)).collect();
    letters.into_iter().flat_map(BTreeMap::keys).map(|letter| ValueKind::from_letter(u8::try_from(*letter).unwrap_or(b's')))
}

/// Every key in use that can be asked for by its own name, with its column.
pub(crate) fn of_all_keys(signal: Signal, known: &FieldCounts) -> Vec<NamedColumn> {
    let taken = of_records(signal);
    let keys: BTreeSet<&String> = known.attributes.keys().chain(known.resource.keys()).collect();
    let free = keys.into_iter().filter(|key| taken.iter().all(|column| column.name != **key));
    free.map(|key| of_key(KeyPlace::Either, key, known)).collect()
}
