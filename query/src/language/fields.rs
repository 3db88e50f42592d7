//! What a field name means: its place in a record, under every name it goes by.

use needle_storage::predicate::{Field, IdKind};

/// What `name:` tests.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// The first field that has a value decides; with several, one that passes is enough.
    Fields(Vec<Field>),
    Id(IdKind),
    /// `kind:`
    Kind,
    /// `status:`
    Status,
    /// `has:`
    Has,
    /// `is:`
    Is,
}

/// Old and new names of one attribute in the OpenTelemetry semantic conventions (registry, "deprecated").
/// The names of one line find each other.
const SAME_ATTRIBUTE: [&[&str]; 32] = [
    &["http.request.method", "http.method"],
    &["http.response.status_code", "http.status_code"],
    &["url.full", "http.url"],
    &["url.scheme", "http.scheme"],
    &["http.request.body.size", "http.request_content_length"],
    &["http.response.body.size", "http.response_content_length"],
    &["user_agent.original", "http.user_agent"],
    &["client.address", "http.client_ip"],
    &["server.address", "net.peer.name", "net.host.name", "http.host"],
    &["server.port", "net.peer.port", "net.host.port"],
    &["network.peer.address", "net.sock.peer.addr", "net.peer.ip"],
    &["network.peer.port", "net.sock.peer.port"],
    &["network.protocol.name", "net.protocol.name", "http.flavor"],
    &["network.protocol.version", "net.protocol.version"],
    &["network.transport", "net.transport"],
    &["db.system.name", "db.system"],
    &["db.namespace", "db.name"],
    &["db.query.text", "db.statement"],
    &["db.operation.name", "db.operation"],
    &["db.collection.name", "db.sql.table", "db.mongodb.collection", "db.cassandra.table"],
    &["rpc.system.name", "rpc.system"],
    &["rpc.response.status_code", "rpc.grpc.status_code"],
    &["messaging.operation.name", "messaging.operation"],
    &["messaging.consumer.group.name", "messaging.kafka.consumer.group", "messaging.consumer_group"],
    &["messaging.client.id", "messaging.client_id"],
    &["service.peer.name", "peer.service"],
    &["deployment.environment.name", "deployment.environment"],
    &["code.function.name", "code.function"],
    &["code.file.path", "code.filepath"],
    &["code.line.number", "code.lineno"],
    &["faas.invocation_id", "faas.execution"],
    &["gen_ai.provider.name", "gen_ai.system"],
];

/// Short names for attributes.
const SHORT_NAMES: [(&str, &[&str]); 13] = [
    ("env", &["env", "deployment.environment.name", "deployment.environment"]),
    ("environment", &["environment", "deployment.environment.name", "deployment.environment"]),
    ("host", &["host", "host.name"]),
    ("hostname", &["hostname", "host.name"]),
    ("pod", &["pod", "k8s.pod.name"]),
    ("namespace", &["namespace", "k8s.namespace.name", "service.namespace"]),
    ("instance", &["instance", "service.instance.id"]),
    ("version", &["version", "service.version"]),
    ("status_code", &["status_code", "http.response.status_code", "http.status_code"]),
    ("method", &["method", "http.request.method", "http.method"]),
    ("path", &["path", "url.path"]),
    ("route", &["route", "http.route"]),
    ("url", &["url", "url.full", "http.url"]),
];

/// Names that look at a place of their own, for suggestions.
pub(super) const KINDS: [&str; 7] = ["log", "span", "server", "client", "internal", "producer", "consumer"];
pub(super) const STATUSES: [&str; 3] = ["error", "ok", "unset"];

/// Names with a meaning of their own, for suggestions.
pub(crate) const NAMES: [&str; 27] = [
    "service",
    "level",
    "severity",
    "body",
    "message",
    "name",
    "duration",
    "timestamp",
    "status",
    "status_message",
    "kind",
    "event",
    "id",
    "trace",
    "trace_id",
    "request",
    "request_id",
    "span",
    "span_id",
    "has",
    "env",
    "host",
    "pod",
    "namespace",
    "instance",
    "version",
    "status_code",
];

/// Whether a name is a field whatever the records hold.
pub(super) fn is_known(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    match target(name) {
        Target::Fields(fields) => match fields.as_slice() {
            [Field::Any(keys)] => keys.len() > 1 || SHORT_NAMES.iter().any(|(short, _)| *short == lower),
            _ => true,
        },
        _ => true,
    }
}

