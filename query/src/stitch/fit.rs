//! By how much one clock must be wrong for what happened to lie within the calls that caused it.

use std::collections::BTreeMap;

use needle_storage::model::UnixNanos;

use super::clocks::Usual;

/// Something that happened between two times: a line, a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) from: UnixNanos,
    pub(super) to: UnixNanos,
}

impl Stay {
    /// By a clock that is moved.
    pub(super) fn moved(self, shift_ns: i64) -> Stay {
        Stay { from: moved(self.from, shift_ns), to: moved(self.to, shift_ns) }
    }
}

/// A call that may have caused it; the end of time where nobody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) from: UnixNanos,
    pub(super) to: UnixNanos,
    /// Whether the call says that it is meant for whoever stays.
    pub(super) named: bool,
    /// A call that failed may never have arrived.
    pub(super) failed: bool,
}

impl Offer {
    /// Whether silence is odd.
    pub(super) fn needs_answer(self) -> bool {
        self.named && !self.failed
    }
}

/// Where something lies as seen from a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lies {
    Within,
    /// It ends after the call, or begins soon after it: work goes on after an answer.
    Late,
    /// It begins before any call did, or later after one than that one took: something else caused it.
    Elsewhere,
}

/// The best explanation.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// To be added to the times of all stays, nanoseconds.
    pub(super) shift_ns: i64,
    /// What remains odd with it, less what is as it should be.
    pub(super) oddities: f64,
    pub(super) places: Places,
    /// Whether lines are told apart by what they say of themselves.
    pub(super) by_strand: bool,
}

/// For each stay the offer, by number.
type Places = Vec<(usize, Lies)>;

/// What is sought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Clocks are not suspected of more, nanoseconds.
    pub(super) shift_max_ns: i64,
    /// What the clock that wrote the times cannot tell apart, nanoseconds.
    pub(super) resolution_ns: i64,
    /// Calls that are odd without a stay; none where others may have answered them.
    pub(super) to_be_answered: usize,
    /// Whether an offer takes one stay only.
    pub(super) one_each: bool,
    /// How far other clocks are off.
    pub(super) usual: Usual,
}

/// A clock is not blamed for a single oddity: work does go on after an answer, and a call does get lost. Services write
/// when they are called and when they answer; where that comes to lie right is the other sign of the true time.
const BLAME: f64 = 1.0;
/// A clock that is off as far as others are, and each time that it is off twice as far.
const USUAL: f64 = 0.5;
const UNUSUAL: f64 = 0.5;
/// A call without a stay; one whose stays go on after its end.
pub(super) const ODD: f64 = 1.0;
/// A call all of whose stays begin after its end; two stays where there can be one.
pub(super) const VERY_ODD: f64 = 2.0;
/// A call that does not say whom it is meant for.
pub(super) const UNNAMED: f64 = 2.2;
/// A call that must have been and was not received.
const MISSING: f64 = 3.0;
/// Each stay that such a call would explain.
pub(super) const UNEXPLAINED: f64 = 0.3;
/// Something written right as a call comes in, or right as it is answered.
const AS_EXPECTED: f64 = 1.0;
/// That is within a tenth of the call, and within a trip through the network.
const EDGE_MAX_NS: i64 = 5_000_000;
/// Stays and offers that bear witness about a clock; more would not tell more.
const WITNESSES_MAX: usize = 24;
/// Ways to fit that are told apart.
const FITS_MAX: usize = 12;
/// Offers that are looked at for one stay: those that began last before it.
const OFFERS_MAX: usize = 64;

/// The best way to fit stays into offers, which are in order of their begins. `None` where none is within reach.
pub(super) fn fit(stays: &[Stay], offers: &[Offer], wanted: Wanted) -> Option<Fit> {
    fits(stays, offers, wanted).into_iter().next()
}

/// The best few ways, the best first, no two with the same places.
pub(super) fn fits(stays: &[Stay], offers: &[Offer], wanted: Wanted) -> Vec<Fit> {
    if stays.is_empty() || offers.is_empty() {
        return Vec::new();
    }
    let witnesses: Vec<Stay> = evenly(stays).collect();
    let tried = shifts(&witnesses, offers, wanted).into_iter().map(|shift_ns| {
        let places = placed(&witnesses, offers, shift_ns, wanted);
        (blame(shift_ns, wanted.usual) + cost(&witnesses, &places, offers, shift_ns, wanted), shift_ns, places)
    });
    let mut tried: Vec<(f64, i64, Places)> = tried.collect();
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut best: Vec<(i64, Places)> = Vec::new();
    for (_, shift_ns, places) in tried {
        if best.len() < FITS_MAX && best.iter().all(|(_, other)| *other != places) {
            best.push((shift_ns, places));
        }
    }
    best.into_iter().filter_map(|(shift_ns, _)| whole(stays, &witnesses, offers, shift_ns, wanted)).collect()
}

