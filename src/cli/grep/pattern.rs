//! The part of the query language that plain lines have: words, prefixes, phrases, regular expressions, NOT and OR.

use std::sync::LazyLock;

use anyhow::{Context, bail};
use regex::{Regex, RegexBuilder};

/// What a line must be like.
pub(crate) struct Pattern {
    /// One of these must hold.
    alternatives: Vec<Vec<Term>>,
}

struct Term {
    expression: Regex,
    negated: bool,
}

impl Pattern {
    /// Reads a query.
    pub(crate) fn parse(query: &str) -> anyhow::Result<Pattern> {
        static TOKEN: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"-?"(?:\\.|[^"\\])*"|-?/(?:\\.|[^/\\])*/|\S+"#).expect("a constant pattern"));
        let mut alternatives = vec![Vec::new()];
        let mut negated = false;
        for token in TOKEN.find_iter(query).map(|token| token.as_str()) {
            match token {
                "AND" | "*" => {}
                "OR" => alternatives.push(Vec::new()),
                "NOT" => negated = !negated,
                token => {
                    let (token, minus) =
                        token.strip_prefix('-').filter(|rest| !rest.is_empty()).map_or((token, false), |rest| (rest, true));
                    let expression = expression(token)?;
                    alternatives.last_mut().expect("never empty").push(Term { expression, negated: std::mem::take(&mut negated) != minus });
                }
            }
        }
        Ok(Pattern { alternatives })
    }

    /// Whether a line is like that.
    pub(crate) fn matches(&self, line: &str) -> bool {
        self.alternatives.iter().any(|terms| terms.iter().all(|term| term.expression.is_match(line) != term.negated))
    }
}

fn expression(token: &str) -> anyhow::Result<Regex> {
    if let Some(pattern) = token.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|pattern| !pattern.is_empty()) {
        return regular_expression(&pattern.replace("\\/", "/"));
    }
    if let Some(phrase) = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return literal(&phrase.replace("\\\"", "\"").replace("\\\\", "\\"), false);
    }
    if token.starts_with('(') || token.ends_with(')') || token == "|" {
        bail!("--stdin knows words, \"phrases\", /expressions/, NOT and OR, but no parentheses and no pipes ({token})");
    }
    let field = token.split_once([':', '=', '<', '>']).map(|(field, _)| field);
    if let Some(field) = field.filter(|field| !field.is_empty() && field.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))) {
        bail!(
            "--stdin reads lines, which have no field {field}: quote \"{token}\" to look for that text, or leave out --stdin to ask a server"
        );
    }
    match token.strip_suffix('*') {
        Some(prefix) => literal(prefix, true),
        None => literal(token, false),
    }
}

/// Whole words in any case; letters and digits make a word.
fn literal(text: &str, prefix: bool) -> anyhow::Result<Regex> {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let start = if is_word(text.chars().next()) { r"(?:^|[^\p{Alphabetic}\p{N}])" } else { "" };
    let end = if is_word(text.chars().last()) && !prefix { r"(?:$|[^\p{Alphabetic}\p{N}])" } else { "" };
    build(&format!("{start}{}{end}", regex::escape(text)), true)
}

/// A regular expression, as typed: case counts.
pub(crate) fn regular_expression(pattern: &str) -> anyhow::Result<Regex> {
    build(pattern, false)
}

fn build(pattern: &str, any_case: bool) -> anyhow::Result<Regex> {
    RegexBuilder::new(pattern).case_insensitive(any_case).build().with_context(|| format!("/{pattern}/ is no regular expression"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_match_by_words_phrases_and_expressions() {
        let line = "2026-11-20 ERROR payments: card declined (code 51) after TIMEOUT /api/cart";
        for (query, matches) in [
            ("", true),
            ("*", true),
            ("error declined", true),
            ("error refunded", false),
            ("refunded OR declined", true),
            ("declin", false),
            ("declin*", true),
            ("\"card declined\"", true),
            ("\"declined card\"", false),
            ("/code \\d+/", true),
            ("/CODE/", false),
            ("/\\/api\\/c/", true),
            ("-refunded error", true),
            ("NOT error", false),
            ("error -timeout", false),
            ("51", true),
            ("5", false),
        ] {
            assert_eq!(Pattern::parse(query).unwrap().matches(line), matches, "{query}");
        }
    }

    #[test]
    fn what_only_a_server_knows_is_refused_with_a_way_out() {
        for (query, says) in
            [("service:web", "no field service"), ("level>=warn", "no field level"), ("(a b)", "no parentheses"), ("/(/", "no regular")]
        {
            let error = format!("{:#}", Pattern::parse(query).err().unwrap());
            assert!(error.contains(says), "{query}: {error}");
        }
    }
}
