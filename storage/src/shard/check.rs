//! Examining a shard: every byte of it, and whether what it says of itself is true of its rows.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;

use super::blocks::Blocks;
use super::cover::{for_each_column_value, for_each_value};
use super::index::Candidates;
use super::inspect::{meta_of, open};
use super::ranges::RowRanges;
use super::read::{ShardReader, Wanted, footer_entry};
use super::write::{ShardDescription, Tail};
use super::{BLOCKS_KEY, SHARD_KEY, ShardError, tail};
use crate::catalog::ShardMeta;
use crate::model::{IdKey, RecordId, RecordsView, TraceId, UnixNanos, column, words_lowercase};
use crate::predicate::{Comparison, Field, FieldTest, Literal, Predicate, TextTest, for_each_text};
use crate::terms::{for_each_id_key, for_each_id_term};

/// Answers of the index that are remembered, so that a value is looked up once and not once per row.
const REMEMBERED_MAX: usize = 65_536;

/// What a shard turned out to be.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The catalog's row, as the footer says it.
    pub(crate) meta: ShardMeta,
    /// What is wrong with it; nothing when it is sound.
    pub(crate) faults: Vec<String>,
    /// The numbers of its records, ascending.
    pub(crate) records: Vec<u64>,
    /// The keys of all its ids, ascending, each once.
    pub(crate) keys: Vec<IdKey>,
}

/// Examines the whole file of a shard. `known` is what the catalog says of its tail; without it the tail is
/// trusted as far as it agrees with everything else. An error: no row of it can be read.
pub(crate) fn examine(path: &str, bytes: &Bytes, known: Option<Tail>) -> Result<Examined, String> {
    if let Some(tail) = known {
        let found = usize::try_from(tail.offset).ok().and_then(|offset| bytes.get(offset..)).map(crc32fast::hash);
        if found != Some(tail.crc32) {
            return Err(format!("its footer is damaged or cut: the checksum of what begins at byte {} does not match", tail.offset));
        }
    }
    // Damaged bytes may make a decoder panic.
    let examined = catch_unwind(AssertUnwindSafe(|| examine_parts(path, bytes)));
    let examined = examined.unwrap_or_else(|_| Err(ShardError::Form("its bytes make the decoder fail".to_owned())));
    examined.map_err(|error| error.to_string())
}

fn examine_parts(path: &str, bytes: &Bytes) -> Result<Examined, ShardError> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let parquet = ArrowReaderMetadata::load(bytes, options)?;
    let description: ShardDescription = footer_entry(&parquet, SHARD_KEY)?;
    let blocks: Blocks = footer_entry(&parquet, BLOCKS_KEY)?;
    let before = usize::try_from(blocks.bytes).ok().and_then(|end| bytes.split_at_checked(end));
    let (before, tail) = before.ok_or_else(|| ShardError::Form("its table of checksums covers more than there is".to_owned()))?;
    tail::verify(tail, description.tail_sum)?;
    let tail = Tail { offset: blocks.bytes, crc32: crc32fast::hash(tail) };
    let mut examined = Examined {
        meta: meta_of(&description, path, bytes.len() as u64, tail)?,
        faults: Vec::new(),
        records: Vec::new(),
        keys: Vec::new(),
    };
    let damaged = blocks.all_damaged(before);
    if blocks.len() as u64 != blocks.bytes.div_ceil(blocks.block_bytes.max(1)) {
        examined.faults.push(format!("its table of checksums has {} blocks for {} bytes", blocks.len(), blocks.bytes));
    } else if !damaged.is_empty() {
        examined.faults.push(format!("{} of {} blocks are damaged, at bytes {damaged:?}", damaged.len(), blocks.len()));
    }
    if examined.faults.is_empty() {
        let reader = open(&description, &blocks, tail.crc32, bytes.clone())?;
        examined.faults.extend(reader.index_failure().map(|failure| format!("its index cannot be used: {failure}")));
        examine_rows(&reader, &mut examined)?;
    }
    Ok(examined)
}

fn examine_rows(reader: &ShardReader, examined: &mut Examined) -> Result<(), ShardError> {
    let rows = RowRanges::of(0..u32::try_from(examined.meta.rows).unwrap_or(u32::MAX));
    let mut walk =
        Walk { reader, remembered: HashMap::new(), places: Vec::new(), traces: HashMap::default(), keys: Vec::new(), missed: None };
    reader.read(&rows, Wanted::Records, &mut |view, numbers| {
        for (local, row) in numbers.iter().enumerate() {
            walk.row(view, local, *row)?;
        }
        Ok(true)
    })?;
    examined.faults.extend(passed_over(reader)?);
    examined.faults.extend(walk.bounds(&examined.meta));
    examined.faults.extend(walk.pages());
    examined.faults.extend(walk.order());
    examined.faults.extend(walk.missed.take());
    examined.records = walk.places.iter().map(|(_, record)| record.0).collect();
    examined.records.sort_unstable();
    if examined.records.windows(2).any(|pair| pair[0] == pair[1]) {
        examined.faults.push("two of its rows have the same record number".to_owned());
    }
    examined.keys = walk.keys;
    examined.keys.sort_unstable();
    examined.keys.dedup();
    Ok(())
}

/// Columns that no reader looks at, because the footer says that they hold nothing.
fn passed_over(reader: &ShardReader) -> Result<Option<String>, ShardError> {
    let filled = reader.filled_among_empty()?;
    Ok((!filled.is_empty()).then(|| format!("its footer says that the columns {filled:?} hold nothing, and they do")))
}

