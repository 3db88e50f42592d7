//! Bodies on their way: requests that have to come, answers that have to be taken.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::Sleep;

use super::activity::UnderWay;
use super::limits::{BODY_PROGRESS_BYTES, UNREAD_BYTES_MAX};

/// A request body that ends with an error of the kind `TimedOut` when too little of it comes.
pub(super) struct Arriving<B> {
    body: B,
    timeout: Duration,
    /// Until when enough has to have come; set when nothing is there.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes since the deadline was set.
    since: usize,
}

impl<B> Arriving<B> {
    pub(super) fn new(body: B, timeout: Duration) -> Arriving<B> {
        Arriving { body, timeout, deadline: None, since: 0 }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B> HttpBody for Arriving<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.since += frame.data_ref().map_or(0, Bytes::len);
                if self.since >= BODY_PROGRESS_BYTES {
                    (self.since, self.deadline) = (0, None);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let timeout = self.timeout;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                match deadline.as_mut().poll(context) {
                    Poll::Ready(()) => {
                        let error = io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly or stopped coming");
                        Poll::Ready(Some(Err(error.into())))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request body that is heard out: what nobody reads is read on and forgotten, beside the answer. Otherwise the connection would be closed
/// with bytes unread, and a client that is still sending told of a broken connection in place of the answer (RFC 9112, section 9.6).
pub(super) struct HeardOut<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    /// None when it came to its end, or broke.
    body: Option<B>,
    /// Whether its client sends it. One that waits to be asked, and is answered instead, does not.
    is_sent: bool,
}

impl<B> HeardOut<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    pub(super) fn new(body: B, headers: &HeaderMap) -> HeardOut<B> {
        HeardOut { body: Some(body), is_sent: !headers.contains_key(EXPECT) }
    }
}

impl<B> HttpBody for HeardOut<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.is_sent = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B> Drop for HeardOut<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.is_sent && !body.is_end_stream());
        // Without a runtime there is no connection any more, either.
        if let (Some(mut rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(async move {
                let mut bytes = 0;
                while bytes <= UNREAD_BYTES_MAX
                    && let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await
                {
                    bytes += frame.data_ref().map_or(0, Bytes::len);
                }
            });
        }
    }
}

/// The body of an answer that tells when its client takes it.
pub(super) struct Leaving {
    body: Body,
    under_way: UnderWay,
}

impl Leaving {
    pub(super) fn new(body: Body, under_way: UnderWay) -> Leaving {
        Leaving { body, under_way }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    /// Asked for the next part only when there is room for it, that is, when the client takes what it was given.
    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.under_way.taken(Instant::now());
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.under_way.given(Instant::now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::sync::mpsc;

    type Parts = mpsc::Sender<usize>;

    /// A body whose parts, of so many bytes, are sent to it.
    fn body(timeout: Duration) -> (Parts, Arriving<impl HttpBody<Data = Bytes, Error = io::Error> + Unpin>) {
        let (parts, mut came) = mpsc::channel::<usize>(64);
        let stream = futures::stream::poll_fn(move |context| {
            came.poll_recv(context).map(|part| part.map(|bytes| Ok::<_, io::Error>(Frame::data(Bytes::from(vec![0; bytes])))))
        });
        (parts, Arriving::new(StreamBody::new(stream), timeout))
    }

    fn is_too_slow(error: &BoxError) -> bool {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn a_few_bytes_at_a_time_are_too_slow() {
        let (parts, body) = body(Duration::from_millis(100));
        let sender = tokio::spawn(async move {
            let mut clock = tokio::time::interval(Duration::from_millis(5));
            while parts.send(1).await.is_ok() {
                clock.tick().await;
            }
        });
        let error = body.collect().await.expect_err("it never ends");
        assert!(is_too_slow(&error), "{error}");
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_makes_progress_has_all_the_time_it_needs() {
        let (parts, mut body) = body(Duration::from_secs(600));
        for _ in 0..3 {
            parts.send(BODY_PROGRESS_BYTES / 2).await.unwrap();
            body.frame().await.unwrap().unwrap();
            let waited = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
            assert!(waited.is_err() && body.deadline.is_some());
            parts.send(BODY_PROGRESS_BYTES / 2).await.unwrap();
            body.frame().await.unwrap().unwrap();
            assert!(body.deadline.is_none(), "the time begins anew");
        }
    }

    #[tokio::test]
    async fn what_is_not_read_is_heard_out_unless_its_client_waits_to_be_asked() {
        let expecting = HeaderMap::from_iter([(EXPECT, HeaderValue::from_static("100-continue"))]);
        for (headers, is_asked, is_heard) in [(HeaderMap::new(), false, true), (expecting.clone(), false, false), (expecting, true, true)] {
            let (parts, body) = body(Duration::from_secs(600));
            let mut body = HeardOut::new(body, &headers);
            if is_asked {
                parts.send(1).await.unwrap();
                body.frame().await.unwrap().unwrap();
            }
            drop(body);
            let sent = async {
                for _ in 0..1_000 {
                    parts.send(1 << 10).await?;
                }
                Ok::<_, mpsc::error::SendError<usize>>(())
            };
            assert_eq!(sent.await.is_ok(), is_heard, "{headers:?}, asked: {is_asked}");
        }
    }

    #[tokio::test]
    async fn what_never_ends_is_not_heard_out() {
        let (parts, body) = body(Duration::from_secs(600));
        drop(HeardOut::new(body, &HeaderMap::new()));
        let mut sent = 0;
        while parts.send(1 << 20).await.is_ok() {
            sent += 1 << 20;
        }
        assert!((UNREAD_BYTES_MAX..2 * UNREAD_BYTES_MAX).contains(&sent), "{sent}");
    }
}
