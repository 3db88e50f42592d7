//! A disk in memory that forgets what was not synced when its power is cut: of every file that was written and not
//! synced any of the written sectors may be there or not, and of every name that was given, changed or taken and not
//! synced with its folder, too. This is less than file systems promise, and what POSIX promises.
//!
//! The catalog is SQLite's own business and lies on the machine's disk: it stands for a database that keeps what it
//! committed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use needle_ingest::storage::{Disk, DiskFile, Entry, LocalDisk};

use crate::random::Random;

/// What a disk writes at once.
const SECTOR_BYTES: usize = 512;

/// What happens at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes: this operation and all later ones fail, and what was not synced may be lost.
    Cut,
    /// The process is killed: this operation and all its later ones fail, and the next process sees what the kernel has,
    /// synced or not.
    Kill,
    /// This operation fails; later ones do not.
    Once(io::ErrorKind),
    /// This operation and all that write fail until [`SimulatedDisk::mend`].
    From(io::ErrorKind),
}

/// Promises that the disk does not keep, to see that somebody notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lies {
    /// A file that was synced is not.
    pub(crate) files: bool,
    /// A folder that was synced is not.
    pub(crate) folders: bool,
}

/// An operation that failed.
#[derive(Debug)]
struct Refusal {
    error: io::Error,
    /// Of what it was to write.
    arrived: Arrived,
}

/// How much of a write reached the kernel before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrived {
    Nothing,
    Half,
    All,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        refusal.error
    }
}

/// A disk whose power can be cut.
#[derive(Debug, Default)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    /// As the program sees them.
    names: BTreeMap<PathBuf, usize>,
    /// As they are after a cut, but for what is in `renamed`.
    durable_names: BTreeMap<PathBuf, usize>,
    /// What was done to names since their folder was synced, in order.
    renamed: Vec<Naming>,
    folders: BTreeSet<PathBuf>,
    /// Operations so far that change something or make it durable.
    operations: u64,
    planned: Option<(u64, Fault)>,
    /// What is planned when the next file is created, so many operations later.
    planned_at_creation: Option<(u64, Fault)>,
    happened: Option<Fault>,
    lies: Lies,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, in order.
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Written { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
enum Naming {
    Given(PathBuf, usize),
    Moved(PathBuf, PathBuf),
    Taken(PathBuf),
}

impl SimulatedDisk {
    /// The same disk, for another process.
    pub(crate) fn handle(&self) -> Arc<dyn Disk> {
        Arc::new(SimulatedDisk { state: self.state.clone() })
    }

    pub(crate) fn lie(&self, lies: Lies) {
        self.lock().lies = lies;
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Lets something happen after so many more operations.
    pub(crate) fn plan(&self, operations: u64, fault: Fault) {
        let mut state = self.lock();
        state.planned = Some((state.operations + operations, fault));
        state.happened = None;
    }

    /// Lets something happen so many operations after the next file was created: while its name is not synced, say.
    pub(crate) fn plan_at_creation(&self, operations: u64, fault: Fault) {
        let mut state = self.lock();
        state.planned_at_creation = Some((operations, fault));
        state.happened = None;
    }

    pub(crate) fn happened(&self) -> Option<Fault> {
        self.lock().happened
    }

    /// Nothing fails any more, and nothing is lost: also what the next process after a kill sees.
    pub(crate) fn mend(&self) {
        self.lock().forget_plans();
    }

    /// Switches the power off and on: what was not synced is there or not, as it falls.
    pub(crate) fn cut(&self, random: &mut Random) {
        let mut state = self.lock();
        let state = &mut *state;
        state.forget_plans();
        for file in &mut state.files {
            file.fall(random);
        }
        for naming in std::mem::take(&mut state.renamed) {
            if random.happens(0.5) {
                naming.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn file(&self, file: usize) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile { state: self.state.clone(), file })
    }
}

impl State {
    fn forget_plans(&mut self) {
        (self.planned, self.planned_at_creation, self.happened) = (None, None, None);
    }

    /// Counts an operation, and lets happen what was planned.
    fn operate(&mut self) -> Result<(), Refusal> {
        self.is_on().map_err(|error| Refusal { error, arrived: Arrived::Nothing })?;
        if let Some(Fault::From(kind)) = self.happened {
            return Err(Refusal { error: kind.into(), arrived: Arrived::Nothing });
        }
        self.operations += 1;
        match self.planned {
            Some((at, fault)) if self.operations >= at => {
                (self.planned, self.happened) = (None, Some(fault));
                Err(match fault {
                    Fault::Cut => Refusal { error: io::Error::other("the power went"), arrived: Arrived::All },
                    Fault::Kill => Refusal { error: io::Error::other("killed"), arrived: Arrived::Half },
                    Fault::Once(kind) | Fault::From(kind) => Refusal { error: kind.into(), arrived: Arrived::Nothing },
                })
            }
            _ => Ok(()),
        }
    }

    /// Reading needs power, and somebody who reads.
    fn is_on(&self) -> io::Result<()> {
        match self.happened {
            Some(Fault::Cut) => Err(io::Error::other("the power is off")),
            Some(Fault::Kill) => Err(io::Error::other("the process was killed")),
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.is_on()?;
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.renamed.push(naming);
    }
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.changes.push(change);
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.bytes);
        self.changes.clear();
    }

    fn fall(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Length(_) if random.happens(0.5) => change.apply(&mut self.durable),
                Change::Length(_) => {}
                Change::Written { offset, bytes } => {
                    for (offset, bytes) in sectors(offset, &bytes) {
                        if random.happens(0.5) {
                            Change::Written { offset, bytes: bytes.to_vec() }.apply(&mut self.durable);
                        }
                    }
                }
            }
        }
        self.bytes.clone_from(&self.durable);
    }
}

