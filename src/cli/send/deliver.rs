//! Delivery: a batch is sent until the server has taken or refused it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde::Deserialize;
use ureq::http::StatusCode;

use super::super::client::{Client, Parameters, Response};
use super::super::exit::TimedOut;
use super::super::output::{commas, plural};
use super::super::terminal::note;
use super::super::wire::Accepted;
use super::input::Input;
use super::{Batch, SendCommand, Signal, Sink, Target, protobuf};

/// A batch that the server did not take for this long is given up, unless `--timeout` says otherwise.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// More is not waited at once, whatever `Retry-After` says.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Sends batches and counts what became of them.
pub(super) struct Delivery<'a> {
    client: &'a Client,
    progress: &'a ProgressBar,
    service_given: Option<&'a str>,
    /// Of times that carry none.
    timezone: Option<&'a str>,
    service: Option<String>,
    name: String,
    /// What batches of this input are told apart from others by.
    origin: blake3::Hasher,
    ordinal: u64,
    reached: bool,
    /// What the server assumed of the records is not said.
    quiet: bool,
    /// It was said for this input.
    warned: bool,
    /// Records taken.
    pub(super) accepted: u64,
    /// Records refused, by the server or before.
    pub(super) rejected: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct OtlpAnswer {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    rejected_spans: Option<serde_json::Value>,
    rejected_log_records: Option<serde_json::Value>,
    error_message: String,
}

