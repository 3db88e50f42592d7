//! The bytes of one connection, checked on their way in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::frames::{Frames, PREFACE};
use super::strict::{POISON, Strict};

/// What hyper answers by itself to a head that it cannot read begins with one of these, and with [`BARE`] behind it says no more.
const REFUSALS: [(&str, &str); 2] = [
    (
        "HTTP/1.1 400 Bad Request\r\n",
        "in an address a blank and any of < > \" { } | \\ ^ ` are written as % and two digits, as \
         curl -G --data-urlencode 'q=level>=warn' does",
    ),
    (
        "HTTP/1.1 414 URI Too Long\r\n",
        "an address of more than 65534 bytes is not read; a shorter query asks for the same by a prefix, or part by part",
    ),
];
const BARE: &str = "connection: close\r\ncontent-length: 0\r\n";

/// Behind a refusal so much is read, for so long.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 256 << 10;

/// Which HTTP the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// A connection whose incoming bytes are checked.
pub(super) struct Checked<S> {
    stream: S,
    check: Check,
    /// To be handed out before anything else: what was read to tell which HTTP it is, or the end of a refused request.
    first: Vec<u8>,
    /// How the request left the strict form.
    refused: Option<&'static str>,
    /// To be written before anything else: an answer in the place of one that says nothing.
    answer: Vec<u8>,
    /// Until when, and how much, is read behind a refusal.
    linger: Option<Pin<Box<Sleep>>>,
    lingered_bytes: usize,
}

enum Check {
    Http1(Strict),
    Http2(Frames),
    /// Nothing more is passed on.
    Ended,
}

impl<S: AsyncRead + Unpin> Checked<S> {
    /// Reads as much as tells HTTP/1 from HTTP/2. hyper's timeout for heads begins after that, so whoever calls this has a
    /// deadline.
    pub(super) async fn open(mut stream: S) -> io::Result<(Checked<S>, Version)> {
        let mut first = vec![0; PREFACE.len()];
        let mut length = 0;
        while length < first.len() && PREFACE.starts_with(&first[..length]) {
            match stream.read(&mut first[length..]).await? {
                0 => break,
                read => length += read,
            }
        }
        first.truncate(length);
        let (check, version) = match first == PREFACE {
            true => (Check::Http2(Frames::new(Instant::now())), Version::Http2),
            false => (Check::Http1(Strict::default()), Version::Http1),
        };
        Ok((Checked { stream, check, first, refused: None, answer: Vec::new(), linger: None, lingered_bytes: 0 }, version))
    }
}

impl<S> Checked<S> {
    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let part = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..part]);
        self.first.drain(..part);
    }

    /// Checks what was put into `buffer` behind `begin`, and takes back what may not be passed on.
    fn check(&mut self, buffer: &mut ReadBuf<'_>, begin: usize) -> io::Result<()> {
        match &mut self.check {
            Check::Http1(strict) => {
                if let Err(violation) = strict.look(&buffer.filled()[begin..]) {
                    buffer.set_filled(begin + violation.at);
                    tracing::debug!("a request was refused: {}", violation.what);
                    (self.check, self.first, self.refused) = (Check::Ended, POISON.to_vec(), Some(violation.what));
                    self.hand_out(buffer);
                }
            }
            Check::Http2(frames) => {
                if !frames.look(&buffer.filled()[begin..], Instant::now) {
                    self.check = Check::Ended;
                    return Err(io::Error::other("too many HTTP/2 frames that bring nothing"));
                }
            }
            Check::Ended => {}
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Checked<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let begin = buffer.filled().len();
        if !self.first.is_empty() {
            self.hand_out(buffer);
        } else if matches!(self.check, Check::Ended) {
            // As if the client had said all it has to say.
            return Poll::Ready(Ok(()));
        } else {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        }
        Poll::Ready(self.check(buffer, begin))
    }
}

impl<S: AsyncWrite + Unpin> Checked<S> {
    /// What is to be said in place of an answer of hyper's own.
    fn in_words(&self, written: &[u8]) -> Option<Vec<u8>> {
        let is_bare = |status: &str| {
            let rest = written.strip_prefix(status.as_bytes());
            rest.is_some_and(|rest| rest.starts_with(BARE.as_bytes()))
        };
        let (status, words) = REFUSALS.into_iter().find(|(status, _)| is_bare(status))?;
        let words = match self.refused {
            Some(what) => format!("this is no request in HTTP/1.1 as RFC 9112 has it: {what}\n"),
            None => format!("this request cannot be read: {words}\n"),
        };
        let head = "content-type: text/plain; charset=utf-8\r\nconnection: close";
        Some(format!("{status}{head}\r\ncontent-length: {}\r\n\r\n{words}", words.len()).into_bytes())
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answer.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Checked<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_answer(context))?;
        if let Some(answer) = self.in_words(bytes) {
            self.answer = answer;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Reads on for a while behind a refusal: what the client sent and nobody read would make the system tell it of an error
    /// instead of the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if !matches!(self.check, Check::Ended) {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        let linger = this.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut scratch = [0; 4 << 10];
        while this.lingered_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => this.lingered_bytes += buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return linger.as_mut().poll(context).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_answer(context))?;
        if let [only] = parts
            && let Some(answer) = self.in_words(only)
        {
            self.answer = answer;
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passed(bytes: &'static [u8]) -> (Vec<u8>, Version, io::Result<usize>) {
        let (mut checked, version) = Checked::open(bytes).await.unwrap();
        let mut out = Vec::new();
        let read = checked.read_to_end(&mut out).await;
        (out, version, read)
    }

    #[tokio::test]
    async fn what_is_in_order_comes_through_as_it_was_sent() {
        let get = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        assert!(matches!(passed(get).await, (out, Version::Http1, Ok(_)) if out == get));
        let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        assert!(matches!(passed(http2).await, (out, Version::Http2, Ok(_)) if out == http2));
        assert!(matches!(passed(b"PRI * HTTP/2").await, (out, Version::Http1, Ok(_)) if out == b"PRI * HTTP/2"));
    }

    #[tokio::test]
    async fn what_is_not_ends_before_a_reader_could_act_on_it() {
        let (out, _, _) = passed(b"GET / HTTP/1.1\r\nhost: x\n\r\nGET /hidden HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(out, b"GET / HTTP/1.1\r\nhost: x\0\r\n\r\n");
    }
}
