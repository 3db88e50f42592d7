//! Requests whose truth is known, through the real path of records into a real store, and how well the stitched journeys
//! tell that truth: every record in its journey, none in another's, every parent who called.
//!
//! `make journeys SEED=1 REQUESTS=2000` prints the scores by kind of request; `SHOW=3` also draws the first journeys that
//! are not as it was. Without these it is a short run, for `make test`.
#![allow(clippy::unwrap_used)]

mod arrival;
#[allow(dead_code)]
#[path = "../bench/workload/attributes.rs"]
mod attributes;
mod campaign;
mod conventions;
mod drawing;
mod fleet;
mod graph;
mod naming;
#[allow(dead_code)]
#[path = "../bench/workload/random.rs"]
mod random;
mod scene;
mod score;
mod table;
mod town;
mod wire;

use campaign::Campaign;

const REQUESTS_SHORT: u64 = 300;
const ROUNDS_SHORT: u64 = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// What must be at least, in hundredths: of a few hundred requests, so that a number stands below what many thousand give.
struct Floors {
    /// Of visits where names, addresses or the shape of calls tell who called.
    told: usize,
    /// Of all visits, also where only times tell.
    all: usize,
    /// Of traces begun anew.
    traces: usize,
}

fn campaign(clock_error_ms: u64, floors: &Floors) {
    let campaign = Campaign {
        seed: number("SEED").unwrap_or(1),
        requests: number("REQUESTS").unwrap_or(REQUESTS_SHORT),
        clock_error_ms,
        show: number("SHOW").unwrap_or(0),
    };
    let table = campaign.run();
    let all = table.sum(|_| true);
    assert_eq!(all.found, all.records, "records that are not in the journey of their request");
    assert_eq!(all.foreign, 0, "records in the journey of another request");
    assert_eq!(all.spans.right, all.spans.all(), "spans that are not under the parent they name");
    assert_eq!(all.links_named, all.links, "links that are not named");
    for (what, verdicts, floor) in [
        ("visits where calls tell", table.sum(scene::Scene::tells_who_called).visits, floors.told),
        ("visits", all.visits, floors.all),
        ("traces begun anew", all.traces, floors.traces),
    ] {
        let (right, of) = (verdicts.right, verdicts.all());
        assert!(right * 100 >= of * floor, "{what}: {right} of {of} under who called, less than {floor} %");
    }
}

#[test]
fn clocks_that_are_right() {
    campaign(0, &Floors { told: 98, all: 94, traces: 95 });
}

#[test]
fn clocks_that_are_off_by_up_to_100_ms() {
    campaign(100, &Floors { told: 95, all: 86, traces: 88 });
}

#[test]
fn clocks_that_are_off_by_up_to_a_second() {
    campaign(1_000, &Floors { told: 82, all: 74, traces: 60 });
}

#[test]
fn the_order_of_arrival_batches_seals_and_merges_do_not_matter() {
    arrival::hold(number("SEED").unwrap_or(1), number("ROUNDS").unwrap_or(ROUNDS_SHORT));
}
