//! `GET /api/v1/services`.

use axum::extract::State;
use axum::response::Response;
use needle_query as query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::completeness::Completeness;
use super::parameters::{Asking, Timed, TimeoutParameter, time_range};
use super::respond;
use super::time::Time;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// Which time to look at.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ServicesParameters {
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
}

/// Services seen.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ServicesAnswer {
    /// By name.
    services: Vec<Service>,
    /// The time they were observed over, in seconds.
    seconds: f64,
    /// What was searched.
    completeness: Completeness,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Service {
    /// `service.name`.
    name: String,
    /// Spans.
    spans: u64,
    /// Log records.
    logs: u64,
    /// Spans with status error plus logs of severity error and above.
    errors: u64,
    /// Records per second.
    rate: f64,
    /// Errors per record, 0 to 1.
    error_ratio: f64,
    /// Median duration of its server and consumer spans, of all its spans when it has none.
    #[schema(required)]
    p50_ns: Option<i64>,
    /// 95th percentile.
    #[schema(required)]
    p95_ns: Option<i64>,
    /// 99th percentile.
    #[schema(required)]
    p99_ns: Option<i64>,
    /// Whether the percentiles are exact; of more than 65,536 durations they are within half a percent.
    percentiles_exact: bool,
    /// Latest record.
    last_seen: Time,
}

/// Services with their rates, errors and latencies.
#[utoipa::path(
    get,
    path = "/api/v1/services",
    tag = "services",
    params(ServicesParameters, TimeoutParameter),
    responses(
        (status = 200, description = "Services", body = ServicesAnswer),
        (status = 400, description = "Bad parameter", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody)
    )
)]
pub(crate) async fn services(
    State(web): State<Web>,
    Asking(tenant): Asking,
    Timed { parameters, timeout }: Timed<ServicesParameters>,
) -> Result<Response, ApiError> {
    let (start, end) = time_range(parameters.start, parameters.end)?;
    let answer = web.within(timeout, web.engine().services(&tenant, start, end)).await?;
    Ok(respond::json(move || ServicesAnswer::from(answer)).await)
}

impl From<query::ServicesAnswer> for ServicesAnswer {
    fn from(answer: query::ServicesAnswer) -> ServicesAnswer {
        ServicesAnswer {
            services: answer.services.into_iter().map(Service::from).collect(),
            seconds: answer.seconds,
            completeness: answer.completeness.into(),
        }
    }
}

impl From<query::ServiceSummary> for Service {
    fn from(service: query::ServiceSummary) -> Service {
        Service {
            name: service.name,
            spans: service.spans,
            logs: service.logs,
            errors: service.errors,
            rate: service.rate,
            error_ratio: service.error_ratio,
            p50_ns: service.p50_ns,
            p95_ns: service.p95_ns,
            p99_ns: service.p99_ns,
            percentiles_exact: service.exact,
            last_seen: service.last_seen.into(),
        }
    }
}
