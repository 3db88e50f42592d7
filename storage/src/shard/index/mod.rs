//! The index of a shard: words in one tantivy segment whose doc ids are row numbers; ids, values of fields and
//! numbers by page. It narrows a predicate to candidate rows, never fewer than match; the columns decide.

mod build;
mod regex;

use std::io;
use std::ops::Range;

use tantivy::postings::TermInfo;
use tantivy::schema::{Field as IndexField, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{RawTokenizer, TokenizerManager};
use tantivy::{DocSet as _, Index, InvertedIndexReader, SegmentReader, TERMINATED};

use super::ShardError;
use super::cover::{Cover, VALUE_BYTES_MAX};
use super::file::IndexDirectory;
use super::pages::{FieldKey, Found, PageKey, PagesDescription};
use super::ranges::RowRanges;
use super::words::{is_number, may_be_cut, may_be_in_number, truncated};
use crate::model::{IdTerm, Signal, Value, column, words_lowercase};
use crate::predicate::{Comparison, Field, FieldTest, Literal, Predicate, TextTest, resource_test_holds};

pub(super) use build::{BuiltIndex, IndexBuilder};
use regex::Required;

const META_FILE: &str = "meta.json";
const RAW: &str = "raw";
/// A prefix that more words than this begin with is not narrowed.
const PREFIX_WORDS_MAX: usize = 1_000;

/// The fields of the tantivy segment.
struct Fields {
    word: IndexField,
}

fn schema() -> (Schema, Fields) {
    let indexing = TextFieldIndexing::default().set_tokenizer(RAW).set_index_option(IndexRecordOption::Basic).set_fieldnorms(false);
    let terms = TextOptions::default().set_indexing_options(indexing);
    let mut builder = Schema::builder();
    let fields = Fields { word: builder.add_text_field("word", terms) };
    (builder.build(), fields)
}

/// What words that are numbers are found under.
fn number_words() -> FieldKey {
    FieldKey::of_column("")
}

/// Terms come ready made; tantivy wants the tokenizers that its schema names.
fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    manager.register(RAW, RawTokenizer::default());
    manager
}

/// Rows that may match: all, or these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// The index does not narrow.
    All,
    /// No other row matches.
    Rows(RowRanges),
}

impl Candidates {
    fn and(self, other: Candidates) -> Candidates {
        match (self, other) {
            (Candidates::All, narrowed) | (narrowed, Candidates::All) => narrowed,
            (Candidates::Rows(one), Candidates::Rows(other)) => Candidates::Rows(one.and(&other)),
        }
    }

    fn or(self, other: Candidates) -> Candidates {
        match (self, other) {
            (Candidates::Rows(one), Candidates::Rows(other)) => Candidates::Rows(one.or(&other)),
            _ => Candidates::All,
        }
    }

    fn none() -> Candidates {
        Candidates::Rows(RowRanges::default())
    }
}

/// An open index.
pub(super) struct ShardIndex {
    signal: Signal,
    rows: u32,
    segment: SegmentReader,
    fields: Fields,
    pages: PagesDescription,
    directory: IndexDirectory,
    cover: Cover,
}

impl ShardIndex {
    pub(super) fn open(
        signal: Signal,
        rows: u32,
        directory: IndexDirectory,
        pages: PagesDescription,
        cover: Cover,
    ) -> Result<ShardIndex, ShardError> {
        if !pages.is_sound() {
            return Err(ShardError::Form("the index of pages is described as no needle writes it".to_owned()));
        }
        let index = Index::open(directory.clone())?;
        let segments = index.searchable_segments()?;
        let [segment] = segments.as_slice() else {
            return Err(ShardError::Form(format!("the index has {} segments instead of one", segments.len())));
        };
        Ok(ShardIndex { signal, rows, segment: SegmentReader::open(segment)?, fields: schema().1, pages, directory, cover })
    }

