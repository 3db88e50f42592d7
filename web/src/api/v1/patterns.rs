//! `GET /api/v1/patterns`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, Timed, TimeoutParameter, number, point, time_range};
use super::record::Record;
use super::respond;
use super::time::Time;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Of which logs, and how much is told of each pattern.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PatternsParameters {
    /// In the query language; empty or `*` is everything. It may end with `| patterns`.
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
    /// At most so many buckets of time, of a width that people count in; 24 unless told otherwise, 240 at most.
    #[param(value_type = Option<usize>, minimum = 1)]
    buckets: Option<String>,
    /// At most so many patterns; 50 unless told otherwise, 1,000 at most.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<String>,
    /// Patterns of which no record is from before this time are new, and come first: RFC 3339 or unix nanoseconds. What is
    /// before `start` is not looked at: leave it out to search everything.
    since: Option<String>,
}

/// What the messages of logs have in common.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PatternsAnswer {
    /// New ones first, then the most frequent.
    patterns: Vec<Pattern>,
    /// How many patterns there are, also beyond the limit.
    total: usize,
    /// How many of them are new; null without `since`.
    #[schema(required)]
    new_total: Option<usize>,
    /// Records with a pattern.
    records: u64,
    /// Records without one, because there are too many different messages to keep apart.
    beyond: u64,
    /// Where the first bucket begins; null when there is no record and no time range.
    #[schema(required)]
    buckets_start: Option<Time>,
    /// The width of a bucket. Buckets begin at whole multiples of it since 1970, UTC.
    interval_ns: u64,
    /// What was searched.
    completeness: Completeness,
}

/// Messages that are alike but for what varies in them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Pattern {
    /// The message, with `<num>`, `<hex>`, `<uuid>`, `<ip>`, `<time>`, `<duration>`, `<path>`, `<url>` or `<*>` where it varies.
    #[schema(example = "user <*> logged in from <ip>")]
    pattern: String,
    /// Records.
    count: u64,
    /// The earliest of them.
    first: Time,
    /// The latest of them.
    last: Time,
    /// Whether none of them is from before `since`.
    new: bool,
    /// Services, the most frequent first.
    services: Vec<NamedCount>,
    /// Levels, from trace to fatal.
    levels: Vec<NamedCount>,
    /// Records by bucket.
    buckets: Vec<u64>,
    /// The newest records, newest first; at most three.
    samples: Vec<Record>,
}

/// How many records have a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NamedCount {
    /// The name.
    name: String,
    /// Records.
    count: u64,
}

/// What the messages of matching logs have in common: their texts without what varies, with counts over time and samples.
#[utoipa::path(
    get,
    path = "/api/v1/patterns",
    tag = "records",
    params(PatternsParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Patterns", body = PatternsAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn patterns(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<PatternsParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request()?;
    let answer = web.within(timeout, web.engine().patterns(&tenant, request)).await?;
    Ok(respond::json(move || PatternsAnswer::from(answer)).await)
}

impl PatternsParameters {
    fn request(self) -> Result<query::PatternsRequest, ApiError> {
        let (start, end) = time_range(self.start, self.end)?;
        Ok(query::PatternsRequest {
            query: self.q.unwrap_or_default(),
            start,
            end,
            buckets: number("buckets", self.buckets, usize::MAX)?,
            limit: number("limit", self.limit, usize::MAX)?,
            since: point("since", self.since)?,
        })
    }
}

impl From<query::PatternsAnswer> for PatternsAnswer {
    fn from(answer: query::PatternsAnswer) -> PatternsAnswer {
        PatternsAnswer {
            patterns: answer.patterns.into_iter().map(Pattern::from).collect(),
            total: answer.total,
            new_total: answer.new_total,
            records: answer.records,
            beyond: answer.beyond,
            buckets_start: answer.start.map(Time::from),
            interval_ns: answer.interval_ns,
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::Pattern> for Pattern {
    fn from(pattern: query::Pattern) -> Pattern {
        let levels = pattern.levels.into_iter().map(|(name, count)| NamedCount { name: name.to_owned(), count });
        Pattern {
            pattern: pattern.pattern,
            count: pattern.count,
            first: pattern.first.into(),
            last: pattern.last.into(),
            new: pattern.is_new,
            services: pattern.services.into_iter().map(|(name, count)| NamedCount { name, count }).collect(),
            levels: levels.collect(),
            buckets: pattern.buckets,
            samples: pattern.samples.into_iter().map(Record::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use needle_query::model::UnixNanos;
    use serde_json::json;

    #[test]
    fn a_pattern_says_who_when_and_how_often() {
        let pattern = query::Pattern {
            pattern: "user <*> left".to_owned(),
            count: 3,
            first: UnixNanos(0),
            last: UnixNanos(1),
            is_new: true,
            services: vec![("web".to_owned(), 3)],
            levels: vec![("info", 2), ("error", 1)],
            buckets: vec![1, 2],
            samples: Vec::new(),
        };
        assert_eq!(
            serde_json::to_value(Pattern::from(pattern)).unwrap(),
            json!({
                "pattern": "user <*> left", "count": 3, "new": true, "buckets": [1, 2], "samples": [],
                "first": "1970-01-01T00:00:00.000000000Z", "last": "1970-01-01T00:00:00.000000001Z",
                "services": [{"name": "web", "count": 3}], "levels": [{"name": "info", "count": 2}, {"name": "error", "count": 1}],
            })
        );
    }

    #[test]
    fn every_parameter_arrives() {
        let text = |text: &str| Some(text.to_owned());
        let parameters = PatternsParameters {
            q: text("level:error | patterns"),
            start: text("5"),
            end: text("9"),
            buckets: text("7"),
            limit: text("3"),
            since: text("8"),
        };
        let request = parameters.request().unwrap();
        assert_eq!(
            (request.query.as_str(), request.start, request.end),
            ("level:error | patterns", Some(UnixNanos(5)), Some(UnixNanos(9)))
        );
        assert_eq!((request.buckets, request.limit, request.since), (Some(7), Some(3), Some(UnixNanos(8))));
        let error = PatternsParameters { since: text("soon"), ..PatternsParameters::default() }.request().unwrap_err().to_string();
        assert!(error.starts_with("since is \"soon\": give RFC 3339"), "{error}");
    }
}
