//! `needle shard FILE`: what a shard consists of.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use needle_ingest::storage::{ColumnReport, ShardReport};

use super::{Exit, report};

/// Show what a shard's file consists of: columns, encodings, bytes, index, checksums
#[derive(Debug, Args)]
pub(crate) struct ShardCommand {
    /// The shard: a Parquet file of a data folder.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints the report; damaged bytes are an error.
pub(crate) fn run(command: &ShardCommand) -> anyhow::Result<Exit> {
    let report = ShardReport::read(&command.file).map_err(anyhow::Error::msg)?;
    report::print(&report, command.json, human)?;
    Ok(if report.damaged_blocks.is_empty() && report.index_failure.is_none() { Exit::Found } else { Exit::Partial })
}

fn human(report: &ShardReport) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let rows = report.rows.max(1) as f64;
    let each = |bytes: u64| bytes as f64 / rows;
    writeln!(out, "{} {} of tenant {}, format {}", report.rows, report.signal, report.tenant, report.format)?;
    writeln!(out, "id {}, seals {}, records {} to {}", report.id, report.origins, report.record_min, report.record_max)?;
    writeln!(out, "time {} to {}", time(report.time_min), time(report.time_max))?;
    writeln!(out, "{} bytes, {:.2} a record, in {} row groups\n", report.bytes, each(report.bytes), report.row_groups)?;
    let width = report.columns.iter().map(|column| column.name.len()).max().unwrap_or(0).max("column".len());
    writeln!(out, "{:width$}  {:>10}  {:>8}  {:>6}  {:>5}  type, encodings", "column", "bytes", "a record", "packed", "pages")?;
    for ColumnReport { name, kind, encodings, bytes, encoded_bytes, pages } in &report.columns {
        let packed = *encoded_bytes as f64 / (*bytes).max(1) as f64;
        let encodings = encodings.join(" ");
        writeln!(out, "{name:width$}  {bytes:>10}  {:>8.3}  {packed:>5.1}x  {pages:>5}  {kind} {encodings}", each(*bytes))?;
    }
    let columns: u64 = report.columns.iter().map(|column| column.bytes).sum();
    writeln!(out, "{:width$}  {columns:>10}  {:>8.3}\n", "all columns", each(columns))?;
    for (name, bytes) in &report.index {
        writeln!(out, "{:width$}  {bytes:>10}  {:>8.3}", format!("index {}", part(name)), each(*bytes))?;
    }
    let index: u64 = report.index.iter().map(|(_, bytes)| bytes).sum();
    writeln!(out, "{:width$}  {index:>10}  {:>8.3}", "all of the index", each(index))?;
    writeln!(out, "{:width$}  {:>10}  {:>8.3}\n", "page indexes and footer", report.tail_bytes, each(report.tail_bytes))?;
    writeln!(out, "{} words, {} of them frequent: without rows", report.words, report.words_frequent)?;
    writeln!(out, "{} entries of the index of pages: ids, values of fields, numbers", report.page_entries)?;
    if let Some(failure) = &report.index_failure {
        writeln!(out, "the index cannot be used: {failure}")?;
    }
    match report.damaged_blocks.as_slice() {
        [] => writeln!(out, "checksums: all {} blocks match; the tail's is {:08x}", report.blocks, report.tail_crc32)?,
        damaged => writeln!(out, "checksums: {} of {} blocks are DAMAGED, at bytes {damaged:?}", damaged.len(), report.blocks)?,
    }
    Ok(out)
}

/// tantivy names its files after the segment; what they hold is in the ending.
fn part(name: &str) -> &str {
    name.rsplit_once('.').filter(|(_, ending)| *ending != "json").map_or(name, |(_, ending)| ending)
}

fn time(nanos: u64) -> String {
    i64::try_from(nanos)
        .ok()
        .and_then(|nanos| jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok())
        .map_or_else(|| format!("{nanos} ns"), |time| format!("{time:.9}"))
}
