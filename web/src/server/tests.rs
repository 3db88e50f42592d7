use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::*;

struct Served {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(routes: impl FnOnce(CancellationToken) -> Router, settings: WebSettings) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown, closing) = (listener.local_addr().unwrap(), CancellationToken::new(), CancellationToken::new());
        let (router, stop) = (routes(closing.clone()), shutdown.clone());
        let task = tokio::spawn(async move { serve(listener, router, &settings, &stop, &closing).await });
        Served { address, shutdown, task }
    }

    async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Ends only when the server does.
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn hello(_: CancellationToken) -> Router {
    Router::new().route("/hello", get(|| async { "hello" }))
}

/// Never cut by a deadline of the server's.
fn patient() -> WebSettings {
    WebSettings { header_timeout_ms: 600_000, idle_timeout_ms: 600_000, shutdown_timeout_ms: 600_000, ..WebSettings::default() }
}

async fn to_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A reset is an end too.
    let _ = stream.read_to_string(&mut text).await;
    text
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(end) {
        let read = stream.read_buf(&mut bytes).await.unwrap();
        assert!(read > 0, "the connection ended before {end:?} came: {}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn requests_are_answered_one_after_the_other_on_a_connection() {
    let served = Served::start(hello, patient()).await;
    let mut stream = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(until(&mut stream, "\r\n\r\nhello").await.starts_with("HTTP/1.1 200 OK"));
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(to_end(stream).await.ends_with("\r\n\r\nhello"));
    served.stop().await;
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_begin_with_it() {
    let served = Served::start(hello, patient()).await;
    let mut stream = served.connect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], 4, "the server begins with its SETTINGS frame");
    drop(stream);
    served.stop().await;
}

#[tokio::test]
async fn half_a_header_and_none_at_all_are_not_waited_for() {
    let served = Served::start(hello, WebSettings { header_timeout_ms: 20, ..patient() }).await;
    for sent in ["", "GET /hello HT", "GET /hello HTTP/1.1\r\nhost: x\r\nx-slow: ", "PRI * HTTP/2.0\r\n"] {
        assert_eq!(to_end(served.connect(sent).await).await, "", "{sent:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let served = Served::start(hello, WebSettings { idle_timeout_ms: 20, ..patient() }).await;
    let stream = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(to_end(stream).await.ends_with("\r\n\r\nhello"));
    served.stop().await;
}

#[tokio::test]
async fn further_connections_wait_for_a_free_slot() {
    let served = Served::start(hello, WebSettings { connections_max: 1, ..patient() }).await;
    let mut first = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut first, "hello").await;
    let mut second = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    drop(first);
    until(&mut second, "\r\n\r\nhello").await;
    served.stop().await;
}

#[tokio::test]
async fn a_running_request_is_finished_at_shutdown() {
    let (begun, mut has_begun) = mpsc::channel::<()>(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let slow = move || {
        let (begun, mut released) = (begun.clone(), released.clone());
        async move {
            begun.send(()).await.unwrap();
            released.wait_for(|released| *released).await.unwrap();
            "finished"
        }
    };
    let served = Served::start(|_| Router::new().route("/slow", get(slow)), patient()).await;
    let stream = served.connect("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    has_begun.recv().await.unwrap();
    served.shutdown.cancel();
    release.send(true).unwrap();
    assert!(to_end(stream).await.ends_with("\r\n\r\nfinished"));
    served.stop().await;
}

#[tokio::test]
async fn tails_and_idle_connections_do_not_hold_up_a_shutdown() {
    let routes = |closing: CancellationToken| {
        let tail = move || async move {
            let first = stream::iter([Ok::<_, Infallible>(Event::default().data("first"))]);
            Sse::new(first.chain(stream::pending()).take_until(closing.cancelled_owned()))
        };
        hello(CancellationToken::new()).route("/tail", get(tail))
    };
    let served = Served::start(routes, patient()).await;
    let mut tail = served.connect("GET /tail HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut tail, "data: first").await;
    let mut idle = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut idle, "hello").await;
    let silent = served.connect("").await;
    served.stop().await;
    assert!(to_end(tail).await.ends_with("0\r\n\r\n"), "the events end in order, they are not cut");
    assert_eq!((to_end(idle).await, to_end(silent).await), (String::new(), String::new()));
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_shutdown() {
    let stuck = || async { std::future::pending::<&'static str>().await };
    let (begun, mut has_begun) = mpsc::channel::<()>(1);
    let route = get(move || async move {
        begun.send(()).await.unwrap();
        stuck().await
    });
    let settings = WebSettings { shutdown_timeout_ms: 20, ..patient() };
    let served = Served::start(|_| Router::new().route("/stuck", route), settings).await;
    let stream = served.connect("GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n").await;
    has_begun.recv().await.unwrap();
    served.stop().await;
    assert_eq!(to_end(stream).await, "");
}

#[tokio::test]
async fn a_question_stops_when_its_client_leaves() {
    struct Dropped(mpsc::Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.try_send("dropped").unwrap();
        }
    }
    let (events, mut happened) = mpsc::channel(2);
    let route = get(move || async move {
        events.send("begun").await.unwrap();
        let _dropped = Dropped(events);
        std::future::pending::<&'static str>().await
    });
    let served = Served::start(|_| Router::new().route("/question", route), patient()).await;
    let stream = served.connect("GET /question HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(happened.recv().await, Some("begun"));
    drop(stream);
    assert_eq!(happened.recv().await, Some("dropped"));
    served.stop().await;
}