/// What goes by while all rows are read once.
struct Walk<'a> {
    reader: &'a ShardReader,
    remembered: HashMap<String, Candidates>,
    places: Vec<(UnixNanos, RecordId)>,
    /// The first row of each trace, and the one after its last.
    traces: HashMap<TraceId, Range<u32>, ahash::RandomState>,
    keys: Vec<IdKey>,
    /// The first thing that the index does not lead to.
    missed: Option<String>,
}

impl Walk<'_> {
    fn row(&mut self, view: &RecordsView<'_>, local: usize, row: u32) -> Result<(), ShardError> {
        self.places.push((view.time(local), view.record_id(local)));
        if let Some(trace) = view.trace_id(local) {
            self.traces.entry(trace).or_insert(row..row).end = row + 1;
        }
        for_each_id_key(view, local, |key| self.keys.push(key));
        // A frequent id would fill memory with copies of its key.
        if self.keys.len() > 4 * REMEMBERED_MAX && self.keys.len() > 8 * self.places.len() {
            self.keys.sort_unstable();
            self.keys.dedup();
        }
        let mut terms = Vec::new();
        for_each_id_term(view, local, |term| terms.push(term));
        for term in terms {
            let key = format!("id\0{:x?}", term.as_bytes());
            let reader = self.reader;
            let found = self.remember(&key, || reader.id_candidates(std::slice::from_ref(&term)))?;
            if !contains(found, row) {
                self.miss(row, "an id");
            }
        }
        self.values(view, local, row)
    }

    /// Every word and every value of a field that the index is asked for.
    fn values(&mut self, view: &RecordsView<'_>, local: usize, row: u32) -> Result<(), ShardError> {
        let mut questions: Vec<(String, Predicate)> = Vec::new();
        for_each_text(view, local, |text| {
            words_lowercase(text, |word| questions.push((format!("word\0{word}"), Predicate::Text(TextTest::Word(word.to_owned())))));
        });
        for_each_column_value(view, local, |column, value| {
            questions.extend(field_of(column).map(|field| (format!("{column}\0{value}"), equals(field, value))));
        });
        for (key, value) in view.attributes(local) {
            for_each_value(value, &mut |text| {
                questions.push((format!("attribute\0{key}\0{text}"), equals(Field::Attribute(vec![key.to_owned()]), text)));
            });
        }
        for (key, predicate) in questions {
            let reader = self.reader;
            let found = self.remember(&key, || Ok(reader.narrow(&predicate)))?;
            if !contains(found, row) && predicate.matches(view, local) {
                self.miss(row, &key.replace('\0', " "));
            }
        }
        Ok(())
    }

    fn remember(&mut self, key: &str, ask: impl FnOnce() -> Result<Candidates, ShardError>) -> Result<&Candidates, ShardError> {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        if !self.remembered.contains_key(key) {
            self.remembered.insert(key.to_owned(), ask()?);
        }
        Ok(&self.remembered[key])
    }

    fn miss(&mut self, row: u32, what: &str) {
        self.missed.get_or_insert_with(|| format!("its index does not lead to row {row} by {what}"));
    }

    /// What the footer says of all rows.
    fn bounds(&self, meta: &ShardMeta) -> Option<String> {
        let times = self.places.iter().map(|(time, _)| *time);
        let records = self.places.iter().map(|(_, record)| *record);
        let found = (self.places.len() as u64, times.clone().min(), times.max(), records.clone().min(), records.max());
        let said = (meta.rows, Some(meta.time_min), Some(meta.time_max), Some(meta.record_min), Some(meta.record_max));
        (found != said).then(|| format!("its footer says rows, times and record numbers are {said:?}, they are {found:?}"))
    }

    /// What the page index says of the times in each page.
    fn pages(&self) -> Option<String> {
        let outside = |page: &&super::Page| {
            let places = self.places.get(page.rows.start as usize..page.rows.end as usize);
            !places.is_some_and(|places| places.iter().all(|(time, _)| *time >= page.time_min && *time <= page.time_max))
        };
        let page = self.reader.pages().iter().find(outside)?;
        Some(format!("the page of rows {:?} has a row outside the times that its page index says", page.rows))
    }

    /// Traces whose rows overlap are one journey, whose rows stand in time order.
    fn order(&self) -> Option<String> {
        let mut traces: Vec<&Range<u32>> = self.traces.values().collect();
        traces.sort_unstable_by_key(|rows| rows.start);
        let mut journey = 0..0;
        for rows in traces {
            journey = if rows.start < journey.end { journey.start..journey.end.max(rows.end) } else { rows.clone() };
            let from = rows.start.max(journey.start + 1) as usize;
            if let Some(row) = (from..journey.end as usize).find(|row| self.places[row - 1] > self.places[*row]) {
                return Some(format!("rows {} and {row} are of one journey and not in the order of their times", row - 1));
            }
        }
        None
    }
}

fn contains(candidates: &Candidates, row: u32) -> bool {
    match candidates {
        Candidates::All => true,
        Candidates::Rows(rows) => !rows.within(row..row + 1).is_empty(),
    }
}

fn equals(field: Field, value: &str) -> Predicate {
    let literal = Literal { text: value.to_owned(), number: value.parse().ok(), ..Literal::default() };
    Predicate::Field { field, test: FieldTest::Compare(Comparison::Equal, literal) }
}

/// What a column is asked by.
fn field_of(name: &str) -> Option<Field> {
    match name {
        column::SERVICE_NAME => Some(Field::Service),
        column::NAME => Some(Field::Name),
        column::STATUS_CODE => Some(Field::Status),
        column::KIND => Some(Field::SpanKind),
        column::EVENT_NAME => Some(Field::EventName),
        _ => None,
    }
}