/// Shifts that bring a begin or an end of a stay to that of an offer, the least first.
fn shifts(stays: &[Stay], offers: &[Offer], wanted: Wanted) -> Vec<i64> {
    let mut shifts: Vec<i64> = vec![0, wanted.usual.middle_ns];
    for stay in stays {
        for offer in evenly(offers) {
            shifts.push(offer.from.since(stay.from));
            if offer.to != UnixNanos::MAX {
                shifts.push(offer.to.since(stay.to));
            }
        }
    }
    shifts.retain(|shift_ns| shift_ns.saturating_abs() <= wanted.shift_max_ns);
    shifts.sort_unstable_by_key(|&shift_ns| (wanted.usual.distance_ns(shift_ns), shift_ns));
    shifts.dedup();
    shifts
}

/// The fit of all stays by a shift that some of them bear witness to.
fn whole(stays: &[Stay], witnesses: &[Stay], offers: &[Offer], shift_ns: i64, wanted: Wanted) -> Option<Fit> {
    let shift_ns = settled(witnesses, offers, shift_ns, wanted);
    let places = placed(stays, offers, shift_ns, wanted);
    let explains = places.iter().any(|(_, lies)| *lies != Lies::Elsewhere);
    let oddities = blame(shift_ns, wanted.usual) + cost(stays, &places, offers, shift_ns, wanted);
    explains.then_some(Fit { oddities, shift_ns, places, by_strand: wanted.one_each })
}

/// How odd it is that a clock is off. Where the journey's clocks are, this is not odd as far as they are; where they are right
/// the more so the farther, but a clock that is off at all may be off by any order of magnitude.
fn blame(shift_ns: i64, usual: Usual) -> f64 {
    if usual.spread_ns > 0 {
        let times = usual.distance_ns(shift_ns) as f64 / usual.spread_ns as f64;
        return USUAL * times.min(1.0) + UNUSUAL * times.max(1.0).log2();
    }
    if shift_ns == 0 { 0.0 } else { BLAME + 0.5 * (1.0 + shift_ns.unsigned_abs() as f64 / 1e6).log10() }
}

fn evenly<T: Copy>(all: &[T]) -> impl Iterator<Item = T> + '_ {
    all.iter().copied().step_by(all.len().div_ceil(WITNESSES_MAX).max(1))
}

fn moved(time: UnixNanos, shift_ns: i64) -> UnixNanos {
    time.saturating_add_signed(shift_ns)
}

/// Where each stay belongs if the clock is off by so much.
fn placed(stays: &[Stay], offers: &[Offer], shift_ns: i64, wanted: Wanted) -> Places {
    let mut places: Places = stays
        .iter()
        .map(|stay| {
            let stay = Stay { from: moved(stay.from, shift_ns), to: moved(stay.to, shift_ns) };
            best_offer(stay, offers, wanted, |_| true)
        })
        .collect();
    if wanted.one_each {
        keep_apart(&mut places, stays, offers, shift_ns, wanted);
    }
    places
}

/// The offer around a stay, if need be one that names nobody; else the last that began before it; else the first.
fn best_offer(stay: Stay, offers: &[Offer], wanted: Wanted, free: impl Fn(usize) -> bool) -> (usize, Lies) {
    let begun = offers.partition_point(|offer| offer.from.since(stay.from) <= wanted.resolution_ns);
    let near = (begun.saturating_sub(OFFERS_MAX)..begun).filter(|&offer| free(offer));
    let around = near
        .clone()
        .filter(|&offer| stay.to <= offers[offer].to)
        .min_by_key(|&offer| (!offers[offer].named, room_ns(stay, offers[offer]), offer));
    if let Some(offer) = around {
        return (offer, Lies::Within);
    }
    let last = near.max_by_key(|&offer| (offers[offer].to, offer));
    match last {
        Some(offer) if stay.from.since(offers[offer].to) <= offers[offer].to.since(offers[offer].from) => (offer, Lies::Late),
        _ => (last.or_else(|| (begun..offers.len()).find(|&offer| free(offer))).unwrap_or(0), Lies::Elsewhere),
    }
}

/// How loosely a stay lies in an offer. Services write when they are called and when they answer: of several calls
/// around a single time, it is the one whose begin or end is nearest.
fn room_ns(stay: Stay, offer: Offer) -> i64 {
    let (before, after) = (stay.from.since(offer.from).saturating_abs(), offer.to.since(stay.to));
    if stay.from == stay.to { before.min(after) } else { before.saturating_add(after) }
}

