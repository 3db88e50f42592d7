//! `needle config`: the settings that `needle serve` would use, each with where it came from.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, matches_of, report};
use crate::settings::{Effective, ServeFlags, effective};

/// Print the settings that `needle serve` would use, and where each came from
#[derive(Debug, Args)]
#[command(after_long_help = "What is printed can be used as a settings file. Give the flags and variables that `needle serve` is given.

Example: needle config --config /etc/needle/needle.toml

Exits with 0, or with 78 when the settings cannot be used.")]
pub(crate) struct ConfigCommand {
    /// Read settings from this file (TOML).
    #[arg(long, env = "NEEDLE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: ServeFlags,
}

/// Prints them.
pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<Exit> {
    let settings = effective(command.config.as_deref(), &command.flags, &matches_of("config"))?;
    report::print(&settings, command.json, |settings| human(settings))?;
    Ok(Exit::Found)
}

/// Lines of TOML; what is not set stands in a comment.
pub(super) fn human(settings: &[Effective]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    for Effective { key, value, origin } in settings {
        match value {
            serde_json::Value::Null => writeln!(out, "# {key} is not set  # {origin}")?,
            // Scalars and lists of them are written alike in TOML and in JSON.
            value => writeln!(out, "{key} = {value}  # {origin}")?,
        }
    }
    Ok(out)
}
