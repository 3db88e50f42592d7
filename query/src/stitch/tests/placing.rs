use needle_storage::model::SpanKind;

use super::builder::{Shop, check, trace};
use crate::answer::{Inference, Journey};

const SERVER: SpanKind = SpanKind::SERVER;
const CLIENT: SpanKind = SpanKind::CLIENT;

fn inference<'a>(journey: &'a Journey, node_id: &str) -> &'a Inference {
    let node = journey.nodes.iter().find(|node| *node.node_id == *node_id).expect(node_id);
    node.inferred.as_ref().expect("inferred")
}

/// A gateway that calls two services, the second of which is slow.
fn gateway() -> Shop {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 200).attribute("server.address", "legacy-auth.shop.svc");
    shop.span("gateway", CLIENT, 3, 1, 5, 390).attribute("server.address", "orders");
    shop.span("orders", SERVER, 4, 3, 15, 190);
    shop
}

#[test]
fn the_call_that_names_a_service_is_its_parent() {
    let mut shop = gateway();
    shop.log("legacy-auth", 20, "a").request("r-1").log("legacy-auth", 150, "b").request("r-1");
    let journey = shop.stitched();
    check(&journey, &["1", "  3", "    4", "  2", "    ~inferred-legacy-auth-1 [a, b]"]);
    let why = inference(&journey, "inferred-legacy-auth-1");
    assert!(why.reason.contains("names it (legacy-auth.shop.svc)"), "{}", why.reason);
    assert!(why.confidence > 0.9);
}

#[test]
fn a_retried_call_makes_two_visits() {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 100).attribute("peer.service", "auth").failed();
    shop.span("gateway", CLIENT, 3, 1, 110, 200).attribute("peer.service", "auth");
    shop.log("auth", 40, "timeout").request("r-1").log("auth", 150, "ok").request("r-1").log("auth", 240, "cleanup").request("r-1");
    let journey = shop.stitched();
    check(&journey, &["1", "  2", "    ~inferred-auth-1 [timeout]", "  3", "    ~inferred-auth-2 [ok, cleanup]"]);
    let why = inference(&journey, "inferred-auth-2");
    assert!(why.reason.contains("go on after the call returned"), "{}", why.reason);
}

/// A gateway with two calls that overlap.
fn two_calls_at_once() -> Shop {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 100);
    shop.span("gateway", CLIENT, 3, 1, 50, 200);
    shop
}

#[test]
fn lines_of_two_spans_that_never_arrived_are_two_visits() {
    let mut shop = two_calls_at_once();
    for (at, span, body) in [(55, 77, "a"), (60, 88, "x"), (95, 77, "b"), (190, 88, "y")] {
        shop.log("audit", at, body).of_trace(1).on_span(span);
    }
    check(&shop.stitched(), &["1", "  2", "    ~inferred-audit-1 [a, b]", "  3", "    ~inferred-audit-2 [x, y]"]);
}

#[test]
fn lines_of_one_span_that_never_arrived_are_one_visit() {
    let mut shop = two_calls_at_once();
    for (at, body) in [(15, "a"), (190, "b")] {
        shop.log("audit", at, body).of_trace(1).on_span(77);
    }
    check(&shop.stitched(), &["1", "  2", "  ~inferred-audit-1 [a, b]", "  3"]);
}

#[test]
fn lines_that_no_span_encloses_stand_under_the_root_that_began_last_before_them() {
    let mut shop = Shop::default();
    shop.span("agent", SERVER, 1, 0, 100, 200).request("r-1");
    shop.span("agent", SERVER, 2, 0, 5_000, 5_100).of_trace(2).request("r-1");
    for (at, body) in [(50, "early"), (250, "first"), (5_150, "second")] {
        shop.log("worker", at, body).request("r-1");
    }
    let journey = shop.journey("r-1");
    let drawing = ["1", "  ~inferred-worker-1 [early, first]", "2", "  ~inferred-worker-2 [second]"];
    check(&journey, &drawing);
    assert!(inference(&journey, "inferred-worker-2").reason.contains("no span encloses it in time"));
}

