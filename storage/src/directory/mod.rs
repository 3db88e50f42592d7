//! The id directory: from an id to the shards that may hold it, over the whole retention.
//!
//! It keeps entries, an id's key and an *origin*: the number that a seal gave its shard. A merged shard has several
//! origins, so merging shards changes nothing here; a lookup answers origins, and the store knows their shards of
//! today. What a run does not cover, or cannot read, the store asks each shard itself: the directory saves reads,
//! it never decides alone that an id is nowhere. It can be removed at any time and made anew from the shards.
//!
//! Entries are in *runs*, sorted and immutable, merged like a log-structured tree (`merge.rs`) so that there are
//! seven at most; one key costs one read in each.
//!
//! `FORMAT.md` draws the bytes of a run: a header, the table of origins, the first key of each block, and blocks of 4 KiB, the earlier
//! ones in pieces of their own for stores that do not append.
//!
//! A key is the high 36 bits of an id's hash, in every run, so that merging loses nothing: among N ids a foreign one
//! is found with p = N / 2^36, that is 1/64 at 2^30 ids in one run and one in seven thousand at ten million.
//! g = floor(log2(2^36 / N)), a group takes ceil(log2(groups)) bits: an entry takes
//! 36 - log2(N) + 1.6 + ceil(log2(groups)) bits, about 3 bytes. (Version 1 kept 40 bits.)
//!
//! A *group* is a set of origins whose shards are one shard by now; an entry names a group, and stands for all
//! origins of it. Coverage stays by origin.
//!
//! In memory: 8 bytes for each block of 4 KiB, 12 for each range of origins; while merging a piece and 100 KiB
//! for each part.

mod bits;
mod block;
mod check;
mod folder;
mod header;
mod merge;
mod origins;
mod run;
#[cfg(test)]
pub(crate) mod tests;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};

use crate::catalog;
use crate::model::IdKey;
use block::{Entry, KEY_BITS};
pub(crate) use check::SoundRuns;
use folder::{Folder, Listed};
pub(crate) use header::VERSION as RUN_VERSION;
use merge::Chosen;
pub(crate) use merge::RUNS_MAX;
use origins::Origins;
use run::Run;
use write::{RunName, RunWriter};

/// Blocks of a piece: 4 MiB.
const PIECE_BLOCKS: u32 = 1 << 10;

impl IdKey {
    /// What the directory keeps of it.
    fn kept(self) -> u64 {
        self.0 >> (u64::BITS - KEY_BITS)
    }
}

/// The number that a seal gave its shard: rising, never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Origin(pub(crate) u32);

/// From ids to origins. All of it can be used from many threads; lookups wait for nothing.
#[derive(Debug)]
pub(crate) struct IdDirectory {
    folder: Folder,
    piece_blocks: u32,
    runs: RwLock<Arc<Runs>>,
    /// The number the next run gets.
    next_run: AtomicU64,
    /// One addition at a time, so that no origin is added twice.
    adding: Mutex<()>,
    /// One merge at a time.
    merging: Mutex<()>,
    /// Runs that are no longer looked at; their objects go when no lookup holds them.
    leaving: Mutex<Vec<Arc<Run>>>,
}

/// The runs that lookups look at.
#[derive(Debug, Default)]
struct Runs {
    all: Vec<Arc<Run>>,
    /// What they cover together. Origins mostly follow each other: this is short.
    covered: catalog::Origins,
}

impl Runs {
    fn of(all: Vec<Arc<Run>>) -> Runs {
        let covered = catalog::Origins::union(&all.iter().map(|run| run.origins.covered()).collect::<Vec<_>>());
        Runs { all, covered }
    }
}

impl From<Origin> for catalog::Origins {
    fn from(Origin(number): Origin) -> catalog::Origins {
        catalog::Origins::one(number)
    }
}

/// What a lookup found.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// Origins that may have one of the keys.
    pub(crate) origins: BTreeSet<Origin>,
    /// Reads it took.
    pub(crate) reads: usize,
    /// What could not be read, and why. Its origins are not covered.
    pub(crate) unreadable: Vec<String>,
    searched: Arc<Runs>,
}

impl Hits {
    /// What this lookup covered: an origin of it that was not found has none of the keys. (What is covered after
    /// a lookup may have been added after it; only the lookup itself knows what it looked at.)
    pub(crate) fn covered(&self) -> &catalog::Origins {
        &self.searched.covered
    }

    /// Whether the shard of this origin has to be asked: it was found, or this lookup did not cover it.
    pub(crate) fn may_hold(&self, origin: Origin) -> bool {
        self.origins.contains(&origin) || !self.covered().contains(origin.0)
    }
}

/// What is in the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DirectorySize {
    /// Sorted parts; a lookup reads once in each.
    pub(crate) runs: usize,
    /// Ids, once for each group of origins that has them.
    pub(crate) entries: u64,
    /// Bytes in the object store.
    pub(crate) bytes: u64,
}

