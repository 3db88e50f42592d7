//! The one server: it serves every router of the program, on every listener, with the same deadlines and limits.
//!
//! Of a connection, the bytes are checked (`transport`, `strict`, `frames`), hyper makes requests of them (`connection`), whose
//! bodies have to come and whose answers have to be taken (`body`); `activity` knows what it does, `slots` whether it may stay.
//! Who asks, and whether they may, is seen to by the `guard`; `tls` encrypts.

mod activity;
mod attempts;
mod body;
mod connection;
mod descriptors;
mod frames;
mod guard;
mod limits;
mod metrics;
mod origins;
mod session_routes;
mod sessions;
mod slots;
mod strict;
mod tls;
mod transport;
mod validity;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use activity::Activity;
use connection::Connection;
pub(crate) use descriptors::raise as raise_descriptors;
pub(crate) use guard::{Exposure, Form, Guard, Guarded};
pub(crate) use limits::ServerLimits;
pub(crate) use metrics::{GuardMetrics, ServerMetrics};
use metrics::{Listener, Turned};
pub(crate) use origins::Origins;
use slots::{NoPlace, Peer, Slot, Slots};
pub(crate) use tls::{LOOK_INTERVAL as CERTIFICATE_LOOK_INTERVAL, Tls, TlsFiles, TlsMetrics};

/// How long the loop rests when no connection can be accepted (out of file descriptors): any error would come again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every listener is served with.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) limits: Arc<ServerLimits>,
    pub(crate) metrics: ServerMetrics,
    /// Whether, and how, connections are encrypted.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Cancelled to stop accepting, finish what is under way and return.
    pub(crate) shutdown: CancellationToken,
    /// Cancelled, later, to cut what does not finish.
    pub(crate) cut: CancellationToken,
}

impl Serving {
    /// Serves `routes` until the shutdown; then lets requests under way finish until they are cut.
    pub(crate) async fn serve(self, name: &'static str, listener: TcpListener, routes: Guarded) {
        let door = Door { name, slots: Slots::new(&self.limits), serving: self };
        let router = routes.into_router();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = door.serving.shutdown.cancelled() => break,
                accepted = door.accept(&listener) => accepted,
            };
            if let Some((stream, peer, slot, activity)) = accepted {
                let Serving { limits, shutdown, tls, .. } = door.serving.clone();
                let connection = Connection { router: router.clone(), limits, peer, activity, shutdown };
                let open = door.serving.metrics.connections.get_or_create(&Listener { listener: name }).clone();
                open.inc();
                connections.spawn(async move {
                    match tls {
                        None => connection.run(stream).await,
                        Some(tls) => connection.run_encrypted(stream, &tls).await,
                    }
                    open.dec();
                    drop(slot);
                });
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if door.serving.cut.run_until_cancelled(drained).await.is_none() {
            tracing::warn!("{} connections of {name} were cut at shutdown: their requests did not end in time", connections.len());
        }
        connections.shutdown().await;
    }
}

/// Where connections come in.
struct Door {
    name: &'static str,
    serving: Serving,
    slots: Arc<Slots>,
}

impl Door {
    /// The next connection that has a place. Cancelled, it loses none that could have been served.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, Peer, Slot, Arc<Activity>)> {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                self.not_accepted(&error).await;
                return None;
            }
        };
        self.serving.metrics.accepted.get_or_create(&Listener { listener: self.name }).inc();
        let (peer, activity) = (Peer::of(address.ip()), Activity::begin(Instant::now()));
        let slot = self.place(peer, &activity).await?;
        // Small answers must not wait for the acknowledgement of the packet before (Nagle and delayed ACK: 40 ms each).
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY: {error}");
        }
        Some((stream, peer, slot, activity))
    }

    /// A place for a connection; waits for one while all are taken by connections at work.
    async fn place(&self, peer: Peer, activity: &Arc<Activity>) -> Option<Slot> {
        loop {
            match self.slots.take(peer, activity) {
                Ok((slot, evicted)) => {
                    if evicted {
                        self.turned("idle");
                    }
                    return Some(slot);
                }
                Err(NoPlace::PeerFull) => {
                    self.turned("peer");
                    tracing::debug!(listener = self.name, "a connection of {peer} was closed: it has too many at work");
                    return None;
                }
                Err(NoPlace::Full) => self.slots.freed().await,
            }
        }
    }

    /// Most errors concern one connection that is gone already; out of file descriptors, the silent ones have to go.
    async fn not_accepted(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) {
            return;
        }
        let evicted = self.slots.evict();
        self.turned("descriptors");
        tracing::warn!(listener = self.name, evicted, "a connection was not accepted: {error}");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    fn turned(&self, reason: &'static str) {
        self.serving.metrics.turned_away.get_or_create(&Turned { listener: self.name, reason }).inc();
    }
}

#[cfg(test)]
mod tests;
