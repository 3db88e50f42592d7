//! What words a text must hold for a regular expression to be found in it.
//!
//! Only what is certain: pieces of literal text that every match contains. A word with something that is no
//! letter or digit on both sides is a whole word of the text; a word at the edge of such a piece may be a part of
//! a longer one. Of an alternation nothing is taken: one of its branches may hold none.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// A word that every text holds in which the expression is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Required {
    /// This word, in lower case.
    Word(String),
    /// A word that contains this, in lower case.
    Within(String),
}

/// The words that every match needs; empty when nothing is certain.
pub(super) fn required(expression: &str) -> Vec<Required> {
    let Ok(hir) = regex_syntax::parse(expression) else { return Vec::new() };
    let mut pieces = vec![Piece::default()];
    collect(&hir, &mut pieces);
    let mut words: Vec<Required> = pieces.iter().flat_map(Piece::words).collect();
    words.sort();
    words.dedup();
    words
}

/// Literal text without a gap, and whether it is known where words end at its edges. Cut into words before it is
/// put in lower case, as texts are: lower case may bring characters that are no letters (`İ`).
#[derive(Clone, Debug, Default)]
struct Piece {
    text: String,
    word_begins: bool,
    word_ends: bool,
}

/// Adds what the expression matches to the last piece, or begins new ones.
fn collect(hir: &Hir, pieces: &mut Vec<Piece>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => text.chars().for_each(|c| push(c, pieces)),
            Err(_) => gap(pieces),
        },
        HirKind::Class(class) => match one_letter(class) {
            Some(letter) => push(letter, pieces),
            None if is_separator(class) => push(' ', pieces),
            None => gap(pieces),
        },
        HirKind::Look(look) => edge(*look, pieces),
        HirKind::Capture(capture) => collect(&capture.sub, pieces),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(part, pieces)),
        HirKind::Repetition(repetition) => {
            // Once is certain, how often is not: what comes before the repetition does not touch what comes after.
            if repetition.min > 0 {
                collect(&repetition.sub, pieces);
            }
            if repetition.min != 1 || repetition.max != Some(1) {
                gap(pieces);
            }
        }
        HirKind::Alternation(_) => gap(pieces),
    }
}

fn push(letter: char, pieces: &mut [Piece]) {
    let piece = pieces.last_mut().expect("there is always a piece");
    piece.word_ends = false;
    piece.text.push(letter);
}

fn gap(pieces: &mut Vec<Piece>) {
    pieces.push(Piece::default());
}

/// Beginning and end of the text, or of a word.
fn edge(look: Look, pieces: &mut [Piece]) {
    let piece = pieces.last_mut().expect("there is always a piece");
    match look {
        Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF => {
            if piece.text.is_empty() {
                piece.word_begins = true;
            } else {
                piece.word_ends = true;
            }
        }
        // Expressions count `_` as a part of a word, which words here do not: nothing is certain.
        _ => {}
    }
}

/// The letter of a class whose characters differ in case only.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut lower = class.iter().flat_map(|range| range.start()..=range.end()).take(5).map(|c| {
        let mut lower = c.to_lowercase();
        (lower.next(), lower.next())
    });
    let (first, rest) = lower.next()?;
    let letter = first.filter(|_| rest.is_none())?;
    lower.all(|other| other == (Some(letter), None)).then_some(letter)
}

/// A class without letters and digits ends words on both sides. One of many characters has some.
fn is_separator(class: &Class) -> bool {
    const CHARACTERS_MAX: usize = 256;
    let Class::Unicode(class) = class else { return false };
    let mut characters = class.iter().flat_map(|range| range.start()..=range.end());
    characters.by_ref().take(CHARACTERS_MAX).all(|c| !c.is_alphanumeric()) && characters.next().is_none()
}

impl Piece {
    fn words(&self) -> Vec<Required> {
        let mut words = Vec::new();
        let mut rest = self.text.as_str();
        let mut at_start = true;
        while !rest.is_empty() {
            let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length);
            if !word.is_empty() {
                let whole = (!at_start || self.word_begins) && (!after.is_empty() || self.word_ends);
                let lower: String = word.chars().flat_map(char::to_lowercase).collect();
                words.push(if whole { Required::Word(lower) } else { Required::Within(lower) });
            }
            let separator = after.find(char::is_alphanumeric).unwrap_or(after.len());
            rest = &after[separator..];
            at_start = false;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: &str) {
        let words = required(expression).into_iter().map(|word| match word {
            Required::Word(word) => word,
            Required::Within(part) => format!("*{part}*"),
        });
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{expression}");
    }

    #[test]
    fn words_between_separators_are_whole_and_those_at_an_edge_may_be_parts() {
        check("connection refused", "*connection* *refused*");
        check("a connection refused by", "connection refused *a* *by*");
        check("^GET /cart", "get *cart*");
        check("conn(ection)? refused", "*conn* *refused*");
    }

    #[test]
    fn only_what_every_match_holds_is_required() {
        check("timeout|refused", "");
        check("quaran[t]ine.*[0-9]+ done$", "done *quarantine*");
        check("(?i)Payment DECLINED for", "declined *for* *payment*");
        check("retr(y|ies) in", "*in* *retr*");
        check("a+b", "*a* *b*");
        check("x{2}y?", "*x*");
    }

    #[test]
    fn what_is_required_is_in_every_text_that_matches() {
        for (expression, texts) in [
            (r"req=(\d+) took [0-9.]+ ms$", &["req=12 took 3.4 ms", "xreq=9 took 10 ms"][..]),
            ("conn(ection)? refused", &["conn refused", "a connection refused here"]),
            ("(?i)über.*straße", &["ÜBER die Straße"]),
            ("aİb c ", &["xaİb c d"]),
        ] {
            let regex = regex::Regex::new(expression).unwrap();
            for text in texts {
                assert!(regex.is_match(text));
                let mut words = Vec::new();
                crate::model::words_lowercase(text, |word| words.push(word.to_owned()));
                for required in required(expression) {
                    let held = match &required {
                        Required::Word(wanted) => words.contains(wanted),
                        Required::Within(part) => words.iter().any(|word| word.contains(part)),
                    };
                    assert!(held, "{required:?} of {expression} in {text}");
                }
            }
        }
    }
}
