//! A few rows of a shard, picked out of their pages, column by column.
//!
//! The crate's reader decodes what it passes over and makes the whole dictionary of a column anew for each read. Here a
//! row costs what it is, and a dictionary of texts is made once and kept.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryBuilder, Float64Array, Int32Array, Int64Array, StringArray,
    StringBuilder, StringDictionaryBuilder, TimestampNanosecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Int32Type, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::chunks::{Keep, dictionary_before, page_locations, read_page};
use super::encoded::{Presence, Texts, Values, little_endian, malformed, sums, take};
use super::file::ShardFile;

/// A column whose values can be picked: flat, and written in encodings that are known here.
#[derive(Clone, Debug)]
pub(super) struct PickedColumn {
    pub(super) field: FieldRef,
    /// Its number among the columns of the file.
    column: usize,
    physical: Type,
    /// Bytes of a value, where all are of one length.
    width: usize,
    /// Whether a row may have no value.
    nullable: bool,
}

impl PickedColumn {
    /// The column of the file that holds a field of the schema, if its values can be picked.
    pub(super) fn of(field: &FieldRef, column: usize, metadata: &ParquetMetaData) -> Option<PickedColumn> {
        let description = metadata.file_metadata().schema_descr().column(column);
        let physical = description.physical_type();
        let width = match physical {
            Type::INT32 | Type::FLOAT => 4,
            Type::FIXED_LEN_BYTE_ARRAY => usize::try_from(description.type_length()).ok()?,
            _ => 8,
        };
        let known = |encoding: Encoding| match encoding {
            Encoding::PLAIN | Encoding::RLE => true,
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                matches!(physical, Type::INT32 | Type::INT64 | Type::DOUBLE | Type::BYTE_ARRAY)
            }
            Encoding::BYTE_STREAM_SPLIT => matches!(physical, Type::INT32 | Type::INT64 | Type::DOUBLE),
            Encoding::DELTA_BINARY_PACKED => physical == Type::INT64,
            _ => false,
        };
        let in_group = |group| {
            let chunk: &ColumnChunkMetaData = metadata.row_group(group).column(column);
            chunk.encodings().all(known) && page_locations(metadata, group, column).is_some()
        };
        let flat = description.max_rep_level() == 0 && description.max_def_level() <= 1;
        let can = flat && is_made(field.data_type(), physical) && (0..metadata.num_row_groups()).all(in_group);
        can.then(|| PickedColumn { field: field.clone(), column, physical, width, nullable: description.max_def_level() == 1 })
    }
}

/// Whether arrays of the type are made of such values.
fn is_made(data_type: &DataType, physical: Type) -> bool {
    match data_type {
        DataType::Int64 | DataType::UInt64 | DataType::Timestamp(TimeUnit::Nanosecond, _) => physical == Type::INT64,
        DataType::Int32 | DataType::UInt32 | DataType::UInt8 => physical == Type::INT32,
        DataType::Float64 => physical == Type::DOUBLE,
        DataType::Boolean => physical == Type::BOOLEAN,
        DataType::FixedSizeBinary(_) => physical == Type::FIXED_LEN_BYTE_ARRAY,
        DataType::Utf8 => physical == Type::BYTE_ARRAY,
        DataType::Dictionary(codes, texts) => physical == Type::BYTE_ARRAY && **codes == DataType::Int32 && **texts == DataType::Utf8,
        _ => false,
    }
}

/// Rows of one row group.
pub(super) struct Picker<'a> {
    pub(super) file: &'a ShardFile,
    pub(super) metadata: &'a ParquetMetaData,
    pub(super) group: usize,
    /// Ascending, counted from the first row of the group.
    pub(super) rows: &'a [u32],
    /// What is kept for the next read.
    pub(super) keep: Keep,
}

/// A page, and the wanted rows in it, counted from its first one.
struct PickedPage {
    page: Page,
    rows: Vec<usize>,
}

/// A text, or its code in the dictionary.
#[derive(Clone, Copy)]
enum Text<'a> {
    Code(usize),
    Bytes(&'a [u8]),
}

