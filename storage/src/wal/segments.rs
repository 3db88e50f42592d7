//! The log as files of a fixed size, preallocated, so that a full disk shows when a file is begun and
//! not in the middle of a frame. A file is named after its first frame and removed when all its frames
//! are in shards.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{Frame, Parsed};
use super::replay::Unreplayed;
use super::{Sequence, Wal, WalError};
use crate::disk::{Disk, DiskFile, read_all};
use crate::settings::Durability;

const HEADER: &[u8; 8] = b"NDLWAL01";
pub(super) const HEADER_BYTES: usize = HEADER.len();
const EXTENSION: &str = "wal";

/// A log in files of `segment_bytes`.
#[derive(Debug)]
pub(crate) struct SegmentedWal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segment_bytes: u64,
    durability: Durability,
    /// Closed files, oldest first, with the last frame each holds.
    closed: VecDeque<(PathBuf, Sequence)>,
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Where the next frame goes.
    offset: u64,
    /// The file's length.
    bytes: u64,
    last: Sequence,
}

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecoveryReport {
    /// The last frame in the log.
    pub(crate) last: Sequence,
    /// Whether an unfinished frame at the end was cut off: it was never acknowledged.
    pub(crate) torn_tail: bool,
    /// Frames that cannot be read although later ones can; their bytes were set aside.
    pub(crate) lost_frames: u64,
    /// Where damaged bytes were put.
    pub(crate) set_aside: Vec<PathBuf>,
}

/// Where a log lies, and how it is kept.
#[derive(Clone, Debug)]
pub(crate) struct LogPlace {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) segment_bytes: u64,
    pub(crate) durability: Durability,
}

/// A log that was looked through.
#[derive(Debug)]
pub(crate) struct RecoveredLog {
    pub(crate) wal: SegmentedWal,
    pub(crate) report: RecoveryReport,
    /// Its frames that are in no shard, to be read again.
    pub(crate) unreplayed: Unreplayed,
}

impl SegmentedWal {
    /// Opens a log: verifies every frame and shows it to `visit`, cuts a torn tail and sets damaged bytes aside, so that
    /// new frames can be written and those after `after` replayed. Doing it again gives the same frames.
    pub(crate) fn recover(place: LogPlace, after: Sequence, visit: &mut dyn FnMut(&Frame)) -> Result<RecoveredLog, WalError> {
        let LogPlace { disk, folder, segment_bytes, durability } = place;
        disk.create_folder(&folder).map_err(refused("create", &folder))?;
        let names = segment_paths(disk.as_ref(), &folder).map_err(refused("list", &folder))?;
        let mut unreplayed = Unreplayed::new(disk.clone(), after);
        let mut wal = SegmentedWal { disk, folder, segment_bytes, durability, closed: VecDeque::new(), active: None };
        let mut report = RecoveryReport { last: after, ..RecoveryReport::default() };
        let mut buffer = Vec::new();
        for path in names {
            if let Some(active) = wal.active.take() {
                wal.closed.push_back((active.path, active.last));
            }
            let (active, bytes_after) = wal.recover_segment(path, after, &mut report, &mut buffer, visit)?;
            unreplayed.add(&active.path, active.offset, bytes_after, active.last);
            wal.active = Some(active);
        }
        Ok(RecoveredLog { wal, report, unreplayed })
    }

