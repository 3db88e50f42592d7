//! Selecting the rows of a batch that match.

use super::evaluate::{AttributeReader, KnownRequest, field_holds, holds, resource_test_holds, some_text, value_holds};
use super::words::{Among, AnyWords, RequiredWords, is_joined};
use super::{Field, FieldTest, Predicate};
use crate::model::{ColumnValue, DictionaryView, RecordsView, ValueKind};

/// Rows that are looked at before the asker is asked whether the answer is still wanted.
const ROWS_BETWEEN_CHECKS: usize = 256;

/// The rows of a view that match, ascending; none when the question was withdrawn meanwhile.
pub(crate) fn matching_rows(predicate: &Predicate, view: &RecordsView<'_>, cancelled: &dyn Fn() -> bool) -> Option<Vec<u32>> {
    matching_among(predicate, view, (0..view.len() as u32).collect(), cancelled)
}

/// Those of some rows of a view, given and returned ascending, that match; none when the question was withdrawn meanwhile.
pub(crate) fn matching_among(
    predicate: &Predicate,
    view: &RecordsView<'_>,
    rows: Vec<u32>,
    cancelled: &dyn Fn() -> bool,
) -> Option<Vec<u32>> {
    let rows = Selection { view, cancelled }.select(predicate, rows);
    (!cancelled()).then_some(rows)
}

/// The rows of a view that match, ascending, of each of several predicates: of those that need a word, only rows with it are
/// looked at.
pub(crate) fn matching_rows_of_each(predicates: &[&Predicate], view: &RecordsView<'_>) -> Vec<Vec<u32>> {
    let selection = Selection { view, cancelled: &|| false };
    let mut with_word = RequiredWords::of(predicates).map(|words| words.rows(view)).unwrap_or_default();
    let select = |(at, predicate): (usize, &&Predicate)| match with_word.remove(&at) {
        Some(rows) if rows.is_empty() => rows,
        Some(rows) => selection.select(predicate, rows),
        None => selection.select(predicate, (0..view.len() as u32).collect()),
    };
    predicates.iter().enumerate().map(select).collect()
}

/// Selects rows of a view, as long as somebody wants them. When nobody does, what is selected means nothing.
struct Selection<'q, 'v> {
    view: &'q RecordsView<'v>,
    cancelled: &'q dyn Fn() -> bool,
}

impl Selection<'_, '_> {
    /// Those of `rows` that match: condition by condition, so that a column is looked at once, and only where the
    /// conditions before left a row.
    fn select(&self, predicate: &Predicate, rows: Vec<u32>) -> Vec<u32> {
        let view = self.view;
        match predicate {
            Predicate::All => rows,
            Predicate::And(all) => self.select_all(all, rows),
            Predicate::Or(any) => self.select_any(&any.iter().collect::<Vec<_>>(), rows),
            Predicate::Not(inner) => {
                let hits = self.select(inner, rows.clone());
                without(rows, &hits)
            }
            Predicate::Signal(signal) if view.signal == *signal => rows,
            Predicate::Signal(_) => Vec::new(),
            Predicate::Field { field, test } if keys_of(field).is_some() => self.select_attribute(field, &[test], rows),
            Predicate::Field { field, test } => {
                let passes = dictionary_of(field, view).map(|texts| (texts, passing(texts, test)));
                self.retain(rows, |row| {
                    let known = passes.as_ref().and_then(|(texts, passes)| texts.code(row).map(|code| passes[code]));
                    known.unwrap_or_else(|| field_holds(field, test, view, row))
                })
            }
            Predicate::Id(test) => {
                let mut requests = KnownRequest { test, last: None };
                self.retain(rows, |row| requests.id_holds(view, row))
            }
            _ => self.retain(rows, |row| holds(predicate, view, row)),
        }
    }

    /// All of them: those that must not hold are looked for together.
    fn select_all(&self, all: &[Predicate], rows: Vec<u32>) -> Vec<u32> {
        let unwanted = |predicate: &&Predicate| matches!(predicate, Predicate::Not(_));
        let rows = all.iter().filter(|inner| !unwanted(inner)).fold(rows, |rows, inner| self.select(inner, rows));
        let gone = all.iter().filter_map(|inner| if let Predicate::Not(gone) = inner { Some(&**gone) } else { None }).collect::<Vec<_>>();
        if gone.is_empty() {
            return rows;
        }
        let hits = self.select_any(&gone, rows.clone());
        without(rows, &hits)
    }

