//! Looking at the directory without changing it: whether its runs are whole, and whether they lead to every id.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::block::Entry;
use super::folder::Folder;
use super::run::Run;
use super::{DirectoryError, Origin};
use crate::model::IdKey;

/// Keys that are looked up together.
const KEYS_AT_ONCE: usize = 4_096;

/// The runs of a directory that no process has open.
#[derive(Debug)]
pub(crate) struct SoundRuns {
    runs: Vec<Run>,
    /// Objects that cannot be used, and why.
    pub(crate) complaints: Vec<(String, String)>,
}

impl SoundRuns {
    /// Reads every byte of the directory in a folder.
    pub(crate) fn read(objects: Arc<dyn ObjectStore>, path: Path) -> Result<SoundRuns, DirectoryError> {
        let folder = Folder { objects, path };
        let (listed, unfinished) = folder.list()?;
        let mut sound = SoundRuns { runs: Vec::new(), complaints: Vec::new() };
        for (run, listed) in listed {
            let path = folder.run(run);
            if listed.bytes.is_none() {
                sound.complaints.push((path.to_string(), "has pieces but no end: its writing was interrupted".to_owned()));
                continue;
            }
            match Run::open(&folder, run, &listed).and_then(|run| run.verify().map(|()| run)) {
                Ok(run) => sound.runs.push(run),
                // The next start makes it anew; until then it covers nothing.
                Err(DirectoryError::Older { .. }) => {}
                Err(error) => sound.complaints.push((path.to_string(), error.to_string())),
            }
        }
        sound.complaints.extend(unfinished.into_iter().map(|path| (path.to_string(), "was not written to its end".to_owned())));
        Ok(sound)
    }

    /// How many runs are whole.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Length of the objects of all whole runs.
    pub(crate) fn bytes(&self) -> u64 {
        self.runs.iter().map(Run::bytes).sum()
    }

    /// The highest origin that any run covers.
    pub(crate) fn highest_origin(&self) -> Option<u32> {
        self.runs.iter().filter_map(|run| run.origins.last()).map(|Origin(origin)| origin).max()
    }

    /// How many of the keys (ascending) of a shard made of these origins a lookup would not lead to. A shard of
    /// which an origin is not covered is asked itself.
    pub(crate) fn missed(&self, origins: &BTreeSet<u32>, keys: &[IdKey]) -> Result<usize, DirectoryError> {
        let covered = |origin: &u32| self.runs.iter().any(|run| run.origins.covers(Origin(*origin)));
        if !origins.iter().all(covered) {
            return Ok(0);
        }
        let mut kept: Vec<u64> = keys.iter().map(|key| key.kept()).collect();
        kept.dedup();
        let mut missed = 0;
        for keys in kept.chunks(KEYS_AT_ONCE) {
            let mut found = BTreeSet::new();
            for run in &self.runs {
                run.keys_of(origins, keys, &mut found)?;
            }
            missed += keys.len() - found.len();
        }
        Ok(missed)
    }
}

impl Run {
    /// Adds those of the keys (ascending) that an entry leads from to one of the origins.
    fn keys_of(&self, origins: &BTreeSet<u32>, keys: &[u64], found: &mut BTreeSet<u64>) -> Result<(), DirectoryError> {
        let groups: BTreeSet<u32> = origins.iter().filter_map(|origin| self.origins.group_of(Origin(*origin))).collect();
        if groups.is_empty() {
            return Ok(());
        }
        for blocks in self.blocks_with(keys) {
            for block in self.read(blocks, &mut 0)? {
                for entry in block.entries() {
                    let Entry { key, group } = entry.map_err(|found| self.damaged(found))?;
                    if groups.contains(&group) && keys.binary_search(&key).is_ok() {
                        found.insert(key);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::IdDirectory;
    use crate::disk::LocalDisk;
    use crate::objects::DiskObjects;

    fn keys(origin: u64) -> Vec<IdKey> {
        let mut keys: Vec<IdKey> = (0..10_000_u64).map(|n| IdKey((n << 3 | origin).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn what_a_directory_does_not_lead_to_is_counted_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(DiskObjects::new(Arc::new(LocalDisk), folder.path().to_owned()));
        let path = Path::from("ids");
        let (directory, _) = IdDirectory::open(objects.clone(), path.clone()).unwrap();
        directory.add(&[(Origin(1), keys(1)), (Origin(2), keys(2))]).unwrap();
        directory.add(&[(Origin(3), keys(3)[..9_000].to_vec())]).unwrap();
        drop(directory);
        let read = || SoundRuns::read(objects.clone(), path.clone()).unwrap();
        let runs = read();
        assert_eq!((runs.len(), runs.highest_origin(), runs.complaints.len()), (2, Some(3), 0));
        assert_eq!(runs.missed(&BTreeSet::from([1]), &keys(1)).unwrap(), 0);
        assert_eq!(runs.missed(&BTreeSet::from([1, 2]), &keys(2)).unwrap(), 0, "a shard of both seals is found by either");
        assert_eq!(runs.missed(&BTreeSet::from([3]), &keys(3)).unwrap(), 1_000);
        assert_eq!(runs.missed(&BTreeSet::from([3]), &keys(1)).unwrap(), 10_000, "they lead to another shard");
        assert_eq!(runs.missed(&BTreeSet::from([3, 4]), &keys(1)).unwrap(), 0, "what is not covered is asked itself");
        let run = folder.path().join("ids/0000000001.ids");
        let whole = std::fs::read(&run).unwrap();
        for at in (0..whole.len()).step_by(997) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&run, &bytes).unwrap();
            let runs = read();
            assert_eq!((runs.len(), runs.complaints.len()), (1, 1), "byte {at}");
            assert!(runs.complaints[0].0.ends_with("0000000001.ids"));
            assert!(std::fs::read(&run).unwrap() == bytes, "it is looked at, not removed");
        }
    }
}
