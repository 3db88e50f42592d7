//! `-A`, `-B`, `-C`: what the same service and instance logged around a match.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::super::arguments::TimeRange;
use super::super::client::{Client, Search};
use super::super::output::{Mark, Printer};
use super::super::wire::Record;
use super::{Hits, Printed, just_after};

/// A record in a window, and whether it matches.
struct Line {
    raw: Box<RawValue>,
    time: Timestamp,
    key: String,
    hit: bool,
}

/// A run of records of one stream. `last_hit` tells whether the context behind it is read already.
struct Window {
    lines: Vec<Line>,
}

/// Prints every match with its context; windows of one stream that overlap are one, `--` stands between windows.
pub(crate) fn print(client: &Client, printer: &mut Printer, hits: Hits, before: usize, after: usize) -> anyhow::Result<Printed> {
    let matches = hits.records.len();
    let mut windows: Vec<Window> = Vec::new();
    let mut latest: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for (raw, record) in hits.records {
        let stream = (record.service.clone(), record.instance().map(str::to_owned));
        let lines = window(client, raw, &record, before, after)?;
        match latest.get(&stream).map(|index| &mut windows[*index]) {
            Some(window) if overlaps(window, &lines) => join(window, lines),
            _ => {
                latest.insert(stream, windows.len());
                windows.push(Window { lines });
            }
        }
    }
    for (index, window) in windows.iter().enumerate() {
        if index > 0 {
            printer.aside("--")?;
        }
        for line in &window.lines {
            printer.record(&line.raw, if line.hit { Mark::Hit } else { Mark::Context })?;
        }
    }
    Ok(Printed { matches, cut_off: hits.cut_off, completeness: hits.completeness, notes: hits.notes })
}

fn window(client: &Client, raw: Box<RawValue>, hit: &Record, before: usize, after: usize) -> anyhow::Result<Vec<Line>> {
    let mut lines = neighbours(client, hit, before, true)?;
    lines.reverse();
    lines.push(Line { raw, time: hit.timestamp, key: hit.key(), hit: true });
    lines.extend(neighbours(client, hit, after, false)?);
    Ok(lines)
}

/// Up to `count` records of the hit's stream on one side of it, the nearest first.
fn neighbours(client: &Client, hit: &Record, count: usize, earlier: bool) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    if count == 0 {
        return Ok(lines);
    }
    // Records of the same moment are ordered by record id, which a range cannot name: the search begins
    // with that moment and skips to the hit.
    let range = if earlier {
        TimeRange { start: None, end: Some(just_after(hit.timestamp)) }
    } else {
        TimeRange { start: Some(hit.timestamp), end: None }
    };
    let search = Search { query: stream_query(hit), range, newest_first: earlier };
    let key = hit.key();
    let mut passed = false;
    for raw in client.search(&search, Some(count + 2)) {
        let raw = raw?;
        let record: Record = serde_json::from_str(raw.get())?;
        if !passed && record.timestamp == hit.timestamp {
            passed = record.key() == key;
            continue;
        }
        passed = true;
        lines.push(Line { raw, time: record.timestamp, key: record.key(), hit: false });
        if lines.len() == count {
            break;
        }
    }
    Ok(lines)
}

/// The records of the same kind, service and instance.
fn stream_query(record: &Record) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut query = format!("kind:{} service:{}", record.kind, quoted(&record.service));
    if let Some(instance) = record.instance() {
        query.push_str(&format!(" resource.service.instance.id:{}", quoted(instance)));
    }
    query
}

fn overlaps(window: &Window, lines: &[Line]) -> bool {
    lines.iter().any(|line| window.lines.iter().any(|known| known.key == line.key))
}

/// Adds what is new; a match that stood there as context is marked.
fn join(window: &mut Window, lines: Vec<Line>) {
    for line in lines {
        match window.lines.iter_mut().find(|known| known.key == line.key) {
            Some(known) => known.hit |= line.hit,
            None => window.lines.push(line),
        }
    }
    // Both runs are in order; a stable sort by time keeps the order of equal times within each.
    window.lines.sort_by_key(|line| line.time);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(keys: &[(&str, i64, bool)]) -> Vec<Line> {
        keys.iter()
            .map(|(key, second, hit)| Line {
                raw: RawValue::from_string("{}".to_owned()).unwrap(),
                time: Timestamp::from_second(*second).unwrap(),
                key: (*key).to_owned(),
                hit: *hit,
            })
            .collect()
    }

    #[test]
    fn overlapping_windows_are_one_and_keep_their_marks() {
        let mut window = Window { lines: lines(&[("a", 1, false), ("b", 2, true), ("c", 3, false)]) };
        let next = lines(&[("b", 2, false), ("c", 3, true), ("d", 4, false)]);
        assert!(overlaps(&window, &next));
        join(&mut window, next);
        let joined: Vec<_> = window.lines.iter().map(|line| (line.key.as_str(), line.hit)).collect();
        assert_eq!(joined, [("a", false), ("b", true), ("c", true), ("d", false)]);
        assert!(!overlaps(&window, &lines(&[("e", 5, true)])));
    }

    #[test]
    fn a_stream_is_a_service_and_its_instance() {
        let mut record = Record { kind: "log".to_owned(), service: "pay \"v2\"".to_owned(), ..Record::default() };
        assert_eq!(stream_query(&record), "kind:log service:\"pay \\\"v2\\\"\"");
        record.resource.insert("service.instance.id".to_owned(), "a-1".into());
        assert_eq!(stream_query(&record), "kind:log service:\"pay \\\"v2\\\"\" resource.service.instance.id:\"a-1\"");
    }
}
