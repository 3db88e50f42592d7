//! HTTP/1 as strict as its specification (RFC 9112): what two readers might take for different requests is nobody's request.
//!
//! hyper is lenient where that is harmless for hyper: a line may end without a carriage return, a length may be given twice, a
//! body may have a length and be chunked. Behind or in front of a reader that understands such a request otherwise, that is
//! how a request is smuggled past it. So the bytes are watched on their way to hyper, and where they leave the strict form the
//! rest is withheld.

use super::limits::HEAD_BYTES_MAX;

/// Given to hyper in place of what was withheld, so that it answers 400 itself, behind the answers to earlier requests of the
/// connection: a byte that no part of a request may hold, and the end of a head, without which hyper would wait for more.
pub(super) const POISON: &[u8] = b"\0\r\n\r\n";
/// Bytes of a chunk's size with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 1 << 10;
/// Digits of a length, in decimal; more is no length that anybody sends.
const LENGTH_DIGITS_MAX: usize = 18;
/// Digits of a chunk's size, in hexadecimal.
const CHUNK_DIGITS_MAX: usize = 15;

/// Where the bytes left the strict form, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The first byte that must not be passed on.
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub(super) struct Strict {
    place: Place,
    /// The line that is being read, without its end.
    line: Vec<u8>,
    /// The byte before was a carriage return.
    carriage_return: bool,
    head: Head,
    /// Bytes of the head, or of the trailers, so far.
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before or within the first line of a request.
    #[default]
    RequestLine,
    HeaderLine,
    /// A body with so many bytes to come.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    /// Behind a chunk.
    ChunkEnd,
    Trailer,
}

/// What the header lines of a request have said.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_1_1: bool,
    length: Option<u64>,
    is_chunked: bool,
    has_host: bool,
    has_authorization: bool,
}

impl Strict {
    /// Looks at what comes next.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.place {
                Place::Body(left) | Place::Chunk(left) => {
                    let skipped = (*left).min((bytes.len() - at) as u64);
                    *left -= skipped;
                    at += skipped as usize;
                    match self.place {
                        Place::Body(0) => self.begin_request(),
                        Place::Chunk(0) => self.place = Place::ChunkEnd,
                        _ => {}
                    }
                }
                _ => {
                    self.take(bytes[at]).map_err(|what| Violation { at, what })?;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// A byte of a line.
    fn take(&mut self, byte: u8) -> Result<(), &'static str> {
        self.bytes += 1;
        match (self.carriage_return, byte) {
            (true, b'\n') => {
                // Only once the whole line is in order may its end be passed on: with it the reader acts.
                self.end_of_line()?;
                self.line.clear();
                self.carriage_return = false;
            }
            (true, _) => return Err("a carriage return within a line"),
            (false, b'\n') => return Err("a line without a carriage return at its end"),
            (false, b'\r') => self.carriage_return = true,
            (false, 0) => return Err("a byte of zero"),
            (false, _) => {
                let longest = if self.place == Place::ChunkSize { CHUNK_LINE_BYTES_MAX } else { 2 * HEAD_BYTES_MAX };
                if self.line.len() >= longest || self.bytes > 2 * HEAD_BYTES_MAX {
                    return Err("a head, a chunk's size or a trailer that is too long");
                }
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<(), &'static str> {
        match self.place {
            // An empty line before a request is passed over (RFC 9112, section 2.2).
            Place::RequestLine if self.line.is_empty() => {}
            Place::RequestLine => {
                self.head = Head { is_1_1: self.line.ends_with(b" HTTP/1.1"), ..Head::default() };
                self.place = Place::HeaderLine;
            }
            Place::HeaderLine if self.line.is_empty() => self.end_of_head()?,
            Place::HeaderLine => self.header()?,
            Place::ChunkSize => {
                self.place = match chunk_size(&self.line)? {
                    0 => Place::Trailer,
                    size => Place::Chunk(size),
                };
                self.bytes = 0;
            }
            Place::ChunkEnd if self.line.is_empty() => self.place = Place::ChunkSize,
            Place::ChunkEnd => return Err("a chunk that is longer than it says"),
            Place::Trailer if self.line.is_empty() => self.begin_request(),
            Place::Trailer => {
                field(&self.line)?;
            }
            Place::Body(_) | Place::Chunk(_) => unreachable!("bytes of a body are no lines"),
        }
        Ok(())
    }

    fn begin_request(&mut self) {
        self.place = Place::RequestLine;
        self.bytes = 0;
    }

    fn header(&mut self) -> Result<(), &'static str> {
        let (name, value) = field(&self.line)?;
        let head = &mut self.head;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("content-length") {
            if value.is_empty() || value.len() > LENGTH_DIGITS_MAX || !value.iter().all(u8::is_ascii_digit) {
                return Err("a content-length that is no number");
            }
            let length = value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0'));
            if head.length.replace(length).is_some() {
                return Err("content-length twice");
            }
        } else if is("transfer-encoding") {
            if head.is_chunked || !value.eq_ignore_ascii_case(b"chunked") || !head.is_1_1 {
                return Err("a transfer-encoding that is not `chunked`, once, in HTTP/1.1");
            }
            head.is_chunked = true;
        } else if is("host") && std::mem::replace(&mut head.has_host, true) {
            return Err("host twice");
        } else if is("authorization") && std::mem::replace(&mut head.has_authorization, true) {
            return Err("authorization twice");
        }
        Ok(())
    }

    fn end_of_head(&mut self) -> Result<(), &'static str> {
        let Head { is_1_1, length, is_chunked, has_host, .. } = self.head;
        if is_1_1 && !has_host {
            return Err("HTTP/1.1 without a host");
        }
        self.bytes = 0;
        self.place = match (length, is_chunked) {
            (Some(_), true) => return Err("content-length and transfer-encoding at once"),
            (_, true) => Place::ChunkSize,
            (None | Some(0), false) => Place::RequestLine,
            (Some(length), false) => Place::Body(length),
        };
        Ok(())
    }
}

