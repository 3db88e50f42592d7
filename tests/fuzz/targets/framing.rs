//! Raw bytes into the server's way with one connection, before routes that answer at once: every connection ends, and what requests
//! there are does not depend on the pieces in which their bytes arrive.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::runtime::Runtime;

use super::http::{ANSWER_BYTES_MAX, END, ask};
use super::same;
use crate::Target;
use crate::server::serve;

pub(super) const FRAMING: Target = Target {
    name: "framing",
    read: framing,
    seeds,
    words: &[
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\n",
        "PUT / HTTP/1.1\r\n",
        "PATCH / HTTP/1.0\r\n",
        "Host: x\r\n",
        "\r\n\r\n",
        "\n\n",
        "\r",
        "\0",
        "Content-Length: ",
        "content-length: 3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "0\r\n\r\n",
        "3\r\nabc\r\n",
        "3;name=value\r\nabc\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nTrailer: x\r\n\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Connection: upgrade, http2-settings\r\n",
        "Upgrade: h2c\r\n",
        "Expect: 100-continue\r\n",
        " folded\r\n",
        "http://x/",
        "*",
        "HTTP/1.0",
        "HTTP/2.0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\x04\0\0\0\0\0",
        "\0\0\x08\x06\0\0\0\0\0",
        "\0\0\x04\x03\0\0\0\0\x01",
        "\0\0\x04\x08\0\0\0\0\0",
        "\0\0\x01\x01\x05\0\0\0\x01",
        "\0\0\0\0\x01\0\0\0\x01",
    ],
    bytes_max: 4096,
    // Buffers of a connection and windows of HTTP/2.
    memory_bytes: 16 << 20,
    short_runs: 20_000,
};

/// A long input comes in about so many pieces.
const PIECES: usize = 32;

/// A request that the routes were given.
#[derive(Debug, PartialEq)]
struct Seen {
    method: Method,
    address: String,
    /// If it came whole.
    body: Option<Vec<u8>>,
    /// Its sender waits to be asked for a body that nobody reads.
    is_left_waiting: bool,
}

struct Server {
    runtime: Runtime,
    routes: Router,
    seen: Arc<Mutex<Vec<Seen>>>,
}

static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| Mutex::new(Server::new()));

impl Server {
    fn new() -> Server {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let routes = Router::new().fallback({
            let seen = seen.clone();
            move |request: Request| answer(seen.clone(), request)
        });
        Server { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), routes, seen }
    }

    /// What requests there are in these bytes, which arrive in pieces of so many.
    fn requests_in(&self, bytes: &[u8], piece_bytes: usize) -> Vec<Seen> {
        let answer = self.runtime.block_on(async {
            let (client, server) = tokio::io::duplex(piece_bytes);
            let both = async { tokio::join!(serve(server, self.routes.clone()), ask(client, bytes.to_vec())).1 };
            tokio::time::timeout(END, both)
                .await
                .unwrap_or_else(|_| panic!("a connection does not end: {:?}", String::from_utf8_lossy(bytes)))
        });
        assert!(!answer.starts_with(b"HTTP/1.1 500"), "answered with 500: {:?}", String::from_utf8_lossy(&answer));
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads a body, refuses it unread, or sends it back as it comes.
async fn answer(seen: Arc<Mutex<Vec<Seen>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let note = |body| {
        let is_left_waiting = head.method == Method::PUT && head.headers.contains_key(EXPECT);
        let request = Seen { method: head.method.clone(), address: head.uri.to_string(), body, is_left_waiting };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    };
    match head.method {
        Method::POST => {
            let body = to_bytes(body, ANSWER_BYTES_MAX).await;
            note(body.as_ref().ok().map(|body| body.to_vec()));
            body.map_or(StatusCode::BAD_REQUEST, |_| StatusCode::OK).into_response()
        }
        Method::PUT => {
            note(None);
            StatusCode::TOO_MANY_REQUESTS.into_response()
        }
        _ => {
            note(None);
            Body::new(body).into_response()
        }
    }
}

fn framing(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wide = server.requests_in(bytes, 64 << 10);
    // Calls of HTTP/2 run beside each other, and end when the connection does.
    if bytes.starts_with(b"PRI") {
        return;
    }
    // Of a long input no more than some dozen pieces: byte by byte it would take a millisecond.
    let mut narrow = server.requests_in(bytes, 1 + usize::from(*first) + bytes.len() / PIECES);
    // The last one may be given up before it begins, where its sender was seen to have said all that it will; behind one who is not
    // asked for its body all are, unless that came by itself.
    let both = wide.len().min(narrow.len());
    let is_left_waiting = wide[..both].last().is_some_and(|last| last.is_left_waiting);
    if wide.len().abs_diff(narrow.len()) == 1 || is_left_waiting {
        wide.truncate(both);
        narrow.truncate(both);
    }
    same(&wide, &narrow, "requests depend on the pieces in which they arrive");
}

fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 9] = [
        b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcdePOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabcdefghiGET /after HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabcGET /after HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nechoGET http://x/absolute HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x82",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x01\x04\0\0\0\x01\x83\x84\x86\x41\0\0\x03\0\x01\0\0\0\x01abc\0\0\x08\x06\0\0\0\0\0ABCDEFGH",
    ];
    texts.iter().flat_map(|text| [[&[0], *text].concat(), [&[16], *text].concat()]).collect()
}
