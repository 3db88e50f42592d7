//! From shapes to templates: which words of a message are variables.
//!
//! Only shapes with the same separators are compared. They are parted by the place where the fewest different words stand
//! (as IPLoM does; Makanju et al., KDD 2009, doi:10.1145/1557019.1557154), until they agree everywhere, or every place
//! where they do not has more than a few words while most of the others agree: then those places are variables. All of
//! this only knows the set of shapes, so that the answer does not depend on the order of records, as it would with Drain
//! (He et al., ICWS 2017, doi:10.1109/ICWS.2017.13).

use std::collections::{BTreeMap, BTreeSet};

use needle_storage::{Shape, ShapeCounts, is_masked, split};

/// So many words in one place are told apart. More are a variable, if the rest of the message agrees.
const FEW: usize = 5;

/// Messages that one line of code wrote, as far as words tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// The text, each mask as its character.
    pub(crate) text: String,
    /// Its records.
    pub(crate) counts: ShapeCounts,
    /// Its shapes, by their places in what was given.
    pub(crate) shapes: Vec<usize>,
}

/// The templates of some shapes, the most frequent first.
pub(crate) fn templates(shapes: &[Shape]) -> Vec<Template> {
    let mut groups: BTreeMap<Vec<&str>, Vec<Line<'_>>> = BTreeMap::new();
    for (shape, Shape { text, .. }) in shapes.iter().enumerate() {
        let (tokens, separators) = split(text);
        groups.entry(separators).or_default().push(Line { tokens, shapes: vec![shape] });
    }
    let mut templates = Vec::new();
    for (separators, lines) in groups {
        let mut parts = Vec::new();
        part(lines, &mut parts);
        join(&mut parts);
        templates.extend(parts.into_iter().map(|line| line.template(&separators, shapes)));
    }
    templates.sort_unstable_by(|one, other| other.counts.count.cmp(&one.counts.count).then_with(|| one.text.cmp(&other.text)));
    templates
}

/// Shapes that are one, and the tokens that they agree on.
struct Line<'s> {
    tokens: Vec<&'s str>,
    shapes: Vec<usize>,
}

/// What stands where a variable is.
const ANY: &str = "\u{f}";

impl<'s> Line<'s> {
    /// What stands in a place, as far as it tells templates apart: whatever is masked is one.
    fn word(&self, place: usize) -> &'s str {
        let token = self.tokens[place];
        if is_masked(token) { ANY } else { token }
    }

    /// One line for several, with a variable where they do not agree.
    fn of(lines: Vec<Line<'s>>) -> Line<'s> {
        let mut lines = lines.into_iter();
        let mut one = lines.next().expect("only what has lines is joined");
        for line in lines {
            let tokens = one.tokens.iter_mut().zip(line.tokens);
            tokens.filter(|(known, token)| **known != *token).for_each(|(known, _)| *known = ANY);
            one.shapes.extend(line.shapes);
        }
        one
    }

    fn template(self, separators: &[&str], shapes: &[Shape]) -> Template {
        let mut text = separators[0].to_owned();
        for (token, separator) in self.tokens.iter().zip(&separators[1..]) {
            text.push_str(token);
            text.push_str(separator);
        }
        let mut counts = ShapeCounts::default();
        self.shapes.iter().for_each(|shape| counts.add(shapes[*shape].counts.clone()));
        Template { text, counts, shapes: self.shapes }
    }
}

/// Whether lines that agree in these places and in no other may be one: most places agree, and one of them is a word.
fn are_alike(places: usize, agreed: impl Iterator<Item = bool>) -> bool {
    let (mut all, mut words) = (0, 0);
    agreed.for_each(|is_word| (all, words) = (all + 1, words + usize::from(is_word)));
    words > 0 && all * 2 >= places
}

/// Parts lines until those of each part are one.
fn part<'s>(lines: Vec<Line<'s>>, parts: &mut Vec<Line<'s>>) {
    let places = lines[0].tokens.len();
    let words = |place: usize| lines.iter().map(|line| line.word(place)).collect::<BTreeSet<_>>();
    let different: Vec<BTreeSet<&str>> = (0..places).map(words).collect();
    let fewest = (0..places).filter(|place| different[*place].len() > 1).min_by_key(|place| (different[*place].len(), *place));
    let Some(place) = fewest else { return parts.push(Line::of(lines)) };
    let agreed = different.iter().filter(|words| words.len() == 1).map(|words| !words.contains(ANY));
    if different[place].len() > FEW && are_alike(places, agreed) {
        return parts.push(Line::of(lines));
    }
    let mut by_word: BTreeMap<&str, Vec<Line<'s>>> = BTreeMap::new();
    for line in lines {
        by_word.entry(line.word(place)).or_default().push(line);
    }
    by_word.into_values().for_each(|lines| part(lines, parts));
}

