//! Counting over time: buckets of a width that people count in, and the largest values by themselves.

use needle_storage::model::UnixNanos;
use needle_storage::predicate::Facet;
use needle_storage::{Counts, Group, Histogram, TimeBuckets};

use crate::answer::{HistogramAnswer, HistogramGroup, HistogramRequest, OtherValues};
use crate::error::{QueryError, predicate_in};
use crate::language;
use crate::limits::{HISTOGRAM_BUCKETS, HISTOGRAM_BUCKETS_MAX, VALUES, VALUES_MAX};
use crate::search::completeness;

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
const HOUR_NS: u64 = 60 * MINUTE_NS;
const DAY_NS: u64 = 24 * HOUR_NS;
/// Widths of buckets above a second; below it they are 1, 2 and 5 of its parts.
const WIDTHS_NS: [u64; 26] = [
    SECOND_NS,
    2 * SECOND_NS,
    5 * SECOND_NS,
    10 * SECOND_NS,
    15 * SECOND_NS,
    30 * SECOND_NS,
    MINUTE_NS,
    2 * MINUTE_NS,
    5 * MINUTE_NS,
    10 * MINUTE_NS,
    15 * MINUTE_NS,
    30 * MINUTE_NS,
    HOUR_NS,
    2 * HOUR_NS,
    3 * HOUR_NS,
    6 * HOUR_NS,
    12 * HOUR_NS,
    DAY_NS,
    2 * DAY_NS,
    7 * DAY_NS,
    14 * DAY_NS,
    30 * DAY_NS,
    90 * DAY_NS,
    365 * DAY_NS,
    3_650 * DAY_NS,
    36_500 * DAY_NS,
];

/// What a request asks of storage, and how its answer is cut.
pub(crate) struct Plan {
    pub(crate) histogram: Histogram,
    /// Whether there is a time to divide.
    divided: bool,
    values_max: usize,
}

impl Plan {
    /// The plan of a request, over records between `bounds`.
    pub(crate) fn of(request: &HistogramRequest, bounds: Option<(UnixNanos, UnixNanos)>) -> Result<Plan, QueryError> {
        let predicate = predicate_in(&request.query, request.start, request.end)?;
        let values_max = at_most("limit", request.values_max.unwrap_or(VALUES), VALUES_MAX)?;
        let buckets = buckets(request, bounds)?;
        let histogram = Histogram {
            predicate,
            start: request.start,
            end: request.end,
            buckets: buckets.unwrap_or(TimeBuckets::ONE),
            by: request.by.as_deref().map(facet).transpose()?,
        };
        Ok(Plan { histogram, divided: buckets.is_some(), values_max })
    }

    /// The answer of what was counted.
    pub(crate) fn answer(&self, counts: Counts) -> HistogramAnswer {
        let completeness = completeness(&counts.coverage);
        if !self.divided {
            return HistogramAnswer { completeness, ..HistogramAnswer::default() };
        }
        let TimeBuckets { first, width_ns, count } = self.histogram.buckets;
        let all = sum(count, counts.groups.iter().map(|group| &group.counts).chain([&counts.beyond]));
        let (groups, other) = if self.histogram.by.is_some() { largest(counts, count, self.values_max) } else { (Vec::new(), None) };
        HistogramAnswer { start: Some(first), interval_ns: width_ns, counts: all, groups, other, completeness }
    }
}

/// How a request divides the time of records between `bounds`; none when there is no time to divide.
pub(crate) fn buckets(request: &HistogramRequest, bounds: Option<(UnixNanos, UnixNanos)>) -> Result<Option<TimeBuckets>, QueryError> {
    let division = Division::of(request)?;
    range(request, bounds).map(|range| division.buckets(range)).transpose()
}

/// What records are told apart by, counted by the field of that name.
pub(crate) fn facet(name: &str) -> Result<Facet, QueryError> {
    language::facet(name).map_err(QueryError::Parameter)
}

/// A number between 1 and a bound.
pub(crate) fn at_most(name: &str, number: usize, max: usize) -> Result<usize, QueryError> {
    match number {
        0 => Err(QueryError::Parameter(format!("{name} is 0: ask for 1 or more"))),
        _ if number > max => Err(QueryError::Parameter(format!("{name} is {number}: ask for {max} or fewer"))),
        _ => Ok(number),
    }
}

/// The earliest and the latest time to show; none when there is none.
fn range(request: &HistogramRequest, bounds: Option<(UnixNanos, UnixNanos)>) -> Option<(UnixNanos, UnixNanos)> {
    let last = request.end.map(|end| UnixNanos(end.0.saturating_sub(1)));
    if request.end.is_some() && request.end == request.start {
        return None;
    }
    let first = request.start.or_else(|| Some(bounds?.0.min(last.unwrap_or(UnixNanos::MAX)))).or(last)?;
    let last = last.or_else(|| Some(bounds?.1)).unwrap_or(first);
    Some((first, last.max(first)))
}

