//! The log as files of a fixed size, preallocated, so that a full disk shows when a file is begun and
//! not in the middle of a frame. A file is named after its first frame and removed when all its frames
//! are in shards.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{Frame, Parsed};
use super::{Sequence, Wal, WalError};
use crate::disk::{Disk, DiskFile, read_all};

const HEADER: &[u8; 8] = b"NDLWAL01";
const EXTENSION: &str = "wal";

/// A log in files of `segment_bytes`.
#[derive(Debug)]
pub(crate) struct SegmentedWal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segment_bytes: u64,
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

impl SegmentedWal {
    /// Opens the log in `folder`, hands every frame after `after` to `visit`, cuts a torn tail and sets
    /// damaged bytes aside. Doing it again gives the same frames.
    pub(crate) fn recover(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        segment_bytes: u64,
        after: Sequence,
        visit: &mut dyn FnMut(Frame) -> Result<(), WalError>,
    ) -> Result<(SegmentedWal, RecoveryReport), WalError> {
        disk.create_folder(&folder).map_err(refused("create", &folder))?;
        let names = segment_paths(disk.as_ref(), &folder).map_err(refused("list", &folder))?;
        let mut wal = SegmentedWal { disk, folder, segment_bytes, closed: VecDeque::new(), active: None };
        let mut report = RecoveryReport { last: after, ..RecoveryReport::default() };
        for path in names {
            if let Some(active) = wal.active.take() {
                wal.closed.push_back((active.path, active.last));
            }
            wal.active = Some(wal.recover_segment(path, after, &mut report, visit)?);
        }
        Ok((wal, report))
    }

    fn recover_segment(
        &self,
        path: PathBuf,
        after: Sequence,
        report: &mut RecoveryReport,
        visit: &mut dyn FnMut(Frame) -> Result<(), WalError>,
    ) -> Result<Active, WalError> {
        let file = self.disk.open(&path).map_err(refused("open", &path))?;
        let bytes = Bytes::from(read_all(file.as_ref()).map_err(refused("read", &path))?);
        let offset = for_each_piece(&bytes, report.last, &mut |piece| match piece {
            Piece::Frame(frame) if frame.sequence <= after => Ok(()),
            Piece::Frame(frame) => {
                report.lost_frames += frame.sequence.0.saturating_sub(report.last.0 + 1);
                report.last = report.last.max(frame.sequence);
                visit(*frame)
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
        Ok(Active { path, file, offset: offset.max(HEADER.len()) as u64, bytes: bytes.len() as u64, last: report.last })
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
        if let Some(active) = self.active.take() {
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
        active.file.sync_data().map_err(|error| WalError::Poisoned { action: "sync", path: active.path.clone(), error })?;
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
pub(crate) fn for_each_piece<E>(bytes: &Bytes, mut last: Sequence, visit: &mut dyn FnMut(Piece) -> Result<(), E>) -> Result<usize, E> {
    let mut offset = HEADER.len().min(bytes.len());
    loop {
        match Frame::parse(&bytes.slice(offset..)) {
            Parsed::Frame(frame, length) => {
                offset += length;
                last = last.max(frame.sequence);
                visit(Piece::Frame(frame))?;
            }
            Parsed::Blank if bytes[offset..].iter().all(|byte| *byte == 0) => return Ok(offset),
            Parsed::Blank | Parsed::Damaged => match next_frame(bytes, offset, last) {
                Some(next) => {
                    visit(Piece::Damaged(offset..next))?;
                    offset = next;
                }
                None => {
                    visit(Piece::Torn(offset..bytes.len()))?;
                    return Ok(offset);
                }
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
        let mut seen = Vec::new();
        let (wal, report) =
            SegmentedWal::recover(Arc::new(LocalDisk), folder.to_owned(), SEGMENT_BYTES, Sequence(after), &mut |frame: Frame| {
                seen.push(frame.sequence.0);
                Ok(())
            })
            .unwrap();
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
}