    /// One of them: tests on words are made together, the others one after the other on the rows that are left.
    fn select_any(&self, any: &[&Predicate], mut rows: Vec<u32>) -> Vec<u32> {
        let (mut found, mut left) = (Vec::new(), any.to_vec());
        for among in [Among::Texts, Among::Body] {
            let Some(words) = AnyWords::of(&left, among) else { continue };
            let hits = self.retain(rows.clone(), |row| match among {
                Among::Texts => some_text(self.view, row, |text| words.are_in(text)),
                Among::Body => self.view.body(row).is_some_and(|body| words.are_in(body)),
            });
            rows = without(rows, &hits);
            found.extend(hits);
            left.retain(|inner| !is_joined(inner, among));
        }
        let mut left = left.as_slice();
        while let Some(first) = left.first().filter(|_| !rows.is_empty() && !(self.cancelled)()) {
            // `user.id:(1 OR 2 OR 3)`: the value is read once.
            let alike = left.iter().map_while(|other| test_of_same_attribute(first, other)).collect::<Vec<_>>();
            let hits = match first {
                Predicate::Field { field, .. } if !alike.is_empty() => self.select_attribute(field, &alike, rows.clone()),
                other => self.select(other, rows.clone()),
            };
            left = &left[alike.len().max(1)..];
            rows = without(rows, &hits);
            found.extend(hits);
        }
        found.sort_unstable();
        found
    }

    /// Rows whose attribute passes one of the tests. A resource is looked at once, however many rows have it.
    fn select_attribute(&self, field: &Field, tests: &[&FieldTest], rows: Vec<u32>) -> Vec<u32> {
        let (view, keys) = (self.view, keys_of(field).unwrap_or_default());
        let passes = dictionary_of(field, view).map(|texts| {
            let holds = |text| tests.iter().any(|test| value_holds(test, ColumnValue::Text(ValueKind::String, text)));
            (texts, texts.values().iter().map(|text| text.is_some_and(holds)).collect::<Vec<bool>>())
        });
        let mut by_resource = vec![None; view.resource().map_or(0, |resources| resources.texts())];
        let mut resource_holds = |row: usize| {
            let resources = view.resource()?;
            let code = resources.code(row)?;
            let is_any = || tests.iter().any(|test| resource_test_holds(keys, test, resources.values().value(code)));
            Some(*by_resource[code].get_or_insert_with(is_any))
        };
        let attributes = AttributeReader::new(keys, view);
        self.retain(rows, |row| {
            if let Some((texts, passes)) = &passes
                && let Some(code) = texts.code(row)
            {
                return passes[code];
            }
            let own = if matches!(field, Field::Resource(_)) { None } else { attributes.get(row) };
            match own {
                Some(value) => tests.iter().any(|test| value_holds(test, value)),
                None => !matches!(field, Field::Attribute(_)) && resource_holds(row).unwrap_or(false),
            }
        })
    }

    fn retain(&self, mut rows: Vec<u32>, mut holds: impl FnMut(usize) -> bool) -> Vec<u32> {
        let (mut looked_at, mut withdrawn) = (0, false);
        rows.retain(|row| {
            if looked_at % ROWS_BETWEEN_CHECKS == 0 {
                withdrawn = withdrawn || (self.cancelled)();
            }
            looked_at += 1;
            !withdrawn && holds(*row as usize)
        });
        rows
    }
}

/// The rows that are not among those that are gone.
pub(crate) fn without(rows: Vec<u32>, gone: &[u32]) -> Vec<u32> {
    let mut gone = gone.iter().copied().peekable();
    let mut stays = |row: &u32| {
        while gone.next_if(|other| other < row).is_some() {}
        gone.peek() != Some(row)
    };
    rows.into_iter().filter(|row| stays(row)).collect()
}

/// The keys of an attribute.
fn keys_of(field: &Field) -> Option<&[String]> {
    match field {
        Field::Any(keys) | Field::Attribute(keys) | Field::Resource(keys) => Some(keys),
        _ => None,
    }
}

/// The test of a condition on the attribute that the first is a condition on.
fn test_of_same_attribute<'p>(first: &Predicate, other: &'p Predicate) -> Option<&'p FieldTest> {
    match (first, other) {
        (Predicate::Field { field, .. }, Predicate::Field { field: same, test }) if keys_of(field).is_some() && field == same => Some(test),
        _ => None,
    }
}

/// The dictionary that alone decides a field wherever a row has a value in it.
fn dictionary_of<'a>(field: &Field, view: &RecordsView<'a>) -> Option<DictionaryView<'a>> {
    match field {
        Field::Service => view.services(),
        // The first key that a row has decides.
        Field::Attribute(keys) | Field::Any(keys) => {
            let first = keys.first()?;
            view.attribute_columns().iter().find(|column| column.key == first)?.dictionary()
        }
        _ => None,
    }
}

/// Which texts of a dictionary pass the test.
fn passing(texts: DictionaryView<'_>, test: &FieldTest) -> Vec<bool> {
    texts.values().iter().map(|text| text.is_some_and(|text| value_holds(test, ColumnValue::Text(ValueKind::String, text)))).collect()
}
