//! Asking over HTTP, each answer checked against what was sent.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use serde_json::Value;

use crate::load::agent;
use crate::program::Program;

/// A request to the API, and what a true answer holds.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    path: String,
    parameters: Vec<(&'static str, String)>,
    /// What is posted; without it the question is a GET.
    body: Option<String>,
    expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// So many records on this page.
    Records(usize),
    /// A number of records.
    Count(usize),
    /// So many records in the services of a journey.
    Journey(usize),
    /// That nothing carries the id.
    Nothing,
    /// So many records in the groups of a histogram.
    InAll(usize),
    /// So many records in the last cells of all rows.
    InRows(usize),
    /// So many records in all patterns.
    InPatterns(usize),
    /// So many selected records, told from the others.
    Selected(usize),
    /// Any answer.
    Answer,
}

/// What some questions cost, each.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) asked: usize,
    /// The first answer that was not the expected one.
    pub(crate) wrong: Option<String>,
}

impl Question {
    pub(crate) fn search(query: impl Into<String>, limit: usize, expected: Expected) -> Question {
        let parameters = vec![("q", query.into()), ("limit", limit.to_string())];
        Question { path: "/api/v1/search".to_owned(), parameters, body: None, expected }
    }

    pub(crate) fn journey(id: &str, expected: Expected) -> Question {
        Question { path: format!("/api/v1/journey/{id}"), parameters: Vec::new(), body: None, expected }
    }

    pub(crate) fn journey_page(id: &str, nodes: usize, cursor: Option<String>, expected: Expected) -> Question {
        let parameters = [("limit", nodes.to_string())].into_iter().chain(cursor.map(|cursor| ("cursor", cursor))).collect();
        Question { path: format!("/api/v1/journey/{id}"), parameters, body: None, expected }
    }

    pub(crate) fn skeleton(id: &str, expected: Expected) -> Question {
        Question { path: format!("/api/v1/journey/{id}/skeleton"), parameters: Vec::new(), body: None, expected }
    }

    pub(crate) fn services(expected: Expected) -> Question {
        Question { path: "/api/v1/services".to_owned(), parameters: Vec::new(), body: None, expected }
    }

    pub(crate) fn graph() -> Question {
        Question { path: "/api/v1/services/graph".to_owned(), parameters: Vec::new(), body: None, expected: Expected::Answer }
    }

    pub(crate) fn count(query: impl Into<String>, expected: Expected) -> Question {
        Question { path: "/api/v1/count".to_owned(), parameters: vec![("q", query.into())], body: None, expected }
    }

    /// Per minute and value of a field.
    pub(crate) fn per_minute(query: impl Into<String>, by: &str, records: usize) -> Question {
        let parameters = vec![("q", query.into()), ("by", by.to_owned()), ("interval", "1m".to_owned())];
        Question { path: "/api/v1/histogram".to_owned(), parameters, body: None, expected: Expected::InAll(records) }
    }

    /// A query with a pipe.
    pub(crate) fn aggregate(query: impl Into<String>, expected: Expected) -> Question {
        Question { path: "/api/v1/aggregate".to_owned(), parameters: vec![("q", query.into())], body: None, expected }
    }

    pub(crate) fn sql(statement: &str, expected: Expected) -> Question {
        let body = Some(serde_json::json!({ "query": statement }).to_string());
        Question { path: "/api/v1/sql".to_owned(), parameters: Vec::new(), body, expected }
    }

    /// What messages have in common.
    pub(crate) fn patterns(query: impl Into<String>, logs: usize) -> Question {
        let parameters = vec![("q", query.into())];
        Question { path: "/api/v1/patterns".to_owned(), parameters, body: None, expected: Expected::InPatterns(logs) }
    }

    /// What tells records from all others.
    pub(crate) fn compare(query: impl Into<String>, selected: usize) -> Question {
        let parameters = vec![("q", query.into())];
        Question { path: "/api/v1/compare".to_owned(), parameters, body: None, expected: Expected::Selected(selected) }
    }

    fn ask(&self, agent: &ureq::Agent, base: &str) -> (u16, Vec<u8>) {
        let parameters = self.parameters.iter().map(|(name, value)| (*name, value.as_str()));
        let url = format!("{base}{}", self.path);
        let answer = match &self.body {
            Some(body) => agent.post(url).send(body.as_str()),
            None => agent.get(url).query_pairs(parameters).call(),
        };
        let (head, body) = answer.expect("an answer over HTTP").into_parts();
        (head.status.as_u16(), body.into_with_config().limit(u64::MAX).read_to_vec().expect("a whole answer"))
    }

