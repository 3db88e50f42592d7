//! The query language: any text is parsed or refused at a place in it; and what is parsed means the same in parentheses,
//! said twice, and the opposite when it is negated.

use std::sync::LazyLock;

use needle_ingest::storage::BodyFormat;
use needle_ingest::storage::model::RecordsView;
use needle_query::{QueryError, columns_of, is_piped, predicate_of};
use needle_storage::Decoded;
use needle_storage::predicate::Predicate;

use super::{decode, same};
use crate::Target;
use crate::files::workload;
use crate::workload::Signal;

pub(super) const QUERY: Target = Target {
    name: "query",
    read: query,
    seeds,
    words: &[
        "(",
        ")",
        " AND ",
        " OR ",
        "NOT ",
        "-",
        "service:",
        "level>=",
        "duration>",
        "500ms",
        "kind:span",
        "kind:log",
        "status:error",
        "has:exception",
        "is:root",
        "id:",
        "trace:",
        "request:",
        "span:",
        "attr.",
        "resource.",
        "body:",
        "name:",
        "/a(b|c)+/",
        "\"",
        "'",
        "*",
        "|",
        " | count() by service",
        " | p95(duration) by ",
        " every 1m",
        " | top 3 ",
        " | sort -count",
        " | limit 5",
        "=~",
        "!=",
        "<=",
        "[",
        " TO ",
        "&&",
        "||",
        "\\",
        "\u{202e}",
        "\u{0}",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "2026-11-01T10:00:00Z",
        "(a{1000}){1000}",
        ",",
        "timestamp>",
        "_exists_:",
        "{n}",
        "http.response.status_code",
        "patterns",
        "1e400",
        "-9223372036854775808",
        "nan",
        "true",
    ],
    bytes_max: 512,
    // Regular expressions are compiled, which has a bound of its own.
    memory_bytes: 64 << 20,
    short_runs: 100_000,
};

/// Some records of each kind, with fields of every type.
static RECORDS: LazyLock<Vec<Decoded>> = LazyLock::new(|| {
    let json = r#"{"time":"2026-06-01T12:00:00Z","level":"warn","service":"shop","msg":"payment refused: a (b)","request_id":"req-7","code":502,"share":0.5,"ok":true,"none":null,"list":[1,"x"]}
{"time":"2026-06-01T12:00:01Z","level":"info","msg":"\u202eabc","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","code":"502"}
"#;
    let bodies = [(BodyFormat::OtlpLogsProtobuf, Signal::Logs), (BodyFormat::OtlpTracesProtobuf, Signal::Spans)];
    let sent = bodies.into_iter().flat_map(|(format, signal)| workload(signal).into_iter().take(2).map(move |body| (format, body)));
    let bodies = sent.chain([(BodyFormat::JsonLogs, json.as_bytes().to_vec())]);
    bodies.map(|(format, body)| decode(format, &body).unwrap()).collect()
});

fn query(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(error) = columns_of(&text) {
        placed(&text, &error);
    }
    let predicate = match predicate_of(&text) {
        Ok(predicate) => predicate,
        Err(error) => return placed(&text, &error),
    };
    assert!(!is_piped(&text), "it is answered by records, and said to have a pipe");
    let found = matches(&predicate);
    // A backslash at the end is one; before something else it takes away what that means.
    if text.ends_with('\\') {
        return;
    }
    // An apostrophe without another is a letter; said twice, the two are quotes.
    let forms = if text.contains(['\'', '\u{2018}', '\u{2019}']) { 3 } else { 5 };
    // One form for each text, or most of the time would go into reading the same again.
    let form = crc32fast::hash(input) % forms;
    let again = match form {
        0 => format!("NOT ({text}\n)"),
        1 => format!("({text}\n)"),
        2 => format!(" {text} "),
        3 => format!("({text}\n) OR ({text}\n)"),
        _ => format!("({text}\n) AND ({text}\n)"),
    };
    // A text that is longer or deeper may be refused.
    let Ok(other) = predicate_of(&again) else { return };
    let meant = matches(&other).into_iter().map(|found| found != (form == 0)).collect();
    same(&found, &meant, "in other words it means something else");
}

fn placed(text: &str, error: &QueryError) {
    let QueryError::Language { message, position, caret } = error else { panic!("not an error of the language: {error}") };
    assert!(*position <= text.len() && text.is_char_boundary(*position), "{message} at {position}");
    assert!(caret.contains('^') && !message.is_empty());
}

fn matches(predicate: &Predicate) -> Vec<bool> {
    let mut found = Vec::new();
    for decoded in RECORDS.iter() {
        let view = RecordsView::new(decoded.signal, &decoded.records);
        found.extend((0..view.len()).map(|row| predicate.matches(&view, row)));
    }
    found
}

fn seeds() -> Vec<Vec<u8>> {
    let golden: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../../query/golden.json")).unwrap();
    let golden = golden.iter().filter_map(|entry| Some(entry["query"].as_str()?.as_bytes().to_vec()));
    let pages = include_str!("../../../query/LANGUAGE.md").lines().filter_map(|line| line.split("   ").next());
    golden.chain(pages.filter(|line| !line.is_empty()).map(|line| line.as_bytes().to_vec())).collect()
}
