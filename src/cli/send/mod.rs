//! `needle send`: imports files and stdin.
//!
//! Files are read in batches of about 1 MiB, so memory does not grow with them. A batch is sent again until
//! the server has taken it, with the same `Idempotency-Key`, so that nothing is stored twice.

mod deliver;
mod detect;
mod input;
mod json;
mod otlp;
mod protobuf;
mod text;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::Exit;
use super::arguments::ServerArguments;
use super::client::Client;
use super::output::{commas, plural, shown};
use super::terminal::{Color, Output, note};
use super::time::{self, human_duration};
use deliver::Delivery;
use input::Input;

/// A batch is sent when it has grown to this.
const BATCH_BYTES: usize = 1 << 20;

/// Import JSON lines, plain text lines or OTLP files
#[derive(Debug, Args)]
#[command(
    after_long_help = "The format is found from the first bytes, or named with --format: JSON objects (a line each, pretty, or in arrays), OTLP
requests as JSON (a line each, or one document) or protobuf (one message, or messages with a length before each), and plain
text for all else. Files compressed with gzip or zstd are read as they are.

A record of plain text begins with its time; lines without one belong to the record before them.
The service of plain text is --service; else, for a folder, the name of the folder that the file lies in (folders named logs or
like a date are passed over); else the file's name up to its first dot.

The same file sent again within the server's window of exactly-once (15 minutes) is not stored twice.

