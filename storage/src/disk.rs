//! The one place that touches the file system. Everything above takes a [`Disk`], so that a test can
//! put one in between that fails, tears writes or forgets what was not synced.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::health::FileSystem;

/// A file system.
pub trait Disk: Send + Sync + Debug {
    /// Creates a folder and those above it, for the owner only, and syncs what names them.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// The entries of a folder; none when it does not exist.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// Creates an empty file for reading and writing; an old one of that name is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its length.
    pub bytes: u64,
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Fills `buffer` from `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Reserves room for `bytes` bytes, so that a full disk shows now.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The machine's file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.create_folder(parent)?;
        }
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
            other => other?,
        }
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o700))?;
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.sync_folder(parent),
            _ => self.sync_folder(Path::new(".")),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        entries
            .map(|entry| {
                let entry = entry?;
                let metadata = entry.metadata()?;
                Ok(Entry { name: entry.file_name(), is_folder: metadata.is_dir(), bytes: metadata.len() })
            })
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskFile for LocalFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            // Some file systems cannot reserve; there a full disk shows when it is written.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(bytes),
            other => Ok(other?),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// What the files below `path` are kept on.
pub(crate) fn file_system_of(path: &Path) -> io::Result<FileSystem> {
    // Numbers of statfs(2).
    const KNOWN: [(u64, &str); 12] = [
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0x2fc1_2fc1, "zfs"),
        (0xf2f5_2010, "f2fs"),
        (0x0102_1994, "tmpfs"),
        (0x794c_7630, "overlay"),
        (0x6969, "nfs"),
        (0xff53_4d42, "cifs"),
        (0xfe53_4d42, "smb2"),
        (0x6573_5546, "fuse"),
        (0x0102_1997, "9p"),
    ];
    let about = rustix::fs::statfs(path)?;
    let number = about.f_type as u64 & 0xffff_ffff;
    let name =
        KNOWN.iter().find(|(known, _)| *known == number).map_or_else(|| format!("file system {number:#x}"), |(_, name)| (*name).to_owned());
    let block_bytes = about.f_bsize as u64;
    Ok(FileSystem {
        is_remote: ["nfs", "cifs", "smb2", "9p"].contains(&name.as_str()),
        is_volatile: ["tmpfs", "overlay"].contains(&name.as_str()),
        free_bytes: about.f_bavail * block_bytes,
        total_bytes: about.f_blocks * block_bytes,
        name,
    })
}

/// Reads a whole file.
pub(crate) fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(file.len()?).map_err(|_| io::Error::other("file larger than memory"))?;
    let mut buffer = vec![0; bytes];
    file.read_at(&mut buffer, 0)?;
    Ok(buffer)
}

/// The data folder's lock: held until dropped, released by the kernel when the process dies.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Why the lock was not had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process has it; what it wrote about itself.
    Held(String),
    /// The lock file cannot be used.
    Io(io::Error),
}

impl FolderLock {
    /// Locks the file at `path` for whoever only reads, without changing it. None: no process ever had it.
    pub(crate) fn take_for_reading(path: &Path) -> Result<Option<FolderLock>, LockError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(LockError::Io)?,
        };
        lock(&mut file)?;
        Ok(Some(FolderLock { _file: file }))
    }

    /// Locks the file at `path` and writes into it which process this is, and on which machine: a folder may be reached
    /// from several.
    pub(crate) fn take(path: &Path) -> Result<FolderLock, LockError> {
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = open().map_err(LockError::Io)?;
        lock(&mut file)?;
        let holder = format!("{} on {}", std::process::id(), host());
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(LockError::Io)?;
        Ok(FolderLock { _file: file })
    }
}

/// What this machine, or container, calls itself.
fn host() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    told.map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned())
}

fn lock(file: &mut File) -> Result<(), LockError> {
    if rustix::fs::flock(&*file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(LockError::Io)?;
        return Err(LockError::Held(holder.trim().to_owned()));
    }
    Ok(())
}
