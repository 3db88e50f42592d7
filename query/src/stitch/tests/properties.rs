use std::collections::{BTreeMap, BTreeSet};

use needle_storage::model::{Record, RecordId, SpanKind, UnixNanos};
use proptest::prelude::*;

use super::builder::{Shop, at, drawn, options, span_id, stitched_as, trace};
use crate::answer::Journey;
use crate::journey::{self, Read as _};
use crate::stitch::{Closed, Options, close};

const SERVICES: [&str; 4] = ["web", "cart", "auth", "db"];

/// Records of any shape: parents missing, cyclic, shared; logs with or without ids; clocks anywhere.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = (0..10_u8, 0..4_usize, 0..12_u64, 0..12_u64, 0..100_i64, -2..60_i64, 1..4_u8, 0..6_i32);
    prop::collection::vec(one, 1..40).prop_map(|rows| {
        let mut shop = Shop::default();
        for (shape, service, id, parent, start, length, trace, kind) in rows {
            let service = SERVICES[service];
            match shape {
                0..=4 => {
                    shop.span(service, SpanKind(kind), id + 1, parent, start, start + length).of_trace(trace);
                    if shape == 0 {
                        shop.attribute("server.address", SERVICES[(id % 4) as usize]).request("r-1");
                    }
                }
                5 => drop(shop.log(service, start, "span").of_trace(trace).on_span(id)),
                6 => drop(shop.log(service, start, "trace").of_trace(trace)),
                7 => drop(shop.log("legacy", start, "request").request("r-1").instance("one")),
                8 => drop(shop.log(service, start * 100, "request").request("r-1")),
                _ => drop(shop.log("nothing", start, "none").on_span(id)),
            }
        }
        shop.records
    })
}

fn stitched(records: &[Record], inferred: bool, corrected: bool) -> Journey {
    stitched_as(records, Options { inferred, corrected, now: at(0) }, Vec::new())
}

/// The records that were found.
fn numbers(closed: &Closed) -> impl Iterator<Item = usize> {
    let spans = closed.spans.iter().map(|span| span.record_id);
    spans.chain(closed.lines.iter().map(|line| line.record_id)).map(|record_id| record_id.0 as usize)
}

fn is_well_formed(journey: &Journey) -> Result<(), TestCaseError> {
    let mut depth_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut children_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut above: Vec<&str> = Vec::new();
    for node in &journey.nodes {
        prop_assert!(depth_of.insert(&node.node_id, node.depth).is_none(), "{} stands twice", node.node_id);
        above.truncate(node.depth);
        // In pre-order the parent is the last node that was one level up.
        prop_assert_eq!(above.last().copied(), node.parent_node_id.as_deref());
        prop_assert_eq!(above.len(), node.depth);
        above.push(&node.node_id);
        if let Some(parent) = &node.parent_node_id {
            *children_of.entry(parent).or_default() += 1;
        }
        prop_assert!(node.self_time_ns >= 0 && node.self_time_ns <= node.duration_ns.max(0));
        if let Some(inference) = &node.inferred {
            prop_assert!((0.0..=1.0).contains(&inference.confidence) && !inference.reason.is_empty());
        }
    }
    for node in &journey.nodes {
        prop_assert_eq!(children_of.get(&*node.node_id).copied().unwrap_or(0), node.children);
    }
    prop_assert_eq!(journey.nodes_total, journey.nodes.len());
    Ok(())
}

/// Records by id; a merged copy counts as its first.
fn shown(journey: &Journey) -> Vec<RecordId> {
    let mut shown = Vec::new();
    for node in &journey.nodes {
        shown.extend(node.span.iter().map(|span| span.common.record_id));
        shown.extend(node.logs.iter().map(|log| log.common().record_id));
    }
    shown
}

