//! Pipes against a count by hand, over random records: half live, sealed and merged.

use std::collections::BTreeMap;

use needle_storage::model::{Severity, Value};
use proptest::prelude::*;

use super::*;
use crate::sample::{Row, SECOND, START, Sample, any_row, texts};

/// Functions, groups and the width of a bucket in seconds.
type Asked = (Vec<(&'static str, &'static str)>, Vec<&'static str>, Option<u64>);

fn any_pipe() -> impl Strategy<Value = Asked> {
    let functions = [
        ("count", ""),
        ("count", "http.route"),
        ("rate", ""),
        ("distinct", "http.route"),
        ("distinct", "trace"),
        ("sum", "code"),
        ("avg", "code"),
        ("min", "mixed"),
        ("max", "code"),
        ("sum", "duration"),
        ("avg", "duration"),
        ("p50", "duration"),
        ("p99", "duration"),
        ("p90", "code"),
    ];
    let functions = prop::sample::subsequence(functions.to_vec(), 1..4);
    let by = prop::sample::subsequence(vec!["service", "level", "kind", "http.route", "code", "status", "trace", "host.name"], 0..3);
    (functions, by, prop::option::of(prop::sample::select(&[7_u64, 60, 3600][..])))
}

fn written((functions, by, every): &Asked) -> String {
    let functions = functions.iter().map(|(function, field)| format!("{function}({field})")).collect::<Vec<_>>().join(", ");
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    let every = every.map_or_else(String::new, |seconds| format!(" every {seconds}s"));
    format!("| {functions}{by}{every}")
}

fn text_of(row: &Row, field: &str) -> Option<String> {
    let level = |row: &Row| Some(Severity(row.severity).level().to_owned()).filter(|level| !row.span && !level.is_empty());
    match field {
        // What OTLP calls a service without a name.
        "service" => Some(if row.service.is_empty() { "unknown_service" } else { row.service }.to_owned()),
        "level" => level(row),
        "kind" => Some(if row.span { "span" } else { "log" }.to_owned()),
        "status" => row.span.then(|| ["unset", "ok", "error"][usize::from(row.severity % 3)].to_owned()),
        "trace" => Some(format!("{:02x}", row.trace).repeat(16)).filter(|_| row.trace > 0),
        "host.name" => Some(format!("h{}", row.trace)),
        "code" => Some(row.attribute("code").map_or_else(|| "200".to_owned(), Value::text)),
        key => row.attribute(key).map(Value::text),
    }
}

fn number_of(row: &Row, field: &str) -> Option<f64> {
    match field {
        "duration" => row.span.then_some(row.duration_ns as f64),
        "code" => Some(if let Some(Value::Int(code)) = row.attribute("code") { *code as f64 } else { 200.0 }),
        key => match row.attribute(key)? {
            Value::Int(number) => Some(*number as f64),
            Value::Double(number) => Some(*number).filter(|number| !number.is_nan()),
            Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        },
    }
}

/// Whether all numbers of a field are integers, in all groups: then so are their sums and extremes.
fn is_whole(field: &str, rows: &[Row]) -> bool {
    let mut values = rows.iter().filter_map(|row| row.attribute(field)).peekable();
    matches!(field, "duration" | "code") || (values.peek().is_some() && values.all(|value| matches!(value, Value::Int(_))))
}

/// A function over the rows of a group, as text.
fn measured(function: &str, field: &str, rows: &[&Row], is_whole: bool, seconds: f64) -> String {
    let mut numbers: Vec<f64> = rows.iter().filter_map(|row| number_of(row, field)).collect();
    numbers.sort_by(f64::total_cmp);
    let double = |number: Option<f64>| number.map_or_else(|| "none".to_owned(), |number| format!("{number:.6e}"));
    let whole = |number: Option<f64>| match number {
        Some(number) if is_whole => (number as i64).to_string(),
        number => double(number),
    };
    let sum = (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>());
    let values = rows.iter().filter_map(|row| text_of(row, field));
    match function {
        "count" if field.is_empty() => rows.len().to_string(),
        "count" => values.count().to_string(),
        "rate" => double(Some(rows.len() as f64 / seconds)),
        "distinct" => values.collect::<std::collections::BTreeSet<_>>().len().to_string(),
        "sum" => whole(sum),
        "avg" => double(sum.map(|sum| sum / numbers.len() as f64)),
        "min" => whole(numbers.first().copied()),
        "max" => whole(numbers.last().copied()),
        percentile => double(percentile_of(&numbers, percentile[1..].parse::<f64>().expect("a number") / 100.0)),
    }
}

/// Between the two values that the place falls between, a millionth of their distance exactly.
fn percentile_of(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)? as f64);
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * (place.fract() * 1e6).floor() / 1e6)
}

