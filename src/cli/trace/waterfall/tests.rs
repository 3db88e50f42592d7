use super::*;

/// A failed checkout: a log-only service, a missing parent, a clock that is off, an odd span.
const JOURNEY: &str = r#"{
  "id": "7F3A9C1E", "trace_ids": ["4bf92f3577b34da6a3ce929d0e0e4736"], "request_ids": ["7F3A9C1E"],
  "hubs": [{"id": "session-1", "reason": "shared by 12,000 traces"}],
  "start": "2026-11-20T13:03:11.204Z", "end": "2026-11-20T13:03:13.042Z", "duration_ns": 1838000000,
  "services": [
    {"name": "gateway", "spans": 1, "logs": 0, "errors": 1, "inferred": false},
    {"name": "auth", "spans": 0, "logs": 2, "errors": 0, "inferred": true},
    {"name": "orders", "spans": 2, "logs": 0, "errors": 0, "inferred": false},
    {"name": "payments", "spans": 1, "logs": 1, "errors": 2, "inferred": false},
    {"name": "mailer", "spans": 1, "logs": 0, "errors": 0, "inferred": false}],
  "nodes": [
    {"node_id": "a", "parent_node_id": null, "depth": 0, "service": "gateway", "name": "POST /checkout", "start": "2026-11-20T13:03:11.204Z",
     "duration_ns": 1838000000, "status": "error", "critical": true, "span": {"kind": "span"}, "children": 3},
    {"node_id": "b", "parent_node_id": "a", "depth": 1, "service": "auth", "name": "", "start": "2026-11-20T13:03:11.208Z", "duration_ns": 4000000,
     "inferred": {"reason": "same request id, inside the span in time", "confidence": 0.8}, "span": null,
     "logs": [
       {"kind": "log", "timestamp": "2026-11-20T13:03:11.208Z", "service": "auth", "severity": "info", "severity_number": 9, "body": "token \u001b[31mok", "request_ids": ["7F3A9C1E"]},
       {"kind": "log", "timestamp": "2026-11-20T13:03:11.212Z", "service": "auth", "severity": "warn", "severity_number": 13, "body": "near expiry", "attributes": {"ttl": 7}}]},
    {"node_id": "c", "parent_node_id": "a", "depth": 1, "service": "orders", "name": "reserve a rather long list of stock keeping units", "start": "2026-11-20T13:03:11.235Z",
     "duration_ns": 28000000, "span": {"kind": "span"}},
    {"node_id": "d", "parent_node_id": "a", "depth": 1, "service": "orders", "name": "pay", "start": "2026-11-20T13:03:11.264Z",
     "duration_ns": 1778000000, "critical": true, "span": {"kind": "span"}},
    {"node_id": "e", "parent_node_id": "d", "depth": 2, "service": "payments", "name": "charge", "start": "2026-11-20T13:03:11.294Z",
     "duration_ns": 1700000000, "status": "error", "critical": true, "flags": ["conflict"], "span": {"kind": "span"},
     "logs": [{"kind": "log", "timestamp": "2026-11-20T13:03:12.994Z", "service": "payments", "severity": "error", "severity_number": 17, "body": "card declined", "attributes": {"code": 51}}]},
    {"node_id": "f", "parent_node_id": null, "depth": 0, "service": "", "name": "", "start": "2026-11-20T13:03:12Z", "missing": true},
    {"node_id": "g", "parent_node_id": "f", "depth": 1, "service": "mailer", "name": "send", "start": "2026-11-20T13:03:12.9Z", "duration_ns": 900, "span": {"kind": "span"}}],
  "linked": [{"trace_id": "00000000000000000000000000000abc"}],
  "clock": [{"service": "orders", "instance": "orders-1", "offset_ns": -14000000, "confidence": 0.9}],
  "completeness": {"state": "partial", "missing_parents": 1, "reasons": []}}"#;

fn drawn(look: Look) -> String {
    let journey: Journey = serde_json::from_str(JOURNEY).unwrap();
    let lines = Waterfall::new(&journey, look, Paint::default(), &TimeZone::UTC).lines().unwrap();
    lines.join("\n")
}

const LOOK: Look = Look { columns: 80, ascii: false, critical: false, logs: Logs::All, corrected: false };

