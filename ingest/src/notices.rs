//! What senders write otherwise than it should be, and is read all the same: counted, and where something of it is lost or
//! assumed, said in the answer as a warning.

use std::borrow::Cow;
use std::cell::Cell;

/// Counts of one request. Shared while it is read, hence the cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    /// Field names in snake_case, where OTLP/JSON has lowerCamelCase.
    pub(crate) snake_case_names: Cell<usize>,
    /// Names of enum values, where OTLP/JSON has their numbers.
    pub(crate) enum_names: Cell<usize>,
    /// Indexes into the string table of profiles, which logs and traces do not have: what they stand for is empty.
    pub(crate) string_indexes: Cell<usize>,
    /// Logs whose trace or span id is no id: they are kept, and belong to no trace.
    pub(crate) unlinked_logs: Cell<usize>,
    /// Times of logs in JSON and text that carry no zone, where the request told none: they are read as UTC.
    pub(crate) times_without_zone: Cell<usize>,
}

/// One more.
pub(crate) fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

impl Notices {
    /// Each form with its count, by the name it has in metrics.
    pub(crate) fn forms(&self) -> [(&'static str, usize); 5] {
        [
            ("snake_case_name", self.snake_case_names.get()),
            ("enum_name", self.enum_names.get()),
            ("string_index", self.string_indexes.get()),
            ("unlinked_log", self.unlinked_logs.get()),
            ("time_without_zone", self.times_without_zone.get()),
        ]
    }

    /// What was lost, or assumed, although the records were stored; empty when nothing was.
    pub(crate) fn warning(&self) -> String {
        let mut parts = Vec::new();
        let (indexes, unlinked) = (self.string_indexes.get(), self.unlinked_logs.get());
        if indexes > 0 {
            parts.push(format!(
                "{indexes} keys or values are indexes into a string table, which logs and traces do not have: they were stored empty, send the text"
            ));
        }
        if unlinked > 0 {
            parts.push(format!(
                "{unlinked} log records carry a trace or span id of a wrong length: they were stored without it, send 16 and 8 bytes"
            ));
        }
        let without_zone = self.times_without_zone.get();
        if without_zone > 0 {
            parts.push(format!(
                "times without a zone were read as UTC ({without_zone} of them): if they are of another, name it (?timezone=Europe/Berlin, \
                 needle send --timezone)"
            ));
        }
        parts.join("; ")
    }

    /// A field name as OTLP/JSON spells it.
    pub(crate) fn camel_case<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        if !name.contains('_') {
            return name;
        }
        count(&self.snake_case_names);
        let mut camel = String::with_capacity(name.len());
        let mut upper = false;
        for c in name.chars() {
            match c {
                '_' => upper = true,
                _ if upper => {
                    camel.push(c.to_ascii_uppercase());
                    upper = false;
                }
                _ => camel.push(c),
            }
        }
        Cow::Owned(camel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_snake_case_are_read_and_counted() {
        let notices = Notices::default();
        for (written, read) in [("timeUnixNano", "timeUnixNano"), ("time_unix_nano", "timeUnixNano"), ("key", "key"), ("a_", "a")] {
            assert_eq!(notices.camel_case(written.into()), read);
        }
        assert_eq!(notices.snake_case_names.get(), 2);
        assert_eq!(notices.warning(), "", "nothing is lost by it");
    }

    #[test]
    fn what_is_lost_is_said() {
        let notices = Notices::default();
        count(&notices.string_indexes);
        count(&notices.unlinked_logs);
        let warning = notices.warning();
        assert!(warning.contains("string table") && warning.contains("wrong length"), "{warning}");
    }
}
