//! The index of a shard: one tantivy segment whose doc ids are row numbers. It narrows a predicate to
//! candidate rows, never fewer than match; the columns decide.

use std::path::{Path, PathBuf};

use tantivy::directory::{Directory, RamDirectory};
use tantivy::postings::Postings;
use tantivy::schema::{BytesOptions, Field as IndexField, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::store::Compressor;
use tantivy::tokenizer::{LowerCaser, RawTokenizer, SimpleTokenizer, TextAnalyzer, TokenizerManager};
use tantivy::{Index, IndexSettings, SegmentReader, TERMINATED, TantivyDocument, Term};

use super::ShardError;
use super::cover::{Cover, VALUE_BYTES_MAX, field_term, for_each_value};
use super::file::IndexDirectory;
use super::truncate::{TruncateLong, truncated};
use crate::model::{IdTerm, RecordsView, Signal, SpanKind, StatusCode, Value, column};
use crate::predicate::{Comparison, Field, FieldTest, Literal, Predicate, TextTest, for_each_text, resource_test_holds};
use crate::terms::for_each_id_term;

/// Memory for building; a shard is far smaller.
const BUILD_BYTES: usize = 256 << 20;
const WORDS: &str = "words";
const RAW: &str = "raw";
/// Terms of columns that are not attributes begin with this, which no attribute key does.
const COLUMN_PREFIX: &str = "\u{1}";
/// A prefix that more words than this begin with is not narrowed.
const PREFIX_WORDS_MAX: usize = 1_000;

/// The fields of the index.
struct Fields {
    id: IndexField,
    word: IndexField,
    field: IndexField,
}

fn schema() -> (Schema, Fields) {
    let text = |tokenizer: &str| {
        let indexing =
            TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(IndexRecordOption::Basic).set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing)
    };
    let mut builder = Schema::builder();
    let fields = Fields {
        id: builder.add_bytes_field("id", BytesOptions::default().set_indexed()),
        word: builder.add_text_field("word", text(WORDS)),
        field: builder.add_text_field("field", text(RAW)),
    };
    (builder.build(), fields)
}

/// Cuts text as [`crate::model::words_lowercase`] does.
fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    let words = TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser).filter(TruncateLong);
    manager.register(WORDS, words.build());
    manager.register(RAW, RawTokenizer::default());
    // tantivy asks for a tokenizer of this name for fields that are not text, and never uses it.
    manager.register("default", RawTokenizer::default());
    manager
}

/// Builds the index of the rows; the files it consists of.
pub(super) fn build(view: &RecordsView<'_>, cover: &Cover) -> Result<Vec<(PathBuf, Vec<u8>)>, ShardError> {
    let (schema, fields) = schema();
    let directory = RamDirectory::create();
    let settings =
        IndexSettings { docstore_compression: Compressor::None, docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
    let mut writer = Index::builder()
        .schema(schema)
        .tokenizers(tokenizers())
        .settings(settings)
        .single_segment_index_writer::<TantivyDocument>(directory.clone(), BUILD_BYTES)?;
    for row in 0..view.len() {
        let mut document = TantivyDocument::new();
        for_each_id_term(view, row, |term| document.add_bytes(fields.id, term.as_bytes()));
        for_each_text(view, row, |text| document.add_text(fields.word, text));
        for_each_field_term(view, row, cover, |term| document.add_text(fields.field, term));
        writer.add_document(document)?;
    }
    let index = writer.finalize()?;
    let mut names: Vec<PathBuf> = vec![PathBuf::from("meta.json")];
    names.extend(index.load_metas()?.list_segment_files().into_iter().filter(|name| directory.exists(name).unwrap_or(false)));
    names.iter().map(|name| Ok((name.clone(), read_whole(&directory, name)?))).collect()
}

fn read_whole(directory: &RamDirectory, name: &Path) -> Result<Vec<u8>, ShardError> {
    let bytes = directory.open_read(name).map_err(tantivy::TantivyError::from)?.read_bytes()?;
    Ok(bytes.as_slice().to_vec())
}

fn for_each_field_term(view: &RecordsView<'_>, row: usize, cover: &Cover, mut visit: impl FnMut(&str)) {
    let columns = [
        (column::SERVICE_NAME, Some(view.service(row))),
        (column::NAME, view.name(row)),
        (column::STATUS_CODE, view.status(row).map(StatusCode::name)),
        (column::KIND, view.kind(row).map(SpanKind::name)),
        (column::EVENT_NAME, view.event_name(row)),
    ];
    for (name, value) in columns {
        if let Some(value) = value.filter(|value| value.len() <= VALUE_BYTES_MAX) {
            visit(&column_term(name, value));
        }
    }
    for (key, kind, text) in view.attributes(row) {
        if !cover.keys_left_out.contains(key) {
            for_each_value(kind, text, &mut |value| visit(&field_term(key, value)));
        }
    }
}

fn column_term(column: &str, value: &str) -> String {
    format!("{COLUMN_PREFIX}{column}={value}")
}

/// Rows that may match: all, or these, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// The index does not narrow.
    All,
    /// No other row matches.
    Rows(Vec<u32>),
}

