//! Flags that several commands share.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::terminal::{Color, Output};
use super::{terminal, time};

/// Which server, and how long to wait for it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArguments {
    /// The server's address.
    #[arg(long, env = "NEEDLE_URL", default_value = "http://127.0.0.1:7117", value_name = "URL")]
    pub(crate) url: String,
    /// A token to show to the server.
    #[arg(long, env = "NEEDLE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Give up after this time (exit code 3), as 30s or 2m.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// How data is printed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArguments {
    /// The format; it never changes because of a pipe.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Short for `-o json`: one object a line.
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Print only these fields, separated by commas.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// When to colour.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Show times in this zone: utc, local, Europe/Berlin, +01:00.
    #[arg(short = 'Z', long, default_value = "local", value_name = "ZONE", value_parser = parse_zone)]
    pub(crate) timezone: TimeZone,
    /// With `-o raw`: print to a terminal too, though it obeys what records say.
    #[arg(long)]
    yes: bool,
    /// Print nothing; the exit code says whether something was found.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl OutputArguments {
    /// The format asked for.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }

    /// Stdout, as these flags want it.
    pub(crate) fn stdout(&self) -> anyhow::Result<Output> {
        self.checked(Output::stdout(self.color))
    }

    /// Nothing may hold a terminal for a pipe unless that is meant.
    fn checked(&self, mut output: Output) -> anyhow::Result<Output> {
        if self.format() == Format::Raw && output.terminal && !self.quiet {
            if !self.yes {
                bail!("-o raw prints what records say as it is, and a terminal obeys it: add --yes if you mean it, or leave out -o raw");
            }
            output.terminal = false;
        }
        Ok(output)
    }

    /// Says something on stderr, unless quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            terminal::note(text);
        }
    }
}

/// A format of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading: one line per record.
    #[default]
    Human,
    /// The API's JSON, one object a line.
    Json,
    /// key=value pairs.
    Logfmt,
    /// Comma-separated values with a header.
    Csv,
    /// Bodies and span names as they are, the further lines of one indented; to a terminal only with --yes.
    Raw,
}

/// From when to when.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Time")]
pub(crate) struct TimeArguments {
    /// From this time on: 15m, 2d, 14:00, "yesterday 14:00", 2026-11-20T14:00, @1763650000.
    #[arg(short, long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Up to this time.
    #[arg(short, long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// A range of time, open where nothing is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TimeRange {
    /// Inclusive.
    pub(crate) start: Option<Timestamp>,
    /// Exclusive.
    pub(crate) end: Option<Timestamp>,
}

impl TimeArguments {
    /// The range in the time zone of `now`.
    pub(crate) fn range(&self, now: &Zoned) -> anyhow::Result<TimeRange> {
        let point = |flag: &str, text: &Option<String>| -> anyhow::Result<Option<Timestamp>> {
            text.as_deref().map(|text| time::parse_time(text, now).with_context(|| format!("--{flag}"))).transpose()
        };
        let range = TimeRange { start: point("since", &self.since)?, end: point("until", &self.until)? };
        if let (Some(start), Some(end)) = (range.start, range.end)
            && start > end
        {
            bail!("--until ({end}) lies before --since ({start}): exchange them");
        }
        Ok(range)
    }
}

impl TimeRange {
    /// As parameters of the API.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let point = |name, time: Option<Timestamp>| time.map(|time| (name, time.to_string()));
        [point("start", self.start), point("end", self.end)].into_iter().flatten().collect()
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    time::parse_duration(text).map_err(|error| error.to_string())
}

fn parse_zone(text: &str) -> Result<TimeZone, String> {
    time::parse_zone(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        output: OutputArguments,
    }

    #[test]
    fn a_terminal_gets_raw_text_only_when_it_is_meant() {
        let checked = |flags: &[&str], terminal: bool| {
            let flags = <Flags as clap::Parser>::parse_from([&["needle"], flags].concat()).output;
            flags.checked(Output::to(Box::new(std::io::sink()), terminal, false)).map(|output| output.terminal)
        };
        let error = checked(&["-o", "raw"], true).unwrap_err().to_string();
        assert!(error.contains("--yes"), "{error}");
        assert!(!checked(&["-o", "raw", "--yes"], true).unwrap(), "verbatim, as into a pipe");
        assert!(!checked(&["-o", "raw"], false).unwrap());
        assert!(checked(&["-o", "csv"], true).unwrap(), "made safe");
        assert!(checked(&["-o", "raw", "-q"], true).unwrap(), "nothing is printed");
    }

    #[test]
    fn until_may_not_precede_since() {
        let now: Zoned = "2026-11-20T09:30:00Z[UTC]".parse().unwrap();
        let arguments = |since: &str, until: &str| TimeArguments { since: Some(since.to_owned()), until: Some(until.to_owned()) };
        let error = arguments("15m", "30m").range(&now).unwrap_err().to_string();
        assert!(error.contains("lies before --since"), "{error}");
        let range = arguments("30m", "15m").range(&now).unwrap();
        assert_eq!(range.parameters(), vec![("start", "2026-11-20T09:00:00Z".to_owned()), ("end", "2026-11-20T09:15:00Z".to_owned())]);
    }
}