/// Gives each stay an offer of its own as far as they go, the tightest first.
fn keep_apart(places: &mut [(usize, Lies)], stays: &[Stay], offers: &[Offer], shift_ns: i64, wanted: Wanted) {
    let mut by_room: Vec<usize> = (0..stays.len()).collect();
    by_room.sort_by_key(|&stay| (places[stay].1, room_ns(stays[stay], offers[places[stay].0]), stay));
    let mut taken = vec![false; offers.len()];
    for stay in by_room {
        if taken[places[stay].0] {
            let at = Stay { from: moved(stays[stay].from, shift_ns), to: moved(stays[stay].to, shift_ns) };
            let other = best_offer(at, offers, wanted, |offer| !taken[offer]);
            if !taken[other.0] {
                places[stay] = other;
            }
        }
        taken[places[stay].0] = true;
    }
}

/// How much remains odd, less what is as it should be.
fn cost(stays: &[Stay], places: &[(usize, Lies)], offers: &[Offer], shift_ns: i64, wanted: Wanted) -> f64 {
    let mut of_offer: BTreeMap<usize, Answer> = BTreeMap::new();
    for (stay, (offer, lies)) in stays.iter().zip(places).filter(|(_, (_, lies))| *lies != Lies::Elsewhere) {
        let stay = Stay { from: moved(stay.from, shift_ns), to: moved(stay.to, shift_ns) };
        of_offer.entry(*offer).or_default().add(stay, *lies, offers[*offer], wanted.resolution_ns);
    }
    let mut cost: f64 = of_offer.values().map(|answer| answer.cost(wanted)).sum();
    cost += UNNAMED * of_offer.keys().filter(|offer| !offers[**offer].named).count() as f64;
    cost += without_call(places.iter().filter(|(_, lies)| *lies == Lies::Elsewhere).count());
    let answered = of_offer.keys().filter(|offer| offers[**offer].needs_answer()).count();
    cost += ODD * wanted.to_be_answered.saturating_sub(answered) as f64;
    cost
}

/// How odd it is that no call explains so many stays: most likely one call is missing.
pub(super) fn without_call(stays: usize) -> f64 {
    if stays == 0 { 0.0 } else { MISSING + UNEXPLAINED * stays as f64 }
}

/// How surely stays are those of each offer: by its ends that they mark, then by how many they are.
pub(super) fn claims(fit: &Fit, stays: &[Stay], offers: &[Offer], resolution_ns: i64) -> BTreeMap<usize, (u8, usize)> {
    let mut of_offer: BTreeMap<usize, Answer> = BTreeMap::new();
    for (stay, (offer, lies)) in stays.iter().zip(&fit.places).filter(|(_, (_, lies))| *lies != Lies::Elsewhere) {
        let stay = Stay { from: moved(stay.from, fit.shift_ns), to: moved(stay.to, fit.shift_ns) };
        of_offer.entry(*offer).or_default().add(stay, *lies, offers[*offer], resolution_ns);
    }
    let claim = |answer: Answer| (u8::from(answer.begins) + u8::from(answer.ends), answer.within);
    of_offer.into_iter().map(|(offer, answer)| (offer, claim(answer))).collect()
}

/// How many ends of an offer stays mark.
pub(super) fn marks(stays: &[Stay], offer: Offer, resolution_ns: i64) -> u8 {
    let mut answer = Answer::default();
    stays.iter().for_each(|stay| answer.add(*stay, Lies::Within, offer, resolution_ns));
    u8::from(answer.begins) + u8::from(answer.ends)
}

/// What lies in one offer.
#[derive(Default)]
struct Answer {
    within: usize,
    late: usize,
    /// Whether something was written as the call came in, and as it was answered.
    begins: bool,
    ends: bool,
}

impl Answer {
    fn add(&mut self, stay: Stay, lies: Lies, offer: Offer, resolution_ns: i64) {
        *if lies == Lies::Within { &mut self.within } else { &mut self.late } += 1;
        let edge_ns = (offer.to.since(offer.from) / 10).min(EDGE_MAX_NS);
        let (after, ahead) = (stay.from.since(offer.from), offer.to.since(stay.to));
        self.begins |= (-resolution_ns..=edge_ns).contains(&after);
        self.ends |= (0..=edge_ns).contains(&ahead);
    }

    fn cost(&self, wanted: Wanted) -> f64 {
        let mut cost = match (self.within, self.late) {
            (_, 0) => 0.0,
            (0, _) => VERY_ODD,
            _ => ODD,
        };
        if wanted.one_each {
            cost += VERY_ODD * (self.within + self.late).saturating_sub(1) as f64;
        }
        cost - AS_EXPECTED * f64::from(u8::from(self.begins) + u8::from(self.ends))
    }
}