impl Candidates {
    fn and(self, other: Candidates) -> Candidates {
        match (self, other) {
            (Candidates::All, narrowed) | (narrowed, Candidates::All) => narrowed,
            (Candidates::Rows(few), Candidates::Rows(many)) => {
                let (few, many) = if few.len() <= many.len() { (few, many) } else { (many, few) };
                Candidates::Rows(few.into_iter().filter(|row| many.binary_search(row).is_ok()).collect())
            }
        }
    }

    fn or(self, other: Candidates) -> Candidates {
        match (self, other) {
            (Candidates::Rows(mut rows), Candidates::Rows(more)) => {
                rows.extend(more);
                rows.sort_unstable();
                rows.dedup();
                Candidates::Rows(rows)
            }
            _ => Candidates::All,
        }
    }
}

/// An open index.
pub(super) struct ShardIndex {
    signal: Signal,
    segment: SegmentReader,
    fields: Fields,
    cover: Cover,
}

impl ShardIndex {
    pub(super) fn open(signal: Signal, directory: IndexDirectory, cover: Cover) -> Result<ShardIndex, ShardError> {
        let index = Index::open(directory)?;
        let segments = index.searchable_segments()?;
        let [segment] = segments.as_slice() else {
            return Err(ShardError::Form(format!("the index has {} segments instead of one", segments.len())));
        };
        Ok(ShardIndex { signal, segment: SegmentReader::open(segment)?, fields: schema().1, cover })
    }

