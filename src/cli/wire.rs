//! Answers of the API, as far as the command line looks into them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A page of `GET /api/v1/search`. Records stay as they came, so that `-o json` prints fields this program does not know.
#[derive(Debug, Deserialize)]
pub(crate) struct SearchPage {
    pub(crate) records: Vec<Box<RawValue>>,
    pub(crate) next_cursor: Option<String>,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// An answer of `GET /api/v1/count`.
#[derive(Debug, Deserialize)]
pub(crate) struct Count {
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// An answer of `DELETE /api/v1/records`.
#[derive(Debug, Deserialize)]
pub(crate) struct Deleted {
    pub(crate) deleted: u64,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// What an answer knows to be missing.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Completeness {
    pub(crate) state: State,
    pub(crate) missing_parents: u64,
    pub(crate) reasons: Vec<String>,
}

/// How far an answer is all there is.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    #[default]
    Complete,
    Arriving,
    #[serde(other)]
    Partial,
}

impl Completeness {
    /// Whether something is known to be missing.
    pub(crate) fn is_partial(&self) -> bool {
        self.state == State::Partial
    }

    /// Takes in what a further page says.
    pub(crate) fn merge(&mut self, page: Completeness) {
        let rank = |state| match state {
            State::Complete => 0,
            State::Arriving => 1,
            State::Partial => 2,
        };
        if rank(page.state) > rank(self.state) {
            self.state = page.state;
        }
        self.missing_parents = self.missing_parents.max(page.missing_parents);
        for reason in page.reasons {
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        let state = match self.state {
            State::Complete => "complete",
            State::Arriving => "arriving",
            State::Partial => "partial",
        };
        let mut words = vec![state.to_owned()];
        if self.missing_parents > 0 && !self.reasons.iter().any(|reason| reason.contains("parent")) {
            words.push(format!("{} missing parent{}", self.missing_parents, if self.missing_parents == 1 { "" } else { "s" }));
        }
        words.extend(self.reasons.iter().cloned());
        if self.state == State::Arriving && words.len() == 1 {
            words.push("records may still be on their way".to_owned());
        }
        if words.len() == 1 { words.remove(0) } else { format!("{}: {}", words[0], words[1..].join("; ")) }
    }
}

/// A log record or a span.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) kind: String,
    pub(crate) timestamp: Timestamp,
    pub(crate) service: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    pub(crate) request_ids: Vec<String>,
    pub(crate) severity: Option<String>,
    pub(crate) severity_number: Option<u8>,
    pub(crate) body: Option<Value>,
    pub(crate) name: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) status_message: Option<String>,
    pub(crate) duration_ns: Option<i64>,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) resource: BTreeMap<String, Value>,
    pub(crate) record_id: Option<Value>,
}

impl Record {
    /// Whether it is a span.
    pub(crate) fn is_span(&self) -> bool {
        self.kind == "span"
    }

    /// The id by which its journey is opened.
    pub(crate) fn journey_id(&self) -> Option<&str> {
        self.request_ids.first().or(self.trace_id.as_ref()).map(String::as_str)
    }

    /// Whether it is an error: a span with status error, a log of severity error and above.
    pub(crate) fn is_error(&self) -> bool {
        self.status.as_deref() == Some("error") || self.severity_number.is_some_and(|number| number >= 17)
    }

    /// `service.instance.id`.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.resource.get("service.instance.id").and_then(Value::as_str)
    }

    /// The body, or the name of a span, as text.
    pub(crate) fn text(&self) -> String {
        let body = self.body.as_ref().map(plain);
        if self.is_span() { self.name.clone().or(body) } else { body.or_else(|| self.name.clone()) }.unwrap_or_default()
    }

    /// A key that tells it from all others.
    pub(crate) fn key(&self) -> String {
        match &self.record_id {
            Some(id) => plain(id),
            None => format!("{} {} {:?} {}", self.timestamp, self.service, self.span_id, self.text()),
        }
    }
}

/// A JSON value as plain text: strings without quotes, all else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An answer of `GET /api/v1/journey/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Journey {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) trace_ids: Vec<String>,
    #[serde(default)]
    pub(crate) request_ids: Vec<String>,
    #[serde(default)]
    pub(crate) hubs: Vec<Hub>,
    pub(crate) start: Timestamp,
    #[serde(default)]
    pub(crate) duration_ns: i64,
    #[serde(default)]
    pub(crate) services: Vec<JourneyService>,
    #[serde(default)]
    pub(crate) nodes: Vec<Node>,
    #[serde(default)]
    pub(crate) gaps: Vec<Gap>,
    #[serde(default)]
    pub(crate) groups: Vec<SiblingGroup>,
    #[serde(default)]
    pub(crate) linked: Vec<Linked>,
    #[serde(default)]
    pub(crate) clock: Vec<Clock>,
    #[serde(default)]
    pub(crate) completeness: Completeness,
    pub(crate) next_cursor: Option<String>,
}

/// An id that was not followed, because too much shares it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Hub {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) reason: String,
}

/// A service's part in a journey.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JourneyService {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) spans: u64,
    #[serde(default)]
    pub(crate) logs: u64,
    #[serde(default)]
    pub(crate) errors: u64,
    #[serde(default)]
    pub(crate) self_time_ns: i64,
    #[serde(default)]
    pub(crate) inferred: bool,
}

/// A stretch in which nothing of a span was recorded.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Gap {
    pub(crate) node_id: String,
    pub(crate) start: Timestamp,
    #[serde(default)]
    pub(crate) duration_ns: i64,
}

/// Spans of one service and name below one parent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SiblingGroup {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) errors: u64,
    #[serde(default)]
    pub(crate) total_ns: i64,
    #[serde(default)]
    pub(crate) slowest_ns: i64,
}

