//! One run: requests made up, sent, asked for, and scored.

use crate::conventions::spellings;
use crate::drawing;
use crate::fleet::Fleet;
use crate::graph::Graph;
use crate::random::Random;
use crate::scene::{Scene, requests};
use crate::score::Score;
use crate::table::Table;
use crate::town::Town;
use crate::wire::{self, Sent};

/// Records of one body of each kind.
const BATCH_RECORDS: usize = 400;
/// Bodies between two seals.
const SEAL_EVERY: usize = 8;
const MILLISECOND: u64 = 1_000_000;

/// What is run.
pub(crate) struct Campaign {
    pub(crate) seed: u64,
    pub(crate) requests: u64,
    /// Clocks are off by up to this, both ways.
    pub(crate) clock_error_ms: u64,
    /// How many journeys that are not as it was are drawn.
    pub(crate) show: u64,
}

impl Campaign {
    pub(crate) fn run(&self) -> Table {
        let fleet = Fleet::of(self.seed, self.clock_error_ms * MILLISECOND);
        let mut requests = requests(&fleet, self.seed, self.requests);
        let town = settle(&fleet, &mut requests);
        let mut table = Table::default();
        let mut left = self.show;
        for (scene, graph) in &requests {
            let score = ask(&town, self.seed, graph, |journey, score| {
                if !score.is_perfect() && left > 0 && wanted(*scene) {
                    left -= 1;
                    drawing::print(*scene, graph, journey);
                }
            });
            table.count(*scene, &score);
        }
        table.print(&format!("{} requests, SEED={}, clocks off by up to {} ms", requests.len(), self.seed, self.clock_error_ms));
        table
    }
}

/// `SCENE=Retries` draws journeys of that kind only.
fn wanted(scene: Scene) -> bool {
    std::env::var("SCENE").ok().filter(|name| !name.is_empty()).is_none_or(|name| name == format!("{scene:?}"))
}

/// Sends all records: most in the order of their times, in batches, sealed now and then; then those that are late.
fn settle(fleet: &Fleet, requests: &mut [(Scene, Graph<'_>)]) -> Town {
    let town = Town::new();
    let mut sent: Vec<Sent> = requests.iter_mut().flat_map(|(_, graph)| wire::records(graph)).collect();
    sent.sort_by_key(|sent| sent.at);
    let (late, timely): (Vec<Sent>, Vec<Sent>) = sent.into_iter().partition(|sent| sent.late);
    for (number, batch) in timely.chunks(BATCH_RECORDS).enumerate() {
        wire::bodies(fleet, batch).into_iter().for_each(|body| town.take(body));
        if number % SEAL_EVERY == SEAL_EVERY - 1 {
            town.seal();
        }
    }
    town.seal();
    town.merge();
    for batch in late.chunks(BATCH_RECORDS) {
        wire::bodies(fleet, batch).into_iter().for_each(|body| town.take(body));
    }
    town
}

/// Asks by the request id and the trace id, each spelled somehow: both must lead to the same records; the first is scored.
fn ask(town: &Town, seed: u64, graph: &Graph<'_>, mut look: impl FnMut(&needle_web::query::Journey, &Score)) -> Score {
    let mut random = Random::of(seed, !graph.number);
    let passed = graph.passed_to(0);
    let spelled = spellings(&passed);
    let has_trace = passed.trace != [0; 16];
    let ids: Vec<&String> = if has_trace { vec![random.pick(&spelled), random.pick(&spelled)] } else { vec![&spelled[0]] };
    let mut scores = ids.into_iter().map(|id| {
        let journey = town.journey(id);
        let score = Score::of(graph, journey.as_ref());
        if let Some(journey) = &journey {
            look(journey, &score);
        }
        score
    });
    let first = scores.next().unwrap();
    let worst_recall = scores
        .map(|score| (score.found, score.foreign))
        .fold((first.found, first.foreign), |worst, other| (worst.0.min(other.0), worst.1.max(other.1)));
    Score { found: worst_recall.0, foreign: worst_recall.1, ..first }
}
