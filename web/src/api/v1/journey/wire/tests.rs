use needle_query::model::{Log, Record as ModelRecord, SpanId, SpanKind, StatusCode, TraceId, UnixNanos};
use serde_json::json;

use super::*;

pub(in crate::api::v1::journey) fn root() -> query::Node {
    query::Node {
        node_id: "n1".into(),
        parent_node_id: None,
        depth: 0,
        service: "shop".into(),
        name: "GET /cart".into(),
        kind: SpanKind::SERVER,
        start: UnixNanos(10),
        corrected_by_ns: -5,
        duration_ns: 90,
        self_time_ns: 40,
        status: StatusCode::OK,
        critical: true,
        inferred: None,
        missing: false,
        flags: Vec::new(),
        is_span: true,
        span: Some(Box::default()),
        logs: vec![ModelRecord::Log(Log::default())],
        logs_total: 1,
        log_errors: 0,
        children: 1,
    }
}

pub(in crate::api::v1::journey) fn log_only() -> query::Node {
    query::Node {
        node_id: "n2".into(),
        parent_node_id: Some("n1".into()),
        depth: 1,
        service: "legacy".into(),
        kind: SpanKind(0),
        status: StatusCode::UNSET,
        critical: false,
        inferred: Some(query::Inference { reason: "same request id".to_owned(), confidence: 0.5, candidates: vec!["7".to_owned()] }),
        flags: vec!["conflict"],
        is_span: false,
        span: None,
        children: 0,
        ..root()
    }
}

pub(in crate::api::v1::journey) fn journey() -> query::Journey {
    query::Journey {
        id: "req-1".to_owned(),
        trace_ids: vec![TraceId([0xab; 16])],
        request_ids: vec!["req-1".to_owned()],
        hubs: vec![query::Hub { id: "session".to_owned(), reason: "shared by 900 traces".to_owned() }],
        start: UnixNanos(10),
        end: UnixNanos(100),
        services: vec![query::JourneyService { name: "legacy".to_owned(), logs: 2, inferred: true, ..Default::default() }],
        nodes: vec![root(), log_only()],
        nodes_total: 7,
        gaps: vec![query::Gap { node_id: "n1".to_owned(), start: UnixNanos(20), duration_ns: 30 }],
        groups: vec![query::SiblingGroup {
            parent_node_id: Some("n1".to_owned()),
            service: "shop".to_owned(),
            name: "SELECT".to_owned(),
            kind: SpanKind::CLIENT,
            count: 6,
            errors: 1,
            total_ns: 60,
            slowest_node_id: "n9".to_owned(),
            slowest_ns: 20,
        }],
        linked: vec![query::LinkedJourney { trace_id: TraceId([1; 16]), span_id: Some(SpanId([2; 8])), incoming: true }],
        clock: vec![query::ClockOffset { service: "shop".to_owned(), instance: None, offset_ns: -80, confidence: 0.9 }],
        completeness: query::Completeness { state: query::CompletenessState::Arriving, ..Default::default() },
        missing_parents: 3,
        next_cursor: Some("n2".to_owned()),
    }
}

#[test]
fn a_journey_has_the_fields_of_the_contract() {
    let mut written = serde_json::to_value(Journey::from(journey())).unwrap();
    let nodes = written.as_object_mut().unwrap().remove("nodes").unwrap();
    assert_eq!(nodes.as_array().unwrap().len(), 2);
    assert_eq!(
        written,
        json!({
            "id": "req-1",
            "trace_ids": ["abababababababababababababababab"],
            "request_ids": ["req-1"],
            "hubs": [{"id": "session", "reason": "shared by 900 traces"}],
            "start": "1970-01-01T00:00:00.000000010Z",
            "end": "1970-01-01T00:00:00.000000100Z",
            "duration_ns": 90,
            "services": [{"name": "legacy", "spans": 0, "logs": 2, "errors": 0, "self_time_ns": 0, "inferred": true}],
            "nodes_total": 7,
            "gaps": [{"node_id": "n1", "start": "1970-01-01T00:00:00.000000020Z", "duration_ns": 30}],
            "groups": [{
                "parent_node_id": "n1", "service": "shop", "name": "SELECT", "kind": "client", "count": 6, "errors": 1, "total_ns": 60,
                "slowest_node_id": "n9", "slowest_ns": 20,
            }],
            "linked": [{"trace_id": "01010101010101010101010101010101", "span_id": "0202020202020202", "incoming": true}],
            "clock": [{"service": "shop", "instance": null, "offset_ns": -80, "confidence": 0.9}],
            "completeness":
                {"state": "arriving", "missing_parents": 3, "reasons": [], "shards_searched": 0, "shards_failed": 0},
            "next_cursor": "n2",
        })
    );
}

#[test]
fn a_root_has_no_parent_and_its_span_and_logs() {
    let written = serde_json::to_value(Node::from(root())).unwrap();
    assert_eq!(written["parent_node_id"], serde_json::Value::Null);
    assert_eq!(written["span"], serde_json::to_value(Record::from(ModelRecord::Span(Box::default()))).unwrap());
    assert_eq!(written["logs"][0]["kind"], "log");
    assert_eq!((&written["kind"], &written["status"], &written["inferred"]), (&json!("server"), &json!("ok"), &json!(null)));
}

#[test]
fn an_inferred_node_says_why() {
    let mut written = serde_json::to_value(Node::from(log_only())).unwrap();
    written.as_object_mut().unwrap().remove("logs");
    assert_eq!(
        written,
        json!({
            "node_id": "n2", "parent_node_id": "n1", "depth": 1, "service": "legacy", "name": "GET /cart", "kind": "unspecified",
            "start": "1970-01-01T00:00:00.000000010Z", "corrected_by_ns": -5, "duration_ns": 90, "self_time_ns": 40, "status": "unset", "critical": false,
            "inferred": {"reason": "same request id", "confidence": 0.5, "candidates": ["7"]}, "missing": false, "flags": ["conflict"], "span": null,
            "logs_total": 1, "children": 0,
        })
    );
}
