//! Shapes that are counted from columns are those of the records.

use std::collections::BTreeMap;

use super::super::{Search, Snapshot, TimeBuckets, WantedShapes};
use crate::model::{Record, RecordId, UnixNanos, Value};
use crate::predicate::Predicate;
use crate::shapes::{Shape, shape_of};

/// What is counted of a shape.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    count: u64,
    bounds: Option<(UnixNanos, UnixNanos)>,
    buckets: Vec<u64>,
    services: BTreeMap<String, u64>,
    levels: [u64; 6],
    newest: Vec<RecordId>,
}

const BUCKETS: TimeBuckets = TimeBuckets { first: UnixNanos(0), width_ns: 7, count: 3 };

/// By the records alone, which come oldest first.
fn counted(records: &[Record]) -> BTreeMap<String, Counted> {
    let mut shapes: BTreeMap<String, Counted> = BTreeMap::new();
    for record in records {
        let (Record::Log(log), common) = (record, record.common()) else { continue };
        let Some(body) = log.body.as_ref().map(Value::text) else { continue };
        let shape = shapes.entry(shape_of(&body)).or_default();
        shape.count += 1;
        shape.bounds = Some((shape.bounds.map_or(common.time, |(first, _)| first), common.time));
        shape.buckets.resize(BUCKETS.count, 0);
        shape.buckets[(common.time.0 / BUCKETS.width_ns) as usize] += 1;
        *shape.services.entry(common.service.clone()).or_default() += 1;
        if log.severity.0 > 0 {
            shape.levels[usize::from(log.severity.0 - 1) / 4] += 1;
        }
        shape.newest.insert(0, common.record_id);
        shape.newest.truncate(3);
    }
    shapes
}

/// Holds the shapes of what a predicate finds to the records that it finds.
pub(super) fn assert_shapes(snapshot: &Snapshot, predicate: &Predicate, in_range: bool) {
    let (start, end) = if in_range { (Some(UnixNanos(3)), Some(UnixNanos(17))) } else { (None, None) };
    let search = Search { predicate: predicate.clone(), start, end, ascending: true, after: None, limit: 1_000 };
    let records = snapshot.search(&search, &|| false).unwrap().records;
    let wanted = WantedShapes { predicate: predicate.clone(), start, end, buckets: BUCKETS };
    let found = snapshot.shapes(&wanted, &|| false).unwrap();
    assert_eq!((found.coverage.failures.len(), found.beyond), (0, 0));
    let of_shape = |Shape { text, counts }: &Shape| {
        let services = counts.services.iter().map(|(service, count)| (found.services[*service as usize].clone(), *count));
        let newest: Vec<_> = counts.newest.iter().map(|(_, record_id, _)| *record_id).collect();
        let places: Vec<_> = counts.newest.iter().map(|(_, _, place)| *place).collect();
        let samples = snapshot.records_at(&places).unwrap().0;
        assert_eq!(
            samples.iter().map(|record| record.common().record_id).collect::<Vec<_>>(),
            newest,
            "samples are where they are said to be"
        );
        let (buckets, levels) = (counts.buckets.clone(), counts.levels);
        let bounds = Some((counts.first, counts.last));
        (text.clone(), Counted { count: counts.count, bounds, buckets, services: services.collect(), levels, newest })
    };
    let shapes: BTreeMap<String, Counted> = found.shapes.iter().map(of_shape).collect();
    assert_eq!(shapes, counted(&records), "{predicate:?}");
}
