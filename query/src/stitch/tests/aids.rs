use needle_storage::model::{Record, SpanKind};

use super::builder::{Shop, at, span_id, trace};

const SERVER: SpanKind = SpanKind::SERVER;
const INTERNAL: SpanKind = SpanKind::INTERNAL;

#[test]
fn a_gap_is_where_a_span_says_nothing_for_long() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 1_000).span("a", INTERNAL, 2, 1, 50, 400).span("b", INTERNAL, 3, 1, 550, 640);
    shop.log("a", 700, "still here").of_trace(1).on_span(1);
    let gaps: Vec<(String, i64, i64)> = shop
        .stitched()
        .gaps
        .into_iter()
        .map(|gap| (gap.node_id, gap.start.since(at(0)) / 1_000_000, gap.duration_ns / 1_000_000))
        .collect();
    let (root, second) = (span_id(1).to_string(), span_id(2).to_string());
    let of = |node: &String, start, length| (node.clone(), start, length);
    // Before the first child it was silent for 50 ms only, between a child's end and the log for 60.
    assert_eq!(gaps, [of(&second, 50, 350), of(&root, 700, 300), of(&root, 400, 150)]);
}

#[test]
fn a_clock_that_is_off_is_no_silence() {
    // The answering side's clock is 200 ms ahead. It logs all the time, and its caller waits for it.
    let mut shop = Shop::default();
    for n in 0..4_u32 {
        let (call, start) = (u64::from(10 * n), i64::from(100 * n));
        shop.span("web", SpanKind::CLIENT, call + 2, 1, start, start + 100);
        shop.span("pay", SERVER, call + 3, call + 2, start + 201, start + 299);
        for time in (start + 205..start + 299).step_by(5) {
            shop.log("pay", time, "at work").of_trace(1).on_span(call + 3);
        }
    }
    shop.span("web", SERVER, 1, 0, 0, 400);
    for corrected in [false, true] {
        let journey = shop.journey_with(&trace(1).to_string(), true, corrected).expect("found");
        assert!(journey.clock[0].offset_ns < -190_000_000, "{:?}", journey.clock);
        assert_eq!(journey.gaps, [], "corrected: {corrected}");
    }
    // Where it is silent, it says since when by the clock that is shown.
    shop.records.retain(|record| matches!(record, Record::Span(_)));
    for (corrected, shown) in [(false, 201), (true, 1)] {
        let journey = shop.journey_with(&trace(1).to_string(), true, corrected).expect("found");
        let first = journey.gaps.iter().find(|gap| gap.node_id == span_id(3).to_string()).expect("a gap");
        assert!((first.start.since(at(shown)) / 1_000_000).abs() <= 1, "{first:?}");
        assert!((97_000_000..=98_000_000).contains(&first.duration_ns), "{first:?}");
    }
}

#[test]
fn siblings_of_one_kind_are_summed_up() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 1_000).span("a", INTERNAL, 2, 1, 0, 500);
    for n in 0..6 {
        shop.span("db", SpanKind::CLIENT, 10 + n, 1, 100, 101 + n as i64);
    }
    for n in 0..4 {
        shop.span("db", SpanKind::CLIENT, 20 + n, 2, 100, 101);
    }
    for record in &mut shop.records {
        let Record::Span(span) = record else { continue };
        span.name = span.common.service.clone();
    }
    let journey = shop.stitched();
    let [group] = journey.groups.as_slice() else { panic!("four are too few to be a group: {:?}", journey.groups) };
    assert_eq!((group.count, group.total_ns, group.slowest_ns), (6, 21_000_000, 6_000_000));
    assert_eq!((group.slowest_node_id.clone(), group.parent_node_id.clone()), (span_id(15).to_string(), Some(span_id(1).to_string())));
}

#[test]
fn a_service_has_the_time_that_its_children_do_not_take() {
    let mut shop = Shop::default();
    shop.span("a", SERVER, 1, 0, 0, 100).span("b", SERVER, 2, 1, 10, 60).span("a", SERVER, 3, 2, 20, 30);
    let times: Vec<(String, i64)> =
        shop.stitched().services.into_iter().map(|service| (service.name, service.self_time_ns / 1_000_000)).collect();
    assert_eq!(times, [("a".to_owned(), 60), ("b".to_owned(), 40)]);
}
