//! Tables of answers, in every format.

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::Exit;
use super::arguments::{Format, OutputArguments};
use super::output::{clock, commas, csv_row, logfmt_pairs, shown, verdict};
use super::terminal::{continued, visible_json, width};
use super::time::human_duration;
use super::wire::{Completeness, plain};

/// An answer that is a table.
#[derive(Debug, Deserialize)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    #[serde(default)]
    completeness: Completeness,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Column {
    name: String,
    r#type: String,
}

impl Table {
    /// Prints it as the flags say; how the command ends.
    pub(crate) fn print(self, arguments: &OutputArguments, allow_partial: bool) -> anyhow::Result<Exit> {
        let table = self.with_columns(&arguments.fields)?;
        let mut output = arguments.stdout()?;
        if !arguments.quiet {
            for line in table.lines(arguments.format(), &arguments.timezone, output.terminal)? {
                output.line(&line)?;
            }
        }
        output.flush()?;
        table.notes.iter().for_each(|note| arguments.note(&shown(note)));
        Ok(verdict(!table.rows.is_empty(), &table.completeness, allow_partial))
    }

    /// Only these columns, in this order; all where none is named.
    fn with_columns(mut self, names: &[String]) -> anyhow::Result<Table> {
        if names.is_empty() {
            return Ok(self);
        }
        let mut places = Vec::with_capacity(names.len());
        for name in names {
            let place = self.columns.iter().position(|column| column.name == *name);
            let known = || self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
            places.push(place.with_context(|| format!("--fields: there is no column {name:?} in the answer, only {}", known()))?);
        }
        if self.rows.iter().any(|row| row.len() != self.columns.len()) {
            bail!("the answer has rows of other lengths than its columns: is --url a needle server?");
        }
        self.columns = places.iter().map(|place| self.columns[*place].clone()).collect();
        self.rows = self.rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect();
        Ok(self)
    }

    fn lines(&self, format: Format, zone: &TimeZone, terminal: bool) -> anyhow::Result<Vec<String>> {
        let names = || self.columns.iter().map(|column| column.name.clone());
        let cells = |row: &Vec<Value>| row.iter().map(text).collect::<Vec<_>>();
        let lines = match format {
            Format::Human => return Ok(self.aligned(zone)),
            Format::Json => return self.rows.iter().map(|row| self.object(row, terminal)).collect(),
            Format::Raw => self.rows.iter().map(|row| continued(&cells(row).join("\t")).into_owned()).collect(),
            Format::Csv => std::iter::once(csv_row(names())).chain(self.rows.iter().map(|row| csv_row(cells(row)))).collect(),
            Format::Logfmt => {
                let pairs = |row: &Vec<Value>| {
                    names().zip(row).filter(|(_, cell)| !cell.is_null()).map(|(name, cell)| (name, text(cell))).collect::<Vec<_>>()
                };
                self.rows.iter().map(|row| logfmt_pairs(pairs(row))).collect::<Vec<_>>()
            }
        };
        Ok(lines.into_iter().map(|line| if terminal { shown(&line) } else { line }).collect())
    }

    /// A row as a JSON object, its keys in the order of the columns.
    fn object(&self, row: &[Value], terminal: bool) -> anyhow::Result<String> {
        let entries = self.columns.iter().zip(row).map(|(column, cell)| Ok(format!("{}:{cell}", serde_json::to_string(&column.name)?)));
        let json = format!("{{{}}}", entries.collect::<anyhow::Result<Vec<_>>>()?.join(","));
        Ok(if terminal { visible_json(&json).into_owned() } else { json })
    }

