//! The least waiting that explains when something was written: lines of several visits are told apart by the calls around them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use needle_storage::model::UnixNanos;

/// A call, from when it began until when its callee may have written.
pub(super) type Window = (UnixNanos, UnixNanos);

/// For each time the window it lies in, by number, so that the windows that are used are the shortest in sum; of two
/// around a time the one that opened later. `None` where a time lies in no window. The times are in order.
pub(super) fn cover(times: &[UnixNanos], windows: &[Window]) -> Option<Vec<usize>> {
    let mut by_begin: Vec<usize> = (0..windows.len()).collect();
    by_begin.sort_by_key(|&window| (windows[window], window));
    let mut to_open = by_begin.into_iter().peekable();
    // What it takes to explain the first so many times. More times never take less, so a window explains all it can.
    let mut least = vec![0_i64];
    let mut open: BinaryHeap<Reverse<(i64, usize, usize)>> = BinaryHeap::new();
    let mut chosen: Vec<(usize, usize)> = Vec::with_capacity(times.len());
    for (first, time) in times.iter().enumerate() {
        while let Some(window) = to_open.next_if(|&window| windows[window].0 <= *time) {
            let (from, to) = windows[window];
            open.push(Reverse((least[first].saturating_add(to.since(from)), window, first)));
        }
        while open.peek().is_some_and(|Reverse((_, window, _))| windows[*window].1 < *time) {
            open.pop();
        }
        let Reverse((sum, window, first_within)) = *open.peek()?;
        least.push(sum);
        chosen.push((window, first_within));
    }
    let mut places = vec![0; times.len()];
    let mut end = times.len();
    while end > 0 {
        let (window, first) = chosen[end - 1];
        places[first..end].fill(window);
        end = first;
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::stitch::tests::builder::at;

    fn covered(times: &[i64], windows: &[(i64, i64)]) -> Option<Vec<usize>> {
        let windows: Vec<Window> = windows.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        cover(&times.iter().map(|ms| at(*ms)).collect::<Vec<_>>(), &windows)
    }

    #[test]
    fn lines_lie_in_the_calls_that_waited_least() {
        assert_eq!(covered(&[12, 18, 42, 48], &[(0, 100), (10, 20), (40, 50)]), Some(vec![1, 1, 2, 2]));
        assert_eq!(covered(&[12, 30, 48], &[(0, 100), (10, 20), (40, 50)]), Some(vec![0, 0, 0]));
        assert_eq!(covered(&[12, 16, 24], &[(10, 20), (15, 25)]), Some(vec![0, 1, 1]));
        assert_eq!(covered(&[12, 30], &[(10, 20)]), None);
    }

    proptest! {
        #[test]
        fn no_other_calls_that_hold_all_lines_wait_less(
            mut times in prop::collection::vec(0..40_i64, 1..8),
            windows in prop::collection::vec((0..40_i64, 0..20_i64), 1..7),
        ) {
            times.sort_unstable();
            let windows: Vec<(i64, i64)> = windows.into_iter().map(|(from, length)| (from, from + length)).collect();
            let holds = |window: usize, time: i64| windows[window].0 <= time && time <= windows[window].1;
            let length = |used: &[usize]| used.iter().map(|&window| windows[window].1 - windows[window].0).sum::<i64>();
            let sets = (0..1_usize << windows.len()).map(|set| (0..windows.len()).filter(|window| set & (1 << window) != 0).collect::<Vec<_>>());
            let holding = sets.filter(|set| times.iter().all(|&time| set.iter().any(|&window| holds(window, time))));
            let found = covered(&times, &windows);
            prop_assert_eq!(found.is_some(), (0..times.len()).all(|n| (0..windows.len()).any(|window| holds(window, times[n]))));
            if let Some(places) = found {
                prop_assert!(places.iter().zip(&times).all(|(&window, &time)| holds(window, time)));
                let used: Vec<usize> = places.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
                prop_assert_eq!(Some(length(&used)), holding.map(|set| length(&set)).min());
            }
        }
    }
}