    /// Rows that may carry one of the ids.
    pub(super) fn rows_with(&self, terms: &[IdTerm]) -> Result<Candidates, ShardError> {
        let mut rows = Candidates::none();
        for key in terms.iter().flat_map(IdTerm::keys) {
            rows = rows.or(self.find(PageKey::of_id(key))?);
        }
        Ok(rows)
    }

    fn find(&self, key: PageKey) -> Result<Candidates, ShardError> {
        let read = |range: Range<u64>| -> io::Result<bytes::Bytes> { self.directory.read_pages(range) };
        Ok(match self.pages.find(key, self.rows, read)? {
            Found::Everywhere => Candidates::All,
            Found::In(rows) => Candidates::Rows(rows),
        })
    }

    /// How many words there are, and how many of them are frequent.
    pub(super) fn words(&self) -> Result<(u64, u64), ShardError> {
        let inverted = self.segment.inverted_index(self.fields.word)?;
        let mut stream = inverted.terms().stream()?;
        let (mut all, mut frequent) = (0, 0);
        while stream.advance() {
            all += 1;
            frequent += u64::from(stream.value().doc_freq == 0);
        }
        Ok((all, frequent))
    }

    /// Rows that may match the predicate.
    pub(super) fn narrow(&self, predicate: &Predicate) -> Result<Candidates, ShardError> {
        match predicate {
            Predicate::And(all) => {
                let mut narrowed = Candidates::All;
                for inner in all {
                    narrowed = narrowed.and(self.narrow(inner)?);
                    if narrowed == Candidates::none() {
                        break;
                    }
                }
                Ok(narrowed)
            }
            Predicate::Or(any) => {
                let mut narrowed = Candidates::none();
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
            Predicate::Id(test) => self.rows_with(&test.terms()),
            Predicate::Signal(signal) if *signal != self.signal => Ok(Candidates::none()),
            Predicate::All | Predicate::Not(_) | Predicate::Signal(_) | Predicate::IsRoot | Predicate::HasException => Ok(Candidates::All),
        }
    }

    fn narrow_text(&self, test: &TextTest) -> Result<Candidates, ShardError> {
        match test {
            TextTest::Word(word) => self.word(word),
            TextTest::Prefix(prefix) => self.words_with_prefix(prefix),
            TextTest::Phrase(words) => words.iter().try_fold(Candidates::All, |narrowed, word| Ok(narrowed.and(self.word(word)?))),
            TextTest::Regex(regex) => regex::required(regex.as_str()).iter().try_fold(Candidates::All, |narrowed, required| {
                Ok(narrowed.and(match required {
                    Required::Word(word) => self.word(word)?,
                    Required::Within(part) => self.words_with(part)?,
                }))
            }),
        }
    }

    fn narrow_field(&self, field: &Field, test: &FieldTest) -> Result<Candidates, ShardError> {
        let literal = match test {
            FieldTest::Compare(Comparison::Equal, literal) if literal.text.len() <= VALUE_BYTES_MAX => literal,
            FieldTest::Text(text) if *field == Field::Body => return self.narrow_text(text),
            FieldTest::Regex(regex) if matches!(field, Field::Body | Field::Name) => {
                return self.narrow_text(&TextTest::Regex(regex.clone()));
            }
            _ => return Ok(Candidates::All),
        };
        let column = |name: &str| self.find(PageKey::of_value(FieldKey::of_column(name), &literal.text));
        match field {
            Field::Service => column(column::SERVICE_NAME),
            Field::Name => column(column::NAME),
            Field::Status => column(column::STATUS_CODE),
            Field::SpanKind => column(column::KIND),
            Field::EventName => column(column::EVENT_NAME),
            Field::Attribute(keys) => self.attribute(keys, literal),
            Field::Any(keys) if !self.some_resource_passes(keys, test) => self.attribute(keys, literal),
            Field::Resource(keys) if !self.some_resource_passes(keys, test) => Ok(Candidates::none()),
            Field::Body => {
                let mut words = Vec::new();
                words_lowercase(&literal.text, |word| words.push(word.to_owned()));
                self.narrow_text(&TextTest::Phrase(words))
            }
            Field::Any(_) | Field::Resource(_) | Field::Time | Field::Severity | Field::Duration | Field::StatusMessage => {
                Ok(Candidates::All)
            }
        }
    }

    fn some_resource_passes(&self, keys: &[String], test: &FieldTest) -> bool {
        match &self.cover.resources {
            None => true,
            Some(resources) => resources.iter().any(|json| resource_test_holds(keys, test, json)),
        }
    }

    /// An integer is written in one way; text as it is. Doubles are not indexed, and equal numbers of both kinds
    /// match: what looks like a number is narrowed only where no row can have it as a double.
    fn attribute(&self, keys: &[String], literal: &Literal) -> Result<Candidates, ShardError> {
        if literal.number.is_some() && keys.iter().any(|key| self.cover.doubles.contains(key)) {
            return Ok(Candidates::All);
        }
        let mut spellings = vec![literal.text.clone()];
        if let Some(number) = literal.number {
            spellings.push(Value::Double(number).text());
            spellings.push(format!("{number:.0}"));
        }
        let lower = literal.text.to_ascii_lowercase();
        if lower == "true" || lower == "false" {
            spellings.push(lower);
        }
        let mut narrowed = Candidates::none();
        for key in keys {
            for spelling in &spellings {
                narrowed = narrowed.or(self.find(PageKey::of_value(FieldKey::of_attribute(key), spelling))?);
            }
        }
        Ok(narrowed)
    }

    fn word(&self, word: &str) -> Result<Candidates, ShardError> {
        let word = truncated(word);
        if is_number(word) {
            return self.find(PageKey::of_value(number_words(), word));
        }
        let inverted = self.segment.inverted_index(self.fields.word)?;
        let Some(info) = inverted.terms().get(word)? else { return Ok(Candidates::none()) };
        let mut rows = Vec::new();
        let narrows = collect(&inverted, &info, &mut rows)?;
        Ok(if narrows { Candidates::Rows(RowRanges::of_rows(rows)) } else { Candidates::All })
    }

    fn words_with_prefix(&self, prefix: &str) -> Result<Candidates, ShardError> {
        let prefix = truncated(prefix);
        if may_be_in_number(prefix) {
            return Ok(Candidates::All);
        }
        let inverted = self.segment.inverted_index(self.fields.word)?;
        let mut stream = inverted.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut rows = Vec::new();
        let mut words = 0;
        while stream.advance() && stream.key().starts_with(prefix.as_bytes()) {
            words += 1;
            if words > PREFIX_WORDS_MAX || !collect(&inverted, &stream.value().clone(), &mut rows)? {
                return Ok(Candidates::All);
            }
        }
        Ok(Candidates::Rows(RowRanges::of_rows(rows)))
    }

    /// Rows with a word that contains this.
    fn words_with(&self, part: &str) -> Result<Candidates, ShardError> {
        if may_be_in_number(part) {
            return Ok(Candidates::All);
        }
        let inverted = self.segment.inverted_index(self.fields.word)?;
        let mut stream = inverted.terms().stream()?;
        let finder = memchr::memmem::Finder::new(part);
        let mut rows = Vec::new();
        while stream.advance() {
            // The rest of a long word is not in the dictionary.
            let may_hold = finder.find(stream.key()).is_some() || std::str::from_utf8(stream.key()).is_ok_and(may_be_cut);
            if may_hold && !collect(&inverted, &stream.value().clone(), &mut rows)? {
                return Ok(Candidates::All);
            }
        }
        Ok(Candidates::Rows(RowRanges::of_rows(rows)))
    }
}

/// Adds the rows of a term. False for a frequent one, whose rows are not written.
fn collect(inverted: &InvertedIndexReader, info: &TermInfo, rows: &mut Vec<u32>) -> io::Result<bool> {
    if info.doc_freq == 0 {
        return Ok(false);
    }
    let mut postings = inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
    let mut doc = postings.doc();
    while doc != TERMINATED {
        rows.push(doc);
        doc = postings.advance();
    }
    Ok(true)
}
