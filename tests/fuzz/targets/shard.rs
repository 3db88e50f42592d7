//! A shard: its footer, columns, index and pages. What the decoders of others panic at is caught and said.

use bytes::Bytes;
use needle_storage::untrusted;

use crate::Target;
use crate::files::{Kind, of_store};
use crate::mend;

pub(super) const SHARD: Target = Target {
    name: "shard",
    read: shard,
    seeds: || of_store(Kind::Shard),
    words: &[
        "needle.shard",
        "needle.index",
        "needle.blocks",
        "needle.tail",
        "PAR1",
        "\"block_bytes\":0",
        "\"page_bits\":64",
        "\"bucket_bits\":64",
        "\"offset\":18446744073709551615",
        "\"entries\":4294967295",
        "\"format\":3",
        "\"rows\":4294967296",
        "\"signal\":\"spans\"",
        "0-4294967295",
        "\"page_rows\":4294967295",
        "\"bytes\":18446744073709551615",
    ],
    bytes_max: 96 << 10,
    memory_bytes: 64 << 20,
    short_runs: 300,
};

fn shard(input: &[u8]) {
    let Some(bytes) = mend::chosen(input, mend::shard).map(Bytes::from) else { return };
    if let Err(reason) = untrusted::shard(&bytes) {
        assert!(!reason.is_empty());
    }
}