impl<'a> Delivery<'a> {
    /// A delivery to a server.
    pub(super) fn new(client: &'a Client, progress: &'a ProgressBar, command: &'a SendCommand) -> Delivery<'a> {
        Delivery {
            client,
            progress,
            service_given: command.service.as_deref(),
            timezone: command.timezone.as_deref(),
            quiet: command.quiet,
            service: None,
            name: String::new(),
            origin: blake3::Hasher::new(),
            ordinal: 0,
            reached: false,
            warned: false,
            accepted: 0,
            rejected: 0,
        }
    }

    /// What follows comes from `input`.
    pub(super) fn begin(&mut self, input: &Input, is_text: bool) {
        let suggested = input.service.clone().filter(|_| is_text);
        self.service = self.service_given.map(str::to_owned).or(suggested);
        self.name = input.name();
        self.ordinal = 0;
        self.warned = false;
        self.origin = blake3::Hasher::new();
        // The same batch of the same file is the same, also in another run; what comes through a pipe never is.
        match input.path.as_ref().and_then(|path| path.canonicalize().ok()) {
            Some(path) => self.origin.update(path.as_os_str().as_encoded_bytes()),
            None => self.origin.update(uuid::Uuid::new_v4().as_bytes()),
        };
    }

    /// What was sent before an error.
    pub(super) fn so_far(&self) -> String {
        let rejected = if self.rejected > 0 { format!(", {} rejected", commas(self.rejected)) } else { String::new() };
        format!(
            "{}: stopped with {} accepted{rejected}; sent again within 15 minutes, these are not stored twice",
            self.name,
            plural(self.accepted, "record")
        )
    }

    fn deliver(&mut self, batch: &Batch) -> anyhow::Result<Response> {
        let (path, content_type) = batch.target.route();
        let mut parameters: Parameters = Vec::new();
        if matches!(batch.target, Target::Text | Target::JsonLines) {
            parameters.extend(self.service.clone().map(|service| ("service", service)));
            parameters.extend(self.timezone.map(|zone| ("timezone", zone.to_owned())));
        }
        let headers = [("content-type", content_type.to_owned()), ("idempotency-key", self.key(batch))];
        let begun = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            let (trouble, wait) = match self.client.post(path, &parameters, &headers, &batch.body) {
                Ok(response) if is_retryable(response.status()) => {
                    let wait = retry_after(&response);
                    (self.client.refusal(response).1, wait)
                }
                Ok(response) => {
                    self.reached = true;
                    return Ok(response);
                }
                // A server that was never reached is a wrong address.
                Err(error) if !self.reached || error.is::<TimedOut>() => return Err(error),
                Err(error) => (error, None),
            };
            self.reached = true;
            if begun.elapsed() > PATIENCE {
                return Err(trouble.context(format!("given up after {} s", PATIENCE.as_secs())));
            }
            if self.client.is_overdue() {
                return Err(TimedOut.into());
            }
            self.progress.set_message(format!("waiting: {trouble:#}"));
            std::thread::sleep(wait.unwrap_or(pause).min(RETRY_AFTER_MAX));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Stands for the batch: equal for every attempt, different for every other batch.
    fn key(&mut self, batch: &Batch) -> String {
        self.ordinal += 1;
        let mut hasher = self.origin.clone();
        hasher.update(&self.ordinal.to_le_bytes());
        hasher.update(self.service.as_deref().unwrap_or_default().as_bytes());
        hasher.update(self.timezone.unwrap_or_default().as_bytes());
        hasher.update(&batch.body);
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Sends the halves of a refused request: what one resource is refused for says nothing about the others.
    fn apart(&mut self, batch: Batch) -> anyhow::Result<()> {
        let mut first = batch.pieces;
        let second = first.split_off(first.len() / 2);
        self.batch(Batch::of_pieces(batch.target, first))?;
        self.batch(Batch::of_pieces(batch.target, second))
    }

    fn taken(&mut self, batch: &Batch, mut response: Response) -> anyhow::Result<()> {
        match batch.target {
            Target::Text | Target::JsonLines => {
                let answer: Accepted = self.client.parse("/api/v1/logs", response)?;
                self.accepted += answer.accepted;
                if let Some(warning) = answer.warning.filter(|_| !self.quiet && !std::mem::replace(&mut self.warned, true)) {
                    let text = format!("{}: from line {} on: {warning}", self.name, batch.first_line);
                    self.progress.suspend(|| note(&text));
                }
                for rejected in &answer.rejected {
                    let line = batch.first_line + rejected.line.saturating_sub(1);
                    self.reject(line, &rejected.reason);
                }
            }
            Target::OtlpJson(_) => {
                let answer: OtlpAnswer = self.client.parse("/v1", response)?;
                let partial = answer.partial_success.unwrap_or_default();
                let number = |value: &Option<serde_json::Value>| match value {
                    Some(serde_json::Value::Number(number)) => number.as_u64().unwrap_or(0),
                    Some(serde_json::Value::String(digits)) => digits.parse().unwrap_or(0),
                    _ => 0,
                };
                let rejected = number(&partial.rejected_spans) + number(&partial.rejected_log_records);
                self.otlp_taken(batch, rejected, &partial.error_message);
            }
            Target::OtlpProtobuf(_) => {
                let bytes = response.body_mut().read_to_vec().context("the answer cannot be read")?;
                let (rejected, message) = protobuf::partial_success(&bytes);
                self.otlp_taken(batch, rejected, &message);
            }
        }
        Ok(())
    }

    fn otlp_taken(&mut self, batch: &Batch, rejected: u64, message: &str) {
        self.accepted += batch.records.saturating_sub(rejected);
        self.rejected += rejected;
        if rejected > 0 {
            let text = format!(
                "{}: from {} {} on: {} rejected: {message}",
                self.name,
                batch.target.unit(),
                batch.first_line,
                plural(rejected, "record")
            );
            self.progress.suspend(|| note(&text));
        }
    }
}

impl Sink for Delivery<'_> {
    fn batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        let response = self.deliver(&batch)?;
        let status = response.status();
        if status.is_success() {
            self.taken(&batch, response)?;
            self.progress.set_message(self.name.clone());
            return Ok(());
        }
        if status == StatusCode::BAD_REQUEST && batch.pieces.len() > 1 {
            return self.apart(batch);
        }
        let (_, error) = self.client.refusal(response);
        // These speak about this batch; all else (no permission, no such route) speaks about every one.
        if matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY) {
            let lines = batch.body.iter().filter(|byte| **byte == b'\n').count() as u64;
            let records = if batch.pieces.is_empty() { lines } else { batch.records }.max(1);
            // One of them is counted where it is named.
            self.rejected += records - 1;
            self.reject(batch.first_line, &format!("{} from here on refused: {error:#}", plural(records, "record")));
            return Ok(());
        }
        bail!(error)
    }

    fn reject(&mut self, line: u64, reason: &str) {
        self.rejected += 1;
        self.progress.suspend(|| note(&format!("{}:{line}: {reason}", self.name)));
    }
}

impl Target {
    fn route(self) -> (&'static str, &'static str) {
        let path = |signal| if signal == Signal::Logs { "/v1/logs" } else { "/v1/traces" };
        match self {
            Target::Text => ("/api/v1/logs", "text/plain; charset=utf-8"),
            Target::JsonLines => ("/api/v1/logs", "application/x-ndjson"),
            Target::OtlpJson(signal) => (path(signal), "application/json"),
            Target::OtlpProtobuf(signal) => (path(signal), "application/x-protobuf"),
        }
    }

    fn unit(self) -> &'static str {
        if matches!(self, Target::OtlpProtobuf(_)) { "message" } else { "line" }
    }
}

fn is_retryable(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// `Retry-After` in seconds. Its other form, a date, needs clocks that agree, so that our own pause serves as well.
fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
