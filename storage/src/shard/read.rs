//! Reading a shard: candidates from the index, then only the pages that hold them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::file::metadata::PageIndexPolicy;

use super::file::{IndexDirectory, ShardFile};
use super::index::{Candidates, ShardIndex};
use super::write::{IndexDescription, ShardDescription};
use super::{BLOCKS_KEY, FORMAT, INDEX_KEY, SHARD_KEY, ShardError};
use crate::catalog::ShardMeta;
use crate::live::carries;
use crate::model::{IdTerm, RecordsView, column};
use crate::predicate::Predicate;

/// Rows handed out at a time.
const BATCH_ROWS: usize = 8_192;

/// An open shard.
pub(crate) struct ShardReader {
    pub(crate) meta: ShardMeta,
    file: ShardFile,
    parquet: ArrowReaderMetadata,
    /// The index, or why it cannot be used: then columns are scanned.
    index: Result<ShardIndex, String>,
}

/// Which rows to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// Every row.
    All,
    /// These, ascending.
    Some(&'a [u32]),
}

impl ShardReader {
    /// Opens a shard.
    pub(crate) fn open(objects: Arc<dyn ObjectStore>, meta: ShardMeta) -> Result<ShardReader, ShardError> {
        let mut file = ShardFile::open(objects, Path::from(meta.path.as_str()), meta.bytes, meta.tail)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let parquet = ArrowReaderMetadata::load(&file, options)?;
        file.cover(footer_entry(&parquet, BLOCKS_KEY)?);
        let description: ShardDescription = footer_entry(&parquet, SHARD_KEY)?;
        if description.format > FORMAT {
            return Err(ShardError::Form(format!(
                "written in format {} by a newer needle, this one reads up to {FORMAT}: use the newer program",
                description.format
            )));
        }
        let index = footer_entry(&parquet, INDEX_KEY)
            .and_then(|index: IndexDescription| ShardIndex::open(meta.signal, IndexDirectory::new(file.clone(), index.files), index.cover))
            .map_err(|error| error.to_string());
        Ok(ShardReader { meta, file, parquet, index })
    }

    /// Why the index is not used, if so.
    pub(crate) fn index_failure(&self) -> Option<&str> {
        self.index.as_ref().err().map(String::as_str)
    }

    /// Rows that may match a predicate. An index that cannot be read narrows nothing.
    pub(crate) fn narrow(&self, predicate: &Predicate) -> Candidates {
        let Ok(index) = &self.index else { return Candidates::All };
        index.narrow(predicate).unwrap_or_else(|error| {
            self.warn_of_index(&error);
            Candidates::All
        })
    }

    /// Rows that carry one of the ids: by the index, or by a scan where that cannot be read.
    pub(crate) fn rows_with(&self, terms: &[IdTerm]) -> Result<Vec<u32>, ShardError> {
        match self.index_rows(terms) {
            Some(Ok(rows)) => return Ok(rows),
            Some(Err(error)) => self.warn_of_index(&error),
            None => {}
        }
        self.scan_for(terms)
    }

    pub(super) fn index_rows(&self, terms: &[IdTerm]) -> Option<Result<Vec<u32>, ShardError>> {
        self.index.as_ref().ok().map(|index| index.rows_with(terms))
    }

    fn warn_of_index(&self, error: &ShardError) {
        tracing::warn!(shard = %self.meta.path, %error, "the index cannot be read; columns are scanned");
    }

    fn scan_for(&self, terms: &[IdTerm]) -> Result<Vec<u32>, ShardError> {
        let columns = [column::TRACE_ID, column::SPAN_ID, column::REQUEST_ID, column::MORE_IDS, column::LINKS];
        let mut rows = Vec::new();
        self.for_each_batch(Rows::All, Some(&columns), &mut |view, first| {
            let found = (0..view.len()).filter(|row| terms.iter().any(|term| carries(view, *row, term)));
            rows.extend(found.map(|row| first + row as u32));
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Memory that all columns take, about: their length before compression.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.parquet.metadata().row_groups().iter().map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0)).sum()
    }

    /// All rows with all columns, in row order.
    pub(crate) fn batches(&self) -> Result<Vec<RecordBatch>, ShardError> {
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.parquet.clone()).with_batch_size(BATCH_ROWS);
        Ok(builder.build()?.collect::<Result<_, _>>()?)
    }

    /// Hands out the wanted rows in row order, batch by batch, with the columns named (all if none are),
    /// until `visit` returns false. With [`Rows::All`] the second argument of `visit` is the number of the
    /// batch's first row; else it is the place of the batch's first row among the rows asked for.
    pub(crate) fn for_each_batch(
        &self,
        rows: Rows<'_>,
        columns: Option<&[&str]>,
        visit: &mut dyn FnMut(&RecordsView<'_>, u32) -> Result<bool, ShardError>,
    ) -> Result<(), ShardError> {
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.parquet.clone()).with_batch_size(BATCH_ROWS);
        if let Some(names) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder = builder.with_projection(mask);
        }
        if let Rows::Some(wanted) = rows {
            if wanted.is_empty() {
                return Ok(());
            }
            let total = usize::try_from(self.meta.rows).unwrap_or(usize::MAX);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(runs(wanted).into_iter(), total));
        }
        let mut first = 0;
        for batch in builder.build()? {
            let batch: RecordBatch = batch?;
            if !visit(&RecordsView::new(self.meta.signal, &batch), first)? {
                break;
            }
            first += batch.num_rows() as u32;
        }
        Ok(())
    }
}

/// Neighbouring rows as ranges.
fn runs(rows: &[u32]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for row in rows.iter().map(|row| *row as usize) {
        match runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}

#[cfg(test)]
impl ShardReader {
    /// Where the files of the index lie.
    pub(super) fn index_ranges(&self) -> Vec<std::ops::Range<usize>> {
        let index: IndexDescription = footer_entry(&self.parquet, INDEX_KEY).expect("the shard has an index");
        index.files.iter().map(|file| file.offset as usize..(file.offset + file.bytes) as usize).collect()
    }
}

fn footer_entry<T: serde::de::DeserializeOwned>(parquet: &ArrowReaderMetadata, key: &str) -> Result<T, ShardError> {
    let entries = parquet.metadata().file_metadata().key_value_metadata();
    let entry = entries.and_then(|entries| entries.iter().find(|entry| entry.key == key)).and_then(|entry| entry.value.as_deref());
    let json = entry.ok_or_else(|| ShardError::Form(format!("the footer has no entry {key}: not a shard of needle's")))?;
    serde_json::from_str(json).map_err(|error| ShardError::Form(format!("footer entry {key}: {error}")))
}
