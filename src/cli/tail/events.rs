//! Server-sent events (HTML Living Standard, section 9.2.6).

use std::io::{self, BufRead, BufReader, Read};

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `message` if the sender gave none.
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: Option<String>,
}

/// Events of a connection.
pub(crate) struct Events<R> {
    reader: BufReader<R>,
}

impl<R: Read> Events<R> {
    /// Events read from `reader`.
    pub(crate) fn new(reader: R) -> Events<R> {
        Events { reader: BufReader::new(reader) }
    }

    /// Whether more has arrived than was taken.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// The next event; none when the connection ended, also in the middle of one.
    pub(crate) fn next(&mut self) -> io::Result<Option<Event>> {
        let (mut event, mut data) = (Event::default(), Vec::new());
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if text.is_empty() {
                if data.is_empty() && event.id.is_none() {
                    continue;
                }
                event.data = data.join("\n");
                if event.name.is_empty() {
                    event.name.push_str("message");
                }
                return Ok(Some(event));
            }
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event.name = value.to_owned(),
                "data" => data.push(value.to_owned()),
                "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_comments_several_lines_and_a_torn_end() {
        let stream = ": hello\n\nevent: record\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent:gap\r\ndata:{\"skipped\":3}\r\nid:8\r\n\r\nid: 9\n\ndata: torn";
        let mut events = Events::new(stream.as_bytes());
        let event = |name: &str, data: &str, id: &str| Event { name: name.to_owned(), data: data.to_owned(), id: Some(id.to_owned()) };
        assert_eq!(events.next().unwrap(), Some(event("record", "{\"a\":\n1}", "7")));
        assert_eq!(events.next().unwrap(), Some(event("gap", "{\"skipped\":3}", "8")));
        assert_eq!(events.next().unwrap(), Some(event("message", "", "9")));
        assert_eq!(events.next().unwrap(), None);
    }
}