/// What a field name means.
pub(super) fn target(name: &str) -> Target {
    let one = |field| Target::Fields(vec![field]);
    for prefix in ["attr.", "attribute.", "attributes."] {
        if let Some(key) = name.strip_prefix(prefix).filter(|key| !key.is_empty()) {
            return one(Field::Attribute(every_name(key)));
        }
    }
    if let Some(key) = name.strip_prefix("resource.").filter(|key| !key.is_empty()) {
        return one(Field::Resource(every_name(key)));
    }
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "timestamp" | "time" | "@timestamp" => one(Field::Time),
        "service" | "service.name" | "service_name" => one(Field::Service),
        "level" | "severity" | "lvl" | "log.level" | "severity_text" | "severity_number" => one(Field::Severity),
        "body" | "message" | "msg" => one(Field::Body),
        "name" | "span.name" | "span_name" => one(Field::Name),
        "duration" | "duration_ns" => one(Field::Duration),
        "status_message" | "status.message" => one(Field::StatusMessage),
        "span.kind" | "span_kind" => one(Field::SpanKind),
        // Before it was a field of the log record it was an attribute.
        "event" | "event.name" | "event_name" => {
            Target::Fields(vec![Field::EventName, Field::Any(vec!["event.name".to_owned(), name.to_owned()])])
        }
        "kind" | "signal" => Target::Kind,
        "status" => Target::Status,
        "has" | "_exists_" => Target::Has,
        "is" => Target::Is,
        "id" => Target::Id(IdKind::Any),
        "trace" | "trace_id" | "traceid" | "trace.id" | "traceparent" => Target::Id(IdKind::Trace),
        "span" | "span_id" | "spanid" | "span.id" => Target::Id(IdKind::Span),
        "request" | "request_id" | "requestid" | "request.id" | "x-request-id" | "correlation_id" | "correlationid"
        | "x-correlation-id" => Target::Id(IdKind::Request),
        _ => one(Field::Any(match SHORT_NAMES.iter().find(|(short, _)| *short == lower) {
            Some((_, keys)) => keys.iter().map(|key| (*key).to_owned()).collect(),
            None => every_name(name),
        })),
    }
}

/// The key as written first, then the other names of the same attribute.
fn every_name(key: &str) -> Vec<String> {
    let others = SAME_ATTRIBUTE.iter().find(|names| names.contains(&key)).into_iter().flat_map(|names| names.iter());
    let mut keys = vec![key.to_owned()];
    keys.extend(others.filter(|name| **name != key).map(|name| (*name).to_owned()));
    keys
}

/// The nanoseconds of the unit that a key ends with, as `elapsed_ms` and `durationSeconds` do.
pub(super) fn unit_of_key_ns(key: &str) -> Option<f64> {
    const UNITS: [(&[&str], f64); 4] = [
        (&["ns", "nanos", "nanoseconds"], 1.0),
        (&["us", "micros", "microseconds"], 1e3),
        (&["ms", "millis", "milliseconds"], 1e6),
        (&["s", "sec", "secs", "seconds"], 1e9),
    ];
    let start = key.rfind(['_', '.', '-']).map(|at| at + 1).max(key.rfind(|c: char| c.is_ascii_uppercase())).filter(|start| *start > 0)?;
    let last = key[start..].to_ascii_lowercase();
    UNITS.into_iter().find_map(|(names, nanos)| names.contains(&last.as_str()).then_some(nanos))
}

/// The keys under which status codes of HTTP stand: `status:500` means them.
pub(super) fn status_code_keys() -> Vec<String> {
    ["status", "status_code", "http.response.status_code", "http.status_code"].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_names_find_each_other() {
        for names in SAME_ATTRIBUTE {
            for name in names {
                let Target::Fields(fields) = target(name) else { panic!("{name} is a field") };
                let [Field::Any(keys)] = fields.as_slice() else { panic!("{name} is an attribute") };
                assert_eq!(keys[0], *name);
                assert_eq!(keys.len(), names.len(), "{keys:?}");
            }
        }
    }

    #[test]
    fn a_name_stands_in_one_line_only() {
        let mut all: Vec<&str> = SAME_ATTRIBUTE.iter().flat_map(|names| names.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
