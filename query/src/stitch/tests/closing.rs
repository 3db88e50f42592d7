use needle_storage::model::{IdTerm, NormalId, SpanKind};

use super::builder::{Shop, trace};
use crate::journey::Read as _;
use crate::stitch::close;

const SERVER: SpanKind = SpanKind::SERVER;

fn reached(shop: &Shop, id: &str) -> Vec<u64> {
    let closed = close(id, |terms, known, take| shop.by_ids(terms, known, usize::MAX, take)).expect("memory does not fail");
    let spans = closed.spans.iter().map(|span| span.record_id.0);
    let mut ids: Vec<u64> = spans.chain(closed.lines.iter().map(|line| line.record_id.0)).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn ids_lead_to_ids_until_there_are_no_more() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 1).of_trace(1).request("r-1");
    shop.log("b", 0, "").request("r-1").request("r-2");
    shop.log("c", 0, "").request("r-2").of_trace(3);
    shop.span("d", SERVER, 4, 0, 0, 1).of_trace(3);
    shop.span("e", SERVER, 5, 0, 0, 1).of_trace(5).request("r-5");
    for id in [trace(1).to_string(), trace(3).to_string(), "r-1".to_owned(), "r-2".to_owned(), "0000000000000004".to_owned()] {
        assert_eq!(reached(&shop, &id), [0, 1, 2, 3], "{id}");
    }
    assert_eq!(reached(&shop, "r-5"), [4]);
}

#[test]
fn placeholders_join_nothing() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 1).request("-").span("b", SERVER, 2, 0, 0, 1).of_trace(2).request("-");
    assert_eq!(reached(&shop, &trace(1).to_string()), [0]);
    assert!(reached(&shop, "-").is_empty());
}

/// A session that 60 requests share.
fn session() -> Shop {
    let mut shop = Shop::default();
    for n in 1..=60 {
        shop.span("web", SERVER, u64::from(n), 0, i64::from(n), i64::from(n) + 1).of_trace(n).request("session-1");
        shop.log("web", i64::from(n), "").of_trace(n);
    }
    shop
}

#[test]
fn an_id_that_too_much_shares_is_named_and_not_followed() {
    let shop = session();
    let journey = shop.stitched();
    assert_eq!(journey.nodes.len(), 1);
    assert_eq!(journey.trace_ids, [trace(1)]);
    assert_eq!(journey.hubs.len(), 1);
    assert_eq!(journey.hubs[0].id, "session-1");
    assert!(journey.hubs[0].reason.contains("60 other ids"), "{}", journey.hubs[0].reason);
}

#[test]
fn a_hub_that_is_asked_for_shows_its_own_records() {
    let journey = session().journey("session-1");
    assert_eq!(journey.services[0].spans, 60);
    assert_eq!(journey.services[0].logs, 0, "the traces were not followed");
    assert_eq!(journey.hubs.len(), 1);
}

#[test]
fn requests_of_one_session_do_not_hang_under_each_other() {
    let mut shop = session();
    shop.span("web", SERVER, 99, 0, 0, 1_000).of_trace(99).request("session-1");
    let journey = shop.journey("session-1");
    assert!(journey.nodes.iter().all(|node| node.depth == 0));
    assert_eq!(journey.nodes.len(), 61);
}

#[test]
fn a_trace_with_many_requests_keeps_its_records() {
    let mut shop = Shop::default();
    for n in 1..=60 {
        shop.span("batch", SERVER, n, n.min(2) - 1, n as i64, 100).request(&format!("r-{n}"));
        shop.log("worker", n as i64, "").request(&format!("r-{n}"));
    }
    let journey = shop.journey("r-7");
    assert_eq!(journey.services.iter().map(|service| (service.spans, service.logs)).collect::<Vec<_>>(), [(60, 0), (0, 1)]);
    assert_eq!(journey.hubs[0].id, trace(1).to_string());
}

#[test]
fn links_are_named_in_both_directions_and_not_merged() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 1).link(trace(2));
    shop.span("b", SERVER, 2, 0, 0, 1).of_trace(2);
    shop.span("c", SERVER, 3, 0, 0, 1).of_trace(3).link(trace(1));
    let journey = shop.stitched();
    assert_eq!(journey.nodes.len(), 1);
    let linked: Vec<(String, bool)> = journey.linked.iter().map(|link| (link.trace_id.to_string(), link.incoming)).collect();
    assert_eq!(linked, [(trace(2).to_string(), false), (trace(3).to_string(), true)]);
}

#[test]
fn each_id_is_asked_for_once() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 1).request("r-1").log("b", 0, "").request("r-1");
    let mut asked: Vec<IdTerm> = Vec::new();
    close("r-1", |terms, known, take| {
        asked.extend_from_slice(terms);
        shop.by_ids(terms, known, usize::MAX, take)
    })
    .expect("memory does not fail");
    let once = |id: &NormalId| asked.iter().filter(|term| **term == id.term()).count();
    assert_eq!(once(&NormalId::of("r-1").expect("an id")), 1);
    assert_eq!(once(&NormalId::of_trace(trace(1))), 1);
}