#[test]
fn a_wrong_clock_of_a_named_service_is_recognised() {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 100).attribute("peer.service", "auth");
    shop.log("auth", 20, "a").request("r-1").skewed(-80).log("auth", 90, "b").request("r-1").skewed(-80);
    let journey = shop.stitched();
    check(&journey, &["1", "  2", "    ~inferred-auth-1 [a, b]"]);
    // The lines take 70 of the call's 90 ms, so it is off by 70 to 90 ms.
    assert!(inference(&journey, "inferred-auth-1").reason.contains("+80.0 ms"));
    let clock = journey.clock.iter().find(|offset| offset.service == "auth").expect("estimated");
    assert_eq!(clock.offset_ns, 80_000_000);
    assert!(clock.confidence < 0.5);
}

#[test]
fn without_a_name_a_call_that_nobody_answered_is_the_parent() {
    let mut shop = gateway();
    shop.log("audit", 20, "a").request("r-1").log("audit", 180, "b").request("r-1");
    let journey = shop.stitched();
    check(&journey, &["1", "  3", "    4", "  2", "    ~inferred-audit-1 [a, b]"]);
    let why = inference(&journey, "inferred-audit-1");
    assert!(why.reason.contains("a call that nobody else answered") && why.confidence < 0.95 && why.candidates.is_empty(), "{why:?}");
}

#[test]
fn without_a_call_the_innermost_span_at_work_is_the_parent() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("web", SpanKind::INTERNAL, 2, 1, 10, 200).span("web", CLIENT, 3, 2, 15, 190).span("orders", SERVER, 4, 3, 16, 80);
    shop.log("audit", 90, "a").request("r-1").log("audit", 180, "b").request("r-1");
    check(&shop.stitched(), &["1", "  2", "    3", "      4", "    ~inferred-audit-1 [a, b]"]);
}

#[test]
fn a_call_has_one_callee_who_called_what_else_lies_in_it() {
    let mut shop = gateway();
    shop.log("legacy-auth", 20, "a").request("r-1").log("legacy-auth", 190, "d").request("r-1");
    shop.log("tokens", 60, "b").request("r-1").log("tokens", 150, "c").request("r-1");
    shop.span("vault", SERVER, 9, 0, 70, 120).of_trace(9).request("r-1");
    let expected = ["1", "  3", "    4", "  2", "    ~inferred-legacy-auth-1 [a, d]", "      ~inferred-tokens-1 [b, c]", "        ~9"];
    check(&shop.stitched(), &expected);
}

#[test]
fn a_line_that_names_its_callers_span_is_a_visit_from_there() {
    let mut shop = gateway();
    shop.log("legacy-auth", 20, "a").of_trace(1).on_span(3).log("orders", 20, "own").of_trace(1).on_span(4);
    let journey = shop.stitched();
    check(&journey, &["1", "  3", "    4 [own]", "    ~inferred-legacy-auth-1 [a]", "  2"]);
    assert!(inference(&journey, "inferred-legacy-auth-1").reason.contains("name gateway's client span"));
    let plain = shop.journey_with(&trace(1).to_string(), false, false).expect("found");
    check(&plain, &["1", "  3 [a]", "    4 [own]", "  2"]);
}

#[test]
fn attempts_that_lines_number_are_visits() {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 200).attribute("peer.service", "auth").failed();
    shop.span("gateway", CLIENT, 3, 1, 20, 210).attribute("peer.service", "auth");
    for (ms, attempt) in [(100, "1"), (101, "2"), (130, "1"), (205, "2")] {
        shop.log("auth", ms, attempt).request("r-1").attribute("attempt", attempt);
    }
    check(&shop.stitched(), &["1", "  2", "    ~inferred-auth-1 [1, 1]", "  3", "    ~inferred-auth-2 [2, 2]"]);
}