/// Why the directory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// The object store said so.
    #[error("cannot {action} {path}: {error}; what the id directory does not cover is searched shard by shard")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On which object.
        path: String,
        /// What the store said.
        error: object_store::Error,
    },
    /// An object is not what was written.
    #[error("{path} is damaged ({found}): it is removed, and its shards are searched one by one until they are added again")]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        found: String,
    },
    /// A run was written by an older needle.
    #[error("{path} has format {found}, this needle reads {known}: it is removed, and made anew from the shards")]
    Older {
        /// The object.
        path: String,
        /// Its version.
        found: u8,
        /// Ours.
        known: u8,
    },
    /// A run was written by a newer needle.
    #[error("{path} has format {found}, this needle reads up to {known}: use the newer program, or remove the file to have it made anew")]
    Newer {
        /// The object.
        path: String,
        /// Its version.
        found: u8,
        /// Ours.
        known: u8,
    },
}

impl IdDirectory {
    /// Opens the directory in a folder of the store, and says which of its runs cannot be read; those cover nothing.
    /// It can be interrupted anywhere and done again. Only one process at a time may have the folder open.
    pub(crate) fn open(objects: Arc<dyn ObjectStore>, path: Path) -> Result<(IdDirectory, Vec<String>), DirectoryError> {
        IdDirectory::open_with(objects, path, PIECE_BLOCKS)
    }

    fn open_with(objects: Arc<dyn ObjectStore>, path: Path, piece_blocks: u32) -> Result<(IdDirectory, Vec<String>), DirectoryError> {
        let folder = Folder { objects, path };
        let (listed, unfinished) = folder.list()?;
        unfinished.iter().try_for_each(|path| folder.delete(path))?;
        let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
        for (&run, listed) in &listed {
            if listed.bytes.is_none() {
                folder.delete_run(run, listed.pieces.keys().copied())?;
                continue;
            }
            match Run::open(&folder, run, listed) {
                Ok(run) => runs.push(run),
                Err(older @ DirectoryError::Older { .. }) => {
                    tracing::info!("{older}");
                    folder.delete_run(run, listed.pieces.keys().copied())?;
                }
                Err(error) => {
                    unreadable.push(error.to_string());
                    if matches!(error, DirectoryError::Damaged { .. }) {
                        folder.delete_run(run, listed.pieces.keys().copied())?;
                    }
                }
            }
        }
        let (kept, copies) = merge::without_copies(runs);
        let directory = IdDirectory {
            folder,
            piece_blocks,
            runs: RwLock::new(Arc::new(Runs::of(kept))),
            next_run: AtomicU64::new(listed.keys().last().map_or(1, |last| last + 1)),
            adding: Mutex::default(),
            merging: Mutex::default(),
            leaving: Mutex::new(copies),
        };
        directory.collect();
        Ok((directory, unreadable))
    }

    /// The origins that may have one of the keys.
    pub(crate) fn find(&self, keys: &[IdKey]) -> Hits {
        let keys: Vec<u64> = keys.iter().map(|key| key.kept()).collect::<BTreeSet<u64>>().into_iter().collect();
        let mut hits = Hits::default();
        let runs = self.runs();
        let mut searched = Vec::with_capacity(runs.all.len());
        for run in &runs.all {
            match run.find(&keys, &mut hits.reads) {
                Ok(origins) => {
                    hits.origins.extend(origins);
                    searched.push(run.clone());
                }
                Err(error) => {
                    self.give_up_damaged(run, &error);
                    hits.unreadable.push(error.to_string());
                }
            }
        }
        hits.searched = if hits.unreadable.is_empty() { runs } else { Arc::new(Runs::of(searched)) };
        hits
    }

    /// The origins of which lookups say all there is to say.
    pub(crate) fn covered(&self) -> catalog::Origins {
        self.runs().covered.clone()
    }

    /// How large it is.
    pub(crate) fn size(&self) -> DirectorySize {
        let runs = self.runs();
        DirectorySize {
            runs: runs.all.len(),
            entries: runs.all.iter().map(|run| run.header.entries).sum(),
            bytes: runs.all.iter().map(|run| run.bytes()).sum(),
        }
    }

