//! Every limit of this room, with the relations between them.

use needle_storage::Retention;
use serde::{Deserialize, Serialize};

/// What ingest can be told. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestSettings {
    /// A request body larger than this is refused, as received and again when decompressed (OTLP recommends 64 MiB).
    pub request_bytes_max: usize,
    /// A record larger than this is refused by name; the others of its request are stored.
    pub record_bytes_max: usize,
    /// Records, attributes and nested values in one request.
    pub elements_max: usize,
    /// Arrays and maps within each other in one value.
    pub nesting_max: usize,
    /// Bodies being received, decoded and stored at one time, together; beyond it requests are asked to come again. One tenant
    /// holds three quarters of it at most.
    pub in_flight_bytes_max: usize,
    /// So many bytes of logs and spans, decompressed, may one tenant send in a second, on average over ten; 0 for as many as can be taken.
    pub tenant_bytes_per_second_max: u64,
    /// Attribute keys that hold a request id, most telling first. Case does not matter, and `-`, `_` and `.` are alike.
    pub request_id_keys: Vec<String>,
    /// What OTLP paths begin with besides having nothing before them, as `/tenant/x`; empty for nothing.
    pub path_prefix: String,
    /// What becomes of metrics, which are not stored.
    pub metrics: MetricsPolicy,
    /// Records past it when they arrive are refused by name. Without it records of any age are accepted.
    pub retention: Retention,
}

impl Default for IngestSettings {
    fn default() -> Self {
        IngestSettings {
            request_bytes_max: 64 << 20,
            record_bytes_max: 16 << 20,
            elements_max: 4_000_000,
            nesting_max: 32,
            in_flight_bytes_max: 256 << 20,
            tenant_bytes_per_second_max: 0,
            request_id_keys: crate::ids::DEFAULT_REQUEST_ID_KEYS.iter().map(|key| (*key).to_owned()).collect(),
            path_prefix: String::new(),
            metrics: MetricsPolicy::Refuse,
            retention: Retention::default(),
        }
    }
}

/// What becomes of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsPolicy {
    /// Senders are told that they are not taken here, by a status that no exporter retries.
    #[default]
    Refuse,
    /// They are taken, counted and thrown away; senders are told that all were rejected.
    Discard,
}

/// JSON costs three levels per array and serde_json reads 128: more than this it would refuse for us.
const NESTING_MAX_MAX: usize = 40;

impl IngestSettings {
    /// Says in one sentence what is wrong with these settings, if anything is.
    pub fn check(&self) -> Result<(), String> {
        if self.record_bytes_max > self.request_bytes_max {
            let (record, request) = (self.record_bytes_max, self.request_bytes_max);
            return Err(format!("record_bytes_max ({record}) is more than request_bytes_max ({request}): no such record could arrive"));
        }
        if self.in_flight_bytes_max / 2 < self.request_bytes_max {
            let (in_flight, request) = (self.in_flight_bytes_max, self.request_bytes_max);
            return Err(format!(
                "in_flight_bytes_max ({in_flight}) is less than twice request_bytes_max ({request}): the largest request, compressed and decompressed, would never fit"
            ));
        }
        if self.request_bytes_max > i32::MAX as usize / 2 {
            return Err(format!("request_bytes_max ({}) is more than 1 GiB: columns of one batch count to 2^31", self.request_bytes_max));
        }
        if !(1..=NESTING_MAX_MAX).contains(&self.nesting_max) {
            return Err(format!("nesting_max ({}) is not between 1 and {NESTING_MAX_MAX}", self.nesting_max));
        }
        let prefix = self.path_prefix.as_str();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if !prefix.is_empty() && (!prefix.starts_with('/') || prefix.ends_with('/') || !prefix.chars().all(plain) || prefix.contains("//"))
        {
            return Err(format!("path_prefix ({prefix:?}) is no begin of a path: give one like /tenant/x"));
        }
        if prefix == "/api" || prefix.starts_with("/api/") {
            return Err(format!("path_prefix ({prefix:?}) is where the API stands: give one like /tenant/x"));
        }
        let at_least_one = [
            ("request_bytes_max", self.request_bytes_max),
            ("record_bytes_max", self.record_bytes_max),
            ("elements_max", self.elements_max),
        ];
        match at_least_one.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("{name} is 0: nothing could be received")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_together() {
        assert_eq!(IngestSettings::default().check(), Ok(()));
    }

    #[test]
    fn limits_that_contradict_each_other_are_named() {
        let record = IngestSettings { record_bytes_max: 1 << 30, ..IngestSettings::default() };
        assert!(record.check().unwrap_err().contains("record_bytes_max"));
        let in_flight = IngestSettings { in_flight_bytes_max: 1 << 20, ..IngestSettings::default() };
        assert!(in_flight.check().unwrap_err().contains("in_flight_bytes_max"));
        let nesting = IngestSettings { nesting_max: 1000, ..IngestSettings::default() };
        assert!(nesting.check().unwrap_err().contains("nesting_max"));
        for prefix in ["tenant", "/", "/a/", "/a//b", "/{x}", "/a b", "/api"] {
            let settings = IngestSettings { path_prefix: prefix.to_owned(), ..IngestSettings::default() };
            assert!(settings.check().unwrap_err().contains("path_prefix"), "{prefix}");
        }
        assert_eq!(IngestSettings { path_prefix: "/tenant/x-1".to_owned(), ..IngestSettings::default() }.check(), Ok(()));
    }
}