    /// With it comes how many bytes of frames after `after` there are. `buffer` is used again for each file: a log may be
    /// long, and fresh memory is slow.
    fn recover_segment(
        &self,
        path: PathBuf,
        after: Sequence,
        report: &mut RecoveryReport,
        buffer: &mut Vec<u8>,
        visit: &mut dyn FnMut(&Frame),
    ) -> Result<(Active, u64), WalError> {
        let file = self.disk.open(&path).map_err(refused("open", &path))?;
        read_into(file.as_ref(), buffer).map_err(refused("read", &path))?;
        let bytes = Bytes::from(std::mem::take(buffer));
        let mut bytes_after = 0;
        let offset = for_each_piece(&bytes, report.last, &mut |piece| match piece {
            Piece::Frame(frame) => {
                visit(&frame);
                if frame.sequence > after {
                    bytes_after += frame.bytes() as u64;
                    report.lost_frames += frame.sequence.0.saturating_sub(report.last.0 + 1);
                    report.last = report.last.max(frame.sequence);
                }
                Ok(())
            }
            Piece::Damaged(range) => {
                report.set_aside.push(self.set_aside(&path, range.start, &bytes[range])?);
                Ok(())
            }
            Piece::Torn(range) => {
                report.torn_tail = true;
                cut(file.as_ref(), range.start as u64, range.end as u64).map_err(refused("cut the torn tail of", &path))
            }
        })?;
        if self.durability == Durability::Disk {
            // Frames of a process that was killed may be in the kernel's memory only. They count as stored from here on.
            file.sync_data().map_err(refused("sync", &path))?;
        }
        let active = Active { path, file, offset: offset.max(HEADER.len()) as u64, bytes: bytes.len() as u64, last: report.last };
        *buffer = bytes.try_into_mut().map(Vec::from).unwrap_or_default();
        Ok((active, bytes_after))
    }

    fn set_aside(&self, segment: &Path, offset: usize, bytes: &[u8]) -> Result<PathBuf, WalError> {
        let stem = segment.file_stem().unwrap_or_default().to_string_lossy();
        let path = self.folder.join(format!("{stem}-{offset}.damaged"));
        let write = || {
            let file = self.disk.create(&path)?;
            file.write_at(bytes, 0)?;
            file.sync_data()?;
            self.disk.sync_folder(&self.folder)
        };
        write().map_err(refused("write", &path))?;
        Ok(path)
    }

    /// Begins a new file with room for at least `frame_bytes`.
    fn rotate(&mut self, first: Sequence, frame_bytes: u64) -> Result<(), WalError> {
        let path = self.folder.join(format!("{:020}.{EXTENSION}", first.0));
        let bytes = self.segment_bytes.max(HEADER.len() as u64 + frame_bytes);
        let begin = || {
            let file = self.disk.create(&path)?;
            file.allocate(bytes)?;
            file.write_at(HEADER, 0)?;
            file.sync_data()?;
            self.disk.sync_folder(&self.folder)?;
            Ok(file)
        };
        let file = match begin() {
            Ok(file) => file,
            Err(error) => {
                // Leaves no half-made file behind; if removing fails too, recovery reads it as empty.
                let _ = self.disk.remove(&path);
                return Err(refused("begin", &path)(error));
            }
        };
        // A file that was begun, and of which the process was killed before it had room, has the name of the new one: it is the new
        // one, and must not be forgotten with what was written before.
        if let Some(active) = self.active.take().filter(|active| active.path != path) {
            self.closed.push_back((active.path, active.last));
        }
        self.active = Some(Active { path, file, offset: HEADER.len() as u64, bytes, last: Sequence(first.0 - 1) });
        Ok(())
    }
}

