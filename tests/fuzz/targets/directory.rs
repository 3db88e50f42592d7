//! A run of the id directory: header, tables, blocks.

use std::collections::BTreeSet;

use bytes::Bytes;
use needle_storage::untrusted;

use crate::Target;
use crate::files::{Kind, of_store};
use crate::mend;

pub(super) const DIRECTORY: Target = Target {
    name: "directory",
    read: directory,
    seeds: || of_store(Kind::Directory),
    words: &["NDLI\x01", "\u{0}\u{0}\u{0}\u{0}", "\x7f\x7f\x7f\x7f"],
    bytes_max: 16 << 10,
    memory_bytes: 1 << 20,
    short_runs: 20_000,
};

fn directory(input: &[u8]) {
    let Some(bytes) = mend::chosen(input, mend::run).map(Bytes::from) else { return };
    let keys = BTreeSet::from([0, 1 << 40, u64::MAX, u64::from(crc32fast::hash(&bytes)) << 32]);
    let missed = untrusted::directory(&bytes, &BTreeSet::from([0, 1, 2, u32::MAX]), &keys);
    assert!(missed.is_ok_and(|missed| missed <= keys.len()) || bytes.is_empty() || !keys.is_empty());
}
