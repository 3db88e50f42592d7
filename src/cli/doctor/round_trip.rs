//! The server: whether it is ready, a record's way in over gRPC and over HTTP and out again, and its clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::Deserialize;

use super::{Doors, Finding, State};
use crate::cli::client::{Client, Search};
use crate::cli::wire::Deleted;

/// For all questions to the server together.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// For a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A server whose clock differs by more places lines of services at the wrong time.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Readiness {
    reasons: Vec<String>,
}

/// Whether a server runs and is ready; skipped when none answers.
pub(super) fn readiness(client: &Client) -> Finding {
    let url = client.url().to_owned();
    let Ok(mut answer) = client.open("/readyz", &[], &[], None) else {
        return Finding::new(
            "server",
            State::Skipped,
            format!("none answers at {url}"),
            "start one with `needle serve` to look at it, too",
        );
    };
    let body = answer.body_mut().read_to_string().unwrap_or_default();
    let Ok(Readiness { reasons }) = serde_json::from_str(&body) else {
        let mend = "name the address of a needle server with --url";
        return Finding::new("server", State::Broken, format!("what answers at {url} is no needle server"), mend);
    };
    match reasons.as_slice() {
        [] => Finding::good("server", format!("it is ready at {url}")),
        reasons => Finding::new("server", State::Broken, format!("it is not ready: {}", reasons.join("; ")), "mend what it names"),
    }
}

/// Sends a record by each door, finds and deletes it.
pub(super) fn findings(Doors { server, otlp_http, otlp_grpc, .. }: &Doors, runs: bool) -> anyhow::Result<Vec<Finding>> {
    let (server, otlp_http) = (super::client(server, TIMEOUT)?, super::client(otlp_http, TIMEOUT)?);
    let doors: [(&str, &str, Send<'_>); 2] = [
        ("round trip grpc", "otlp-grpc", &|id| otlp_grpc.send(request(id), CALL_TIMEOUT)),
        ("round trip http", "otlp-http", &|id| send_http(&otlp_http, id)),
    ];
    if !runs {
        let skipped = |check| Finding::new(check, State::Skipped, "no server runs", "start one with `needle serve`");
        return Ok(doors.map(|(check, ..)| skipped(check)).into());
    }
    let mut findings = Vec::new();
    let mut clock = None;
    for (check, listener, send) in doors {
        match round_trip(&server, send) {
            Ok(apart) => {
                clock = Some(apart);
                findings.push(Finding::good(check, format!("a record was sent to {listener}, found and deleted")));
            }
            Err(error) => {
                let mend = format!("see that --{listener} is the address that the server prints, and what its log says");
                findings.push(Finding::new(check, State::Broken, format!("{error:#}"), mend));
            }
        }
    }
    findings.extend(clock.map(server_clock));
    Ok(findings)
}

/// Sends a log with this request id.
type Send<'a> = &'a dyn Fn(&str) -> anyhow::Result<()>;

/// The way of one record. How far the server's clock is ahead of this one's, in nanoseconds, at least.
fn round_trip(client: &Client, send: Send<'_>) -> anyhow::Result<i128> {
    let id = uuid::Uuid::new_v4().to_string();
    let before = now();
    send(&id).context("the record could not be sent")?;
    let after = now();
    let search = Search { query: format!("id:\"{id}\""), ..Search::default() };
    let found = client.search(&search, Some(2)).collect::<anyhow::Result<Vec<_>>>().context("the record could not be looked for")?;
    let deleted: Deleted = client.delete("/api/v1/records", &[("id", id.clone())]).context("the record could not be deleted")?;
    if found.len() != 1 || deleted.deleted != 1 {
        bail!("the record was found {} times and deleted {} times, not once", found.len(), deleted.deleted);
    }
    if client.count(&search)?.count != 0 {
        bail!("the record was found after it was deleted");
    }
    // It has no time of its own, so that it takes the one of its arrival, by the server's clock.
    #[derive(Deserialize)]
    struct Arrived {
        timestamp: Timestamp,
    }
    let arrived = serde_json::from_str::<Arrived>(found[0].get()).context("the record cannot be read")?.timestamp.as_nanosecond();
    Ok(if arrived < before { arrived - before } else { (arrived - after).max(0) })
}

fn now() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i128
}

fn server_clock(ahead_ns: i128) -> Finding {
    let ahead_ms = ahead_ns / 1_000_000;
    match ahead_ns.unsigned_abs() > CLOCKS_APART_MAX.as_nanos() {
        true => {
            let mend = "set both by the same source of time (chronyc tracking, timedatectl): records would stand at the wrong place";
            Finding::new("server clock", State::Warning, format!("it is {ahead_ms} ms ahead of this machine's"), mend)
        }
        false => Finding::good("server clock", format!("it agrees with this machine's to {} ms", ahead_ms.abs())),
    }
}

fn request(id: &str) -> ExportLogsServiceRequest {
    let text = |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    let attribute = |key: &str, value: &str| KeyValue { key: key.to_owned(), value: text(value), ..Default::default() };
    let record = LogRecord {
        severity_number: 9,
        body: text("needle doctor was here, and takes this record away again"),
        attributes: vec![attribute("request_id", id)],
        ..Default::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..Default::default() }];
    let resource = Some(Resource { attributes: vec![attribute("service.name", "needle-doctor")], ..Default::default() });
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..Default::default() }] }
}

fn send_http(otlp: &Client, id: &str) -> anyhow::Result<()> {
    let json = [("content-type", "application/json".to_owned())];
    let mut answer = otlp.post("/v1/logs", &[], &json, &serde_json::to_vec(&request(id))?)?;
    let body = answer.body_mut().read_to_string().unwrap_or_default();
    if answer.status().as_u16() != 200 || body != "{}" {
        bail!("{} answered {}: {body}", otlp.url(), answer.status());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_warned_of() {
        assert_eq!(server_clock(0).state, State::Good);
        assert_eq!(server_clock(-1_999_000_000).state, State::Good);
        assert_eq!(server_clock(60_000_000_000).state, State::Warning);
    }
}
