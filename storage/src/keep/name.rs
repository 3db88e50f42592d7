//! Names of shards: the first and last frame of the log their records came in, and for those that were made of
//! shards how many rows went into them and how often that was done. What is not named so is not ours.

use crate::wal::Sequence;

/// A shard's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardName {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    /// Of a shard that was made of shards.
    pub(crate) rewrite: Option<Rewrite>,
}

/// How a shard was made of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// Rows that went in; where some were left out there are fewer in it.
    pub(crate) rows: u64,
    /// One more than any of those it was made of, so that no shard has the name of an earlier one whose file may
    /// still be read.
    pub(crate) times: u32,
}

impl ShardName {
    /// The name of an id, if it is one.
    pub(crate) fn parse(id: &str) -> Option<ShardName> {
        let mut parts = id.splitn(3, '-');
        let mut frame = || parts.next().filter(|digits| digits.len() == 16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (first, last) = (Sequence(frame()?), Sequence(frame()?));
        let rewrite = match parts.next() {
            None => None,
            Some(mark) => {
                let rewrite = mark.strip_prefix('m')?;
                let (rows, times) = rewrite.split_once('-').unwrap_or((rewrite, "1"));
                Some(Rewrite { rows: rows.parse().ok()?, times: times.parse().ok()? })
            }
        };
        let name = ShardName { first, last, rewrite };
        (name.id() == id).then_some(name)
    }

    /// The id of that name.
    pub(crate) fn id(&self) -> String {
        let mark = match self.rewrite {
            None => String::new(),
            Some(Rewrite { rows, times: 1 }) => format!("-m{rows}"),
            Some(Rewrite { rows, times }) => format!("-m{rows}-{times}"),
        };
        format!("{:016x}-{:016x}{mark}", self.first.0, self.last.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_names() {
        for id in ["", "-m12", "-m12-2"].map(|mark| format!("0000000000000001-00000000000000ff{mark}")) {
            assert_eq!(ShardName::parse(&id).unwrap().id(), id);
        }
        for id in [
            "report-march",
            "2024-report",
            "abc-def",
            "0000000000000001",
            "0000000000000001-00000000000000ff-x",
            "0000000000000001-00000000000000ff-m12-1",
            "0000000000000001-00000000000000ff-m12-",
            "000000000000000G-00000000000000ff",
        ] {
            assert_eq!(ShardName::parse(id), None, "{id}");
        }
    }
}
