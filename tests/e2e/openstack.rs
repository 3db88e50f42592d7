//! Raw log files of a real OpenStack, imported as they are: lines with a time, a level, request ids, and lines that go on.
//!
//! `expected_round_N.json` was counted with a regular expression: `lines` are the lines of text that contain the id, by file
//! (`cinder/api`) in `processes`; `span_ids` are the spans that name it. A record holds its continuation lines, so the lines
//! of its body are counted. Spans name the id in the text of an attribute; where their export lost that, nobody can know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Server, shared_data, stdout_of};
use crate::journey::assert_is_a_tree;
use crate::source::nanoseconds;

const REQUEST_ID: &str = "req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/// In which the machine wrote its logs; its spans are in UTC.
const ZONE: &str = "Europe/Berlin";

/// The first round has an injected fault.
#[test]
fn round_1_is_found_as_counted() {
    assert_round(1);
}

#[test]
fn round_2_is_found_as_counted() {
    assert_round(2);
}

fn assert_round(round: u8) {
    let Some(data) = shared_data("openstack/Nova_Test_12") else { return };
    let server = Server::start();
    let files = log_files(&data.join(format!("round_{round}")));
    assert!(files.len() > 15, "{files:?}");
    for (service, path) in &files {
        let output = server.cli(&["send", "--service", service, "--timezone", ZONE, path.to_str().unwrap()]);
        assert!(output.status.success(), "{}: {output:?}", path.display());
    }
    assert_nothing_is_lost(&server, &files);
    let expected: Value = read_json(&data.join(format!("expected_round_{round}.json")));
    let requests = expected["requests"].as_object().unwrap();
    assert!(requests.len() > 50);
    for (id, expected) in requests {
        assert_records(&server, id, expected);
    }
    server.flush();
    let ids_in_records = ids_by_record(&files);
    for (id, expected) in requests {
        assert_records(&server, id, expected);
        assert_journey(&server, id, expected, &ids_in_records);
    }
    assert_services_that_only_log(&server, &files, &ids_in_records);
    assert_spans(&server, &data.join(format!("spans_round_{round}_otlp.ndjson")), requests);
    assert_services_that_only_log(&server, &files, &ids_in_records);
    assert_receivers(&server, requests.keys());
    for (id, expected) in requests.iter().take(5) {
        assert_command_line(&server, id, expected);
    }
}

/// `cinder/api` for `cinder/api.log.bzip2.out`.
fn log_files(round: &Path) -> BTreeMap<String, PathBuf> {
    let folders = std::fs::read_dir(round).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
    files
        .map(|path| {
            let name = path.strip_prefix(round).unwrap().to_str().unwrap().trim_end_matches(".log.bzip2.out").to_owned();
            (name, path)
        })
        .collect()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A line that begins a record begins with its time.
fn begins_record(line: &str) -> bool {
    line.len() > 20
        && line.as_bytes()[..19]
            .iter()
            .zip(b"0000-00-00 00:00:00")
            .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form })
}

/// Every line of every file that holds anything is there, in the order of the file, and nothing besides. A record has its
/// continuation lines in its body, but for headers that name a request id: those count as records of their own.
fn assert_nothing_is_lost(server: &Server, files: &BTreeMap<String, PathBuf>) {
    for (service, path) in files {
        let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
        let mut records = server.search(&format!("service:\"{service}\""));
        assert!(records.len() >= text.lines().filter(|line| begins_record(line)).count(), "{service}");
        records.sort_by_key(|record| record["record_id"].as_str().unwrap().parse::<u64>().unwrap());
        let found: Vec<&str> = records.iter().flat_map(|record| record["body"].as_str().unwrap().lines()).collect();
        let written: Vec<&str> = text.lines().collect();
        let held = |lines: &[&str]| lines.iter().filter(|line| !line.trim().is_empty()).map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(held(&found), held(&written), "{service}");
    }
}

/// The ids that occur together in a record, for each id.
fn ids_by_record(files: &BTreeMap<String, PathBuf>) -> BTreeMap<String, BTreeSet<String>> {
    let form = regex::Regex::new(REQUEST_ID).unwrap();
    let mut together: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files.values() {
        let mut in_record: BTreeSet<String> = BTreeSet::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if begins_record(line) {
                in_record.clear();
            }
            in_record.extend(form.find_iter(line).map(|id| id.as_str().to_owned()));
            for id in &in_record {
                together.entry(id.clone()).or_default().extend(in_record.iter().cloned());
            }
        }
    }
    together
}

