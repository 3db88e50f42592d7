//! Tables as files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::{Table, no_formula, shown};
use crate::error::QueryError;

impl Table {
    /// Comma-separated values with a line of names.
    pub fn csv(&self) -> Result<Vec<u8>, QueryError> {
        let mut bytes = Vec::new();
        let mut writer = WriterBuilder::new().with_header(true).build(&mut bytes);
        for batch in &self.batches {
            writer.write(&flat(batch)).map_err(unwritable)?;
        }
        if self.is_empty() {
            writer.write(&flat(&RecordBatch::new_empty(self.schema.clone()))).map_err(unwritable)?;
        }
        drop(writer);
        Ok(bytes)
    }

    /// A stream of Arrow's inter-process format.
    pub fn arrow_stream(&self) -> Result<Vec<u8>, QueryError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema).map_err(unwritable)?;
        for batch in &self.batches {
            writer.write(batch).map_err(unwritable)?;
        }
        writer.into_inner().map_err(unwritable)
    }

    /// A Parquet file.
    pub fn parquet(&self) -> Result<Vec<u8>, QueryError> {
        needle_storage::parquet_file(&self.schema, &self.batches).map_err(|error| QueryError::Statement(unfit(&error)))
    }
}

fn unwritable(error: ArrowError) -> QueryError {
    QueryError::Statement(unfit(&error.to_string()))
}

fn unfit(error: &str) -> String {
    format!("the answer cannot be written in this form ({error}): cast the column to another type, or ask for JSON")
}

/// Lists and other nested values as text, which is all that a line of values can hold; and no text that is a formula.
fn flat(batch: &RecordBatch) -> RecordBatch {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let kept = is_plain(field.data_type());
        let kind = if kept { field.data_type().clone() } else { DataType::Utf8 };
        fields.push(Field::new(no_formula(field.name()), kind, true));
        arrays.push(if kept { array.clone() } else { texts(array) });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).expect("every nested array became one of texts")
}

/// Values that are written in digits and letters of their own, whatever a sender said.
fn is_plain(kind: &DataType) -> bool {
    kind.is_numeric() || kind.is_temporal() || matches!(kind, DataType::Boolean | DataType::Null)
}

fn texts(array: &ArrayRef) -> ArrayRef {
    let text = |row: usize| array.is_valid(row).then(|| no_formula(&shown(array, row)).into_owned());
    Arc::new((0..array.len()).map(text).collect::<StringArray>())
}
