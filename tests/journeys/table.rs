//! The scores of a run, as Markdown.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::scene::Scene;
use crate::score::{Placed, Score, Verdict, Verdicts};

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
        let all = self.sum(|_| true);
        row(&mut out, "all", &all);
        how_sure(&mut out, &all.placed);
        calibration(&mut out, &all.placed);
        reasons(&mut out, &all.placed);
    }
}

/// How often what is said with some confidence is so; and what is left undecided.
fn how_sure(out: &mut std::io::Stdout, placed: &[Placed]) {
    let is_right = |placed: &&Placed| placed.verdict == Verdict::Right;
    _ = writeln!(
        out,
        "\n| said with a confidence of at least | of all | of these right | above | wrong | impossible | precision: right of those not above |"
    );
    _ = writeln!(out, "|---|---|---|---|---|---|---|");
    for least in [0.0, 0.3, 0.5, 0.7, 0.9] {
        let said: Vec<&Placed> = placed.iter().filter(|placed| !placed.undecided && placed.confidence >= least).collect();
        let right = said.iter().copied().filter(|placed| is_right(placed)).count();
        let of = |verdict| said.iter().filter(|placed| placed.verdict == verdict).count();
        let (above, wrong, impossible) = (of(Verdict::Above), of(Verdict::Wrong), of(Verdict::Impossible));
        let precision = share(right, said.len() - above);
        let (said_of_all, right) = (share(said.len(), placed.len()), share(right, said.len()));
        _ = writeln!(out, "| {least:.1} | {said_of_all} | {right} | {above} | {wrong} | {impossible} | {precision} |");
    }
    let undecided: Vec<&Placed> = placed.iter().filter(|placed| placed.undecided).collect();
    let named = undecided.iter().filter(|placed| placed.is_named).count();
    let wrong = undecided.iter().filter(|placed| matches!(placed.verdict, Verdict::Wrong | Verdict::Impossible)).count();
    let (of_all, named) = (share(undecided.len(), placed.len()), share(named, undecided.len()));
    _ = writeln!(out, "\nUndecided: {of_all}; who called is among the named in {named}; {wrong} stand elsewhere than above them.");
}

/// The same by the reasons that are given.
fn reasons(out: &mut std::io::Stdout, placed: &[Placed]) {
    let mut by_reason: BTreeMap<&str, Vec<&Placed>> = BTreeMap::new();
    placed.iter().for_each(|placed| by_reason.entry(placed.why).or_default().push(placed));
    _ = writeln!(out, "\n| reason | number | confidence on average | right | above | wrong | impossible |");
    _ = writeln!(out, "|---|---|---|---|---|---|---|");
    for (why, those) in by_reason {
        let of = |verdict| those.iter().filter(|placed| placed.verdict == verdict).count();
        let mean = those.iter().map(|placed| placed.confidence).sum::<f64>() / those.len() as f64;
        let right = 100.0 * of(Verdict::Right) as f64 / those.len() as f64;
        let (above, wrong, impossible) = (of(Verdict::Above), of(Verdict::Wrong), of(Verdict::Impossible));
        _ = writeln!(out, "| {why} | {} | {mean:.2} | {right:.1} % | {above} | {wrong} | {impossible} |", those.len());
    }
    let impossible = placed.iter().filter(|placed| placed.verdict == Verdict::Impossible);
    let sure: Vec<String> = impossible.map(|placed| format!("{:.2} {}", placed.confidence, placed.why)).collect();
    _ = writeln!(out, "\nImpossible: {}", sure.join(", "));
}

/// Of what is said with about some confidence, how much is so.
fn calibration(out: &mut std::io::Stdout, placed: &[Placed]) {
    _ = writeln!(out, "\n| confidence | number | on average | right |");
    _ = writeln!(out, "|---|---|---|---|");
    for tenth in 0..10 {
        let (from, to) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
        let within = |placed: &&Placed| placed.confidence >= from && (placed.confidence < to || tenth == 9);
        let those: Vec<&Placed> = placed.iter().filter(|placed| !placed.undecided).filter(within).collect();
        if those.is_empty() {
            continue;
        }
        let right = those.iter().filter(|placed| placed.verdict == Verdict::Right).count();
        let mean = those.iter().map(|placed| placed.confidence).sum::<f64>() / those.len() as f64;
        let right = 100.0 * right as f64 / those.len() as f64;
        _ = writeln!(out, "| {from:.1} to {to:.1} | {} | {mean:.2} | {right:.1} % |", those.len());
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
