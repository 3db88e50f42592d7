//! Journeys that contain a match: each once, on the page of its newest match.

use std::collections::HashSet;

use needle_storage::model::{NormalId, Record, RecordId, UnixNanos};
use needle_storage::predicate::{IdTest, Predicate};
use needle_storage::{Coverage, Found, ReadError, Search};

use crate::answer::{Journey, JourneySummary, JourneysAnswer, Order};
use crate::journey::{self, Outlined};
use crate::limits::{JOURNEYS_LIMIT_MAX, JOURNEYS_SCAN_RECORDS};
use crate::stitch::{Options, join_ids};
use crate::{cursor, search};

/// What journeys are found in.
pub(crate) trait Read: journey::Read {
    /// Matching records in order.
    fn search(&self, search: &Search) -> Result<Found, ReadError>;
}

/// The journeys of the records that `wanted` finds, newest first; at most `wanted.limit`, from `wanted.after` on.
pub(crate) fn find(read: &impl Read, wanted: &Search, now: UnixNanos) -> Result<JourneysAnswer, ReadError> {
    let limit = wanted.limit.min(JOURNEYS_LIMIT_MAX);
    let mut page = Page { read, wanted, now, seen: HashSet::new(), journeys: Vec::new(), coverage: Coverage::default(), without_id: 0 };
    let mut after = wanted.after;
    let mut next_cursor = None;
    'pages: loop {
        let found = read.search(&Search { after, limit: JOURNEYS_SCAN_RECORDS, ascending: false, ..wanted.clone() })?;
        page.cover(&found.coverage);
        for record in &found.records {
            if page.journeys.len() == limit {
                next_cursor = after.map(|place| cursor::of_record(Order::Descending, place));
                break 'pages;
            }
            page.take(record)?;
            after = Some(place_of(record));
        }
        if !found.more || found.records.is_empty() {
            break;
        }
    }
    let mut completeness = search::completeness(&page.coverage);
    if page.without_id > 0 {
        completeness.reasons.push(format!("{} matching records carry no id, so they belong to no journey", page.without_id));
    }
    Ok(JourneysAnswer { journeys: page.journeys, next_cursor, completeness })
}

struct Page<'a, R> {
    read: &'a R,
    wanted: &'a Search,
    now: UnixNanos,
    /// Ids of journeys that were met.
    seen: HashSet<NormalId>,
    journeys: Vec<JourneySummary>,
    coverage: Coverage,
    without_id: usize,
}

impl<R: Read> Page<'_, R> {
    /// Adds the journey of a record, unless it is on this page or on one before.
    fn take(&mut self, record: &Record) -> Result<(), ReadError> {
        let ids = join_ids(record);
        let Some(id) = opening_id(record) else {
            self.without_id += 1;
            return Ok(());
        };
        if ids.iter().any(|id| self.seen.contains(id)) {
            return Ok(());
        }
        let options = Options { inferred: true, corrected: false, now: self.now };
        let Some(Outlined { journey, .. }) = journey::outline(self.read, &id, options, 0)? else { return Ok(()) };
        let ids = ids_of(&journey);
        let met_before = self.wanted.after.is_some() && self.newest_match(&ids)? != Some(place_of(record));
        self.seen.extend(ids);
        if !met_before {
            self.journeys.push(summary(&journey));
        }
        Ok(())
    }

    /// The place of the newest match in a journey: on its page the journey is listed.
    fn newest_match(&mut self, ids: &[NormalId]) -> Result<Option<(UnixNanos, RecordId)>, ReadError> {
        let carries = |id: &NormalId| Predicate::Id(IdTest::of_id(id.clone()));
        let in_journey = Predicate::Or(ids.iter().map(carries).collect());
        let predicate = Predicate::And(vec![self.wanted.predicate.clone(), in_journey]);
        let found = self.read.search(&Search { predicate, after: None, limit: 1, ascending: false, ..self.wanted.clone() })?;
        self.cover(&found.coverage);
        Ok(found.records.first().map(place_of))
    }

    fn cover(&mut self, coverage: &Coverage) {
        self.coverage.shards_searched = self.coverage.shards_searched.max(coverage.shards_searched);
        for failure in &coverage.failures {
            if !self.coverage.failures.contains(failure) {
                self.coverage.failures.push(failure.clone());
            }
        }
    }
}

fn place_of(record: &Record) -> (UnixNanos, RecordId) {
    (record.common().time, record.common().record_id)
}

/// The id by which a record's journey is opened: its trace, else its first request id that is one.
fn opening_id(record: &Record) -> Option<String> {
    let common = record.common();
    let request = || common.request_ids.iter().find(|id| NormalId::of(id).is_some()).cloned();
    common.trace_id.map(|trace_id| trace_id.to_string()).or_else(request)
}

