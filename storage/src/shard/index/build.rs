//! Building the index of a shard while its rows go by.
//!
//! tantivy's own writer hashes every token of every document into postings that it then sorts out. Here the
//! frequent terms, most of the tokens, are given up early ([`Postings`]), and what is left goes into the same
//! term dictionary and postings through tantivy's serializer.

use std::path::{Path, PathBuf};

use tantivy::directory::{Directory, RamDirectory};
use tantivy::index::{Index, IndexMeta, SegmentComponent};
use tantivy::postings::InvertedIndexSerializer;
use tantivy::store::Compressor;
use tantivy::{IndexSettings, TantivyDocument};

use super::{META_FILE, schema, tokenizers};
use crate::model::{IdKey, NormalId, RecordsView, words_lowercase};
use crate::predicate::for_each_text;
use crate::shard::ShardError;
use crate::shard::cover::{Cover, CoverBuilder, for_each_column_value, for_each_value};
use crate::shard::pages::{FieldKey, PageKey, PagesBuilder, PagesDescription};
use crate::shard::postings::Postings;
use crate::shard::words::{is_number, truncated};
use crate::terms::for_each_linked_trace;

/// tantivy makes a table of words of a part of this; here it writes no document, and an empty table costs its memory all the same.
const WRITER_BYTES: usize = 256 << 10;

/// Collects words, values and ids.
pub(in crate::shard) struct IndexBuilder {
    rows: u32,
    words: Postings,
    pages: PagesBuilder,
    cover: CoverBuilder,
    /// The request id of the row before, and its key.
    last_request: Option<(String, Option<IdKey>)>,
}

/// An index, ready to be written into the shard.
pub(in crate::shard) struct BuiltIndex {
    /// The files of the tantivy segment.
    pub(in crate::shard) files: Vec<(PathBuf, Vec<u8>)>,
    pub(in crate::shard) pages: (Vec<u8>, PagesDescription),
    pub(in crate::shard) cover: Cover,
    /// The keys of all ids, ascending, each once.
    pub(in crate::shard) keys: Vec<IdKey>,
}

impl IndexBuilder {
    /// For a shard of so many rows.
    pub(in crate::shard) fn new(rows: usize) -> IndexBuilder {
        IndexBuilder {
            rows: 0,
            words: Postings::new(rows),
            pages: PagesBuilder::default(),
            cover: CoverBuilder::default(),
            last_request: None,
        }
    }

    /// Adds the next rows.
    pub(in crate::shard) fn add(&mut self, view: &RecordsView<'_>) {
        for local in 0..view.len() {
            let row = self.rows;
            self.rows += 1;
            self.add_ids(view, local, row);
            let (words, pages) = (&mut self.words, &mut self.pages);
            for_each_text(view, local, |text| {
                words_lowercase(text, |word| {
                    let word = truncated(word);
                    if is_number(word) {
                        pages.add(PageKey::of_value(super::number_words(), word), row);
                    } else {
                        words.add(word, row);
                    }
                });
            });
            self.add_fields(view, local, row);
            self.cover.note_resource(view.resource().and_then(|resources| resources.get(local)));
        }
    }

    fn add_ids(&mut self, view: &RecordsView<'_>, local: usize, row: u32) {
        view.trace_id(local).into_iter().for_each(|trace| self.pages.add_id(IdKey::of_trace(trace), row));
        for (n, id) in view.request_ids(local).enumerate() {
            let key = match &self.last_request {
                Some((text, key)) if text == id => *key,
                _ => NormalId::of(id).map(|id| id.key()),
            };
            key.into_iter().for_each(|key| self.pages.add_id(key, row));
            if n == 0 && self.last_request.as_ref().is_none_or(|(text, _)| text != id) {
                self.last_request = Some((id.to_owned(), key));
            }
        }
        for_each_linked_trace(view, local, |trace| self.pages.add_id(IdKey::of_trace(trace), row));
        view.span_id(local).into_iter().for_each(|span| self.pages.add_id(IdKey::of_span(span), row));
    }

    fn add_fields(&mut self, view: &RecordsView<'_>, local: usize, row: u32) {
        for_each_column_value(view, local, |column, value| {
            self.pages.add(PageKey::of_value(FieldKey::of_column(column), value), row);
        });
        for (key, value) in view.attributes(local) {
            if self.cover.covers(key, value.kind()) {
                let field = FieldKey::of_attribute(key);
                for_each_value(value, &mut |text| {
                    self.pages.add(PageKey::of_value(field, text), row);
                });
            }
        }
    }

    /// The index of all rows added.
    pub(in crate::shard) fn finish(self) -> Result<BuiltIndex, ShardError> {
        let (_, fields) = schema();
        let directory = RamDirectory::create();
        let cover = self.cover.finish();
        // A segment without documents, whose terms and postings are then replaced: it has no stored fields, fast
        // fields, norms or positions, and all files that tantivy looks for when it opens one.
        let empty = empty_index(&directory)?;
        let segments = empty.searchable_segments()?;
        let [segment] = segments.as_slice() else { return Err(ShardError::Form("tantivy made no segment".to_owned())) };
        let segment = segment.clone().with_max_doc(self.rows);
        for component in [SegmentComponent::Terms, SegmentComponent::Postings, SegmentComponent::Positions] {
            directory.delete(&segment.relative_path(component)).map_err(std::io::Error::other)?;
        }
        let mut serializer = InvertedIndexSerializer::open(&segment)?;
        self.words.write(&mut serializer, fields.word)?;
        serializer.close()?;
        let meta = IndexMeta { segments: vec![segment.meta().clone()], ..empty.load_metas()? };
        let names = meta.list_segment_files();
        let meta = serde_json::to_vec(&meta).map_err(std::io::Error::other)?;
        let mut files = vec![(PathBuf::from(META_FILE), meta)];
        for name in names {
            if directory.exists(&name).unwrap_or(false) {
                let bytes = read_whole(&directory, &name)?;
                files.push((name, bytes));
            }
        }
        files.sort();
        let (pages, description, keys) = self.pages.finish();
        Ok(BuiltIndex { files, pages: (pages, description), cover, keys })
    }
}

fn empty_index(directory: &RamDirectory) -> Result<Index, ShardError> {
    let settings =
        IndexSettings { docstore_compression: Compressor::None, docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
    let writer = Index::builder()
        .schema(schema().0)
        .tokenizers(tokenizers())
        .settings(settings)
        .single_segment_index_writer::<TantivyDocument>(directory.clone(), WRITER_BYTES)?;
    Ok(writer.finalize()?)
}

fn read_whole(directory: &RamDirectory, name: &Path) -> Result<Vec<u8>, ShardError> {
    let bytes = directory.open_read(name).map_err(tantivy::TantivyError::from)?.read_bytes()?;
    Ok(bytes.as_slice().to_vec())
}