#[test]
fn a_journey_in_80_columns() {
    insta::assert_snapshot!(drawn(LOOK), @r#"
    partial: 1 missing parent
    2026-11-20 13:03:11.204 +00:00   1.84s   5 spans, 3 logs, 5 services (1 log-only)   ✗ 3
    trace 4bf92f3577b34da6a3ce929d0e0e4736
    request 7F3A9C1E
                                                  0      460ms   919ms     1.84s
    gateway POST /checkout                 1.84s  ██████████████████████████████ ✗
    ├ auth· (logs only) 2 lines             ~4ms  ·
    │     · same request id, inside the span in time (80 % sure)
    │     13:03:11.208 INFO  token \x1b[31mok
    │     13:03:11.212 WARN  near expiry  ttl=7
    ├ orders reserve a rather long list of… 28ms  ▐
    └ orders pay                           1.78s   █████████████████████████████
      └ payments charge                     1.7s   ▐███████████████████████████▎ ✗ [conflict]
            13:03:12.994 ERROR card declined  code=51
    (missing parent)
    └ mailer send                          900ns                             ▐
    ✗ error   · placed by inference
    clock of orders (orders-1): correction -14ms (estimated, 90 % sure, not applied)
    not followed: session-1 (shared by 12,000 traces)
    linked: needle trace 00000000000000000000000000000abc
    "#);
}

#[test]
fn a_deep_tree_stays_narrow_and_says_how_deep_it_is() {
    let node = |depth: usize| {
        format!(
            r#"{{"node_id": "{depth}", "depth": {depth}, "service": "shop", "name": "call", "start": "2026-11-20T13:03:11.204Z", "span": {{"kind": "span"}}}}"#
        )
    };
    let nodes: Vec<String> = (0..500).map(node).collect();
    let json =
        format!(r#"{{"id": "deep", "start": "2026-11-20T13:03:11.204Z", "end": "2026-11-20T13:03:12Z", "nodes": [{}]}}"#, nodes.join(","));
    let journey: Journey = serde_json::from_str(&json).unwrap();
    let lines = Waterfall::new(&journey, LOOK, Paint::default(), &TimeZone::UTC).lines().unwrap();
    let widest = lines.iter().map(|line| width(line)).max().unwrap();
    assert!(widest < 160, "{widest} columns");
    assert!(lines.iter().any(|line| line.starts_with("⋯475 ") && line.contains("shop call")), "{}", lines.join("\n"));
}

#[test]
fn a_journey_in_ascii_with_its_critical_path_and_error_logs_only() {
    let picture = drawn(Look { ascii: true, critical: true, logs: Logs::Errors, corrected: true, columns: 100 });
    assert!(picture.is_ascii(), "{picture}");
    insta::assert_snapshot!(picture, @r#"
    partial: 1 missing parent
    2026-11-20 13:03:11.204 +00:00   1.84s   5 spans, 3 logs, 5 services (1 log-only)   x 3
    trace 4bf92f3577b34da6a3ce929d0e0e4736
    request 7F3A9C1E
                                                             0        460ms     919ms          1.84s
    gateway POST /checkout                            1.84s  ####################################### x *
    |-auth. (logs only) 2 lines                        ~4ms  .
    |     . same request id, inside the span in time (80 % sure)
    |-orders reserve a rather long list of stock keep~ 28ms  ==
    `-orders pay                                      1.78s   ====================================== *
      `-payments charge                                1.7s   ##################################### x * [conflict]
            13:03:12.994 ERROR card declined  code=51
    (missing parent)
    `-mailer send                                     900ns                                      =
    * critical path (estimated)   x error   . placed by inference
    clock of orders (orders-1): correction -14ms (estimated, 90 % sure, applied)
    not followed: session-1 (shared by 12,000 traces)
    linked: needle trace 00000000000000000000000000000abc
    "#);
}

#[test]
fn lines_move_with_the_clock_of_their_node() {
    let mut journey: Journey = serde_json::from_str(JOURNEY).unwrap();
    journey.nodes[1].corrected_by_ns = -3_000_000_000;
    let lines = Waterfall::new(&journey, LOOK, Paint::default(), &TimeZone::UTC).lines().unwrap().join("\n");
    assert!(lines.contains("13:03:08.208 INFO  token") && lines.contains("13:03:12.994 ERROR card declined"), "{lines}");
}

#[test]
fn a_narrow_terminal_cuts_names_and_never_services() {
    let picture = drawn(Look { columns: 10, logs: Logs::None, ..LOOK });
    for service in ["gateway", "auth·", "orders", "payments", "mailer"] {
        assert!(picture.contains(service), "{service} in\n{picture}");
    }
    assert!(picture.lines().filter(|line| line.contains('█') && !line.contains('[')).all(|line| width(line) <= 48), "{picture}");
}

#[test]
fn a_tree_that_returns_to_upper_levels_keeps_its_lines() {
    let depths = [0, 1, 2, 3, 1, 2, 2, 0, 1];
    let mut journey: Journey = serde_json::from_str(JOURNEY).unwrap();
    let node = journey.nodes[0].clone();
    journey.nodes = depths.iter().map(|depth| Node { depth: *depth, ..node.clone() }).collect();
    let zone = TimeZone::UTC;
    let waterfall = Waterfall::new(&journey, LOOK, Paint::default(), &zone);
    let trees: Vec<String> = waterfall.rows().into_iter().map(|row| row.tree).collect();
    assert_eq!(trees, ["", "├ ", "│ └ ", "│   └ ", "└ ", "  ├ ", "  └ ", "", "└ "]);
}

#[test]
fn what_is_not_decided_reads_as_such() {
    let json = JOURNEY.replace(r#""confidence": 0.8}"#, r#""confidence": 0.4, "candidates": ["c", "d"]}"#);
    let journey: Journey = serde_json::from_str(&json).unwrap();
    let picture = Waterfall::new(&journey, LOOK, Paint::default(), &TimeZone::UTC).lines().unwrap().join("\n");
    for text in ["auth? (logs only) 2 lines", "? same request id, inside the span in time (40 % sure)", "? not decided: stands above"] {
        assert!(picture.contains(text), "{text} in\n{picture}");
    }
    assert!(!drawn(LOOK).contains("not decided"));
}
