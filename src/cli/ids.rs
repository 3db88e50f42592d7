//! Ids in what was typed and in lines that no server has read.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use needle_ingest::storage::model::NormalId;
use regex::Regex;

/// Whether a query names an id, so that all of time is searched: `id:`, `trace:`, `request:` or `span:`, or a word
/// that looks like an id by itself.
pub(crate) fn names_an_id(query: &str) -> bool {
    // What stands behind a pipe aggregates, it selects nothing.
    let selection = query.split(" | ").next().unwrap_or_default();
    words(selection).any(|word| {
        let word = word.trim_matches(|c| matches!(c, '(' | ')'));
        let named = ["id:", "trace:", "request:", "span:"]
            .iter()
            .any(|prefix| word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) && word.len() > prefix.len());
        named || looks_like_an_id(word.trim_matches('"'))
    })
}

/// Whether a word is an id by its looks: 32 hex digits, a UUID (also after a prefix such as `req-`), 16 hex digits
/// with a letter among them, or a traceparent.
pub(crate) fn looks_like_an_id(word: &str) -> bool {
    static ID: LazyLock<Regex> = LazyLock::new(|| {
        let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        expression(&format!(
            "(?i)^(?:[a-z]{{1,16}}[-_])?(?:{uuid}|[0-9a-f]{{32}})$|^\\{{{uuid}\\}}$|^[0-9a-f]{{2}}-[0-9a-f]{{32}}-[0-9a-f]{{16}}-[0-9a-f]{{2}}$"
        ))
    });
    let span = word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
    span || ID.is_match(word)
}

/// The words of a query; quoted text and regular expressions are one word each.
fn words(query: &str) -> impl Iterator<Item = &str> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| expression(r#"(?:[^\s"/]*"(?:\\.|[^"\\])*"|/(?:\\.|[^/\\])*/|[^\s"]+)"#));
    WORD.find_iter(query).map(|found| found.as_str())
}

/// Ids found in a line of a log, as spelled, in order: values of keys that are in use for them in a JSON object, then
/// patterns in the text.
pub(crate) fn ids_of_line(line: &str) -> Vec<String> {
    static IN_TEXT: LazyLock<Regex> = LazyLock::new(|| {
        let uuid = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
        expression(&format!(
            r#"(?i:\b(?:x[-_.])?(?:request|req|correlation|trace|transaction)[-_. ]?(?:id)["']?\s*[=:]\s*["']?)([A-Za-z0-9+/=_.:-]{{1,256}})|\b(req-{uuid})\b|\b00-([0-9a-f]{{32}})-[0-9a-f]{{16}}-[0-9a-f]{{2}}\b|\[({uuid}|[0-9a-fA-F]{{32}})\]"#
        ))
    });
    let mut ids = Vec::new();
    if line.trim_start().starts_with('{')
        && let Ok(serde_json::Value::Object(object)) = serde_json::from_str(line)
    {
        ids_of_object(&object, &mut ids);
    }
    for found in IN_TEXT.captures_iter(line) {
        let id = found.iter().skip(1).flatten().next().map(|id| id.as_str().trim_end_matches(['.', ',', ':', ';']));
        ids.extend(id.map(str::to_owned));
    }
    let mut seen = BTreeSet::new();
    ids.retain(|id| NormalId::of(id).is_some_and(|normal| seen.insert(normal)));
    ids
}

fn ids_of_object(object: &serde_json::Map<String, serde_json::Value>, ids: &mut Vec<String>) {
    for (key, value) in object {
        let key: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let is_id_key = ["requestid", "reqid", "correlationid", "traceid", "transactionid"].iter().any(|name| key.ends_with(name));
        match value {
            serde_json::Value::String(text) if is_id_key => ids.push(text.clone()),
            serde_json::Value::Number(number) if is_id_key => ids.push(number.to_string()),
            serde_json::Value::Array(values) if is_id_key => {
                ids.extend(values.iter().filter_map(|value| value.as_str()).map(str::to_owned));
            }
            serde_json::Value::Object(inner) => ids_of_object(inner, ids),
            _ => {}
        }
    }
}

fn expression(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_with_an_id_searches_everything() {
        for query in [
            "id:abc",
            "level:error trace:4bf92f3577b34da6a3ce929d0e0e4736",
            "(request:7F3A OR foo)",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "req-f24ff1eb-6ac9-419d-969b-3fd58408194d",
            "\"F24FF1EB-6ac9-419d-969b-3fd58408194d\" timeout",
            "00f067aa0ba902b7",
        ] {
            assert!(names_an_id(query), "{query}");
        }
        for query in ["*", "card declined", "id:", "user.id:7", "deadbeef", "1763650000000000", "/id:x/", "\"id: 7\"", "-service:web"] {
            assert!(!names_an_id(query), "{query}");
        }
    }

    #[test]
    fn ids_of_lines() {
        for (line, ids) in [
            (r#"{"level":"warn","x-request-id":"F24FF1EB6AC9419D969B3FD58408194D"}"#, vec!["F24FF1EB6AC9419D969B3FD58408194D"]),
            (r#"{"http":{"request_id":["a-1"]},"trace.id":"t2"}"#, vec!["a-1", "t2"]),
            (
                "2018-06-27 06:39:57.993 1900 DEBUG nova [req-f24ff1eb-6ac9-419d-969b-3fd58408194d - - -] accepted",
                vec!["req-f24ff1eb-6ac9-419d-969b-3fd58408194d"],
            ),
            ("ERROR request_id=42f, user=7", vec!["42f"]),
            ("requestId: \"abc-9\" done", vec!["abc-9"]),
            ("correlation_id=- nothing", vec![]),
            ("no id here", vec![]),
        ] {
            assert_eq!(ids_of_line(line), ids, "{line}");
        }
    }
}
