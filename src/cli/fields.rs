//! `needle fields`: which fields records have, and the values of one.

use anyhow::Context;
use clap::Args;
use jiff::Zoned;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Exit;
use super::arguments::{Format, OutputArguments, ServerArguments, TimeArguments};
use super::client::{Client, Parameters, path_segment};
use super::output::{commas, csv_row, logfmt_pairs, shown, verdict};
use super::terminal::{continued, visible_json, width};
use super::wire::{FieldValues, Fields};

/// List fields, or the most frequent values of one, with counts
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  needle fields\n  needle fields http.route --since 1h\n  needle fields service --query level:error --json"
)]
pub(crate) struct FieldsCommand {
    /// The field whose values to list, in any of its names: service, level, http.route.
    name: Option<String>,
    /// Only of records that match, in the query language.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// Only values that begin so.
    #[arg(long, value_name = "TEXT", requires = "name")]
    prefix: Option<String>,
    /// At most so many values.
    #[arg(long, value_name = "N", requires = "name")]
    limit: Option<usize>,
    /// Exit with 0 or 1 also when the answer is partial.
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Runs it.
pub(crate) fn run(command: &FieldsCommand) -> anyhow::Result<Exit> {
    let now = Zoned::now().with_time_zone(command.output.timezone.clone());
    let mut parameters = command.time.range(&now)?.parameters();
    parameters.extend(command.query.clone().map(|query| ("q", query)));
    let client = Client::new(&command.server);
    match &command.name {
        None => list_fields(command, &client, &parameters),
        Some(name) => list_values(command, &client, name, parameters),
    }
}

fn list_fields(command: &FieldsCommand, client: &Client, parameters: &Parameters) -> anyhow::Result<Exit> {
    let answer: Fields = ask(client, "/api/v1/fields", parameters)?;
    print::<Field>(command, &answer.fields)?;
    if answer.more {
        command.output.note("there are more fields than are listed: narrow them with --query or --since");
    }
    Ok(verdict(!answer.fields.is_empty(), &answer.completeness, command.allow_partial))
}

fn list_values(command: &FieldsCommand, client: &Client, name: &str, mut parameters: Parameters) -> anyhow::Result<Exit> {
    parameters.extend(command.prefix.clone().map(|prefix| ("prefix", prefix)));
    parameters.extend(command.limit.map(|limit| ("limit", limit.to_string())));
    let answer: FieldValues = ask(client, &format!("/api/v1/fields/{}/values", path_segment(name)), &parameters)?;
    print::<FieldValue>(command, &answer.values)?;
    if answer.other > 0 {
        command.output.note(&format!("{} more records have other values (--limit shows more)", commas(answer.other)));
    }
    if !answer.exact {
        command.output.note("there are too many values to keep apart: some may be missing; narrow them with --query or --since");
    }
    Ok(verdict(!answer.values.is_empty(), &answer.completeness, command.allow_partial))
}

fn ask<T: serde::de::DeserializeOwned>(client: &Client, path: &str, parameters: &Parameters) -> anyhow::Result<T> {
    client.get(path, parameters)?.with_context(|| format!("{} does not know {path}: is it an older needle?", client.url()))
}

/// A line of the answer, whatever it lists.
trait Row: for<'de> Deserialize<'de> {
    const HEADER: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    r#type: String,
    count: u64,
    #[serde(default)]
    place: String,
}

#[derive(Debug, Deserialize)]
struct FieldValue {
    value: String,
    count: u64,
}

impl Row for Field {
    const HEADER: &'static [&'static str] = &["name", "type", "place", "count"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.r#type.clone(), self.place.clone(), self.count.to_string()]
    }
}

impl Row for FieldValue {
    const HEADER: &'static [&'static str] = &["value", "count"];

    fn cells(&self) -> Vec<String> {
        vec![self.value.clone(), self.count.to_string()]
    }
}

fn print<R: Row>(command: &FieldsCommand, rows: &[Box<RawValue>]) -> anyhow::Result<()> {
    let mut output = command.output.stdout()?;
    if !command.output.quiet {
        for line in lines::<R>(rows, command.output.format(), output.terminal)? {
            output.line(&line)?;
        }
    }
    Ok(output.flush()?)
}

fn lines<R: Row>(rows: &[Box<RawValue>], format: Format, terminal: bool) -> anyhow::Result<Vec<String>> {
    if format == Format::Json {
        return Ok(rows.iter().map(|raw| if terminal { visible_json(raw.get()).into_owned() } else { raw.get().to_owned() }).collect());
    }
    let rows = rows.iter().map(|raw| Ok(serde_json::from_str::<R>(raw.get())?.cells())).collect::<anyhow::Result<Vec<_>>>()?;
    let header = R::HEADER.iter().map(|name| (*name).to_owned());
    let lines = match format {
        Format::Human | Format::Json => return Ok(table(R::HEADER, &rows)),
        Format::Raw => rows.into_iter().map(|mut cells| continued(&cells.swap_remove(0)).into_owned()).collect::<Vec<_>>(),
        Format::Csv => std::iter::once(csv_row(header)).chain(rows.into_iter().map(csv_row)).collect(),
        Format::Logfmt => rows.into_iter().map(|cells| logfmt_pairs(header.clone().zip(cells))).collect(),
    };
    Ok(lines.into_iter().map(|line| if terminal { shown(&line) } else { line }).collect())
}

/// Columns as wide as they need to be; the count, which is the last, to the right.
fn table(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let count = header.len() - 1;
    let cell = |column: usize, text: &str| if column == count { commas(text.parse().unwrap_or(0)) } else { shown(text) };
    let shown_rows = rows.iter().map(|cells| cells.iter().enumerate().map(|(column, text)| cell(column, text)).collect());
    let all: Vec<Vec<String>> = std::iter::once(header.iter().map(|name| name.to_uppercase()).collect()).chain(shown_rows).collect();
    let wide: Vec<usize> = (0..=count).map(|column| all.iter().map(|cells| width(&cells[column])).max().unwrap_or(0)).collect();
    let padded = |cells: &Vec<String>| {
        let cells = cells.iter().enumerate().map(|(column, cell)| {
            let padding = " ".repeat(wide[column] - width(cell));
            if column == count { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    all.iter().map(padded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_every_format() {
        let rows: Vec<Box<RawValue>> = serde_json::from_str(
            r#"[{"name":"service","type":"string","place":"record","count":48112,"types":[]},
                {"name":"a \u001b[31mb","type":"int","place":"attribute","count":7,"types":[]}]"#,
        )
        .unwrap();
        let text = |format| lines::<Field>(&rows, format, true).unwrap().join("\n");
        insta::assert_snapshot!(text(Format::Human), @r"
        NAME         TYPE    PLACE       COUNT
        service      string  record     48,112
        a \x1b[31mb  int     attribute       7
        ");
        insta::assert_snapshot!(text(Format::Csv), @r"
        name,type,place,count
        service,string,record,48112
        a \x1b[31mb,int,attribute,7
        ");
        insta::assert_snapshot!(text(Format::Logfmt), @r#"
        name=service type=string place=record count=48112
        name="a \x1b[31mb" type=int place=attribute count=7
        "#);
        assert_eq!(lines::<Field>(&rows, Format::Raw, false).unwrap(), ["service", "a \u{1b}[31mb"]);
        assert_eq!(text(Format::Json).lines().count(), 2, "as they came: {}", text(Format::Json));
    }

    #[test]
    fn nothing_is_no_table() {
        assert_eq!(lines::<FieldValue>(&[], Format::Human, true).unwrap(), Vec::<String>::new());
    }
}
