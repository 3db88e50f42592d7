//! `needle compare`: which values tell records from others.

use anyhow::Context;
use clap::Args;
use jiff::Zoned;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Exit;
use super::arguments::{Format, OutputArguments, ServerArguments, TimeArguments};
use super::client::Client;
use super::output::{commas, csv_row, logfmt_pairs, shown, verdict};
use super::terminal::{continued, visible_json, width};
use super::wire::Compared;

/// List which values of which fields tell matching records from all others
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  needle compare status:error --since 1h
  needle compare 'duration>2s' --baseline 'name:\"GET /cart\"'
  needle compare version:1.8.0 --baseline version:1.7.4 --json")]
pub(crate) struct CompareCommand {
    /// The records, in the query language.
    #[arg(required = true)]
    query: Vec<String>,
    /// What to compare them with; all others unless told otherwise.
    #[arg(long, value_name = "QUERY")]
    baseline: Option<String>,
    /// At most so many fields: those that differ most.
    #[arg(long, value_name = "N")]
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

/// Values of one field that people are shown.
const VALUES_SHOWN: usize = 3;

/// Runs it.
pub(crate) fn run(command: &CompareCommand) -> anyhow::Result<Exit> {
    const PATH: &str = "/api/v1/compare";
    let now = Zoned::now().with_time_zone(command.output.timezone.clone());
    let mut parameters = command.time.range(&now)?.parameters();
    parameters.push(("q", command.query.join(" ")));
    parameters.extend(command.baseline.clone().map(|query| ("baseline", query)));
    parameters.extend(command.limit.map(|limit| ("limit", limit.to_string())));
    let client = Client::new(&command.server);
    let answer: Compared =
        client.get(PATH, &parameters)?.with_context(|| format!("{} does not know {PATH}: is it an older needle?", client.url()))?;
    let mut output = command.output.stdout()?;
    if !command.output.quiet {
        for line in lines(&answer.fields, command.output.format(), output.terminal)? {
            output.line(&line)?;
        }
    }
    output.flush()?;
    notes(command, &answer);
    Ok(verdict(!answer.fields.is_empty(), &answer.completeness, command.allow_partial))
}

fn notes(command: &CompareCommand, answer: &Compared) {
    let (selected, baseline) = (commas(answer.selected_total), commas(answer.baseline_total));
    command.output.note(&format!("{selected} records compared with {baseline}"));
    let left = answer.total.saturating_sub(answer.fields.len() as u64);
    if left > 0 {
        command.output.note(&format!("{} more fields differ (--limit shows more)", commas(left)));
    }
    let mut skipped = answer.skipped.as_slice();
    while let Some(first) = skipped.first() {
        let (same, rest) = skipped.split_at(skipped.partition_point(|one| one.reason <= first.reason));
        let names: Vec<String> = same.iter().map(|one| shown(&one.field)).collect();
        command.output.note(&format!("left out: {} ({})", names.join(", "), shown(&first.reason)));
        skipped = rest;
    }
    if answer.more {
        command.output.note("there are more fields than are looked at: narrow the queries");
    }
}

#[derive(Debug, Deserialize)]
struct Field {
    field: String,
    values: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Value {
    value: Option<String>,
    selected: u64,
    selected_total: u64,
    baseline: u64,
    baseline_total: u64,
    score: f64,
}

fn lines(fields: &[Box<RawValue>], format: Format, terminal: bool) -> anyhow::Result<Vec<String>> {
    if format == Format::Json {
        return Ok(fields.iter().map(|raw| if terminal { visible_json(raw.get()).into_owned() } else { raw.get().to_owned() }).collect());
    }
    let fields = fields.iter().map(|raw| Ok(serde_json::from_str(raw.get())?)).collect::<anyhow::Result<Vec<Field>>>()?;
    let values = || fields.iter().flat_map(|field| field.values.iter().map(|value| cells(&field.field, value)));
    let header = HEADER.map(str::to_owned);
    let lines: Vec<String> = match format {
        Format::Human | Format::Json => return Ok(table(&fields)),
        Format::Raw => fields.iter().map(|field| continued(&field.field).into_owned()).collect(),
        Format::Csv => std::iter::once(csv_row(header)).chain(values().map(csv_row)).collect(),
        Format::Logfmt => values().map(|cells| logfmt_pairs(header.clone().into_iter().zip(cells))).collect(),
    };
    Ok(lines.into_iter().map(|line| if terminal { shown(&line) } else { line }).collect())
}

const HEADER: [&str; 7] = ["field", "value", "selected", "selected_total", "baseline", "baseline_total", "score"];

fn cells(field: &str, value: &Value) -> [String; 7] {
    [
        field.to_owned(),
        value.value.clone().unwrap_or_default(),
        value.selected.to_string(),
        value.selected_total.to_string(),
        value.baseline.to_string(),
        value.baseline_total.to_string(),
        value.score.to_string(),
    ]
}

/// Columns as wide as they need to be: the values of each field that differ most, their shares, and how many records these are.
fn table(fields: &[Field]) -> Vec<String> {
    if fields.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["FIELD", "VALUE", "SELECTED", "", "BASELINE", ""].map(str::to_owned)];
    for field in fields {
        for (at, value) in field.values.iter().take(VALUES_SHOWN).filter(|value| value.score != 0.0).enumerate() {
            rows.push([
                if at == 0 { shown(&field.field) } else { String::new() },
                value.value.as_deref().map_or("(absent)".to_owned(), shown),
                percent(value.selected, value.selected_total),
                commas(value.selected),
                percent(value.baseline, value.baseline_total),
                commas(value.baseline),
            ]);
        }
    }
    let wide: [usize; 6] = std::array::from_fn(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0));
    let line = |row: &[String; 6]| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let padding = " ".repeat(wide[column] - width(cell));
            if column < 2 { format!("{cell}{padding}") } else { format!("{padding}{cell}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}%", part as f64 * 100.0 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_in_every_format() {
        let fields: Vec<Box<RawValue>> = serde_json::from_str(
            r#"[{"field":"zone","score":0.7,"values":[
                  {"value":"eu-\u001b[1ma","selected":85,"selected_total":90,"baseline":20,"baseline_total":3000,"score":0.7},
                  {"value":null,"selected":0,"selected_total":90,"baseline":1000,"baseline_total":4000,"score":-0.2},
                  {"value":"b","selected":5,"selected_total":90,"baseline":0,"baseline_total":0,"score":0.0}]},
                {"field":"pod","score":0.1,"values":[{"value":"c","selected":1,"selected_total":9,"baseline":0,"baseline_total":9,"score":0.1}]}]"#,
        )
        .unwrap();
        let text = |format| lines(&fields, format, true).unwrap().join("\n");
        insta::assert_snapshot!(text(Format::Human), @r"
        FIELD  VALUE        SELECTED      BASELINE
        zone   eu-\x1b[1ma     94.4%  85      0.7%     20
               (absent)         0.0%   0     25.0%  1,000
        pod    c               11.1%   1      0.0%      0
        ");
        insta::assert_snapshot!(text(Format::Csv), @r"
        field,value,selected,selected_total,baseline,baseline_total,score
        zone,eu-\x1b[1ma,85,90,20,3000,0.7
        zone,,0,90,1000,4000,-0.2
        zone,b,5,90,0,0,0
        pod,c,1,9,0,9,0.1
        ");
        assert!(text(Format::Logfmt).starts_with(r"field=zone value="));
        assert_eq!(text(Format::Raw), "zone\npod");
        assert_eq!(text(Format::Json).lines().next().map(|line| line.starts_with(r#"{"field":"zone""#)), Some(true));
        assert_eq!(lines(&[], Format::Human, true).unwrap(), Vec::<String>::new());
    }
}
