//! Text in comma-separated values, for programs that compute with it unasked.

use std::borrow::Cow;

/// A spreadsheet takes a cell that begins with one of these for a formula, and some formulas start programs or send what
/// is in other cells elsewhere. Behind an apostrophe it is text. A number stays a number, also below zero.
pub fn no_formula(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']) && !is_negative_number(text) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// As JSON and Rust write it.
fn is_negative_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or_default();
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|character| character.is_ascii_digit() || matches!(character, '.' | 'e' | 'E' | '-' | '+'))
        && digits.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text_and_numbers_stay() {
        for formula in
            ["=1+1", "=cmd|' /C calc'!A0", "+1", "-1+1", "-", "--1", "-a", "@SUM(A1)", "\t=1", "\r=1", "\0=1", "-1e", "-inf", "-1-1"]
        {
            assert_eq!(no_formula(formula), format!("'{formula}"));
        }
        for text in ["", "a=1", "1-1", "-1", "-0.5", "-1e-7", "-1.5E+300", "'=1", " =1", "{\"a\":1}"] {
            assert!(matches!(no_formula(text), Cow::Borrowed(same) if same == text));
        }
    }
}
