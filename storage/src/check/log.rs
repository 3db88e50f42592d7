//! The write-ahead log: whole frames, in order, none missing.

use std::convert::Infallible;

use super::{Check, REPAIR};
use crate::catalog::Position;
use crate::recover::{LOG_FOLDER, OWN_FOLDER};
use crate::wal::{Frame, Piece, SegmentFile, Sequence, for_each_piece};

/// Where a check of the log stands.
struct Progress {
    /// Not known without a catalog.
    sealed: Option<Sequence>,
    last: Sequence,
}

const SET_ASIDE: &str = "nothing: at the next start it is set aside and counted, and what follows is replayed; its records are lost";
const KEEP_COPY: &str = "if it was no crash, keep a copy of the file before the next start, which cuts it";

impl Check<'_> {
    /// Every frame that is not in a shard yet.
    pub(super) fn log(&mut self, position: Option<Position>) {
        let folder = self.folder.join(OWN_FOLDER).join(LOG_FOLDER);
        let name = |path: &std::path::Path| path.strip_prefix(self.folder).unwrap_or(path).display().to_string();
        let disk = self.disk;
        let files = match SegmentFile::list(disk, &folder) {
            Ok(files) => files,
            Err(error) => return self.report.damage(name(&folder), error.to_string(), "let this user read it"),
        };
        let sealed = position.map(|position| position.sealed);
        let mut progress = Progress { sealed, last: sealed.unwrap_or_default() };
        for (path, file) in files {
            let name = path.strip_prefix(self.folder).unwrap_or(&path).display().to_string();
            match file {
                Ok(file) => self.segment(&name, &file, &mut progress),
                Err(error) => self.report.damage(name, format!("cannot be read: {error}"), "let this user read it"),
            }
        }
    }

    fn segment(&mut self, name: &str, file: &SegmentFile, progress: &mut Progress) {
        self.report.bytes += file.bytes.len() as u64;
        if !file.has_header() {
            self.report.damage(name, "does not begin as a file of the log", "nothing: its frames are read all the same");
        }
        let Ok(_) = for_each_piece::<Infallible>(&file.bytes, progress.last, &mut |piece| {
            match piece {
                Piece::Frame(frame) if progress.sealed.is_some_and(|sealed| frame.sequence <= sealed) => {}
                Piece::Frame(frame) => self.frame(name, &frame, progress),
                Piece::Damaged(range) => {
                    self.report.damage(name, format!("bytes {} to {} are no frame of the log", range.start, range.end), SET_ASIDE);
                }
                Piece::Torn(range) => {
                    let found =
                        format!("ends at byte {} with an unfinished frame, as a crash leaves it: it was not acknowledged", range.start);
                    self.report.note(name, found, KEEP_COPY);
                }
            }
            Ok(())
        });
    }

    fn frame(&mut self, name: &str, frame: &Frame, progress: &mut Progress) {
        self.report.frames += 1;
        self.logged.insert(frame.sequence);
        let Sequence(number) = frame.sequence;
        // Without a catalog it is not known where the log should begin.
        let expected = if progress.sealed.is_none() && progress.last == Sequence(0) { frame.sequence } else { progress.last.next() };
        if frame.sequence > expected {
            let found = format!("frames {} to {} are missing before frame {number}", expected.0, number - 1);
            self.report.damage(name, found, "restore the file that held them from a backup; without it their records are lost");
        } else if frame.sequence < expected {
            self.report.damage(
                name,
                format!("frame {number} comes after frame {}", progress.last.0),
                "name the files of the log after their first frames again",
            );
        }
        // Nor which frames are in shards.
        let twice = progress.sealed.and_then(|_| self.numbers.add_frame(name, frame.record_first.0, frame.record_count));
        if let Some((record, other)) = twice {
            let found = format!("frame {number} brings record {record}, which is in {other}, too");
            self.report.damage(name, found, REPAIR);
        }
        if let Err(error) = frame.request() {
            self.report.damage(
                name,
                format!("frame {number} holds no request: {error}"),
                "nothing: at the next start it is kept in `_needle/undecodable`",
            );
        }
        progress.last = progress.last.max(frame.sequence);
    }
}