Examples:
  needle send app.log
  needle send --service nova --timezone Europe/Berlin /var/log/nova/*.gz
  kubectl logs deploy/payments | needle send --service payments

Exit codes: 0 all accepted, 2 something was rejected or could not be sent, 3 timed out."
)]
pub(crate) struct SendCommand {
    /// Files and folders; `-`, or nothing, is stdin.
    files: Vec<PathBuf>,
    /// What the files hold.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// The service of records that name none.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The zone of times that carry none, in JSON lines and plain text; nothing is UTC: local, Europe/Berlin, +01:00.
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    timezone: Option<String>,
    /// Show no progress and no summary.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Found from the first bytes.
    #[default]
    Auto,
    /// JSON objects: one a line, pretty, or in arrays.
    Json,
    /// Plain text lines.
    Text,
    /// OTLP requests as JSON.
    OtlpJson,
    /// OTLP requests as protobuf.
    OtlpProto,
}

/// What is sent at once.
#[derive(Debug, PartialEq, Eq)]
struct Batch {
    target: Target,
    body: Vec<u8>,
    /// The line (or record, or message) of the input that this begins with, counted from 1.
    first_line: u64,
    /// Records in it, where only we know.
    records: u64,
    /// The resources that an OTLP request was joined from: what can be sent again apart from the others.
    pieces: Vec<Piece>,
}

/// A resource of an OTLP request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    bytes: Vec<u8>,
    line: u64,
    records: u64,
}

impl Batch {
    /// Lines, as they are.
    fn of_lines(target: Target, body: Vec<u8>, first_line: u64) -> Batch {
        Batch { target, body, first_line, records: 0, pieces: Vec::new() }
    }

    /// A request of these resources.
    fn of_pieces(target: Target, pieces: Vec<Piece>) -> Batch {
        let (before, between, after) = match target {
            Target::OtlpJson(Signal::Logs) => ("{\"resourceLogs\":[", ",", "]}"),
            Target::OtlpJson(Signal::Traces) => ("{\"resourceSpans\":[", ",", "]}"),
            // Repeated fields concatenate.
            _ => ("", "", ""),
        };
        let mut body = Vec::from(before);
        for (index, piece) in pieces.iter().enumerate() {
            body.extend_from_slice(if index > 0 { between.as_bytes() } else { b"" });
            body.extend_from_slice(&piece.bytes);
        }
        body.extend_from_slice(after.as_bytes());
        let first_line = pieces.first().map_or(1, |piece| piece.line);
        Batch { target, body, first_line, records: pieces.iter().map(|piece| piece.records).sum(), pieces }
    }
}

/// Where a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// `POST /api/v1/logs` as text/plain.
    Text,
    /// `POST /api/v1/logs` as application/x-ndjson.
    JsonLines,
    /// `POST /v1/traces` or `/v1/logs` as application/json.
    OtlpJson(Signal),
    /// The same as application/x-protobuf.
    OtlpProtobuf(Signal),
}

/// What OTLP records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Signal {
    Logs,
    Traces,
}

/// Resources on their way into a request.
#[derive(Default)]
struct Pending {
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Pending {
    fn push(&mut self, piece: Piece) {
        self.bytes += piece.bytes.len();
        self.pieces.push(piece);
    }

    /// Whether a request should be sent before `more` bytes go into it.
    fn is_full_for(&self, more: usize) -> bool {
        !self.pieces.is_empty() && self.bytes + more > BATCH_BYTES
    }
}

/// Takes batches and rejections as a reader finds them.
trait Sink {
    /// A batch to be sent.
    fn batch(&mut self, batch: Batch) -> anyhow::Result<()>;
    /// A line that cannot be sent.
    fn reject(&mut self, line: u64, reason: &str);
}

/// Runs it.
pub(crate) fn run(command: &SendCommand) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let client = Client::new(&command.server)?;
    let inputs = input::find(&command.files)?;
    let progress = progress(command, &inputs);
    let mut delivery = Delivery::new(&client, &progress, command);
    let mut failed = 0;
    for input in &inputs {
        progress.set_message(shown(&input.name()));
        if let Err(error) = send(command, input, &mut delivery, &progress) {
            // One file that cannot be read does not keep the others; a server that cannot be reached does.
            if !error.is::<input::Unreadable>() {
                progress.finish_and_clear();
                return Err(error.context(delivery.so_far()));
            }
            progress.suspend(|| note(&format!("{error:#}")));
            failed += 1;
        }
    }
    progress.finish_and_clear();
    if !command.quiet {
        let mut output = Output::stdout(Color::Never);
        let took = human_duration(i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX));
        output.line(&format!(
            "accepted {} from {} in {took}, rejected {}",
            plural(delivery.accepted, "record"),
            plural((inputs.len() - failed) as u64, "file"),
            commas(delivery.rejected),
        ))?;
        output.flush()?;
    }
    Ok(if delivery.rejected > 0 || failed > 0 { Exit::Partial } else { Exit::Found })
}

fn parse_zone(text: &str) -> Result<String, String> {
    time::zone_name(text).map_err(|error| error.to_string())
}

fn send(command: &SendCommand, input: &Input, delivery: &mut Delivery<'_>, progress: &ProgressBar) -> anyhow::Result<()> {
    let mut reader = input.open(progress)?;
    let format = match command.format {
        Format::Auto => detect::format(&input.name(), &mut reader)?,
        Format::Json => detect::Found::Json,
        Format::Text => detect::Found::Text,
        Format::OtlpJson => detect::Found::OtlpJson,
        Format::OtlpProto => detect::Found::OtlpProtobuf,
    };
    delivery.begin(input, format == detect::Found::Text);
    let name = input.name();
    match format {
        detect::Found::Empty => Ok(()),
        detect::Found::Text => text::read(&name, &mut reader, delivery),
        detect::Found::Json => json::read(&name, &mut reader, delivery),
        detect::Found::OtlpJson => otlp::read(&name, &mut reader, delivery),
        detect::Found::OtlpProtobuf => protobuf::read(&name, &mut reader, delivery),
    }
}

/// A bar over the bytes of all files, on stderr if that is a terminal.
fn progress(command: &SendCommand, inputs: &[Input]) -> ProgressBar {
    if command.quiet {
        return ProgressBar::hidden();
    }
    let bytes = inputs.iter().map(|input| input.bytes).sum();
    let (bar, template) = if bytes > 0 {
        (ProgressBar::new(bytes), "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}")
    } else {
        (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {wide_msg}")
    };
    bar.with_style(ProgressStyle::with_template(template).expect("a constant template"))
}

#[cfg(test)]
mod tests;
