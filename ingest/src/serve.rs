//! Serving a router on a listener: HTTP/1.1 and HTTP/2 (prior knowledge), slow heads closed, drained at the end.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::settings::IngestSettings;

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Calls open at one time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Bytes of one HTTP/2 stream under way before it is read; the default of 64 KiB makes large batches crawl.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Serves until `shutdown`, then lets requests under way finish, but no longer than the drain timeout.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &IngestSettings,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(settings.connections_max));
    let header_timeout = settings.header_timeout();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            stream = accept(&listener, &connections) => stream,
        };
        let (stream, permit) = match stream {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: they come back when connections close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (router, watcher, shutdown) = (router.clone(), graceful.watcher(), shutdown.clone());
        tokio::spawn(async move {
            let (read, write) = stream.into_split();
            connection(read, write, router, header_timeout, watcher, &shutdown).await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.drain_timeout(), graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the drain timeout passed");
    }
    Ok(())
}

/// One connection, to its end.
pub(crate) async fn connection(
    read: impl AsyncRead + Unpin + Send + 'static,
    write: impl AsyncWrite + Unpin + Send + 'static,
    router: Router,
    header_timeout: Duration,
    watcher: Watcher,
    shutdown: &CancellationToken,
) {
    let opened = tokio::select! {
        () = shutdown.cancelled() => return,
        opened = tokio::time::timeout(header_timeout, open(read, write)) => opened,
    };
    let Ok(Ok(stream)) = opened else { return };
    let builder = builder(header_timeout);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Without this, small answers wait for delayed acknowledgements (40 ms twice, measured).
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

/// Reads as much as tells HTTP/1 from HTTP/2. hyper's timeout for heads begins after that, so without
/// this a connection that says nothing would stay for ever.
async fn open(
    mut read: impl AsyncRead + Unpin + Send + 'static,
    write: impl AsyncWrite + Unpin + Send + 'static,
) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    let mut head = [0; PREFACE.len()];
    let mut length = 0;
    while length < head.len() && PREFACE.starts_with(&head[..length]) {
        match read.read(&mut head[length..]).await? {
            0 => break,
            arrived => length += arrived,
        }
    }
    Ok(tokio::io::join(Cursor::new(head[..length].to_vec()).chain(read), write))
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        // A peer that went away without a word is noticed and closed.
        .keep_alive_interval(header_timeout)
        .keep_alive_timeout(header_timeout);
    builder
}
