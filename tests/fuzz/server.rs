//! The server's way with one connection, as the program has it.

#[path = "../../src/server/activity.rs"]
mod activity;
#[path = "../../src/server/body.rs"]
mod body;
#[path = "../../src/server/connection.rs"]
mod connection;
#[path = "../../src/server/frames.rs"]
mod frames;
#[path = "../../src/server/limits.rs"]
mod limits;
#[path = "../../src/server/slots.rs"]
mod slots;
#[path = "../../src/server/strict.rs"]
mod strict;
#[path = "../../src/server/tls.rs"]
mod tls;
#[path = "../../src/server/transport.rs"]
mod transport;
#[path = "../../src/server/validity.rs"]
mod validity;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Serves one connection to its end.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let (limits, shutdown) = (Arc::new(limits::ServerLimits::default()), CancellationToken::new());
    let (peer, activity) = (slots::Peer::of(IpAddr::V4(Ipv4Addr::LOCALHOST)), activity::Activity::begin(Instant::now()));
    connection::Connection { router, limits, peer, activity, shutdown }.run(stream).await;
}
