//! Records on stdout, in the format asked for.

mod csv;
mod fields;
mod human;
mod logfmt;

use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use super::arguments::{Format, OutputArguments};
use super::terminal::{Output, Paint, continued, visible, visible_json, visible_lines};
use super::wire::Record;
use super::{Exit, terminal};

pub(crate) use csv::row as csv_row;
pub(crate) use human::{HIT, clock, level_style, paint_service, record_line, rest_of_line};
pub(crate) use logfmt::join as logfmt_pairs;

/// How a record relates to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Only matches are printed, so nothing needs a mark.
    None,
    /// It matches.
    Hit,
    /// It stands around a match.
    Context,
}

/// Prints records.
pub(crate) struct Printer {
    /// Where to.
    pub(crate) output: Output,
    format: Format,
    fields: Vec<String>,
    zone: TimeZone,
    quiet: bool,
    header_printed: bool,
}

impl Printer {
    /// As the flags say.
    pub(crate) fn new(arguments: &OutputArguments) -> anyhow::Result<Printer> {
        Ok(Printer::to(arguments.stdout()?, arguments))
    }

    /// To somewhere else.
    pub(crate) fn to(output: Output, arguments: &OutputArguments) -> Printer {
        Printer {
            output,
            format: arguments.format(),
            fields: arguments.fields.clone(),
            zone: arguments.timezone.clone(),
            quiet: arguments.quiet,
            header_printed: false,
        }
    }

    /// Whether people read it.
    pub(crate) fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// The zone in which times are shown.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Colours.
    pub(crate) fn paint(&self) -> Paint {
        self.output.paint
    }

    /// Prints a record.
    pub(crate) fn record(&mut self, raw: &RawValue, mark: Mark) -> anyhow::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let text = self.text(raw, mark)?;
        Ok(self.output.line(&text)?)
    }

    fn text(&mut self, raw: &RawValue, mark: Mark) -> anyhow::Result<String> {
        if self.format == Format::Json {
            let json = fields::json(raw, &self.fields, mark)?;
            return Ok(if self.output.terminal { visible_json(&json).into_owned() } else { json });
        }
        let record: Record = serde_json::from_str(raw.get())?;
        let text = match self.format {
            Format::Json => unreachable!("printed above"),
            Format::Human if self.fields.is_empty() => {
                format!("{}{}", self.mark(mark), record_line(&record, &self.zone, self.output.paint))
            }
            Format::Human => format!("{}{}", self.mark(mark), fields::human(raw, &self.fields)?),
            Format::Logfmt => logfmt::line(raw, &record, &self.fields)?,
            Format::Csv => {
                let header = if self.header_printed { None } else { Some(csv::header(&self.fields)) };
                self.header_printed = true;
                header.into_iter().chain([csv::line(raw, &record, &self.fields)?]).collect::<Vec<_>>().join("\n")
            }
            Format::Raw if !self.fields.is_empty() => continued(&fields::raw(raw, &self.fields)?).into_owned(),
            Format::Raw => continued(&record.text()).into_owned(),
        };
        // Data as it is, except to a terminal, which would obey it.
        let obeyed = self.output.terminal && self.format == Format::Csv;
        Ok(if obeyed { visible_lines(&text) } else { text })
    }

    fn mark(&self, mark: Mark) -> String {
        match mark {
            Mark::None => String::new(),
            Mark::Hit => self.output.paint.on(human::HIT, "> "),
            Mark::Context => "  ".to_owned(),
        }
    }

    /// Prints text for people, safe for a terminal; nothing in other formats.
    pub(crate) fn aside(&mut self, text: &str) -> anyhow::Result<()> {
        if self.quiet || !self.is_human() {
            return Ok(());
        }
        Ok(self.output.line(text)?)
    }

    /// Hands what was printed to the reader.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.output.flush()?)
    }
}

/// The exit code of an answer, after saying on stderr what it misses.
pub(crate) fn verdict(found: bool, completeness: &super::wire::Completeness, allow_partial: bool) -> Exit {
    if completeness.is_partial() {
        let hint = if allow_partial { "" } else { " (exit code 2; --allow-partial takes it as it is)" };
        terminal::note(&format!("{}{hint}", completeness.words()));
        if !allow_partial {
            return Exit::Partial;
        }
    }
    if found { Exit::Found } else { Exit::Nothing }
}

/// A number with commas: 48,112.
pub(crate) fn commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 span`, `2 spans`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", commas(number), if number == 1 { "" } else { "s" })
}

/// Text of an answer, safe for a terminal.
pub(crate) fn shown(text: &str) -> String {
    visible(text).into_owned()
}

#[cfg(test)]
mod tests;
