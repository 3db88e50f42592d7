//! Several processes of one service, each with a clock of its own, shared out among the calls that name it: a call has one
//! callee.

use std::collections::BTreeSet;

use super::fit::{Fit, Lies, ODD, Offer, VERY_ODD, without_call};

/// Ways to share out that are kept in mind at a time.
const SHARINGS_MAX: usize = 64;
/// Fewer where there are many calls, so that there are at most so many of them in all ways together.
const CALLS_IN_MIND_MAX: usize = 4_096;

/// Of one process the calls that may be its own, what they offer, and how it fits into them, the best first.
pub(super) type Options = (Vec<usize>, Vec<Offer>, Vec<Fit>);

/// Some processes' choices.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    pub(super) oddities: f64,
    taken: BTreeSet<usize>,
    /// For each process the number of the fit that it takes; none where no call is left for it.
    pub(super) choices: Vec<Option<usize>>,
}

/// The ways to share out the calls, the least odd first.
pub(super) fn choose(options: &[Options]) -> Vec<Sharing> {
    let offered: BTreeSet<usize> = options.iter().flat_map(|(callers, ..)| callers.iter().copied()).collect();
    let kept = (CALLS_IN_MIND_MAX / offered.len().max(1)).clamp(1, SHARINGS_MAX);
    let mut sharings = vec![Sharing::default()];
    for (callers, _, fits) in options {
        let stays = fits.first().map_or(0, |fit| fit.places.len());
        let mut longer: Vec<Sharing> = sharings.iter().map(|sharing| sharing.with(None, without_call(stays), &BTreeSet::new())).collect();
        for (number, fit) in fits.iter().enumerate() {
            let explained = fit.places.iter().filter(|(_, lies)| *lies != Lies::Elsewhere);
            let used: BTreeSet<usize> = explained.map(|(offer, _)| callers[*offer]).collect();
            longer.extend(sharings.iter().map(|sharing| sharing.with(Some(number), fit.oddities, &used)));
        }
        // Stable, so that what came first stays first.
        longer.sort_by(|a, b| a.oddities.total_cmp(&b.oddities));
        longer.truncate(kept);
        sharings = longer;
    }
    // Of a single process this is part of its fits.
    let to_be_answered = if options.len() > 1 { to_be_answered(options) } else { BTreeSet::new() };
    for sharing in &mut sharings {
        sharing.oddities += ODD * to_be_answered.difference(&sharing.taken).count() as f64;
    }
    sharings.sort_by(|a, b| a.oddities.total_cmp(&b.oddities));
    sharings
}

fn to_be_answered(options: &[Options]) -> BTreeSet<usize> {
    let of_process = |(callers, offers, _): &Options| {
        callers.iter().copied().zip(offers.clone()).filter(|(_, offer)| offer.needs_answer()).map(|(call, _)| call).collect::<Vec<_>>()
    };
    options.iter().flat_map(of_process).collect()
}

impl Sharing {
    fn with(&self, choice: Option<usize>, oddities: f64, used: &BTreeSet<usize>) -> Sharing {
        let mut longer = self.clone();
        let twice = used.iter().filter(|call| !longer.taken.insert(**call)).count();
        longer.oddities += oddities + VERY_ODD * twice as f64;
        longer.choices.push(choice);
        longer
    }
}
