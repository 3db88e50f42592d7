//! HTTP/2 clients that cost much and bring nothing, over raw sockets.

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frames after which a server that has not ended the connection never will.
const ENOUGH: u32 = 200_000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /hello` (or `POST`, whose body is to come) with names of HPACK's static table.
fn headers(stream: u32, method: u8, flags: u8) -> Vec<u8> {
    let block = [&[method, 0x86, 0x04, 6], &b"/hello"[..], &[0x01, 1], b"x"].concat();
    frame(1, flags, stream, &block)
}

/// Sends `next(n)` until the server ends the connection, whose answers are read; how many frames that took.
async fn flood(served: &Served, begin: &[u8], next: impl Fn(u32) -> Vec<u8>) -> u32 {
    let mut stream = served.connect("").await;
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[]), begin].concat()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while read.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
    });
    let mut sent = 0;
    while sent < ENOUGH && !reading.is_finished() {
        let batch: Vec<u8> = (sent..sent + 100).flat_map(&next).collect();
        sent += 100;
        if write.write_all(&batch).await.is_err() {
            break;
        }
    }
    assert!(sent < ENOUGH, "the connection goes on");
    drop(write);
    reading.await.unwrap();
    sent
}

#[tokio::test]
async fn fault_58_floods_of_http2_frames_end_their_connection_and_nobody_elses() {
    let served = Served::start(hello, patient()).await;
    let get = |n: u32| headers(2 * n + 1, 0x82, 5);
    type Next<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let floods: Vec<(&str, Vec<u8>, Next<'_>)> = vec![
        ("rapid reset", Vec::new(), Box::new(|n| [get(n), frame(3, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat())),
        ("pings", Vec::new(), Box::new(|n| frame(6, 0, 0, &u64::from(n).to_be_bytes()))),
        ("settings", Vec::new(), Box::new(|_| frame(4, 0, 0, &[]))),
        ("empty data", headers(1, 0x83, 4), Box::new(|_| frame(0, 0, 1, &[]))),
        ("continuations", headers(1, 0x82, 1), Box::new(|_| frame(9, 0, 1, &[0x00, 1, b'a', 1, b'b']))),
        ("empty continuations", headers(1, 0x82, 1), Box::new(|_| frame(9, 0, 1, &[]))),
        ("priorities", Vec::new(), Box::new(|n| frame(2, 0, 2 * n + 1, &[0, 0, 0, 0, 9]))),
        ("frames of no kind", Vec::new(), Box::new(|_| frame(99, 0, 0, &[7; 20]))),
    ];
    for (name, begin, next) in &floods {
        let sent = flood(&served, begin, next).await;
        assert!(sent < 50_000, "{name}: ended after {sent} frames");
        let other = served.connect("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(to_end(other).await.ends_with("hello"), "{name}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_head_of_http2_is_bounded() {
    let served = Served::start(hello, patient()).await;
    let mut stream = served.connect("").await;
    let long: Vec<u8> = (0..100).flat_map(|_| [&[0x00, 1, b'a', 0x7f, 0x81, 0x0f][..], &vec![b'b'; 2_048]].concat()).collect();
    let begin = [PREFACE, &frame(4, 0, 0, &[]), &headers(1, 0x82, 1)].concat();
    stream.write_all(&begin).await.unwrap();
    let parts: Vec<&[u8]> = long.chunks(16_000).collect();
    for (at, part) in parts.iter().enumerate() {
        stream.write_all(&frame(9, if at + 1 == parts.len() { 4 } else { 0 }, 1, part)).await.unwrap();
    }
    // Neither this request nor what it takes reaches a handler: the answer is 431, a reset, or the end.
    let mut answer = vec![0; 64 << 10];
    let mut ends = false;
    while let Ok(bytes) = stream.read(&mut answer).await {
        let text = &answer[..bytes];
        ends |= bytes == 0 || text.windows(3).any(|part| part == b"431") || text.windows(9).any(|head| [3, 7].contains(&head[3]));
        assert!(!text.windows(5).any(|part| part == b"hello"));
        if ends {
            break;
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_go_and_one_at_work_is_not() {
    let (begun, mut has_begun) = mpsc::channel::<()>(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let slow = get(move || {
        let (begun, mut released) = (begun.clone(), released.clone());
        async move {
            begun.send(()).await.unwrap();
            released.wait_for(|released| *released).await.unwrap();
            "finished"
        }
    });
    let limits = ServerLimits { idle_timeout_ms: 50, ..patient() };
    let served = Served::start(|_| Router::new().route("/hello", slow), limits).await;
    let mut stream = served.connect("").await;
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[]), &headers(1, 0x82, 5)].concat()).await.unwrap();
    has_begun.recv().await.unwrap();
    // Far beyond the idle timeout, while the request is at work.
    tokio::time::timeout(Duration::from_millis(300), std::future::pending::<()>()).await.unwrap_err();
    release.send(true).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.windows(8).any(|part| part == b"finished"), "{answer:?}");
    assert!(answer.windows(9).any(|head| head[3] == 7 && head[..3] == [0, 0, 8]), "GOAWAY is the last word: {answer:?}");
    served.stop().await;
}
