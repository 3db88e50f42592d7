//! The scores of a run, as Markdown.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::scene::Scene;
use crate::score::{Score, Verdicts};

/// Scores by kind of request.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) scenes: BTreeMap<Scene, Score>,
}

impl Table {
    pub(crate) fn count(&mut self, scene: Scene, score: &Score) {
        self.scenes.entry(scene).or_default().add(score);
    }

    /// The sum of some kinds.
    pub(crate) fn sum(&self, counts: impl Fn(Scene) -> bool) -> Score {
        let mut sum = Score::default();
        self.scenes.iter().filter(|(scene, _)| counts(**scene)).for_each(|(_, score)| sum.add(score));
        sum
    }

    pub(crate) fn print(&self, title: &str) {
        let mut out = std::io::stdout();
        _ = writeln!(out, "\n{title}\n");
        _ = writeln!(
            out,
            "| scene | requests | records found | foreign | parents of spans | traces begun anew: right, above, wrong, impossible | visits of log-only services: right, above, wrong, impossible | visits apart | lines on their span | links |"
        );
        _ = writeln!(out, "|---|---|---|---|---|---|---|---|---|---|");
        for (scene, score) in &self.scenes {
            row(&mut out, scene.title(), score);
        }
        row(&mut out, "where calls tell who called", &self.sum(Scene::tells_who_called));
        row(&mut out, "all", &self.sum(|_| true));
    }
}

fn row(out: &mut std::io::Stdout, title: &str, score: &Score) {
    let Score { requests, foreign, .. } = score;
    let cells = [
        share(score.found, score.records),
        foreign.to_string(),
        share(score.spans.right, score.spans.all()),
        verdicts(&score.traces),
        verdicts(&score.visits),
        share(score.apart, score.visits.all()),
        share(score.lines_on_their_span, score.lines),
        if score.links == 0 { String::new() } else { format!("{} of {}", score.links_named, score.links) },
    ];
    _ = writeln!(out, "| {title} | {requests} | {} |", cells.join(" | "));
}

fn share(part: usize, whole: usize) -> String {
    if whole == 0 { String::new() } else { format!("{:.1} % of {whole}", 100.0 * part as f64 / whole as f64) }
}

fn verdicts(verdicts: &Verdicts) -> String {
    if verdicts.all() == 0 {
        return String::new();
    }
    format!("{}, {}, {}, {}", share(verdicts.right, verdicts.all()), verdicts.above, verdicts.wrong, verdicts.impossible)
}