impl Picker<'_> {
    /// The values of a column in the rows.
    pub(super) fn array(&self, column: &PickedColumn) -> Result<ArrayRef> {
        let pages = self.pages(column)?;
        Ok(match column.field.data_type() {
            DataType::Utf8 => self.texts(column, &pages)?,
            DataType::Dictionary(..) => self.coded_texts(column, &pages)?,
            DataType::FixedSizeBinary(_) => fixed_bytes(column, &pages)?,
            data_type => numbers_array(data_type, self.numbers(column, &pages)?)?,
        })
    }

    fn chunk(&self, column: &PickedColumn) -> &ColumnChunkMetaData {
        self.metadata.row_group(self.group).column(column.column)
    }

    /// The pages that hold the rows.
    fn pages(&self, column: &PickedColumn) -> Result<Vec<PickedPage>> {
        let locations = page_locations(self.metadata, self.group, column.column).unwrap_or_default();
        let mut rows = self.rows;
        let mut pages = Vec::new();
        while let Some(first) = rows.first() {
            let after = locations.partition_point(|page| page.first_row_index <= i64::from(*first));
            let place = after.checked_sub(1).and_then(|at| locations.get(at)).ok_or_else(|| malformed("a row is before all pages"))?;
            let end = locations.get(after).map_or(i64::MAX, |next| next.first_row_index);
            let (here, others) = rows.split_at(rows.partition_point(|row| i64::from(*row) < end));
            let start = usize::try_from(place.first_row_index)?;
            let page = read_page(self.file, self.chunk(column), place, self.keep)?;
            pages.push(PickedPage { page, rows: here.iter().map(|row| *row as usize - start).collect() });
            rows = others;
        }
        Ok(pages)
    }

    fn dictionary_page(&self, column: &PickedColumn, keep: Keep) -> Result<Page> {
        let chunk = self.chunk(column);
        let locations = page_locations(self.metadata, self.group, column.column).unwrap_or_default();
        let place = dictionary_before(chunk, locations).ok_or_else(|| malformed("its dictionary is missing"))?;
        read_page(self.file, chunk, &place, keep)
    }

    fn numbers(&self, column: &PickedColumn, pages: &[PickedPage]) -> Result<Vec<Option<u64>>> {
        let mut dictionary: Option<Page> = None;
        let mut numbers = Vec::with_capacity(self.rows.len());
        for_each_value(column, pages, &mut |value| {
            let Some((values, place)) = value else {
                numbers.push(None);
                return Ok(());
            };
            let mut number = values.number(place)?;
            if matches!(values, Values::Codes(_)) {
                let page = match &dictionary {
                    Some(page) => page,
                    None => dictionary.insert(self.dictionary_page(column, self.keep)?),
                };
                number = Values::Fixed(page.buffer(), column.width).number(usize::try_from(number)?)?;
            }
            numbers.push(Some(number));
            Ok(())
        })?;
        Ok(numbers)
    }

    fn texts(&self, column: &PickedColumn, pages: &[PickedPage]) -> Result<ArrayRef> {
        let found = found_texts(column, pages)?;
        let dictionary = self.dictionary_of(column, &found)?;
        let mut texts = StringBuilder::with_capacity(found.len(), 0);
        for text in found {
            texts.append_option(text.map(|text| spelled(text, &dictionary)).transpose()?);
        }
        Ok(Arc::new(texts.finish()))
    }

    /// With the dictionary as it was written; but made anew where some texts are not in it.
    fn coded_texts(&self, column: &PickedColumn, pages: &[PickedPage]) -> Result<ArrayRef> {
        let found = found_texts(column, pages)?;
        let dictionary = self.dictionary_of(column, &found)?;
        if let Some(codes) = codes_of(&found)? {
            return Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(codes, Arc::new(dictionary))?));
        }
        let mut texts = StringDictionaryBuilder::<Int32Type>::new();
        for text in found {
            texts.append_option(text.map(|text| spelled(text, &dictionary)).transpose()?);
        }
        Ok(Arc::new(texts.finish()))
    }

    /// The dictionary that some of the texts are in; without any where none is.
    fn dictionary_of(&self, column: &PickedColumn, found: &[Option<Text<'_>>]) -> Result<StringArray> {
        if !found.iter().flatten().any(|text| matches!(text, Text::Code(_))) {
            return Ok(StringArray::new_null(0));
        }
        let offset = self.chunk(column).byte_range().0;
        if let Some(texts) = self.file.kept_texts(offset) {
            return Ok(texts);
        }
        let page = self.dictionary_page(column, if self.keep == Keep::Page { Keep::Nothing } else { self.keep })?;
        let dictionary = texts_of(&page)?;
        if self.keep == Keep::Page {
            self.file.keep_texts(offset, &dictionary);
        }
        Ok(dictionary)
    }
}

/// What takes the values of the rows in turn, each as its page's values and the place among them.
type TakeValue<'t, 'p> = dyn FnMut(Option<(&mut Values<'p>, usize)>) -> Result<()> + 't;

fn for_each_value<'p>(column: &PickedColumn, pages: &'p [PickedPage], take_value: &mut TakeValue<'_, 'p>) -> Result<()> {
    for picked in pages {
        let (mut presence, mut values) = opened(column, picked)?;
        for row in &picked.rows {
            let place = presence.place(*row)?;
            take_value(place.map(|place| (&mut values, place)))?;
        }
    }
    Ok(())
}

/// Takes a page apart.
fn opened<'p>(column: &PickedColumn, picked: &'p PickedPage) -> Result<(Presence<'p>, Values<'p>)> {
    let Page::DataPage { buf, encoding, .. } = &picked.page else {
        return Err(malformed("it is of a form that no shard has"));
    };
    let mut bytes: &[u8] = buf;
    let mut presence = Presence::All;
    if column.nullable {
        let length = little_endian(take(&mut bytes, 4)?);
        presence = Presence::of_levels(take(&mut bytes, usize::try_from(length)?)?)?;
    }
    let values = match (*encoding, column.physical) {
        (Encoding::PLAIN, Type::BOOLEAN) => Values::Bits(bytes),
        (Encoding::PLAIN, Type::BYTE_ARRAY) => Values::Texts(Texts::new(bytes)),
        (Encoding::PLAIN, _) => Values::Fixed(bytes, column.width),
        (Encoding::BYTE_STREAM_SPLIT, _) => Values::Split(bytes, column.width),
        (Encoding::DELTA_BINARY_PACKED, _) => Values::Numbers(sums(bytes, picked.rows.last().map_or(0, |row| row + 1))?),
        (Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY, _) => Values::codes(bytes)?,
        (encoding, _) => return Err(ParquetError::General(format!("the encoding {encoding} is none of a shard's"))),
    };
    Ok((presence, values))
}

