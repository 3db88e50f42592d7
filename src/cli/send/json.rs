//! JSON objects: one a line, pretty, one after the other, or in arrays.

use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::input::{Reader, Unreadable, read_line};
use super::{BATCH_BYTES, Batch, Sink, Target};

/// Reads objects into batches of JSON lines.
pub(super) fn read(name: &str, reader: &mut Reader, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut line = Vec::new();
    while read_line(name, reader, &mut line)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        let is_line = serde_json::from_slice::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{'));
        let first = std::io::Cursor::new(text.to_vec());
        let rest = std::mem::replace(reader, Box::new(std::io::Cursor::new(Vec::new())));
        let mut whole = std::io::Read::chain(first, rest);
        return if is_line { lines(name, &mut whole, sink) } else { document(name, &mut whole, sink) };
    }
    Ok(())
}

/// One value a line; the server says which lines it cannot take.
fn lines(name: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let mut line = Vec::new();
    let (mut first_line, mut number) = (1, 0);
    while read_line(name, reader, &mut line)? {
        number += 1;
        if !batch.is_empty() && batch.len() + line.len() > BATCH_BYTES {
            sink.batch(Batch::of_lines(Target::JsonLines, std::mem::take(&mut batch), first_line))?;
            first_line = number;
        }
        batch.extend_from_slice(&line);
    }
    if !batch.is_empty() {
        sink.batch(Batch::of_lines(Target::JsonLines, batch, first_line))?;
    }
    Ok(())
}

/// Objects over several lines, or in arrays: each becomes a line. Rejections count objects.
fn document(name: &str, reader: &mut dyn BufRead, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut lines = Lines { sink, batch: Vec::new(), first_line: 1, number: 0, failure: None };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    loop {
        match deserializer.end() {
            Ok(()) => break,
            Err(error) if error.is_io() => return Err(Unreadable::new(name, error).into()),
            Err(_) => {}
        }
        if let Err(error) = Values(&mut lines).deserialize(&mut deserializer) {
            if let Some(failure) = lines.failure.take() {
                return Err(failure);
            }
            lines.send()?;
            let line = error.line() as u64;
            let reason = format!("no JSON from here on ({error}): the rest of the file is not read");
            lines.sink.reject(line, &reason);
            return Ok(());
        }
    }
    lines.send()
}

struct Lines<'s> {
    sink: &'s mut dyn Sink,
    batch: Vec<u8>,
    first_line: u64,
    number: u64,
    /// Why sending failed, while the parser sees only that something did.
    failure: Option<anyhow::Error>,
}

impl Lines<'_> {
    fn add(&mut self, value: &RawValue) -> Result<(), anyhow::Error> {
        if !self.batch.is_empty() && self.batch.len() + value.get().len() > BATCH_BYTES {
            self.send()?;
        }
        self.number += 1;
        // Inside strings JSON has no line breaks, so these are blanks between values.
        self.batch.extend(value.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        self.batch.push(b'\n');
        Ok(())
    }

    fn send(&mut self) -> anyhow::Result<()> {
        let body = std::mem::take(&mut self.batch);
        if !body.is_empty() {
            self.sink.batch(Batch::of_lines(Target::JsonLines, body, self.first_line))?;
        }
        self.first_line = self.number + 1;
        Ok(())
    }
}

/// A value: the elements of an array one by one, all else whole.
struct Values<'l, 's>(&'l mut Lines<'s>);

impl<'de> DeserializeSeed<'de> for Values<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            take(self.0, &element)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut object = Vec::from(b"{");
        while let Some((key, value)) = entries.next_entry::<String, Box<RawValue>>()? {
            if object.len() > 1 {
                object.push(b',');
            }
            serde_json::to_writer(&mut object, &key).map_err(A::Error::custom)?;
            object.push(b':');
            object.extend_from_slice(value.get().as_bytes());
        }
        object.push(b'}');
        let object = String::from_utf8(object).map_err(A::Error::custom)?;
        take(self.0, &RawValue::from_string(object).map_err(A::Error::custom)?)
    }
}

fn take<E: serde::de::Error>(lines: &mut Lines<'_>, value: &RawValue) -> Result<(), E> {
    lines.add(value).map_err(|failure| {
        lines.failure = Some(failure);
        E::custom("sending failed")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::Collected;
    use super::*;

    fn collected(text: &str) -> Collected {
        let mut sink = Collected::default();
        let mut reader: Reader = Box::new(std::io::Cursor::new(text.to_owned().into_bytes()));
        read("x", &mut reader, &mut sink).unwrap();
        sink
    }

    #[test]
    fn pretty_objects_and_arrays_become_lines() {
        let pretty = "{\n  \"msg\": \"a\\nb\",\n  \"n\": 1e400\n}\n{\"msg\": \"c\"}\n[ {\"msg\":\n\"d\"}, 7 ]";
        let sink = collected(pretty);
        let text: String = sink.batches.iter().map(|batch| String::from_utf8(batch.body.clone()).unwrap()).collect();
        assert_eq!(text, "{\"msg\":\"a\\nb\",\"n\":1e400}\n{\"msg\":\"c\"}\n{\"msg\": \"d\"}\n7\n");
        assert!(sink.rejected.is_empty());
    }

    #[test]
    fn a_document_that_breaks_keeps_what_came_before_and_says_where() {
        let sink = collected("[{\"a\":1},\n{\"b\":2},\n{oops}]");
        assert_eq!(sink.batches[0].body, b"{\"a\":1}\n{\"b\":2}\n");
        assert_eq!(sink.rejected[0].0, 3);
    }

    #[test]
    fn lines_are_batched_by_size_and_counted() {
        let text = format!("{{\"msg\":\"{}\"}}\n", "x".repeat(1000)).repeat(2_500);
        let sink = collected(&text);
        assert_eq!(sink.batches.iter().map(|batch| batch.first_line).collect::<Vec<_>>(), [1, 1038, 2075]);
        assert!(sink.batches.iter().all(|batch| batch.body.len() <= BATCH_BYTES));
        assert_eq!(sink.batches.iter().map(|batch| batch.body.len()).sum::<usize>(), text.len());
    }
}