/// How time is divided.
enum Division {
    /// Into buckets of this width.
    Width(u64),
    /// Into so many at most.
    AtMost(usize),
}

impl Division {
    fn of(request: &HistogramRequest) -> Result<Division, QueryError> {
        match (&request.interval, request.buckets) {
            (Some(_), Some(_)) => Err(QueryError::Parameter("interval and buckets say the same: give one of them".to_owned())),
            (Some(text), None) => {
                let width_ns = language::interval_ns(text).map_err(|mend| QueryError::Parameter(format!("interval: {mend}")))?;
                Ok(Division::Width(width_ns))
            }
            (None, buckets) => at_most("buckets", buckets.unwrap_or(HISTOGRAM_BUCKETS), HISTOGRAM_BUCKETS_MAX).map(Division::AtMost),
        }
    }

    /// Buckets for the times from `first` to `last`.
    fn buckets(&self, (first, last): (UnixNanos, UnixNanos)) -> Result<TimeBuckets, QueryError> {
        let count = |width_ns: u64| (last.0 / width_ns - first.0 / width_ns).saturating_add(1);
        let of_width =
            |width_ns: u64| TimeBuckets { first: UnixNanos(first.0 / width_ns * width_ns), width_ns, count: count(width_ns) as usize };
        match *self {
            Division::Width(width_ns) if count(width_ns) > HISTOGRAM_BUCKETS_MAX as u64 => Err(QueryError::Parameter(format!(
                "interval makes {} buckets, more than {HISTOGRAM_BUCKETS_MAX}: give a longer one, or a shorter time by start and end",
                count(width_ns)
            ))),
            Division::Width(width_ns) => Ok(of_width(width_ns)),
            Division::AtMost(buckets) => {
                Ok(widths_ns().find(|width_ns| count(*width_ns) <= buckets as u64).map_or(TimeBuckets::ONE, of_width))
            }
        }
    }
}

/// Widths that people count in, ascending.
fn widths_ns() -> impl Iterator<Item = u64> {
    let parts = (0..9).flat_map(|digits| [1, 2, 5].map(|part| part * 10_u64.pow(digits)));
    parts.chain(WIDTHS_NS)
}

/// The largest values, then that of records without one, and the sum of all others.
fn largest(counts: Counts, buckets: usize, values_max: usize) -> (Vec<HistogramGroup>, Option<OtherValues>) {
    let total = |Group { value, counts }| HistogramGroup { value, total: counts.iter().sum(), counts };
    let (mut named, without): (Vec<_>, Vec<_>) = counts.groups.into_iter().map(total).partition(|group| group.value.is_some());
    named.sort_unstable_by(|one, other| other.total.cmp(&one.total).then_with(|| one.value.cmp(&other.value)));
    let others = named.split_off(values_max.min(named.len()));
    let values = counts.beyond.is_empty().then_some(others.len());
    let sums = sum(buckets, others.iter().map(|group| &group.counts).chain([&counts.beyond]));
    let total = sums.iter().sum();
    let other = (total > 0).then_some(OtherValues { values, counts: sums, total });
    named.extend(without);
    (named, other)
}

