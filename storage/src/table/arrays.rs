//! Arrays of some rows of a view.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int32Array, Int64Builder, ListBuilder, RecordBatch, RecordBatchOptions,
    StringViewArray, StringViewBuilder, TimestampNanosecondArray, UInt8Array, UInt32Array, new_null_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};

use super::{RecordColumn, TableColumn, ValueType};
use crate::model::{RecordsView, Signal, ValueKind, column, write_json_map};
use crate::predicate::{Facet, FacetValues, FieldReader};

/// The batch of some rows of a view, ascending.
pub(crate) fn batch(schema: &SchemaRef, columns: &[TableColumn], view: &RecordsView<'_>, rows: &[u32]) -> RecordBatch {
    let rows = Rows { view, rows };
    let arrays = columns.iter().map(|column| rows.array(column)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options).expect("every array has the type that its column says")
}

/// Rows of which nothing is wanted but their number.
pub(crate) fn batch_of_nothing(schema: &SchemaRef, rows: u64) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows).ok());
    RecordBatch::try_new_with_options(schema.clone(), Vec::new(), &options).expect("there is no column that could differ")
}

/// Some rows of a view.
struct Rows<'v, 'a> {
    view: &'v RecordsView<'a>,
    rows: &'v [u32],
}

impl Rows<'_, '_> {
    fn array(&self, column: &TableColumn) -> ArrayRef {
        match column {
            TableColumn::Record(record) => self.record_array(*record),
            TableColumn::Text(facet) => self.facet(facet),
            TableColumn::Value(fields, value_type) => self.values(&mut FieldReader::new(fields, self.view), *value_type),
        }
    }

    fn record_array(&self, record: RecordColumn) -> ArrayRef {
        let view = self.view;
        match record {
            RecordColumn::RecordId => self.picked(column::RECORD_ID, record),
            RecordColumn::Time => match view.signal {
                Signal::Logs => self.picked(column::TIMESTAMP, record),
                Signal::Spans => self.picked(column::START, record),
            },
            RecordColumn::TraceId => self.hex(|row| view.trace_id(row).map(|id| id.0)),
            RecordColumn::SpanId => self.hex(|row| view.span_id(row).map(|id| id.0)),
            RecordColumn::ParentSpanId => self.hex(|row| view.parent_span_id(row).map(|id| id.0)),
            RecordColumn::RequestIds => self.request_ids(),
            RecordColumn::Severity => self.severities(),
            RecordColumn::SeverityNumber => self.severity_numbers(),
            RecordColumn::ObservedTime => self.observed_times(),
            RecordColumn::Duration => self.picked(column::DURATION, record),
            RecordColumn::Attributes => self.attributes(),
            RecordColumn::Flags => self.picked(column::FLAGS, record),
            RecordColumn::DroppedAttributesCount => self.picked(column::DROPPED_ATTRIBUTES_COUNT, record),
            RecordColumn::DroppedEventsCount => self.picked(column::DROPPED_EVENTS_COUNT, record),
            RecordColumn::DroppedLinksCount => self.picked(column::DROPPED_LINKS_COUNT, record),
            RecordColumn::RequestId => self.text(column::REQUEST_ID),
            RecordColumn::Body => self.text(column::BODY),
            RecordColumn::StatusMessage => self.text(column::STATUS_MESSAGE),
            RecordColumn::Resource => self.text(column::RESOURCE),
            RecordColumn::Scope => self.text(column::SCOPE),
            RecordColumn::Events => self.text(column::EVENTS),
            RecordColumn::Links => self.text(column::LINKS),
            RecordColumn::TraceState => self.text(column::TRACE_STATE),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|row| *row as usize)
    }

    /// These rows of an array of all rows.
    fn pick(&self, array: &ArrayRef) -> ArrayRef {
        if self.rows.len() == array.len() {
            return array.clone();
        }
        take(array, &UInt32Array::from(self.rows.to_vec()), None).expect("the rows are rows of the array")
    }

    /// These rows of a column that is handed out as it is. Columns that a signal or a shard has not are null.
    fn picked(&self, name: &str, record: RecordColumn) -> ArrayRef {
        let array = self.view.array(name).map(|array| self.pick(array));
        array.unwrap_or_else(|| new_null_array(&record.data_type(), self.rows.len()))
    }