/// The parts of a write that lie in different sectors.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        at = (start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES).min(bytes.len());
        (start < bytes.len()).then(|| (offset + start, &bytes[start..at]))
    })
}

impl Change {
    /// What arrives of it when it is interrupted.
    fn half(self) -> Option<Change> {
        match self {
            Change::Written { offset, mut bytes } => {
                bytes.truncate(bytes.len() / 2);
                Some(Change::Written { offset, bytes })
            }
            Change::Length(_) => None,
        }
    }

    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Length(bytes) => file.resize(*bytes, 0),
            Change::Written { offset, bytes } => {
                let end = offset + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Naming::Given(path, file) => _ = names.insert(path.clone(), *file),
            Naming::Taken(path) => _ = names.remove(path),
            Naming::Moved(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }

    /// The folders that have to be synced for it.
    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Naming::Given(path, _) | Naming::Taken(path) | Naming::Moved(_, path) => path.parent() == Some(folder),
        }
    }
}

/// Whether the machine's disk has it.
fn is_catalog(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("catalog.db"))
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        // For the catalog and the lock.
        LocalDisk.create_folder(path)?;
        let mut state = self.lock();
        state.operate()?;
        state.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        state.is_on()?;
        let name = |path: &Path| path.file_name().map(ToOwned::to_owned).unwrap_or_default();
        let within = |path: &&PathBuf| path.parent() == Some(folder);
        let folders = state.folders.iter().filter(within).map(|path| Entry { name: name(path), is_folder: true, bytes: 0 });
        let files = state.names.iter().filter(|(path, _)| within(path));
        let files = files.map(|(path, file)| Entry { name: name(path), is_folder: false, bytes: state.files[*file].bytes.len() as u64 });
        Ok(folders.chain(files).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.operate()?;
        let file = match state.names.get(path) {
            Some(file) => *file,
            None => {
                state.files.push(File::default());
                let file = state.files.len() - 1;
                state.name(Naming::Given(path.to_owned(), file));
                if let Some((operations, fault)) = state.planned_at_creation.take() {
                    state.planned = Some((state.operations + operations, fault));
                }
                file
            }
        };
        state.files[file].change(Change::Length(0));
        drop(state);
        Ok(self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.lock().find(path)?;
        Ok(self.file(file))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if is_catalog(path) { LocalDisk.open_read(path) } else { self.open(path) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.find(from)?;
        state.operate()?;
        state.name(Naming::Moved(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.find(path)?;
        state.operate()?;
        state.name(Naming::Taken(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate()?;
        if !state.lies.folders {
            let (synced, left) = std::mem::take(&mut state.renamed).into_iter().partition(|naming| naming.is_in(folder));
            state.renamed = left;
            let synced: Vec<Naming> = synced;
            synced.iter().for_each(|naming| naming.apply(&mut state.durable_names));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    file: usize,
}

impl SimulatedFile {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let operated = state.operate();
        match operated.as_ref().err().map_or(Arrived::All, |refusal| refusal.arrived) {
            Arrived::Nothing => {}
            Arrived::Half => change.half().into_iter().for_each(|half| state.files[self.file].change(half)),
            Arrived::All => state.files[self.file].change(change),
        }
        Ok(operated?)
    }
}

impl DiskFile for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Change::Written { offset: offset as usize, bytes: bytes.to_vec() })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        state.is_on()?;
        let start = offset as usize;
        let bytes = state.files[self.file].bytes.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.operate()?;
        if !state.lies.files {
            state.files[self.file].sync();
        }
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.change(Change::Length(bytes as usize))
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock().unwrap();
        state.is_on()?;
        Ok(state.files[self.file].bytes.len() as u64)
    }
}
