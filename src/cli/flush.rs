//! `needle flush`: seals live records now.

use clap::Args;
use serde::de::IgnoredAny;

use super::Exit;
use super::arguments::ServerArguments;
use super::client::Client;

/// Ask a server to seal its live records now
#[derive(Debug, Args)]
pub(crate) struct FlushCommand {
    /// Also merge until nothing is left to do.
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs it; returns when the server is done.
pub(crate) fn run(command: &FlushCommand) -> anyhow::Result<Exit> {
    let client = Client::new(&command.server)?;
    let path = "/api/v1/admin/flush";
    let response = client.post(path, &[("merge", command.merge.to_string())], &[], b"")?;
    if response.status() != ureq::http::StatusCode::NO_CONTENT {
        client.parse::<IgnoredAny>(path, response)?;
    }
    Ok(Exit::Found)
}
