//! `needle repair`: a data folder that can be used again.

use std::fmt::Write as _;

use clap::Args;
use needle_ingest::storage::{RepairReport, repair};

use super::check::{FolderArguments, refusal};
use super::{Exit, report};

/// Make the catalog of a data folder anew from its shards, and move damaged ones aside
#[derive(Debug, Args)]
#[command(after_long_help = "No server may have the folder open. Nothing is deleted: damaged shards go to _needle/damaged, the old
catalog gets another name. It can be interrupted and run again; a sound folder is left as it is.
Exits with 0 when all is there, 2 when something could not be brought back, 78 when there is no folder to repair.")]
pub(crate) struct RepairCommand {
    #[command(flatten)]
    folder: FolderArguments,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints what was done.
pub(crate) fn run(command: &RepairCommand) -> anyhow::Result<Exit> {
    let report = repair(&command.folder.folder()?, command.dry_run).map_err(refusal)?;
    report::print(&report, command.json, human)?;
    Ok(if report.losses.is_empty() { Exit::Found } else { Exit::Partial })
}

fn human(report: &RepairReport) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let would = if report.dry_run { "would have " } else { "" };
    for step in &report.steps {
        writeln!(out, "{would}{step}")?;
    }
    for loss in &report.losses {
        writeln!(out, "LOST {loss}")?;
    }
    let verdict = match (report.steps.is_empty(), report.dry_run) {
        (true, _) => "nothing to repair",
        (false, true) => "nothing was changed",
        (false, false) => "repaired: `needle check` verifies it",
    };
    writeln!(out, "{verdict}; {} shards with {} records", report.shards, report.rows)?;
    Ok(out)
}
