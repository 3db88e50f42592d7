//! The header before a page (Parquet's format, `PageHeader`), in Thrift's compact form.
//!
//! The crate takes one apart as part of a reader of a whole chunk; making that reader costs more than the header, and a lookup
//! reads a page of each of two dozen columns. Where it passes over a list it believes its length: a forged one of two thousand
//! million truths, which take no bytes, would keep it busy for seconds. So forms that no shard of ours has are refused.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::Result;

use super::encoded::{malformed, take, varint, zigzag};

/// Kinds of a field's value (Thrift's compact protocol, "Struct encoding").
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const STRUCT: u8 = 12;
}

const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
/// A header holds the header of its kind, and that one statistics.
const DEPTH_MAX: u32 = 4;

/// What a header says.
struct Header {
    page_type: i64,
    compressed_bytes: i64,
    /// Of the kind's own header: values, encoding, encodings of the levels.
    own: [i64; 4],
}

/// A page as it lies, its values not decompressed.
pub(super) fn page(bytes: &Bytes) -> Result<Page> {
    let mut rest = &bytes[..];
    // What must be there is nothing until it comes.
    let mut header = Header { page_type: -1, compressed_bytes: -1, own: [-1, 0, 0, 0] };
    each_field(&mut rest, 0, &mut |rest, field, value_kind| {
        match field {
            1 => header.page_type = number(rest, value_kind)?,
            3 => header.compressed_bytes = number(rest, value_kind)?,
            5 | 7 if value_kind == kind::STRUCT => each_field(rest, 1, &mut |rest, field, value_kind| {
                let place = field.checked_sub(1).and_then(|place| usize::try_from(place).ok());
                let known = place.and_then(|place| header.own.get_mut(place));
                // The third field of a dictionary's header is a truth, and none that is asked for.
                match known.filter(|_| (kind::I16..=kind::I64).contains(&value_kind)) {
                    Some(known) => *known = number(rest, value_kind)?,
                    None => skip(rest, value_kind, 2)?,
                }
                Ok(())
            })?,
            _ => skip(rest, value_kind, 1)?,
        }
        Ok(())
    })?;
    if ![DATA_PAGE, DICTIONARY_PAGE].contains(&header.page_type) {
        return Err(malformed(&format!("it is of kind {}, which shards do not have", header.page_type)));
    }
    let start = bytes.len() - rest.len();
    let end = usize::try_from(header.compressed_bytes).ok().and_then(|length| start.checked_add(length));
    let Some(end) = end.filter(|end| *end <= bytes.len()) else { return Err(malformed("it is longer than its place")) };
    let buf = bytes.slice(start..end);
    let [values, encoding, levels, repetitions] = header.own;
    let num_values = u32::try_from(values)?;
    let (Some(encoding), Some(def_level_encoding), Some(rep_level_encoding)) =
        (encoding_of(encoding), encoding_of(levels), encoding_of(repetitions))
    else {
        return Err(malformed(&format!(
            "its values or levels are encoded by {encoding}, {levels} and {repetitions}, one of them no encoding"
        )));
    };
    Ok(match header.page_type {
        DICTIONARY_PAGE => Page::DictionaryPage { buf, num_values, encoding, is_sorted: false },
        _ => Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics: None },
    })
}

/// Encodings by their numbers (Parquet's format, `Encoding`), as far as they are still written.
fn encoding_of(number: i64) -> Option<Encoding> {
    Some(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return None,
    })
}

type TakeField<'t> = dyn FnMut(&mut &[u8], i64, u8) -> Result<()> + 't;

/// Hands out the fields of a struct by their numbers and kinds; whoever takes one reads its value.
fn each_field(rest: &mut &[u8], depth: u32, take_field: &mut TakeField<'_>) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(malformed("its header is nested too deep"));
    }
    let mut field = 0_i64;
    loop {
        let head = take(rest, 1)?[0];
        if head == kind::STOP {
            return Ok(());
        }
        field = match i64::from(head >> 4) {
            0 => signed(rest)?,
            further => field.saturating_add(further),
        };
        take_field(rest, field, head & 0x0f)?;
    }
}

fn number(rest: &mut &[u8], value_kind: u8) -> Result<i64> {
    match value_kind {
        kind::I16..=kind::I64 => signed(rest),
        _ => Err(malformed("its header has something else where a number should be")),
    }
}

fn signed(rest: &mut &[u8]) -> Result<i64> {
    Ok(zigzag(varint(rest)?).cast_signed())
}

