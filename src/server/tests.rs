//! The server on loopback, over raw sockets.

mod floods;

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::*;

struct Served {
    address: SocketAddr,
    shutdown: CancellationToken,
    cut: CancellationToken,
    closing: CancellationToken,
    metrics: ServerMetrics,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(routes: impl FnOnce(CancellationToken) -> Router, limits: ServerLimits) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let [shutdown, cut, closing] = std::array::from_fn(|_| CancellationToken::new());
        let (limits, metrics) = (Arc::new(limits), ServerMetrics::default());
        let serving = Serving { limits, metrics: metrics.clone(), tls: None, shutdown: shutdown.clone(), cut: cut.clone() };
        let task = tokio::spawn(serving.serve("http", listener, Guarded::open(routes(closing.clone()))));
        Served { address, shutdown, cut, closing, metrics, task }
    }

    fn turned_away(&self, reason: &'static str) -> u64 {
        self.metrics.turned_away.get_or_create(&Turned { listener: "http", reason }).get()
    }

    async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Ends only when the server does.
    async fn stop(self) {
        self.closing.cancel();
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn hello(_: CancellationToken) -> Router {
    Router::new().route("/hello", get(|| async { "hello" }))
}

/// Never cut by a deadline of the server's.
fn patient() -> ServerLimits {
    ServerLimits {
        header_timeout_ms: 600_000,
        body_timeout_ms: 600_000,
        idle_timeout_ms: 600_000,
        stall_timeout_ms: 600_000,
        ..ServerLimits::default()
    }
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
    let served = Served::start(hello, ServerLimits { header_timeout_ms: 20, ..patient() }).await;
    for sent in ["", "GET /hello HT", "GET /hello HTTP/1.1\r\nhost: x\r\nx-slow: ", "PRI * HTTP/2.0\r\n"] {
        assert_eq!(to_end(served.connect(sent).await).await, "", "{sent:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let served = Served::start(hello, ServerLimits { idle_timeout_ms: 20, ..patient() }).await;
    let stream = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(to_end(stream).await.ends_with("\r\n\r\nhello"));
    served.stop().await;
}

#[tokio::test]
async fn a_further_connection_takes_the_place_of_a_silent_one() {
    let served = Served::start(hello, ServerLimits { connections_max: 1, ..patient() }).await;
    let mut first = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut first, "hello").await;
    let mut second = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut second, "\r\n\r\nhello").await;
    assert_eq!(to_end(first).await, "", "it was silent, and made place");
    assert_eq!(served.turned_away("idle"), 1);
    served.stop().await;
}

#[tokio::test]
async fn further_connections_wait_while_all_are_at_work_and_those_of_a_greedy_address_are_closed() {
    let (begun, mut has_begun) = mpsc::channel::<()>(4);
    let (release, released) = tokio::sync::watch::channel(false);
    let slow = get(move || {
        let (begun, mut released) = (begun.clone(), released.clone());
        async move {
            begun.send(()).await.unwrap();
            released.wait_for(|released| *released).await.unwrap();
            "finished"
        }
    });
    for (per_peer, waits) in [(10, true), (1, false)] {
        let limits = ServerLimits { connections_max: 1, connections_per_peer_max: per_peer, ..patient() };
        let served = Served::start(|_| Router::new().route("/slow", slow.clone()), limits).await;
        let first = served.connect("GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        has_begun.recv().await.unwrap();
        let second = served.connect("GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let second = tokio::spawn(to_end(second));
        if !waits {
            assert_eq!(second.await.unwrap(), "");
            assert_eq!(served.turned_away("peer"), 1);
            release.send(true).unwrap();
        } else {
            release.send(true).unwrap();
            assert!(second.await.unwrap().ends_with("finished"));
        }
        assert!(to_end(first).await.ends_with("finished"));
        served.stop().await;
        while has_begun.try_recv().is_ok() {}
        release.send(false).unwrap();
    }
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
    let served = Served::start(|_| Router::new().route("/stuck", route), patient()).await;
    let stream = served.connect("GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n").await;
    has_begun.recv().await.unwrap();
    served.cut.cancel();
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

/// Reads the body and says how long it is.
fn reading(_: CancellationToken) -> Router {
    Router::new().route("/read", post(|body: axum::body::Bytes| async move { body.len().to_string() }))
}

#[tokio::test]
async fn otlp_76_a_body_that_stops_halfway_is_not_waited_for() {
    let served = Served::start(reading, ServerLimits { body_timeout_ms: 20, ..patient() }).await;
    let stream = served.connect("POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await;
    let answer = to_end(stream).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_not_kept_for_ever() {
    let endless = || async {
        let parts = stream::repeat_with(|| Ok::<_, Infallible>(bytes::Bytes::from(vec![b'x'; 64 << 10])));
        axum::body::Body::from_stream(parts)
    };
    let served = Served::start(|_| Router::new().route("/endless", get(endless)), ServerLimits { stall_timeout_ms: 50, ..patient() }).await;
    let unread = served.connect("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let open = served.metrics.connections.get_or_create(&Listener { listener: "http" }).clone();
    let mut waiting = tokio::time::interval(Duration::from_millis(5));
    while served.metrics.accepted.get_or_create(&Listener { listener: "http" }).get() == 0 || open.get() > 0 {
        waiting.tick().await;
    }
    drop(unread);
    served.stop().await;
}

#[tokio::test]
async fn smuggled_requests_are_answered_with_400_and_the_connection_ends() {
    let served = Served::start(|closing| hello(closing.clone()).merge(reading(closing)), patient()).await;
    for request in [
        "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nabcd",
        "POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd",
        "GET /hello HTTP/1.1\r\nhost: x\r\nx-a: b\r\n folded: c\r\n\r\n",
        "GET /hello HTTP/1.1\nhost: x\n\n",
        "GET /hello HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: x\r\nauthorization: a\r\nauthorization: b\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
    ] {
        let answer = to_end(served.connect(&format!("{request}GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")).await).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
        assert!(answer.contains("\r\n\r\nthis is no request in HTTP/1.1 as RFC 9112 has it: "), "{request:?}: {answer}");
        assert!(!answer.contains("hello"), "the rest is nobody's request: {answer}");
    }
    // What came before in good order is answered first.
    let pair = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\nGET /hello HTTP/1.1\r\nhost: x\n\r\n";
    let answers = to_end(served.connect(pair).await).await;
    assert!(answers.starts_with("HTTP/1.1 200 OK") && answers.contains("helloHTTP/1.1 400"), "{answers}");
    served.stop().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused_in_words() {
    let served = Served::start(hello, patient()).await;
    let answer = to_end(served.connect("GET /hello?q=level>=warn HTTP/1.1\r\nhost: x\r\n\r\n").await).await;
    let (head, words) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(head.contains(&format!("content-length: {}", words.len())), "{answer}");
    assert!(words.contains("--data-urlencode"), "{answer}");
    let long = to_end(served.connect(&format!("GET /hello?q={} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000))).await).await;
    assert!(long.starts_with("HTTP/1.1 414") && long.contains("more than 65534 bytes"), "{long}");
    served.stop().await;
}

#[tokio::test]
async fn heads_that_are_too_long_are_refused() {
    let served = Served::start(hello, patient()).await;
    let many: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
    for headers in [format!("x-long: {}\r\n", "a".repeat(40 << 10)), many] {
        let answer = to_end(served.connect(&format!("GET /hello HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let fits: String = (0..90).map(|n| format!("x-{n}: {}\r\n", "a".repeat(300))).collect();
    let request = format!("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fits}\r\n");
    assert!(to_end(served.connect(&request).await).await.ends_with("hello"));
    served.stop().await;
}
