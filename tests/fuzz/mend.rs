//! Checksums put right, so that what stands behind them is tried, too: bytes that were written by someone who knows the form.
//! The forms are those of FORMAT.md.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memmem;

/// The first byte of an input says whether the checksums of the rest are put right.
pub(crate) fn chosen(input: &[u8], mend: fn(&mut Vec<u8>)) -> Option<Vec<u8>> {
    let (first, rest) = input.split_first()?;
    let mut bytes = rest.to_vec();
    if first % 2 == 1 {
        mend(&mut bytes);
    }
    Some(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().expect("four bytes")) as usize)
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

const FRAME_HEADER_BYTES: usize = 72;

/// The frames of a file of the log.
pub(crate) fn log(bytes: &mut Vec<u8>) {
    let frames: Vec<usize> = memmem::find_iter(bytes, b"NDLF").collect();
    for (number, &start) in frames.iter().enumerate() {
        let Some(room) = frames.get(number + 1).unwrap_or(&bytes.len()).checked_sub(start + FRAME_HEADER_BYTES) else { continue };
        if u32_at(bytes, start + 28) > bytes.len() - start - FRAME_HEADER_BYTES {
            put(bytes, start + 28, room as u32);
        }
        let payload = start + FRAME_HEADER_BYTES;
        let sum = crc32fast::hash(&bytes[payload..payload + u32_at(bytes, start + 28)]);
        put(bytes, start + 36, sum);
        let sum = crc32fast::hash(&bytes[start..start + 68]);
        put(bytes, start + 68, sum);
    }
}

const RUN_HEADER_BYTES: usize = 56;
const BLOCK_BYTES: usize = 4096;

/// Number, lengths and checksums of a run of the id directory.
pub(crate) fn run(bytes: &mut Vec<u8>) {
    if bytes.len() < RUN_HEADER_BYTES {
        return;
    }
    bytes[8..16].copy_from_slice(&1_u64.to_le_bytes());
    let (blocks, ranges) = (u32_at(bytes, 24), u32_at(bytes, 40));
    let index = RUN_HEADER_BYTES + 12 * ranges;
    let first_block = index + 5 * blocks;
    if blocks == 0 || first_block > bytes.len() {
        let end = first_block.min(bytes.len());
        return head_of_run(bytes, end);
    }
    if let Some(last) = bytes.len().checked_sub(first_block + BLOCK_BYTES * (blocks - 1)) {
        put(bytes, 28, last as u32);
    }
    for block in 0..blocks {
        let start = first_block + BLOCK_BYTES * block;
        let end = (start + BLOCK_BYTES).min(bytes.len());
        if start + 11 > end {
            break;
        }
        let key: [u8; 5] = bytes[start + 6..start + 11].try_into().expect("five bytes");
        bytes[index + 5 * block..][..5].copy_from_slice(&key);
        let covered = [&1_u64.to_le_bytes(), (block as u32).to_le_bytes().as_slice(), &bytes[start + 4..end]].concat();
        put(bytes, start, crc32fast::hash(&covered));
    }
    head_of_run(bytes, first_block);
}

fn head_of_run(bytes: &mut [u8], tables_end: usize) {
    let sum = crc32fast::hash(&bytes[RUN_HEADER_BYTES..tables_end.max(RUN_HEADER_BYTES)]);
    put(bytes, 44, sum);
    let sum = crc32fast::hash(&bytes[..52]);
    put(bytes, 52, sum);
}

/// The table of checksums of a shard, and that of its tail.
pub(crate) fn shard(bytes: &mut Vec<u8>) {
    const TAIL: &[u8] = b"needle.tail\x18\x08";
    let Some(table) = memmem::rfind(bytes, b"{\"block_bytes\":") else { return };
    let number = |name: &str| {
        let at = memmem::find(&bytes[table..], name.as_bytes())? + table + name.len();
        let digits: String = bytes[at..].iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok().filter(|number| *number > 0)
    };
    let (Some(block_bytes), Some(before)) = (number("\"block_bytes\":"), number("\"bytes\":")) else { return };
    let Some(sums) = memmem::find(&bytes[table..], b"\"crc32\":\"").map(|at| table + at + 9) else { return };
    if before > bytes.len() {
        return;
    }
    let crcs: Vec<u8> = bytes[..before].chunks(block_bytes).flat_map(|block| crc32fast::hash(block).to_le_bytes()).collect();
    let text = BASE64.encode(crcs);
    if let Some(place) = bytes.get_mut(sums..sums + text.len()) {
        place.copy_from_slice(text.as_bytes());
    }
    let Some(at) = memmem::rfind(bytes, TAIL).map(|at| at + TAIL.len()).filter(|at| at + 8 <= bytes.len() && *at >= before) else { return };
    bytes[at..at + 8].copy_from_slice(b"00000000");
    let sum = format!("{:08x}", crc32fast::hash(&bytes[before..]));
    bytes[at..at + 8].copy_from_slice(sum.as_bytes());
}
