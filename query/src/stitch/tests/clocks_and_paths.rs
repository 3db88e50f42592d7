use needle_storage::model::{Record, SpanKind, Value};

use super::builder::{MS, Shop, at, check, checkout, options, stitched_as, trace};
use crate::answer::CompletenessState;
use crate::stitch::Options;

const SERVER: SpanKind = SpanKind::SERVER;
const CLIENT: SpanKind = SpanKind::CLIENT;

/// The clock of `cart` is 80 ms ahead.
fn skewed() -> Shop {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 100);
    shop.span("web", CLIENT, 2, 1, 10, 50);
    shop.span("cart", SERVER, 3, 2, 12, 46).skewed(80);
    shop.span("cart", CLIENT, 4, 3, 15, 40).skewed(80);
    shop.span("db", SERVER, 5, 4, 16, 38);
    shop
}

#[test]
fn a_clock_that_is_off_is_estimated_from_calls() {
    let journey = skewed().stitched();
    let offsets: Vec<(&str, i64)> = journey.clock.iter().map(|offset| (offset.service.as_str(), offset.offset_ns / MS as i64)).collect();
    assert_eq!(offsets.len(), 2);
    assert_eq!(offsets[0].0, "cart");
    assert!((-82..=-76).contains(&offsets[0].1), "{offsets:?}");
    assert_eq!(offsets[1].0, "db");
    assert!((-4..=4).contains(&offsets[1].1), "{offsets:?}");
    assert!(journey.clock[0].confidence > 0.8);
}

#[test]
fn times_are_shown_as_recorded_unless_correction_is_asked_for() {
    let shop = skewed();
    let raw = shop.stitched();
    assert_eq!(raw.nodes[2].start, at(92));
    let corrected = shop.journey_with(&trace(1).to_string(), true, true).expect("found");
    let start_ms = corrected.nodes[2].start.since(at(0)) / MS as i64;
    assert!((10..=16).contains(&start_ms), "{start_ms}");
    assert_eq!(corrected.nodes[2].span.as_ref().expect("a span").common.time, at(92), "the record is as stored");
    assert_eq!(at(92).saturating_add_signed(corrected.nodes[2].corrected_by_ns), corrected.nodes[2].start, "and it is said how far off");
    assert!(raw.nodes.iter().all(|node| node.corrected_by_ns == 0));
    assert_eq!(raw.end, at(126));
    assert_eq!(corrected.end, at(100));
}

#[test]
fn a_clock_that_may_be_right_is_left_alone() {
    let mut shop = Shop::default();
    shop.span("web", CLIENT, 1, 0, 0, 100).span("cart", SERVER, 2, 1, 2, 20);
    assert_eq!(shop.stitched().clock[0].offset_ns, 0);
}

#[test]
fn messages_and_overrunning_calls_say_nothing_about_clocks() {
    let mut shop = Shop::default();
    shop.span("web", SpanKind::PRODUCER, 1, 0, 0, 10).span("mail", SpanKind::CONSUMER, 2, 1, 5_000, 5_100);
    assert!(shop.stitched().clock.is_empty());
    let mut shop = Shop::default();
    shop.span("web", CLIENT, 1, 0, 0, 10).span("slow", SERVER, 2, 1, 1, 5_100);
    assert_eq!(shop.stitched().clock[0].offset_ns, 0);
}

#[test]
fn one_odd_call_does_not_move_a_clock_that_the_others_agree_on() {
    let mut shop = Shop::default();
    shop.span("web", SERVER, 1, 0, 0, 1_000);
    for n in 0..5 {
        let start = 100 * n as i64;
        shop.span("web", CLIENT, 10 + n, 1, start, start + 50).span("cart", SERVER, 20 + n, 10 + n, start + 2, start + 46).skewed(80);
    }
    shop.span("web", CLIENT, 30, 1, 600, 650).span("cart", SERVER, 31, 30, 602, 648).skewed(-3_000);
    let clock = &shop.stitched().clock[0];
    assert!((-82..=-76).contains(&(clock.offset_ns / MS as i64)), "{clock:?}");
    assert!((0.5..0.9).contains(&clock.confidence), "{clock:?}");
}

