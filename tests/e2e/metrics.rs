//! Metrics by the conventions of Prometheus, in both text forms.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Server, request_with};
use crate::otlp::wire::{Door, export};
use crate::otlp::{self, MS};

/// A server on which everything that is counted has happened once.
fn busy() -> Server {
    let server = Server::start();
    let time = otlp::now();
    let span = otlp::span(&otlp::unique(16), "span", time, time + MS);
    export(&server, Door::Grpc, "gzip", &otlp::traces(vec![otlp::spans_of("cart", vec![span])])).unwrap();
    export(&server, Door::Json, "identity", &otlp::logs(vec![otlp::logs_of("cart", vec![otlp::log("x", time)])])).unwrap();
    otlp::wire::export_bytes(&server, Door::Protobuf, otlp::wire::Signal::Logs, "identity", b"\xff").unwrap_err();
    let snake = r#"{"resource_logs":[{"scope_logs":[{"log_records":[{"severity_number":"SEVERITY_NUMBER_INFO"}]}]}]}"#;
    otlp::wire::export_bytes(&server, Door::Json, otlp::wire::Signal::Logs, "identity", snake.as_bytes()).unwrap();
    server.flush();
    assert_eq!(server.search("*").len(), 3);
    server
}

/// A family of metrics: its type and its help.
type Families = BTreeMap<String, (String, String)>;

/// The families of a text, each declared once, and the names of its samples.
fn families(text: &str) -> (Families, Vec<String>) {
    let mut families = Families::new();
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let (mut samples, mut series) = (Vec::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# UNIT ") && *line != "# EOF") {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            assert!(helps.insert(name.to_owned(), help.to_owned()).is_none(), "{name} is declared twice");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let help = helps.get(name).unwrap_or_else(|| panic!("{name} has no help")).clone();
            assert!(families.insert(name.to_owned(), (kind.to_owned(), help)).is_none(), "{name} is declared twice");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(sample.to_owned()), "{sample} is told twice");
            samples.push(sample.split('{').next().unwrap().to_owned());
        }
    }
    assert_eq!(families.len(), helps.len());
    (families, samples)
}

#[test]
fn every_family_keeps_the_conventions() {
    let server = busy();
    let text = server.get("/metrics", &[]).text();
    let (families, samples) = families(&text);
    assert!(families.len() > 40, "{}", families.len());
    const OTHER_UNITS: [&str; 12] =
        ["_ms", "_millis", "_milliseconds", "_ns", "_nanoseconds", "_us", "_minutes", "_kb", "_kib", "_mb", "_mib", "_percent"];
    for (name, (kind, help)) in &families {
        assert!(name.starts_with("needle_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') && !name.contains("__"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(help.len() >= 8 && help.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()), "{name}: {help:?}");
        // One full stop: the library adds it.
        assert!(help.ends_with('.') && !help.ends_with(".."), "{name}: {help:?}");
        let plain = name.trim_end_matches("_total");
        assert!(!OTHER_UNITS.iter().any(|unit| plain.ends_with(unit)), "{name} is in no base unit");
        let unit_words = [("_seconds", &["Time ", "Seconds "][..]), ("_bytes", &["Length ", "Memory ", "Bytes ", "Written "])];
        for (unit, words) in unit_words {
            if words.iter().any(|word| help.starts_with(word)) {
                assert!(plain.ends_with(unit), "{name} measures in {unit} and does not say so: {help}");
            }
        }
    }
    for sample in samples {
        let of =
            |suffix: &str| sample.strip_suffix(suffix).is_some_and(|base| families.get(base).is_some_and(|(kind, _)| kind == "histogram"));
        assert!(families.contains_key(&sample) || of("_bucket") || of("_sum") || of("_count"), "{sample} belongs to no family");
    }
}

#[test]
fn open_metrics_names_units_and_says_the_same() {
    let server = busy();
    let prometheus = server.get("/metrics", &[]).text();
    let url = format!("{}/metrics", server.url());
    let open = request_with("GET", &url, &[("accept", "application/openmetrics-text")]);
    assert!(open.header("content-type").starts_with("application/openmetrics-text"), "{}", open.header("content-type"));
    let text = open.text();
    assert!(text.ends_with("# EOF\n"));
    let mut units = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# UNIT ")) {
        let (name, unit) = line.split_once(' ').unwrap();
        assert!(name.ends_with(&format!("_{unit}")), "{line}");
        units += 1;
    }
    assert!(units > 0);
    let (prometheus, _) = families(&prometheus);
    let (open, _) = families(&text);
    let names = |families: &Families| {
        families.keys().map(|name| name.trim_end_matches("_total").trim_end_matches("_info").to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&prometheus), names(&open));
}
