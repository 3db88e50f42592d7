//! What is compared by columns is what the records say.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Compared, ComparedPlace, Comparison, LeftOut, Search, Sides, Snapshot};
use crate::model::{Record, UnixNanos, column};
use crate::predicate::Predicate;
use crate::snapshot::compare::VALUES_MAX;

/// By field: records that have it, by value, and why values are not told apart.
type Fields = BTreeMap<ComparedPlace, (Sides, BTreeMap<String, Sides>, Option<LeftOut>)>;

/// The fields of a record with their values.
fn values(record: &Record) -> Vec<(ComparedPlace, String)> {
    let common = record.common();
    let named = |name, value: &str| (ComparedPlace::Column(name), value.to_owned());
    let mut values = vec![named(column::SERVICE_NAME, &common.service)];
    match record {
        Record::Log(log) => {
            values.push((ComparedPlace::Signal, "log".to_owned()));
            values.extend((log.severity.0 > 0).then(|| named(column::SEVERITY_NUMBER, log.severity.level())));
            values.extend(log.event_name.iter().map(|name| named(column::EVENT_NAME, name)));
        }
        Record::Span(span) => {
            values.push((ComparedPlace::Signal, "span".to_owned()));
            values.extend([
                named(column::NAME, &span.name),
                named(column::KIND, span.kind.name()),
                named(column::STATUS_CODE, span.status.name()),
            ]);
            values.extend(span.status_message.iter().map(|message| named(column::STATUS_MESSAGE, message)));
        }
    }
    values.extend(common.attributes.iter().map(|(key, value)| (ComparedPlace::Attribute(key.clone()), value.text())));
    let resource = common.resource.iter().filter(|(key, _)| key != "service.name");
    values.extend(resource.map(|(key, value)| (ComparedPlace::Resource(key.clone()), value.text())));
    values
}

/// By the records alone.
fn compared(sides: [&[Record]; 2]) -> Fields {
    let mut fields = Fields::new();
    let mut ids = BTreeSet::new();
    for (side, record) in sides.iter().enumerate().flat_map(|(side, records)| records.iter().map(move |record| (side, record))) {
        for (place, value) in values(record) {
            if matches!(place, ComparedPlace::Attribute(_)) && record.common().request_ids.first() == Some(&value) {
                ids.insert(place.clone());
            }
            let (present, values, _) = fields.entry(place).or_default();
            present[side] += 1;
            values.entry(value).or_default()[side] += 1;
        }
    }
    for (place, (_, values, left_out)) in &mut fields {
        *left_out = (values.len() > VALUES_MAX).then_some(LeftOut::TooMany);
        *left_out = if ids.contains(place) { Some(LeftOut::Ids) } else { *left_out };
        if left_out.is_some() {
            values.clear();
        }
    }
    fields
}

/// Holds the comparison of what two predicates find to the records that they find.
pub(super) fn assert_compared(snapshot: &Snapshot, selected: &Predicate, baseline: Option<&Predicate>, in_range: bool) {
    let (start, end) = if in_range { (Some(UnixNanos(3)), Some(UnixNanos(17))) } else { (None, None) };
    let find = |predicate: &Predicate| {
        let search = Search { predicate: predicate.clone(), start, end, ascending: true, after: None, limit: 1_000 };
        snapshot.search(&search, &|| false).unwrap().records
    };
    let others = baseline.cloned().unwrap_or_else(|| Predicate::Not(Box::new(selected.clone())));
    let (one, other) = (find(selected), find(&others));
    let comparison = Comparison { selected: selected.clone(), baseline: baseline.cloned(), start, end };
    let Compared { fields, records, more, coverage } = snapshot.compare(&comparison, &|| false).unwrap();
    assert_eq!((records, more, coverage.failures), ([one.len() as u64, other.len() as u64], false, Vec::new()), "{comparison:?}");
    let fields: Fields = fields.into_iter().map(|(place, field)| (place, (field.present, field.values, field.left_out))).collect();
    assert_eq!(fields, compared([&one, &other]), "{comparison:?}");
}