    /// Adds the keys of shards, all of each, under the origins of the shard, as one run; no origin is in two shards.
    /// Origins that are covered already are left out: then others of the same shard may stand for more than their
    /// own keys, which is as good, since an origin is only a way to its shard. When this returns it is durable, and
    /// all the origins are covered.
    pub(crate) fn add(&self, shards: &[(impl Into<catalog::Origins> + Clone, Vec<IdKey>)]) -> Result<(), DirectoryError> {
        let _one_at_a_time = self.adding.lock();
        let covered = self.covered();
        let uncovered = shards.iter().map(|(origins, keys)| (origins.clone().into().without(&covered), keys));
        let added: Vec<(catalog::Origins, &Vec<IdKey>)> = uncovered.filter(|(origins, _)| !origins.is_empty()).collect();
        if added.is_empty() {
            return Ok(());
        }
        let of_group = |(group, (origins, _)): (u32, &(catalog::Origins, _))| {
            origins.iter().map(move |origin| (Origin(origin), group)).collect::<Vec<_>>()
        };
        let table = Origins::of(&(0..).zip(&added).flat_map(of_group).collect());
        let entries = (0..).zip(&added).flat_map(|(group, (_, keys))| keys.iter().map(move |key| Entry { key: key.kept(), group }));
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_unstable();
        entries.dedup();
        let mut writer = RunWriter::new(&self.folder, self.name(0), table, entries.len() as u64);
        entries.into_iter().try_for_each(|entry| writer.push(entry))?;
        let run = Arc::new(writer.finish()?);
        self.replace(&[], Some(run));
        Ok(())
    }

    /// Merges the next runs there are to merge. Whether there were any: then there may be more. `place` names the shard
    /// of an origin, by any one number for all origins of the shard; an origin of no shard is forgotten, so an origin
    /// is added when its shard is known, not before. `stop` gives the merge up; nothing is lost by it.
    pub(crate) fn tick_merge(&self, place: impl Fn(Origin) -> Option<Origin>, stop: impl Fn() -> bool) -> Result<bool, DirectoryError> {
        let _one_at_a_time = self.merging.lock();
        self.collect();
        let Some(Chosen { parts, generation }) = merge::choose(&self.runs().all, &place) else { return Ok(false) };
        let (origins, regroup) = Origins::join(&parts.iter().map(|run| &run.origins).collect::<Vec<_>>(), &place);
        let mut merged = None;
        if !origins.is_empty() {
            let entries_max = parts.iter().map(|run| run.header.entries).sum();
            let mut writer = RunWriter::new(&self.folder, self.name(generation), origins, entries_max);
            let whole = merge::merge(&parts, &regroup, &mut writer, stop).inspect_err(|_| drop(self.verify_runs(&parts)))?;
            if !whole {
                return Ok(false);
            }
            merged = Some(Arc::new(writer.finish()?));
        }
        self.replace(&parts, merged);
        drop(parts);
        self.collect();
        Ok(true)
    }

    /// Reads everything and says what is wrong with it. What is damaged covers nothing from then on.
    #[cfg(test)]
    fn verify(&self) -> Result<Vec<String>, DirectoryError> {
        self.verify_runs(&self.runs().all)
    }

    fn verify_runs(&self, runs: &[Arc<Run>]) -> Result<Vec<String>, DirectoryError> {
        let (listed, _) = self.folder.list()?;
        let mut complaints = Vec::new();
        for run in runs {
            let listed = listed.get(&run.header.run).unwrap_or(const { &Listed::NOTHING });
            // Header and tables are read again, too: it is the next start that needs them.
            let sound = Run::open(&self.folder, run.header.run, listed).and_then(|run| run.verify());
            if let Err(error) = sound {
                self.give_up_damaged(run, &error);
                complaints.push(error.to_string());
            }
        }
        Ok(complaints)
    }

    fn runs(&self) -> Arc<Runs> {
        self.runs.read().clone()
    }

    fn name(&self, generation: u8) -> RunName {
        RunName { run: self.next_run.fetch_add(1, Ordering::Relaxed), generation, piece_blocks: self.piece_blocks }
    }

    /// Stops looking at a run whose bytes are wrong. One that could not be read now may be read later.
    fn give_up_damaged(&self, run: &Arc<Run>, error: &DirectoryError) {
        if matches!(error, DirectoryError::Damaged { .. }) {
            self.replace(std::slice::from_ref(run), None);
        }
    }

    /// Puts a run, or none, in the place of others.
    fn replace(&self, parts: &[Arc<Run>], merged: Option<Arc<Run>>) {
        let mut runs = self.runs.write();
        let is_part = |run: &Arc<Run>| parts.iter().any(|part| Arc::ptr_eq(part, run));
        let (left, mut kept): (Vec<_>, Vec<_>) = runs.all.iter().cloned().partition(is_part);
        kept.extend(merged);
        *runs = Arc::new(Runs::of(kept));
        self.leaving.lock().extend(left);
    }

    /// Removes the objects of runs that no lookup holds any more.
    fn collect(&self) {
        self.leaving.lock().retain(|run| {
            let is_held = Arc::strong_count(run) > 1;
            is_held
                || run.delete().inspect_err(|error| tracing::warn!(%error, "a replaced part of the id directory stays for now")).is_err()
        });
    }
}
