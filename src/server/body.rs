//! Bodies on their way: requests that have to come, answers that have to be taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::activity::UnderWay;
use super::limits::BODY_PROGRESS_BYTES;

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
}
