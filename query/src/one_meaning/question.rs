//! Questions: what is meant, the texts that say it, and what a record must be, told without the parser and without storage's
//! evaluation.

use std::cmp::Ordering;

use needle_storage::model::Value;
use proptest::prelude::*;
use regex::Regex;

use super::rows::{IDS, KEYS, Row, SERVICES, VALUES};

const WORDS: [&str; 8] = ["payment", "card", "51", "über", "refused", "missing", "pay", "order"];
const REGEXES: [&str; 6] = ["(?i)pay.*card", "declined for", "refused: [0-9]+", "naïve$", "^GET /ca", "OK|card-5[0-9]$"];
const LEVELS: [&str; 4] = ["debug", "INFO", "warning", "error"];
const ORDERS: [&str; 5] = [":", ">", ">=", "<", "<="];

#[derive(Clone, Debug)]
pub(super) enum Question {
    Word(&'static str),
    Prefix(&'static str),
    Phrase(&'static str, &'static str),
    Regex(&'static str),
    Id(&'static str),
    /// Written without a field: looked up, and searched for.
    BareId(&'static str),
    Service(&'static str),
    Host(&'static str),
    Level(&'static str, &'static str),
    Time(&'static str, u64),
    Duration(&'static str, &'static str),
    Attribute(&'static str, &'static str, &'static str),
    Present(&'static str),
    Like(&'static str, &'static str),
    IsSpan,
    HasError,
    Not(Box<Question>),
    All(Vec<Question>),
    Any(Vec<Question>),
}

use Question::{
    All, Any, Attribute, BareId, Duration, HasError, Host, Id, IsSpan, Level, Like, Not, Phrase, Prefix, Present, Service, Time, Word,
};

pub(super) fn any_question() -> impl Strategy<Value = Question> {
    let word = || prop::sample::select(&WORDS[..]);
    let order = || prop::sample::select(&ORDERS[..]);
    let key = || prop::sample::select(&KEYS[..]);
    let attribute = || (key(), order(), prop::sample::select(&VALUES[..])).prop_map(|(key, order, value)| Attribute(key, order, value));
    let leaf = prop_oneof![
        word().prop_map(Word),
        word().prop_map(Prefix),
        (word(), word()).prop_map(|(one, other)| Phrase(one, other)),
        Just(Phrase("connection", "refused")),
        prop::sample::select(&REGEXES[..]).prop_map(Question::Regex),
        prop::sample::select(&IDS[..]).prop_map(Id),
        prop::sample::select(&IDS[..]).prop_map(BareId),
        prop::sample::select(&SERVICES[..]).prop_map(Service),
        prop::sample::select(&SERVICES[..]).prop_map(Host),
        (order(), prop::sample::select(&LEVELS[..])).prop_map(|(order, level)| Level(order, level)),
        (order(), 0..20_u64).prop_map(|(order, time)| Time(order, time)),
        (order(), prop::sample::select(&["0", "5ms", "1.5s"][..])).prop_map(|(order, text)| Duration(order, text)),
        attribute(),
        attribute(),
        attribute(),
        key().prop_map(Present),
        (key(), prop::sample::select(&["/*", "*s", "1*0*", "*e*"][..])).prop_map(|(key, pattern)| Like(key, pattern)),
        Just(IsSpan),
        Just(HasError),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Any),
            inner.prop_map(|question| Not(Box::new(question))),
        ]
    })
}

impl Question {
    /// Texts that ask it.
    pub(super) fn spelled(&self) -> BoxedStrategy<String> {
        let one_of = |texts: Vec<String>| prop::sample::select(texts).boxed();
        let compared = |name: &str, order: &str, value: &str| {
            let mut texts = vec![format!("{name}{order}{value}"), format!("{name}{order}\"{value}\"")];
            if order == ":" {
                texts.extend([format!("{name}={value}"), format!("{name} == '{value}'"), format!("{name}:({value} OR {value})")]);
            } else {
                texts.extend([format!("{name} {order} {value}"), format!("{name}:{order}{value}"), format!("{name}:({order}{value})")]);
            }
            one_of(texts)
        };
        match self {
            Word(word) => one_of(vec![(*word).to_owned(), word.to_uppercase(), format!("\"{word}\""), format!("({word})")]),
            Prefix(word) => one_of(vec![format!("{word}*"), format!("{}*", word.to_uppercase())]),
            Phrase(one, other) => {
                one_of(vec![format!("\"{one} {other}\""), format!("{one}-{other}"), format!("\u{201c}{one}, {other}\u{201d}")])
            }
            Question::Regex(pattern) => one_of(vec![format!("/{}/", pattern.replace('/', "\\/"))]),
            Id(id) => one_of(vec![format!("id:{id}"), format!("id = \"{id}\""), format!("request:({id} OR {id})")]),
            BareId(id) => one_of(vec![(*id).to_owned()]),
            Service(name) => one_of(vec![format!("service:{name}"), format!("service.name = {name}"), format!("service:({name}, {name})")]),
            Host(name) => one_of(vec![format!("host:h-{name}"), format!("resource.host.name=h-{name}"), format!("host.name:\"h-{name}\"")]),
            Level(order, level) => compared("level", order, level),
            Time(order, time) => compared("timestamp", order, &format!("1970-01-01T00:00:00.{time:09}Z")),
            Duration(order, text) => compared("duration", order, text),
            Attribute(key, order, value) => compared(key, order, value),
            Present(key) => one_of(vec![format!("{key}:*"), format!("attr.{key}:*")]),
            Like(key, pattern) => one_of(vec![format!("{key}:{pattern}"), format!("attr.{key}:{pattern}")]),
            IsSpan => one_of(vec!["kind:span".to_owned(), "-kind:log".to_owned(), "kind!=log".to_owned()]),
            HasError => one_of(vec!["has:error".to_owned(), "is:error".to_owned()]),
            Not(inner) => (inner.spelled(), 0..3_usize)
                .prop_map(|(text, way)| [format!("-({text})"), format!("NOT ({text})"), format!("!({text})")][way].clone())
                .boxed(),
            All(inner) => joined(inner, &[" ", " AND ", " && "]),
            Any(inner) => joined(inner, &[" OR ", " || "]),
        }
    }

    /// Whether a record must be found.
    pub(super) fn holds(&self, row: &Row) -> bool {
        let words = words(row.text);
        match self {
            Word(word) => words.iter().any(|found| found == word),
            Prefix(word) => words.iter().any(|found| found.starts_with(word)),
            Phrase(one, other) => words.windows(2).any(|pair| pair == [*one, *other]),
            Question::Regex(pattern) => Regex::new(pattern).expect("a pattern of ours").is_match(row.text),
            Id(id) => row.id.is_some_and(|own| normal(own) == normal(id)),
            BareId(id) => Id(id).holds(row) || row.text.to_lowercase().contains(&id.to_lowercase()),
            Service(name) | Host(name) => row.service == *name,
            Level(order, level) => {
                let group = 1 + LEVELS.iter().position(|other| other == level).expect("a level of ours") as u8;
                !row.span && row.severity > 0 && accepts(order, ((row.severity - 1) / 4).cmp(&group))
            }
            Time(order, time) => accepts(order, row.time.cmp(time)),
            Duration(order, text) => row.span && accepts(order, (row.duration_ns as f64).total_cmp(&typed(text).1.unwrap_or(0.0))),
            Attribute(key, order, literal) => value_of(row, key).is_some_and(|value| compared(value, key, order, literal)),
            Present(key) => value_of(row, key).is_some(),
            Like(key, pattern) => value_of(row, key).is_some_and(|value| like(value, pattern)),
            IsSpan => row.span,
            HasError => {
                if row.span {
                    row.failed
                } else {
                    row.severity >= 17
                }
            }
            Not(inner) => !inner.holds(row),
            All(inner) => inner.iter().all(|inner| inner.holds(row)),
            Any(inner) => inner.iter().any(|inner| inner.holds(row)),
        }
    }
}

fn joined(questions: &[Question], ways: &'static [&'static str]) -> BoxedStrategy<String> {
    let texts: Vec<BoxedStrategy<String>> = questions.iter().map(Question::spelled).collect();
    (texts, prop::sample::select(ways))
        .prop_map(|(texts, between)| texts.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(between))
        .boxed()
}

fn words(text: &str) -> Vec<String> {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn normal(id: &str) -> String {
    if id.len() < 32 { id.to_owned() } else { id.replace('-', "").to_lowercase() }
}

fn value_of<'r>(row: &'r Row, key: &str) -> Option<&'r Value> {
    row.attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn accepts(order: &str, found: Ordering) -> bool {
    match order {
        ":" => found.is_eq(),
        ">" => found.is_gt(),
        ">=" => found.is_ge(),
        "<" => found.is_lt(),
        _ => found.is_le(),
    }
}

/// A text of [`VALUES`] as a number, as nanoseconds of a duration, and as a time.
fn typed(text: &str) -> (Option<f64>, Option<f64>, Option<u64>) {
    match text {
        "1" | "1.0" => (Some(1.0), None, None),
        "2.5" => (Some(2.5), None, None),
        "-3" => (Some(-3.0), None, None),
        "500" => (Some(500.0), None, None),
        "5ms" => (None, Some(5e6), None),
        "1.5s" => (None, Some(1.5e9), None),
        "1970-01-01T00:00:00.000000005Z" => (None, None, Some(5)),
        "1970-01-01T01:00:00.000000009+01:00" => (None, None, Some(9)),
        _ => (None, None, None),
    }
}

fn compared(value: &Value, key: &str, order: &str, literal: &str) -> bool {
    let (number, duration, time) = typed(literal);
    // Only `took_ms` says its unit.
    let number = number.or(duration.filter(|_| key == "took_ms").map(|nanos| nanos / 1e6));
    let by_number = |own: f64| number.is_some_and(|wanted| own.partial_cmp(&wanted).is_some_and(|found| accepts(order, found)));
    match value {
        Value::Int(own) => by_number(*own as f64),
        Value::Double(own) => by_number(*own),
        Value::Bool(own) => accepts(order, own.to_string().as_str().cmp(literal)),
        Value::Array(values) => values.iter().any(|value| compared(value, key, order, literal)),
        Value::String(own) if order == ":" => own == literal,
        Value::String(own) => {
            let (own_number, own_duration, own_time) = typed(own);
            let both = |found: Option<Ordering>| found.is_some_and(|found| accepts(order, found));
            if number.is_none() && duration.is_none() && time.is_none() {
                return accepts(order, own.as_str().cmp(literal));
            }
            own_number.is_some_and(by_number)
                || both(own_duration.zip(duration).and_then(|(own, wanted)| own.partial_cmp(&wanted)))
                || both(own_time.zip(time).map(|(own, wanted)| own.cmp(&wanted)))
        }
        _ => false,
    }
}

fn like(value: &Value, pattern: &str) -> bool {
    let whole = Regex::new(&format!("^(?s:{})$", pattern.replace('*', ".*"))).expect("a pattern of ours");
    match value {
        Value::Array(values) => values.iter().any(|value| like(value, pattern)) || whole.is_match(&value.text()),
        other => whole.is_match(&other.text()),
    }
}
