//! Which rows have a value that passes a test, where a column has a dictionary: the test is made once for each of its values,
//! and rows are told by their codes, page by page, without making anything of them.

use arrow::array::Array as _;
use arrow::datatypes::DataType;
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaData;

use super::chunks::{AheadReader, GroupRows, PassingPage, dictionary_before, page_locations, pages_of};
use super::encoded::{Presence, Values, malformed};
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
    let mut passes: Option<Vec<bool>> = None;
    let (mut codes, mut levels, mut found) = (Vec::new(), Vec::new(), RowRanges::default());
    for (place, rows) in &pages {
        let page = PassingPage::read(&mut bytes, picker.chunk(column), place, false)?;
        let (presence, values) = opened(column, &page, 0)?;
        let Values::Codes(mut runs) = values else { return Ok(None) };
        let passes = match &passes {
            Some(passes) => passes,
            None => passes.insert(passing(&picker, column, test)?),
        };
        let first = group.first + u32::try_from(place.first_row_index)?;
        let passes_code = |code: &u32| passes.get(*code as usize).copied().ok_or_else(|| malformed("a code is in no dictionary"));
        match presence {
            Presence::All => {
                runs.first(*rows, &mut codes)?;
                for (row, code) in (first..).zip(&codes) {
                    if passes_code(code)? {
                        found.push(row..row + 1);
                    }
                }
            }
            Presence::Some { levels: mut runs_of_levels, .. } => {
                runs_of_levels.first(*rows, &mut levels)?;
                runs.first(levels.iter().filter(|level| **level == 1).count(), &mut codes)?;
                let present = (first..).zip(&levels).filter(|(_, level)| **level == 1);
                for ((row, _), code) in present.zip(&codes) {
                    if passes_code(code)? {
                        found.push(row..row + 1);
                    }
                }
            }
        }
    }
    Ok(Some(found))
}

/// Which values of the dictionary pass.
fn passing(picker: &Picker<'_>, column: &PickedColumn, test: &ValueTest<'_>) -> Result<Vec<bool>> {
    let value_of: fn(u64) -> ColumnValue<'static> = match column.field.data_type() {
        DataType::Int64 => |number| ColumnValue::Int(number.cast_signed()),
        DataType::Float64 => |number| ColumnValue::Double(f64::from_bits(number)),
        _ => {
            let texts = picker.dictionary_of(column)?;
            return Ok((0..texts.len()).map(|at| test(ColumnValue::Text(ValueKind::String, texts.value(at)))).collect());
        }
    };
    let page = picker.dictionary_page(column, true)?;
    let mut numbers = Values::Fixed(page.buffer(), column.width);
    (0..page.num_values() as usize).map(|at| Ok(test(value_of(numbers.number(at)?)))).collect()
}