impl Wal for SegmentedWal {
    fn append(&mut self, frames: &[Frame]) -> Result<(), WalError> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        let mut bytes = Vec::with_capacity(frames.iter().map(Frame::bytes).sum());
        frames.iter().for_each(|frame| frame.write(&mut bytes));
        let has_room = |active: &Active| active.offset + bytes.len() as u64 <= active.bytes;
        if !self.active.as_ref().is_some_and(has_room) {
            self.rotate(first.sequence, bytes.len() as u64)?;
        }
        let active = self.active.as_mut().expect("rotation left an active segment");
        if let Err(error) = active.file.write_at(&bytes, active.offset) {
            // What was written of these frames must not be found by recovery: they are refused.
            return match cut(active.file.as_ref(), active.offset, active.bytes) {
                Ok(()) => Err(WalError::Refused { action: "write", path: active.path.clone(), error }),
                Err(error) => Err(WalError::Poisoned { action: "undo a failed write to", path: active.path.clone(), error }),
            };
        }
        if self.durability == Durability::Disk {
            active.file.sync_data().map_err(|error| WalError::Poisoned { action: "sync", path: active.path.clone(), error })?;
        }
        active.offset += bytes.len() as u64;
        active.last = last.sequence;
        Ok(())
    }

    fn forget(&mut self, through: Sequence) -> Result<(), WalError> {
        while let Some((path, last)) = self.closed.front() {
            if *last > through {
                break;
            }
            self.disk.remove(path).map_err(refused("remove", path))?;
            self.closed.pop_front();
        }
        Ok(())
    }

    fn oldest(&self) -> Sequence {
        let oldest = self.closed.front().map(|(path, _)| path).or(self.active.as_ref().map(|active| &active.path));
        oldest.and_then(|path| path.file_stem()?.to_str()?.parse().ok()).map_or(Sequence(u64::MAX), Sequence)
    }
}

/// What a file of the log consists of, one piece after the other.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A whole frame.
    Frame(Box<Frame>),
    /// These bytes are no frame, and frames follow.
    Damaged(Range<usize>),
    /// These bytes are no frame, and none follows: a write that was not finished, or damage to the last frame.
    Torn(Range<usize>),
}

/// Takes a file of the log apart. Frames up to `last` stand before it; where the next frame belongs.
pub(crate) fn for_each_piece<E>(bytes: &Bytes, last: Sequence, visit: &mut dyn FnMut(Piece) -> Result<(), E>) -> Result<usize, E> {
    let mut cursor = Cursor { bytes: bytes.clone(), offset: HEADER_BYTES.min(bytes.len()), last };
    while let Some(piece) = cursor.piece() {
        let is_torn = matches!(piece, Piece::Torn(_));
        visit(piece)?;
        if is_torn {
            break;
        }
    }
    Ok(cursor.offset)
}

/// A place in a file of the log.
#[derive(Debug)]
pub(super) struct Cursor {
    bytes: Bytes,
    offset: usize,
    last: Sequence,
}

impl Cursor {
    /// The beginning of a file that was looked through before.
    pub(super) fn new(bytes: Bytes) -> Cursor {
        Cursor { offset: HEADER_BYTES.min(bytes.len()), bytes, last: Sequence(0) }
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> Option<Frame> {
        loop {
            match self.piece()? {
                Piece::Frame(frame) => return Some(*frame),
                Piece::Damaged(_) => {}
                Piece::Torn(_) => return None,
            }
        }
    }

    /// The next piece; none where nothing was ever written. Behind what is torn there is nothing.
    fn piece(&mut self) -> Option<Piece> {
        let from = self.offset;
        match Frame::parse(&self.bytes.slice(from..)) {
            Parsed::Frame(frame, length) => {
                self.offset += length;
                self.last = self.last.max(frame.sequence);
                Some(Piece::Frame(frame))
            }
            Parsed::Blank if self.bytes[from..].iter().all(|byte| *byte == 0) => None,
            Parsed::Blank | Parsed::Damaged => match next_frame(&self.bytes, from, self.last) {
                Some(next) => {
                    self.offset = next;
                    Some(Piece::Damaged(from..next))
                }
                None => Some(Piece::Torn(from..self.bytes.len())),
            },
        }
    }
}

/// A file of the log as it lies on disk, for whoever only looks at it.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) bytes: Bytes,
}

impl SegmentFile {
    /// The files of a log in `folder`, oldest first, one at a time.
    pub(crate) fn list<'a>(
        disk: &'a dyn Disk,
        folder: &Path,
    ) -> std::io::Result<impl Iterator<Item = (PathBuf, std::io::Result<SegmentFile>)> + 'a> {
        let read = move |path: &Path| -> std::io::Result<SegmentFile> {
            let bytes = read_all(disk.open_read(path)?.as_ref())?.into();
            Ok(SegmentFile { bytes })
        };
        Ok(segment_paths(disk, folder)?.into_iter().map(move |path| (path.clone(), read(&path))))
    }

    /// Whether it begins as files of the log do.
    pub(crate) fn has_header(&self) -> bool {
        self.bytes.starts_with(HEADER)
    }
}

