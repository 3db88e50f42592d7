//! Plain text lines: batches end where a record ends.

use std::io::BufRead;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::input::read_line;
use super::{BATCH_BYTES, Batch, Sink, Target};

/// How far a batch may grow beyond its size in search of a place to cut: one record may be that large.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// Reads lines into batches. A line that may continue the record before it never begins a batch.
pub(super) fn read(name: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let mut line = Vec::new();
    let (mut first_line, mut number) = (1, 0);
    let mut timed = false;
    while read_line(name, reader, &mut line)? {
        number += 1;
        let has_time = begins_with_a_time(&line);
        // Where records have times, one without continues the one before; else indentation tells.
        let begins = if timed { has_time } else { has_time || begins_bare(&line) };
        if begins && batch.len() >= BATCH_BYTES || batch.len() >= RECORD_BYTES_MAX {
            sink.batch(Batch::of_lines(Target::Text, std::mem::take(&mut batch), first_line))?;
            first_line = number;
        }
        timed |= has_time;
        batch.extend_from_slice(&line);
    }
    if !batch.is_empty() {
        sink.batch(Batch::of_lines(Target::Text, batch, first_line))?;
    }
    Ok(())
}

/// Whether a line begins with a date and a time, or with the time of syslog.
fn begins_with_a_time(line: &[u8]) -> bool {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[\[(<]?(?:<\d{1,3}>\d? ?)?(?:\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{2}:\d{2}:\d{2})")
            .expect("a constant pattern")
    });
    TIME.is_match(line)
}

/// Whether a line without a time begins a record all the same.
fn begins_bare(line: &[u8]) -> bool {
    !line.starts_with(b" ")
        && !line.starts_with(b"\t")
        && !line.starts_with(b"Caused by:")
        && !matches!(line.trim_ascii(), b"}" | b"]" | b")" | b"});" | b"")
}

#[cfg(test)]
mod tests {
    use super::super::tests::Collected;
    use super::*;

    fn batches(text: &str) -> Vec<Batch> {
        let mut sink = Collected::default();
        read("x", &mut text.as_bytes(), &mut sink).unwrap();
        sink.batches
    }

    #[test]
    fn no_record_is_cut_in_two() {
        let mut text = String::new();
        for record in 0..3_000 {
            text.push_str(&format!("2026-11-20 09:00:00.{record:06} ERROR failed\n"));
            text.push_str(&"Traceback (most recent call last):\n  File \"x.py\"\nValueError: no\n\n".repeat(10));
        }
        let batches = batches(&text);
        assert!(
            batches.len() > 1
                && batches.iter().all(|batch| batch.body.starts_with(b"2026-11-20") && batch.body.len() < BATCH_BYTES + 1_000)
        );
        assert!(batches.iter().flat_map(|batch| batch.body.clone()).eq(text.bytes()), "nothing is lost or moved");
        let mut line = 1;
        for batch in &batches {
            assert_eq!(batch.first_line, line);
            line += batch.body.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }

    #[test]
    fn lines_without_times_are_cut_where_nothing_is_indented() {
        let text = "first\n  more\n\tmore\n}\n".repeat(100_000);
        let batches = batches(&text);
        assert!(batches.len() > 1 && batches.iter().all(|batch| batch.body.starts_with(b"first")));
    }

    #[test]
    fn a_text_without_any_place_to_cut_is_cut_at_a_line() {
        let text = "  indented\n".repeat(3_000_000);
        let batches = batches(&text);
        assert!(batches.len() > 1 && batches.iter().all(|batch| batch.body.ends_with(b"\n") && batch.body.len() <= RECORD_BYTES_MAX + 100));
    }
}
