//! The ids of a journey, known from its number alone, so that whoever asks for them later keeps no list.

use super::random::Random;

/// What all records of a journey share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JourneyIds {
    /// 16 bytes.
    pub(crate) trace: [u8; 16],
    /// A UUID of version 4, as proxies make them.
    pub(crate) request: String,
}

impl JourneyIds {
    pub(crate) fn of(seed: u64, journey: u64) -> JourneyIds {
        // Another thing than the journey's records, which are drawn from its number itself.
        let mut random = Random::of(!seed, journey);
        let mut request: [u8; 16] = random.bytes();
        request[6] = 0x40 | request[6] & 0x0f;
        request[8] = 0x80 | request[8] & 0x3f;
        let hex = hex(&request);
        let request = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        JourneyIds { trace: random.bytes(), request }
    }

    pub(crate) fn trace_hex(&self) -> String {
        hex(&self.trace)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
