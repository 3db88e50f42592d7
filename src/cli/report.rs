//! Printing what a command found out about files, whole.

use serde::Serialize;

use super::terminal::{Color, Output, visible_lines};

/// Prints a report: one JSON object, or as `human` puts it. Control characters in it are shown, not sent.
pub(crate) fn print<R: Serialize>(report: &R, json: bool, human: impl FnOnce(&R) -> Result<String, std::fmt::Error>) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string(report)? + "\n" } else { human(report)? };
    let mut output = Output::stdout(Color::Never);
    output.bytes(visible_lines(&text).as_bytes())?;
    Ok(output.flush()?)
}