/// The ids of a journey by which it is known again; hubs belong to many.
pub(crate) fn ids_of(journey: &Journey) -> Vec<NormalId> {
    let hubs: HashSet<NormalId> = journey.hubs.iter().filter_map(|hub| NormalId::of(&hub.id)).collect();
    let traces = journey.trace_ids.iter().map(|trace_id| NormalId::of_trace(*trace_id));
    let requests = journey.request_ids.iter().filter_map(|id| NormalId::of(id)).filter(|id| !hubs.contains(id));
    let mut ids: Vec<NormalId> = traces.chain(requests).collect();
    // A journey that was opened by a hub is known by it.
    ids.extend(NormalId::of(&journey.id).filter(|id| !ids.contains(id)));
    ids
}

fn summary(journey: &Journey) -> JourneySummary {
    let root = journey.nodes.iter().find(|node| node.depth == 0 && node.is_span).or(journey.nodes.first());
    let total = |count: fn(&crate::answer::JourneyService) -> usize| journey.services.iter().map(count).sum();
    JourneySummary {
        id: journey.id.clone(),
        start: journey.start,
        duration_ns: journey.end.since(journey.start),
        root: root.map_or_else(String::new, |node| format!("{} {}", node.service, node.name).trim().to_owned()),
        services: journey.services.iter().map(|service| service.name.clone()).collect(),
        spans: total(|service| service.spans),
        logs: total(|service| service.logs),
        errors: total(|service| service.errors),
    }
}

#[cfg(test)]
mod tests {
    use needle_storage::model::SpanKind;

    use super::*;
    use crate::stitch::tests::builder::{Shop, at, trace};

    impl Read for Shop {
        fn search(&self, search: &Search) -> Result<Found, ReadError> {
            let mut records: Vec<Record> = self.records.iter().filter(|record| holds(&search.predicate, record)).cloned().collect();
            records.sort_by_key(|record| std::cmp::Reverse(place_of(record)));
            records.retain(|record| search.after.is_none_or(|after| place_of(record) < after));
            let more = records.len() > search.limit;
            records.truncate(search.limit);
            Ok(Found { records, more, coverage: Coverage::default() })
        }
    }

    fn holds(predicate: &Predicate, record: &Record) -> bool {
        match predicate {
            Predicate::All => true,
            Predicate::And(all) => all.iter().all(|predicate| holds(predicate, record)),
            Predicate::Or(any) => any.iter().any(|predicate| holds(predicate, record)),
            Predicate::Id(test) => test.id.as_ref().is_some_and(|id| join_ids(record).contains(id)),
            other => panic!("not needed here: {other:?}"),
        }
    }

    fn all(limit: usize, after: Option<(UnixNanos, RecordId)>) -> Search {
        Search { predicate: Predicate::All, start: None, end: None, ascending: false, after, limit }
    }

    /// Seven journeys of interleaved records, one of two traces, and a line without an id.
    fn shop() -> Shop {
        let mut shop = Shop::default();
        for round in 0..3 {
            for n in 1..=7 {
                shop.span("web", SpanKind::SERVER, u64::from(n) + round * 10, 0, round as i64 * 100 + i64::from(n), 400).of_trace(n);
            }
        }
        shop.span("web", SpanKind::SERVER, 99, 0, 50, 60).of_trace(9).request("r-1");
        shop.log("auth", 500, "").request("r-1").log("cart", 501, "").request("r-1").of_trace(3).log("cron", 502, "nothing");
        shop
    }

    #[test]
    fn pages_list_every_journey_once_newest_first() {
        let shop = shop();
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = find(&shop, &all(2, after), at(0)).expect("memory does not fail");
            assert!(page.journeys.len() <= 2);
            listed.extend(page.journeys.into_iter().map(|journey| journey.id));
            let Some(next) = page.next_cursor else { break };
            after = Some(cursor::to_record(Order::Descending, &next).expect("our own"));
        }
        let expected: Vec<String> = [3, 7, 6, 5, 4, 2, 1].map(|n| trace(n).to_string()).into();
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_journey_is_summed_up() {
        let page = find(&shop(), &all(1, None), at(0)).expect("memory does not fail");
        let journey = &page.journeys[0];
        assert_eq!((journey.root.as_str(), journey.spans, journey.logs), ("web web 3", 4, 2));
        assert_eq!(journey.services, ["web", "auth", "cart"]);
        assert!(page.completeness.reasons[0].starts_with("1 matching records carry no id"));
    }
}