    /// Columns as wide as they need to be; numbers to the right.
    fn aligned(&self, zone: &TimeZone) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let header = self.columns.iter().map(|column| shown(&column.name).to_uppercase()).collect();
        let rows = self.rows.iter().map(|row| self.columns.iter().zip(row).map(|(column, cell)| column.shown(cell, zone)).collect());
        let all: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        let wide = |place: usize| all.iter().filter_map(|cells| cells.get(place)).map(|cell| width(cell)).max().unwrap_or(0);
        let wide: Vec<usize> = (0..self.columns.len()).map(wide).collect();
        let padded = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&self.columns).zip(&wide).map(|((cell, column), wide)| {
                let padding = " ".repeat(wide - width(cell));
                if column.is_number() { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        all.iter().map(padded).collect()
    }
}

impl Column {
    fn is_number(&self) -> bool {
        matches!(self.r#type.as_str(), "int" | "uint" | "double" | "duration")
    }

    /// A cell for reading.
    fn shown(&self, cell: &Value, zone: &TimeZone) -> String {
        match (self.r#type.as_str(), cell) {
            (_, Value::Null) => "-".to_owned(),
            ("duration", Value::Number(nanos)) => {
                nanos.as_f64().map_or_else(|| nanos.to_string(), |nanos| human_duration(nanos.round() as i64))
            }
            ("timestamp", Value::String(time)) => time.parse::<Timestamp>().map_or_else(|_| shown(time), |time| clock(time, zone)),
            (_, Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => commas(number),
                (None, Some(number)) => format!("-{}", commas(number.unsigned_abs())),
                (None, None) => rounded(number.as_f64().unwrap_or(f64::NAN)),
            },
            (_, cell) => shown(&text(cell)),
        }
    }
}

/// A number with no more digits than people read; `-o json` has all of them.
fn rounded(number: f64) -> String {
    let digits = if number.abs() < 1.0 { 6 } else { 3 };
    let text = format!("{number:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A cell as text; of what is not there, nothing.
fn text(cell: &Value) -> String {
    if cell.is_null() { String::new() } else { plain(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        serde_json::from_str(
            r#"{"columns":[{"name":"time","type":"timestamp"},{"name":"service","type":"string"},{"name":"count","type":"int"},
                           {"name":"p95(duration)","type":"duration"},{"name":"rate","type":"double"}],
                "rows":[["2026-01-05T10:00:00.000000000Z","till\u001b[31m",48112,1838000000.4,0.5],
                        ["2026-01-05T10:01:00.000000000Z",null,-7,null,123.45678]],
                "completeness":{"state":"complete","reasons":[]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_table_in_every_format() {
        let text = |format| table().lines(format, &TimeZone::UTC, true).unwrap().join("\n");
        insta::assert_snapshot!(text(Format::Human), @r"
        TIME                            SERVICE        COUNT  P95(DURATION)     RATE
        2026-01-05 10:00:00.000 +00:00  till\x1b[31m  48,112          1.84s      0.5
        2026-01-05 10:01:00.000 +00:00  -                 -7              -  123.457
        ");
        insta::assert_snapshot!(text(Format::Csv), @r"
        time,service,count,p95(duration),rate
        2026-01-05T10:00:00.000000000Z,till\x1b[31m,48112,1838000000.4,0.5
        2026-01-05T10:01:00.000000000Z,,-7,,123.45678
        ");
        insta::assert_snapshot!(text(Format::Logfmt), @r#"
        time=2026-01-05T10:00:00.000000000Z service="till\x1b[31m" count=48112 p95(duration)=1838000000.4 rate=0.5
        time=2026-01-05T10:01:00.000000000Z count=-7 rate=123.45678
        "#);
        let json: Value = serde_json::from_str(text(Format::Json).lines().nth(1).unwrap()).unwrap();
        assert_eq!((&json["count"], &json["service"]), (&Value::from(-7), &Value::Null));
    }

    #[test]
    fn columns_can_be_chosen() {
        let chosen = table().with_columns(&["count".to_owned(), "time".to_owned()]).unwrap();
        assert_eq!(chosen.lines(Format::Csv, &TimeZone::UTC, false).unwrap()[1], "48112,2026-01-05T10:00:00.000000000Z");
        let error = table().with_columns(&["cuont".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("cuont") && error.contains("service"), "{error}");
    }
}
