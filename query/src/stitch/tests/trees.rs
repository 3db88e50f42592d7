use needle_storage::model::{SpanKind, StatusCode};

use super::builder::{Shop, check, checkout, trace};

const SERVER: SpanKind = SpanKind::SERVER;
const CLIENT: SpanKind = SpanKind::CLIENT;
const INTERNAL: SpanKind = SpanKind::INTERNAL;

#[test]
fn spans_logs_and_a_log_only_service_are_one_tree_from_every_id() {
    let shop = checkout();
    let expected = ["1", "  2", "    3 [reserve stock]", "      ~inferred-legacy-auth-1 [token near expiry, token ok]"];
    for id in [
        trace(1).to_string(),
        trace(1).to_string().to_uppercase(),
        "125a4afb-6f55-44ba-ad80-413f09f48a28".to_owned(),
        "125A4AFB6F5544BAAD80413F09F48A28".to_owned(),
        "req-125a4afb-6f55-44ba-ad80-413f09f48a28".to_owned(),
        "0000000000000003".to_owned(),
        format!("00-{}-0000000000000003-01", trace(1)),
    ] {
        check(&shop.journey(&id), &expected);
    }
    let journey = shop.stitched();
    let services: Vec<(&str, usize, usize, bool)> =
        journey.services.iter().map(|service| (service.name.as_str(), service.spans, service.logs, service.inferred)).collect();
    assert_eq!(services, [("gateway", 2, 0, false), ("orders", 1, 1, false), ("legacy-auth", 0, 2, true)]);
    assert_eq!(journey.trace_ids, [trace(1)]);
    assert_eq!(journey.request_ids, ["125a4afb-6f55-44ba-ad80-413f09f48a28"]);
    assert_eq!(journey.nodes[3].inferred.as_ref().expect("inferred").reason.matches("orders's server span").count(), 1);
    assert_eq!(journey.nodes[0].children, 1);
    assert_eq!(journey.end.since(journey.start), 400_000_000);
}

#[test]
fn without_inference_the_logs_of_log_only_services_stand_apart() {
    let journey = checkout().journey_with(&trace(1).to_string(), false, false).expect("found");
    check(&journey, &["1", "  2", "    3 [reserve stock]", "logs-legacy-auth [token near expiry, token ok]"]);
    assert!(journey.nodes.iter().all(|node| node.inferred.is_none()));
}

#[test]
fn an_unknown_or_placeholder_id_has_no_journey() {
    let shop = checkout();
    for id in ["does-not-exist-1", "-", "", "null", &trace(9).to_string()] {
        assert!(shop.journey_with(id, true, false).is_none(), "{id}");
    }
}

#[test]
fn a_missing_parent_has_a_place_with_its_children_under_it() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100).span("cart", SERVER, 2, 9, 10, 40).span("cart", SERVER, 3, 9, 50, 60);
    shop.log("cart", 12, "on the missing one").of_trace(1).on_span(9);
    let journey = shop.stitched();
    check(&journey, &["1", "  ?missing-0000000000000009 [on the missing one]", "    2", "    3"]);
    assert_eq!(journey.missing_parents, 1);
    assert_eq!(journey.completeness.reasons, ["1 span that others name as their parent was not received"]);
    let missing = &journey.nodes[1];
    assert_eq!((missing.duration_ns, missing.self_time_ns), (50_000_000, 0));
    let plain = shop.journey_with(&trace(1).to_string(), false, false).expect("found");
    check(&plain, &["1", "?missing-0000000000000009 [on the missing one]", "  2", "  3"]);
}

#[test]
fn a_missing_parent_outside_of_the_root_is_a_root() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100).span("cart", SERVER, 2, 9, 10, 140);
    check(&shop.stitched(), &["1", "?missing-0000000000000009", "  2"]);
}

#[test]
fn a_span_that_is_its_own_parent_is_a_root() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 1, 0, 100).span("web", INTERNAL, 2, 1, 10, 20);
    check(&shop.stitched(), &["1 !self_parent", "  2"]);
}

#[test]
fn a_cycle_is_cut_above_its_latest_start() {
    let mut shop = Shop::default();
    shop.span("a", INTERNAL, 1, 3, 0, 100).span("a", INTERNAL, 2, 1, 10, 20).span("a", INTERNAL, 3, 2, 30, 40);
    shop.span("a", INTERNAL, 4, 1, 50, 60);
    check(&shop.stitched(), &["3 !cycle", "  1", "    2", "    4"]);
}

