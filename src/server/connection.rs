//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::activity::{Activity, UnderWay, Verdict};
use super::body::{Arriving, HeardOut, Leaving};
use super::limits::{
    CONNECTION_WINDOW_BYTES, ERROR_RESETS_MAX, HEAD_BYTES_MAX, HEADER_BYTES_MAX, HEADERS_MAX, PENDING_RESETS_MAX, PING_INTERVAL,
    STREAM_WINDOW_BYTES, STREAMS_MAX, ServerLimits,
};
use super::slots::Peer;
use super::tls::Tls;
use super::transport::{Checked, Version};

/// A connection that has to go and has no request gets this long to say goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// And one whose place is taken already, this long.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(20);

/// The first byte of a client that speaks TLS (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// The answer to one that does not.
const NOT_ENCRYPTED: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 72\r\nconnection: close\r\n\r\n\
this port speaks TLS: use https:// in the address, as https://HOST:PORT\n";

/// What a connection is served with.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) router: Router,
    pub(super) limits: Arc<ServerLimits>,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) shutdown: CancellationToken,
}

impl Connection {
    /// Serves requests until the client leaves, or has to.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let opened = tokio::select! {
            opened = tokio::time::timeout(self.limits.header_timeout(), Checked::open(stream)) => opened,
            () = self.activity.evicted.cancelled() => return,
            () = self.shutdown.cancelled() => return,
        };
        let Ok(Ok((stream, version))) = opened else { return };
        let service = hyper::service::service_fn({
            let connection = self.clone();
            move |request| connection.clone().answer(request)
        });
        let io = TokioIo::new(stream);
        match version {
            Version::Http1 => self.keep(http1(&self.limits).serve_connection(io, service)).await,
            Version::Http2 => self.keep(http2().serve_connection(io, service)).await,
        }
    }

    /// Agrees on TLS first.
    pub(super) async fn run_encrypted(self, mut stream: TcpStream, tls: &Tls) {
        let agreed = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
                stream.write_all(NOT_ENCRYPTED).await?;
                stream.shutdown().await?;
                // What it has sent is read, or the system would tell it of an error instead of this answer.
                let mut rest = stream.take(HEAD_BYTES_MAX as u64);
                tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
                return Err(io::Error::other("it did not speak TLS"));
            }
            TlsAcceptor::from(tls.config()).accept(stream).await
        };
        let agreed = tokio::select! {
            agreed = tokio::time::timeout(self.limits.header_timeout(), agreed) => agreed.map_err(io::Error::from).flatten(),
            () = self.activity.evicted.cancelled() => return,
            () = self.shutdown.cancelled() => return,
        };
        match agreed {
            Ok(stream) => self.run(stream).await,
            Err(error) => {
                tls.metrics.failed_handshakes.inc();
                tracing::debug!(peer = %self.peer, "TLS was not agreed on: {error}");
            }
        }
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> Result<Response<Leaving>, Infallible> {
        let under_way = UnderWay::begin(&self.activity, Instant::now());
        let (parts, body) = request.into_parts();
        let body = HeardOut::new(Arriving::new(body, self.limits.body_timeout()), &parts.headers);
        let mut request = hyper::Request::from_parts(parts, Body::new(body));
        if !has_modest_headers(request.headers()) {
            return Ok(too_many_headers().map(|body| Leaving::new(body, under_way)));
        }
        request.extensions_mut().insert(self.peer);
        let response = self.router.oneshot(request).await?;
        Ok(response.map(|body| Leaving::new(body, under_way)))
    }

    /// Drives a connection, and ends it when its time has come.
    async fn keep<C>(&self, connection: C)
    where
        C: GracefulConnection,
        C::Error: std::fmt::Display,
    {
        let mut connection = pin!(connection);
        let (idle, stall) = (self.limits.idle_timeout(), self.limits.stall_timeout());
        // The first request has to come sooner than a later one.
        let first_until = Instant::now() + self.limits.header_timeout();
        let again = idle.min(stall);
        let mut look = first_until.min(Instant::now() + again);
        let (mut is_leaving, mut goodbye) = (false, GOODBYE_TIMEOUT);
        loop {
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!("a connection ended early: {error}");
                    }
                    return;
                }
                () = self.shutdown.cancelled(), if !is_leaving => is_leaving = true,
                () = self.activity.evicted.cancelled(), if !is_leaving => (is_leaving, goodbye) = (true, EVICTION_TIMEOUT),
                () = tokio::time::sleep_until(look.into()), if !is_leaving => {
                    if !self.activity.was_used() {
                        if Instant::now() >= first_until {
                            return;
                        }
                        look = first_until.min(Instant::now() + again);
                        continue;
                    }
                    match self.activity.verdict(Instant::now(), idle, stall) {
                        Verdict::Stays(until) => {
                            look = until;
                            continue;
                        }
                        Verdict::Idle => is_leaving = true,
                        Verdict::Stalled => {
                            tracing::debug!("a client took nothing of an answer for {} s", stall.as_secs());
                            return;
                        }
                    }
                }
                () = tokio::time::sleep_until(look.into()), if is_leaving => {
                    // Requests under way are finished; the server's drain timeout bounds them.
                    if !self.activity.is_working() {
                        return;
                    }
                    look = Instant::now() + GOODBYE_TIMEOUT;
                    continue;
                }
            }
            connection.as_mut().graceful_shutdown();
            look = Instant::now() + goodbye;
        }
    }
}

fn has_modest_headers(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    headers.len() <= HEADERS_MAX && bytes <= HEADER_BYTES_MAX
}

fn too_many_headers() -> Response {
    let words = format!("the headers of this request are more than {HEADERS_MAX}, or longer than {HEADER_BYTES_MAX} bytes: send fewer\n");
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, [(CONNECTION, "close")], words).into_response()
}

fn http1(limits: &ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Waiting for a further request counts, too; whoever sends half of one holds no more than whoever sends none.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle_timeout());
    builder.max_header_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        // A peer that went away without a word is noticed and closed.
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}
