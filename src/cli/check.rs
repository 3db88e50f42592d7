//! `needle check`: whether a data folder is what was written.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use needle_ingest::storage::{CheckReport, FindingKind, OpenError, check};

use super::{Exit, Unusable, report};
use crate::settings::{ServeFlags, Settings};

/// Verify every checksum of a data folder, and that its parts agree; changes nothing
#[derive(Debug, Args)]
#[command(after_long_help = "No server may have the folder open: stop it, or check a copy.
Exits with 0 when all is sound, 2 when something is damaged, 78 when there is no folder to check.")]
pub(crate) struct CheckCommand {
    #[command(flatten)]
    folder: FolderArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Which data folder, for commands that work without a server.
#[derive(Debug, Args)]
pub(crate) struct FolderArguments {
    /// The data folder [default: the one that `needle serve` uses].
    #[arg(long, env = "NEEDLE_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Read settings from this file (TOML), as `needle serve` does.
    #[arg(long, env = "NEEDLE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl FolderArguments {
    /// The folder that these settings name.
    pub(crate) fn folder(&self) -> Result<PathBuf, Unusable> {
        let flags = ServeFlags { data: self.data.clone(), ..ServeFlags::default() };
        Ok(Settings::load(self.config.as_deref(), &flags)?.storage.data)
    }
}

/// A folder that is in use, or none, is a matter of settings; all else is an error.
pub(crate) fn refusal(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::Locked { .. } | OpenError::NoFolder(_) | OpenError::Unusable { .. } => Unusable(error.to_string()).into(),
        error => error.into(),
    }
}

/// Prints what was found.
pub(crate) fn run(command: &CheckCommand) -> anyhow::Result<Exit> {
    let report = check(&command.folder.folder()?).map_err(refusal)?;
    report::print(&report, command.json, human)?;
    Ok(if report.is_sound() { Exit::Found } else { Exit::Partial })
}

fn human(report: &CheckReport) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    for finding in &report.findings {
        let kind = match finding.kind {
            FindingKind::Damage => "DAMAGED",
            FindingKind::Note => "note",
        };
        writeln!(out, "{kind} {}: {}; {}", finding.path, finding.found, finding.mend)?;
    }
    let damaged = report.findings.iter().filter(|finding| finding.kind == FindingKind::Damage).count();
    let verdict = match damaged {
        0 => "sound".to_owned(),
        1 => "one finding of damage".to_owned(),
        many => format!("{many} findings of damage"),
    };
    let CheckReport { shards, rows, frames, directory_runs, bytes, .. } = report;
    writeln!(
        out,
        "{verdict}: {shards} shards with {rows} records, {frames} frames of the log, {directory_runs} parts of the id directory; {bytes} bytes were read"
    )?;
    Ok(out)
}
