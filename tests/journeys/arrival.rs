//! The same records arrive in any order, in any batches, sealed and merged at any time: the journeys are the same.

use needle_web::query::Journey;
use needle_web::query::model::{Record, RecordId};

use crate::fleet::Fleet;
use crate::random::Random;
use crate::scene::requests;
use crate::town::Town;
use crate::wire::{self, Sent};

const REQUESTS: u64 = 60;
const CLOCK_ERROR_NS: u64 = 100_000_000;

/// Asks for the same journeys after the same records arrived otherwise, so many times.
pub(crate) fn hold(seed: u64, rounds: u64) {
    let fleet = Fleet::of(seed, CLOCK_ERROR_NS);
    let mut requests = requests(&fleet, seed, REQUESTS);
    let mut sent: Vec<Sent> = requests.iter_mut().flat_map(|(_, graph)| wire::records(graph)).collect();
    sent.sort_by_key(|sent| sent.at);
    let ids: Vec<String> = requests.iter().map(|(_, graph)| crate::conventions::spellings(&graph.passed_to(0)).swap_remove(0)).collect();
    let in_order = Town::new();
    wire::bodies(&fleet, &sent).into_iter().for_each(|body| in_order.take(body));
    for round in 0..rounds {
        let mut random = Random::of(seed, round);
        let otherwise = settle(&fleet, sent.clone(), &mut random);
        for id in &ids {
            for inferred in [true, false] {
                let (expected, told) = (in_order.journey_with(id, inferred), otherwise.journey_with(id, inferred));
                assert_eq!(canonical(told), canonical(expected), "SEED={seed}, round {round}, {id}, inferred: {inferred}");
            }
        }
    }
}

/// Shuffled, in batches of any size, sealed and merged now and then.
fn settle(fleet: &Fleet, mut sent: Vec<Sent>, random: &mut Random) -> Town {
    for last in (1..sent.len()).rev() {
        sent.swap(last, random.below(last as u64 + 1) as usize);
    }
    let town = Town::new();
    let mut rest = sent.as_slice();
    while !rest.is_empty() {
        let (batch, others) = rest.split_at(random.between(1, 200).min(rest.len() as u64) as usize);
        wire::bodies(fleet, batch).into_iter().for_each(|body| town.take(body));
        rest = others;
        match random.below(12) {
            0..3 => town.seal(),
            3 => {
                town.seal();
                town.merge();
            }
            _ => {}
        }
    }
    town
}

/// All of a journey but what arrival gives: the numbers of records, how many shards were read, and the order of lines of
/// one node that were written at the same time, which stand as they arrived.
fn canonical(journey: Option<Journey>) -> String {
    let mut journey = journey.expect("the id is carried");
    journey.completeness.shards_searched = 0;
    for node in &mut journey.nodes {
        node.span.iter_mut().for_each(|span| span.common.record_id = RecordId(0));
        node.logs.iter_mut().for_each(forget_number);
        node.logs.sort_by_cached_key(|log| (log.common().time, format!("{log:?}")));
    }
    format!("{journey:#?}")
}

fn forget_number(record: &mut Record) {
    match record {
        Record::Log(log) => log.common.record_id = RecordId(0),
        Record::Span(span) => span.common.record_id = RecordId(0),
    }
}
