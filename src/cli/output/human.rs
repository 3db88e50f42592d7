//! Records for reading.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::terminal::{Paint, visible};
use super::super::time::human_duration;
use super::super::wire::{Record, plain};

/// Marks a match among its context.
pub(crate) const HIT: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// One line: time, level, service, text, then attributes and ids.
pub(crate) fn record_line(record: &Record, zone: &TimeZone, paint: Paint) -> String {
    format!("{} {}", paint.on(DIM, &clock(record.timestamp, zone)), rest_of_line(record, paint, true))
}

/// The line without its time, on its own or among others of its journey, where service and ids are known.
pub(crate) fn rest_of_line(record: &Record, paint: Paint, alone: bool) -> String {
    let mut line = level(record, paint);
    if alone {
        line = format!("{line} {}", paint_service(&record.service, &visible(&record.service), paint));
    }
    line = format!("{line} {}", text(record));
    let details = details(record, alone);
    if !details.is_empty() {
        line.push_str("  ");
        line.push_str(&paint.on(DIM, &details));
    }
    line
}

/// `2026-11-20 14:03:11.204 +01:00`.
pub(crate) fn clock(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
}

fn level(record: &Record, paint: Paint) -> String {
    let word = match (&record.severity, record.is_span()) {
        (_, true) => "SPAN".to_owned(),
        (Some(severity), _) => visible(severity).to_uppercase(),
        (None, _) => "-".to_owned(),
    };
    paint.on(level_style(record), &format!("{word:<5}"))
}

/// Errors red and bold, warnings yellow, debug and trace dim; the word always stands there too.
pub(crate) fn level_style(record: &Record) -> Style {
    if record.is_error() {
        return HIT;
    }
    match record.severity_number {
        Some(13..=16) => AnsiColor::Yellow.on_default(),
        Some(1..=8) => DIM,
        _ => Style::new(),
    }
}

/// A service's name in its colour, the same in every run.
pub(crate) fn paint_service(service: &str, shown: &str, paint: Paint) -> String {
    const COLORS: [AnsiColor; 12] = [
        AnsiColor::Cyan,
        AnsiColor::Green,
        AnsiColor::Blue,
        AnsiColor::Magenta,
        AnsiColor::Yellow,
        AnsiColor::BrightBlue,
        AnsiColor::BrightCyan,
        AnsiColor::BrightGreen,
        AnsiColor::BrightMagenta,
        AnsiColor::BrightYellow,
        AnsiColor::BrightBlack,
        AnsiColor::White,
    ];
    // FNV-1a, 32 bits: stable over releases, unlike the standard library's hash.
    let hash = service.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    paint.on(COLORS[hash as usize % COLORS.len()].on_default(), shown)
}

/// The body, or name, duration and status of a span.
fn text(record: &Record) -> String {
    let text = record.text();
    if !record.is_span() {
        return visible(text.trim_end_matches('\n')).into_owned();
    }
    let mut words = vec![visible(&text).into_owned()];
    words.extend(record.duration_ns.map(human_duration));
    words.extend(record.status.iter().filter(|status| *status != "unset").map(|status| visible(status).into_owned()));
    words.extend(record.status_message.iter().map(|message| visible(message).into_owned()));
    words.join(" ")
}

/// Attributes, then ids.
fn details(record: &Record, with_ids: bool) -> String {
    let is_id = |value: &Value| match value {
        Value::String(text) => record.request_ids.contains(text) || record.trace_id.as_ref() == Some(text),
        // A header is an array of its values.
        Value::Array(values) => values.len() == 1 && values[0].as_str().is_some_and(|text| record.request_ids.iter().any(|id| id == text)),
        _ => false,
    };
    let attributes = record.attributes.iter().filter(|(_, value)| !is_id(value)).map(|(key, value)| (key.as_str(), plain(value)));
    let requests = record.request_ids.iter().map(|id| ("request_id", id.clone()));
    let trace = record.trace_id.iter().map(|id| ("trace_id", id.clone()));
    let ids = requests.chain(trace).filter(|_| with_ids);
    let pairs: Vec<String> = attributes.chain(ids).map(|(key, value)| format!("{}={}", visible(key), quoted(&value))).collect();
    pairs.join(" ")
}

/// A value that stays one word.
fn quoted(value: &str) -> String {
    let value = visible(value);
    if value.is_empty() || value.contains([' ', '"']) { format!("{value:?}").replace("\\\\", "\\") } else { value.into_owned() }
}