#[test]
fn a_line_that_says_how_long_it_took_fits_one_call() {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 900).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 200).attribute("peer.service", "auth").failed();
    shop.span("gateway", CLIENT, 3, 1, 300, 340).attribute("peer.service", "auth");
    shop.log("auth", 338, "took long").request("r-1").attribute("duration_ms", "186");
    check(&shop.stitched(), &["1", "  2", "    ~inferred-auth-1 [took long]", "  3"]);
}

#[test]
fn processes_of_one_service_share_its_calls() {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 100).attribute("peer.service", "auth");
    shop.span("gateway", CLIENT, 3, 1, 110, 200).attribute("peer.service", "auth");
    for (ms, name, off) in [(12, "one", 0), (98, "one", 0), (112, "two", -90), (198, "two", -90)] {
        shop.log("auth", ms, name).request("r-1").instance(name).skewed(off);
    }
    check(&shop.stitched(), &["1", "  2", "    ~inferred-auth-1 [one, one]", "  3", "    ~inferred-auth-2 [two, two]"]);
}

#[test]
fn of_traces_within_each_other_one_is_the_caller() {
    let mut shop = Shop::default();
    // Each root lies within a longer child of the other.
    shop.span("a", SERVER, 1, 0, 20, 30).request("r-1").span("a", SpanKind::INTERNAL, 2, 1, 0, 100);
    shop.span("b", SERVER, 11, 0, 21, 31).of_trace(2).request("r-1").span("b", SpanKind::INTERNAL, 12, 11, 0, 100).of_trace(2);
    let journey = shop.journey("r-1");
    assert_eq!(journey.nodes.len(), 4);
    assert_eq!(journey.nodes.iter().filter(|node| node.parent_node_id.is_none()).count(), 1);
}

#[test]
fn a_trace_that_links_to_a_span_of_its_request_hangs_there() {
    let mut shop = gateway();
    shop.span("gateway", SpanKind::PRODUCER, 7, 1, 20, 25);
    shop.span("mailer", SpanKind::CONSUMER, 21, 0, 9_000, 9_050).of_trace(3).request("r-1").link(trace(1));
    shop.edit_span(|span| span.links[0].span_id = Some(super::builder::span_id(7)));
    let journey = shop.stitched();
    check(&journey, &["1", "  3", "    4", "  2", "  7", "    ~15"]);
    assert!(inference(&journey, "0000000000000015").confidence > 0.8);
}

#[test]
fn lines_outside_of_every_span_stand_under_the_root() {
    let mut shop = gateway();
    shop.log("billing", 60_000, "late").request("r-1");
    let journey = shop.stitched();
    check(&journey, &["1", "  3", "    4", "  2", "  ~inferred-billing-1 [late]"]);
    assert!(inference(&journey, "inferred-billing-1").confidence < 0.3);
}

#[test]
fn a_gap_with_other_spans_around_it_makes_two_visits() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 10_000).request("r-1");
    shop.span("web", SpanKind::INTERNAL, 2, 1, 0, 1_000).span("web", SpanKind::INTERNAL, 3, 1, 6_000, 7_000);
    for ms in [100, 200, 6_100, 6_200, 9_000] {
        shop.log("audit", ms, &ms.to_string()).request("r-1");
    }
    check(
        &shop.stitched(),
        &["1", "  2", "    ~inferred-audit-1 [100, 200]", "  3", "    ~inferred-audit-2 [6100, 6200]", "  ~inferred-audit-3 [9000]"],
    );
}

#[test]
fn each_instance_of_a_log_only_service_is_a_node() {
    let mut shop = gateway();
    shop.log("auth", 20, "a").request("r-1").instance("one").log("auth", 25, "b").request("r-1").instance("two");
    let journey = shop.stitched();
    assert_eq!(journey.nodes.iter().filter(|node| &*node.service == "auth").count(), 2);
}

