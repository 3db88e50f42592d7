//! Names of shards: the first and last frame of the log their records came in, and for merged ones how many
//! rows went into them. What is not named so is not ours.

use crate::wal::Sequence;

/// A shard's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardName {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    /// Rows of a merge.
    pub(crate) merged_rows: Option<u64>,
}

impl ShardName {
    /// The name of an id, if it is one.
    pub(crate) fn parse(id: &str) -> Option<ShardName> {
        let mut parts = id.splitn(3, '-');
        let mut frame = || parts.next().filter(|digits| digits.len() == 16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (first, last) = (Sequence(frame()?), Sequence(frame()?));
        let merged_rows = match parts.next() {
            None => None,
            Some(mark) => Some(mark.strip_prefix('m')?.parse().ok()?),
        };
        let name = ShardName { first, last, merged_rows };
        (name.id() == id).then_some(name)
    }

    /// Of a shard that was made of shards: the rows that went in.
    pub(crate) fn rewrite_rows(&self) -> Option<u64> {
        self.merged_rows
    }

    /// The id of that name.
    pub(crate) fn id(&self) -> String {
        let mark = self.merged_rows.map(|rows| format!("-m{rows}")).unwrap_or_default();
        format!("{:016x}-{:016x}{mark}", self.first.0, self.last.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_names() {
        for id in ["0000000000000001-00000000000000ff", "0000000000000001-00000000000000ff-m12"] {
            assert_eq!(ShardName::parse(id).unwrap().id(), id);
        }
        for id in [
            "report-march",
            "2024-report",
            "abc-def",
            "0000000000000001",
            "0000000000000001-00000000000000ff-x",
            "000000000000000G-00000000000000ff",
        ] {
            assert_eq!(ShardName::parse(id), None, "{id}");
        }
    }
}
