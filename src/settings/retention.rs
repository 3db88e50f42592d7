//! How long records are kept, as it is written: one duration for everything, or a table by signal and service.

use std::fmt;

use needle_ingest::storage::{Retention, ServiceRetention};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::cli::{Unusable, parse_duration};

/// What keeps the records of a service for ever when others expire.
const FOREVER: &str = "forever";

/// `retention = "30d"`, or the table `[retention]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RetentionTable {
    /// Log records.
    pub(crate) logs: Option<String>,
    /// Spans.
    pub(crate) spans: Option<String>,
    /// Services that are kept longer or shorter.
    pub(crate) services: Vec<ServiceTable>,
}

/// `[[retention.services]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServiceTable {
    /// Its name, exactly.
    service: String,
    /// Its log records.
    logs: Option<String>,
    /// Its spans.
    spans: Option<String>,
}

impl RetentionTable {
    /// One duration for logs and spans; services that have their own keep it.
    pub(crate) fn set_all(&mut self, duration: &str) {
        (self.logs, self.spans) = (Some(duration.to_owned()), Some(duration.to_owned()));
    }

    /// As the rooms understand it.
    pub(crate) fn compose(&self) -> Result<Retention, Unusable> {
        let services = self.services.iter().map(|own| {
            Ok(ServiceRetention {
                service: own.service.clone(),
                logs_ms: milliseconds(own.logs.as_ref())?,
                spans_ms: milliseconds(own.spans.as_ref())?,
            })
        });
        let services = services.collect::<Result<_, Unusable>>()?;
        let retention = Retention { logs_ms: milliseconds(self.logs.as_ref())?, spans_ms: milliseconds(self.spans.as_ref())?, services };
        retention.check().map_err(Unusable)?;
        Ok(retention)
    }
}

fn milliseconds(text: Option<&String>) -> Result<Option<u64>, Unusable> {
    let Some(text) = text else { return Ok(None) };
    if text.trim() == FOREVER {
        return Ok(Some(Retention::FOREVER_MS));
    }
    let duration = parse_duration(text).map_err(|error| Unusable(format!("retention: {error}, or {FOREVER}")))?;
    Ok(Some(u64::try_from(duration.as_millis()).unwrap_or(Retention::FOREVER_MS)))
}

impl<'de> Deserialize<'de> for RetentionTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RetentionTable, D::Error> {
        deserializer.deserialize_any(DurationOrTable)
    }
}

/// Tells the two forms apart, so that errors name the key that is wrong and not both forms.
struct DurationOrTable;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    logs: Option<String>,
    spans: Option<String>,
    services: Vec<ServiceTable>,
}

impl<'de> Visitor<'de> for DurationOrTable {
    type Value = RetentionTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration as \"30d\", or a table with logs, spans and services")
    }

    fn visit_str<E>(self, duration: &str) -> Result<RetentionTable, E> {
        let mut table = RetentionTable::default();
        table.set_all(duration);
        Ok(table)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RetentionTable, A::Error> {
        let Table { logs, spans, services } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RetentionTable { logs, spans, services })
    }
}
