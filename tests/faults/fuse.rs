//! The volume as a mounted file system: the part of the kernel's protocol (version 7.31) that a program needs which makes,
//! writes, syncs, renames and removes files. Mounted by `mount`, so that no code of others is needed. Where that cannot be
//! done, tests say so.

use std::fs::File as Device;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::random::Random;
use crate::volume::{Fault, File, Folder, Node, Operation, Volume, errno};

/// The longest request: a write of this much, and its head.
const WRITE_BYTES_MAX: u32 = 1 << 20;
const HEADER_BYTES: usize = 40;

/// A mounted volume. Dropped, it is unmounted.
pub(crate) struct Mounted {
    volume: Arc<Mutex<Volume>>,
    folder: tempfile::TempDir,
    server: Option<JoinHandle<()>>,
}

impl Mounted {
    /// A new volume; why there can be none.
    pub(crate) fn new() -> Result<Mounted, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut mounted = Mounted { volume: Arc::new(Mutex::new(Volume::new())), folder, server: None };
        mounted.mount()?;
        Ok(mounted)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn volume(&self) -> MutexGuard<'_, Volume> {
        self.volume.lock().unwrap()
    }

    /// The power goes and comes again; whoever was on it has ended.
    pub(crate) fn cut(&mut self, random: &mut Random) {
        self.unmount();
        self.volume().cut(random);
        self.volume().mend();
        self.mount().unwrap();
    }

    fn mount(&mut self) -> Result<(), String> {
        let device = Device::options().read(true).write(true).open("/dev/fuse").map_err(|error| format!("/dev/fuse: {error}"))?;
        let inherited = rustix::io::dup(&device).map_err(|error| error.to_string())?;
        rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).map_err(|error| error.to_string())?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,default_permissions", inherited.as_raw_fd());
        let mount = Command::new("mount").args(["-i", "-t", "fuse", "-o", &options, "needle-test"]).arg(self.path()).output();
        let mount = mount.map_err(|error| format!("mount: {error}"))?;
        if !mount.status.success() {
            return Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned());
        }
        drop(inherited);
        let volume = self.volume.clone();
        self.server = Some(std::thread::spawn(move || serve(&device, &volume)));
        Ok(())
    }

    fn unmount(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} cannot be unmounted", self.path().display());
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.unmount();
        }
    }
}

