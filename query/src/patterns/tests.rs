//! Templates of real logs against what is known: records that name the line of code that wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use needle_storage::{Shape, shape_of};

use super::*;

/// A message, and the line of code that wrote it.
type Written = (String, String);

/// How templates compare with lines of code.
struct Score {
    messages: usize,
    lines_of_code: usize,
    templates: usize,
    /// Messages whose template has the messages of their line of code and no others (grouping accuracy; Zhu et al., ICSE 2019).
    whole: f64,
    /// Pairs of messages that are rightly together, of those that are together.
    precision: f64,
    /// And of those that should be.
    recall: f64,
    per_message: Duration,
}

fn score(written: &[Written]) -> Score {
    let began = Instant::now();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, (text, _)) in written.iter().enumerate() {
        places.entry(shape_of(text)).or_default().push(place);
    }
    let count = |places: &Vec<usize>| ShapeCounts { count: places.len() as u64, ..ShapeCounts::default() };
    let shapes: Vec<Shape> = places.iter().map(|(text, places)| Shape { text: text.clone(), counts: count(places) }).collect();
    let found = templates(&shapes);
    let took = began.elapsed();
    let places: Vec<&Vec<usize>> = places.values().collect();
    let mut true_groups: BTreeMap<&str, usize> = BTreeMap::new();
    written.iter().for_each(|(_, code)| *true_groups.entry(code).or_default() += 1);
    let pairs = |count: usize| (count * count.saturating_sub(1) / 2) as f64;
    let (mut whole, mut right, mut together) = (0, 0.0, 0.0);
    for template in &found {
        let mut by_code: BTreeMap<&str, usize> = BTreeMap::new();
        let members = template.shapes.iter().flat_map(|shape| places[*shape]);
        members.for_each(|place| *by_code.entry(&written[*place].1).or_default() += 1);
        let size = by_code.values().sum();
        whole += if by_code.len() == 1 && by_code.iter().all(|(code, count)| true_groups[code] == *count) { size } else { 0 };
        right += by_code.values().map(|count| pairs(*count)).sum::<f64>();
        together += pairs(size);
    }
    Score {
        messages: written.len(),
        lines_of_code: true_groups.len(),
        templates: found.len(),
        whole: whole as f64 / written.len() as f64,
        precision: right / together,
        recall: right / true_groups.values().map(|count| pairs(*count)).sum::<f64>(),
        per_message: took / written.len() as u32,
    }
}

fn assert_score(name: &str, written: &[Written], whole_min: f64, precision_min: f64) {
    let score = score(written);
    let Score { messages, lines_of_code, templates, whole, precision, recall, per_message } = score;
    println!("{name}: {messages} messages of {lines_of_code} lines of code, {templates} templates, {per_message:?} a message");
    println!("{name}: {whole:.3} grouped as their lines of code; pairs: precision {precision:.3}, recall {recall:.3}");
    assert!(messages > 1_000, "{name} has {messages} messages");
    assert!(whole >= whole_min, "{name}: {whole:.3} of messages are grouped as their lines of code");
    assert!(precision >= precision_min, "{name}: {precision:.3} of the pairs that are together are of one line of code");
}

/// A folder of real data beside the repository.
fn shared_data(folder: &str) -> Option<PathBuf> {
    let path = Path::new("../../shared/data").join(folder);
    if !path.is_dir() {
        println!("skipped: there is no ../shared/data/{folder} beside the repository");
        return None;
    }
    Some(path)
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) }).collect()
}

#[test]
fn messages_of_openstack_are_grouped_as_its_lines_of_code() {
    let Some(data) = shared_data("openstack/Nova_Test_12") else { return };
    // `<date> <time> <process> DEBUG <logger> [<ids>] <message> <function> /usr/lib/<file>.py:<line>`
    let line = regex::Regex::new(r"^\S+ \S+ \d+ DEBUG \S+ \[[^\]]*\] (.+) \S+ (/\S+\.py:\d+)$").expect("it is valid");
    let mut written = Vec::new();
    for file in files(&data).iter().filter(|file| file.extension().is_some_and(|extension| extension == "out")) {
        let text = String::from_utf8_lossy(&std::fs::read(file).expect("a file")).into_owned();
        written.extend(text.lines().filter_map(|text| line.captures(text)).map(|found| (found[1].to_owned(), found[2].to_owned())));
    }
    assert_score("openstack", &written, 0.5, 0.99);
}

