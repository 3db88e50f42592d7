//! `GET /api/v1/tail`: new records as server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use needle_query::TailEvent;
use needle_query::model::RecordId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parameters::{Asking, Parameters, given, number};
use super::record::Record;
use crate::error::{ApiError, ErrorBody};
use crate::web::Web;

/// The header by which a browser says how far it got before it lost the connection.
const LAST_EVENT_ID: &str = "last-event-id";

/// What to follow.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TailParameters {
    /// In the query language; empty or `*` is everything.
    q: Option<String>,
    /// The `id:` of the last event seen, to go on after it; `Last-Event-ID` wins over it. Without it the tail begins now.
    cursor: Option<String>,
    /// Older matches to begin with; none unless told otherwise.
    #[param(value_type = Option<usize>)]
    backfill: Option<String>,
}

/// Data of a `gap` event: the reader was too slow, or came back too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Gap {
    /// Records accepted in between that were not looked at, matching or not.
    skipped: u64,
}

/// New records that match, as server-sent events: `record` (data: Record), `gap` (data: Gap), `heartbeat`.
#[utoipa::path(
    get,
    path = "/api/v1/tail",
    tag = "records",
    params(TailParameters, ("last-event-id" = Option<String>, Header, description = "`id:` of the last event seen")),
    responses(
        (status = 200, description = "Events; `id:` is the cursor behind each", body = Record, content_type = "text/event-stream"),
        (status = 400, description = "Bad query or parameter", body = ErrorBody)
    )
)]
pub(crate) async fn tail(
    State(web): State<Web>,
    Asking(tenant): Asking,
    headers: HeaderMap,
    Parameters(parameters): Parameters<TailParameters>,
) -> Result<Response, ApiError> {
    let cursor = cursor(&headers, parameters.cursor)?;
    let backfill = number("backfill", parameters.backfill, web.settings().tail_backfill_max)?.unwrap_or(0);
    let heartbeat = web.settings().tail_heartbeat();
    let events = web.engine().tail(&tenant, &parameters.q.unwrap_or_default(), cursor, backfill, heartbeat)?;
    // Held as long as the stream, so that the gauge falls when the reader leaves.
    let following = web.metrics().tail_begins();
    let events = events.map(move |tailed| {
        let _ = &following;
        Ok(event(tailed))
    });
    let events = events.take_until(web.closing().clone().cancelled_owned());
    Ok(sent(events, heartbeat))
}

fn sent(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static, heartbeat: std::time::Duration) -> Response {
    // The engine's heartbeats carry a cursor. These, without one, come where it is late because it reads.
    let alive = KeepAlive::new().interval(heartbeat.saturating_mul(2)).event(Event::default().event("heartbeat").data("{}"));
    Sse::new(events).keep_alive(alive).into_response()
}

fn event(tailed: TailEvent) -> Event {
    let event = |name, cursor: RecordId, data: &str| Event::default().event(name).id(cursor.0.to_string()).data(data);
    match tailed {
        TailEvent::Record { record, cursor } => event("record", cursor, record.shown(|record| json(&Record::from(record.clone())))),
        TailEvent::Gap { skipped, cursor } => event("gap", cursor, &json(&Gap { skipped })),
        TailEvent::Heartbeat { cursor } => event("heartbeat", cursor, "{}"),
    }
}

fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("wire types are always JSON")
}

/// Where to go on. A browser that reconnects repeats the address it began with, so what it says it has seen since wins.
fn cursor(headers: &HeaderMap, parameter: Option<String>) -> Result<Option<RecordId>, ApiError> {
    let seen = headers.get(LAST_EVENT_ID).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (name, text) = match given(seen) {
        Some(text) => (LAST_EVENT_ID, Some(text)),
        None => ("cursor", given(parameter)),
    };
    let Some(value) = text else { return Ok(None) };
    match value.parse() {
        Ok(id) => Ok(Some(RecordId(id))),
        Err(_) => Err(ApiError::Parameter { name, value, mend: "give the `id:` of an event, or leave it out to begin now".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use futures::stream;
    use http_body_util::BodyExt;
    use needle_query::model;
    use std::sync::Arc;

    async fn text(events: Vec<TailEvent>) -> String {
        let response = sent(stream::iter(events).map(|tailed| Ok(event(tailed))), std::time::Duration::from_secs(60));
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn events_have_a_name_a_cursor_and_data() {
        let gap = TailEvent::Gap { skipped: 12, cursor: RecordId(8) };
        let heartbeat = TailEvent::Heartbeat { cursor: RecordId(9) };
        assert_eq!(text(vec![gap, heartbeat]).await, "event: gap\nid: 8\ndata: {\"skipped\":12}\n\nevent: heartbeat\nid: 9\ndata: {}\n\n");
    }

    #[tokio::test]
    async fn a_record_stands_on_one_line_whatever_it_says() {
        let log = model::Log { body: Some(model::Value::String("a\n\nevent: fake\r\nb".to_owned())), ..model::Log::default() };
        let record = Arc::new(model::Record::Log(log).into());
        let text = text(vec![TailEvent::Record { record, cursor: RecordId(u64::MAX) }]).await;
        let lines: Vec<&str> = text.trim_end().lines().collect();
        assert_eq!(lines[..2], ["event: record", "id: 18446744073709551615"]);
        let record: serde_json::Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(record["body"], "a\n\nevent: fake\r\nb");
        assert_eq!(lines.len(), 3);
    }

    #[tokio::test]
    async fn a_silent_tail_beats() {
        let beating = sent(stream::pending::<Result<Event, Infallible>>(), std::time::Duration::from_millis(1));
        let frame = beating.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, "event: heartbeat\ndata: {}\n\n");
    }

    #[test]
    fn what_a_browser_has_seen_wins_over_the_address() {
        let mut headers = HeaderMap::new();
        assert_eq!(cursor(&headers, None).unwrap(), None);
        assert_eq!(cursor(&headers, Some("5".to_owned())).unwrap(), Some(RecordId(5)));
        headers.insert(LAST_EVENT_ID, HeaderValue::from_static("7"));
        assert_eq!(cursor(&headers, Some("5".to_owned())).unwrap(), Some(RecordId(7)));
        headers.insert(LAST_EVENT_ID, HeaderValue::from_static("seven"));
        let error = cursor(&headers, None).expect_err("no cursor").to_string();
        assert!(error.starts_with("last-event-id is \"seven\""), "{error}");
    }
}
