//! How many connections there may be, in all and from one address, and which one goes when there are too many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::activity::Activity;
use super::limits::ServerLimits;

/// Whom connections are counted for: an IPv4 address, or an IPv6 network of 64 bits, which one machine can have to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer(IpAddr);

impl Peer {
    /// The peer with this address.
    pub(crate) fn of(address: IpAddr) -> Peer {
        Peer(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address => address,
        })
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// All connections of one listener.
#[derive(Debug)]
pub(super) struct Slots {
    connections_max: usize,
    per_peer_max: usize,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, (Peer, Arc<Activity>)>,
    of_peer: HashMap<Peer, usize>,
}

/// Why a connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All places are taken by connections at work.
    Full,
    /// All places of its address are.
    PeerFull,
}

impl Slots {
    pub(super) fn new(limits: &ServerLimits) -> Arc<Slots> {
        Arc::new(Slots {
            connections_max: limits.connections_max,
            per_peer_max: limits.connections_per_peer_max,
            table: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A place for a connection, if need be that of the one that has been silent longest. Whether one had to go is told as well.
    pub(super) fn take(self: &Arc<Slots>, peer: Peer, activity: &Arc<Activity>) -> Result<(Slot, bool), NoPlace> {
        let mut table = self.table.lock();
        let mut evicted = false;
        if table.of_peer.get(&peer).copied().unwrap_or(0) >= self.per_peer_max {
            evicted = table.evict(|other| other == peer);
            if !evicted {
                return Err(NoPlace::PeerFull);
            }
        }
        if table.open.len() >= self.connections_max {
            evicted = table.evict(|_| true);
            if !evicted {
                return Err(NoPlace::Full);
            }
        }
        let number = table.next;
        table.next += 1;
        table.open.insert(number, (peer, Arc::clone(activity)));
        *table.of_peer.entry(peer).or_default() += 1;
        Ok((Slot { slots: Arc::clone(self), number }, evicted))
    }

    /// Ends the connection that has been silent longest, if one is without a request.
    pub(super) fn evict(&self) -> bool {
        self.table.lock().evict(|_| true)
    }

    /// Waits until a connection ended.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    #[cfg(test)]
    fn open(&self) -> usize {
        self.table.lock().open.len()
    }
}

impl Table {
    fn evict(&mut self, may_go: impl Fn(Peer) -> bool) -> bool {
        let silent = self.open.iter().filter(|(_, (peer, activity))| may_go(*peer) && !activity.is_working());
        let Some(number) = silent.min_by_key(|(_, (_, activity))| activity.last()).map(|(number, _)| *number) else { return false };
        if let Some((_, activity)) = self.open.get(&number) {
            activity.evicted.cancel();
        }
        self.remove(number);
        true
    }

    fn remove(&mut self, number: u64) {
        let Some((peer, _)) = self.open.remove(&number) else { return };
        if let Some(count) = self.of_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.of_peer.remove(&peer);
            }
        }
    }
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.table.lock().remove(self.number);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::UnderWay;
    use super::*;
    use std::time::{Duration, Instant};

    fn slots(all: usize, per_peer: usize) -> Arc<Slots> {
        Slots::new(&ServerLimits { connections_max: all, connections_per_peer_max: per_peer, ..ServerLimits::default() })
    }

    fn peer(last: u8) -> Peer {
        Peer::of(IpAddr::from([127, 0, 0, last]))
    }

    /// Connections of one peer, opened a second apart.
    fn opened(slots: &Arc<Slots>, peer: Peer, count: u32, begin: Instant) -> Vec<(Slot, Arc<Activity>)> {
        let open = (0..count).map(|second| {
            let activity = Activity::begin(begin);
            activity.touch(begin + Duration::from_secs(second.into()));
            (slots.take(peer, &activity).unwrap().0, activity)
        });
        open.collect()
    }

    #[test]
    fn the_longest_silent_connection_makes_place() {
        let (slots, now) = (slots(3, 3), Instant::now());
        let open = opened(&slots, peer(1), 3, now);
        open[0].1.touch(now + Duration::from_secs(60));
        let (_slot, evicted) = slots.take(peer(2), &Activity::begin(now)).unwrap();
        assert!(evicted && open[1].1.evicted.is_cancelled(), "the first one was heard of last");
        assert!(!open[0].1.evicted.is_cancelled() && !open[2].1.evicted.is_cancelled());
        assert_eq!(slots.open(), 3);
    }

    #[test]
    fn a_peer_with_too_many_takes_from_itself_only() {
        let (slots, now) = (slots(10, 2), Instant::now());
        let (others, own) = (opened(&slots, peer(1), 2, now), opened(&slots, peer(2), 2, now));
        slots.take(peer(2), &Activity::begin(now)).unwrap();
        assert!(own[0].1.evicted.is_cancelled());
        assert!(others.iter().all(|(_, activity)| !activity.evicted.is_cancelled()));
    }

    #[test]
    fn connections_at_work_stay_and_free_their_place_when_they_end() {
        let (slots, now) = (slots(3, 2), Instant::now());
        let mut open = opened(&slots, peer(1), 2, now);
        open.extend(opened(&slots, peer(2), 1, now));
        let requests: Vec<UnderWay> = open.iter().map(|(_, activity)| UnderWay::begin(activity, now)).collect();
        assert_eq!(slots.take(peer(1), &Activity::begin(now)).err(), Some(NoPlace::PeerFull));
        assert_eq!(slots.take(peer(2), &Activity::begin(now)).err(), Some(NoPlace::Full));
        drop(requests);
        drop(open.pop());
        assert!(slots.take(peer(2), &Activity::begin(now)).is_ok_and(|(_, evicted)| !evicted));
        drop(open);
        assert_eq!(slots.open(), 0);
        assert!(slots.table.lock().of_peer.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_peer_and_ipv4_within_ipv6_is_ipv4() {
        let of = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
