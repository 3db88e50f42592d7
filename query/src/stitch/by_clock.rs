//! Lines of a service whose records do not say of which process they are, where other journeys tell by how much the clocks of
//! its processes are off: a call has one callee, and that has one clock.

use super::fit::{ODD, Offer, Stay, UNEXPLAINED, marks};

/// Ways to share out clocks that are compared.
const WAYS_MAX: usize = 1 << 12;
/// Lines that are compared with them.
const LINES_MAX: usize = 64;

/// For each line the number of the clock that wrote it, so that as many ends of calls as possible are marked, as few calls are
/// silent, and as few lines lie in no call. `None` if there are too many ways.
pub(super) fn clocks_of_lines(stays: &[Stay], offers: &[Offer], offsets: &[(i64, i64)], resolution_ns: i64) -> Option<Vec<usize>> {
    let ways = u32::try_from(offers.len()).ok().and_then(|offers| offsets.len().checked_pow(offers))?;
    if ways > WAYS_MAX || stays.len() > LINES_MAX || offers.is_empty() {
        return None;
    }
    let way = |number: usize| -> Vec<usize> {
        let digit = |left: &mut usize, _: &Offer| {
            let clock = *left % offsets.len();
            *left /= offsets.len();
            Some(clock)
        };
        offers.iter().scan(number, digit).collect()
    };
    let told = |clocks: &[usize]| told_by(stays, offers, offsets, clocks, resolution_ns);
    let best = (0..ways).map(|number| (told(&way(number)).0, number)).min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(told(&way(best.1)).1)
}

/// How odd it is that these clocks answered the calls, and which line is of which clock.
fn told_by(stays: &[Stay], offers: &[Offer], offsets: &[(i64, i64)], clocks: &[usize], resolution_ns: i64) -> (f64, Vec<usize>) {
    let mut of_offer: Vec<Vec<Stay>> = vec![Vec::new(); offers.len()];
    let mut oddities = 0.0;
    let mut chosen = Vec::with_capacity(stays.len());
    for stay in stays {
        // The call of which it marks an end, else the nearest end.
        let held = (0..offers.len()).filter_map(|offer| {
            let (offset_ns, doubt_ns) = offsets[clocks[offer]];
            let (at, Offer { from, to, .. }) = (stay.moved(offset_ns), offers[offer]);
            let (before, after) = (at.from.since(from), to.since(at.to));
            let lies = before >= -resolution_ns - doubt_ns && after >= -doubt_ns;
            lies.then(|| (before.saturating_abs().min(after.saturating_abs()), offer, at))
        });
        match held.min_by_key(|(edge_ns, offer, _)| (*edge_ns, *offer)) {
            Some((_, offer, at)) => {
                of_offer[offer].push(at);
                chosen.push(clocks[offer]);
            }
            None => {
                oddities += ODD + UNEXPLAINED;
                chosen.push(0);
            }
        }
    }
    for ((offer, stays), clock) in offers.iter().zip(&of_offer).zip(clocks) {
        let doubt_ns = offsets[*clock].1;
        let wide = Offer { from: offer.from.saturating_add_signed(-doubt_ns), to: offer.to.saturating_add_signed(doubt_ns), ..*offer };
        oddities -= f64::from(marks(stays, wide, resolution_ns));
        oddities += if stays.is_empty() && offer.needs_answer() { ODD } else { 0.0 };
    }
    (oddities, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::tests::builder::{MS, at};

    fn of_lines(times: &[i64], calls: &[(i64, i64)], offsets: &[i64]) -> Option<Vec<usize>> {
        let stays: Vec<Stay> = times.iter().map(|ms| Stay { from: at(*ms), to: at(*ms) }).collect();
        let offers: Vec<Offer> =
            calls.iter().map(|(from, to)| Offer { from: at(*from), to: at(*to), named: true, failed: false }).collect();
        let offsets: Vec<(i64, i64)> = offsets.iter().map(|ms| (ms * MS as i64, MS as i64)).collect();
        clocks_of_lines(&stays, &offers, &offsets, 0)
    }

    #[test]
    fn lines_are_of_the_clock_by_which_calls_begin_and_end() {
        // The second call was answered by a process whose clock is 80 ms behind.
        assert_eq!(of_lines(&[101, 150, 199, 221, 270, 319], &[(100, 200), (300, 400)], &[0, 80]), Some(vec![0, 0, 0, 1, 1, 1]));
        assert_eq!(of_lines(&[101, 199, 301, 399], &[(100, 200), (300, 400)], &[0, 80]), Some(vec![0, 0, 0, 0]));
    }

    #[test]
    fn very_many_ways_are_not_compared() {
        assert_eq!(of_lines(&[5], &[(0, 10); 40], &[0, 80]), None);
    }
}
