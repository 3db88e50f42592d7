//! What a tenant may take of what all tenants share: of the bytes on their way into the store a part, so that there is always
//! room for others, and where the settings say so, so many bytes a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use needle_storage::model::Tenant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Refusal;
use crate::settings::IngestSettings;

/// Bytes per permit of a semaphore, whose permits are counted in 32 bits.
const UNIT_BYTES: usize = 1024;
/// A tenant that was silent may send as much at once as in this time: exporters collect for seconds, and send together.
const BURST: Duration = Duration::from_secs(10);

/// The shares of all tenants. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    room: Room,
    tenant_bytes_max: usize,
    bytes_per_second_max: u64,
    /// As many as there are tenants with tokens.
    tenants: Arc<Mutex<HashMap<Tenant, Share>>>,
}

/// Room for bytes on their way.
#[derive(Clone, Debug)]
struct Room {
    semaphore: Arc<Semaphore>,
    bytes_max: usize,
}

impl Room {
    fn of(bytes_max: usize) -> Room {
        let units = bytes_max / UNIT_BYTES;
        Room { semaphore: Arc::new(Semaphore::new(units.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS))), bytes_max }
    }

    fn take(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        self.semaphore.clone().try_acquire_many_owned(units).ok()
    }
}

#[derive(Debug)]
struct Share {
    room: Room,
    /// When all that it sent will have taken the time that it should take: later than now by what it sent too early.
    due: Instant,
}

impl Shares {
    pub(crate) fn of(settings: &IngestSettings) -> Shares {
        let all = settings.in_flight_bytes_max;
        Shares {
            room: Room::of(all),
            // The largest request, compressed and decompressed, has to fit.
            tenant_bytes_max: (all / 4 * 3).max(2 * settings.request_bytes_max).min(all),
            bytes_per_second_max: settings.tenant_bytes_per_second_max,
            tenants: Arc::default(),
        }
    }

    /// Lets a request in before its body is read, if its tenant has not sent too much of late.
    pub(crate) fn enter(&self, tenant: &Tenant) -> Result<InFlight, Refusal> {
        self.with(tenant, |share| {
            let early = share.due.saturating_duration_since(Instant::now());
            match early.checked_sub(BURST).filter(|wait| !wait.is_zero()) {
                Some(wait) => Err(Refusal::TenantRate { limit: self.bytes_per_second_max, wait_seconds: wait.as_secs() }),
                None => Ok(InFlight { all: self.room.clone(), own: share.room.clone(), held: None, units: 0 }),
            }
        })
    }

    /// Counts the bytes of a request that came whole. What it is too much is made up for before the next is let in.
    pub(crate) fn spend(&self, tenant: &Tenant, bytes: usize) {
        if self.bytes_per_second_max > 0 {
            let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second_max as f64);
            self.with(tenant, |share| share.due = share.due.max(Instant::now()) + takes);
        }
    }

    fn with<T>(&self, tenant: &Tenant, work: impl FnOnce(&mut Share) -> T) -> T {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = tenants.get_mut(tenant) {
            return work(share);
        }
        let share = Share { room: Room::of(self.tenant_bytes_max), due: Instant::now() };
        work(tenants.entry(tenant.clone()).or_insert(share))
    }
}

/// The bytes one request holds, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    all: Room,
    own: Room,
    held: Option<[OwnedSemaphorePermit; 2]>,
    units: usize,
}

impl InFlight {
    /// Holds room for `bytes` in all. Never waits: who waited here would hold what others wait for.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let units = bytes.div_ceil(UNIT_BYTES);
        if units <= self.units {
            return Ok(());
        }
        let take = |room: &Room, whose: &'static str| {
            let permit = u32::try_from(units - self.units).ok().and_then(|more| room.take(more));
            permit.ok_or(Refusal::Busy { whose, limit: room.bytes_max })
        };
        let [all, own] = [take(&self.all, "")?, take(&self.own, " of this tenant")?];
        match &mut self.held {
            Some([all_held, own_held]) => {
                all_held.merge(all);
                own_held.merge(own);
            }
            None => self.held = Some([all, own]),
        }
        self.units = units;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.units * UNIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).expect("a name")
    }

    #[test]
    fn one_tenant_leaves_room_for_others_and_gives_back_what_it_took() {
        let settings = IngestSettings { request_bytes_max: 1 << 10, in_flight_bytes_max: 8 << 10, ..IngestSettings::default() };
        let shares = Shares::of(&settings);
        let mut flood = shares.enter(&tenant("flood")).unwrap();
        flood.hold(6 << 10).unwrap();
        let mut more = shares.enter(&tenant("flood")).unwrap();
        let refused = more.hold(1).unwrap_err().to_string();
        assert_eq!(refused, "too many bytes of this tenant are on their way into the store (limit 6144): send again a little later");
        let mut other = shares.enter(&tenant("other")).unwrap();
        other.hold(2 << 10).unwrap();
        let refused = shares.enter(&tenant("third")).unwrap().hold(1).unwrap_err().to_string();
        assert_eq!(refused, "too many bytes are on their way into the store (limit 8192): send again a little later");
        drop(flood);
        more.hold(6 << 10).unwrap();
    }

    #[test]
    fn who_sends_too_much_is_asked_to_wait_for_as_long_as_it_takes_to_make_up_for_it() {
        let settings = IngestSettings { tenant_bytes_per_second_max: 1_000_000, ..IngestSettings::default() };
        let shares = Shares::of(&settings);
        shares.spend(&tenant("a"), 9_000_000);
        assert!(shares.enter(&tenant("a")).is_ok(), "what was not sent before may be sent at once");
        shares.spend(&tenant("a"), 61_000_000);
        let refused = shares.enter(&tenant("a")).unwrap_err();
        let Refusal::TenantRate { limit: 1_000_000, wait_seconds } = refused else { panic!("{refused}") };
        assert!((50..=60).contains(&wait_seconds), "{wait_seconds}");
        assert!(shares.enter(&tenant("b")).is_ok(), "others are not");
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let shares = Shares::of(&IngestSettings::default());
        shares.spend(&tenant("a"), usize::MAX);
        assert!(shares.enter(&tenant("a")).is_ok());
    }
}
