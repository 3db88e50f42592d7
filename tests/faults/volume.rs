//! A file system in memory that forgets what was not synced when its power is cut, as real ones may: of a file that was
//! written and not synced any of the sectors may be there, of names that were given or taken and not synced with their
//! folder any. It is mounted under the real program (`fuse.rs`), so the catalog lies on it as well.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::random::Random;

/// What a disk writes at once.
const SECTOR_BYTES: usize = 512;
pub(crate) const ROOT: u64 = 1;

/// Numbers of errors as Linux has them.
pub(crate) mod errno {
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EINTR: i32 = 4;
    pub(crate) const EIO: i32 = 5;
    pub(crate) const EEXIST: i32 = 17;
    pub(crate) const ENOTDIR: i32 = 20;
    pub(crate) const ENOSPC: i32 = 28;
    pub(crate) const ENOSYS: i32 = 38;
    pub(crate) const ENOTEMPTY: i32 = 39;
}

/// What is done to the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Write,
    Length,
    Sync,
    SyncFolder,
    Rename,
    Remove,
}

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The program is killed before it, after it, or when half of a write is there.
    KillBefore,
    KillAfter,
    KillHalfway,
    /// It fails.
    Fails(i32),
    /// Half of a write is done, and said so.
    Short,
    /// It takes so long.
    Slow(Duration),
}

/// A fault that waits for an operation.
#[derive(Clone, Debug)]
pub(crate) struct Trap {
    /// None: any of them.
    pub(crate) operation: Option<Operation>,
    /// What stands in the path.
    pub(crate) path: &'static str,
    pub(crate) fault: Fault,
    /// So many such operations pass before.
    pub(crate) skipped: u64,
    /// So many are hit.
    pub(crate) times: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, in order.
    changes: Vec<Change>,
    opened: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    pub(crate) names: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    changes: Vec<Naming>,
}

#[derive(Clone, Debug)]
enum Change {
    Written { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
enum Naming {
    Given(String, u64),
    Moved(String, String),
    Taken(String),
}

/// The file system.
#[derive(Debug, Default)]
pub(crate) struct Volume {
    nodes: HashMap<u64, Node>,
    /// Where each node was named last, for traps.
    paths: HashMap<u64, String>,
    next: u64,
    pub(crate) traps: Vec<Trap>,
    /// How many faults happened.
    pub(crate) hits: u64,
    /// The program on it.
    pub(crate) victim: Option<u32>,
    /// After a kill nothing that is still under way has any effect.
    pub(crate) is_off: bool,
    /// Syncs do nothing: a bug, planted.
    pub(crate) lies: bool,
}

impl Volume {
    pub(crate) fn new() -> Volume {
        let mut volume = Volume { next: ROOT + 1, ..Volume::default() };
        volume.nodes.insert(ROOT, Node::Folder(Folder::default()));
        volume.paths.insert(ROOT, String::new());
        volume
    }

    pub(crate) fn node(&self, node: u64) -> Result<&Node, i32> {
        self.nodes.get(&node).ok_or(errno::ENOENT)
    }

    pub(crate) fn file(&mut self, node: u64) -> Result<&mut File, i32> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(errno::ENOENT),
        }
    }

