//! The large journey that was asked for last, kept while it is read page by page: stitching it anew for each page would cost
//! seconds, and between two pages new records would move the rest.

use std::sync::Arc;
use std::time::Duration;

use needle_storage::Snapshot;
use needle_storage::model::Tenant;
use parking_lot::Mutex;

use crate::answer::{CompletenessState, JourneyRequest};
use crate::journey::Outlined;

/// How long after its last page it is kept. Files of shards that it reads from stay as long.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// What tells journeys apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    tenant: Tenant,
    id: String,
    inferred: bool,
    corrected: bool,
}

impl Key {
    pub(crate) fn of(tenant: &Tenant, request: &JourneyRequest) -> Key {
        Key { tenant: tenant.clone(), id: request.id.clone(), inferred: request.inferred, corrected: request.corrected }
    }
}

/// A stitched journey, and the snapshot in which its records lie.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Its pages name it by this, so that none is of another stitching.
    pub(crate) number: u64,
    pub(crate) outlined: Arc<Outlined>,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// Room for one.
#[derive(Clone, Default)]
pub(crate) struct KeptJourney(Arc<Mutex<Room>>);

#[derive(Default)]
struct Room {
    /// Counts the uses, so that only the last one's end of time empties the room.
    uses: u64,
    last_number: u64,
    deletions: u64,
    kept: Option<(Key, Kept)>,
}

impl KeptJourney {
    /// The kept journey if it is this one, and of the stitching with that number where one is given.
    pub(crate) fn get(&self, key: &Key, number: Option<u64>) -> Option<Kept> {
        let room = self.0.lock();
        let (kept_key, kept) = room.kept.as_ref()?;
        let is_wanted = kept_key == key && number.is_none_or(|number| number == kept.number);
        is_wanted.then(|| kept.clone())
    }

    /// The kept journey if it is this one and nothing has changed since. One that has is let go, so that there is room for
    /// it to be stitched anew.
    pub(crate) fn get_fresh(&self, key: &Key, snapshot: &Snapshot) -> Option<Kept> {
        let mut room = self.0.lock();
        let (_, kept) = room.kept.as_ref().filter(|(kept_key, _)| kept_key == key)?;
        let settled = kept.outlined.journey.completeness.state != CompletenessState::Arriving;
        if settled && kept.snapshot.is_same(snapshot) {
            return Some(kept.clone());
        }
        room.kept = None;
        None
    }

    /// How often something was deleted so far.
    pub(crate) fn deletions(&self) -> u64 {
        self.0.lock().deletions
    }

    /// Keeps a journey instead of the one before, and gives it a number. Not if something was deleted since its snapshot
    /// may have been made.
    pub(crate) fn keep(&self, key: Key, outlined: Arc<Outlined>, snapshot: Arc<Snapshot>, deletions: u64) -> Kept {
        let mut room = self.0.lock();
        room.last_number += 1;
        let kept = Kept { number: room.last_number, outlined, snapshot };
        if room.deletions == deletions {
            room.kept = Some((key, kept.clone()));
        }
        kept
    }

    /// Keeps none: something was deleted, which must not be shown any more.
    pub(crate) fn clear(&self) {
        let mut room = self.0.lock();
        room.deletions += 1;
        room.kept = None;
    }

    /// Counts a use; when no other follows in time, the room is emptied.
    pub(crate) fn used(&self) {
        let use_number = {
            let mut room = self.0.lock();
            if room.kept.is_none() {
                return;
            }
            room.uses += 1;
            room.uses
        };
        let room = self.0.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            let mut room = room.lock();
            if room.uses == use_number {
                room.kept = None;
            }
        });
    }
}

impl std::fmt::Debug for KeptJourney {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptJourney")
    }
}