    /// The answer, which must be one.
    pub(crate) fn answer(&self, program: &Program) -> Value {
        let (status, body) = self.ask(&agent(), &program.api());
        assert_eq!(status, 200, "{}: {}", self.path, String::from_utf8_lossy(&body[..body.len().min(300)]));
        serde_json::from_slice(&body).expect("an answer is JSON")
    }

    /// Bytes of the answer, packed as for a browser.
    pub(crate) fn compressed_bytes(&self, program: &Program) -> usize {
        let (_, body) = self.ask(&agent(), &program.api());
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&body).expect("memory does not fail");
        packed.finish().expect("memory does not fail").len()
    }

    /// What is wrong with an answer.
    fn complaint(&self, status: u16, body: &[u8]) -> Option<String> {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let records = || answer["records"].as_array().map(Vec::len);
        let found = match self.expected {
            Expected::Nothing => (status == 404 || (status == 200 && records() == Some(0))).then_some(()),
            _ if status != 200 => None,
            Expected::Answer => Some(()),
            Expected::InRows(expected) => (in_rows(&answer) == expected as u64).then_some(()),
            Expected::InPatterns(expected) => (answer["records"] == expected).then_some(()),
            Expected::Selected(expected) => (answer["selected_total"] == expected).then_some(()),
            Expected::InAll(expected) => (in_all(&answer) == expected as u64).then_some(()),
            Expected::Records(expected) => (records() == Some(expected)).then_some(()),
            Expected::Count(expected) => (answer["count"] == expected).then_some(()),
            Expected::Journey(expected) => (journey_records(&answer) == expected).then_some(()),
        };
        let shown = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        found
            .is_none()
            .then(|| format!("{} {:?}: expected {:?}, got status {status}: {}", self.path, self.parameters, self.expected, shown()))
    }
}

fn journey_records(journey: &Value) -> usize {
    let services = journey["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let number = |service: &Value, name: &str| service[name].as_u64().unwrap_or(0) as usize;
    services.iter().map(|service| number(service, "logs") + number(service, "spans")).sum()
}

/// Records that the last column counts.
fn in_rows(table: &Value) -> u64 {
    let rows = table["rows"].as_array().into_iter().flatten();
    rows.filter_map(|row| row.as_array()?.last()?.as_u64()).sum()
}

/// Records of all values in all buckets.
fn in_all(histogram: &Value) -> u64 {
    let groups = histogram["groups"].as_array().into_iter().flatten().chain([&histogram["other"]]);
    let counts = groups.flat_map(|group| group["counts"].as_array().into_iter().flatten());
    counts.filter_map(Value::as_u64).sum()
}

/// Asks each once, one after the other over one connection.
pub(crate) fn ask(program: &Program, questions: &[Question]) -> Cost {
    let (agent, base) = (agent(), program.api());
    let before = program.cpu();
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        let start = Instant::now();
        let (status, body) = question.ask(&agent, &base);
        answers.push((start.elapsed(), question.complaint(status, &body)));
    }
    let cpu = program.cpu().since(&before) / u32::try_from(questions.len()).expect("few questions");
    let mut times: Vec<Duration> = answers.iter().map(|(taken, _)| *taken).collect();
    times.sort_unstable();
    let wrong = answers.into_iter().find_map(|(_, complaint)| complaint);
    Cost { cpu, p50: share(&times, 0.5), p99: share(&times, 0.99), asked: times.len(), wrong }
}

/// Asks the same again and again, after a first time that is not counted; fewer times when it takes long.
pub(crate) fn ask_again(program: &Program, question: &Question) -> Cost {
    const LONG: Duration = Duration::from_secs(5);
    let start = Instant::now();
    let first = ask(program, std::slice::from_ref(question));
    let times = (LONG.as_secs_f64() / start.elapsed().as_secs_f64()).clamp(2.0, 30.0) as usize;
    let cost = ask(program, &vec![question.clone(); times]);
    Cost { wrong: first.wrong.or(cost.wrong.clone()), ..cost }
}

/// The time that this share of sorted times does not exceed.
pub(crate) fn share(times: &[Duration], share: f64) -> Duration {
    times[((times.len() - 1) as f64 * share).round() as usize]
}