fn read_into(file: &dyn DiskFile, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    let bytes = usize::try_from(file.len()?).map_err(|_| std::io::Error::other("file larger than memory"))?;
    buffer.resize(bytes, 0);
    file.read_at(buffer, 0)
}

fn segment_paths(disk: &dyn Disk, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = disk.list(folder)?.into_iter().map(|entry| folder.join(entry.name));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION)).collect();
    paths.sort();
    Ok(paths)
}

/// Where after `from` a whole frame later than `last` begins.
fn next_frame(bytes: &Bytes, from: usize, last: Sequence) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at = Frame::find_magic(bytes, at)?;
        if let Parsed::Frame(frame, _) = Frame::parse(&bytes.slice(at..))
            && frame.sequence > last
        {
            return Some(at);
        }
        at += 1;
    }
}

/// Turns everything from `offset` on into zeros, durably.
fn cut(file: &dyn DiskFile, offset: u64, bytes: u64) -> std::io::Result<()> {
    file.set_len(offset)?;
    file.allocate(bytes)?;
    file.sync_data()
}

fn refused(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> WalError {
    let path = path.to_owned();
    move |error| WalError::Refused { action, path: path.clone(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::{BodyFormat, RawRequest};
    use crate::disk::LocalDisk;
    use crate::model::{RecordId, Tenant, UnixNanos};

    const SEGMENT_BYTES: u64 = 4096;

    fn frame(sequence: u64, text: &str) -> Frame {
        let request = RawRequest {
            tenant: Tenant::default(),
            format: BodyFormat::TextLogs,
            arrival: UnixNanos(1),
            service: None,
            timezone: None,
            body: Bytes::copy_from_slice(text.as_bytes()),
        };
        let mut frame = Frame::new(&request, 1, None).unwrap();
        frame.sequence = Sequence(sequence);
        frame.record_first = RecordId(sequence);
        frame
    }

    fn recover(folder: &Path, after: u64) -> (SegmentedWal, RecoveryReport, Vec<u64>) {
        let place =
            LogPlace { disk: Arc::new(LocalDisk), folder: folder.to_owned(), segment_bytes: SEGMENT_BYTES, durability: Durability::Disk };
        let mut visited = Vec::new();
        let RecoveredLog { wal, report, mut unreplayed } =
            SegmentedWal::recover(place, Sequence(after), &mut |frame| visited.push(frame.sequence.0)).unwrap();
        let mut seen = Vec::new();
        while let Some(frame) = unreplayed.next().unwrap() {
            seen.push(frame.sequence.0);
        }
        assert_eq!(seen, visited.into_iter().filter(|sequence| *sequence > after).collect::<Vec<_>>(), "as they were looked through");
        assert_eq!(unreplayed.bytes_read(), unreplayed.bytes());
        (wal, report, seen)
    }

    fn write(folder: &Path, frames: std::ops::RangeInclusive<u64>) -> SegmentedWal {
        let (mut wal, _, _) = recover(folder, 0);
        for sequence in frames {
            wal.append(&[frame(sequence, &format!("frame {sequence} {}", "x".repeat(50)))]).unwrap();
        }
        wal
    }

    #[test]
    fn frames_come_back_in_order_after_those_already_sealed() {
        let folder = tempfile::tempdir().unwrap();
        drop(write(folder.path(), 1..=100));
        let (_, report, seen) = recover(folder.path(), 40);
        assert_eq!(seen, (41..=100).collect::<Vec<_>>());
        assert_eq!(report, RecoveryReport { last: Sequence(100), ..Default::default() });
    }

    #[test]
    fn a_file_that_was_begun_and_has_no_room_is_begun_again_and_not_forgotten() {
        for begun in [&b""[..], &HEADER[..3], HEADER] {
            let folder = tempfile::tempdir().unwrap();
            drop(write(folder.path(), 1..=3));
            std::fs::write(folder.path().join("00000000000000000004.wal"), begun).unwrap();
            let mut wal = write(folder.path(), 4..=5);
            wal.forget(Sequence(3)).unwrap();
            assert_eq!(wal.oldest(), Sequence(4), "{begun:?}");
            drop(wal);
            assert_eq!(recover(folder.path(), 3).2, [4, 5], "{begun:?}");
        }
    }

    #[test]
    fn a_torn_tail_is_cut_at_every_offset_and_writing_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        drop(write(folder.path(), 1..=3));
        let path = folder.path().join("00000000000000000001.wal");
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (1..=3)
            .scan(8, |at, n| {
                *at += frame(n, &format!("frame {n} {}", "x".repeat(50))).bytes();
                Some(*at)
            })
            .collect();
        for end in ends[1]..ends[2] {
            let mut torn = whole[..end].to_vec();
            torn.resize(whole.len(), 0);
            std::fs::write(&path, &torn).unwrap();
            let (mut wal, report, seen) = recover(folder.path(), 0);
            assert_eq!(seen, [1, 2], "cut at {end}");
            assert_eq!(report.torn_tail, end > ends[1], "cut at {end}");
            assert_eq!(report.lost_frames, 0);
            wal.append(&[frame(3, "again")]).unwrap();
            assert_eq!(recover(folder.path(), 0).2, [1, 2, 3]);
        }
    }

    #[test]
    fn damage_in_the_middle_is_set_aside_and_the_rest_is_served() {
        let folder = tempfile::tempdir().unwrap();
        drop(write(folder.path(), 1..=5));
        let path = folder.path().join("00000000000000000001.wal");
        let mut bytes = std::fs::read(&path).unwrap();
        let second = Frame::find_magic(&bytes, 100).unwrap();
        bytes[second + 80] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let (_, report, seen) = recover(folder.path(), 0);
        assert_eq!(seen, [1, 3, 4, 5]);
        assert_eq!(report.lost_frames, 1);
        assert!(report.set_aside[0].exists());
    }

    #[test]
    fn files_whose_frames_are_all_in_shards_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut wal = write(folder.path(), 1..=100);
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let before = files();
        wal.forget(Sequence(60)).unwrap();
        assert!(files() < before);
        assert_eq!(recover(folder.path(), 60).2, (61..=100).collect::<Vec<_>>());
        wal.forget(Sequence(100)).unwrap();
        assert_eq!(files(), 1);
    }

    #[test]
    fn without_syncs_frames_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let place = LogPlace {
            disk: Arc::new(LocalDisk),
            folder: folder.path().to_owned(),
            segment_bytes: SEGMENT_BYTES,
            durability: Durability::Os,
        };
        let mut wal = SegmentedWal::recover(place, Sequence(0), &mut |_| {}).unwrap().wal;
        (1..=100).for_each(|sequence| wal.append(&[frame(sequence, "written")]).unwrap());
        drop(wal);
        assert_eq!(recover(folder.path(), 0).2, (1..=100).collect::<Vec<_>>());
        assert_eq!(crate::settings::StoreSettings::default().durability, Durability::Disk, "it has to be asked for");
    }

    #[test]
    fn the_oldest_frame_is_that_of_the_oldest_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(recover(folder.path(), 0).0.oldest(), Sequence(u64::MAX), "none is held");
        let mut wal = write(folder.path(), 1..=100);
        assert_eq!(wal.oldest(), Sequence(1));
        wal.forget(Sequence(60)).unwrap();
        assert!(wal.oldest() > Sequence(1) && wal.oldest() <= Sequence(61));
    }
}
