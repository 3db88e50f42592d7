//! Reading a shard: candidates from the index, then only the pages that hold them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowGroups as _, RowSelection};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::cached::ReadCache;
use super::chunks::{self, Chunks, GroupRows};
use super::codes;
use super::file::{IndexDirectory, ShardFile};
use super::index::{Candidates, ShardIndex};
use super::pick::{PickedColumn, Picker};
use super::ranges::RowRanges;
use super::write::{IndexDescription, ShardDescription, holds_nothing};
use super::{BLOCKS_KEY, FIELDS_KEY, FIRST_INDEXED_FORMAT, FORMAT, INDEX_KEY, SHARD_KEY, ShardError};
use crate::catalog::ShardMeta;
use crate::fields::FieldCounts;
use crate::model::{IdTerm, Record, RecordsView, Signal, UnixNanos, attribute_key, column, dictionary_type};
use crate::predicate::{Columns, Predicate};
use crate::terms::WantedIds;

/// Rows handed out at a time.
const BATCH_ROWS: usize = 8_192;
/// Rows that are picked out of their pages one by one, whatever else is in these: also all rows of the page or two in which an
/// id may stand, since setting up the crate's decoders costs more than so many rows do.
const PICKED_ROWS_MAX: u64 = 4_096;
/// Of more rows, those are picked that are one in so many of their pages: decoding whole pages costs less otherwise.
const PICKED_OF: u64 = 8;
/// Rows that are one in so many of their pages, or fewer, are not looked at by the codes of whole pages.
const CODED_OF: u64 = 64;
/// Of a question that asks for more records of a shard none are kept.
const KEPT_RECORDS_MAX: u64 = 256;
/// Pages that hold more rows than this are not kept: they would push out those that are read again.
const KEPT_ROWS_MAX: u64 = 32_768;

/// An open shard.
pub(crate) struct ShardReader {
    pub(crate) meta: ShardMeta,
    file: ShardFile,
    parquet: ArrowReaderMetadata,
    index: Index,
    pages: Vec<Page>,
    /// Rows between which a part of the shard can be read alone.
    cuts: Vec<u32>,
    /// Of each field of the schema: how its values are picked, if they can be.
    picked: Vec<Option<PickedColumn>>,
    /// Fields of the schema that hold nothing in any row; they need not be read.
    empty: BTreeSet<String>,
    /// Attributes that stand in the column of request ids.
    request_keys: BTreeSet<String>,
    /// Attributes that stand in the general column, as far as that is known.
    general_keys: Option<BTreeSet<String>>,
    /// What the footer says of fields, once it was asked for.
    fields: OnceLock<Option<FieldCounts>>,
}

/// The index of a shard.
enum Index {
    Open(Box<ShardIndex>),
    /// It cannot be used: columns are scanned.
    Damaged(String),
    /// It is of a format that is no longer read: columns are scanned until a merge writes the shard anew.
    Older,
}

/// Neighbouring rows, and the times between which they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) rows: Range<u32>,
    pub(crate) time_min: UnixNanos,
    pub(crate) time_max: UnixNanos,
}

/// Takes some rows and their numbers; false when it wants no more.
pub(crate) type Visit<'a> = dyn FnMut(&RecordsView<'_>, &[u32]) -> Result<bool, ShardError> + 'a;

/// What of the rows is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// Every column.
    Records,
    /// These.
    Columns(&'a Columns),
}

impl ShardReader {
    /// Opens a shard that is read once.
    pub(crate) fn open(objects: Arc<dyn ObjectStore>, meta: ShardMeta) -> Result<ShardReader, ShardError> {
        ShardReader::open_with(objects, meta, Arc::new(ReadCache::new(0)))
    }