    pub(crate) fn folder(&mut self, node: u64) -> Result<&mut Folder, i32> {
        match self.nodes.get_mut(&node) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(errno::ENOTDIR),
            None => Err(errno::ENOENT),
        }
    }

    pub(crate) fn path(&self, node: u64) -> &str {
        self.paths.get(&node).map_or("", String::as_str)
    }

    pub(crate) fn path_in(&self, folder: u64, name: &str) -> String {
        format!("{}/{name}", self.path(folder))
    }

    /// The fault that waits for this operation, if one does.
    pub(crate) fn spring(&mut self, operation: Operation, path: &str) -> Option<Fault> {
        for trap in &mut self.traps {
            if trap.times == 0 || trap.operation.is_some_and(|wanted| wanted != operation) || !path.contains(trap.path) {
                continue;
            }
            if trap.skipped > 0 {
                trap.skipped -= 1;
                continue;
            }
            trap.times -= 1;
            self.hits += 1;
            return Some(trap.fault);
        }
        None
    }

    pub(crate) fn lookup(&mut self, folder: u64, name: &str) -> Result<u64, i32> {
        self.folder(folder)?.names.get(name).copied().ok_or(errno::ENOENT)
    }

    /// Makes a file or a folder.
    pub(crate) fn make(&mut self, folder: u64, name: &str, node: Node) -> Result<u64, i32> {
        if self.folder(folder)?.names.contains_key(name) {
            return Err(errno::EEXIST);
        }
        let number = self.next;
        self.next += 1;
        let path = self.path_in(folder, name);
        self.nodes.insert(number, node);
        self.paths.insert(number, path);
        self.folder(folder)?.name(Naming::Given(name.to_owned(), number));
        Ok(number)
    }

    pub(crate) fn remove(&mut self, folder: u64, name: &str) -> Result<(), i32> {
        let node = self.lookup(folder, name)?;
        if matches!(self.node(node)?, Node::Folder(folder) if !folder.names.is_empty()) {
            return Err(errno::ENOTEMPTY);
        }
        self.folder(folder)?.name(Naming::Taken(name.to_owned()));
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (u64, &str), to: (u64, &str)) -> Result<(), i32> {
        let node = self.lookup(from.0, from.1)?;
        if from.0 == to.0 {
            self.folder(from.0)?.name(Naming::Moved(from.1.to_owned(), to.1.to_owned()));
        } else {
            self.folder(to.0)?.name(Naming::Given(to.1.to_owned(), node));
            self.folder(from.0)?.name(Naming::Taken(from.1.to_owned()));
        }
        let path = self.path_in(to.0, to.1);
        self.paths.insert(node, path);
        Ok(())
    }

    pub(crate) fn sync(&mut self, node: u64) -> Result<(), i32> {
        if !self.lies {
            self.file(node)?.sync();
        }
        Ok(())
    }

    pub(crate) fn sync_folder(&mut self, node: u64) -> Result<(), i32> {
        if !self.lies {
            let folder = self.folder(node)?;
            let changes = std::mem::take(&mut folder.changes);
            changes.iter().for_each(|naming| naming.apply(&mut folder.durable));
            self.sweep();
        }
        Ok(())
    }

    pub(crate) fn opened(&mut self, node: u64) -> Result<(), i32> {
        self.file(node)?.opened += 1;
        Ok(())
    }

    pub(crate) fn released(&mut self, node: u64) {
        if let Ok(file) = self.file(node) {
            file.opened = file.opened.saturating_sub(1);
        }
    }

    /// Switches the power off and on: what was not synced is there or not, as it falls.
    pub(crate) fn cut(&mut self, random: &mut Random) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.fall(random),
                Node::Folder(folder) => folder.fall(random),
            }
        }
        self.sweep();
    }

    /// The program ended; nothing waits for it any more.
    pub(crate) fn mend(&mut self) {
        (self.is_off, self.victim) = (false, None);
        self.traps.clear();
    }

    /// Forgets what has no name, will have none after a cut, and is not open.
    fn sweep(&mut self) {
        let mut named: HashSet<u64> = HashSet::from([ROOT]);
        for node in self.nodes.values() {
            if let Node::Folder(folder) = node {
                named.extend(folder.names.values().chain(folder.durable.values()));
                named.extend(
                    folder.changes.iter().filter_map(|naming| if let Naming::Given(_, node) = naming { Some(*node) } else { None }),
                );
            }
        }
        self.nodes.retain(|number, node| named.contains(number) || matches!(node, Node::File(file) if file.opened > 0));
    }

    /// Everything in it, to be used again.
    pub(crate) fn bytes(&self) -> u64 {
        self.nodes.values().map(|node| if let Node::File(file) = node { file.bytes.len() as u64 } else { 0 }).sum()
    }
}

impl Folder {
    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.changes.push(naming);
    }

    fn fall(&mut self, random: &mut Random) {
        for naming in std::mem::take(&mut self.changes) {
            if random.happens(0.5) {
                naming.apply(&mut self.durable);
            }
        }
        self.names = self.durable.clone();
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Naming::Given(name, node) => _ = names.insert(name.clone(), *node),
            Naming::Taken(name) => _ = names.remove(name),
            Naming::Moved(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl File {
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.change(Change::Written { offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn set_len(&mut self, bytes: usize) {
        if bytes != self.bytes.len() {
            self.change(Change::Length(bytes));
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.changes.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.durable);
        }
    }

    fn fall(&mut self, random: &mut Random) {
        self.opened = 0;
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

impl Change {
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

/// The parts of a write that lie in different sectors.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        at = (start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES).min(bytes.len());
        (start < bytes.len()).then(|| (offset + start, &bytes[start..at]))
    })
}