    /// These rows of a column of text, copied only where few of its rows are wanted: a view keeps all of its text.
    fn text(&self, name: &str) -> ArrayRef {
        let Some(array) = self.view.array(name) else { return new_null_array(&DataType::Utf8View, self.rows.len()) };
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let keys = self.pick(&dictionary.keys().slice(0, array.len()));
            return coded(&views(dictionary.values()), keys.as_primitive::<Int32Type>());
        }
        if self.rows.len() < array.len() / 2 { views(&self.pick(array)) } else { self.pick(&views(array)) }
    }

    fn facet(&self, facet: &Facet) -> ArrayRef {
        let (mut texts, mut count) = (StringViewBuilder::new(), 0);
        let mut values = FacetValues::of(Some(facet), self.view);
        let mut number_of = |text: &str| {
            texts.append_value(text);
            count += 1;
            count - 1
        };
        let codes = self.numbers().map(|row| values.number(row, &mut number_of).map(|number: u32| number as i32));
        let codes: Int32Array = codes.collect();
        coded(&(Arc::new(texts.finish()) as ArrayRef), &codes)
    }

    fn values(&self, reader: &mut FieldReader<'_, '_>, value_type: ValueType) -> ArrayRef {
        match value_type {
            ValueType::Int => {
                let mut numbers = Int64Builder::with_capacity(self.rows.len());
                let integer = |row| reader.get(row, |value| value.integer().filter(|_| value.kind() == ValueKind::Int));
                self.numbers().map(integer).for_each(|number| numbers.append_option(number));
                Arc::new(numbers.finish())
            }
            ValueType::Double => {
                let mut numbers = Float64Builder::with_capacity(self.rows.len());
                self.numbers().for_each(|row| numbers.append_option(reader.get(row, |value| value.counted())));
                Arc::new(numbers.finish())
            }
            ValueType::Bool => {
                let mut truths = BooleanBuilder::with_capacity(self.rows.len());
                self.numbers().for_each(|row| truths.append_option(reader.get(row, |value| value.truth())));
                Arc::new(truths.finish())
            }
        }
    }

    fn hex<const N: usize>(&self, id: impl Fn(usize) -> Option<[u8; N]>) -> ArrayRef {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut texts = StringViewBuilder::with_capacity(self.rows.len());
        let mut digits = Vec::with_capacity(2 * N);
        for row in self.numbers() {
            let Some(id) = id(row) else {
                texts.append_null();
                continue;
            };
            digits.clear();
            digits.extend(id.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(|digit| DIGITS[usize::from(digit)]));
            texts.append_value(std::str::from_utf8(&digits).expect("digits are text"));
        }
        Arc::new(texts.finish())
    }

    fn request_ids(&self) -> ArrayRef {
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        for row in self.numbers() {
            self.view.request_ids(row).for_each(|id| lists.values().append_value(id));
            lists.append(true);
        }
        Arc::new(lists.finish())
    }

    fn severities(&self) -> ArrayRef {
        let named = |row| self.view.severity_text(row).or(Some(self.view.severity(row).name()).filter(|name| !name.is_empty()));
        Arc::new(self.numbers().map(named).collect::<StringViewArray>())
    }

    fn severity_numbers(&self) -> ArrayRef {
        let number = |row| Some(self.view.severity(row).0).filter(|number| *number > 0);
        Arc::new(self.numbers().map(number).collect::<UInt8Array>())
    }

    fn observed_times(&self) -> ArrayRef {
        let observed = |row| Some(self.view.time_column(row).wrapping_add(self.view.observed_after(row)?));
        Arc::new(self.numbers().map(observed).collect::<TimestampNanosecondArray>().with_timezone("UTC"))
    }

    fn attributes(&self) -> ArrayRef {
        let mut texts = StringViewBuilder::with_capacity(self.rows.len());
        let mut json = String::new();
        for row in self.numbers() {
            json.clear();
            write_json_map(&self.view.sorted_attributes(row, |_| true), &mut json);
            texts.append_value(&json);
        }
        Arc::new(texts.finish())
    }
}

/// Text as views, which share its bytes.
fn views(texts: &ArrayRef) -> ArrayRef {
    cast(texts, &DataType::Utf8View).expect("text is text in either form")
}

/// The texts that some codes stand for.
fn coded(texts: &ArrayRef, codes: &Int32Array) -> ArrayRef {
    take(texts, codes, None).expect("codes are places of texts")
}