    /// Opens a shard, with a cache of what was read of it and others.
    pub(crate) fn open_with(objects: Arc<dyn ObjectStore>, meta: ShardMeta, cache: Arc<ReadCache>) -> Result<ShardReader, ShardError> {
        let mut file = ShardFile::open(objects, Path::from(meta.path.as_str()), meta.bytes, meta.tail, cache)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let parquet = ArrowReaderMetadata::load(&file, options)?;
        file.cover(footer_entry(&parquet, BLOCKS_KEY)?);
        let description: ShardDescription = footer_entry(&parquet, SHARD_KEY)?;
        if description.format > FORMAT {
            return Err(ShardError::Form(format!(
                "written in format {} by a newer needle, this one reads up to {FORMAT}: use the newer program",
                description.format
            )));
        }
        let parquet = with_dictionaries(parquet)?;
        let index = if description.format < FIRST_INDEXED_FORMAT { Index::Older } else { open_index(&meta, &file, &parquet) };
        let pages = pages(meta.signal, parquet.metadata());
        let cuts = chunks::cuts(parquet.metadata());
        let ShardDescription { empty_columns: empty, request_keys, general_keys, .. } = description;
        let picked = picked_columns(&parquet);
        Ok(ShardReader { meta, file, parquet, index, pages, cuts, picked, empty, request_keys, general_keys, fields: OnceLock::new() })
    }

    /// Why the index is not used, if it should be.
    pub(crate) fn index_failure(&self) -> Option<&str> {
        match &self.index {
            Index::Damaged(reason) => Some(reason),
            Index::Open(_) | Index::Older => None,
        }
    }

    /// How many rows have which fields, if that was noted.
    pub(crate) fn fields(&self) -> Option<&FieldCounts> {
        self.fields.get_or_init(|| footer_entry(&self.parquet, FIELDS_KEY).ok()).as_ref()
    }

    /// The rows by page, with their times.
    pub(crate) fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Rows that may match a predicate. An index that cannot be read narrows nothing.
    pub(crate) fn narrow(&self, predicate: &Predicate) -> Candidates {
        let Index::Open(index) = &self.index else { return Candidates::All };
        index.narrow(predicate).unwrap_or_else(|error| {
            self.warn_of_index(&error);
            Candidates::All
        })
    }

    /// Rows that carry one of the ids: among those that the index names, or among all where it cannot be read.
    pub(crate) fn rows_with(&self, terms: &[IdTerm]) -> Result<RowRanges, ShardError> {
        let found = self.id_candidates(terms).unwrap_or_else(|error| {
            self.warn_of_index(&error);
            Candidates::All
        });
        let candidates = self.among_all(found);
        let wanted = WantedIds::new(terms);
        let mut rows = Vec::new();
        self.read(&candidates, Wanted::Columns(&Columns::of_terms(terms)), &mut |view, numbers| {
            rows.extend(wanted.rows(view).into_iter().map(|local| numbers[local as usize]));
            Ok(true)
        })?;
        Ok(RowRanges::of_rows(rows))
    }

    /// What the index says of ids.
    pub(super) fn id_candidates(&self, terms: &[IdTerm]) -> Result<Candidates, ShardError> {
        match &self.index {
            Index::Open(index) => index.rows_with(terms),
            Index::Damaged(_) | Index::Older => Ok(Candidates::All),
        }
    }

    /// How many words are in the index, and how many of them are frequent.
    pub(super) fn words(&self) -> Result<(u64, u64), ShardError> {
        match &self.index {
            Index::Open(index) => index.words(),
            Index::Damaged(_) | Index::Older => Ok((0, 0)),
        }
    }

    fn warn_of_index(&self, error: &ShardError) {
        tracing::warn!(shard = %self.meta.path, %error, "the index cannot be read; columns are scanned");
    }

    /// Candidates as rows.
    pub(crate) fn among_all(&self, candidates: Candidates) -> RowRanges {
        match candidates {
            Candidates::All => self.all(),
            Candidates::Rows(rows) => rows,
        }
    }

    /// Every row.
    pub(crate) fn all(&self) -> RowRanges {
        RowRanges::of(0..self.rows())
    }

    fn rows(&self) -> u32 {
        u32::try_from(self.meta.rows).unwrap_or(u32::MAX)
    }