/// Of the shifts that explain the same, the one that is most usual where clocks are known to be off; else the middle where the calls leave less room than the clock is off, as it is most
/// likely; else the least that will do.
fn settled(stays: &[Stay], offers: &[Offer], shift_ns: i64, wanted: Wanted) -> i64 {
    if shift_ns == 0 {
        return 0;
    }
    let places = placed(stays, offers, shift_ns, wanted);
    let within = stays.iter().zip(&places).filter(|(_, (_, lies))| *lies == Lies::Within);
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for (stay, (offer, _)) in within {
        least = least.max(offers[*offer].from.since(stay.from));
        most = most.min(offers[*offer].to.since(stay.to));
    }
    if wanted.usual.spread_ns > 0 && least <= most {
        return wanted.usual.middle_ns.clamp(least, most);
    }
    if most.saturating_sub(least) < shift_ns.saturating_abs() && least <= most { least + (most - least) / 2 } else { shift_ns }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stitch::tests::builder::at;

    fn lines(times: &[i64]) -> Vec<Stay> {
        times.iter().map(|ms| Stay { from: at(*ms), to: at(*ms) }).collect()
    }

    fn calls(times: &[(i64, i64)]) -> Vec<Offer> {
        times.iter().map(|(from, to)| Offer { from: at(*from), to: at(*to), named: true, failed: false }).collect()
    }

    fn fitted(stays: &[Stay], offers: &[Offer]) -> (i64, Vec<usize>) {
        let to_be_answered = offers.iter().filter(|offer| offer.needs_answer()).count();
        let wanted = Wanted { shift_max_ns: 60_000_000_000, resolution_ns: 0, to_be_answered, one_each: false, usual: Usual::default() };
        let fit = fit(stays, offers, wanted).expect("there are calls");
        (fit.shift_ns / 1_000_000, fit.places.into_iter().map(|(offer, _)| offer).collect())
    }

    #[test]
    fn a_clock_that_may_be_right_is_not_blamed() {
        let offers = calls(&[(10, 100), (110, 200)]);
        assert_eq!(fitted(&lines(&[40, 150, 240]), &offers), (0, vec![0, 1, 1]), "work goes on after the answer");
        assert_eq!(fitted(&lines(&[20, 90]), &calls(&[(10, 100)])), (0, vec![0, 0]));
    }

    #[test]
    fn a_clock_is_blamed_for_what_cannot_be_otherwise() {
        let offers = calls(&[(100, 200), (300, 400)]);
        for off in [-500, -90, 70, 250, 10_000] {
            let (shift_ms, places) = fitted(&lines(&[110, 190, 305, 395].map(|ms| ms + off)), &offers);
            assert_eq!(places, [0, 0, 1, 1], "{off}");
            assert!((shift_ms + off).saturating_abs() <= 12, "{off}: {shift_ms}");
        }
    }

    #[test]
    fn a_call_that_failed_needs_no_answer() {
        let mut offers = calls(&[(100, 200), (300, 400)]);
        offers[0].failed = true;
        assert_eq!(fitted(&lines(&[310, 395]), &offers), (0, vec![1, 1]));
    }

    #[test]
    fn a_call_without_a_name_is_believed_where_a_clock_would_have_to_be_off_or_a_call_is_missing() {
        let mut offers = calls(&[(100, 200), (600, 1_200)]);
        offers[0].named = false;
        assert_eq!(fitted(&lines(&[101, 150, 199]), &offers), (0, vec![0, 0, 0]));
        assert_eq!(fitted(&lines(&[101, 199, 601, 1_199]), &offers), (0, vec![0, 0, 1, 1]));
        assert_eq!(fitted(&lines(&[110, 150, 190]), &calls(&[(160, 245)])), (52, vec![0, 0, 0]));
    }

    #[test]
    fn of_calls_at_once_the_one_with_the_nearest_edge_is_meant() {
        let offers = calls(&[(0, 80), (10, 90), (20, 60)]);
        assert_eq!(fitted(&lines(&[1, 11, 21, 58, 79, 89]), &offers).1, [0, 1, 2, 2, 0, 1]);
    }

    proptest! {
        #[test]
        fn whatever_the_clock_the_calls_are_found(
            lengths in prop::collection::vec((10..80_i64, 5..60_i64), 1..8),
            off in -100_000..100_000_i64,
        ) {
            let mut end = 0;
            let offers: Vec<(i64, i64)> = lengths.iter().map(|(length, pause)| { end += length + pause; (end - length, end) }).collect();
            let times: Vec<i64> = offers.iter().flat_map(|(from, to)| [from + 1 + off / 1_000, to - 1 + off / 1_000]).collect();
            let (_, places) = fitted(&lines(&times), &calls(&offers));
            prop_assert_eq!(places, (0..offers.len()).flat_map(|call| [call, call]).collect::<Vec<_>>());
        }
    }
}
