//! Many tests on words at once: a text is cut into words one time, however many are looked for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use super::evaluate::for_each_text;
use super::{Comparison, Field, FieldTest, Predicate, TextTest};
use crate::model::{RecordsView, words_lowercase};

/// Where the words are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// All texts of a record.
    Texts,
    /// The message of a log.
    Body,
}

/// Words, beginnings of words and phrases, one of which is enough.
#[derive(Debug, Default)]
pub(super) struct AnyWords<'p> {
    words: HashSet<&'p str, ahash::RandomState>,
    /// None of them is the beginning of another.
    prefixes: BTreeSet<&'p str>,
    /// By their first word.
    phrases: HashMap<String, Vec<Vec<String>>, ahash::RandomState>,
}

impl<'p> AnyWords<'p> {
    /// Those of some conditions that are nothing but a test on words; none if there are fewer than two.
    pub(super) fn of(any: &[&'p Predicate], among: Among) -> Option<AnyWords<'p>> {
        let mut all = AnyWords::default();
        let joined = any.iter().filter(|predicate| is_joined(predicate, among)).map(|predicate| all.add(predicate)).count();
        all.prefixes = all.prefixes.iter().filter(|prefix| !begins(&all.prefixes, prefix, true)).copied().collect();
        (joined > 1).then_some(all)
    }

    fn add(&mut self, predicate: &'p Predicate) {
        match predicate {
            Predicate::Text(test) | Predicate::Field { test: FieldTest::Text(test), .. } => match test {
                TextTest::Word(word) => drop(self.words.insert(word)),
                TextTest::Prefix(prefix) => drop(self.prefixes.insert(prefix)),
                TextTest::Phrase(words) => self.add_phrase(words.clone()),
                TextTest::Regex(_) => {}
            },
            Predicate::Field { test: FieldTest::Compare(_, literal), .. } => {
                let mut words = Vec::new();
                words_lowercase(&literal.text, |word| words.push(word.to_owned()));
                self.add_phrase(words);
            }
            _ => {}
        }
    }

    fn add_phrase(&mut self, words: Vec<String>) {
        if let Some(first) = words.first() {
            self.phrases.entry(first.clone()).or_default().push(words);
        }
    }

    /// Whether a text has one of them.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let (mut found, mut cut) = (false, Vec::new());
        words_lowercase(text, |word| {
            found = found || self.words.contains(word) || begins(&self.prefixes, word, false);
            if !found && !self.phrases.is_empty() {
                cut.push(word.to_owned());
            }
        });
        let starts = |(at, word): (usize, &String)| {
            self.phrases.get(word).is_some_and(|phrases| phrases.iter().any(|phrase| cut[at..].starts_with(phrase)))
        };
        found || cut.iter().enumerate().any(starts)
    }
}

/// For conditions that no record fulfils without a certain word: these words, so that a text is cut once for all of them.
#[derive(Debug)]
pub(super) struct RequiredWords {
    /// Which of the conditions need a word.
    needed_by: HashMap<String, Vec<usize>, ahash::RandomState>,
}

impl RequiredWords {
    /// Those of some conditions; none if fewer than two need one.
    pub(super) fn of(predicates: &[&Predicate]) -> Option<RequiredWords> {
        let mut needed_by: HashMap<String, Vec<usize>, ahash::RandomState> = HashMap::default();
        let words = predicates.iter().enumerate().filter_map(|(at, predicate)| Some((at, required_word(predicate)?)));
        let needing = words.map(|(at, word)| needed_by.entry(word).or_default().push(at)).count();
        (needing > 1).then_some(RequiredWords { needed_by })
    }

