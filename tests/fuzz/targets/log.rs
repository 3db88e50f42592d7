//! A file of the log: its parts stand one after the other, and every request in it is decoded or refused.

use bytes::Bytes;
use needle_storage::untrusted::{self, LogPiece};

use super::{decode_request, same};
use crate::Target;
use crate::files::{Kind, of_store};
use crate::mend;

pub(super) const LOG: Target = Target {
    name: "log",
    read: log,
    seeds: || of_store(Kind::Log),
    words: &["NDLF\x02", "NDLWAL01", "NDLF\x01", "(\u{b5}/\u{fd}"],
    bytes_max: 8192,
    // A frame may be compressed a hundred times and more: FORMAT.md says how long it is then, and it is believed that far.
    memory_bytes: 8 << 20,
    short_runs: 20_000,
};

const HEADER_BYTES: usize = 8;

fn log(input: &[u8]) {
    let Some(bytes) = mend::chosen(input, mend::log).map(Bytes::from) else { return };
    let (pieces, end) = untrusted::log(&bytes);
    let mut at = HEADER_BYTES.min(bytes.len());
    for piece in &pieces {
        match piece {
            LogPiece::Frame(length, request) => {
                at += length;
                if let Ok(request) = request {
                    drop(decode_request(request));
                }
            }
            LogPiece::Damaged(range) => {
                same(&at, &range.start, "where damaged bytes begin");
                at = range.end;
            }
            LogPiece::Torn(range) => same(&(at, bytes.len()), &(range.start, range.end), "where the torn end is"),
        }
    }
    same(&at, &end, "where the next frame goes");
}
