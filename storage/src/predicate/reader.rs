//! Values of fields, row by row.

use std::collections::HashMap;

use super::Field;
use super::evaluate::attribute;
use crate::model::{ColumnValue, RecordsView, Signal, SpanKind, StatusCode, Value, ValueKind};

/// Reads the first value that a row has in some fields. A resource is parsed once, however many rows have it.
pub(crate) struct FieldReader<'v, 'a> {
    fields: &'v [Field],
    view: &'v RecordsView<'a>,
    resources: HashMap<usize, Option<Value>, ahash::RandomState>,
}

impl<'v, 'a> FieldReader<'v, 'a> {
    pub(crate) fn new(fields: &'v [Field], view: &'v RecordsView<'a>) -> FieldReader<'v, 'a> {
        FieldReader { fields, view, resources: HashMap::default() }
    }

    /// What `of_value` makes of the row's value; none where the row has no value.
    pub(crate) fn get<T>(&mut self, row: usize, of_value: impl Fn(&ColumnValue<'_>) -> Option<T>) -> Option<T> {
        let fields = self.fields;
        for field in fields {
            if let Some(value) = self.value(field, row) {
                return of_value(&value);
            }
            if let Field::Resource(keys) | Field::Any(keys) = field
                && let Some(value) = self.resource(keys, row)
            {
                return of_value(&ColumnValue::Text(value.kind(), &value.text()));
            }
        }
        None
    }

    /// The value of a field outside of the resource.
    fn value(&self, field: &Field, row: usize) -> Option<ColumnValue<'a>> {
        let view = self.view;
        let text = |text: Option<&'a str>| text.map(|text| ColumnValue::Text(ValueKind::String, text));
        match field {
            Field::Time => Some(ColumnValue::Int(view.time(row).saturating_i64())),
            Field::Service => text(Some(view.service(row)).filter(|service| !service.is_empty())),
            Field::Severity if view.signal == Signal::Logs => {
                Some(view.severity(row).0).filter(|number| *number > 0).map(|number| ColumnValue::Int(number.into()))
            }
            Field::Severity | Field::Resource(_) => None,
            Field::Body => text(view.body(row)),
            Field::Name => text(view.name(row)),
            Field::Duration => view.duration_ns(row).map(ColumnValue::Int),
            Field::Status => text(view.status(row).map(StatusCode::name)),
            Field::StatusMessage => text(view.status_message(row)),
            Field::SpanKind => text(view.kind(row).map(SpanKind::name)),
            Field::EventName => text(view.event_name(row)),
            Field::Attribute(keys) | Field::Any(keys) => attribute(keys, view, row),
        }
    }

    fn resource(&mut self, keys: &[String], row: usize) -> Option<&Value> {
        let resources = self.view.resource()?;
        let code = resources.code(row)?;
        let parsed = self.resources.entry(code).or_insert_with(|| Value::from_json(resources.values().value(code)).ok());
        keys.iter().find_map(|key| parsed.as_ref()?.get(key))
    }
}
