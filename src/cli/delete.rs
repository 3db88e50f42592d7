//! `needle delete`: deletes every record that carries an id.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};
use clap::Args;

use super::arguments::ServerArguments;
use super::client::{Client, Search};
use super::output::{plural, verdict};
use super::terminal::{Color, Output, visible};
use super::wire::Deleted;
use super::{Exit, terminal};

/// Delete every record that carries an id
#[derive(Debug, Args)]
#[command(after_long_help = "Log records and spans go that carry the id themselves: as trace, request or span id, in any of its \
spellings; an id of 64 bits also stands for the traces that end in it. Other records of the same journey stay: delete them by \
their own ids. Records that arrive later with the id are new ones, and stay.

No question finds a deleted record from then on. Its bytes leave the files when those are next written anew, within seconds \
unless there is much to write; `needle flush --merge` waits for it. It cannot be undone.

Example: needle delete 5b0d58aa-0fd6-4a52-9d20-6f7a2b1d9c22

Exit codes: 0 deleted, 1 no record carries the id, 2 error, not confirmed, or a shard could not be read, 3 timed out.")]
pub(crate) struct DeleteCommand {
    /// A trace id, a request id, a span id: in any spelling.
    id: String,
    /// Do not ask whether it is meant.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs it; returns when the records are gone for every question.
pub(crate) fn run(command: &DeleteCommand) -> anyhow::Result<Exit> {
    let client = Client::new(&command.server)?;
    if !command.yes {
        if !io::stdin().is_terminal() {
            bail!("nobody can be asked whether it is meant: look with `needle trace`, then say --yes");
        }
        if !is_meant(&client, &command.id)? {
            bail!("nothing was deleted");
        }
    }
    let deleted: Deleted = client.delete("/api/v1/records", &[("id", command.id.clone())])?;
    let mut output = Output::stdout(Color::Never);
    output.line(&format!("deleted {}", plural(deleted.deleted, "record")))?;
    output.flush()?;
    Ok(verdict(deleted.deleted > 0, &deleted.completeness, false))
}

/// Says how many records it is about, and asks.
fn is_meant(client: &Client, id: &str) -> anyhow::Result<bool> {
    let quoted = id.replace('\\', "\\\\").replace('"', "\\\"");
    let count = client.count(&Search { query: format!("id:\"{quoted}\""), ..Search::default() })?.count;
    terminal::note(&format!("{} carry {}; deleting them cannot be undone", plural(count, "record"), visible(id)));
    let mut stderr = io::stderr();
    write!(stderr, "delete? [y/N] ").and_then(|()| stderr.flush()).context("the question cannot be asked: say --yes")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("the answer cannot be read: say --yes")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