/// Ids of records that are no copy of an earlier one.
fn distinct(records: &[Record]) -> BTreeSet<RecordId> {
    let mut seen: Vec<Record> = Vec::new();
    let mut ids = BTreeSet::new();
    for record in records {
        let mut anonymous = record.clone();
        if let Record::Span(span) = &mut anonymous {
            span.common.record_id = RecordId(0);
        }
        if !seen.contains(&anonymous) {
            ids.insert(record.common().record_id);
            seen.push(anonymous);
        }
    }
    ids
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn every_record_is_shown_once_in_a_well_formed_tree(records in records(), inferred: bool, corrected: bool) {
        let journey = stitched(&records, inferred, corrected);
        is_well_formed(&journey)?;
        let shown = shown(&journey);
        let once: BTreeSet<RecordId> = shown.iter().copied().collect();
        prop_assert_eq!(shown.len(), once.len());
        prop_assert_eq!(once, distinct(&records));
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (records, shuffled) in records().prop_flat_map(|records| (Just(records.clone()), Just(records).prop_shuffle())),
        inferred: bool,
    ) {
        let (a, b) = (stitched(&records, inferred, false), stitched(&shuffled, inferred, false));
        prop_assert_eq!(drawn(&a), drawn(&b));
        prop_assert_eq!(format!("{a:?}"), format!("{b:?}"));
    }

    #[test]
    fn what_shares_ids_is_reached_and_nothing_else(rows in prop::collection::vec((0..9_u8, prop::collection::vec(0..9_u8, 0..3)), 1..25)) {
        let mut shop = Shop::default();
        for (trace, requests) in &rows {
            shop.log("a", 0, "");
            if *trace > 0 {
                shop.of_trace(*trace);
            }
            for request in requests {
                shop.request(&format!("r-{request}"));
            }
        }
        for (start, record) in shop.records.iter().enumerate() {
            let Some(id) = record.common().request_ids.first() else { continue };
            let mut reached = BTreeSet::from([start]);
            loop {
                let joined = |a: usize, b: usize| {
                    let (a, b) = (&rows[a], &rows[b]);
                    (a.0 > 0 && a.0 == b.0) || a.1.iter().any(|request| b.1.contains(request))
                };
                let next: BTreeSet<usize> = (0..rows.len()).filter(|&b| reached.contains(&b) || reached.iter().any(|&a| joined(a, b))).collect();
                if next.len() == reached.len() {
                    break;
                }
                reached = next;
            }
            let closed = close(id, |terms, known, take| shop.by_ids(terms, known, usize::MAX, take)).expect("memory does not fail");
            let found: BTreeSet<usize> = numbers(&closed).collect();
            prop_assert_eq!(&found, &reached);
            prop_assert_eq!(numbers(&closed).count(), found.len());
        }
    }

    #[test]
    fn outlines_are_stitched_like_whole_records_and_shown_whole(records in records(), whole_max in 0..20usize) {
        let shop = Shop { records };
        let id = trace(1).to_string();
        let stitched = |whole_max| journey::outline(&shop, &id, options(), whole_max).expect("memory does not fail");
        let whole = stitched(usize::MAX).map(|outlined| outlined.whole(&shop));
        let outlined = stitched(whole_max).map(|outlined| outlined.whole(&shop));
        prop_assert_eq!(format!("{outlined:?}"), format!("{whole:?}"));
    }

    #[test]
    fn no_time_is_too_far_away(mut records in records(), far in prop::collection::vec(0..3_u8, 40)) {
        for (record, far) in records.iter_mut().zip(far) {
            let common = match record {
                Record::Log(log) => &mut log.common,
                Record::Span(span) => &mut span.common,
            };
            common.time = [common.time, UnixNanos(0), UnixNanos(u64::MAX)][usize::from(far)];
        }
        let journey = stitched(&records, true, true);
        prop_assert_eq!(shown(&journey).len(), distinct(&records).len());
    }

    #[test]
    fn without_inference_parents_are_what_the_spans_say(records in records()) {
        let journey = stitched(&records, false, false);
        for node in &journey.nodes {
            let (Some(span), Some(parent)) = (&node.span, &node.parent_node_id) else { continue };
            let said = span.parent_span_id.map(|id| id.to_string()).unwrap_or_default();
            let own = span.common.span_id.unwrap_or(span_id(0)).to_string();
            prop_assert!(parent.contains(&said) || parent.contains(&own), "{parent} above {own}, whose parent is {said}");
        }
    }
}