#[test]
fn messages_of_train_ticket_are_grouped_as_its_lines_of_code() {
    let Some(data) = shared_data("nezha_trainticket") else { return };
    let line = regex::Regex::new(r"INFO +(\S+#\d+) TraceID: \S+ SpanID: \S+ (.+?)\\n").expect("it is valid");
    let mut written = Vec::new();
    for file in files(&data).iter().filter(|file| file.to_string_lossy().ends_with("_log.csv")) {
        let text = std::fs::read_to_string(file).expect("a file");
        written.extend(text.lines().filter_map(|text| line.captures(text)).map(|found| (found[2].to_owned(), found[1].to_owned())));
    }
    assert_score("train ticket", &written, 0.4, 0.8);
}

#[test]
fn a_query_may_end_as_in_a_pipe() {
    for (query, rest) in [
        ("level:error | patterns", "level:error"),
        ("| patterns ", ""),
        ("a|patterns", "a"),
        ("patterns", "patterns"),
        ("a | count()", "a | count()"),
    ] {
        assert_eq!(without_pipe(query), rest);
    }
}

#[test]
fn unusable_parameters_are_refused_with_a_sentence() {
    let refused = |request: PatternsRequest| Plan::of(&request, None).map(|_| ()).expect_err("refused").to_string();
    assert!(refused(PatternsRequest { limit: Some(0), ..PatternsRequest::default() }).contains("1 or more"));
    assert!(refused(PatternsRequest { buckets: Some(241), ..PatternsRequest::default() }).contains("240 or fewer"));
    assert!(refused(PatternsRequest { query: "kind:x | patterns".to_owned(), ..PatternsRequest::default() }).contains("not a kind"));
}

#[test]
fn new_is_what_has_no_record_before_and_comes_first() {
    let counts = |first: u64, count| ShapeCounts {
        count,
        first: UnixNanos(first),
        last: UnixNanos(99),
        services: vec![(1, 1), (0, count - 1)],
        levels: [0, 0, 1, 0, count - 1, 0],
        ..ShapeCounts::default()
    };
    let shape = |text: &str, counts| Shape { text: text.to_owned(), counts };
    let shapes = vec![shape("old \u{1}", counts(9, 5)), shape("young", counts(10, 3))];
    let found = Shapes { shapes, services: vec!["web".to_owned(), "cart".to_owned()], beyond: 2, ..Shapes::default() };
    let answer = |since| {
        let request = PatternsRequest { since, limit: Some(1), ..PatternsRequest::default() };
        let plan = Plan::of(&request, None).expect("a plan");
        plan.answer(found.clone()).with_samples(|_| Ok(Default::default())).expect("nothing cancels it")
    };
    let all = answer(None);
    assert_eq!((all.total, all.new_total, all.records, all.beyond, all.patterns.len()), (2, None, 8, 2, 1));
    assert_eq!((all.patterns[0].pattern.as_str(), all.patterns[0].is_new), ("old <num>", false));
    let young = answer(Some(UnixNanos(10)));
    assert_eq!((young.total, young.new_total, young.records), (2, Some(1), 8));
    let pattern = &young.patterns[0];
    assert_eq!((pattern.pattern.as_str(), pattern.is_new), ("young", true));
    assert_eq!(pattern.services, [("web".to_owned(), 2), ("cart".to_owned(), 1)]);
    assert_eq!(pattern.levels, [("info", 1), ("error", 2)]);
    assert_eq!(answer(Some(UnixNanos(9))).new_total, Some(2));
}

#[test]
fn samples_that_cannot_be_read_are_said() {
    let shapes = vec![Shape { text: "a".to_owned(), counts: ShapeCounts { count: 1, ..ShapeCounts::default() } }];
    let found = Plan::of(&PatternsRequest::default(), None).expect("a plan").answer(Shapes { shapes, ..Shapes::default() });
    let failing = |_: &[_]| Ok((Vec::new(), Coverage { shards_searched: 0, failures: vec!["shard x".to_owned()] }));
    let answer = found.with_samples(failing).expect("nothing cancels it");
    assert_eq!((answer.completeness.state, answer.completeness.shards_failed), (CompletenessState::Partial, 1));
}
