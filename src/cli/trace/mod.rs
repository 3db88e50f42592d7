//! `needle trace`: the journey of an id as a waterfall.

mod bar;
mod waterfall;

use clap::{Args, ValueEnum};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::arguments::{Format, OutputArguments, ServerArguments};
use super::client::Client;
use super::grep::request::{Columns, entries, entry_line};
use super::output::{Mark, Printer, verdict};
use super::wire::{Completeness, Journey};
use super::{Exit, terminal};
use waterfall::{Look, Waterfall};

/// Show the whole journey of any id as a waterfall
#[derive(Debug, Args)]
#[command(after_long_help = "Inferred parts are marked: `·` and (logs only) for services that sent no span, with the reason.
Times are as the services' own clocks had them; --corrected applies the estimated offsets.

Examples:
  needle trace 4bf92f3577b34da6a3ce929d0e0e4736
  needle trace 7F3A9C1E-12ab-4cde-8f00-00aa00bb00cc --critical --logs=errors
  needle grep 'level:error' -l | head -1 | xargs needle trace

Exit codes: 0 found, 1 nothing carries the id, 2 error or a partial answer without --allow-partial, 3 timed out.")]
pub(crate) struct TraceCommand {
    /// A trace id, a request id, a correlation id: in any spelling.
    id: String,
    /// Mark the (estimated) critical path.
    #[arg(long)]
    critical: bool,
    /// Which logs to print under their spans.
    #[arg(long, value_enum, default_value_t, num_args = 0..=1, require_equals = true, default_missing_value = "all", value_name = "WHICH")]
    logs: Logs,
    /// Print records one after the other in time order instead of a tree.
    #[arg(long)]
    flat: bool,
    /// Times as the services' clocks had them (the default).
    #[arg(long, conflicts_with = "corrected")]
    raw_clock: bool,
    /// Times moved by the estimated offsets of the clocks.
    #[arg(long)]
    corrected: bool,
    /// Leave out what is placed by inference.
    #[arg(long)]
    no_inferred: bool,
    /// Columns; those of the terminal, or 80 in a pipe.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
    /// Draw with ASCII characters only.
    #[arg(long)]
    ascii: bool,
    /// Exit with 0 also when the journey is partial.
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Which logs a waterfall shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Logs {
    /// All of them.
    #[default]
    All,
    /// Severity error and above.
    Errors,
    /// None.
    None,
}

/// Runs it.
pub(crate) fn run(command: &TraceCommand) -> anyhow::Result<Exit> {
    let client = Client::new(&command.server);
    let options = [("inferred", (!command.no_inferred).to_string()), ("corrected", command.corrected.to_string())];
    let Some((journey, pages)) = client.journey(command.id.trim(), &options)? else {
        command.output.note(&format!("nothing carries the id {}", command.id.trim()));
        return Ok(Exit::Nothing);
    };
    let mut printer = Printer::new(&command.output)?;
    if command.output.quiet {
        return Ok(verdict(true, &journey.completeness, command.allow_partial));
    }
    match command.output.format() {
        Format::Json => print_json(&mut printer, &command.output, pages)?,
        Format::Human if command.flat => print_flat(&mut printer, &journey)?,
        Format::Human => {
            let look = Look {
                columns: command.width.unwrap_or_else(terminal::columns),
                ascii: command.ascii || !speaks_utf8(),
                critical: command.critical,
                logs: command.logs,
                corrected: command.corrected,
            };
            let zone = printer.zone().clone();
            for line in Waterfall::new(&journey, look, printer.paint(), &zone).lines()? {
                printer.output.line(&line)?;
            }
        }
        Format::Csv | Format::Logfmt | Format::Raw => {
            for entry in entries(&journey)? {
                printer.record(&entry.raw, Mark::None)?;
            }
        }
    }
    printer.flush()?;
    Ok(outcome(&journey.completeness, command.allow_partial))
}

/// As [`verdict`], but silent: what is missing stands in the first line already.
fn outcome(completeness: &Completeness, allow_partial: bool) -> Exit {
    if completeness.is_partial() && !allow_partial { Exit::Partial } else { Exit::Found }
}

/// Whether the locale says that the terminal understands UTF-8. A locale that says nothing is taken to.
fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8") || !locale.contains('.') && locale != "c" && locale != "posix"
    })
}

/// One object on one line, with the nodes of all pages.
fn print_json(printer: &mut Printer, arguments: &OutputArguments, pages: Vec<Box<RawValue>>) -> anyhow::Result<()> {
    let json = match <[_; 1]>::try_from(pages) {
        Ok([page]) => page.get().to_owned(),
        Err(pages) => joined(&pages)?,
    };
    let json = if arguments.fields.is_empty() {
        json
    } else {
        let whole: Map<String, Value> = serde_json::from_str(&json)?;
        serde_json::to_string(&whole.into_iter().filter(|(key, _)| arguments.fields.contains(key)).collect::<Map<_, _>>())?
    };
    let json = if printer.output.terminal { terminal::visible_json(&json) } else { json.as_str().into() };
    Ok(printer.output.line(&json)?)
}

fn joined(pages: &[Box<RawValue>]) -> anyhow::Result<String> {
    let mut whole: Map<String, Value> = Map::new();
    for page in pages {
        let mut page: Map<String, Value> = serde_json::from_str(page.get())?;
        page.remove("next_cursor");
        // What a later page could not read is missing from the whole.
        if let Some(completeness) = page.get("completeness").filter(|completeness| completeness["state"] == "partial") {
            whole.insert("completeness".to_owned(), completeness.clone());
        }
        match (whole.get_mut("nodes"), page.get_mut("nodes")) {
            (Some(Value::Array(nodes)), Some(Value::Array(more))) => append(nodes, more),
            _ => whole = page,
        }
    }
    Ok(serde_json::to_string(&whole)?)
}

/// Adds the nodes of the next page. A node with very many logs goes on there as the first.
fn append(nodes: &mut Vec<Value>, more: &mut Vec<Value>) {
    let goes_on = nodes.last().zip(more.first()).is_some_and(|(last, first)| last["node_id"] == first["node_id"]);
    if goes_on {
        let mut first = more.remove(0);
        if let (Some(Value::Array(logs)), Some(Value::Array(further))) =
            (nodes.last_mut().and_then(|last| last.get_mut("logs")), first.get_mut("logs"))
        {
            logs.append(further);
        }
    }
    nodes.append(more);
}

fn print_flat(printer: &mut Printer, journey: &Journey) -> anyhow::Result<()> {
    let words = terminal::visible(&journey.completeness.words()).into_owned();
    printer.aside(&words)?;
    let entries = entries(journey)?;
    let wide = Columns::of(&entries, journey.start);
    for entry in &entries {
        let line = entry_line(printer, entry, journey.start, Mark::Context, wide);
        printer.aside(&line)?;
    }
    Ok(())
}