#[test]
fn logs_with_a_trace_only_hang_on_their_services_innermost_span() {
    let mut shop = gateway();
    shop.log("orders", 100, "within").of_trace(1).log("orders", 195, "after").of_trace(1);
    shop.log("gateway", 50, "by request").request("r-1");
    shop.log("gateway", 100, "unknown span").of_trace(1).on_span(77);
    let journey = shop.stitched();
    // The gateway's own code was not in its calls, which wait.
    check(&journey, &["1 [by request, unknown span]", "  3", "    4 [within, after]", "  2"]);
}

#[test]
fn a_log_without_a_trace_hangs_on_the_span_it_names() {
    let mut shop = gateway();
    shop.log("orders", 100, "a").request("r-1").on_span(4);
    check(&shop.stitched(), &["1", "  3", "    4 [a]", "  2"]);
}

#[test]
fn a_trace_that_lost_its_context_hangs_under_the_span_that_encloses_it() {
    let mut shop = gateway();
    shop.span("legacy-auth", SERVER, 11, 0, 20, 150).of_trace(2).request("R-1").edit(|common| common.request_ids = vec!["r-1".to_owned()]);
    shop.span("mailer", SERVER, 21, 0, 30, 50).of_trace(3).request("r-1");
    shop.span("batch", SERVER, 31, 0, 9_000, 9_100).of_trace(4).request("r-1");
    let journey = shop.stitched();
    let expected = ["1", "  3", "    4", "  2", "    ~b", "      ~15", "1f"];
    check(&journey, &expected);
    assert!(inference(&journey, "000000000000000b").reason.contains("names its service"));
    assert_eq!(journey.trace_ids, [trace(1), trace(2), trace(3), trace(4)]);
}

#[test]
fn without_inference_every_trace_is_a_tree_of_its_own() {
    let mut shop = gateway();
    shop.span("legacy-auth", SERVER, 11, 0, 20, 150).of_trace(2).request("r-1");
    let journey = shop.journey_with("r-1", false, false).expect("found");
    check(&journey, &["1", "  3", "    4", "  2", "b"]);
}

#[test]
fn without_spans_the_services_stand_in_time_order() {
    let mut shop = Shop::default();
    shop.log("api", 0, "a").request("req-7").log("api", 100, "d").request("req-7");
    shop.log("worker", 10, "b").request("req-7").log("worker", 20, "c").request("req-7");
    shop.log("mailer", 200, "e").request("req-7");
    let journey = shop.journey("req-7");
    check(&journey, &["~inferred-api-1 [a, d]", "  ~inferred-worker-1 [b, c]", "~inferred-mailer-1 [e]"]);
    assert_eq!(journey.duration_ns(), 200_000_000);
}

#[test]
fn low_halves_of_trace_ids_join() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100);
    shop.log("datadog-app", 50, "a").request(&u64::from_be_bytes([1; 8]).to_string());
    let expected = ["1", "  ~inferred-datadog-app-1 [a]"];
    let journey = shop.stitched();
    check(&journey, &expected);
    assert!(inference(&journey, "inferred-datadog-app-1").reason.contains("low 64 bits"));
    check(&shop.journey("0101010101010101"), &expected);
}

impl Journey {
    fn duration_ns(&self) -> i64 {
        self.end.since(self.start)
    }
}

#[test]
fn calls_without_names_part_the_visits_that_are_in_them() {
    let mut shop = Shop::default();
    shop.span("shop", SERVER, 1, 0, 0, 400).request("r-1");
    shop.span("shop", CLIENT, 2, 1, 5, 390).span("other", SERVER, 3, 2, 6, 389);
    shop.span("shop", CLIENT, 4, 1, 10, 60).span("shop", CLIENT, 5, 1, 100, 160).span("shop", CLIENT, 6, 1, 200, 350);
    for (ms, name) in [(12, "a"), (60, "b"), (101, "c"), (161, "d")] {
        shop.log("seats", ms, name).request("r-1");
    }
    let journey = shop.stitched();
    // The last line has its time a millisecond after the answer.
    let expected = ["1", "  2", "    3", "  4", "    ~inferred-seats-1 [a, b]", "  5", "    ~inferred-seats-2 [c, d]", "  6"];
    check(&journey, &expected);
}

