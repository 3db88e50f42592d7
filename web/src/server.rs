//! The accept loop on hyper: deadlines for headers, a bound on connections, and a shutdown that ends.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::settings::WebSettings;

/// How long the loop rests when no connection can be accepted (out of file descriptors): any error would come again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often an idle HTTP/2 peer is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Streams one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 256;

/// Serves `router` until `shutdown`; then cancels `closing`, on which open-ended answers end, and waits for the rest.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &WebSettings,
    shutdown: &CancellationToken,
    closing: &CancellationToken,
) {
    let builder = Arc::new(builder(settings));
    let slots = Arc::new(Semaphore::new(settings.connections_max));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = Connection {
            builder: Arc::clone(&builder),
            router: router.clone(),
            watcher: graceful.watcher(),
            header_timeout: settings.header_timeout(),
            closing: closing.clone(),
        };
        // Small answers must not wait for the acknowledgement of the packet before (Nagle and delayed ACK: 40 ms each).
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY: {error}");
        }
        connections.spawn(async move {
            connection.run(stream).await;
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    closing.cancel();
    if tokio::time::timeout(settings.shutdown_timeout(), graceful.shutdown()).await.is_err() {
        tracing::warn!("{} connections were cut at shutdown: they did not end in time", connections.len());
    }
    connections.shutdown().await;
}

/// Serves `router` on one connection, to its end.
pub(crate) async fn serve_on(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    settings: &WebSettings,
    closing: &CancellationToken,
) {
    let builder = Arc::new(builder(settings));
    let (watcher, header_timeout, closing) = (GracefulShutdown::new().watcher(), settings.header_timeout(), closing.clone());
    Connection { builder, router, watcher, header_timeout, closing }.run(stream).await;
}

/// Waits for a free slot first: what cannot be served stays in the listener's backlog.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

fn builder(settings: &WebSettings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.idle_timeout());
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).max_concurrent_streams(STREAMS_MAX);
    builder
}

struct Connection {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    watcher: Watcher,
    header_timeout: Duration,
    closing: CancellationToken,
}

impl Connection {
    async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let used = Arc::new(AtomicBool::new(false));
        let service = hyper::service::service_fn({
            let (router, used) = (self.router, Arc::clone(&used));
            move |request: hyper::Request<Incoming>| {
                used.store(true, Ordering::Relaxed);
                answer(router.clone(), request.map(Body::new))
            }
        });
        let served = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut served = pin!(self.watcher.watch(served));
        // hyper reads the first bytes, which tell HTTP/1 from HTTP/2, without a deadline: one who sends none would stay.
        let first = tokio::select! {
            ended = &mut served => Some(ended),
            () = tokio::time::sleep(self.header_timeout) => None,
            () = self.closing.cancelled() => None,
        };
        let ended = match first {
            Some(ended) => ended,
            None if used.load(Ordering::Relaxed) => served.await,
            None => return,
        };
        if let Err(error) = ended {
            tracing::debug!("a connection ended early: {error}");
        }
    }
}

async fn answer(router: Router, request: Request) -> Result<axum::response::Response, Infallible> {
    router.oneshot(request).await
}

#[cfg(test)]
mod tests;