/// The records that carry an id are those that the oracle counted.
fn assert_records(server: &Server, id: &str, expected: &Value) {
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    let records = server.search(&format!("kind:log id:{id}"));
    for record in &records {
        let body = record["body"].as_str().unwrap();
        *lines.entry(record["service"].as_str().unwrap()).or_default() += body.lines().filter(|line| line.contains(id)).count() as u64;
    }
    let expected_lines: BTreeMap<&str, u64> =
        expected["processes"].as_object().unwrap().iter().map(|(process, lines)| (&**process, lines.as_u64().unwrap())).collect();
    assert_eq!(lines, expected_lines, "{id}");
    assert_eq!(lines.values().sum::<u64>(), expected["lines"].as_u64().unwrap(), "{id}");
    let errors = records.iter().filter(|record| record["severity_number"].as_u64().unwrap_or(0) >= 17).count();
    assert_eq!(errors, expected["error_lines"], "{id}");
}

/// The journey holds every record of the id; of no other services, when its records carry no other id.
fn assert_journey(server: &Server, id: &str, expected: &Value, together: &BTreeMap<String, BTreeSet<String>>) {
    let journey = server.journey(id);
    assert_is_a_tree(&journey);
    let services: BTreeSet<&str> =
        journey["services"].as_array().unwrap().iter().map(|service| service["name"].as_str().unwrap()).collect();
    let processes: BTreeSet<&str> = expected["processes"].as_object().unwrap().keys().map(String::as_str).collect();
    if together[id].len() == 1 {
        assert_eq!(services, processes, "{id}");
    } else {
        assert!(services.is_superset(&processes), "{id}: {services:?} lacks some of {processes:?}");
    }
    let in_tree = journey["nodes"].as_array().unwrap().iter().flat_map(|node| node["logs"].as_array().unwrap());
    let in_tree: BTreeSet<String> = in_tree.map(|log| log["record_id"].to_string()).collect();
    for record in server.search(&format!("kind:log id:{id}")) {
        assert!(in_tree.contains(&record["record_id"].to_string()), "{id}: its journey lacks {record}");
    }
}

/// The spans, sent as their collector exported them, join the journeys of the requests that they name.
fn assert_spans(server: &Server, export: &Path, requests: &serde_json::Map<String, Value>) {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for line in std::fs::read_to_string(export).unwrap().lines() {
        let answer = crate::harness::post(&(server.otlp_http() + "/v1/traces"), &[("content-type", "application/json")], line.as_bytes());
        assert_eq!((answer.status, answer.text()), (200, "{}".to_owned()));
        let export: Value = serde_json::from_str(line).unwrap();
        for span in
            export["resourceSpans"].as_array().unwrap().iter().flat_map(|resource| resource["scopeSpans"][0]["spans"].as_array().unwrap())
        {
            named.insert(span["spanId"].as_str().unwrap().to_owned(), span.to_string());
        }
    }
    assert_eq!(server.search("kind:span").len(), named.len());
    for (id, expected) in requests {
        let journey = server.journey(id);
        assert_is_a_tree(&journey);
        let nodes = journey["nodes"].as_array().unwrap();
        let in_tree: BTreeSet<&str> = nodes.iter().filter_map(|node| node["span"]["span_id"].as_str()).collect();
        let span_ids = expected["span_ids"].as_array().unwrap().iter().map(|span| span.as_str().unwrap());
        for span in span_ids.filter(|span| named[*span].contains(id)) {
            assert!(in_tree.contains(span), "{id}: its journey lacks the span {span}, which names it: {}", named[span]);
        }
    }
}

/// Services of which no span was ever sent: a request id is all that their lines carry.
const ONLY_LOG: [&str; 3] = ["keystone/keystone", "glance/api", "nova/nova-placement-api"];

/// Any request id of theirs leads to a node of theirs, which has all lines with it and says why it stands where it does; it
/// is gone when nothing may be inferred, and its lines are not.
fn assert_services_that_only_log(server: &Server, files: &BTreeMap<String, PathBuf>, together: &BTreeMap<String, BTreeSet<String>>) {
    let form = regex::Regex::new(REQUEST_ID).unwrap();
    for service in ONLY_LOG {
        let text = std::fs::read_to_string(&files[service]).unwrap();
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for line in text.lines() {
            let ids: BTreeSet<&str> = form.find_iter(line).map(|id| id.as_str()).collect();
            ids.into_iter().for_each(|id| *lines.entry(id).or_default() += 1);
        }
        assert!(lines.len() > 20, "{service}: {}", lines.len());
        for (id, lines) in lines {
            assert_eq!(together[id].len(), 1, "an id that another of {service}'s stands with");
            let journey = server.journey(id);
            assert_is_a_tree(&journey);
            assert_eq!(lines_with(&journey, service, id, is_inferred), lines, "{id}: {journey}");
            let told = server.get(&format!("/api/v1/journey/{id}"), &[("inferred", "false")]).expect(200);
            assert_eq!(lines_with(&told, service, id, |node| node["inferred"].is_null()), lines, "{id}: {told}");
        }
    }
}