#[test]
fn a_clock_is_of_a_machine() {
    let mut shop = skewed();
    let machine = ("k8s.node.name".to_owned(), Value::String("n-7".to_owned()));
    for record in &mut shop.records[2..4] {
        let Record::Span(span) = record else { panic!("spans") };
        std::sync::Arc::make_mut(&mut span.common.resource).push(machine.clone());
    }
    shop.log("audit", 20, "on cart's machine").of_trace(1).skewed(80);
    shop.edit(|common| std::sync::Arc::make_mut(&mut common.resource).push(machine));
    check(&shop.stitched(), &["1", "  2", "    3", "      4", "        5", "          ~inferred-audit-1 [on cart's machine]"]);
}

#[test]
fn log_only_services_are_placed_by_estimated_clocks() {
    let mut shop = skewed();
    shop.log("cart", 20, "on cart's span").of_trace(1).skewed(80);
    shop.log("audit", 20, "while the database worked").of_trace(1);
    check(
        &shop.stitched(),
        &["1", "  2", "    3 [on cart's span]", "      4", "        5", "          ~inferred-audit-1 [while the database worked]"],
    );
}

#[test]
fn the_critical_path_is_what_the_end_waited_for() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 100);
    shop.span("a", SpanKind::INTERNAL, 2, 1, 5, 30).span("a", SpanKind::INTERNAL, 3, 1, 10, 60).span("a", SpanKind::INTERNAL, 4, 1, 60, 95);
    shop.span("a", SpanKind::INTERNAL, 5, 1, 90, 150);
    shop.span("a", SpanKind::INTERNAL, 6, 3, 20, 50);
    let journey = shop.stitched();
    let critical: Vec<u8> = journey.nodes.iter().filter(|node| node.critical).map(|node| node.node_id.as_bytes()[15] - b'0').collect();
    assert_eq!(critical, [1, 3, 6, 5], "5 outlived the root and was waited for until its end");
}

#[test]
fn nobody_waits_for_a_message_to_be_taken() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 100).span("a", SpanKind::PRODUCER, 2, 1, 10, 90).span("b", SpanKind::CONSUMER, 3, 2, 20, 80);
    shop.span("b", SpanKind::CONSUMER, 4, 1, 91, 99);
    let journey = shop.stitched();
    let critical: Vec<&str> = journey.nodes.iter().filter(|node| node.critical).map(|node| node.node_id.trim_start_matches('0')).collect();
    assert_eq!(critical, ["1", "2"]);
}

#[test]
fn self_time_is_what_no_child_covers() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 100);
    shop.span("a", SpanKind::INTERNAL, 2, 1, 10, 40).span("a", SpanKind::INTERNAL, 3, 1, 30, 60).span(
        "a",
        SpanKind::INTERNAL,
        4,
        1,
        90,
        150,
    );
    assert_eq!(shop.stitched().nodes[0].self_time_ns, 40_000_000);
}

#[test]
fn completeness_tells_what_may_come_and_what_could_not_be_read() {
    let stitched = |now_ms: i64, failures: Vec<String>| {
        stitched_as(&checkout().records, Options { now: at(now_ms), ..options() }, failures).completeness
    };
    assert_eq!(stitched(60_000, Vec::new()).state, CompletenessState::Complete);
    assert_eq!(stitched(2_000, Vec::new()).state, CompletenessState::Arriving);
    let partial = stitched(2_000, vec!["shard a: checksum".to_owned()]);
    assert_eq!((partial.state, partial.shards_failed), (CompletenessState::Partial, 1));
    assert!(partial.reasons[0].contains("shard a: checksum"));
}
