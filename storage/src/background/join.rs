//! Joining batches in memory, so that queries look at few of them. Apart from the commit: a copy of some thousand records takes
//! milliseconds, for which nobody's acknowledgement, and no query, waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::KEEPER_INTERVAL;
use crate::live::{self, LiveBatch};
use crate::priority::give_way;
use crate::state::State;
use crate::store::Shared;

impl Shared {
    /// Joins batches until the store closes. A fault in it costs that one attempt.
    pub(crate) fn run_joiner(shared: &Shared) {
        give_way();
        while !shared.closing.load(Ordering::Relaxed) {
            shared.wake_joiner.wait_for(KEEPER_INTERVAL);
            if catch_unwind(AssertUnwindSafe(|| while shared.tick_join() {})).is_err() {
                tracing::error!("joining batches in memory failed; they stay apart");
            }
        }
    }

    /// Joins some batches, if there are any to join.
    pub(crate) fn tick_join(&self) -> bool {
        if self.closing.load(Ordering::Relaxed) {
            return false;
        }
        let next = {
            let state = self.state.read();
            [&state.accepted, &state.replayed].into_iter().find_map(|lane| live::to_join(&lane.current))
        };
        let Some(run) = next else { return false };
        match LiveBatch::join(&run) {
            Ok(joined) => {
                self.put_in_place_of(&run, joined);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "live batches stay apart");
                false
            }
        }
    }

    /// Where a seal took them meanwhile, they stay apart.
    fn put_in_place_of(&self, run: &[Arc<LiveBatch>], joined: LiveBatch) {
        let mut state = self.state.write();
        let State { accepted, replayed, .. } = &mut *state;
        let joined = Arc::new(joined);
        if [accepted, replayed].into_iter().any(|lane| live::replace(&mut lane.current, run, &joined)) {
            self.measure(&state);
        }
    }
}
