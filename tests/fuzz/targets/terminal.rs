//! Whatever a record says, a terminal obeys nothing of it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use clap::Parser;
use serde_json::json;
use serde_json::value::RawValue;

use super::same;
use crate::Target;
use crate::cli::arguments::OutputArguments;
use crate::cli::output::{Mark, Printer};
use crate::cli::terminal::{Output, fit, visible, visible_json, visible_lines, width};

pub(super) const TERMINAL: Target = Target {
    name: "terminal",
    read: terminal,
    seeds,
    words: &[
        "\x1b[31m",
        "\x1b[2J",
        "\x1b]8;;http://x\x07",
        "\x1b]52;c;AA\x07",
        "\x1bP",
        "\x1b\\",
        "\u{9b}31m",
        "\u{9d}",
        "\u{90}",
        "\u{202e}",
        "\u{2066}",
        "\u{2069}",
        "\u{200b}",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\r",
        "\n",
        "\t",
        "\0",
        "\x08",
        "\x7f",
        "\u{e0041}",
        "e\u{301}",
        "👩‍👩‍👧",
        "漢字",
        "=cmd|' /C calc'!A0",
        "+1",
        "@x",
        "-1",
        "\",\"",
        "error",
        "\u{ad}",
        "\u{fff9}",
        "\u{115f}",
        "\u{180e}",
    ],
    bytes_max: 1024,
    memory_bytes: 2 << 20,
    short_runs: 40_000,
};

const FORMATS: [&str; 4] = ["human", "json", "logfmt", "csv"];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    output: OutputArguments,
}

/// The first byte chooses a format and a kind of record. Fields are parted by a byte that no text has.
fn terminal(input: &[u8]) {
    let Some((&first, fields)) = input.split_first() else { return };
    let format = FORMATS[usize::from(first) % FORMATS.len()];
    let parts: Vec<String> = fields.split(|byte| *byte == 0xff).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let part = |number: usize| parts.get(number).map_or("", String::as_str);
    texts(part(0));
    let mut record = json!({
        "kind": if first < 0x80 { "log" } else { "span" }, "timestamp": "2026-11-20T13:03:12.994000001Z", "body": part(0),
        "service": part(1), "severity": part(4), "name": part(5), "status": part(6), "status_message": part(7), "trace_id": part(8),
        "request_ids": [part(9)], "attributes": {"fixed": part(3)}, "resource": {"service.name": part(1)}, "future": part(0),
    });
    record["attributes"][part(2)] = json!({ part(3): [part(0), 1] });
    let raw = RawValue::from_string(record.to_string()).unwrap();
    let chosen = format!("body,{}", if part(2).contains(',') { "fixed" } else { part(2) });
    for fields in [None, Some(&*chosen)] {
        let plain = printed(&raw, format, fields, false);
        inert(&if format == "csv" { plain.replace('\t', " ") } else { plain.clone() }, format);
        if format != "csv" {
            same(&plain.matches('\n').count(), &1, "lines of one record");
        }
        same(&without_our_colors(&printed(&raw, format, fields, true)), &plain, "colours change what is said");
    }
}

/// The functions that make text safe, alone.
fn texts(text: &str) {
    let shown = visible(text);
    inert(&shown, "visible");
    assert!(!shown.contains(['\n', '\t']), "more than a line: {shown:?}");
    inert(&visible_lines(text).replace(['\n', '\t'], " "), "visible_lines");
    let json = serde_json::to_string(text).unwrap();
    let shown = visible_json(&json);
    inert(&shown, "visible_json");
    same(&serde_json::from_str::<String>(&shown).unwrap().as_str(), &text, "JSON for a terminal");
    for columns in [0, 1, 7] {
        let fitted = fit(&visible(text), columns, false);
        assert!(width(&fitted) <= columns.max(width(&visible(text)).min(columns)), "{columns} columns: {fitted:?}");
    }
}

fn printed(raw: &RawValue, format: &str, fields: Option<&str>, colored: bool) -> String {
    thread_local! {
        static ARGUMENTS: [(&'static str, OutputArguments); 4] = FORMATS.map(|format| {
            (format, Arguments::parse_from(["needle", "--output", format, "--timezone", "utc"]).output)
        });
    }
    let mut arguments = ARGUMENTS.with(|all| all.iter().find(|(name, _)| *name == format).unwrap().1.clone());
    arguments.fields.extend(fields.into_iter().flat_map(|fields| fields.split(',')).map(str::to_owned));
    let written = Written::default();
    let mut printer = Printer::to(Output::to(Box::new(written.clone()), true, colored), &arguments);
    printer.record(raw, Mark::Hit).unwrap();
    printer.flush().unwrap();
    let bytes = written.0.borrow().clone();
    String::from_utf8(bytes).unwrap()
}

/// What was printed.
#[derive(Clone, Default)]
struct Written(Rc<RefCell<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing in it is obeyed by a terminal, reorders what is read, or cannot be seen; lines end, and that is all.
fn inert(text: &str, what: &str) {
    let active = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(u32::from(character), 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
    };
    if let Some(found) = text.chars().find(|character| active(*character)) {
        panic!("{what} lets {found:?} through: {text:?}");
    }
}

/// What is left when the colours that we put on are taken away: `ESC [ digits and semicolons m`.
fn without_our_colors(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|character: char| !character.is_ascii_digit() && character != ';').unwrap_or(part.len());
        assert!(part[end..].starts_with('m'), "not a colour: {part:?}");
        plain.push_str(&part[end + 1..]);
    }
    plain
}

fn seeds() -> Vec<Vec<u8>> {
    let parts = [
        "card declined\nat \x1b[31mcharge\x1b[0m()",
        "payments",
        "note",
        "two words",
        "error",
        "POST /cart",
        "error",
        "502",
        "4bf9",
        "req-7",
    ];
    let records = [parts.join("\u{1}").into_bytes(), join(&parts), join(&["\u{202e}gpj.exe", "a\tb", "k=v \"q\"", "=1+1", "warn"])];
    let of_each = |first: u8| records.each_ref().map(|record| [&[first], record.as_slice()].concat());
    [0, 1, 2, 3, 0x80, 0x81, 0x82, 0x83].map(of_each).concat()
}

fn join(parts: &[&str]) -> Vec<u8> {
    parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>().join(&0xff)
}
