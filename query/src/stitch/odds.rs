//! How sure it is that lines are those of one call and not of another: by how much odder it would be the other way.

use std::collections::BTreeMap;

use super::fit::{Fit, Lies, ODD, Offer, Stay, UNNAMED, VERY_ODD, marks};
use super::joint::{Options, Sharing};

/// By how much likelier the less odd is, for each oddity: fitted to what was right, as confidences say (`make journeys`).
const TELLING: f64 = 1.0;
/// Calls that are compared with one visit: those that began last before it.
const RIVALS_MAX: usize = 64;
/// What is less likely by more is not worth naming.
const WEIGHT_MIN: f64 = 0.02;

/// What else may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    /// Other calls and how likely each is, where the chosen one is 1.
    pub(super) rivals: BTreeMap<usize, f64>,
    /// The same for all that is no call of these.
    pub(super) elsewhere: f64,
    /// How likely it is that no line is another visit's.
    pub(super) together: f64,
}

impl Doubt {
    /// How likely the chosen call is.
    pub(super) fn probability(&self) -> f64 {
        self.together / (1.0 + self.elsewhere + self.rivals.values().sum::<f64>())
    }

    fn add(&mut self, call: Option<usize>, oddities: f64) {
        let weight = (-TELLING * oddities.max(0.0)).exp();
        if weight < WEIGHT_MIN {
            return;
        }
        match call {
            Some(call) => {
                let known = self.rivals.entry(call).or_default();
                *known = known.max(weight);
            }
            None => self.elsewhere = self.elsewhere.max(weight),
        }
    }
}

/// One process: the calls that may be its own, and how its lines were fitted into them.
pub(super) struct Side<'a> {
    pub(super) options: &'a Options,
    pub(super) chosen: Option<&'a Fit>,
    /// Of each line, as the clock was estimated.
    pub(super) stays: &'a [Stay],
    pub(super) resolution_ns: i64,
}

/// Lines in one call.
struct Visit {
    side: usize,
    call: usize,
    offer: usize,
    /// By the clock that was chosen.
    stays: Vec<Stay>,
}

impl Side<'_> {
    fn offers(&self) -> &[Offer] {
        &self.options.1
    }

    /// What speaks for lines in a call; none if they do not lie in it.
    fn worth(&self, stays: &[Stay], offer: usize) -> Option<f64> {
        let offer = self.offers()[offer];
        let lies = |stay: &Stay| offer.from.since(stay.from) <= self.resolution_ns && stay.to <= offer.to;
        let named = if offer.named { 0.0 } else { UNNAMED };
        stays.iter().all(lies).then(|| f64::from(marks(stays, offer, self.resolution_ns)) - named)
    }

    fn offer_of(&self, call: usize) -> Option<usize> {
        self.options.0.iter().position(|known| *known == call)
    }

    fn visits(&self, side: usize) -> impl Iterator<Item = Visit> + '_ {
        let mut by_offer: BTreeMap<usize, Vec<Stay>> = BTreeMap::new();
        if let Some(fit) = self.chosen {
            for (stay, (offer, _)) in self.stays.iter().zip(&fit.places).filter(|(_, (_, lies))| *lies != Lies::Elsewhere) {
                by_offer.entry(*offer).or_default().push(stay.moved(fit.shift_ns));
            }
        }
        by_offer.into_iter().map(move |(offer, stays)| Visit { side, call: self.options.0[offer], offer, stays })
    }
}

/// What else may be of each visit of each process, by process and call.
pub(super) fn doubts(sides: &[Side<'_>], sharings: &[Sharing]) -> BTreeMap<(usize, usize), Doubt> {
    let visits: Vec<Visit> = sides.iter().enumerate().flat_map(|(number, side)| side.visits(number)).collect();
    let mut by_call: BTreeMap<usize, Vec<&Visit>> = BTreeMap::new();
    visits.iter().for_each(|visit| by_call.entry(visit.call).or_default().push(visit));
    let mut doubts = BTreeMap::new();
    for visit in &visits {
        let mut doubt = Doubt { together: 1.0, ..Doubt::default() };
        weigh_moves(sides, &by_call, visit, &mut doubt);
        weigh_sharings(sides, sharings, visit, &mut doubt);
        doubts.insert((visit.side, visit.call), doubt);
    }
    doubts
}

/// The visit moved into another call as a whole, or changed for the visit there; and each of its lines.
fn weigh_moves(sides: &[Side<'_>], by_call: &BTreeMap<usize, Vec<&Visit>>, visit: &Visit, doubt: &mut Doubt) {
    let side = &sides[visit.side];
    let offers = side.offers();
    let from = visit.stays.iter().map(|stay| stay.from).min().unwrap_or_default();
    let begun = offers.partition_point(|offer| offer.from.since(from) <= side.resolution_ns);
    let silence = |offer: usize| if offers[offer].needs_answer() { ODD } else { 0.0 };
    let own = side.worth(&visit.stays, visit.offer).unwrap_or(-ODD);
    for rival in begun.saturating_sub(RIVALS_MAX)..begun {
        let call = side.options.0[rival];
        if call == visit.call {
            continue;
        }
        if let Some(there) = side.worth(&visit.stays, rival) {
            let oddities = match by_call.get(&call).map(Vec::as_slice) {
                None => own - there + silence(visit.offer) - silence(rival),
                Some(others) => own - there + changed_or_shared(sides, visit, others).min(VERY_ODD + silence(visit.offer)),
            };
            doubt.add(Some(call), oddities);
        } else if visit.stays.len() > 1 && !side.chosen.is_some_and(|fit| fit.by_strand) {
            // Lines in the middle may be those of another call.
            let inner = visit.stays.iter().filter(|stay| side.worth(std::slice::from_ref(*stay), rival).is_some());
            let unmarked = inner.filter(|stay| marks(std::slice::from_ref(*stay), offers[visit.offer], side.resolution_ns) == 0).count();
            doubt.together *= 0.9_f64.powi(unmarked.min(3) as i32);
        }
    }
}

/// What it costs others that a visit comes into their call: they go into the one that it leaves, or all stay there.
fn changed_or_shared(sides: &[Side<'_>], visit: &Visit, others: &[&Visit]) -> f64 {
    let [other] = others else { return f64::INFINITY };
    let side = &sides[other.side];
    let here = side.worth(&other.stays, other.offer).unwrap_or(-ODD);
    let back = side.offer_of(visit.call).and_then(|offer| side.worth(&other.stays, offer));
    back.map_or(f64::INFINITY, |there| here - there)
}

/// Other ways to share out the calls, with other clocks.
fn weigh_sharings(sides: &[Side<'_>], sharings: &[Sharing], visit: &Visit, doubt: &mut Doubt) {
    let Some(best) = sharings.first() else { return };
    let side = &sides[visit.side];
    let (Some(chosen), (callers, _, fits)) = (side.chosen, side.options) else { return };
    for sharing in &sharings[1..] {
        let Some(choice) = sharing.choices.get(visit.side) else { continue };
        let mut places: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        for (line, (offer, lies)) in chosen.places.iter().enumerate() {
            if *offer != visit.offer || *lies == Lies::Elsewhere {
                continue;
            }
            let there = choice.map(|choice| fits[choice].places[line]).filter(|(_, lies)| *lies != Lies::Elsewhere);
            *places.entry(there.map(|(offer, _)| callers[offer])).or_default() += 1;
        }
        let most = places.into_iter().max_by_key(|(call, lines)| (*lines, *call)).and_then(|(call, _)| call);
        if most != Some(visit.call) {
            doubt.add(most, sharing.oddities - best.oddities);
        }
    }
}
