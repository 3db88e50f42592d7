//! What is not decided, and what other journeys tell of clocks.

use std::sync::Arc;

use needle_storage::model::SpanKind;

use super::builder::{Shop, options};
use crate::answer::{Journey, Node};
use crate::journey::Outlined;
use crate::stitch::{Closed, Testimony, stitch, told_by};

const SERVER: SpanKind = SpanKind::SERVER;
const CLIENT: SpanKind = SpanKind::CLIENT;

/// A request in which `web` calls `ledger` at these times.
fn calls(times: &[(i64, i64)]) -> Shop {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 900).instance("web-1");
    for (id, (from, to)) in (2..).zip(times) {
        shop.span("web", CLIENT, id, 1, *from, *to).instance("web-1").attribute("server.address", "ledger");
    }
    shop
}

fn line(shop: &mut Shop, ms: i64) {
    shop.log("ledger", ms, "").instance("ledger-1").of_trace(1);
}

/// Requests with one call of which the lines must be, by a clock that is 200 ms behind.
fn elsewhere() -> Vec<Testimony> {
    let told = |from: i64| {
        let mut shop = calls(&[(from, from + 100)]);
        line(&mut shop, from + 1 - 200);
        line(&mut shop, from + 99 - 200);
        told_by(Closed::of(&shop.records))
    };
    [100, 300, 500].into_iter().flat_map(told).collect()
}

fn stitched(shop: &Shop, elsewhere: Vec<Testimony>) -> Journey {
    let mut closed = Closed::of(&shop.records);
    let stitched = stitch("x", &mut closed, options(), Arc::new(elsewhere)).expect("there are records");
    Outlined::of(stitched, closed.texts).whole(shop)
}

fn visit(journey: &Journey) -> &Node {
    journey.nodes.iter().find(|node| &*node.service == "ledger").expect("ledger was called")
}

#[test]
fn the_clock_that_other_journeys_tell_says_which_call_is_meant() {
    let mut shop = calls(&[(100, 200), (300, 400)]);
    line(&mut shop, 150);
    assert_eq!(visit(&stitched(&shop, Vec::new())).parent_node_id.as_deref(), Some("0000000000000002"), "by its own clock it is the first");
    let journey = stitched(&shop, elsewhere());
    assert_eq!(visit(&journey).parent_node_id.as_deref(), Some("0000000000000003"));
    let clock: Vec<(&str, i64)> = journey.clock.iter().map(|clock| (clock.service.as_str(), clock.offset_ns / 1_000_000)).collect();
    assert!(matches!(clock.as_slice(), [("ledger", 199..=200)]), "{clock:?}");
}

#[test]
fn one_visit_elsewhere_or_several_that_contradict_each_other_tell_nothing() {
    let mut shop = calls(&[(100, 200), (300, 400)]);
    line(&mut shop, 150);
    let first = elsewhere().into_iter().take(1).collect();
    assert_eq!(visit(&stitched(&shop, first)).parent_node_id.as_deref(), Some("0000000000000002"));
    let contradicting = [(0, 100), (300, 700), (-400, 300), (900, 40)].into_iter().flat_map(|(off, from)| {
        let mut shop = calls(&[(from, from + 100)]);
        line(&mut shop, from + 50 + off);
        line(&mut shop, from + 60 + off);
        told_by(Closed::of(&shop.records))
    });
    assert_eq!(visit(&stitched(&shop, contradicting.collect())).parent_node_id.as_deref(), Some("0000000000000002"));
}

#[test]
fn what_may_be_of_two_calls_stands_above_both_and_names_them() {
    let mut shop = calls(&[(100, 300), (110, 310)]);
    line(&mut shop, 205);
    let journey = stitched(&shop, Vec::new());
    let node = visit(&journey);
    assert_eq!(node.parent_node_id.as_deref(), Some("0000000000000001"));
    let why = node.inferred.as_ref().expect("it is inferred");
    let mut candidates = why.candidates.clone();
    candidates.sort();
    assert_eq!(candidates, ["0000000000000002", "0000000000000003"]);
    assert!(why.reason.contains("not decided: one of 2 may have called it") && why.confidence <= 0.5, "{why:?}");
}

#[test]
fn what_marks_the_ends_of_its_call_is_decided() {
    let mut shop = calls(&[(100, 300), (110, 310)]);
    line(&mut shop, 111);
    line(&mut shop, 309);
    let journey = stitched(&shop, Vec::new());
    let node = visit(&journey);
    assert_eq!(node.parent_node_id.as_deref(), Some("0000000000000003"));
    assert!(node.inferred.as_ref().is_some_and(|why| why.candidates.is_empty() && why.confidence > 0.7), "{node:?}");
}