fn skip(rest: &mut &[u8], value_kind: u8, depth: u32) -> Result<()> {
    let bytes = match value_kind {
        kind::TRUE | kind::FALSE => 0,
        kind::BYTE => 1,
        kind::I16..=kind::I64 => return signed(rest).map(drop),
        kind::DOUBLE => 8,
        kind::BINARY => usize::try_from(varint(rest)?)?,
        kind::STRUCT => return each_field(rest, depth, &mut |rest, _, value_kind| skip(rest, value_kind, depth + 1)),
        // No header has lists or maps.
        _ => return Err(malformed("its header has a value of a kind that it should not have")),
    };
    take(rest, bytes).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::column::page::PageReader as _;
    use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::page_index::offset_index::PageLocation;
    use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
    use parquet::file::serialized_reader::SerializedPageReader;
    use proptest::prelude::*;

    use super::*;
    use crate::shard::chunks::{dictionary_before, page_locations};

    /// The page, as if it were the only one of its chunk.
    fn as_the_crate_reads(bytes: Bytes, chunk: &ColumnChunkMetaData) -> Page {
        let alone = ColumnChunkMetaData::builder(chunk.column_descr_ptr()).build().unwrap();
        let place = PageLocation { offset: 0, compressed_page_size: bytes.len() as i32, first_row_index: 0 };
        let mut reader = SerializedPageReader::new(Arc::new(bytes), &alone, 0, Some(vec![place])).unwrap();
        reader.get_next_page().unwrap().unwrap()
    }

    /// Every page of a file with texts in a dictionary and without, numbers, and what is missing.
    fn each_page(properties: WriterProperties, check: &mut dyn FnMut(Result<Page>, Page)) {
        let rows = 5_000_i64;
        let few: ArrayRef = Arc::new((0..rows).map(|row| Some(["cart", "search"][row as usize % 2])).collect::<StringArray>());
        let many: ArrayRef = Arc::new((0..rows).map(|row| (row % 3 == 0).then(|| format!("text {row}"))).collect::<StringArray>());
        let numbers: ArrayRef = Arc::new((0..rows).map(|row| (row % 7 > 0).then_some(row * row)).collect::<Int64Array>());
        let batch = RecordBatch::try_from_iter([("few", few), ("many", many), ("numbers", numbers)]).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let file = Bytes::from(file);
        let metadata = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required).parse_and_finish(&file).unwrap();
        for (column, chunk) in metadata.row_group(0).columns().iter().enumerate() {
            let pages = page_locations(&metadata, 0, column).unwrap();
            for place in dictionary_before(chunk, pages).iter().chain(pages) {
                let bytes = file.slice(place.offset as usize..place.offset as usize + place.compressed_page_size as usize);
                check(page(&bytes), as_the_crate_reads(bytes, chunk));
            }
        }
    }

    fn properties(statistics: EnabledStatistics, version: WriterVersion) -> WriterProperties {
        let properties =
            WriterProperties::builder().set_writer_version(version).set_data_page_row_count_limit(1_000).set_write_batch_size(500);
        properties.set_statistics_enabled(statistics).set_write_page_header_statistics(true).build()
    }

    #[test]
    fn a_page_is_what_the_crate_takes_it_for() {
        for statistics in [EnabledStatistics::None, EnabledStatistics::Page] {
            let mut pages = 0;
            each_page(properties(statistics, WriterVersion::PARQUET_1_0), &mut |own, theirs| {
                let own = own.expect("it has the form of a shard's page");
                assert_eq!(
                    (own.page_type(), own.num_values(), own.encoding()),
                    (theirs.page_type(), theirs.num_values(), theirs.encoding())
                );
                assert_eq!(own.buffer(), theirs.buffer());
                pages += 1;
            });
            assert!(pages >= 15, "{pages}");
        }
    }

    #[test]
    fn pages_of_the_second_version_are_refused() {
        let mut refused = 0;
        each_page(properties(EnabledStatistics::None, WriterVersion::PARQUET_2_0), &mut |own, _| refused += usize::from(own.is_err()));
        assert!(refused >= 12, "{refused}");
    }

    #[test]
    fn a_field_of_any_number_is_passed_over() {
        for number in [i64::MIN, i64::MAX, 0] {
            let mut varint = Vec::new();
            let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
            while rest >= 0x80 {
                varint.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            varint.push(rest as u8);
            // In the header of a page of data: a field with its number in full, a truth.
            let header = [&[0x5c, kind::TRUE][..], &varint, &[kind::STOP, kind::STOP]].concat();
            let refused = page(&Bytes::from(header)).unwrap_err().to_string();
            assert!(refused.contains("of kind -1"), "{number}: {refused}");
        }
    }

    #[test]
    fn a_header_that_lacks_what_must_be_there_is_refused() {
        // A page of data of no bytes; with no header of its own, and with one that does not say how many values there are.
        for own in [&[][..], &[0x2c, kind::STOP]] {
            let header = [&[0x15, 0, 0x25, 0][..], own, &[kind::STOP]].concat();
            assert!(page(&Bytes::from(header)).is_err());
        }
    }

    proptest! {
        #[test]
        fn nothing_that_stands_where_a_header_should_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(page(&Bytes::from(bytes)));
        }
    }
}
