//! `needle grep`: records that match, oldest first like a file.

mod aggregate;
mod context;
mod lines;
mod pattern;
pub(crate) mod request;

use std::collections::BTreeSet;

use anyhow::bail;
use clap::Args;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::value::RawValue;

use super::arguments::{OutputArguments, ServerArguments, TimeArguments, TimeRange};
use super::client::{Client, Search};
use super::output::{Mark, Printer, commas, shown, verdict};
use super::wire::{Completeness, Record};
use super::{Exit, ids, patterns, terminal};

/// Records shown when no limit is given and no id is asked for.
const LIMIT_DEFAULT: usize = 200;

/// Print matching records, oldest first like a file
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  needle grep 'service:payments \"card declined\"' --since 2h -R
  needle grep -e 'conn(ection)? refused' -C 3
  needle grep req-7f3a9c1e --json | jq .body
  needle grep 'level>=warn | count() by service every 1m' --since 1h
  kubectl logs deploy/payments | needle grep --stdin -R ERROR

Exit codes: 0 found, 1 nothing found, 2 error or a partial answer without --allow-partial, 3 timed out.")]
pub(crate) struct GrepCommand {
    /// What to look for, in the query language: words, "phrases", service:web, level>=warn, duration>500ms, id:X.
    query: Vec<String>,
    /// Look for a regular expression in bodies and span names; several are alternatives.
    #[arg(short = 'e', long = "regexp", value_name = "REGEX")]
    expressions: Vec<String>,
    /// Select what does not match.
    #[arg(short = 'v', long)]
    invert_match: bool,
    /// Print only how many match.
    #[arg(short, long, conflicts_with_all = ["ids", "request"])]
    count: bool,
    /// Print N records of the same service and instance after each match.
    #[arg(short = 'A', long, value_name = "N")]
    after_context: Option<usize>,
    /// Print N records of the same service and instance before each match.
    #[arg(short = 'B', long, value_name = "N")]
    before_context: Option<usize>,
    /// Print N records on both sides.
    #[arg(short = 'C', long, value_name = "N")]
    context: Option<usize>,
    /// Print only the ids of the requests that match, each once.
    #[arg(short = 'l', long = "ids", conflicts_with = "request")]
    ids: bool,
    /// Print the whole journey around every match, in time order across services, matches marked.
    #[arg(short = 'R', long)]
    request: bool,
    /// Read lines from stdin instead of asking a server.
    #[arg(long)]
    stdin: bool,
    /// At most N matches, the newest ones; 0 for all. 200 when no id is asked for.
    #[arg(short = 'm', long, value_name = "N")]
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

impl GrepCommand {
    /// How many records to show before and after a match.
    fn context(&self) -> (usize, usize) {
        let both = self.context.unwrap_or(0);
        (self.before_context.unwrap_or(both), self.after_context.unwrap_or(both))
    }

