//! Which rows have a value that passes a test, where a column has a dictionary: the test is made once for each of its values,
//! and rows are told by their codes, page by page, without making anything of them.

use std::ops::Range;

use arrow::array::Array as _;
use arrow::datatypes::DataType;
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaData;

use super::chunks::{AheadReader, GroupRows, PassingPage, dictionary_before, page_locations, pages_of};
use super::encoded::{PassingCodes, Presence, Values};
use super::file::ShardFile;
use super::pick::{PickedColumn, Picker, opened};
use super::ranges::RowRanges;
use crate::model::{ColumnValue, ValueKind};
use crate::predicate::ValueTest;

/// The rows of some pages of a row group whose value passes; none where some values are not in the dictionary.
pub(super) fn rows_passing(
    file: &ShardFile,
    metadata: &ParquetMetaData,
    group: &GroupRows,
    column: &PickedColumn,
    test: &ValueTest<'_>,
) -> Result<Option<RowRanges>> {
    let picker = Picker { file, metadata, group: group.group, rows: &[], keep: false };
    let locations = page_locations(metadata, group.group, column.column).unwrap_or_default();
    if dictionary_before(picker.chunk(column), locations).is_none() {
        return Ok(None);
    }
    let group_rows = usize::try_from(metadata.row_group(group.group).num_rows())?;
    let pages = pages_of(locations, group_rows, &group.ranges);
    let mut bytes = AheadReader::new(file.clone(), pages.iter().map(|(place, _)| place));
    let mut known: Option<PassingCodes> = None;
    let (mut places, mut found) = (Vec::new(), RowRanges::default());
    for (place, rows) in &pages {
        let page = PassingPage::read(&mut bytes, picker.chunk(column), place, false)?;
        let (presence, values) = opened(column, &page, 0)?;
        let Values::Codes(mut codes) = values else { return Ok(None) };
        let passing = match &known {
            Some(passing) => passing,
            None => known.insert(passing(&picker, column, test)?),
        };
        let first = group.first + u32::try_from(place.first_row_index)?;
        let mut take = |rows: Range<usize>| found.push(first + rows.start as u32..first + rows.end as u32);
        if let Presence::All = presence {
            codes.places_passing(*rows, passing, &mut take)?;
        } else {
            places.clear();
            codes.places_passing(presence.values(*rows)?, passing, &mut |range| places.extend(range))?;
            presence.each_row(places.drain(..), &mut |row| take(row..row + 1))?;
        }
    }
    Ok(Some(found))
}

/// Which values of the dictionary pass.
fn passing(picker: &Picker<'_>, column: &PickedColumn, test: &ValueTest<'_>) -> Result<PassingCodes> {
    let value_of: fn(u64) -> ColumnValue<'static> = match column.field.data_type() {
        DataType::Int64 => |number| ColumnValue::Int(number.cast_signed()),
        // As four bytes in the file.
        DataType::Int32 | DataType::UInt8 => |number| ColumnValue::Int(i64::from(number as i32)),
        DataType::Float64 => |number| ColumnValue::Double(f64::from_bits(number)),
        _ => {
            let texts = picker.dictionary_of(column)?;
            return Ok(PassingCodes::of((0..texts.len()).map(|at| test(ColumnValue::Text(ValueKind::String, texts.value(at)))).collect()));
        }
    };
    let page = picker.dictionary_page(column, true)?;
    let mut numbers = Values::Fixed(page.buffer(), column.width);
    let passing = (0..page.num_values() as usize).map(|at| Ok(test(value_of(numbers.number(at)?)))).collect::<Result<Vec<bool>>>()?;
    Ok(PassingCodes::of(passing))
}
