//! `--stdin`: the same on piped lines, without a server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufRead};

use anyhow::Context;
use needle_ingest::storage::model::NormalId;
use regex::Regex;

use super::super::ids::ids_of_line;
use super::super::terminal::{Output, note, visible};
use super::super::{Exit, output};
use super::pattern::{Pattern, regular_expression};
use super::{GrepCommand, check_offline};

/// Which lines match.
struct Filter {
    pattern: Pattern,
    expressions: Vec<Regex>,
    invert: bool,
}

impl Filter {
    fn matches(&self, line: &str) -> bool {
        let expression = self.expressions.is_empty() || self.expressions.iter().any(|expression| expression.is_match(line));
        (expression && self.pattern.matches(line)) != self.invert
    }
}

/// Runs it on stdin.
pub(crate) fn run(command: &GrepCommand) -> anyhow::Result<Exit> {
    check_offline(command)?;
    let filter = Filter {
        pattern: Pattern::parse(&command.query())?,
        expressions: command.expressions.iter().map(|pattern| regular_expression(pattern)).collect::<Result<_, _>>()?,
        invert: command.invert_match,
    };
    let mut output = command.output.stdout()?;
    let found = filtered(command, &filter, &mut io::stdin().lock(), &mut output)?;
    output.flush()?;
    Ok(if found { Exit::Found } else { Exit::Nothing })
}

fn filtered(command: &GrepCommand, filter: &Filter, input: &mut dyn BufRead, output: &mut Output) -> anyhow::Result<bool> {
    let limit = command.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    if command.request {
        return print_requests(command, filter, input, output, limit);
    }
    let (before, after) = command.context();
    let mut printing = Printing { before, after, ..Printing::default() };
    let mut ids = BTreeSet::new();
    let mut matches = 0;
    while let Some(line) = next_line(input)? {
        let hit = matches < limit && filter.matches(&line);
        matches += usize::from(hit);
        if hit && command.output.quiet {
            return Ok(true);
        }
        if command.ids {
            let found = if hit { ids_of_line(&line) } else { Vec::new() };
            for id in found.into_iter().take(1).filter(|id| ids.insert(NormalId::of(id))) {
                output.line(&visible(&id))?;
            }
        } else if !command.count {
            printing.line(&line, hit, output)?;
        }
        if matches == limit && printing.remaining == 0 {
            break;
        }
    }
    if command.count && !command.output.quiet {
        output.line(&matches.to_string())?;
    }
    Ok(matches > 0)
}

/// Matches with lines around them, as grep prints them.
#[derive(Default)]
struct Printing {
    before: usize,
    after: usize,
    earlier: VecDeque<String>,
    /// Lines of context that are still to be printed.
    remaining: usize,
    skipped: bool,
    printed: bool,
}

impl Printing {
    fn line(&mut self, line: &str, hit: bool, output: &mut Output) -> anyhow::Result<()> {
        let with_context = self.before + self.after > 0;
        if hit {
            if with_context && self.printed && self.skipped {
                output.line("--")?;
            }
            for earlier in self.earlier.drain(..) {
                output.line(&format!("  {}", shown(output, &earlier)))?;
            }
            let mark = if with_context { "> " } else { "" };
            output.line(&format!("{mark}{}", shown(output, line)))?;
            (self.remaining, self.skipped, self.printed) = (self.after, false, true);
        } else if self.remaining > 0 {
            output.line(&format!("  {}", shown(output, line)))?;
            self.remaining -= 1;
        } else {
            if self.before > 0 {
                if self.earlier.len() == self.before {
                    self.earlier.pop_front();
                    self.skipped = true;
                }
                self.earlier.push_back(line.to_owned());
            } else {
                self.skipped = true;
            }
        }
        Ok(())
    }
}

/// A line as it is; on a terminal, made safe.
fn shown(output: &Output, line: &str) -> String {
    if output.terminal { visible(line).into_owned() } else { line.to_owned() }
}

/// A line and what it was found to carry.
struct Read {
    text: String,
    hit: bool,
    /// The group it belongs to; `None` where no id was found.
    group: Option<usize>,
}

/// Groups all lines by their ids and prints the groups that have a match, in the order of their first match. The
/// input is kept in memory until its end, because a match may come last.
fn print_requests(
    command: &GrepCommand,
    filter: &Filter,
    input: &mut dyn BufRead,
    output: &mut Output,
    limit: usize,
) -> anyhow::Result<bool> {
    let (lines, names) = read_groups(filter, input)?;
    let mut groups: BTreeMap<usize, Vec<&Read>> = BTreeMap::new();
    let mut order = Vec::new();
    for line in &lines {
        let Some(group) = line.group else { continue };
        groups.entry(group).or_default().push(line);
        if line.hit && !order.contains(&group) {
            order.push(group);
        }
    }
    let alone = lines.iter().filter(|line| line.hit && line.group.is_none()).count();
    if command.output.quiet {
        return Ok(!order.is_empty() || alone > 0);
    }
    for group in order.iter().take(limit) {
        output.line(&format!("── {} ──", visible(&names[*group])))?;
        for line in &groups[group] {
            output.line(&format!("{}{}", if line.hit { " > " } else { "   " }, shown(output, &line.text)))?;
        }
    }
    for line in lines.iter().filter(|line| line.hit && line.group.is_none()) {
        output.line(&format!(" > {}", shown(output, &line.text)))?;
    }
    if alone > 0 {
        note(&format!(
            "{} without an id, shown alone at the end",
            if alone == 1 { "1 match".to_owned() } else { format!("{alone} matches") }
        ));
    }
    if order.len() > limit {
        note(&format!("showing {} of {}", output::commas(limit as u64), output::plural(order.len() as u64, "request")));
    }
    Ok(!order.is_empty() || alone > 0)
}

fn read_groups(filter: &Filter, input: &mut dyn BufRead) -> anyhow::Result<(Vec<Read>, Vec<String>)> {
    let mut lines: Vec<Read> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut known: BTreeMap<NormalId, usize> = BTreeMap::new();
    while let Some(text) = next_line(input)? {
        let ids = ids_of_line(&text);
        let normal: Vec<NormalId> = ids.iter().filter_map(|id| NormalId::of(id)).collect();
        let group = match normal.iter().find_map(|id| known.get(id)).copied() {
            Some(group) => Some(group),
            None if !ids.is_empty() => {
                names.push(ids[0].clone());
                Some(names.len() - 1)
            }
            // A line that begins with a blank continues the one before it.
            None if text.starts_with([' ', '\t']) => lines.last().and_then(|line| line.group),
            None => None,
        };
        if let Some(group) = group {
            known.extend(normal.into_iter().map(|id| (id, group)));
        }
        lines.push(Read { hit: filter.matches(&text), text, group });
    }
    Ok((lines, names))
}

/// A line without its end; bytes that are not UTF-8 become `�`.
fn next_line(input: &mut dyn BufRead) -> anyhow::Result<Option<String>> {
    let mut bytes = Vec::new();
    if input.read_until(b'\n', &mut bytes).context("stdin cannot be read")? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

#[cfg(test)]
mod tests;