#[test]
fn identical_copies_are_one_and_differing_ones_are_flagged() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100).span("web", SERVER, 1, 0, 0, 100);
    shop.span("web", CLIENT, 2, 1, 10, 20).span("web", CLIENT, 2, 1, 10, 30);
    let journey = shop.stitched();
    check(&journey, &["1", "  2 !conflict", "  2-client !conflict"].map(|line| line));
    assert_eq!(journey.services[0].spans, 3);
}

#[test]
fn a_span_id_shared_by_client_and_server_is_two_nodes() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100);
    shop.span("web", CLIENT, 2, 1, 10, 90);
    shop.span("cart", SERVER, 2, 1, 20, 80);
    shop.span("cart", INTERNAL, 3, 2, 30, 40);
    shop.span("web", INTERNAL, 4, 2, 12, 14);
    shop.log("cart", 25, "in cart").of_trace(1).on_span(2);
    shop.log("web", 11, "in web").of_trace(1).on_span(2);
    check(&shop.stitched(), &["1", "  2 [in web]", "    4", "    2-server [in cart]".trim_end(), "      3"]);
}

#[test]
fn errors_and_outcomes_are_counted() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100).failed();
    let journey = shop.stitched();
    assert_eq!(journey.services[0].errors, 1);
    assert_eq!(journey.nodes[0].status, StatusCode::ERROR);
}

#[test]
fn an_end_before_the_start_is_kept_and_flagged() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 100, 40);
    let journey = shop.stitched();
    check(&journey, &["1 !negative_duration"]);
    assert_eq!((journey.nodes[0].duration_ns, journey.nodes[0].self_time_ns), (-60_000_000, 0));
}

#[test]
fn a_span_of_more_than_thirty_days_is_kept_and_flagged() {
    const DAY_MS: i64 = 86_400_000;
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 31 * DAY_MS);
    shop.span("web", INTERNAL, 2, 1, 0, 30 * DAY_MS);
    check(&shop.stitched(), &["1 !long_duration", "  2"]);
}

#[test]
fn a_chain_of_ten_thousand_spans_and_fifty_thousand_children_are_stitched() {
    let mut deep = Shop::default();
    for n in 0..10_000 {
        deep.span("deep", INTERNAL, n + 1, n, n as i64, 20_000 - n as i64);
    }
    deep.log("logger", 9_999, "at the bottom").of_trace(1);
    let journey = deep.stitched();
    assert_eq!(journey.nodes.len(), 10_001);
    assert_eq!(journey.nodes.last().expect("a node").depth, 10_000);
    let mut wide = Shop::default();
    wide.span("wide", SERVER, 1, 0, 0, 100_000);
    for n in 0..50_000 {
        wide.span("wide", INTERNAL, n + 2, 1, n as i64, n as i64 + 2);
        if n % 10 == 0 {
            wide.log("wide", n as i64, "line").of_trace(1);
        }
    }
    let journey = wide.stitched();
    assert_eq!(journey.nodes.len(), 50_001);
    assert_eq!(journey.nodes[0].children, 50_000);
    assert_eq!(journey.nodes.iter().map(|node| node.logs.len()).sum::<usize>(), 5_000);
}

#[test]
fn ten_thousand_calls_of_a_log_only_service_and_as_many_unnamed_ones_are_stitched() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 1_000_000).request("r-1");
    for n in 0..10_000_i64 {
        let named = shop.span("web", CLIENT, 2 + n as u64, 1, n * 100, n * 100 + 40);
        named.attribute("peer.service", if n % 2 == 0 { "auth" } else { "10.0.0.1" });
        let service = if n % 2 == 0 { "auth" } else { ["audit", "tax"][(n % 3).min(1) as usize] };
        shop.log(service, n * 100 + 1, "").request("r-1").instance(&format!("{service}-{}", n % 10));
        shop.log(service, n * 100 + 38, "").request("r-1").instance(&format!("{service}-{}", n % 10));
    }
    let journey = shop.stitched();
    let placed = journey.nodes.iter().filter(|node| &*node.service == "auth" && node.depth == 2).count();
    assert!(placed > 4_900, "{placed} of 5000");
    assert_eq!(journey.nodes.iter().map(|node| node.logs.len()).sum::<usize>(), 20_000);
}