    /// Memory that all columns take, about: their length before compression.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.parquet.metadata().row_groups().iter().map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0)).sum()
    }

    /// All rows with all columns, in row order.
    pub(crate) fn batches(&self) -> Result<Vec<RecordBatch>, ShardError> {
        let fields: Vec<usize> = (0..self.parquet.schema().fields().len()).collect();
        Ok(self.decoded(&self.all(), &fields, false)?.collect::<Result<_, _>>()?)
    }

    /// Hands out rows in row order, batch by batch with their numbers, until `visit` returns false. Pages are kept for who
    /// reads them next, if they are few.
    pub(crate) fn read(&self, rows: &RowRanges, wanted: Wanted<'_>, visit: &mut Visit<'_>) -> Result<(), ShardError> {
        self.read_pages(rows, wanted, self.covered(rows).len() <= KEPT_ROWS_MAX, visit)
    }

    /// The same for who will not come again soon.
    pub(crate) fn read_once(&self, rows: &RowRanges, wanted: Wanted<'_>, visit: &mut Visit<'_>) -> Result<(), ShardError> {
        self.read_pages(rows, wanted, false, visit)
    }

    /// Hands out the records of some rows with their numbers, those that are kept first. Of few rows the records are kept, not the
    /// pages: who refines a question, or looks at an answer again, asks for the same ones.
    pub(crate) fn records(&self, rows: &RowRanges, take: &mut dyn FnMut(u32, Record)) -> Result<(), ShardError> {
        let keep = rows.len() <= KEPT_RECORDS_MAX;
        let mut unknown = RowRanges::default();
        for row in rows.ranges().iter().cloned().flatten() {
            match self.file.kept_record(row).filter(|_| keep) {
                Some(record) => take(row, record),
                None => unknown.push(row..row + 1),
            }
        }
        self.read_once(&unknown, Wanted::Records, &mut |view, numbers| {
            let mut whole = view.reader();
            for (local, row) in numbers.iter().enumerate() {
                let record = whole.record(local);
                if keep {
                    self.file.keep_record(*row, &record);
                }
                take(*row, record);
            }
            Ok(true)
        })
    }

    /// Those of some rows for which a condition holds, where the dictionary of one column tells; none where none does.
    pub(crate) fn rows_by_code(&self, rows: &RowRanges, condition: &Predicate) -> Result<Option<RowRanges>, ShardError> {
        let covered = self.covered(rows);
        let Some((name, test)) = condition.deciding().filter(|_| rows.len() > covered.len() / CODED_OF) else { return Ok(None) };
        let is_only_place =
            |key: &str| !self.request_keys.contains(key) && self.general_keys.as_ref().is_some_and(|keys| !keys.contains(key));
        let number = self.parquet.schema().index_of(&name).ok().filter(|_| attribute_key(&name).is_none_or(is_only_place));
        let Some(column) = number.and_then(|number| self.picked[number].as_ref()).filter(|column| column.has_dictionary()) else {
            return Ok(None);
        };
        let mut found = RowRanges::default();
        for group in self.groups(&covered) {
            match codes::rows_passing(&self.file, self.parquet.metadata(), &group, column, &*test)? {
                Some(passing) => passing.ranges().iter().for_each(|range| found.push(range.clone())),
                None => return Ok(None),
            }
        }
        Ok(Some(found.and(rows)))
    }

    /// How many rows lie in the pages that hold these.
    pub(crate) fn rows_around(&self, rows: &RowRanges) -> u64 {
        self.covered(rows).len()
    }

    fn read_pages(&self, rows: &RowRanges, wanted: Wanted<'_>, keep: bool, visit: &mut Visit<'_>) -> Result<(), ShardError> {
        match rows.len() {
            0 => Ok(()),
            count if count <= PICKED_ROWS_MAX.max(self.covered(rows).len() / PICKED_OF) => {
                self.pick(rows, &self.wanted_fields(wanted), keep, visit)
            }
            _ => self.decode(rows, &self.wanted_fields(wanted), keep, visit),
        }
    }

    /// The fields of the schema that are wanted and hold something.
    fn wanted_fields(&self, wanted: Wanted<'_>) -> Vec<usize> {
        let is_wanted = |name: &str| match wanted {
            Wanted::Records => true,
            Wanted::Columns(columns) => self.is_wanted(columns, name),
        };
        let fields = self.parquet.schema().fields().iter().enumerate();
        fields.filter(|(_, field)| is_wanted(field.name()) && !self.empty.contains(field.name())).map(|(number, _)| number).collect()
    }

    /// Fields that are not read because the footer says that they hold nothing, and that hold something.
    pub(super) fn filled_among_empty(&self) -> Result<BTreeSet<String>, ShardError> {
        let fields = self.parquet.schema().fields().iter().enumerate();
        let empty: Vec<usize> = fields.filter(|(_, field)| self.empty.contains(field.name())).map(|(number, _)| number).collect();
        let mut filled = BTreeSet::new();
        for batch in self.decoded(&self.all(), &empty, false)? {
            let batch: RecordBatch = batch?;
            let columns = batch.schema_ref().fields().iter().zip(batch.columns());
            filled.extend(columns.filter(|(_, column)| !holds_nothing(column.as_ref())).map(|(field, _)| field.name().clone()));
        }
        Ok(filled)
    }

    /// Many rows: decoded by the crate, page by page.
    fn decode(&self, rows: &RowRanges, fields: &[usize], keep: bool, visit: &mut Visit<'_>) -> Result<(), ShardError> {
        let mut numbers = rows.in_parts();
        for batch in self.decoded(rows, fields, keep)? {
            let batch: RecordBatch = batch?;
            if !visit(&RecordsView::new(self.meta.signal, &batch), &numbers.next(batch.num_rows()))? {
                break;
            }
        }
        Ok(())
    }

    fn decoded(&self, rows: &RowRanges, fields: &[usize], keep: bool) -> Result<ParquetRecordBatchReader, ShardError> {
        let covered = self.covered(rows);
        let (file, metadata) = (self.file.clone(), self.parquet.metadata().clone());
        let chunks = Chunks { file, metadata, groups: self.groups(&covered).into(), keep };
        let selection = (covered != *rows).then(|| RowSelection::from_consecutive_ranges(places_in(rows, &covered), chunks.num_rows()));
        let batch_rows = usize::try_from(rows.len()).unwrap_or(usize::MAX).min(BATCH_ROWS);
        Ok(ParquetRecordBatchReader::try_new_with_row_groups(&self.levels(fields)?, &chunks, batch_rows, selection)?)
    }

    /// How fields are decoded.
    fn levels(&self, fields: &[usize]) -> Result<FieldLevels, ShardError> {
        let description = self.parquet.parquet_schema();
        let mask = ProjectionMask::roots(description, fields.iter().copied());
        Ok(parquet_to_arrow_field_levels(description, mask, Some(self.parquet.schema().fields()))?)
    }

    /// Few rows: picked out of their pages. Columns that this is not known for are decoded.
    fn pick(&self, rows: &RowRanges, fields: &[usize], keep: bool, visit: &mut Visit<'_>) -> Result<(), ShardError> {
        let (picked, others): (Vec<usize>, Vec<usize>) = fields.iter().partition(|field| self.picked[**field].is_some());
        for group in self.groups(rows) {
            let local: Vec<u32> = group.ranges.iter().cloned().flatten().collect();
            let numbers: Vec<u32> = local.iter().map(|row| group.first + row).collect();
            let picker = Picker { file: &self.file, metadata: self.parquet.metadata(), group: group.group, rows: &local, keep };
            let mut columns = Vec::with_capacity(fields.len());
            for column in picked.iter().filter_map(|field| self.picked[*field].as_ref()) {
                columns.push((column.field.clone(), picker.array(column)?));
            }
            if !others.is_empty() {
                let batch = self.decoded(&RowRanges::of_rows(numbers.clone()), &others, keep)?.next();
                let batch = batch.ok_or_else(|| ShardError::Form("a row group ends before its rows".to_owned()))??;
                columns.extend(batch.schema_ref().fields().iter().cloned().zip(batch.columns().iter().cloned()));
            }
            let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
            let options = RecordBatchOptions::new().with_row_count(Some(numbers.len()));
            let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
            if !visit(&RecordsView::new(self.meta.signal, &batch), &numbers)? {
                break;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, columns: &Columns, name: &str) -> bool {
        match name {
            column::REQUEST_ID | column::REQUEST_ID_KEY => columns.contain(name) || columns.contain_attribute_of(&self.request_keys),
            column::ATTRIBUTES | column::ATTRIBUTE_TYPES => {
                columns.contain(name) && self.general_keys.as_ref().is_none_or(|keys| columns.contain_attribute_of(keys))
            }
            _ => columns.contain(name),
        }
    }

    /// The rows between the nearest cuts around some rows.
    fn covered(&self, rows: &RowRanges) -> RowRanges {
        let mut covered = RowRanges::default();
        for range in rows.ranges() {
            let start = self.cuts.partition_point(|cut| *cut <= range.start).saturating_sub(1);
            let end = self.cuts.partition_point(|cut| *cut < range.end);
            covered.push(self.cuts[start]..self.cuts[end.min(self.cuts.len() - 1)]);
        }
        covered
    }

    /// Rows by row group.
    fn groups(&self, rows: &RowRanges) -> Vec<GroupRows> {
        let mut first = 0;
        let mut groups = Vec::new();
        for (group, metadata) in self.parquet.metadata().row_groups().iter().enumerate() {
            let end = u32::try_from(metadata.num_rows()).unwrap_or(0).saturating_add(first);
            let inside = rows.within(first..end);
            if !inside.is_empty() {
                let ranges = inside.ranges().iter().map(|range| range.start - first..range.end - first).collect();
                groups.push(GroupRows { group, first, ranges });
            }
            first = end;
        }
        groups
    }
}

/// Of each field of the schema: how its values are picked, if they can be.
fn picked_columns(parquet: &ArrowReaderMetadata) -> Vec<Option<PickedColumn>> {
    let fields = parquet.schema().fields();
    let mut columns = vec![Vec::new(); fields.len()];
    for column in 0..parquet.parquet_schema().num_columns() {
        columns[parquet.parquet_schema().get_column_root_idx(column)].push(column);
    }
    let picked = |(field, columns): (&FieldRef, Vec<usize>)| match columns.as_slice() {
        [column] => PickedColumn::of(field, *column, parquet.metadata()),
        _ => None,
    };
    fields.iter().zip(columns).map(picked).collect()
}

/// Where rows stand among those that cover them.
fn places_in(rows: &RowRanges, covered: &RowRanges) -> impl Iterator<Item = Range<usize>> {
    let mut before = 0;
    let mut places = Vec::with_capacity(rows.ranges().len());
    for cover in covered.ranges() {
        let place = |row: u32| before + (row - cover.start) as usize;
        places.extend(rows.within(cover.clone()).ranges().iter().map(|range| place(range.start)..place(range.end)));
        before = place(cover.end);
    }
    places.into_iter()
}

/// Text columns that are written with a dictionary throughout are read as one: then a value is looked at once,
/// not once per row.
fn with_dictionaries(parquet: ArrowReaderMetadata) -> Result<ArrowReaderMetadata, ShardError> {
    let metadata = parquet.metadata().clone();
    let has_dictionary = |name: &str| {
        metadata.row_groups().iter().all(|group| {
            let chunk = group.columns().iter().find(|chunk| chunk.column_path().parts() == [name]);
            chunk.is_some_and(|chunk| chunk.dictionary_page_offset().is_some())
        })
    };
    let fields = parquet.schema().fields().iter().map(|field| {
        let text = attribute_key(field.name()).is_some() && *field.data_type() == DataType::Utf8;
        if text && has_dictionary(field.name()) { Arc::new(Field::new(field.name(), dictionary_type(), true)) } else { field.clone() }
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required).with_schema(schema);
    Ok(ArrowReaderMetadata::try_new(metadata, options)?)
}

fn open_index(meta: &ShardMeta, file: &ShardFile, parquet: &ArrowReaderMetadata) -> Index {
    let rows = u32::try_from(meta.rows).unwrap_or(u32::MAX);
    let opened = footer_entry(parquet, INDEX_KEY).and_then(|index: IndexDescription| {
        ShardIndex::open(meta.signal, rows, IndexDirectory::new(file.clone(), index.files), index.pages, index.cover)
    });
    opened.map_or_else(|error| Index::Damaged(error.to_string()), |index| Index::Open(Box::new(index)))
}

/// The pages of the time column, with their bounds; where there are none, a row group is one page without bounds.
fn pages(signal: Signal, metadata: &ParquetMetaData) -> Vec<Page> {
    let time = match signal {
        Signal::Logs => column::TIMESTAMP,
        Signal::Spans => column::START,
    };
    let mut pages = Vec::new();
    let mut first = 0;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let end = u32::try_from(group.num_rows()).unwrap_or(0).saturating_add(first);
        let column = group.columns().iter().position(|chunk| chunk.column_path().parts() == [time]);
        match column.and_then(|column| page_bounds(metadata, number, column)) {
            Some(bounds) => {
                let starts: Vec<u32> = bounds.iter().map(|(start, ..)| start.saturating_add(first)).collect();
                let ends = starts.iter().copied().skip(1).chain([end]);
                let ranges = starts.iter().copied().zip(ends);
                pages.extend(bounds.into_iter().zip(ranges).map(|((_, time_min, time_max), (start, end))| Page {
                    rows: start..end,
                    time_min,
                    time_max,
                }));
            }
            None => pages.push(Page { rows: first..end, time_min: UnixNanos::MIN, time_max: UnixNanos::MAX }),
        }
        first = end;
    }
    pages
}

/// First row, earliest and latest time of each page of a column of times.
fn page_bounds(metadata: &ParquetMetaData, group: usize, column: usize) -> Option<Vec<(u32, UnixNanos, UnixNanos)>> {
    let ColumnIndexMetaData::INT64(bounds) = metadata.column_index()?.get(group)?.get(column)? else { return None };
    let places = metadata.offset_index()?.get(group)?.get(column)?.page_locations();
    if places.len() != bounds.min_values().len() {
        return None;
    }
    // A column saturates in the year 2262; what lies beyond is later than everything else.
    let latest = |time: i64| if time == i64::MAX { UnixNanos::MAX } else { UnixNanos::from_column(time) };
    let times = bounds.min_values().iter().zip(bounds.max_values());
    let bounds = places.iter().zip(times).map(|(place, (min, max))| {
        let first = u32::try_from(place.first_row_index).unwrap_or(0);
        (first, UnixNanos::from_column(*min), latest(*max))
    });
    Some(bounds.collect())
}

#[cfg(test)]
impl ShardReader {
    /// Where the files of the index lie.
    pub(super) fn index_ranges(&self) -> Vec<std::ops::Range<usize>> {
        let index: IndexDescription = footer_entry(&self.parquet, INDEX_KEY).expect("the shard has an index");
        index.files.iter().map(|file| file.offset as usize..(file.offset + file.bytes) as usize).collect()
    }
}

pub(super) fn footer_entry<T: serde::de::DeserializeOwned>(parquet: &ArrowReaderMetadata, key: &str) -> Result<T, ShardError> {
    let entries = parquet.metadata().file_metadata().key_value_metadata();
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.key == key)).and_then(|entry| entry.value.as_deref());
    let json = entry.ok_or_else(|| ShardError::Form(format!("the footer has no entry {key}: not a shard of needle's")))?;
    serde_json::from_str(json).map_err(|error| ShardError::Form(format!("footer entry {key}: {error}")))
}

#[cfg(test)]
mod tests;
