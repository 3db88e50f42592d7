//! What the web room can be told, and all its limits.

use std::time::Duration;

/// Limits and times of questions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSettings {
    /// Records of a search that names no limit.
    pub search_limit_default: usize,
    /// Records a search may ask for at once; more come page by page.
    pub search_limit_max: usize,
    /// Older matches a tail may ask for before it follows.
    pub tail_backfill_max: usize,
    /// Silence in milliseconds after which a tail sends a heartbeat.
    pub tail_heartbeat_ms: u64,
    /// Time in milliseconds a question may take that names none.
    pub query_timeout_ms: u64,
    /// Time in milliseconds a question may take at most; one that asks for more has this.
    pub query_timeout_max_ms: u64,
}

impl Default for WebSettings {
    fn default() -> Self {
        WebSettings {
            search_limit_default: 100,
            search_limit_max: 100_000,
            tail_backfill_max: 10_000,
            tail_heartbeat_ms: 15_000,
            query_timeout_ms: 30_000,
            query_timeout_max_ms: 300_000,
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A value that must be above zero is not.
    #[error("web.{name} is 0: give it a value above zero")]
    Zero {
        /// The key.
        name: &'static str,
    },
    /// What is given without asking is above what may be asked for.
    #[error("web.query_timeout_ms is {default}, above web.query_timeout_max_ms ({max}): lower the one or raise the other")]
    TimeoutAboveMax {
        /// `query_timeout_ms`.
        default: u64,
        /// `query_timeout_max_ms`.
        max: u64,
    },
    /// The default is above the maximum.
    #[error("web.search_limit_default is {default}, above web.search_limit_max ({max}): lower the one or raise the other")]
    DefaultAboveMax {
        /// `search_limit_default`.
        default: usize,
        /// `search_limit_max`.
        max: usize,
    },
}

impl WebSettings {
    /// Holds the values against each other; to be called before they are used.
    pub fn check(&self) -> Result<(), SettingsError> {
        let above_zero = [
            ("search_limit_default", self.search_limit_default > 0),
            ("tail_heartbeat_ms", self.tail_heartbeat_ms > 0),
            ("query_timeout_ms", self.query_timeout_ms > 0),
        ];
        if let Some((name, _)) = above_zero.into_iter().find(|(_, holds)| !holds) {
            return Err(SettingsError::Zero { name });
        }
        if self.search_limit_default > self.search_limit_max {
            return Err(SettingsError::DefaultAboveMax { default: self.search_limit_default, max: self.search_limit_max });
        }
        if self.query_timeout_ms > self.query_timeout_max_ms {
            return Err(SettingsError::TimeoutAboveMax { default: self.query_timeout_ms, max: self.query_timeout_max_ms });
        }
        Ok(())
    }

    pub(crate) fn tail_heartbeat(&self) -> Duration {
        Duration::from_millis(self.tail_heartbeat_ms)
    }

    /// The time for a question that asks for this much.
    pub(crate) fn query_timeout(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(Duration::from_millis(self.query_timeout_ms)).min(Duration::from_millis(self.query_timeout_max_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert_eq!(WebSettings::default().check(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_named() {
        let zero = WebSettings { tail_heartbeat_ms: 0, ..WebSettings::default() };
        assert_eq!(zero.check(), Err(SettingsError::Zero { name: "tail_heartbeat_ms" }));
        let crossed = WebSettings { search_limit_default: 11, search_limit_max: 10, ..WebSettings::default() };
        assert!(crossed.check().is_err());
        let hasty = WebSettings { query_timeout_max_ms: 10, ..WebSettings::default() };
        assert_eq!(hasty.check(), Err(SettingsError::TimeoutAboveMax { default: 30_000, max: 10 }));
    }

    #[test]
    fn a_question_has_the_time_it_asks_for_up_to_a_bound() {
        let settings = WebSettings::default();
        for (asked_ms, given_ms) in [(None, 30_000), (Some(5), 5), (Some(60_000), 60_000), (Some(1_000_000), 300_000)] {
            assert_eq!(settings.query_timeout(asked_ms.map(Duration::from_millis)), Duration::from_millis(given_ms));
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<WebSettings>(r#"{"search_limit": 5}"#).expect_err("the key does not exist");
        assert!(error.to_string().contains("search_limit_default"), "{error}");
    }
}