/// A node of the tree.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Node {
    #[serde(default)]
    pub(crate) node_id: String,
    #[serde(default)]
    pub(crate) depth: usize,
    #[serde(default)]
    pub(crate) service: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) start: Timestamp,
    #[serde(default)]
    pub(crate) corrected_by_ns: i64,
    #[serde(default)]
    pub(crate) duration_ns: i64,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) critical: bool,
    #[serde(default)]
    pub(crate) inferred: Option<Inference>,
    #[serde(default)]
    pub(crate) missing: bool,
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    #[serde(default)]
    pub(crate) span: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) logs: Vec<Box<RawValue>>,
}

impl Node {
    /// When something of it was, if its clock is as far off as was asked to be corrected.
    pub(crate) fn shown(&self, sent: Timestamp) -> Timestamp {
        // What lies beyond all times is shown as it was sent.
        sent.checked_add(SignedDuration::from_nanos(self.corrected_by_ns)).unwrap_or(sent)
    }
}

impl Journey {
    /// Adds the nodes of the next page. A node with very many logs goes on there as the first.
    pub(crate) fn append(&mut self, mut page: Vec<Node>) {
        let goes_on = self.nodes.last().zip(page.first()).is_some_and(|(last, first)| last.node_id == first.node_id);
        if goes_on && let Some(last) = self.nodes.last_mut() {
            last.logs.append(&mut page.remove(0).logs);
        }
        self.nodes.append(&mut page);
    }
}

/// Why a node stands where it stands.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Inference {
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) confidence: f64,
    /// Nodes that may as well be the one above it, where that is not decided.
    #[serde(default)]
    pub(crate) candidates: Vec<String>,
}

impl Inference {
    pub(crate) fn is_decided(&self) -> bool {
        self.candidates.is_empty()
    }
}

/// A journey that a span link leads to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Linked {
    pub(crate) trace_id: String,
}

/// The estimated error of a clock.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Clock {
    pub(crate) service: String,
    #[serde(default)]
    pub(crate) instance: Option<String>,
    #[serde(default)]
    pub(crate) offset_ns: i64,
    #[serde(default)]
    pub(crate) confidence: f64,
}

/// An answer of `GET /api/v1/services`.
#[derive(Debug, Deserialize)]
pub(crate) struct Services {
    pub(crate) services: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// An answer of `GET /api/v1/fields`.
#[derive(Debug, Deserialize)]
pub(crate) struct Fields {
    pub(crate) fields: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) more: bool,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// An answer of `GET /api/v1/fields/{name}/values`.
#[derive(Debug, Deserialize)]
pub(crate) struct FieldValues {
    pub(crate) values: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) other: u64,
    pub(crate) exact: bool,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// An answer of `GET /api/v1/patterns`.
#[derive(Debug, Deserialize)]
pub(crate) struct Patterns {
    pub(crate) patterns: Vec<Box<RawValue>>,
    pub(crate) total: u64,
    pub(crate) new_total: Option<u64>,
    #[serde(default)]
    pub(crate) beyond: u64,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// An answer of `GET /api/v1/compare`.
#[derive(Debug, Deserialize)]
pub(crate) struct Compared {
    pub(crate) fields: Vec<Box<RawValue>>,
    pub(crate) total: u64,
    pub(crate) selected_total: u64,
    pub(crate) baseline_total: u64,
    pub(crate) skipped: Vec<Skipped>,
    #[serde(default)]
    pub(crate) more: bool,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// A field that was not compared.
#[derive(Debug, Deserialize)]
pub(crate) struct Skipped {
    pub(crate) field: String,
    pub(crate) reason: String,
}

/// One service seen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) spans: u64,
    pub(crate) logs: u64,
    pub(crate) errors: u64,
    pub(crate) rate: Option<f64>,
    pub(crate) error_ratio: Option<f64>,
    pub(crate) p50_ns: Option<i64>,
    pub(crate) p95_ns: Option<i64>,
    pub(crate) p99_ns: Option<i64>,
    #[serde(default = "yes")]
    pub(crate) percentiles_exact: bool,
    pub(crate) last_seen: Option<String>,
}

/// An answer of `GET /api/v1/services/graph`.
#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<GraphNode>,
    pub(crate) edges: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) missing_parents: u64,
    #[serde(default)]
    pub(crate) inferred_from: InferredFrom,
    #[serde(default)]
    pub(crate) completeness: Completeness,
}

/// A service or another peer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct GraphNode {
    pub(crate) service: String,
    pub(crate) inferred: bool,
    pub(crate) external: bool,
    pub(crate) system: Option<String>,
}

/// Calls from one to another.
#[derive(Debug, Deserialize)]
pub(crate) struct GraphEdge {
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) calls: u64,
    #[serde(default)]
    pub(crate) errors: u64,
    pub(crate) p50_ns: Option<i64>,
    pub(crate) p95_ns: Option<i64>,
    pub(crate) p99_ns: Option<i64>,
    #[serde(default = "yes")]
    pub(crate) percentiles_exact: bool,
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) inferred: bool,
    pub(crate) confidence: Option<f64>,
}

/// The journeys in which inferred calls were counted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InferredFrom {
    pub(crate) ids: u64,
    pub(crate) of: u64,
    pub(crate) more: bool,
}

/// What is exact unless told otherwise.
fn yes() -> bool {
    true
}

/// An answer of `POST /api/v1/logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Accepted {
    pub(crate) accepted: u64,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) warning: Option<String>,
}

/// A line that was not accepted.
#[derive(Debug, Deserialize)]
pub(crate) struct Rejected {
    #[serde(default)]
    pub(crate) line: u64,
    #[serde(default)]
    pub(crate) reason: String,
}
