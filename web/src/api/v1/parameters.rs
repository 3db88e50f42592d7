//! Query strings: read as text first, so that a bad value is answered by name with the way to mend it.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use needle_query::model::{Tenant, UnixNanos};
use needle_query::{Order, SearchRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::time;
use crate::error::ApiError;
use crate::settings::WebSettings;

/// The query string as `T`; an unknown parameter or one given twice is refused by name.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        read(&parts.uri).map(Parameters)
    }
}

/// The query string of a question: `T`, and how long the answer may take.
pub(crate) struct Timed<T> {
    pub(crate) parameters: T,
    pub(crate) timeout: Option<Duration>,
}

/// What every question can be told beside its own parameters.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimeoutParameter {
    /// How long the answer may take, as `5s`; then there is none. The server has a default and a bound.
    timeout: Option<String>,
}

/// A question without parameters of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParameters {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Timed<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let TimeoutParameter { timeout } = read(&parts.uri)?;
        let query = parts.uri.query().unwrap_or_default();
        let own: Vec<&str> = query.split('&').filter(|pair| pair.split('=').next() != Some("timeout")).collect();
        let own: Uri = format!("/?{}", own.join("&")).parse().map_err(|error| ApiError::QueryString(format!("{error}")))?;
        Ok(Timed { parameters: read(&own)?, timeout: duration("timeout", timeout)? })
    }
}

fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(parameters) = Query::try_from_uri(uri).map_err(|rejection| {
        let cause = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
        ApiError::QueryString(cause)
    })?;
    Ok(parameters)
}

/// Whose data: the tenant that a layer above put into the request, else the default one.
pub(crate) struct Asking(pub(crate) Tenant);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Asking(parts.extensions.get::<Tenant>().cloned().unwrap_or_default()))
    }
}

/// What to search.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParameters {
    /// In the query language; empty or `*` is everything.
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
    /// At most this many; more come by `cursor`.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `desc`, newest first, is the default.
    #[param(inline, value_type = Option<OrderName>)]
    order: Option<String>,
}

/// What to count.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountParameters {
    /// In the query language; empty or `*` is everything.
    q: Option<String>,
    /// From this time on, inclusive: RFC 3339 or unix nanoseconds.
    start: Option<String>,
    /// Up to this time, exclusive: RFC 3339 or unix nanoseconds.
    end: Option<String>,
}

/// By time, then record id.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the parameter; its text is read by `order`")]
pub(crate) enum OrderName {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

impl SearchParameters {
    /// The question for the engine.
    pub(crate) fn request(self, settings: &WebSettings) -> Result<SearchRequest, ApiError> {
        let (start, end) = time_range(self.start, self.end)?;
        let limit = number("limit", self.limit, settings.search_limit_max)?.unwrap_or(settings.search_limit_default);
        if limit == 0 {
            let mend = "give 1 or more, or ask /api/v1/count for a number only".to_owned();
            return Err(ApiError::Parameter { name: "limit", value: "0".to_owned(), mend });
        }
        let query = self.q.unwrap_or_default();
        Ok(SearchRequest { query, start, end, limit, cursor: given(self.cursor), order: order(self.order)? })
    }
}

impl CountParameters {
    /// The question for the engine.
    pub(crate) fn request(self) -> Result<SearchRequest, ApiError> {
        let (start, end) = time_range(self.start, self.end)?;
        Ok(SearchRequest { query: self.q.unwrap_or_default(), start, end, ..SearchRequest::default() })
    }
}

/// A parameter without text is one that was not given.
pub(crate) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A point in time.
pub(crate) fn point(name: &'static str, text: Option<String>) -> Result<Option<UnixNanos>, ApiError> {
    let Some(value) = given(text) else { return Ok(None) };
    time::parse(&value).map(Some).map_err(|mend| ApiError::Parameter { name, value, mend })
}

/// Both ends of a time range, the earlier one first.
pub(crate) fn time_range(start: Option<String>, end: Option<String>) -> Result<(Option<UnixNanos>, Option<UnixNanos>), ApiError> {
    let start_text = start.clone().unwrap_or_default();
    let (start, end) = (point("start", start)?, point("end", end)?);
    match (start, end) {
        (Some(from), Some(to)) if from > to => {
            let mend = "it is after `end`: swap the two".to_owned();
            Err(ApiError::Parameter { name: "start", value: start_text, mend })
        }
        range => Ok(range),
    }
}

/// A whole number up to `max`.
pub(crate) fn number(name: &'static str, text: Option<String>, max: usize) -> Result<Option<usize>, ApiError> {
    let Some(value) = given(text) else { return Ok(None) };
    match value.parse() {
        Ok(number) if number <= max => Ok(Some(number)),
        _ => {
            let mend = if max == usize::MAX { "give a whole number".to_owned() } else { format!("give a whole number up to {max}") };
            Err(ApiError::Parameter { name, value, mend })
        }
    }
}

/// A length of time.
fn duration(name: &'static str, text: Option<String>) -> Result<Option<Duration>, ApiError> {
    let read = |value: String| needle_query::duration_of(&value).map_err(|mend| ApiError::Parameter { name, value, mend });
    given(text).map(read).transpose()
}

/// `true` or `false`.
pub(crate) fn truth(name: &'static str, text: Option<String>, default: bool) -> Result<bool, ApiError> {
    match given(text) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| ApiError::Parameter { name, value, mend: "give true or false".to_owned() }),
    }
}