/// The processes that messages are sent to, by how the topics begin that the spans of the messages tell. No span is their own.
const RECEIVERS: [(&str, &str); 10] = [
    ("cinder-scheduler", "cinder/scheduler"),
    ("compute", "nova/nova-compute"),
    ("conductor", "nova/nova-conductor"),
    ("dhcp_agent", "neutron/dhcp-agent"),
    ("l3_agent", "neutron/l3-agent"),
    ("neutron-vo-", "neutron/openvswitch-agent"),
    ("q-agent-notifier", "neutron/openvswitch-agent"),
    ("q-plugin", "neutron/server"),
    ("q-reports-plugin", "neutron/server"),
    ("scheduler", "nova/nova-scheduler"),
];

/// What the receivers of messages wrote hangs below a span, nearly always of a message to them, and meets the time of the span
/// that it is said to lie within. Nothing but times tells which.
fn assert_receivers<'id>(server: &Server, ids: impl Iterator<Item = &'id String>) {
    let (mut visits, mut right, mut within) = (BTreeSet::new(), 0, 0);
    for id in ids {
        let journey = server.journey(id);
        let nodes = journey["nodes"].as_array().unwrap();
        let addressees: BTreeSet<&str> = nodes.iter().filter_map(addressee).collect();
        for visit in nodes.iter().filter(|node| node["service"].as_str().is_some_and(|service| addressees.contains(service))) {
            if !visits.insert(visit["logs"][0]["record_id"].to_string()) {
                continue;
            }
            let parent = nodes.iter().find(|node| node["node_id"] == visit["parent_node_id"]).unwrap_or_else(|| panic!("{id}: {visit}"));
            right += usize::from(addressee(parent) == visit["service"].as_str());
            if visit["inferred"]["reason"].as_str().unwrap().contains("the innermost span around it") {
                within += 1;
                let [(from, to), (parent_from, parent_to)] = [visit, parent].map(range);
                assert!(from <= parent_to && parent_from <= to, "{id}: {visit} does not meet {parent}");
            }
        }
    }
    let of = visits.len();
    crate::harness::say(&format!("OpenStack: {right} of {of} visits of receivers are below a message to them, {within} lie within a span"));
    assert!(of > 100 && right * 100 >= of * 85 && within * 3 > of, "{right} of {of}, {within} within");
}

/// The process that a span sends a message to.
fn addressee(node: &Value) -> Option<&'static str> {
    let (_, topic) = node["span"]["attributes"]["target"].as_str()?.split_once("topic=")?;
    RECEIVERS.iter().find(|(begin, _)| topic.starts_with(begin)).map(|(_, service)| *service)
}

fn range(node: &Value) -> (u64, u64) {
    let start = nanoseconds(&node["start"]);
    (start, start + node["duration_ns"].as_u64().unwrap())
}

/// How many lines with the id hang on nodes of the service, all of which must be as `expected`.
fn lines_with(journey: &Value, service: &str, id: &str, expected: fn(&Value) -> bool) -> usize {
    let nodes = journey["nodes"].as_array().unwrap().iter().filter(|node| node["service"] == service);
    let logs = nodes.inspect(|node| assert!(expected(node), "{id}: {node}")).flat_map(|node| node["logs"].as_array().unwrap());
    logs.map(|log| log["body"].as_str().unwrap().lines().filter(|line| line.contains(id)).count()).sum()
}

fn is_inferred(node: &Value) -> bool {
    let confidence = node["inferred"]["confidence"].as_f64().unwrap_or_default();
    let reason = node["inferred"]["reason"].as_str().unwrap_or_default();
    node["span"].is_null() && !reason.is_empty() && confidence > 0.0 && confidence <= 1.0
}

fn assert_command_line(server: &Server, id: &str, expected: &Value) {
    let trace = stdout_of(&server.cli(&["trace", id]));
    for process in expected["processes"].as_object().unwrap().keys() {
        assert!(trace.contains(process), "{id}: lacks {process}:\n{trace}");
    }
    let raw = stdout_of(&server.cli(&["grep", &format!("kind:log id:{id}"), "-o", "raw", "--limit", "10000"]));
    assert_eq!(raw.lines().filter(|line| line.contains(id)).count() as u64, expected["lines"].as_u64().unwrap(), "{id}");
}