/// The rows of the answer, in no order.
fn by_hand(rows: &[Row], (functions, by, every): &Asked) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
    if by.is_empty() && every.is_none() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in rows {
        let time = every.map(|seconds| ((START / SECOND + row.second) / seconds * seconds * SECOND).to_string());
        let values = by.iter().map(|field| text_of(row, field).unwrap_or_else(|| "none".to_owned()));
        groups.entry(time.into_iter().chain(values).collect()).or_default().push(row);
    }
    let (first, last) = (rows.iter().map(|row| row.second).min(), rows.iter().map(|row| row.second).max());
    let all_seconds = (last.unwrap_or(0) - first.unwrap_or(0)).max(1) as f64;
    let seconds = every.map_or(all_seconds, |seconds| seconds as f64);
    let with_functions = |(mut group, of_group): (Vec<String>, Vec<&Row>)| {
        group.extend(functions.iter().map(|(function, field)| measured(function, field, &of_group, is_whole(field, rows), seconds)));
        group
    };
    groups.into_iter().map(with_functions).collect()
}

fn memory() -> Memory {
    Memory::new(64 << 20)
}

fn asked(query: &str) -> Aggregation {
    let request = AggregateRequest { query: query.to_owned(), ..AggregateRequest::default() };
    Aggregation::of(&request).unwrap_or_else(|error| panic!("{query}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn pipes_say_what_counting_by_hand_does(
        rows in prop::collection::vec(any_row(), 1..80),
        pipes in prop::collection::vec(any_pipe(), 6),
    ) {
        let sample = Sample::of(&rows);
        for pipe in &pipes {
            let query = written(pipe);
            let asked = asked(&query);
            let answer = sample.ask_in_every_state(|source| texts(&asked.answer(&source, &memory()).expect("an answer")));
            let computed = texts(&asked.computed(&sample.source(), &memory()).expect("an answer"));
            prop_assert_eq!(&answer, &computed, "{} is counted otherwise than computed", query);
            let mut sorted = answer;
            sorted.sort();
            let mut expected = by_hand(&rows, pipe);
            expected.sort();
            prop_assert_eq!(sorted, expected, "{}", query);
        }
    }
}

#[test]
fn the_order_is_as_asked_and_always_the_same() {
    let row = |service, second| Row {
        span: false,
        second,
        service,
        severity: 9,
        text: "x",
        duration_ns: 1,
        trace: 0,
        request: None,
        attributes: Vec::new(),
    };
    let lane = |service, second| Row {
        attributes: vec![("lane", Value::String(service)), ("lap", Value::Int(second))],
        ..row("till", second as u64)
    };
    let rows =
        ["b", "a", "c", "c"].into_iter().zip([1, 2, 3, 70]).map(|(name, second)| lane(name.to_owned(), second)).chain([row("till", 71)]);
    let rows: Vec<Row> = rows.collect();
    let sample = Sample::of(&rows);
    let answer = |query: &str| texts(&asked(query).answer(&sample.source(), &memory()).expect("an answer"));
    let lanes = |query: &str| answer(query).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(lanes("| count() by lane"), ["c", "a", "b", "none"], "the largest first, then by value, those without last");
    assert_eq!(lanes("| count() by lane | sort count, -lane"), ["b", "a", "none", "c"]);
    assert_eq!(lanes("| count() by lane | sort lane desc | limit 2"), ["c", "b"]);
    assert_eq!(lanes("| top 1 lane"), ["c"]);
    assert_eq!(lanes("| count(), distinct(kind) by lane"), lanes("| count() by lane"), "computed in the same order");
    let minutes: Vec<String> = answer("| count() every 1m").into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(minutes, ["3", "2"], "by time");
    assert_eq!(answer("nowhere | count()"), [["0"]]);
    assert_eq!(answer("nowhere | count() by lane"), Vec::<Vec<String>>::new());
    assert_eq!(answer("lane:c | rate() by lane every 1m").len(), 2);
}

#[test]
fn durations_are_told_from_other_numbers() {
    let sample = Sample::of(&[]);
    let table = asked("| p95(duration), max(code), count()").answer(&sample.source(), &memory()).expect("an answer");
    let kinds: Vec<(&str, &str)> = table.columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect();
    assert_eq!(kinds, [("p95(duration)", "duration"), ("max(code)", "double"), ("count", "int")]);
}