/// Answers the kernel until the volume is unmounted.
fn serve(device: &Device, volume: &Arc<Mutex<Volume>>) {
    let mut buffer = vec![0; WRITE_BYTES_MAX as usize + 64 * 1024];
    loop {
        match (&*device).read(&mut buffer) {
            Ok(bytes) if bytes >= HEADER_BYTES => {
                let request = Request::of(&buffer[..bytes]);
                answer(device, volume, &request);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // A request that was taken back before it was read.
            Err(error) if error.raw_os_error() == Some(errno::ENOENT) => {}
            _ => return,
        }
    }
}

struct Request<'a> {
    opcode: u32,
    unique: u64,
    node: u64,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn of(bytes: &'a [u8]) -> Request<'a> {
        Request { opcode: u32_at(bytes, 4), unique: u64_at(bytes, 8), node: u64_at(bytes, 16), body: &bytes[HEADER_BYTES..] }
    }

    /// The how many-th of the names from an offset on.
    fn name(&self, offset: usize, number: usize) -> String {
        let name = self.body[offset..].split(|byte| *byte == 0).nth(number).unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    /// What it does, and to what, if that changes something or makes it durable.
    fn operation(&self, volume: &Volume) -> Option<(Operation, String)> {
        let own = || volume.path(self.node).to_owned();
        let named = |offset| volume.path_in(self.node, &self.name(offset, 0));
        Some(match self.opcode {
            opcode::CREATE => (Operation::Create, named(16)),
            opcode::WRITE => (Operation::Write, own()),
            opcode::FALLOCATE => (Operation::Length, own()),
            opcode::SETATTR if u32_at(self.body, 0) & SETS_SIZE != 0 => (Operation::Length, own()),
            opcode::FSYNC => (Operation::Sync, own()),
            opcode::FSYNCDIR => (Operation::SyncFolder, own()),
            opcode::RENAME => (Operation::Rename, named(8)),
            opcode::RENAME2 => (Operation::Rename, named(16)),
            opcode::UNLINK => (Operation::Remove, named(0)),
            _ => return None,
        })
    }
}

mod opcode {
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const MKDIR: u32 = 9;
    pub(super) const UNLINK: u32 = 10;
    pub(super) const RMDIR: u32 = 11;
    pub(super) const RENAME: u32 = 12;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const STATFS: u32 = 17;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const OPENDIR: u32 = 27;
    pub(super) const READDIR: u32 = 28;
    pub(super) const RELEASEDIR: u32 = 29;
    pub(super) const FSYNCDIR: u32 = 30;
    pub(super) const CREATE: u32 = 35;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const BATCH_FORGET: u32 = 42;
    pub(super) const FALLOCATE: u32 = 43;
    pub(super) const RENAME2: u32 = 45;
}

const SETS_SIZE: u32 = 1 << 3;
/// Writes may be larger than a page, and as large as 256.
const INIT_FLAGS: u32 = (1 << 5) | (1 << 22);
const PAGES_MAX: u16 = 256;

type Reply = Result<Vec<u8>, i32>;

fn answer(device: &Device, volume: &Arc<Mutex<Volume>>, request: &Request<'_>) {
    if matches!(request.opcode, opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT) {
        return;
    }
    let mut locked = volume.lock().unwrap();
    let fault = match request.operation(&locked) {
        Some(_) if locked.is_off => return reply(device, request.unique, Err(errno::EIO)),
        Some((operation, path)) => locked.spring(operation, &path),
        None => None,
    };
    let answered = match fault {
        None => perform(&mut locked, request, None),
        Some(Fault::Fails(error)) => Err(error),
        Some(Fault::Short) => perform(&mut locked, request, Some(u32_at(request.body, 16).div_ceil(2))),
        Some(Fault::KillBefore) => {
            kill(&mut locked);
            Err(errno::EIO)
        }
        Some(Fault::KillAfter) => {
            let done = perform(&mut locked, request, None);
            kill(&mut locked);
            done
        }
        Some(Fault::KillHalfway) => {
            let half = (request.opcode == opcode::WRITE).then(|| u32_at(request.body, 16) / 2);
            let done = perform(&mut locked, request, half);
            kill(&mut locked);
            done
        }
        Some(Fault::Slow(time)) => {
            drop(locked);
            return answer_late(device, volume, request, time);
        }
    };
    drop(locked);
    reply(device, request.unique, answered);
}

/// Others go on meanwhile.
fn answer_late(device: &Device, volume: &Arc<Mutex<Volume>>, request: &Request<'_>, time: std::time::Duration) {
    let (device, volume) = (device.try_clone().unwrap(), volume.clone());
    let (opcode, unique, node, body) = (request.opcode, request.unique, request.node, request.body.to_vec());
    std::thread::spawn(move || {
        std::thread::park_timeout(time);
        let answered = perform(&mut volume.lock().unwrap(), &Request { opcode, unique, node, body: &body }, None);
        reply(&device, unique, answered);
    });
}

fn kill(volume: &mut Volume) {
    volume.is_off = true;
    let victim = volume.victim.and_then(|id| rustix::process::Pid::from_raw(id as i32));
    if let Some(victim) = victim {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(victim, rustix::process::Signal::KILL);
    }
}

fn reply(mut device: &Device, unique: u64, answered: Reply) {
    let (error, body) = answered.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend((16 + body.len() as u32).to_le_bytes());
    bytes.extend(error.to_le_bytes());
    bytes.extend(unique.to_le_bytes());
    bytes.extend(body);
    // Whoever asked may be dead.
    let _ = device.write(&bytes);
}

/// Does what is asked; of a write only so many bytes.
fn perform(volume: &mut Volume, request: &Request<'_>, written_max: Option<u32>) -> Reply {
    let Request { opcode, node, body, .. } = *request;
    match opcode {
        opcode::INIT => Ok(init()),
        opcode::LOOKUP => volume.lookup(node, &request.name(0, 0)).and_then(|found| entry(volume, found)),
        opcode::GETATTR => attributes(volume, node).map(|attributes| [[0; 16].as_slice(), &attributes].concat()),
        opcode::SETATTR => {
            if u32_at(body, 0) & SETS_SIZE != 0 {
                volume.file(node)?.set_len(u64_at(body, 16) as usize);
            }
            attributes(volume, node).map(|attributes| [[0; 16].as_slice(), &attributes].concat())
        }
        opcode::MKDIR => {
            let made = volume.make(node, &request.name(8, 0), Node::Folder(Folder::default()))?;
            entry(volume, made)
        }
        opcode::CREATE => {
            let made = volume.make(node, &request.name(16, 0), Node::File(File::default()))?;
            volume.opened(made)?;
            Ok([entry(volume, made)?, vec![0; 16]].concat())
        }
        opcode::UNLINK | opcode::RMDIR => volume.remove(node, &request.name(0, 0)).map(|()| Vec::new()),
        opcode::RENAME | opcode::RENAME2 => {
            let names = if opcode == opcode::RENAME { 8 } else { 16 };
            let (from, to) = (request.name(names, 0), request.name(names, 1));
            volume.rename((node, &from), (u64_at(body, 0), &to)).map(|()| Vec::new())
        }
        opcode::OPEN => volume.opened(node).map(|()| vec![0; 16]),
        opcode::OPENDIR => volume.folder(node).map(|_| vec![0; 16]),
        opcode::READ => {
            let (offset, bytes) = (u64_at(body, 8) as usize, u32_at(body, 16) as usize);
            let file = &volume.file(node)?.bytes;
            Ok(file[offset.min(file.len())..(offset + bytes).min(file.len())].to_vec())
        }
        opcode::WRITE => {
            let (offset, bytes) = (u64_at(body, 8) as usize, u32_at(body, 16));
            let written = written_max.unwrap_or(bytes).min(bytes);
            volume.file(node)?.write(offset, &body[40..40 + written as usize]);
            Ok([written.to_le_bytes(), [0; 4]].concat())
        }
        opcode::FALLOCATE => {
            let end = (u64_at(body, 8) + u64_at(body, 16)) as usize;
            let file = volume.file(node)?;
            file.set_len(end.max(file.bytes.len()));
            Ok(Vec::new())
        }
        opcode::FSYNC => volume.sync(node).map(|()| Vec::new()),
        opcode::FSYNCDIR => volume.sync_folder(node).map(|()| Vec::new()),
        opcode::READDIR => read_folder(volume, node, u64_at(body, 8) as usize, u32_at(body, 16) as usize),
        opcode::STATFS => Ok(statistics()),
        opcode::RELEASE => {
            volume.released(node);
            Ok(Vec::new())
        }
        opcode::FLUSH | opcode::RELEASEDIR => Ok(Vec::new()),
        _ => Err(errno::ENOSYS),
    }
}

fn init() -> Vec<u8> {
    let mut out = Vec::new();
    for word in [7_u32, 31, 1 << 20, INIT_FLAGS] {
        out.extend(word.to_le_bytes());
    }
    for half in [12_u16, 9] {
        out.extend(half.to_le_bytes());
    }
    for word in [WRITE_BYTES_MAX, 1] {
        out.extend(word.to_le_bytes());
    }
    out.extend(PAGES_MAX.to_le_bytes());
    out.resize(64, 0);
    out
}

fn entry(volume: &Volume, node: u64) -> Reply {
    let mut out = Vec::with_capacity(128);
    out.extend(node.to_le_bytes());
    // Generation, and how long all this is valid: not at all, so that a cut is seen.
    out.resize(40, 0);
    out.extend(attributes(volume, node)?);
    Ok(out)
}

fn attributes(volume: &Volume, node: u64) -> Reply {
    let (bytes, mode, links) = match volume.node(node)? {
        Node::File(file) => (file.bytes.len() as u64, 0o100_600_u32, 1_u32),
        Node::Folder(_) => (0, 0o040_700, 2),
    };
    let mut out = Vec::with_capacity(88);
    for word in [node, bytes, bytes.div_ceil(512), 0, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    for word in [0, 0, 0, mode, links, 0, 0, 0, 4096, 0] {
        out.extend(word.to_le_bytes());
    }
    Ok(out)
}

fn read_folder(volume: &mut Volume, node: u64, from: usize, bytes: usize) -> Reply {
    let names: Vec<(String, u64)> = volume.folder(node)?.names.iter().map(|(name, node)| (name.clone(), *node)).collect();
    let mut out = Vec::new();
    for (at, (name, node)) in names.iter().enumerate().skip(from) {
        let kind: u32 = if matches!(volume.node(*node)?, Node::Folder(_)) { 4 } else { 8 };
        let length = (24 + name.len()).next_multiple_of(8);
        if out.len() + length > bytes {
            break;
        }
        let end = out.len() + length;
        out.extend(node.to_le_bytes());
        out.extend((at as u64 + 1).to_le_bytes());
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(name.as_bytes());
        out.resize(end, 0);
    }
    Ok(out)
}

fn statistics() -> Vec<u8> {
    let mut out = Vec::new();
    for count in [1_u64 << 30, 1 << 29, 1 << 29, 1 << 20, 1 << 19] {
        out.extend(count.to_le_bytes());
    }
    for word in [4096_u32, 255, 4096] {
        out.extend(word.to_le_bytes());
    }
    out.resize(80, 0);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
