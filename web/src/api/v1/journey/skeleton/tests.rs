use serde_json::{Value, json};

use super::super::wire;
use super::super::wire::tests::{journey, log_only, root};
use super::*;

#[test]
fn columns_say_what_the_nodes_say() {
    let mut whole = journey();
    let below = query::Node { node_id: "n3".into(), depth: 2, parent_node_id: Some("n2".into()), ..root() };
    let second_root = query::Node { node_id: "n4".into(), missing: true, critical: false, ..root() };
    whole.nodes = vec![root(), log_only(), below, second_root];
    let pages = serde_json::to_value(wire::Journey::from(whole.clone())).unwrap();
    let skeleton = serde_json::to_value(Skeleton::from(whole.clone())).unwrap();
    let columns = &skeleton["columns"];
    for (place, node) in pages["nodes"].as_array().unwrap().iter().enumerate() {
        for name in ["node_id", "duration_ns", "self_time_ns"] {
            assert_eq!(columns[name][place], node[name], "{name}");
        }
        for name in ["service", "name", "kind", "status"] {
            let code = columns[name]["codes"][place].as_u64().unwrap() as usize;
            assert_eq!(columns[name]["values"][code], node[name], "{name}");
        }
        assert_eq!(columns["logs"][place], node["logs_total"]);
        let start = whole.start.saturating_add_signed(columns["start_after_ns"][place].as_i64().unwrap());
        assert_eq!(start, whole.nodes[place].start);
    }
    assert_eq!(columns["parent"], json!([-1, 0, 1, -1]));
    assert_eq!((&skeleton["critical"], &skeleton["missing"]), (&json!([0, 2]), &json!([3])));
    assert_eq!(skeleton["inferred"], json!([{"node": 1, "reason": "same request id", "confidence": 0.5, "candidates": ["7"]}]));
    assert_eq!(skeleton["flags"], json!([{"node": 1, "flags": ["conflict"]}]));
    for (key, said) in pages.as_object().unwrap().iter().filter(|(key, _)| !["nodes", "next_cursor"].contains(&key.as_str())) {
        assert_eq!(&skeleton[key], said, "of the journey as a whole both say the same: {key}");
    }
    assert_ne!(skeleton["completeness"], Value::Null);
}