/// The sums by bucket.
fn sum<'a>(buckets: usize, all: impl Iterator<Item = &'a Vec<u64>>) -> Vec<u64> {
    let mut sums = vec![0; buckets];
    all.for_each(|counts| sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_772_334_000_000_000_000;

    fn request(seconds: u64) -> HistogramRequest {
        HistogramRequest { start: Some(UnixNanos(START)), end: Some(UnixNanos(START + seconds * SECOND_NS)), ..HistogramRequest::default() }
    }

    fn buckets_of(request: &HistogramRequest, bounds: Option<(u64, u64)>) -> TimeBuckets {
        let bounds = bounds.map(|(first, last)| (UnixNanos(first), UnixNanos(last)));
        Plan::of(request, bounds).expect("a plan").histogram.buckets
    }

    fn refused(request: &HistogramRequest) -> String {
        Plan::of(request, None).map(|_| ()).expect_err("refused").to_string()
    }

    #[test]
    fn widths_are_those_that_people_count_in() {
        assert!(widths_ns().is_sorted() && widths_ns().count() == 27 + WIDTHS_NS.len());
        for (seconds, buckets, width_ns, count) in [
            (3_600, None, MINUTE_NS, 60),
            (86_400, None, 30 * MINUTE_NS, 48),
            (86_400, Some(10_000), 10 * SECOND_NS, 8_640),
            (30, Some(60), SECOND_NS / 2, 60),
            (90, Some(1), 2 * MINUTE_NS, 1),
            (3_600, Some(3), 30 * MINUTE_NS, 2),
        ] {
            let found = buckets_of(&HistogramRequest { buckets, ..request(seconds) }, None);
            assert_eq!((found.first, found.width_ns, found.count), (UnixNanos(START), width_ns, count), "{seconds} s, {buckets:?}");
        }
    }

    #[test]
    fn every_time_from_first_to_last_has_a_bucket() {
        for (first, last) in [(0, u64::MAX), (START, START), (START - 1, START), (7, u64::MAX - 1), (0, 1)] {
            for buckets in [1, 2, 60, 10_000] {
                let wanted = HistogramRequest { buckets: Some(buckets), ..HistogramRequest::default() };
                let found = buckets_of(&wanted, Some((first, last)));
                assert!(found.count <= buckets && found.first.0 <= first, "{first} to {last}: {found:?}");
                let end = u128::from(found.first.0) + found.count as u128 * u128::from(found.width_ns);
                assert!(end > u128::from(last) || found.width_ns == u64::MAX, "{first} to {last}: {found:?}");
            }
        }
    }

    #[test]
    fn an_open_end_is_that_of_the_records() {
        let open = HistogramRequest { interval: Some("1m".to_owned()), ..HistogramRequest::default() };
        let found = buckets_of(&open, Some((START + 1, START + 3 * MINUTE_NS)));
        assert_eq!(found, TimeBuckets { first: UnixNanos(START), width_ns: MINUTE_NS, count: 4 });
        let later = HistogramRequest { start: Some(UnixNanos(START + 9 * MINUTE_NS)), ..open.clone() };
        assert_eq!(buckets_of(&later, Some((START, START + MINUTE_NS))).count, 1);
        let earlier = HistogramRequest { end: Some(UnixNanos(START)), ..open.clone() };
        assert_eq!(buckets_of(&earlier, Some((START + MINUTE_NS, START + MINUTE_NS))).first, UnixNanos(START - MINUTE_NS));
        let answer = Plan::of(&open, None).expect("a plan").answer(Counts::default());
        assert_eq!(answer, HistogramAnswer::default());
        assert_eq!(Plan::of(&request(0), None).expect("a plan").answer(Counts::default()).counts, Vec::<u64>::new());
    }

    #[test]
    fn unusable_questions_are_refused_with_a_sentence() {
        let with = |change: fn(&mut HistogramRequest)| {
            let mut request = request(86_400);
            change(&mut request);
            refused(&request)
        };
        assert_eq!(with(|r| r.buckets = Some(10_001)), "buckets is 10001: ask for 10000 or fewer");
        assert_eq!(with(|r| r.buckets = Some(0)), "buckets is 0: ask for 1 or more");
        assert_eq!(with(|r| r.values_max = Some(1_001)), "limit is 1001: ask for 1000 or fewer");
        assert!(with(|r| r.interval = Some("1s".to_owned())).contains("86400 buckets, more than 10000"));
        assert!(with(|r| r.interval = Some("7".to_owned())).contains("needs a unit"));
        assert!(with(|r| r.interval = Some("0".to_owned())).contains("1ns or more"));
        assert!(with(|r| (r.interval, r.buckets) = (Some("1h".to_owned()), Some(5))).contains("give one of them"));
        assert!(with(|r| r.by = Some("trace_id".to_owned())).contains("another on nearly every record"));
        assert!(with(|r| r.by = Some("has".to_owned())).contains("is a test"));
        assert!(with(|r| r.end = Some(UnixNanos(1))).contains("swap them"));
        assert!(
            refused(&HistogramRequest { buckets: Some(0), ..HistogramRequest::default() }).contains("1 or more"),
            "also without records"
        );
    }

    #[test]
    fn what_is_not_shown_by_itself_is_summed_and_counted() {
        let group = |value: Option<&str>, counts: [u64; 2]| Group { value: value.map(str::to_owned), counts: counts.to_vec() };
        let groups = vec![group(None, [9, 9]), group(Some("a"), [1, 0]), group(Some("c"), [0, 3]), group(Some("b"), [3, 0])];
        let counts = Counts { groups, ..Counts::default() };
        let asked = HistogramRequest { by: Some("service".to_owned()), values_max: Some(2), interval: Some("1s".to_owned()), ..request(2) };
        let plan = Plan::of(&asked, None).expect("a plan");
        let answer = plan.answer(counts.clone());
        assert_eq!(answer.counts, [13, 12]);
        let shown: Vec<_> = answer.groups.iter().map(|group| (group.value.as_deref(), group.total)).collect();
        assert_eq!(shown, [(Some("b"), 3), (Some("c"), 3), (None, 18)]);
        assert_eq!(answer.other, Some(OtherValues { values: Some(1), counts: vec![1, 0], total: 1 }));

        let beyond = plan.answer(Counts { beyond: vec![0, 5], ..counts });
        assert_eq!((beyond.counts, beyond.other), (vec![13, 17], Some(OtherValues { values: None, counts: vec![1, 5], total: 6 })));
    }
}