/// Name and value of a header or trailer line.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    if line[0] == b' ' || line[0] == b'\t' {
        return Err("a header folded over two lines");
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a header without a colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err("a header whose name is none");
    }
    Ok((name, value.trim_ascii()))
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The size in the first line of a chunk; extensions are passed over.
fn chunk_size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    if digits == 0 || digits > CHUNK_DIGITS_MAX || !(rest.is_empty() || rest[0] == b';') {
        return Err("a chunk whose size is no number");
    }
    let digit = |byte: &u8| u64::from((*byte as char).to_digit(16).unwrap_or_default());
    Ok(line[..digits].iter().fold(0, |size, byte| size * 16 + digit(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in `text`, in one piece and byte by byte.
    fn found(text: &str) -> Option<(&'static str, String)> {
        let whole = Strict::default().look(text.as_bytes()).err();
        let mut strict = Strict::default();
        let single = text.bytes().enumerate().find_map(|(at, byte)| {
            let Violation { at: 0, what } = strict.look(&[byte]).err()? else { panic!("beyond the byte") };
            Some(Violation { at, what })
        });
        assert_eq!(whole, single, "{text:?}");
        whole.map(|violation| (violation.what, text[..violation.at].to_owned()))
    }

    #[test]
    fn requests_that_are_in_order_pass_one_after_the_other() {
        for text in [
            "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /readyz HTTP/1.0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost:x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n\0\nGET / HTTGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n5;name=\"v\"\r\n\0\n\r\n1\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\nx-text: \u{e4}\t; \"\r\n\r\n",
        ] {
            assert_eq!(found(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_two_readers_could_take_differently_is_withheld() {
        let post = "POST / HTTP/1.1\r\nhost: x\r\n";
        for (behind, what) in [
            ("content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n", "content-length and transfer-encoding"),
            ("transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n", "content-length and transfer-encoding"),
            ("content-length: 4\r\ncontent-length: 4\r\n\r\n", "content-length twice"),
            ("content-length: 4, 4\r\n\r\n", "no number"),
            ("content-length: +4\r\n\r\n", "no number"),
            ("content-length: 0x4\r\n\r\n", "no number"),
            ("content-length:\r\n\r\n", "no number"),
            ("content-length: 1844674407370955162\r\n\r\n", "no number"),
            ("content-length : 4\r\n\r\n", "name is none"),
            ("transfer-encoding: gzip, chunked\r\n\r\n", "not `chunked`"),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", "not `chunked`"),
            ("transfer-encoding: \u{b}chunked\r\n\r\n", "not `chunked`"),
            ("x-a: 1\r\n content-length: 4\r\n\r\n", "folded"),
            ("x-a: 1\r\n\tb\r\n\r\n", "folded"),
            ("x-a: 1\ncontent-length: 4\r\n\r\n", "without a carriage return"),
            ("x-a: 1\rcontent-length: 4\r\n\r\n", "within a line"),
            ("x-a: \0\r\n\r\n", "zero"),
            ("no colon\r\n\r\n", "without a colon"),
            ("host: y\r\n\r\n", "host twice"),
            ("authorization: a\r\nAuthorization: b\r\n\r\n", "authorization twice"),
            ("\n", "without a carriage return"),
            ("transfer-encoding: chunked\r\n\r\nx\r\n", "no number"),
            ("transfer-encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than it says"),
            ("transfer-encoding: chunked\r\n\r\n1\nab", "without a carriage return"),
            ("transfer-encoding: chunked\r\n\r\n-1\r\n", "no number"),
            ("transfer-encoding: chunked\r\n\r\n10000000000000000\r\n", "no number"),
        ] {
            let text = format!("{post}{behind}");
            let (found, passed) = found(&text).unwrap_or_else(|| panic!("nothing in {text:?}"));
            assert!(found.contains(what), "{text:?}: {found}");
            let acts = passed.contains("\r\n\r\n");
            assert!(!acts || behind.starts_with("transfer-encoding: chunked\r\n\r\n"), "a reader would act on {passed:?}");
        }
        assert!(found("GET / HTTP/1.1\r\n\r\n").is_some_and(|(what, _)| what.contains("without a host")));
        assert!(found("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n").is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut strict = Strict::default();
        let outcome = (0..1_000).try_for_each(|_| strict.look(&[b'a'; 1_000]));
        assert!(outcome.is_err() && strict.line.len() <= 2 * HEAD_BYTES_MAX);
        let mut strict = Strict::default();
        strict.look(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n").unwrap();
        assert!((0..100_000).try_for_each(|_| strict.look(b"a: b\r\n")).is_err());
    }
}
