//! One damage to one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::folder::Original;

/// What a file is, for the table and for how often it is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    Shard,
    Log,
    Catalog,
    CatalogJournal,
    Directory,
    Other,
}

impl FileKind {
    pub(crate) fn of(path: &str) -> FileKind {
        match path {
            _ if path.ends_with(".parquet") => FileKind::Shard,
            _ if path.ends_with(".wal") => FileKind::Log,
            _ if path.ends_with("catalog.db") => FileKind::Catalog,
            _ if path.ends_with(".ids") || path.ends_with(".blocks") => FileKind::Directory,
            _ if path.ends_with("catalog.db-wal") => FileKind::CatalogJournal,
            _ => FileKind::Other,
        }
    }

    /// Of 100 damages, so many are to files of this kind.
    fn weight(self) -> u64 {
        match self {
            FileKind::Shard => 45,
            FileKind::Log => 20,
            FileKind::Catalog => 20,
            FileKind::CatalogJournal => 10,
            FileKind::Directory => 5,
            FileKind::Other => 0,
        }
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Flip,
    Cut,
    Empty,
    Missing,
    Exchanged,
    Version,
}

/// A damage.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) path: String,
    pub(crate) kind: FileKind,
    pub(crate) mode: Mode,
    at: usize,
    bit: u32,
    /// With whose bytes it changes places.
    other: Option<String>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} at byte {}, bit {}", self.mode, self.path, self.at, self.bit)
    }
}

/// splitmix64: the same seed gives the same damage.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound.max(1)
    }

    fn of<'a>(&mut self, all: &[&'a String]) -> &'a String {
        all[self.below(all.len() as u64) as usize]
    }
}

impl Damage {
    /// The damage of that number.
    pub(crate) fn choose(original: &Original, seed: u64, number: u64) -> Damage {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(number << 8));
        let kinds: BTreeSet<FileKind> = original.files.keys().map(|path| FileKind::of(path)).collect();
        let mut pick = random.below(kinds.iter().map(|kind| kind.weight()).sum());
        let mut kind = FileKind::Shard;
        for candidate in kinds {
            kind = candidate;
            if pick < candidate.weight() {
                break;
            }
            pick -= candidate.weight();
        }
        let paths: Vec<&String> = original.files.keys().filter(|path| FileKind::of(path) == kind).collect();
        let path = random.of(&paths);
        let mode = match random.below(100) {
            0..85 => Mode::Flip,
            85..90 => Mode::Cut,
            90..92 => Mode::Empty,
            92..94 => Mode::Missing,
            94..97 if paths.len() > 1 => Mode::Exchanged,
            _ => Mode::Version,
        };
        let others: Vec<&String> = paths.iter().copied().filter(|other| *other != path).collect();
        let other = (mode == Mode::Exchanged).then(|| random.of(&others).clone());
        let bytes = &original.files[path];
        // Most of a log's file is room for what comes.
        let used = if kind == FileKind::Log { bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 64 } else { bytes.len() };
        let at = if mode == Mode::Version { version_byte(kind, bytes) } else { random.below(used.min(bytes.len()) as u64) as usize };
        Damage { path: path.clone(), kind, mode, at, bit: random.below(8) as u32, other }
    }

    /// The files after it.
    pub(crate) fn apply(&self, files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        let mut files = files.clone();
        let bytes = files.get_mut(&self.path).unwrap();
        match self.mode {
            Mode::Flip | Mode::Version => bytes[self.at] ^= 1_u8 << self.bit,
            Mode::Cut => bytes.truncate(self.at),
            Mode::Empty => bytes.clear(),
            Mode::Missing => _ = files.remove(&self.path),
            Mode::Exchanged => {
                let other = self.other.as_ref().unwrap();
                let (one, two) = (files[&self.path].clone(), files[other].clone());
                files.insert(self.path.clone(), two);
                files.insert(other.clone(), one);
            }
        }
        files
    }

    /// Whether the last file of the log is gone.
    pub(crate) fn is_end_of_log_missing(&self, original: &Original) -> bool {
        let last = original.files.keys().rfind(|path| FileKind::of(path) == FileKind::Log);
        self.mode == Mode::Missing && last == Some(&self.path)
    }

    /// The files that are not what was written.
    pub(crate) fn paths(&self) -> Vec<&str> {
        [Some(self.path.as_str()), self.other.as_deref()].into_iter().flatten().collect()
    }
}

/// Where a file says of which version it is.
fn version_byte(kind: FileKind, bytes: &[u8]) -> usize {
    let find = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
    match kind {
        FileKind::Shard => find(br#"{"format":"#).map_or(0, |at| at + 10),
        FileKind::Log => 8 + 4,
        // `user_version`, and the version of the journal.
        FileKind::Catalog => 63,
        FileKind::CatalogJournal => 7,
        FileKind::Directory => 4,
        FileKind::Other => 0,
    }
}
