//! A limit of memory for one process, which the kernel kills when it wants more.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::harness::{Server, poll};

/// Where control groups are, and what their files are called: of the second version, and of the first.
const VERSIONS: [(&str, [&str; 2]); 2] =
    [("/sys/fs/cgroup", ["memory.max", "memory.current"]), ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes"])];
/// What it may take more than it has, at first, and by how much this sinks at a time.
const MORE_BYTES: u64 = 16 << 20;
const STEP_BYTES: u64 = 256 << 10;

/// A control group of our own, removed when it is dropped.
pub(crate) struct Cage {
    folder: PathBuf,
    limit: PathBuf,
    usage: PathBuf,
}

impl Cage {
    /// `None` where the machine does not let us make one.
    pub(crate) fn new() -> Option<Cage> {
        VERSIONS.iter().find_map(|(parent, [limit, usage])| {
            let folder = PathBuf::from(parent).join(format!("needle-kills-{}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            let cage = Cage { limit: folder.join(limit), usage: folder.join(usage), folder };
            cage.limit.exists().then_some(cage)
        })
    }

    /// Leaves a process less and less memory until the kernel ends it.
    pub(crate) fn starve(&self, server: &mut Server) {
        fs::write(&self.limit, "max").or_else(|_| fs::write(&self.limit, "-1")).unwrap();
        fs::write(self.folder.join("cgroup.procs"), server.process().id().to_string()).unwrap();
        let mut bytes = self.used().unwrap() + MORE_BYTES;
        let left_to_sink = || {
            // Below what it has in use the limit of the first version does not go: then the next page is too much.
            bytes = bytes.saturating_sub(STEP_BYTES).max(STEP_BYTES);
            let _ = fs::write(&self.limit, bytes.to_string());
            server.process().has_ended().then_some(())
        };
        poll("the kernel to kill", left_to_sink);
        assert_eq!(server.wait(), None, "it did not end by itself");
    }

    fn used(&self) -> io::Result<u64> {
        fs::read_to_string(&self.usage)?.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