    /// Rows that carry one of the ids.
    pub(super) fn rows_with(&self, terms: &[IdTerm]) -> Result<Vec<u32>, ShardError> {
        let mut rows = Vec::new();
        for term in terms {
            rows.extend(self.rows(&Term::from_field_bytes(self.fields.id, term.as_bytes()))?);
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }

    /// Rows that may match the predicate.
    pub(super) fn narrow(&self, predicate: &Predicate) -> Result<Candidates, ShardError> {
        match predicate {
            Predicate::And(all) => {
                let mut narrowed = Candidates::All;
                for inner in all {
                    narrowed = narrowed.and(self.narrow(inner)?);
                    if narrowed == Candidates::Rows(Vec::new()) {
                        break;
                    }
                }
                Ok(narrowed)
            }
            Predicate::Or(any) => {
                let mut narrowed = Candidates::Rows(Vec::new());
                for inner in any {
                    narrowed = narrowed.or(self.narrow(inner)?);
                    if narrowed == Candidates::All {
                        break;
                    }
                }
                Ok(narrowed)
            }
            Predicate::Text(test) => self.narrow_text(test),
            Predicate::Field { field, test } => self.narrow_field(field, test),
            Predicate::Id(test) => Ok(Candidates::Rows(self.rows_with(&test.terms())?)),
            Predicate::Signal(signal) if *signal != self.signal => Ok(Candidates::Rows(Vec::new())),
            Predicate::All | Predicate::Not(_) | Predicate::Signal(_) | Predicate::IsRoot | Predicate::HasException => Ok(Candidates::All),
        }
    }

    fn narrow_text(&self, test: &TextTest) -> Result<Candidates, ShardError> {
        match test {
            TextTest::Word(word) => self.word(word),
            TextTest::Prefix(prefix) => self.words_with_prefix(prefix),
            TextTest::Phrase(words) => words.iter().try_fold(Candidates::All, |narrowed, word| Ok(narrowed.and(self.word(word)?))),
            TextTest::Regex(_) => Ok(Candidates::All),
        }
    }

    fn narrow_field(&self, field: &Field, test: &FieldTest) -> Result<Candidates, ShardError> {
        let literal = match test {
            FieldTest::Compare(Comparison::Equal, literal) if literal.text.len() <= VALUE_BYTES_MAX => literal,
            FieldTest::Text(text) if *field == Field::Body => return self.narrow_text(text),
            _ => return Ok(Candidates::All),
        };
        let column = |name: &str| self.field(&column_term(name, &literal.text));
        match field {
            Field::Service => column(column::SERVICE_NAME),
            Field::Name => column(column::NAME),
            Field::Status => column(column::STATUS_CODE),
            Field::SpanKind => column(column::KIND),
            Field::EventName => column(column::EVENT_NAME),
            Field::Attribute(keys) => self.attribute(keys, literal),
            Field::Any(keys) if !self.some_resource_passes(keys, test) => self.attribute(keys, literal),
            Field::Resource(keys) if !self.some_resource_passes(keys, test) => Ok(Candidates::Rows(Vec::new())),
            Field::Body => {
                let mut words = Vec::new();
                crate::model::words_lowercase(&literal.text, |word| words.push(word.to_owned()));
                self.narrow_text(&TextTest::Phrase(words))
            }
            Field::Any(_) | Field::Resource(_) | Field::Severity | Field::Duration | Field::StatusMessage => Ok(Candidates::All),
        }
    }

    fn some_resource_passes(&self, keys: &[String], test: &FieldTest) -> bool {
        match &self.cover.resources {
            None => true,
            Some(resources) => resources.iter().any(|json| resource_test_holds(keys, test, json)),
        }
    }

    /// A number is written in one way as an integer and in one as a double; text as it is.
    fn attribute(&self, keys: &[String], literal: &Literal) -> Result<Candidates, ShardError> {
        if keys.iter().any(|key| self.cover.keys_left_out.contains(key)) {
            return Ok(Candidates::All);
        }
        let mut spellings = vec![literal.text.clone()];
        if let Some(number) = literal.number {
            spellings.push(Value::Double(number).text());
            spellings.push(format!("{number:.0}"));
        }
        let mut narrowed = Candidates::Rows(Vec::new());
        for key in keys {
            for spelling in &spellings {
                narrowed = narrowed.or(self.field(&field_term(key, spelling))?);
            }
        }
        Ok(narrowed)
    }

    fn field(&self, term: &str) -> Result<Candidates, ShardError> {
        Ok(Candidates::Rows(self.rows(&Term::from_field_text(self.fields.field, term))?))
    }

    fn word(&self, word: &str) -> Result<Candidates, ShardError> {
        Ok(Candidates::Rows(self.rows(&Term::from_field_text(self.fields.word, truncated(word)))?))
    }

    fn words_with_prefix(&self, prefix: &str) -> Result<Candidates, ShardError> {
        let inverted = self.segment.inverted_index(self.fields.word)?;
        let prefix = truncated(prefix);
        let mut stream = inverted.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut rows = Vec::new();
        let mut words = 0;
        while stream.advance() && stream.key().starts_with(prefix.as_bytes()) {
            words += 1;
            if words > PREFIX_WORDS_MAX {
                return Ok(Candidates::All);
            }
            let info = stream.value().clone();
            let mut postings = inverted.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
            collect(&mut postings, &mut rows);
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(Candidates::Rows(rows))
    }

    fn rows(&self, term: &Term) -> Result<Vec<u32>, ShardError> {
        let inverted = self.segment.inverted_index(term.field())?;
        let mut rows = Vec::new();
        if let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::Basic)? {
            collect(&mut postings, &mut rows);
        }
        Ok(rows)
    }
}

fn collect(postings: &mut impl Postings, rows: &mut Vec<u32>) {
    let mut doc = postings.doc();
    while doc != TERMINATED {
        rows.push(doc);
        doc = postings.advance();
    }
}