    /// Of each condition that needs a word, the rows that have it, ascending.
    pub(super) fn rows(&self, view: &RecordsView<'_>) -> HashMap<usize, Vec<u32>> {
        let conditions = self.needed_by.values().flatten();
        let mut rows: HashMap<usize, Vec<u32>> = conditions.map(|condition| (*condition, Vec::new())).collect();
        for row in 0..view.len() {
            let mut take = |word: &str| {
                for condition in self.needed_by.get(word).into_iter().flatten() {
                    let rows = rows.entry(*condition).or_default();
                    if rows.last() != Some(&(row as u32)) {
                        rows.push(row as u32);
                    }
                }
            };
            for_each_text(view, row, |text| words_lowercase(text, &mut take));
        }
        rows
    }
}

/// A word that stands in some text of every record that fulfils the condition.
fn required_word(predicate: &Predicate) -> Option<String> {
    match predicate {
        Predicate::Text(test) | Predicate::Field { field: Field::Body, test: FieldTest::Text(test) } => match test {
            TextTest::Word(word) => Some(word.clone()),
            TextTest::Phrase(words) => words.first().cloned(),
            TextTest::Prefix(_) | TextTest::Regex(_) => None,
        },
        Predicate::Field { field: Field::Body, test: FieldTest::Compare(Comparison::Equal, literal) } => {
            let mut first = None;
            words_lowercase(&literal.text, |word| _ = first.get_or_insert_with(|| word.to_owned()));
            first
        }
        Predicate::And(all) => all.iter().find_map(required_word),
        _ => None,
    }
}

/// Whether a condition is a test on words that can be made together with others of its kind.
pub(super) fn is_joined(predicate: &Predicate, among: Among) -> bool {
    let is_words = |test: &TextTest| match test {
        TextTest::Word(_) | TextTest::Prefix(_) => true,
        // An empty phrase is in every text.
        TextTest::Phrase(words) => !words.is_empty(),
        TextTest::Regex(_) => false,
    };
    match (predicate, among) {
        (Predicate::Text(test), Among::Texts) => is_words(test),
        (Predicate::Field { field: Field::Body, test: FieldTest::Text(test) }, Among::Body) => is_words(test),
        (Predicate::Field { field: Field::Body, test: FieldTest::Compare(Comparison::Equal, literal) }, Among::Body) => {
            literal.text.chars().any(char::is_alphanumeric)
        }
        _ => false,
    }
}

/// Whether a word begins with one of `prefixes`; with `other` than itself. Of prefixes that do not begin with each other only
/// the last that is not behind the word can be one, of others any that is shorter.
fn begins(prefixes: &BTreeSet<&str>, word: &str, other: bool) -> bool {
    if other {
        let shorter = word.char_indices().skip(1).map(|(end, _)| &word[..end]);
        return shorter.into_iter().any(|part| prefixes.contains(part));
    }
    prefixes.range::<str, _>((Bound::Unbounded, Bound::Included(word))).next_back().is_some_and(|prefix| word.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_finds_what_many_would() {
        let words = |texts: &[&str]| TextTest::Phrase(texts.iter().map(|text| (*text).to_owned()).collect());
        let tests = [
            TextTest::Word("timeout".to_owned()),
            TextTest::Prefix("pay".to_owned()),
            TextTest::Prefix("payment".to_owned()),
            TextTest::Prefix("p".to_owned()),
            words(&["connection", "refused"]),
            words(&["connection", "reset", "by"]),
        ]
        .map(Predicate::Text);
        let all = AnyWords::of(&tests.iter().collect::<Vec<_>>(), Among::Texts).expect("several");
        for (text, expected) in [
            ("Timeout!", true),
            ("timeouts", false),
            ("Payments", true),
            ("pqr", true),
            ("o", false),
            ("", false),
            ("the connection (refused)", true),
            ("connection connection reset by", true),
            ("connection reset", false),
            ("refused connection", false),
        ] {
            assert_eq!(all.are_in(text), expected, "{text}");
        }
        assert!(
            AnyWords::of(&[&tests[0]], Among::Texts).is_none() && AnyWords::of(&tests.iter().collect::<Vec<_>>(), Among::Body).is_none()
        );
    }
}
