//! Durations whose percentiles are asked for: all of them while they are few, then how many fall into narrow buckets.

use std::collections::BTreeMap;

use crate::limits::DURATIONS_EXACT_MAX;

/// A bucket is at most this part of its values wide, so that its middle is within half of it.
const BUCKET_SHARE: u32 = 128;

/// Durations in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) enum Durations {
    /// Each by itself.
    Exact(Vec<i64>),
    /// Numbers by bucket.
    Rounded(BTreeMap<u32, u64>),
}

impl Default for Durations {
    fn default() -> Durations {
        Durations::Exact(Vec::new())
    }
}

/// The percentiles that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub(crate) p50_ns: Option<i64>,
    pub(crate) p95_ns: Option<i64>,
    pub(crate) p99_ns: Option<i64>,
    /// Whether they are those of the durations themselves, not of buckets.
    pub(crate) exact: bool,
}

impl Durations {
    pub(crate) fn add(&mut self, duration_ns: i64) {
        match self {
            Durations::Exact(all) if all.len() == DURATIONS_EXACT_MAX => {
                let mut buckets = BTreeMap::new();
                all.iter().for_each(|known_ns| *buckets.entry(bucket_of(*known_ns)).or_default() += 1);
                *self = Durations::Rounded(buckets);
                self.add(duration_ns);
            }
            Durations::Exact(all) => all.push(duration_ns),
            Durations::Rounded(buckets) => *buckets.entry(bucket_of(duration_ns)).or_default() += 1,
        }
    }

    /// By nearest rank: the smallest that so many percent do not exceed.
    pub(crate) fn percentiles(self) -> Percentiles {
        let exact = matches!(self, Durations::Exact(_));
        let [p50_ns, p95_ns, p99_ns] = match self {
            Durations::Exact(mut all) => {
                all.sort_unstable();
                [50, 95, 99].map(|percent| all.get(rank(all.len() as u64, percent) as usize).copied())
            }
            Durations::Rounded(buckets) => {
                let count = buckets.values().sum();
                [50, 95, 99].map(|percent| nearest(&buckets, rank(count, percent)))
            }
        };
        Percentiles { p50_ns, p95_ns, p99_ns, exact }
    }
}

/// The place, counted from 0, of a percentile among so many.
fn rank(count: u64, percent: u64) -> u64 {
    (count * percent).div_ceil(100).saturating_sub(1)
}

/// The middle of the bucket in which a place is.
fn nearest(buckets: &BTreeMap<u32, u64>, rank: u64) -> Option<i64> {
    let mut before = 0;
    let found = buckets.iter().find(|(_, count)| {
        before += **count;
        before > rank
    });
    found.map(|(bucket, _)| middle_of(*bucket))
}

/// Small durations have a bucket of their own, of larger ones those of the same leading bits share one. Negative ones,
/// which clocks make, are 0.
fn bucket_of(duration_ns: i64) -> u32 {
    let value = duration_ns.max(0) as u64;
    let spare = (u64::BITS - value.leading_zeros()).saturating_sub(BUCKET_SHARE.ilog2() + 1);
    spare * BUCKET_SHARE + (value >> spare) as u32
}

fn middle_of(bucket: u32) -> i64 {
    if bucket < 2 * BUCKET_SHARE {
        return i64::from(bucket);
    }
    let spare = bucket / BUCKET_SHARE - 1;
    let first = u64::from(bucket - spare * BUCKET_SHARE) << spare;
    (first + (1_u64 << spare) / 2) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentiles(durations_ns: impl IntoIterator<Item = i64>) -> Percentiles {
        let mut durations = Durations::default();
        durations_ns.into_iter().for_each(|duration_ns| durations.add(duration_ns));
        durations.percentiles()
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let of_hundred = percentiles(1..=100);
        assert_eq!(of_hundred, Percentiles { p50_ns: Some(50), p95_ns: Some(95), p99_ns: Some(99), exact: true });
        assert_eq!(percentiles([7]).p99_ns, Some(7));
        assert_eq!(percentiles([]).p50_ns, None);
        assert_eq!(percentiles([-5, -5, 3]).p50_ns, Some(-5));
    }

    #[test]
    fn buckets_are_narrow_and_in_the_order_of_their_durations() {
        let ascending: Vec<i64> = (0..40_000).chain((16..63).map(|bits| 1_i64 << bits)).chain([i64::MAX]).collect();
        assert!(ascending.iter().map(|duration_ns| bucket_of(*duration_ns)).is_sorted());
        for duration_ns in ascending {
            let error = (middle_of(bucket_of(duration_ns)) - duration_ns).unsigned_abs();
            assert!(error * u64::from(2 * BUCKET_SHARE) <= duration_ns as u64, "{duration_ns} is {error} away");
        }
        assert_eq!(bucket_of(-1), bucket_of(0), "clocks that disagree");
    }

    #[test]
    fn many_durations_are_rounded_and_say_so() {
        let many = (DURATIONS_EXACT_MAX as i64 + 1) * 1_000;
        let rounded = percentiles((0..many).step_by(1_000));
        assert!(!rounded.exact);
        for (found, wanted) in [(rounded.p50_ns, many / 2), (rounded.p95_ns, many / 100 * 95), (rounded.p99_ns, many / 100 * 99)] {
            let error = (found.expect("there are durations") - wanted).abs();
            assert!(error * 200 <= wanted, "{found:?} for {wanted}");
        }
    }
}
