//! Where the program is killed: each step of the way of a record, by what it does to its disk there.

use std::fmt;

use crate::random::Random;
use crate::volume::{Fault, Operation, Trap};

/// A named moment. Numbers are those of the list of faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    number: u32,
    name: &'static str,
    operation: Option<Operation>,
    path: &'static str,
    fault: Fault,
}

const fn point(number: u32, name: &'static str, operation: Operation, path: &'static str, fault: Fault) -> Point {
    Point { number, name, operation: Some(operation), path, fault }
}

pub(crate) const POINTS: [Point; 25] = [
    point(1, "decoded, before the log is written", Operation::Write, "/wal/", Fault::KillBefore),
    point(2, "in the middle of a frame", Operation::Write, "/wal/", Fault::KillHalfway),
    point(3, "written, before the sync", Operation::Sync, "/wal/", Fault::KillBefore),
    point(4, "synced, before the acknowledgement", Operation::Sync, "/wal/", Fault::KillAfter),
    point(5, "a file of the log is begun", Operation::Create, "/wal/", Fault::KillAfter),
    point(5, "a file of the log has its room", Operation::Length, "/wal/", Fault::KillAfter),
    point(5, "a file of the log has its name", Operation::SyncFolder, "/wal", Fault::KillBefore),
    point(6, "in the middle of a shard", Operation::Write, ".parquet.tmp", Fault::KillHalfway),
    point(7, "a shard is written, before its sync", Operation::Sync, ".parquet.tmp", Fault::KillBefore),
    point(7, "a shard is synced, before it has its name", Operation::Rename, ".parquet.tmp", Fault::KillBefore),
    point(8, "a shard has its name, before its folder is synced", Operation::Rename, ".parquet.tmp", Fault::KillAfter),
    point(8, "the folder of a shard is synced", Operation::SyncFolder, "/default/", Fault::KillAfter),
    point(9, "before the catalog is written", Operation::Write, "/catalog.db", Fault::KillBefore),
    point(9, "in the middle of a transaction", Operation::Write, "/catalog.db", Fault::KillHalfway),
    point(9, "before the transaction is synced", Operation::Sync, "/catalog.db", Fault::KillBefore),
    point(9, "after the transaction is synced", Operation::Sync, "/catalog.db", Fault::KillAfter),
    point(10, "published, before the log is forgotten", Operation::Remove, "/wal/", Fault::KillBefore),
    point(11, "a file of the log is removed", Operation::Remove, "/wal/", Fault::KillAfter),
    point(12, "in the middle of a merge", Operation::Write, "-m", Fault::KillHalfway),
    point(12, "a merge has its name", Operation::Rename, "-m", Fault::KillAfter),
    point(12, "before a merged shard is removed", Operation::Remove, ".parquet", Fault::KillBefore),
    point(13, "after a shard is removed", Operation::Remove, ".parquet", Fault::KillAfter),
    point(13, "a part of the id directory is written", Operation::Write, "/ids/", Fault::KillHalfway),
    point(13, "a part of the id directory has its name", Operation::Rename, "/ids/", Fault::KillAfter),
    point(13, "a part of the id directory is removed", Operation::Remove, "/ids/", Fault::KillBefore),
];

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {}: {}", self.number, self.name)
    }
}

impl Point {
    pub(crate) fn trap(&self, random: &mut Random) -> Trap {
        let is_frequent = self.path == "/wal/" && matches!(self.operation, Some(Operation::Write | Operation::Sync));
        let skipped = random.below(if is_frequent { 20 } else { 2 });
        Trap { operation: self.operation, path: self.path, fault: self.fault, skipped, times: 1 }
    }
}

/// At any of the first operations of a start.
pub(crate) fn at_start(random: &mut Random) -> Trap {
    let fault = *random.pick(&[Fault::KillBefore, Fault::KillAfter, Fault::KillHalfway]);
    Trap { operation: None, path: "", fault, skipped: random.below(30), times: 1 }
}