    fn query(&self) -> String {
        self.query.join(" ")
    }
}

/// Runs it.
pub(crate) fn run(command: &GrepCommand) -> anyhow::Result<Exit> {
    if command.stdin {
        return lines::run(command);
    }
    let written = command.query();
    let piped = patterns::piped(&written);
    if piped.is_none() && needle_web::is_piped(&written) {
        return aggregate::run(command);
    }
    let query = whole_query(piped.unwrap_or(&written), &command.expressions, command.invert_match);
    let has_id = ids::names_an_id(&query) && !command.invert_match;
    let now = Zoned::now().with_time_zone(command.output.timezone.clone());
    if piped.is_some() {
        return print_patterns(command, query, &range(command, has_id, &now)?);
    }
    let search = Search { query, range: range(command, has_id, &now)?, newest_first: false };
    let client = Client::new(&command.server);
    if command.count {
        return count(command, &client, &search);
    }
    let limit = command.limit.unwrap_or(if has_id { 0 } else { LIMIT_DEFAULT });
    if command.output.quiet {
        let mut pages = client.search(&search, Some(1));
        let found = pages.next().transpose()?.is_some();
        return Ok(if found { Exit::Found } else { verdict(false, &pages.completeness, command.allow_partial) });
    }
    let mut printer = Printer::new(&command.output)?;
    let (before, after) = command.context();
    let outcome = if command.request {
        let hits = hits(&client, &search, limit)?;
        request::print(&client, &mut printer, &hits, (command.context().0, command.context().1), &search)?
    } else if command.ids {
        print_ids(&client, &mut printer, &search, limit)?
    } else if before + after > 0 {
        let hits = hits(&client, &search, limit)?;
        context::print(&client, &mut printer, hits, before, after)?
    } else {
        print_matches(&client, &mut printer, &search, limit)?
    };
    printer.flush()?;
    finish(command, &client, &search, &outcome)
}

/// `| patterns` at the end of the query.
fn print_patterns(command: &GrepCommand, query: String, range: &TimeRange) -> anyhow::Result<Exit> {
    if command.count || command.ids || command.request || command.context() != (0, 0) {
        bail!("| patterns prints patterns, not records: leave out -c, -l, -R, -A, -B and -C");
    }
    let mut parameters = range.parameters();
    parameters.push(("q", query));
    parameters.extend(command.limit.filter(|limit| *limit > 0).map(|limit| ("limit", limit.to_string())));
    patterns::print(&Client::new(&command.server), &parameters, &command.output, command.allow_partial)
}

/// What was printed.
pub(crate) struct Printed {
    /// Matches.
    pub(crate) matches: usize,
    /// Whether there are more than the limit lets through.
    pub(crate) cut_off: bool,
    /// What the answers say they miss.
    pub(crate) completeness: Completeness,
    /// What the answers say about the question.
    pub(crate) notes: Vec<String>,
}

/// Matches, oldest first.
pub(crate) struct Hits {
    pub(crate) records: Vec<(Box<RawValue>, Record)>,
    pub(crate) cut_off: bool,
    pub(crate) completeness: Completeness,
    pub(crate) notes: Vec<String>,
}

fn finish(command: &GrepCommand, client: &Client, search: &Search, printed: &Printed) -> anyhow::Result<Exit> {
    if printed.cut_off {
        // The count is a courtesy: if it fails, what was printed still stands.
        let total = client.count(search).map_or("more".to_owned(), |count| commas(count.count));
        let shown = commas(printed.matches as u64);
        command.output.note(&format!("showing {shown} of {total}, the newest: --limit 0 shows all, --since and --until choose others"));
    }
    printed.notes.iter().for_each(|note| command.output.note(&shown(note)));
    Ok(verdict(printed.matches > 0, &printed.completeness, command.allow_partial))
}

/// QUERY, the expressions and -v as one query.
fn whole_query(query: &str, expressions: &[String], invert: bool) -> String {
    let query = query.trim();
    let alternatives = expressions.iter().map(|expression| slashed(expression)).collect::<Vec<_>>().join(" OR ");
    let alternatives = if expressions.len() > 1 { format!("({alternatives})") } else { alternatives };
    let both = match (query.is_empty() || query == "*", alternatives.is_empty()) {
        (true, true) => "*".to_owned(),
        (true, false) => alternatives,
        (false, true) => query.to_owned(),
        (false, false) => format!("({query}) {alternatives}"),
    };
    if invert { format!("NOT ({both})") } else { both }
}

/// A regular expression between slashes; those inside are escaped.
fn slashed(expression: &str) -> String {
    let mut slashed = String::from("/");
    let mut escaped = false;
    for character in expression.chars() {
        if character == '/' && !escaped {
            slashed.push('\\');
        }
        escaped = character == '\\' && !escaped;
        slashed.push(character);
    }
    slashed.push('/');
    slashed
}

/// The range asked for; without one the last hour, unless an id is asked for.
fn range(command: &GrepCommand, has_id: bool, now: &Zoned) -> anyhow::Result<TimeRange> {
    let mut range = command.time.range(now)?;
    if range == TimeRange::default() && !has_id {
        range.start = Some(now.checked_sub(1.hour())?.timestamp());
        command.output.note("searching the last hour; --since 1d goes further back, an id searches everything");
    }
    Ok(range)
}

fn count(command: &GrepCommand, client: &Client, search: &Search) -> anyhow::Result<Exit> {
    let count = client.count(search)?;
    let mut printer = Printer::new(&command.output)?;
    if !command.output.quiet {
        printer.output.line(&count.count.to_string())?;
    }
    printer.flush()?;
    count.notes.iter().for_each(|note| command.output.note(&shown(note)));
    Ok(verdict(count.count > 0, &count.completeness, command.allow_partial))
}

/// The newest matches within the limit, oldest first. Without a limit, all, read oldest first.
fn hits(client: &Client, search: &Search, limit: usize) -> anyhow::Result<Hits> {
    let search = Search { newest_first: limit > 0, ..search.clone() };
    let mut pages = client.search(&search, (limit > 0).then_some(limit));
    let mut records = Vec::new();
    while limit == 0 || records.len() < limit {
        let Some(raw) = pages.next().transpose()? else { break };
        let record = serde_json::from_str(raw.get())?;
        records.push((raw, record));
    }
    if search.newest_first {
        records.reverse();
    }
    Ok(Hits { records, cut_off: pages.has_more(), completeness: pages.completeness, notes: pages.notes })
}

fn print_matches(client: &Client, printer: &mut Printer, search: &Search, limit: usize) -> anyhow::Result<Printed> {
    if limit > 0 {
        let hits = hits(client, search, limit)?;
        for (raw, _) in &hits.records {
            printer.record(raw, Mark::None)?;
        }
        return Ok(Printed { matches: hits.records.len(), cut_off: hits.cut_off, completeness: hits.completeness, notes: hits.notes });
    }
    // All of them: page by page, nothing is kept.
    let mut pages = client.search(search, None);
    let mut matches = 0;
    while let Some(raw) = pages.next().transpose()? {
        printer.record(&raw, Mark::None)?;
        matches += 1;
    }
    Ok(Printed { matches, cut_off: false, completeness: pages.completeness, notes: pages.notes })
}

fn print_ids(client: &Client, printer: &mut Printer, search: &Search, limit: usize) -> anyhow::Result<Printed> {
    let mut pages = client.search(search, None);
    let mut seen = BTreeSet::new();
    let (mut matches, mut without) = (0, 0);
    while limit == 0 || seen.len() < limit {
        let Some(raw) = pages.next().transpose()? else { break };
        matches += 1;
        let record: Record = serde_json::from_str(raw.get())?;
        match record.journey_id() {
            Some(id) if seen.insert(id.to_owned()) => printer.output.line(&terminal::visible(id))?,
            Some(_) => {}
            None => without += 1,
        }
    }
    if without > 0 {
        terminal::note(&format!("{without} of {matches} matches carry no id"));
    }
    if pages.has_more() {
        terminal::note(&format!("showing the first {limit} ids: --limit 0 shows all"));
    }
    Ok(Printed { matches: seen.len(), cut_off: false, completeness: pages.completeness, notes: pages.notes })
}

/// Refuses what only a server can do.
fn check_offline(command: &GrepCommand) -> anyhow::Result<()> {
    if command.time.since.is_some() || command.time.until.is_some() {
        bail!("--stdin reads lines as they come and knows no times: leave out --since and --until");
    }
    if !command.output.fields.is_empty() || command.output.format() != super::arguments::Format::Human {
        bail!("--stdin prints lines as they are: leave out --output, --json and --fields");
    }
    Ok(())
}

/// A bound of a search, moved by one nanosecond so that the moment itself is inside.
fn just_after(time: Timestamp) -> Timestamp {
    time.checked_add(1.nanosecond()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_expressions_and_inversion_become_one_query() {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (query, expressions, invert, whole) in [
            ("", vec![], false, "*"),
            ("a OR b", vec![], false, "a OR b"),
            ("", vec!["x+"], false, "/x+/"),
            ("a OR b", vec!["x", "y"], false, "(a OR b) (/x/ OR /y/)"),
            ("a b", vec![], true, "NOT (a b)"),
            ("", vec!["GET /api"], true, "NOT (/GET \\/api/)"),
            ("", vec!["a\\/b\\\\/"], false, "/a\\/b\\\\\\//"),
        ] {
            assert_eq!(whole_query(query, &strings(&expressions), invert), whole);
        }
    }
}