fn order(text: Option<String>) -> Result<Order, ApiError> {
    match given(text) {
        None => Ok(Order::default()),
        Some(value) => match value.as_str() {
            "desc" => Ok(Order::Descending),
            "asc" => Ok(Order::Ascending),
            _ => Err(ApiError::Parameter { name: "order", value, mend: "give desc (newest first) or asc".to_owned() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn timed<T: DeserializeOwned>(uri: &str) -> Result<Timed<T>, ApiError> {
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        Timed::from_request_parts(&mut parts, &()).await
    }

    async fn search(uri: &str) -> Result<SearchRequest, String> {
        let settings = WebSettings { search_limit_default: 100, search_limit_max: 1000, ..WebSettings::default() };
        let read = timed::<SearchParameters>(uri).await.and_then(|timed| timed.parameters.request(&settings));
        read.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn everything_is_searched_unless_told_otherwise() {
        for uri in ["/", "/?", "/?q=&start=&end=&limit=&cursor=&order="] {
            let request = search(uri).await.unwrap();
            assert_eq!((request.query.as_str(), request.start, request.end), ("", None, None), "{uri}");
            assert_eq!((request.limit, request.cursor, request.order), (100, None, Order::Descending), "{uri}");
        }
    }

    #[tokio::test]
    async fn every_parameter_arrives() {
        let request =
            search("/?q=level%3E%3Dwarn+%22a+b%22&start=5&end=1970-01-01T00:00:01Z&limit=7&cursor=c%2F1&order=asc").await.unwrap();
        assert_eq!(request.query, "level>=warn \"a b\"");
        assert_eq!((request.start, request.end), (Some(UnixNanos(5)), Some(UnixNanos(1_000_000_000))));
        assert_eq!((request.limit, request.cursor.as_deref(), request.order), (7, Some("c/1"), Order::Ascending));
    }

    #[tokio::test]
    async fn a_bad_parameter_is_named() {
        for (uri, message) in [
            ("/?limit=many", "limit is \"many\": give a whole number up to 1000"),
            ("/?limit=1001", "limit is \"1001\": give a whole number up to 1000"),
            ("/?limit=-1", "limit is \"-1\": give a whole number up to 1000"),
            ("/?limit=0", "limit is \"0\": give 1 or more, or ask /api/v1/count for a number only"),
            ("/?timeout=soon", "timeout is \"soon\": `soon` is not a duration: write it as 500ms, 1.5s or 2m (ns, us, ms, s, m, h, d)"),
            ("/?order=up", "order is \"up\": give desc (newest first) or asc"),
            ("/?start=2&end=1", "start is \"2\": it is after `end`: swap the two"),
        ] {
            assert_eq!(search(uri).await.map(|_| ()), Err(message.to_owned()), "{uri}");
        }
        let error = search("/?end=soon").await.expect_err("no time");
        assert!(error.starts_with("end is \"soon\": give RFC 3339"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_parameter_and_one_given_twice_are_refused_by_name() {
        let unknown = search("/?limt=5").await.expect_err("misspelled");
        assert!(unknown.contains("`limt`") && unknown.contains("`limit`"), "{unknown}");
        for (uri, name) in [("/?q=a&q=b", "`q`"), ("/?timeout=1s&q=a&timeout=2s", "`timeout`")] {
            let twice = search(uri).await.expect_err("twice");
            assert!(twice.contains(name), "{twice}");
        }
    }

    #[tokio::test]
    async fn a_question_may_say_how_long_its_answer_may_take() {
        for (uri, expected) in [("/", None), ("/?timeout=", None), ("/?timeout=5s", Some(5)), ("/?timeout=2m", Some(120))] {
            let timed = timed::<NoParameters>(uri).await.unwrap_or_else(|error| panic!("{uri}: {error}"));
            assert_eq!(timed.timeout, expected.map(Duration::from_secs), "{uri}");
        }
    }

    #[tokio::test]
    async fn truth_is_spelled_out() {
        assert!(truth("inferred", None, true).unwrap());
        assert!(!truth("inferred", Some("false".to_owned()), true).unwrap());
        assert!(truth("inferred", Some("yes".to_owned()), true).is_err());
    }

    #[tokio::test]
    async fn the_tenant_is_the_default_one_unless_a_layer_says_otherwise() {
        let (mut parts, ()) = Request::builder().uri("/").body(()).unwrap().into_parts();
        let Ok(Asking(tenant)) = Asking::from_request_parts(&mut parts, &()).await;
        assert_eq!(tenant, Tenant::default());
        parts.extensions.insert(Tenant::new("acme").unwrap());
        let Ok(Asking(tenant)) = Asking::from_request_parts(&mut parts, &()).await;
        assert_eq!(tenant.as_str(), "acme");
    }
}
