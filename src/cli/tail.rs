//! `needle tail`: new records as they are accepted.

mod events;

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::arguments::{OutputArguments, ServerArguments};
use super::client::Client;
use super::exit::{Exit, TimedOut};
use super::output::{Mark, Printer, commas};
use super::terminal;
use events::{Event, Events};

/// Follow new records that match
#[derive(Debug, Args)]
#[command(after_long_help = "Reconnects by itself and goes on where it stopped; records that could not be shown are counted on stderr.
Ends with Ctrl-C or when --timeout is over.")]
pub(crate) struct TailCommand {
    /// What to follow, in the query language; everything if nothing is given.
    query: Vec<String>,
    /// Begin with the last N records that match.
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    lines: usize,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Deserialize)]
struct Gap {
    skipped: u64,
}

/// A server that is silent for longer than this is gone: it sends heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const RECONNECT_MIN: Duration = Duration::from_millis(250);
const RECONNECT_MAX: Duration = Duration::from_secs(10);

/// Runs it.
pub(crate) fn run(command: &TailCommand) -> anyhow::Result<Exit> {
    end_with_ctrl_c()?;
    let mut tail = Tail {
        client: Client::new(&command.server),
        printer: Printer::new(&command.output)?,
        query: command.query.join(" "),
        backfill: command.lines,
        cursor: None,
        seen: 0,
    };
    let outcome = tail.follow();
    tail.printer.flush()?;
    match outcome {
        // The time to watch is over: that is an end, not a failure.
        Err(error) if error.downcast_ref::<TimedOut>().is_some() => Ok(if tail.seen > 0 { Exit::Found } else { Exit::TimedOut }),
        outcome => outcome.map(|()| Exit::Found),
    }
}

struct Tail {
    client: Client,
    printer: Printer,
    query: String,
    backfill: usize,
    /// Behind the last event; none before the first.
    cursor: Option<String>,
    seen: u64,
}

impl Tail {
    /// Follows until the time is over or the server refuses; a connection that breaks is opened again.
    fn follow(&mut self) -> anyhow::Result<()> {
        let mut pause = RECONNECT_MIN;
        let mut connected = false;
        loop {
            let begun = Instant::now();
            let broken = match self.connect() {
                Ok(mut events) => {
                    if std::mem::replace(&mut connected, true) && pause > RECONNECT_MIN {
                        terminal::note("connected again");
                    }
                    self.print(&mut events)?
                }
                // Nothing was ever read: the address or the query is wrong, which waiting does not mend.
                Err(error) if !connected || error.downcast_ref::<TimedOut>().is_some() || error.downcast_ref::<Refused>().is_some() => {
                    return Err(error);
                }
                Err(error) => format!("{error:#}"),
            };
            if begun.elapsed() > RECONNECT_MAX {
                pause = RECONNECT_MIN;
            }
            if pause == RECONNECT_MIN {
                terminal::note(&format!("{broken}; connecting again"));
            }
            if self.client.is_overdue() {
                return Err(TimedOut.into());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    fn connect(&mut self) -> anyhow::Result<Events<Box<dyn io::Read>>> {
        let mut parameters = vec![("q", self.query.clone())];
        let mut headers = vec![("accept", "text/event-stream".to_owned())];
        match &self.cursor {
            Some(cursor) => headers.push(("last-event-id", cursor.clone())),
            None => parameters.push(("backfill", self.backfill.to_string())),
        }
        let response = self.client.open("/api/v1/tail", &parameters, &headers, Some(SILENCE_MAX))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Events::new(Box::new(response.into_body().into_with_config().limit(u64::MAX).reader())));
        }
        let (_, error) = self.client.refusal(response);
        Err(if status.is_client_error() { error.context(Refused) } else { error })
    }

    /// Prints events until the connection ends; says why it ended.
    fn print(&mut self, events: &mut Events<Box<dyn io::Read>>) -> anyhow::Result<String> {
        loop {
            // A reader that follows sees a record at once; between records that came together there is no flush.
            if !events.has_buffered() {
                self.printer.flush()?;
            }
            match events.next() {
                Ok(Some(event)) => self.event(event)?,
                Ok(None) => return Ok("the server ended the connection".to_owned()),
                Err(_) if self.client.is_overdue() => return Err(TimedOut.into()),
                Err(error) => return Ok(format!("the connection broke ({error})")),
            }
        }
    }

    fn event(&mut self, event: Event) -> anyhow::Result<()> {
        match event.name.as_str() {
            "record" => {
                let raw: Box<RawValue> = serde_json::from_str(&event.data).context("the server sent a record that cannot be read")?;
                self.printer.record(&raw, Mark::None)?;
                self.seen += 1;
            }
            "gap" => {
                let Gap { skipped } = serde_json::from_str(&event.data).context("the server sent a gap that cannot be read")?;
                // Where it stands among the records, and beside them for a reader of the data.
                self.printer.flush()?;
                terminal::note(&format!("gap: {} records were accepted that this tail could not follow", commas(skipped)));
            }
            _ => {}
        }
        // After printing: a record that was not printed is asked for again.
        if event.id.is_some() {
            self.cursor = event.id;
        }
        Ok(())
    }
}

/// The server understood and said no.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses this tail")]
struct Refused;

/// Ends the program on Ctrl-C between two lines, with everything printed handed on: 128 + SIGINT, as shells expect.
fn end_with_ctrl_c() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
        let interrupted = runtime.block_on(tokio::signal::ctrl_c());
        if interrupted.is_ok() {
            // Whoever prints holds this lock for whole lines.
            let _stdout = io::stdout().lock();
            std::process::exit(130);
        }
    })?;
    Ok(())
}
