//! Answers that are tables: rows of typed cells, and files of them.

mod formats;
mod spreadsheet;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::memory_pool::MemoryReservation;

use crate::answer::Completeness;
use crate::sql::records::VALUES_KEY;

pub use spreadsheet::no_formula;

/// Rows of typed cells.
#[derive(Debug)]
pub struct Table {
    /// What each cell of a row is.
    pub columns: Vec<TableColumnSummary>,
    /// What was searched.
    pub completeness: Completeness,
    /// What is to be said beside it: fields that no record has.
    pub notes: Vec<String>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// The memory they take, given back with them.
    _reserved: Option<MemoryReservation>,
}

/// What the cells of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumnSummary {
    /// As the statement named it.
    pub name: String,
    /// `string`, `int`, `uint`, `double`, `bool`, `timestamp`, `duration` (nanoseconds), `list`, `json` (text that is
    /// JSON), or the name of a type in Arrow, whose values are shown as text.
    pub kind: String,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// Any number.
    Double(f64),
    /// Text, or a value of a type that has no other form here.
    Text(std::borrow::Cow<'a, str>),
    /// Text that is JSON.
    Json(&'a str),
    /// Nanoseconds since the epoch, UTC.
    Time(i64),
    /// Several.
    List(Vec<Cell<'a>>),
}

impl Table {
    /// The table of some batches.
    pub(crate) fn new(
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        reserved: Option<MemoryReservation>,
        completeness: Completeness,
    ) -> Table {
        let columns = schema.fields().iter().map(|field| TableColumnSummary { name: field.name().clone(), kind: kind(field) }).collect();
        Table { columns, completeness, notes: Vec::new(), schema: plain_schema(schema), batches, _reserved: reserved }
    }

    /// A table of texts.
    pub(crate) fn of_texts<const N: usize>(
        names: &[&str; N],
        rows: impl Iterator<Item = [String; N]>,
        completeness: Completeness,
    ) -> Table {
        let rows: Vec<[String; N]> = rows.collect();
        let fields = names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new(fields));
        let column = |place: usize| Arc::new(rows.iter().map(|row| Some(row[place].as_str())).collect::<StringArray>()) as ArrayRef;
        let batch = RecordBatch::try_new(schema.clone(), (0..N).map(column).collect()).expect("every column has a text for each row");
        Table::new(&schema, vec![batch], None, completeness)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in order, each with a cell for each column.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Cell<'_>>> {
        self.batches.iter().flat_map(move |batch| {
            (0..batch.num_rows()).map(move |row| {
                let cells = batch.columns().iter().zip(&self.columns);
                cells.map(|(array, column)| cell(array, row, column.kind == "json")).collect()
            })
        })
    }
}

/// What values of a field are, in a word.
fn kind(field: &Field) -> String {
    match field.metadata().get(VALUES_KEY).map(String::as_str) {
        Some("json") if is_text(field.data_type()) => "json".to_owned(),
        Some("duration") if field.data_type().is_numeric() => "duration".to_owned(),
        _ => match kind_of(field.data_type()) {
            "" => field.data_type().to_string(),
            kind => kind.to_owned(),
        },
    }
}

/// What values of a type are, in a word; empty where there is none for it.
pub(crate) fn kind_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => "int",
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => "uint",
        DataType::Float32 | DataType::Float64 => "double",
        DataType::Boolean => "bool",
        DataType::Timestamp(..) => "timestamp",
        DataType::List(_) | DataType::LargeList(_) => "list",
        DataType::Null => "null",
        _ => "",
    }
}

fn is_text(data_type: &DataType) -> bool {
    kind_of(data_type) == "string"
}

/// The batch in types that every reader of Arrow and Parquet knows, its texts copied so that they hold nothing else.
pub(crate) fn plain(batch: &RecordBatch) -> RecordBatch {
    let schema = plain_schema(batch.schema_ref());
    let arrays = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
        if array.data_type() == field.data_type() {
            array.clone()
        } else {
            cast(array, field.data_type()).expect("text in another form, and times in another unit, stay the same")
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), arrays.collect(), &options).expect("the arrays were made for the schema")
}

fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields =
        schema.fields().iter().map(|field| field.as_ref().clone().with_data_type(plain_type(field.data_type())).with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) => DataType::List(Arc::new(item.as_ref().clone().with_data_type(plain_type(item.data_type())))),
        other => other.clone(),
    }
}

fn cell(array: &ArrayRef, row: usize, is_json: bool) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Cell::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Cell::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Cell::UInt(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Cell::UInt(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Cell::UInt(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => Cell::UInt(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => Cell::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 if is_json => Cell::Json(array.as_string::<i32>().value(row)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).into()),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Cell::Time(array.as_primitive::<TimestampNanosecondType>().value(row)),
        DataType::List(_) => {
            let items = array.as_list::<i32>();
            let range = items.value_offsets()[row] as usize..items.value_offsets()[row + 1] as usize;
            Cell::List(range.map(|at| cell(items.values(), at, false)).collect())
        }
        _ => Cell::Text(shown(array, row).into()),
    }
}

/// A value of any type, as text.
fn shown(array: &ArrayRef, row: usize) -> String {
    let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::new().with_display_error(true));
    formatter.map_or_else(|_| "?".to_owned(), |formatter| formatter.value(row).to_string())
}
