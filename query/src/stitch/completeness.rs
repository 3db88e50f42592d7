//! What a journey does not show, in words.

use needle_storage::model::UnixNanos;

use super::close::Closed;
use crate::answer::{Completeness, CompletenessState};
use crate::limits::SETTLE_NS;

/// Complete, still arriving, or partial. What could not be read weighs more than what may still come, and that more
/// than parents which have had the time to come.
pub(super) fn of(closed: &Closed, last: UnixNanos, missing_parents: usize, now: UnixNanos) -> Completeness {
    let mut reasons: Vec<String> = Vec::new();
    let (shards, others): (Vec<&str>, Vec<&str>) =
        closed.failures.iter().map(String::as_str).partition(|failure| failure.starts_with("shard "));
    let failed = shards.len();
    if failed > 0 {
        let shards_named = if failed == 1 { "shard" } else { "shards" };
        reasons.push(format!("{failed} {shards_named} could not be read: {}", shards.join("; ")));
    }
    reasons.extend(others.into_iter().map(str::to_owned));
    reasons.extend(closed.cut.iter().cloned());
    let unread = !reasons.is_empty();
    let age_ns = now.since(last);
    // A record of the future tells nothing about what is on its way.
    let arriving = age_ns.unsigned_abs() < SETTLE_NS;
    if arriving {
        let seconds = SETTLE_NS / 1_000_000_000;
        reasons.push(format!("the last record is less than {seconds} s old; more may be on its way"));
    }
    match missing_parents {
        0 => {}
        1 => reasons.push("1 span that others name as their parent was not received".to_owned()),
        more => reasons.push(format!("{more} spans that others name as their parents were not received")),
    }
    let state = match (unread, arriving, missing_parents > 0) {
        (true, _, _) | (_, false, true) => CompletenessState::Partial,
        (_, true, _) => CompletenessState::Arriving,
        _ => CompletenessState::Complete,
    };
    Completeness { state, reasons, shards_searched: closed.shards_searched, shards_failed: failed }
}
