//! Terms and the rows they stand in, collected while a shard is built.
//!
//! A term that stands in a large share of the rows narrows nothing: nearly every page holds it, and its rows
//! would be most of the index. It is written without rows, which says "frequent": the columns are scanned.

use indexmap::IndexSet;
use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;

/// A term in more than one of so many rows is frequent.
const FREQUENT_SHARE: usize = 64;
/// But not in fewer rows than this (in tests few, so that small shards have frequent terms too).
const FREQUENT_ROWS_MIN: usize = if cfg!(test) { 3 } else { 64 };

/// The words of a shard.
pub(super) struct Postings {
    frequent_rows: u32,
    terms: IndexSet<Box<str>, ahash::RandomState>,
    /// Of each term: how many rows hold it, and the last of them plus one.
    counts: Vec<(u32, u32)>,
    /// Term and row, in the order of rows; of a frequent term only the first ones.
    pairs: Vec<(u32, u32)>,
}

impl Postings {
    /// For a shard of so many rows.
    pub(super) fn new(rows: usize) -> Postings {
        Postings {
            frequent_rows: (rows / FREQUENT_SHARE).max(FREQUENT_ROWS_MIN) as u32,
            terms: IndexSet::default(),
            counts: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// The row holds the term. Rows come in ascending order.
    pub(super) fn add(&mut self, term: &str, row: u32) {
        let number = self.terms.get_index_of(term).unwrap_or_else(|| {
            self.counts.push((0, 0));
            self.terms.insert_full(term.into()).0
        });
        let (count, last) = &mut self.counts[number];
        if *last != row + 1 {
            *last = row + 1;
            *count += 1;
            if *count <= self.frequent_rows {
                self.pairs.push((number as u32, row));
            }
        }
    }

    /// Writes the terms as a field of the index.
    pub(super) fn write(self, serializer: &mut InvertedIndexSerializer, field: Field) -> std::io::Result<()> {
        let mut order: Vec<u32> = (0..self.counts.len() as u32).collect();
        order.sort_unstable_by(|one, other| self.terms[*one as usize].cmp(&self.terms[*other as usize]));
        let starts = self.starts();
        let rows = self.rows_by_term(&starts);
        let mut writer = serializer.new_field(field, 0, None)?;
        for number in order.into_iter().map(|number| number as usize) {
            let count = self.counts[number].0;
            let frequent = count > self.frequent_rows;
            writer.new_term(self.terms[number].as_bytes(), if frequent { 0 } else { count }, false)?;
            if !frequent {
                rows[starts[number]..starts[number + 1]].iter().for_each(|row| writer.write_doc(*row, 1, &[]));
            }
            writer.close_term()?;
        }
        writer.close()
    }

    /// Where the rows of each term begin when they are put one term after the other.
    fn starts(&self) -> Vec<usize> {
        let mut starts = vec![0];
        let mut end = 0;
        for (count, _) in &self.counts {
            end += (*count).min(self.frequent_rows) as usize;
            starts.push(end);
        }
        starts
    }

    fn rows_by_term(&self, starts: &[usize]) -> Vec<u32> {
        let mut next = starts.to_vec();
        let mut rows = vec![0; self.pairs.len()];
        for (number, row) in &self.pairs {
            let at = &mut next[*number as usize];
            rows[*at] = *row;
            *at += 1;
        }
        rows
    }
}
