//! Plain text lines: each becomes a record with its whole text, its time, its level and its ids.
//!
//! A continuation line belongs to the record before it: one that is indented, or one without a time
//! where lines before it had one (stack traces, dumps). A line that is nothing but a header with a
//! request id, as dumps of HTTP answers hold them, is a record of its own, so that counting an id
//! counts the lines that name it.

use needle_storage::RawRequest;
use needle_storage::model::ValueKind;

use crate::decode::{Budget, DecodeError, Decoder, Outcome};
use crate::ids::KeyKind;
use crate::levels::find_level;
use crate::rows::{LogRows, RawLog};
use crate::times::{Leading, TimeReader};

pub(crate) fn decode(decoder: &Decoder, request: &RawRequest) -> Result<Outcome, DecodeError> {
    let times = TimeReader::of(request)?;
    let mut budget = Budget::new(&decoder.settings, request.body.len());
    // Columns that grow are there twice while they do.
    let begins = |line: &Line| request.body[line.start..line.end].first().is_some_and(|first| !first.is_ascii_whitespace());
    let rows = LogRows::of_messages(decoder, request, lines(&request.body).filter(begins).count());
    let mut assembly = Assembly { rows, request, pending: None, timed: false };
    for line in lines(&request.body) {
        let Ok(text) = std::str::from_utf8(&request.body[line.start..line.end]) else {
            budget.rows(1)?;
            assembly.flush();
            assembly.rows.reject(line.number, NOT_UTF8);
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        let time = if is_indented(text) { None } else { times.leading(text) };
        if assembly.continues(text, time.is_some(), decoder) {
            assembly.extend(line.end);
        } else {
            budget.rows(1)?;
            assembly.begin(line, text, time);
        }
    }
    assembly.flush();
    times.tell(&budget.notices);
    Ok(assembly.rows.finish(&budget))
}

pub(crate) const NOT_UTF8: &str = "the line is not UTF-8: convert it first";

/// A line of a body, counted from 1, without its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The lines of a body; a carriage return before the line feed belongs to the end.
pub(crate) fn lines(body: &[u8]) -> impl Iterator<Item = Line> {
    let bom = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut start = bom;
    let feeds = memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len()));
    feeds.enumerate().map(move |(n, feed)| {
        let end = if feed > start && body[feed - 1] == b'\r' { feed - 1 } else { feed };
        let line = Line { number: n + 1, start: start.min(end), end };
        start = feed + 1;
        line
    })
}

/// Appends `text` as a record of its own, taking time and level from its begin.
pub(crate) fn append_text(rows: &mut LogRows<'_>, place: usize, text: &str, time: Option<Leading<'_>>) {
    let (head, rest) = text.split_at(time.map_or(0, |time| time.end));
    let level = time.and_then(|time| time.level).or_else(|| [rest, head].into_iter().find_map(find_level).map(|(word, _)| word));
    let severity_number = match level {
        Some("I") => 9,
        Some("W") => 13,
        Some("E") => 17,
        Some("F") => 21,
        _ => 0,
    };
    let raw = RawLog {
        time: time.map_or(0, |time| time.time.0),
        severity_number,
        severity_text: level.unwrap_or(""),
        body: Some((ValueKind::String, text)),
        bytes: text.len(),
        ..RawLog::default()
    };
    rows.append(place, &raw);
}

struct Assembly<'d> {
    rows: LogRows<'d>,
    request: &'d RawRequest,
    pending: Option<Pending<'d>>,
    /// Whether a line of this body had a time.
    timed: bool,
}

/// A record whose lines are still being collected.
struct Pending<'d> {
    line: Line,
    time: Option<Leading<'d>>,
}

impl<'d> Assembly<'d> {
    fn continues(&self, text: &str, has_time: bool, decoder: &Decoder) -> bool {
        let bare = is_indented(text) || text.starts_with("Caused by:") || matches!(text.trim(), "}" | "]" | ")" | "});");
        self.pending.is_some() && !has_time && (bare || self.timed && !is_id_header(text, decoder))
    }

    fn begin(&mut self, line: Line, text: &'d str, time: Option<Leading<'d>>) {
        // A header stands within the record before it, and was written when that was.
        let inherited = self.pending.as_ref().and_then(|pending| pending.time).filter(|_| self.timed);
        self.flush();
        self.timed |= time.is_some();
        let time = time.or_else(|| inherited.map(|before| Leading { end: 0, level: None, ..before }));
        debug_assert!(time.is_none_or(|time| text.is_char_boundary(time.end)));
        self.pending = Some(Pending { line, time });
    }

    fn extend(&mut self, end: usize) {
        if let Some(pending) = &mut self.pending {
            pending.line.end = end;
        }
    }

    fn flush(&mut self) {
        if let Some(Pending { line, time }) = self.pending.take() {
            let text = std::str::from_utf8(&self.request.body[line.start..line.end]).expect("each line was checked");
            append_text(&mut self.rows, line.number, text, time);
        }
    }
}

fn is_indented(text: &str) -> bool {
    text.starts_with([' ', '\t'])
}

/// `X-Request-Id: 7f3a`, alone on its line.
fn is_id_header(text: &str, decoder: &Decoder) -> bool {
    let Some((name, value)) = text.split_once(':') else { return false };
    let value = value.trim();
    matches!(decoder.ids.kind_of(name), Some(KeyKind::Request(_))) && !value.is_empty() && !value.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests;