fn found_texts<'p>(column: &PickedColumn, pages: &'p [PickedPage]) -> Result<Vec<Option<Text<'p>>>> {
    let mut found = Vec::new();
    for_each_value(column, pages, &mut |value| {
        found.push(match value {
            None => None,
            Some((values @ Values::Codes(_), place)) => Some(Text::Code(usize::try_from(values.number(place)?)?)),
            Some((values, place)) => Some(Text::Bytes(values.bytes(place)?)),
        });
        Ok(())
    })?;
    Ok(found)
}

/// The texts of a dictionary. That they are UTF-8 is verified of all at once: most are short.
fn texts_of(page: &Page) -> Result<StringArray> {
    let mut texts = Texts::new(page.buffer());
    let mut ends = vec![0];
    let mut bytes = Vec::with_capacity(page.buffer().len());
    for _ in 0..page.num_values() {
        bytes.extend_from_slice(texts.next()?);
        ends.push(i32::try_from(bytes.len())?);
    }
    Ok(StringArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), None)?)
}

/// The codes of the texts, if all are in the dictionary.
fn codes_of(found: &[Option<Text<'_>>]) -> Result<Option<Int32Array>> {
    let mut codes = Vec::with_capacity(found.len());
    for text in found {
        codes.push(match text {
            None => None,
            Some(Text::Code(code)) => Some(i32::try_from(*code)?),
            Some(Text::Bytes(_)) => return Ok(None),
        });
    }
    Ok(Some(codes.into()))
}

fn spelled<'a>(text: Text<'a>, dictionary: &'a StringArray) -> Result<&'a str> {
    match text {
        Text::Bytes(bytes) => utf8(bytes),
        Text::Code(code) if code < dictionary.len() => Ok(dictionary.value(code)),
        Text::Code(code) => Err(malformed(&format!("its dictionary has {} texts, and none of number {code}", dictionary.len()))),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| malformed(&format!("a text is not UTF-8: {error}")))
}

fn fixed_bytes(column: &PickedColumn, pages: &[PickedPage]) -> Result<ArrayRef> {
    let rows = pages.iter().map(|page| page.rows.len()).sum();
    let mut array = FixedSizeBinaryBuilder::with_capacity(rows, i32::try_from(column.width)?);
    for_each_value(column, pages, &mut |value| {
        match value {
            Some((values, place)) => array.append_value(values.bytes(place)?)?,
            None => array.append_null(),
        }
        Ok(())
    })?;
    Ok(Arc::new(array.finish()))
}

/// Numbers as they lie in the file, as the type has them.
fn numbers_array(data_type: &DataType, numbers: Vec<Option<u64>>) -> Result<ArrayRef> {
    let numbers = numbers.into_iter();
    Ok(match data_type {
        DataType::UInt64 => Arc::new(numbers.collect::<UInt64Array>()),
        DataType::Int64 => Arc::new(numbers.map(|number| number.map(u64::cast_signed)).collect::<Int64Array>()),
        DataType::Timestamp(..) => {
            let times = numbers.map(|number| number.map(u64::cast_signed)).collect::<TimestampNanosecondArray>();
            Arc::new(times.with_data_type(data_type.clone()))
        }
        DataType::Float64 => Arc::new(numbers.map(|number| number.map(f64::from_bits)).collect::<Float64Array>()),
        DataType::Int32 => Arc::new(numbers.map(|number| number.map(|number| number as i32)).collect::<Int32Array>()),
        DataType::UInt32 => Arc::new(numbers.map(|number| number.map(|number| number as u32)).collect::<UInt32Array>()),
        DataType::UInt8 => Arc::new(numbers.map(|number| number.map(|number| number as u8)).collect::<UInt8Array>()),
        DataType::Boolean => Arc::new(numbers.map(|number| number.map(|number| number != 0)).collect::<BooleanArray>()),
        other => return Err(ParquetError::General(format!("no column of a shard holds numbers of type {other}"))),
    })
}