/// Joins lines that differ in one place only, if more than a few words stand there, or a variable: they were parted
/// because the place had few words among others.
fn join(lines: &mut Vec<Line<'_>>) {
    let places = lines[0].tokens.len();
    let mut joined = true;
    while joined {
        let before = lines.len();
        for place in 0..places {
            let mut alike: BTreeMap<Vec<&str>, Vec<Line<'_>>> = BTreeMap::new();
            for line in lines.drain(..) {
                let mut others: Vec<&str> = (0..places).map(|other| line.word(other)).collect();
                others[place] = "";
                alike.entry(others).or_default().push(line);
            }
            for (others, found) in alike {
                let words: BTreeSet<&str> = found.iter().map(|line| line.word(place)).collect();
                let agreed = others.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, word)| *word != ANY);
                if found.len() > 1 && (words.len() == 1 || (words.len() > FEW && are_alike(places, agreed))) {
                    lines.push(Line::of(found));
                } else {
                    lines.extend(found);
                }
            }
        }
        joined = lines.len() < before;
    }
}

#[cfg(test)]
mod tests {
    use needle_storage::{Mask, readable, shape_of};

    use super::*;

    fn shapes<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<Shape> {
        let mut shapes: BTreeMap<String, u64> = BTreeMap::new();
        texts.into_iter().for_each(|text| *shapes.entry(shape_of(text)).or_default() += 1);
        shapes.into_iter().map(|(text, count)| Shape { text, counts: ShapeCounts { count, ..ShapeCounts::default() } }).collect()
    }

    fn found(texts: &[String]) -> Vec<(String, u64)> {
        let shapes = shapes(texts.iter().map(String::as_str));
        templates(&shapes).into_iter().map(|template| (readable(&template.text), template.counts.count)).collect()
    }

    fn names(count: u8) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("{}{}", char::from(b'a' + number / 26), char::from(b'a' + number % 26)))
    }

    #[test]
    fn many_words_in_a_place_are_a_variable_and_few_are_told_apart() {
        let logins = names(20).map(|name| format!("user {name} logged in from 10.0.0.1"));
        let logouts = names(FEW as u8).map(|name| format!("user {name} logged out from 10.0.0.1"));
        let found = found(&logins.chain(logouts).collect::<Vec<_>>());
        assert_eq!(found[0], ("user <*> logged in from <ip>".to_owned(), 20));
        assert_eq!(found.len(), 1 + FEW, "{found:?}");
    }

    #[test]
    fn words_that_change_together_are_variables_too() {
        let copies = names(20).map(|name| format!("copied {name} to x{name} at night"));
        assert_eq!(found(&copies.collect::<Vec<_>>()), [("copied <*> to <*> at night".to_owned(), 20)]);
    }

    #[test]
    fn different_messages_of_one_length_stay_apart() {
        let messages =
            ["cache miss for key", "server shutting down now", "no route to host", "token near its expiry", "retry limit was reached"];
        let more = names(12).map(|name| format!("{name} {name}x {name}y {name}z"));
        let texts: Vec<String> = messages.iter().map(|text| (*text).to_owned()).chain(more).collect();
        assert_eq!(found(&texts).len(), texts.len());
    }

    #[test]
    fn what_is_masked_in_several_ways_is_one_variable() {
        let texts = ["took 5 of 7", "took 10ms of 7", "took 7d3f9a52 of 7"].map(str::to_owned);
        assert_eq!(found(&texts), [("took <*> of <num>".to_owned(), 3)]);
    }

    proptest::proptest! {
        #[test]
        fn every_record_is_in_one_template_whose_words_it_has(
            texts in proptest::collection::vec("(user|get|put) [a-z]{1,2} (in|out)? ?[a-c]{0,2}[0-9]?", 1..80),
        ) {
            let shapes = shapes(texts.iter().map(String::as_str));
            let templates = templates(&shapes);
            let counted: u64 = templates.iter().map(|template| template.counts.count).sum();
            proptest::prop_assert_eq!(counted, texts.len() as u64);
            for template in &templates {
                let (words, separators) = split(&template.text);
                for shape in &template.shapes {
                    let (tokens, own) = split(&shapes[*shape].text);
                    proptest::prop_assert_eq!(&own, &separators);
                    let fits = tokens.iter().zip(&words).all(|(token, word)| token == word || word.starts_with(Mask::Any.character()));
                    proptest::prop_assert!(fits, "{:?} {:?}", tokens, words);
                }
            }
        }
    }
}
