//! `GET /api/v1/histogram`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, Timed, TimeoutParameter, given, number, time_range};
use super::respond;
use super::time::Time;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// What to count, and how time is divided.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistogramParameters {
    /// In the query language; empty or `*` is everything.
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds. Without it from the earliest record on.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds. Without it up to the latest record.
    end: Option<String>,
    /// At most so many buckets, of a width that people count in; 60 unless told otherwise, 10,000 at most.
    #[param(value_type = Option<usize>, minimum = 1)]
    buckets: Option<String>,
    /// The width of a bucket, instead of how many there are: `10s`, `1m`, `1h`.
    #[param(example = "1m")]
    interval: Option<String>,
    /// Counted apart by the values of this field: `service`, `level`, `kind`, any attribute.
    #[param(example = "service")]
    by: Option<String>,
    /// With `by`, at most so many values by themselves: the largest. 20 unless told otherwise, 1,000 at most.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<String>,
}

/// Numbers of records over time. Every list of counts has one for each bucket, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HistogramAnswer {
    /// All matching records. Empty when there is no record and no time range.
    buckets: Vec<Bucket>,
    /// The width of a bucket. Buckets begin at whole multiples of it since 1970, UTC.
    interval_ns: u64,
    /// All matching records of all buckets.
    total: u64,
    /// With `by`: records by value, the largest first, those without a value last.
    groups: Vec<HistogramGroup>,
    /// With `by`: records with other values than these; null when there are none.
    #[schema(required)]
    other: Option<OtherValues>,
    /// What was searched.
    completeness: Completeness,
}

/// Records of a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// Where it begins. The first may begin before `start`; what is before it is not counted.
    start: Time,
    /// Matching records.
    count: u64,
}

/// Records that have one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HistogramGroup {
    /// The value; null of records that have none.
    #[schema(required)]
    value: Option<String>,
    /// In all buckets.
    total: u64,
    /// By bucket.
    counts: Vec<u64>,
}

/// Records whose values are not shown by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OtherValues {
    /// How many different values. Null when there were too many to keep apart; then one that came late may be among
    /// these though it is larger than some that are shown.
    #[schema(required)]
    values: Option<usize>,
    /// In all buckets.
    total: u64,
    /// By bucket.
    counts: Vec<u64>,
}

/// Numbers of matching records over time, and by the values of a field.
#[utoipa::path(
    get,
    path = "/api/v1/histogram",
    tag = "records",
    params(HistogramParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Numbers", body = HistogramAnswer),
        (status = 400, description = "Bad query or parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn histogram(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<HistogramParameters>,
) -> Result<Response, ApiError> {
    let request = parameters.request()?;
    let answer = web.within(timeout, web.engine().histogram(&tenant, request)).await?;
    Ok(respond::json(move || HistogramAnswer::from(answer)).await)
}

impl HistogramParameters {
    fn request(self) -> Result<query::HistogramRequest, ApiError> {
        let (start, end) = time_range(self.start, self.end)?;
        Ok(query::HistogramRequest {
            query: self.q.unwrap_or_default(),
            start,
            end,
            buckets: number("buckets", self.buckets, usize::MAX)?,
            interval: given(self.interval),
            by: given(self.by),
            values_max: number("limit", self.limit, usize::MAX)?,
        })
    }
}

impl From<query::HistogramAnswer> for HistogramAnswer {
    fn from(answer: query::HistogramAnswer) -> HistogramAnswer {
        let first = answer.start.unwrap_or_default();
        let start = |bucket: usize| first.0.saturating_add(answer.interval_ns.saturating_mul(bucket as u64));
        let buckets = answer.counts.iter().enumerate();
        HistogramAnswer {
            total: answer.counts.iter().sum(),
            buckets: buckets
                .map(|(bucket, count)| Bucket { start: query::model::UnixNanos(start(bucket)).into(), count: *count })
                .collect(),
            interval_ns: answer.interval_ns,
            groups: answer.groups.into_iter().map(HistogramGroup::from).collect(),
            other: answer.other.map(OtherValues::from),
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::HistogramGroup> for HistogramGroup {
    fn from(group: query::HistogramGroup) -> HistogramGroup {
        HistogramGroup { value: group.value, total: group.total, counts: group.counts }
    }
}

impl From<query::OtherValues> for OtherValues {
    fn from(other: query::OtherValues) -> OtherValues {
        OtherValues { values: other.values, total: other.total, counts: other.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use needle_query::model::UnixNanos;
    use serde_json::json;

    #[test]
    fn buckets_say_when_and_groups_how_many_in_each() {
        let group = |value: Option<&str>, counts: [u64; 2]| query::HistogramGroup {
            value: value.map(str::to_owned),
            total: counts.iter().sum(),
            counts: counts.to_vec(),
        };
        let answer = query::HistogramAnswer {
            start: Some(UnixNanos(60_000_000_000)),
            interval_ns: 60_000_000_000,
            counts: vec![4, 2],
            groups: vec![group(Some("cart"), [3, 0]), group(None, [0, 2])],
            other: Some(query::OtherValues { values: None, counts: vec![1, 0], total: 1 }),
            ..query::HistogramAnswer::default()
        };
        let mut written = serde_json::to_value(HistogramAnswer::from(answer)).unwrap();
        assert_eq!(written["completeness"].take()["state"], "complete");
        assert_eq!(
            written,
            json!({
                "buckets": [
                    {"start": "1970-01-01T00:01:00.000000000Z", "count": 4},
                    {"start": "1970-01-01T00:02:00.000000000Z", "count": 2},
                ],
                "interval_ns": 60_000_000_000_u64,
                "total": 6,
                "groups": [{"value": "cart", "total": 3, "counts": [3, 0]}, {"value": null, "total": 2, "counts": [0, 2]}],
                "other": {"values": null, "total": 1, "counts": [1, 0]},
                "completeness": null,
            })
        );
    }

    #[test]
    fn every_parameter_arrives() {
        let text = |text: &str| Some(text.to_owned());
        let parameters = HistogramParameters {
            q: text("level:error"),
            start: text("5"),
            end: text("9"),
            buckets: text("7"),
            interval: text(""),
            by: text("service"),
            limit: text("3"),
        };
        let request = parameters.request().unwrap();
        assert_eq!((request.query.as_str(), request.start, request.end), ("level:error", Some(UnixNanos(5)), Some(UnixNanos(9))));
        assert_eq!(
            (request.buckets, request.interval, request.by.as_deref(), request.values_max),
            (Some(7), None, Some("service"), Some(3))
        );
        let error = HistogramParameters { buckets: text("many"), ..HistogramParameters::default() }.request().unwrap_err();
        assert_eq!(error.to_string(), "buckets is \"many\": give a whole number");
    }
}
