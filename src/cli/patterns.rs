//! `needle patterns`: what log messages have in common.

use anyhow::Context;
use clap::Args;
use jiff::Zoned;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::arguments::{Format, OutputArguments, ServerArguments, TimeArguments};
use super::client::{Client, Parameters};
use super::output::{HIT, commas, csv_row, logfmt_pairs, shown, verdict};
use super::terminal::{Output, Paint, continued, visible_json, width};
use super::wire::Patterns;
use super::{Exit, time};

/// List what log messages have in common, with counts over time
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  needle patterns level:error --since 1h
  needle patterns service:payments --new 15m
  needle grep 'service:payments | patterns'")]
pub(crate) struct PatternsCommand {
    /// Only of logs that match, in the query language.
    query: Vec<String>,
    /// Only patterns of which no record is from before this time: 15m, "yesterday 14:00". All that is searched counts as before.
    #[arg(long, value_name = "TIME")]
    new: Option<String>,
    /// At most so many patterns: the most frequent.
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

/// Runs it.
pub(crate) fn run(command: &PatternsCommand) -> anyhow::Result<Exit> {
    let now = Zoned::now().with_time_zone(command.output.timezone.clone());
    let mut parameters = command.time.range(&now)?.parameters();
    let new = command.new.as_deref().map(|text| time::parse_time(text, &now).context("--new")).transpose()?;
    parameters.extend(new.map(|time| ("since", time.to_string())));
    parameters.extend(command.limit.map(|limit| ("limit", limit.to_string())));
    parameters.push(("q", command.query.join(" ")));
    print(&Client::new(&command.server), &parameters, &command.output, command.allow_partial)
}

/// The query before a `| patterns` at its end.
pub(crate) fn piped(query: &str) -> Option<&str> {
    query.trim_end().strip_suffix("patterns")?.trim_end().strip_suffix('|').map(str::trim_end)
}

/// Asks for patterns and prints them.
pub(crate) fn print(client: &Client, parameters: &Parameters, arguments: &OutputArguments, allow_partial: bool) -> anyhow::Result<Exit> {
    const PATH: &str = "/api/v1/patterns";
    let answer: Patterns =
        client.get(PATH, parameters)?.with_context(|| format!("{} does not know {PATH}: is it an older needle?", client.url()))?;
    let mut found =
        answer.patterns.iter().map(|raw| Ok((raw.as_ref(), serde_json::from_str(raw.get())?))).collect::<anyhow::Result<Vec<_>>>()?;
    if answer.new_total.is_some() {
        found.retain(|(_, pattern): &(&RawValue, Pattern)| pattern.new);
    }
    let total = answer.new_total.unwrap_or(answer.total);
    let mut output = arguments.stdout()?;
    if !arguments.quiet {
        for line in lines(&found, arguments.format(), &output) {
            output.line(&line)?;
        }
    }
    output.flush()?;
    let left = total.saturating_sub(found.len() as u64);
    if left > 0 {
        arguments.note(&format!("{} more patterns (--limit shows more)", commas(left)));
    }
    if answer.beyond > 0 {
        let beyond = commas(answer.beyond);
        arguments.note(&format!("{beyond} records are left out: there are too many different messages to keep apart; narrow the query"));
    }
    Ok(verdict(!found.is_empty(), &answer.completeness, allow_partial))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pattern {
    pattern: String,
    count: u64,
    first: String,
    last: String,
    new: bool,
    services: Vec<NamedCount>,
    levels: Vec<NamedCount>,
    buckets: Vec<u64>,
}

#[derive(Debug, Deserialize)]
struct NamedCount {
    name: String,
    count: u64,
}

fn lines(found: &[(&RawValue, Pattern)], format: Format, output: &Output) -> Vec<String> {
    let header = || values(&Pattern::default()).into_iter().map(|(name, _)| name.to_owned());
    let lines: Vec<String> = match format {
        Format::Json => {
            let json = |raw: &RawValue| if output.terminal { visible_json(raw.get()).into_owned() } else { raw.get().to_owned() };
            return found.iter().map(|(raw, _)| json(raw)).collect();
        }
        Format::Human => return table(found.iter().map(|(_, pattern)| pattern), output.paint),
        Format::Raw => found.iter().map(|(_, pattern)| continued(&pattern.pattern).into_owned()).collect(),
        Format::Csv => {
            let rows = found.iter().map(|(_, pattern)| csv_row(values(pattern).into_iter().map(|(_, value)| value)));
            std::iter::once(csv_row(header())).chain(rows).collect()
        }
        Format::Logfmt => {
            let pairs = |pattern| values(pattern).into_iter().map(|(name, value)| (name.to_owned(), value));
            found.iter().map(|(_, pattern)| logfmt_pairs(pairs(pattern))).collect()
        }
    };
    lines.into_iter().map(|line| if output.terminal { shown(&line) } else { line }).collect()
}

fn values(pattern: &Pattern) -> [(&'static str, String); 7] {
    let named = |counts: &[NamedCount]| counts.iter().map(|one| format!("{}:{}", one.name, one.count)).collect::<Vec<_>>().join(" ");
    [
        ("pattern", pattern.pattern.clone()),
        ("count", pattern.count.to_string()),
        ("first", pattern.first.clone()),
        ("last", pattern.last.clone()),
        ("new", pattern.new.to_string()),
        ("services", named(&pattern.services)),
        ("levels", named(&pattern.levels)),
    ]
}

/// Columns as wide as they need to be: how many, when, the worst level, who, what.
fn table<'p>(patterns: impl Iterator<Item = &'p Pattern>, paint: Paint) -> Vec<String> {
    let rows: Vec<(bool, [String; 5])> = patterns.map(|pattern| (is_error(pattern), cells(pattern))).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let header = ["COUNT", "OVER TIME", "LEVEL", "SERVICE", "PATTERN"].map(str::to_owned);
    let wide: [usize; 5] =
        std::array::from_fn(|column| rows.iter().map(|(_, row)| row).chain([&header]).map(|row| width(&row[column])).max().unwrap_or(0));
    let line = |row: &[String; 5], is_error: bool| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let padding = " ".repeat(wide[column] - width(cell));
            match column {
                0 => format!("{padding}{cell}"),
                2 if is_error => format!("{}{padding}", paint.on(HIT, cell)),
                _ => format!("{cell}{padding}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(line(&header, false)).chain(rows.iter().map(|(is_error, row)| line(row, *is_error))).collect()
}

fn is_error(pattern: &Pattern) -> bool {
    pattern.levels.last().is_some_and(|worst| matches!(worst.name.as_str(), "error" | "fatal"))
}

fn cells(pattern: &Pattern) -> [String; 5] {
    let level = pattern.levels.last().map_or("-".to_owned(), |worst| shown(&worst.name));
    let service = pattern.services.first().map_or_else(String::new, |most| shown(&most.name));
    let more = pattern.services.len().saturating_sub(1);
    let service = if more > 0 { format!("{service} +{more}") } else { service };
    [commas(pattern.count), sparkline(&pattern.buckets), level, service, shown(&pattern.pattern)]
}

/// A bar for each bucket, the highest for the largest.
fn sparkline(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: u64| match count {
        0 => ' ',
        _ => BARS[(u128::from(count - 1) * BARS.len() as u128 / u128::from(most)) as usize],
    };
    counts.iter().map(|count| bar(*count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_in_every_format() {
        let rows: Vec<Box<RawValue>> = serde_json::from_str(
            r#"[{"pattern":"user <*> logged in from <ip>","count":4811,"first":"2026-11-20T14:00:00Z","last":"2026-11-20T15:00:00Z",
                 "new":false,"services":[{"name":"web","count":4000},{"name":"cart","count":811}],
                 "levels":[{"name":"info","count":4811}],"buckets":[0,1,2400,2410],"samples":[]},
                {"pattern":"\u001b[31mfell","count":7,"new":true,"services":[{"name":"db","count":7}],"levels":[{"name":"error","count":7}],"buckets":[0,0,0,7]}]"#,
        )
        .unwrap();
        let found: Vec<_> = rows.iter().map(|raw| (raw.as_ref(), serde_json::from_str(raw.get()).unwrap())).collect();
        let mut output = Output::memory().0;
        output.terminal = true;
        let text = |format| lines(&found, format, &output).join("\n");
        insta::assert_snapshot!(text(Format::Human), @r#"
        COUNT  OVER TIME  LEVEL  SERVICE  PATTERN
        4,811   ▁██       info   web +1   user <*> logged in from <ip>
            7     ▇       error  db       \x1b[31mfell
        "#);
        insta::assert_snapshot!(text(Format::Csv), @r#"
        pattern,count,first,last,new,services,levels
        user <*> logged in from <ip>,4811,2026-11-20T14:00:00Z,2026-11-20T15:00:00Z,false,web:4000 cart:811,info:4811
        \x1b[31mfell,7,,,true,db:7,error:7
        "#);
        insta::assert_snapshot!(text(Format::Logfmt), @r#"
        pattern="user <*> logged in from <ip>" count=4811 first=2026-11-20T14:00:00Z last=2026-11-20T15:00:00Z new=false services="web:4000 cart:811" levels=info:4811
        pattern="\x1b[31mfell" count=7 first="" last="" new=true services=db:7 levels=error:7
        "#);
        assert_eq!(text(Format::Raw), "user <*> logged in from <ip>\n\\x1b[31mfell");
        assert_eq!(lines(&[], Format::Human, &output), Vec::<String>::new());
    }

    #[test]
    fn a_pipe_at_the_end_is_seen() {
        assert_eq!(piped("a b | patterns "), Some("a b"));
        assert_eq!(piped("|patterns"), Some(""));
        assert_eq!(piped("patterns"), None);
    }
}
