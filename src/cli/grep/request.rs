//! `-R`: the whole journey around every match, in time order across services.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::super::client::{Client, Search};
use super::super::output::{Mark, Printer, clock, paint_service, plural, rest_of_line, shown};
use super::super::time::human_duration;
use super::super::wire::{Journey, Record};
use super::super::{terminal, wire};
use super::{Hits, Printed};

/// A record of a journey, with the service that it stands under.
pub(crate) struct Entry {
    pub(crate) raw: Box<RawValue>,
    pub(crate) record: Record,
    /// Whether its service sent no span.
    pub(crate) inferred: bool,
}

/// Prints the journeys of all hits. With a context, only so many records before and after each hit of the journey.
pub(crate) fn print(
    client: &Client,
    printer: &mut Printer,
    hits: &Hits,
    context: (usize, usize),
    search: &Search,
) -> anyhow::Result<Printed> {
    let marked: BTreeSet<String> = hits.records.iter().map(|(_, record)| record.key()).collect();
    let mut printed: BTreeSet<String> = BTreeSet::new();
    let mut completeness = hits.completeness.clone();
    let (mut journeys, mut without) = (0_u64, 0_u64);
    for (raw, record) in &hits.records {
        if printed.contains(&record.key()) {
            continue;
        }
        let journey = match record.journey_id() {
            Some(id) => client.journey(id, &[])?,
            None => None,
        };
        let Some((journey, _)) = journey else {
            without += 1;
            printer.record(raw, Mark::Hit)?;
            continue;
        };
        journeys += 1;
        let entries = entries(&journey)?;
        printed.extend(entries.iter().map(|entry| entry.record.key()));
        completeness.merge(wire::Completeness { missing_parents: 0, ..journey.completeness.clone() });
        print_journey(printer, &journey, &entries, &marked, context, record.journey_id().unwrap_or(&journey.id))?;
    }
    if without > 0 {
        terminal::note(&format!("{} without an id, shown alone", plural(without, "match").replace("matchs", "matches")));
    }
    printer.aside(&rule(&format!("{} · {}", plural(journeys, "request"), search.query), terminal::columns()))?;
    Ok(Printed { matches: hits.records.len(), cut_off: hits.cut_off, completeness, notes: hits.notes.clone() })
}

/// Widths that all lines of a journey share.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    offset: usize,
    service: usize,
}

impl Columns {
    /// As wide as the widest.
    pub(crate) fn of(entries: &[Entry], start: Timestamp) -> Columns {
        let seconds = |entry: &Entry| (entry.record.timestamp.as_second() - start.as_second()).unsigned_abs();
        let digits = entries.iter().map(seconds).max().unwrap_or(0).max(1).ilog10() as usize + 1;
        let service = entries.iter().map(|entry| terminal::width(&service_name(entry))).max().unwrap_or(0);
        // A sign, the point and three digits behind it.
        Columns { offset: digits + 5, service }
    }
}

/// All records of a journey in time order.
pub(crate) fn entries(journey: &Journey) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for node in &journey.nodes {
        for raw in node.span.iter().chain(&node.logs) {
            let mut record: Record = serde_json::from_str(raw.get())?;
            record.timestamp = node.shown(record.timestamp);
            let inferred = journey.services.iter().any(|service| service.inferred && service.name == record.service);
            entries.push(Entry { raw: raw.clone(), record, inferred });
        }
    }
    // A span comes before the logs of the same moment: it was there when they were written.
    entries.sort_by_key(|entry| (entry.record.timestamp, !entry.record.is_span()));
    Ok(entries)
}

fn print_journey(
    printer: &mut Printer,
    journey: &Journey,
    entries: &[Entry],
    marked: &BTreeSet<String>,
    context: (usize, usize),
    id: &str,
) -> anyhow::Result<()> {
    printer.aside(&rule(&title(printer, journey, id), terminal::columns()))?;
    let is_hit: Vec<bool> = entries.iter().map(|entry| marked.contains(&entry.record.key())).collect();
    let wide = Columns::of(entries, journey.start);
    let mut skipped = false;
    for (index, entry) in entries.iter().enumerate() {
        if context != (0, 0) && !is_near(&is_hit, index, context) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            printer.aside("   …")?;
        }
        let mark = if is_hit[index] { Mark::Hit } else { Mark::Context };
        if printer.is_human() {
            let line = entry_line(printer, entry, journey.start, mark, wide);
            printer.aside(&line)?;
        } else {
            printer.record(&entry.raw, mark)?;
        }
    }
    if skipped {
        printer.aside("   …")?;
    }
    Ok(())
}

/// Whether a hit stands within `before` records behind or `after` records in front of `index`.
fn is_near(is_hit: &[bool], index: usize, (before, after): (usize, usize)) -> bool {
    let first = index.saturating_sub(after);
    let last = index.saturating_add(before).min(is_hit.len() - 1);
    is_hit[first..=last].contains(&true)
}

fn title(printer: &Printer, journey: &Journey, id: &str) -> String {
    let errors: u64 = journey.services.iter().map(|service| service.errors).sum();
    let mut parts = vec![format!("request {}", shown(id))];
    parts.extend(journey.trace_ids.iter().filter(|trace| *trace != id).map(|trace| format!("trace {}", shown(trace))));
    parts.push(clock(journey.start, printer.zone()));
    parts.push(human_duration(journey.duration_ns));
    parts.push(plural(journey.services.len() as u64, "service"));
    if errors > 0 {
        parts.push(format!("✗ {}", plural(errors, "error")));
    }
    parts.join("  ")
}

/// `── text ─────`, as wide as the terminal.
fn rule(text: &str, columns: usize) -> String {
    let taken = terminal::width(text) + 4;
    format!("── {} {}", shown(text), "─".repeat(columns.saturating_sub(taken)))
}

/// ` > +1.790  payments  ERROR card declined  code=51`.
pub(crate) fn entry_line(printer: &Printer, entry: &Entry, start: Timestamp, mark: Mark, wide: Columns) -> String {
    let paint = printer.paint();
    let offset = entry.record.timestamp.as_nanosecond() - start.as_nanosecond();
    let offset = format!("{:+.3}", offset as f64 / 1e9);
    let offset = format!("{offset:>wide$}", wide = wide.offset);
    let name = service_name(entry);
    let padding = " ".repeat(wide.service.saturating_sub(terminal::width(&name)));
    let mark = if mark == Mark::Hit { paint.on(anstyle::AnsiColor::Red.on_default().bold(), " > ") } else { "   ".to_owned() };
    let service = paint_service(&entry.record.service, &name, paint);
    format!("{mark}{offset}  {service}{padding}  {}", rest_of_line(&entry.record, paint, false))
}

/// The name, with `·` behind it if the service only logs.
fn service_name(entry: &Entry) -> String {
    format!("{}{}", shown(&entry.record.service), if entry.inferred { "·" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_within_a_journey_counts_records_on_both_sides() {
        let hits = [false, false, true, false, false, false];
        let near = |context| (0..hits.len()).filter(|index| is_near(&hits, *index, context)).collect::<Vec<_>>();
        assert_eq!(near((1, 2)), [1, 2, 3, 4]);
        assert_eq!(near((2, 0)), [0, 1, 2]);
    }
}
