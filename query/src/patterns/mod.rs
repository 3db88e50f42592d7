//! Patterns: what the messages of logs have in common. Storage counts shapes, each a function of one message;
//! [`templates`] finds out which of their words are variables.

mod templates;
#[cfg(test)]
mod tests;

use needle_storage::model::{Record, Severity, Signal, UnixNanos};
use needle_storage::predicate::Predicate;
use needle_storage::{Coverage, ReadError, RecordPlace, ShapeCounts, Shapes, TimeBuckets, WantedShapes, readable};

use crate::answer::{CompletenessState, HistogramRequest, Pattern, PatternsAnswer, PatternsRequest};
use crate::error::{QueryError, predicate_in};
use crate::histogram::{self, at_most};
use crate::limits::{PATTERN_BUCKETS, PATTERN_BUCKETS_MAX, PATTERNS, PATTERNS_MAX};
use crate::search::completeness;
use templates::{Template, templates};

/// What a request asks of storage, and how its answer is cut.
pub(crate) struct Plan {
    pub(crate) wanted: WantedShapes,
    /// Whether there is a time to divide.
    divided: bool,
    limit: usize,
    since: Option<UnixNanos>,
}

impl Plan {
    /// The plan of a request, over records between `bounds`.
    pub(crate) fn of(request: &PatternsRequest, bounds: Option<(UnixNanos, UnixNanos)>) -> Result<Plan, QueryError> {
        let (start, end) = (request.start, request.end);
        let predicate = predicate_in(without_pipe(&request.query), start, end)?;
        let limit = at_most("limit", request.limit.unwrap_or(PATTERNS), PATTERNS_MAX)?;
        let buckets = at_most("buckets", request.buckets.unwrap_or(PATTERN_BUCKETS), PATTERN_BUCKETS_MAX)?;
        let division = HistogramRequest { start, end, buckets: Some(buckets), ..HistogramRequest::default() };
        let buckets = histogram::buckets(&division, bounds)?;
        let wanted = WantedShapes {
            predicate: Predicate::And(vec![Predicate::Signal(Signal::Logs), predicate]),
            start,
            end,
            buckets: buckets.unwrap_or(TimeBuckets::ONE),
        };
        Ok(Plan { wanted, divided: buckets.is_some(), limit, since: request.since })
    }

    /// The patterns of the shapes.
    pub(crate) fn answer(&self, found: Shapes) -> Found {
        let mut templates = templates(&found.shapes);
        templates.sort_by_key(|template| !self.is_new(&template.counts));
        let new_total = templates.iter().filter(|template| self.is_new(&template.counts)).count();
        let (total, records) = (templates.len(), templates.iter().map(|template| template.counts.count).sum());
        templates.truncate(self.limit);
        let answer = PatternsAnswer {
            total,
            new_total: self.since.map(|_| new_total),
            records,
            beyond: found.beyond,
            start: self.divided.then_some(self.wanted.buckets.first),
            interval_ns: if self.divided { self.wanted.buckets.width_ns } else { 0 },
            completeness: completeness(&found.coverage),
            ..PatternsAnswer::default()
        };
        let places = templates.iter().map(|template| template.counts.newest.iter().map(|(_, _, place)| *place).collect()).collect();
        let patterns = templates.into_iter().map(|template| self.pattern(template, &found.services)).collect();
        Found { answer: PatternsAnswer { patterns, ..answer }, places }
    }

    fn is_new(&self, counts: &ShapeCounts) -> bool {
        self.since.is_some_and(|since| counts.first >= since)
    }

    fn pattern(&self, template: Template, names: &[String]) -> Pattern {
        let is_new = self.is_new(&template.counts);
        let ShapeCounts { count, first, last, buckets, services, levels, .. } = template.counts;
        let mut services: Vec<(String, u64)> =
            services.into_iter().map(|(service, count)| (names[service as usize].clone(), count)).collect();
        services.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let levels = (0..).zip(levels).filter(|(_, count)| *count > 0);
        let levels = levels.map(|(level, count)| (Severity(level * 4 + 1).level(), count)).collect();
        let buckets = if self.divided { buckets } else { Vec::new() };
        Pattern { pattern: readable(&template.text), count, first, last, is_new, services, levels, buckets, samples: Vec::new() }
    }
}

/// Patterns whose samples were not read yet.
pub(crate) struct Found {
    answer: PatternsAnswer,
    /// Of each pattern.
    places: Vec<Vec<RecordPlace>>,
}

impl Found {
    /// The patterns with their samples. Those that cannot be read are missing, and the answer says so.
    pub(crate) fn with_samples(
        self,
        read: impl Fn(&[RecordPlace]) -> Result<(Vec<Record>, Coverage), ReadError>,
    ) -> Result<PatternsAnswer, ReadError> {
        let Found { mut answer, places } = self;
        for (pattern, places) in answer.patterns.iter_mut().zip(places) {
            let (samples, coverage) = read(&places)?;
            pattern.samples = samples;
            let unknown: Vec<String> =
                coverage.failures.into_iter().filter(|failure| !answer.completeness.reasons.contains(failure)).collect();
            if !unknown.is_empty() {
                answer.completeness.state = CompletenessState::Partial;
                answer.completeness.shards_failed += unknown.len();
                answer.completeness.reasons.extend(unknown);
            }
        }
        Ok(answer)
    }
}

/// A query without `| patterns` at its end, which this question means anyway.
fn without_pipe(query: &str) -> &str {
    let before = query.trim_end().strip_suffix("patterns").and_then(|before| before.trim_end().strip_suffix('|'));
    before.map_or(query, str::trim_end)
}
