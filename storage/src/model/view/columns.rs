//! Columns of texts with a dictionary, and of attributes that have one of their own.

use arrow::array::{Array, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use crate::model::schema::attribute_key;
use crate::model::value::{ColumnValue, ValueKind};

/// A text column with a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct DictionaryView<'a> {
    keys: &'a Int32Array,
    values: &'a StringArray,
}

impl<'a> DictionaryView<'a> {
    pub(super) fn new(array: &'a dyn Array) -> DictionaryView<'a> {
        let dictionary = array.as_dictionary::<Int32Type>();
        DictionaryView { keys: dictionary.keys(), values: dictionary.values().as_string() }
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.code(row).map(|code| self.values.value(code))
    }

    /// The place of a row's text in the dictionary.
    pub fn code(&self, row: usize) -> Option<usize> {
        self.keys.is_valid(row).then(|| self.keys.value(row) as usize)
    }

    /// The places of all rows' texts in the dictionary; none when some row has no text.
    pub(crate) fn codes(&self) -> Option<&'a [i32]> {
        (self.keys.null_count() == 0).then(|| self.keys.values().as_ref())
    }

    /// How many texts the dictionary has.
    pub fn texts(&self) -> usize {
        self.values.len()
    }

    /// The texts of the dictionary.
    pub fn values(&self) -> &'a StringArray {
        self.values
    }
}

/// The column that an attribute key has of its own.
#[derive(Clone, Copy, Debug)]
pub struct AttributeColumn<'a> {
    /// The key.
    pub key: &'a str,
    values: AttributeValues<'a>,
}

#[derive(Clone, Copy, Debug)]
enum AttributeValues<'a> {
    Text(&'a StringArray),
    Dictionary(DictionaryView<'a>),
    Int(&'a Int64Array),
    Double(&'a Float64Array),
    Bool(&'a BooleanArray),
}

impl<'a> AttributeColumn<'a> {
    pub(super) fn of(name: &'a str, array: &'a dyn Array) -> Option<AttributeColumn<'a>> {
        let key = attribute_key(name)?;
        let values = match array.data_type() {
            DataType::Utf8 => AttributeValues::Text(array.as_string()),
            DataType::Dictionary(..) => AttributeValues::Dictionary(DictionaryView::new(array)),
            DataType::Int64 => AttributeValues::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => AttributeValues::Double(array.as_primitive::<Float64Type>()),
            DataType::Boolean => AttributeValues::Bool(array.as_boolean()),
            _ => return None,
        };
        Some(AttributeColumn { key, values })
    }

    /// The value of a row, if it has one of the column's kind.
    pub fn get(&self, row: usize) -> Option<ColumnValue<'a>> {
        match self.values {
            AttributeValues::Text(texts) => texts.is_valid(row).then(|| ColumnValue::Text(ValueKind::String, texts.value(row))),
            AttributeValues::Dictionary(texts) => texts.get(row).map(|text| ColumnValue::Text(ValueKind::String, text)),
            AttributeValues::Int(numbers) => numbers.is_valid(row).then(|| ColumnValue::Int(numbers.value(row))),
            AttributeValues::Double(numbers) => numbers.is_valid(row).then(|| ColumnValue::Double(numbers.value(row))),
            AttributeValues::Bool(values) => values.is_valid(row).then(|| ColumnValue::Bool(values.value(row))),
        }
    }

    /// The kind of its values, and how many rows have one.
    pub(crate) fn present(&self) -> (ValueKind, usize) {
        let valid = |array: &dyn Array| array.len() - array.null_count();
        match self.values {
            AttributeValues::Text(texts) => (ValueKind::String, valid(texts)),
            AttributeValues::Dictionary(texts) => (ValueKind::String, valid(texts.keys)),
            AttributeValues::Int(numbers) => (ValueKind::Int, valid(numbers)),
            AttributeValues::Double(numbers) => (ValueKind::Double, valid(numbers)),
            AttributeValues::Bool(values) => (ValueKind::Bool, valid(values)),
        }
    }

    /// The dictionary of the column, if it has one.
    pub fn dictionary(&self) -> Option<DictionaryView<'a>> {
        match self.values {
            AttributeValues::Dictionary(texts) => Some(texts),
            _ => None,
        }
    }
}
