//! How often what happened, by kind of file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use crate::damage::{Damage, FileKind, Mode};
use crate::verdict::Outcome;

const OUTCOMES: [Outcome; 5] = [Outcome::Partial, Outcome::Refused, Outcome::Whole, Outcome::TornTail, Outcome::Unused];

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Table {
    counts: BTreeMap<(FileKind, Mode), BTreeMap<Outcome, u64>>,
}

impl Table {
    pub(crate) fn count(&mut self, damage: &Damage, outcome: Outcome) {
        *self.counts.entry((damage.kind, damage.mode)).or_default().entry(outcome).or_default() += 1;
    }

    /// Damages that were noticed.
    pub(crate) fn found(&self) -> u64 {
        let unused = |outcome: &Outcome| *outcome == Outcome::Unused;
        self.counts.values().flatten().filter(|(outcome, _)| !unused(outcome)).map(|(_, count)| count).sum()
    }

    /// Markdown, on stdout.
    pub(crate) fn print(&self, seed: u64, took: Duration, panics: usize) {
        let mut out = std::io::stdout();
        let all: u64 = self.counts.values().flat_map(BTreeMap::values).sum();
        _ = writeln!(out, "\n{all} damages, SEED={seed}, {:.0} s, {panics} panics (all caught and said)\n", took.as_secs_f64());
        _ = writeln!(
            out,
            "| file | damage | partial, said | refused, with a way out | all found, the check names it | taken for a torn tail | byte that nobody reads |"
        );
        _ = writeln!(out, "|---|---|---|---|---|---|---|");
        for ((kind, mode), outcomes) in &self.counts {
            let cells: Vec<String> = OUTCOMES.iter().map(|outcome| outcomes.get(outcome).copied().unwrap_or(0).to_string()).collect();
            _ = writeln!(out, "| {kind:?} | {mode:?} | {} |", cells.join(" | "));
        }
    }
}
