//! The checksum of a shard's tail, within the tail: without a catalog it is all that vouches for what the footer says.
//! It is computed as if it stood there as zeros.

use memchr::memmem;
use parquet::file::metadata::KeyValue;

use super::ShardError;

/// The footer's last entry.
pub(super) const TAIL_KEY: &str = "needle.tail";

/// Where it stands before it is known.
const UNKNOWN: &str = "00000000";

/// What stands between key and value in Thrift's compact protocol: the next field is a binary one, of 8 bytes.
const BETWEEN: [u8; 2] = [0x18, 8];

/// The entry, for now without the checksum.
pub(super) fn entry() -> KeyValue {
    KeyValue::new(TAIL_KEY.to_owned(), UNKNOWN.to_owned())
}

/// Puts the checksum into a tail that was written with the entry, in the place of what stood there.
pub(super) fn put(tail: &mut [u8]) -> Result<(), ShardError> {
    let place = place(tail).ok_or_else(|| ShardError::Form("the place of its tail's checksum is not found".to_owned()))?;
    let range = place..place + UNKNOWN.len();
    tail[range.clone()].copy_from_slice(UNKNOWN.as_bytes());
    let sum = format!("{:08x}", crc32fast::hash(tail));
    tail[range].copy_from_slice(sum.as_bytes());
    Ok(())
}

/// Whether a tail is as it was written. One of before there was a checksum, which `expected` tells, is believed.
pub(super) fn verify(tail: &[u8], expected: bool) -> Result<(), ShardError> {
    let Some(place) = place(tail) else {
        let missing = || ShardError::Form("its footer is damaged: the checksum of the tail is missing".to_owned());
        return if expected { Err(missing()) } else { Ok(()) };
    };
    let (before, rest) = tail.split_at(place);
    let (sum, after) = rest.split_at(UNKNOWN.len());
    let mut hasher = crc32fast::Hasher::new();
    [before, UNKNOWN.as_bytes(), after].into_iter().for_each(|part| hasher.update(part));
    if sum == format!("{:08x}", hasher.finalize()).as_bytes() {
        Ok(())
    } else {
        Err(ShardError::Form("its footer is damaged: the tail does not have its checksum".to_owned()))
    }
}

fn place(tail: &[u8]) -> Option<usize> {
    let sought = [TAIL_KEY.as_bytes(), &BETWEEN].concat();
    let place = memmem::rfind(tail, &sought)? + sought.len();
    (place + UNKNOWN.len() <= tail.len()).then_some(place)
}