#[test]
fn a_span_without_kind_and_child_may_be_a_call() {
    let mut shop = Shop::default();
    let unsaid = SpanKind::default();
    shop.span("web", unsaid, 1, 0, 0, 400).request("r-1").span("web", unsaid, 2, 1, 10, 390).span("web", unsaid, 3, 2, 20, 80);
    shop.span("web", unsaid, 4, 2, 100, 180).log("users", 21, "a").request("r-1").log("users", 79, "b").request("r-1");
    check(&shop.stitched(), &["1", "  2", "    3", "      ~inferred-users-1 [a, b]", "    4"]);
}

#[test]
fn a_missing_parent_was_called_by_the_innermost_call_without_an_answer() {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 400).span("gateway", CLIENT, 2, 1, 5, 390).span("orders", SERVER, 3, 2, 6, 380);
    shop.span("orders", CLIENT, 4, 3, 10, 200).span("orders", CLIENT, 5, 3, 20, 180).span("stock", SERVER, 6, 5, 21, 170);
    shop.span("prices", SERVER, 8, 7, 30, 150).span("mail", SERVER, 0x10, 9, 250, 300);
    let expected = [
        "1",
        "  2",
        "    3",
        "      4",
        "        ?missing-0000000000000007",
        "          8",
        "      5",
        "        6",
        "      ?missing-0000000000000009",
        "        10",
    ];
    let journey = shop.journey_with(&trace(1).to_string(), true, false).expect("found");
    check(&journey, &expected);
    assert!(inference(&journey, "missing-0000000000000007").reason.contains("a call that nobody answered"));

    // Whoever writes in that call is the one who was called, and has called what lies in it.
    shop.log("basket", 12, "a").of_trace(1).log("basket", 190, "b").of_trace(1);
    let journey = shop.journey_with(&trace(1).to_string(), true, false).expect("found");
    let expected = [
        "1",
        "  2",
        "    3",
        "      4",
        "        ~inferred-basket-1 [a, b]",
        "          ?missing-0000000000000007",
        "            8",
        "      5",
        "        6",
        "      ?missing-0000000000000009",
        "        10",
    ];
    check(&journey, &expected);
}

/// A gateway that calls two services, whose clocks are off by so much.
fn two_callees(off_ms: [i64; 2]) -> Shop {
    let mut shop = Shop::default();
    shop.span("gateway", SERVER, 1, 0, 0, 1_000).request("r-1");
    shop.span("gateway", CLIENT, 2, 1, 10, 100);
    shop.span("orders", SERVER, 3, 2, 12, 98).skewed(off_ms[0]);
    shop.span("gateway", CLIENT, 4, 1, 110, 200);
    shop.span("stock", SERVER, 5, 4, 112, 198).skewed(off_ms[1]);
    shop
}

#[test]
fn a_clock_that_nothing_is_known_of_is_as_wrong_as_the_others() {
    let mut shop = two_callees([95, 105]);
    shop.span("gateway", CLIENT, 6, 1, 600, 700).span("gateway", CLIENT, 7, 1, 702, 900);
    shop.log("audit", 605, "a").request("r-1").skewed(100).log("audit", 698, "b").request("r-1").skewed(100);
    let journey = shop.stitched();
    check(&journey, &["1", "  2", "    3", "  4", "    5", "  6", "    ~inferred-audit-1 [a, b]", "  7"]);
    assert!(inference(&journey, "inferred-audit-1").reason.contains("if its clock is moved by"));
}

#[test]
fn where_clocks_agree_a_call_that_names_nobody_does_not_make_one_wrong() {
    let mut shop = two_callees([0, 0]);
    shop.span("gateway", CLIENT, 6, 1, 300, 400);
    shop.log("audit", 420, "a").request("r-1").log("audit", 480, "b").request("r-1");
    check(&shop.stitched(), &["1", "  2", "    3", "  4", "    5", "  6", "  ~inferred-audit-1 [a, b]"]);
}
