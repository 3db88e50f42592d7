//! A few rows of a shard, picked out of their pages, column by column.
//!
//! The crate's reader decodes what it passes over and makes the whole dictionary of a column anew for each read. Here a
//! row costs what it is, and a dictionary of texts is made once and kept.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, FixedSizeBinaryBuilder, Float64Array, Int32Array, Int64Array, StringArray,
    StringBuilder, StringDictionaryBuilder, TimestampNanosecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Int32Type, TimeUnit};
use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;

use super::chunks::{AheadReader, PassingPage, dictionary_before, page_locations, read_page};
use super::encoded::{Presence, Texts, Values, little_endian, malformed, sums, take};
use super::file::ShardFile;

/// A column whose values can be picked: flat, and written in encodings that are known here.
#[derive(Clone, Debug)]
pub(super) struct PickedColumn {
    pub(super) field: FieldRef,
    /// Its number among the columns of the file.
    pub(super) column: usize,
    physical: Type,
    /// Bytes of a value, where all are of one length.
    pub(super) width: usize,
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

impl PickedColumn {
    /// Whether its values are of a kind that is written as codes of a dictionary where they repeat.
    pub(super) fn has_dictionary(&self) -> bool {
        matches!(self.field.data_type(), DataType::Dictionary(..) | DataType::Int64 | DataType::Float64 | DataType::Int32 | DataType::UInt8)
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
    /// Whether pages are kept for the next read.
    pub(super) keep: bool,
}

/// Takes the values of the rows in turn, each as its page's values and the place among them.
type TakeValue<'t> = dyn FnMut(Option<(&mut Values<'_>, usize)>) -> Result<()> + 't;

impl Picker<'_> {
    /// The values of a column in the rows.
    pub(super) fn array(&self, column: &PickedColumn) -> Result<ArrayRef> {
        Ok(match column.field.data_type() {
            DataType::Utf8 => self.texts(column)?,
            DataType::Dictionary(..) => self.coded_texts(column)?,
            DataType::FixedSizeBinary(_) => self.fixed_bytes(column)?,
            data_type => numbers_array(data_type, self.numbers(column)?)?,
        })
    }

    pub(super) fn chunk(&self, column: &PickedColumn) -> &ColumnChunkMetaData {
        self.metadata.row_group(self.group).column(column.column)
    }

    /// The pages that hold the rows, each with its rows.
    fn pages<'p>(&self, locations: &'p [PageLocation]) -> Result<Vec<(&'p PageLocation, &[u32])>> {
        let mut rows = self.rows;
        let mut pages = Vec::new();
        while let Some(first) = rows.first() {
            let after = locations.partition_point(|page| page.first_row_index <= i64::from(*first));
            let place = after.checked_sub(1).and_then(|at| locations.get(at)).ok_or_else(|| malformed("a row is before all pages"))?;
            let end = locations.get(after).map_or(i64::MAX, |next| next.first_row_index);
            let (here, others) = rows.split_at(rows.partition_point(|row| i64::from(*row) < end));
            pages.push((place, here));
            rows = others;
        }
        Ok(pages)
    }

    /// Page by page, each forgotten before the next is read.
    fn for_each_value(&self, column: &PickedColumn, take_value: &mut TakeValue<'_>) -> Result<()> {
        let locations = page_locations(self.metadata, self.group, column.column).unwrap_or_default();
        let pages = self.pages(locations)?;
        let mut bytes = AheadReader::new(self.file.clone(), pages.iter().map(|(place, _)| *place));
        for (place, rows) in pages {
            let page = PassingPage::read(&mut bytes, self.chunk(column), place, self.keep)?;
            let start = u32::try_from(place.first_row_index)?;
            let (mut presence, mut values) = opened(column, &page, rows.last().map_or(0, |row| row - start))?;
            for row in rows {
                let place = presence.place((row - start) as usize)?;
                take_value(place.map(|place| (&mut values, place)))?;
            }
        }
        Ok(())
    }

    pub(super) fn dictionary_page(&self, column: &PickedColumn, keep: bool) -> Result<Page> {
        let chunk = self.chunk(column);
        let locations = page_locations(self.metadata, self.group, column.column).unwrap_or_default();
        let place = dictionary_before(chunk, locations).ok_or_else(|| malformed("its dictionary is missing"))?;
        read_page(&mut AheadReader::new(self.file.clone(), [&place].into_iter()), chunk, &place, keep)
    }

    fn numbers(&self, column: &PickedColumn) -> Result<Vec<Option<u64>>> {
        let mut dictionary: Option<Page> = None;
        let mut numbers = Vec::with_capacity(self.rows.len());
        self.for_each_value(column, &mut |value| {
            let Some((values, place)) = value else {
                numbers.push(None);
                return Ok(());
            };
            let mut number = values.number(place)?;
            if matches!(values, Values::Codes(_)) {
                let page = match &dictionary {
                    Some(page) => page,
                    // Kept however many pages are read: every one of them needs it.
                    None => dictionary.insert(self.dictionary_page(column, true)?),
                };
                number = Values::Fixed(page.buffer(), column.width).number(usize::try_from(number)?)?;
            }
            numbers.push(Some(number));
            Ok(())
        })?;
        Ok(numbers)
    }

    fn texts(&self, column: &PickedColumn) -> Result<ArrayRef> {
        let mut dictionary: Option<StringArray> = None;
        let mut texts = StringBuilder::with_capacity(self.rows.len(), 0);
        self.for_each_value(column, &mut |value| {
            match value {
                None => texts.append_null(),
                Some((values @ Values::Codes(_), place)) => {
                    let dictionary = match &dictionary {
                        Some(dictionary) => dictionary,
                        None => dictionary.insert(self.dictionary_of(column)?),
                    };
                    texts.append_value(spelled(code(values, place)?, dictionary)?);
                }
                Some((values, place)) => texts.append_value(utf8(values.bytes(place)?)?),
            }
            Ok(())
        })?;
        Ok(Arc::new(texts.finish()))
    }

    /// With the dictionary as it was written; but made anew where some texts are not in it.
    fn coded_texts(&self, column: &PickedColumn) -> Result<ArrayRef> {
        let mut codes: Vec<Option<i32>> = Vec::with_capacity(self.rows.len());
        let mut has_others = false;
        self.for_each_value(column, &mut |value| {
            match value {
                None => codes.push(None),
                Some((values @ Values::Codes(_), place)) => codes.push(Some(i32::try_from(code(values, place)?)?)),
                Some(_) => has_others = true,
            }
            Ok(())
        })?;
        if has_others {
            let texts = self.texts(column)?;
            let mut anew = StringDictionaryBuilder::<Int32Type>::new();
            texts.as_string::<i32>().iter().for_each(|text| anew.append_option(text));
            return Ok(Arc::new(anew.finish()));
        }
        let has_codes = codes.iter().any(Option::is_some);
        let dictionary = if has_codes { self.dictionary_of(column)? } else { StringArray::new_null(0) };
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(codes.into(), Arc::new(dictionary))?))
    }

    fn fixed_bytes(&self, column: &PickedColumn) -> Result<ArrayRef> {
        let mut array = FixedSizeBinaryBuilder::with_capacity(self.rows.len(), i32::try_from(column.width)?);
        self.for_each_value(column, &mut |value| {
            match value {
                Some((values, place)) => array.append_value(values.bytes(place)?)?,
                None => array.append_null(),
            }
            Ok(())
        })?;
        Ok(Arc::new(array.finish()))
    }

    /// The texts that codes stand for. They are kept however many pages are read: every one of them needs them.
    pub(super) fn dictionary_of(&self, column: &PickedColumn) -> Result<StringArray> {
        let offset = self.chunk(column).byte_range().0;
        if let Some(texts) = self.file.kept_texts(offset) {
            return Ok(texts);
        }
        let dictionary = texts_of(&self.dictionary_page(column, false)?)?;
        self.file.keep_texts(offset, &dictionary);
        Ok(dictionary)
    }
}

