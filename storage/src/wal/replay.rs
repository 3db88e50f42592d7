//! The frames of a log that are in no shard yet, read again one after the other while new ones are written behind them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::Sequence;
use super::frame::Frame;
use super::segments::{Cursor, HEADER_BYTES};
use crate::disk::Disk;

/// What is still to be replayed of a log.
#[derive(Debug)]
pub(crate) struct Unreplayed {
    disk: Arc<dyn Disk>,
    after: Sequence,
    /// The last frame that is to be replayed: what comes after it was accepted since.
    last: Sequence,
    files: VecDeque<LoggedFile>,
    /// The file that is read just now.
    current: Option<Cursor>,
    bytes: u64,
    bytes_read: u64,
}

/// A file of the log as it was at the start.
#[derive(Debug)]
struct LoggedFile {
    path: PathBuf,
    /// Its frames end here; later ones may be written behind while this is read.
    end: u64,
}

impl Unreplayed {
    pub(super) fn new(disk: Arc<dyn Disk>, after: Sequence) -> Unreplayed {
        Unreplayed { disk, after, last: after, files: VecDeque::new(), current: None, bytes: 0, bytes_read: 0 }
    }

    /// Adds a file whose frames end at `end`, if any of them have to be replayed.
    pub(super) fn add(&mut self, path: &Path, end: u64, bytes: u64, last: Sequence) {
        if bytes > 0 {
            self.files.push_back(LoggedFile { path: path.to_owned(), end });
            self.bytes += bytes;
            self.last = last;
        }
    }

    /// How many bytes of frames there were to be replayed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of them were read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The last frame to be replayed.
    pub(crate) fn last(&self) -> Sequence {
        self.last
    }

    /// The next frame; none when all were read. What is damaged was set aside before, and is passed over.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Frame>> {
        loop {
            if self.current.is_none() {
                let Some(file) = self.files.front() else { return Ok(None) };
                self.current = Some(Cursor::new(read(self.disk.as_ref(), file)?));
                self.files.pop_front();
            }
            match self.current.as_mut().and_then(Cursor::next) {
                Some(frame) if frame.sequence <= self.after => {}
                Some(frame) => {
                    self.bytes_read += frame.bytes() as u64;
                    return Ok(Some(frame));
                }
                None => self.current = None,
            }
        }
    }
}

fn read(disk: &dyn Disk, file: &LoggedFile) -> std::io::Result<Bytes> {
    let bytes = usize::try_from(file.end).map_err(|_| std::io::Error::other("file larger than memory"))?;
    let mut buffer = vec![0; bytes.max(HEADER_BYTES)];
    disk.open_read(&file.path)?.read_at(&mut buffer, 0)?;
    Ok(buffer.into())
}