/// Takes a page apart, of which rows up to one are wanted.
pub(super) fn opened<'p>(column: &PickedColumn, page: &'p PassingPage, last_row: u32) -> Result<(Presence<'p>, Values<'p>)> {
    let (encoding, mut bytes) = page.values().ok_or_else(|| malformed("it is of a form that no shard has"))?;
    let mut presence = Presence::All;
    if column.nullable {
        let length = little_endian(take(&mut bytes, 4)?);
        presence = Presence::of_levels(take(&mut bytes, usize::try_from(length)?)?)?;
    }
    let values = match (encoding, column.physical) {
        (Encoding::PLAIN, Type::BOOLEAN) => Values::Bits(bytes),
        (Encoding::PLAIN, Type::BYTE_ARRAY) => Values::Texts(Texts::new(bytes)),
        (Encoding::PLAIN, _) => Values::Fixed(bytes, column.width),
        (Encoding::BYTE_STREAM_SPLIT, _) => Values::Split(bytes, column.width),
        (Encoding::DELTA_BINARY_PACKED, _) => Values::Numbers(sums(bytes, last_row as usize + 1)?),
        (Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY, _) => Values::codes(bytes)?,
        (encoding, _) => return Err(ParquetError::General(format!("the encoding {encoding} is none of a shard's"))),
    };
    Ok((presence, values))
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

fn code(values: &mut Values<'_>, place: usize) -> Result<usize> {
    Ok(usize::try_from(values.number(place)?)?)
}

fn spelled(code: usize, dictionary: &StringArray) -> Result<&str> {
    let known = (code < dictionary.len()).then(|| dictionary.value(code));
    known.ok_or_else(|| malformed(&format!("its dictionary has {} texts, and none of number {code}", dictionary.len())))
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| malformed(&format!("a text is not UTF-8: {error}")))
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
