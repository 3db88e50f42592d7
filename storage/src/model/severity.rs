//! The OpenTelemetry severity scale (logs data model, "Field: SeverityNumber").

/// A severity number: 0 unspecified, 1-4 TRACE, 5-8 DEBUG, 9-12 INFO, 13-16 WARN, 17-20 ERROR, 21-24 FATAL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(pub u8);

impl Severity {
    /// No severity was given.
    pub const UNSPECIFIED: Severity = Severity(0);
    /// Finest detail.
    pub const TRACE: Severity = Severity(1);
    /// For debugging.
    pub const DEBUG: Severity = Severity(5);
    /// An event happened.
    pub const INFO: Severity = Severity(9);
    /// Not an error, but likely more important than information.
    pub const WARN: Severity = Severity(13);
    /// Something went wrong.
    pub const ERROR: Severity = Severity(17);
    /// A crash.
    pub const FATAL: Severity = Severity(21);

    /// The short name of the number: `INFO`, `INFO2`, ..., empty when unspecified or out of range.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 25] = [
            "", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2", "INFO3", "INFO4", "WARN",
            "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2", "FATAL3", "FATAL4",
        ];
        NAMES.get(usize::from(self.0)).copied().unwrap_or("")
    }

    /// The level word that stands for it and its three neighbours, as `level:info` does for 9 to 12; empty when
    /// unspecified or out of range.
    pub fn level(self) -> &'static str {
        const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];
        let at = usize::from(self.0).checked_sub(1).map(|number| number / 4);
        at.and_then(|at| LEVELS.get(at)).copied().unwrap_or("")
    }

    /// The severity a level word stands for, in the spellings of common loggers and of syslog.
    pub fn from_name(name: &str) -> Option<Severity> {
        let lower = name.trim().trim_matches(['[', ']']).to_ascii_lowercase();
        let (word, step) = match lower.as_bytes().last() {
            Some(digit @ b'2'..=b'4') => (&lower[..lower.len() - 1], digit - b'1'),
            _ => (lower.as_str(), 0),
        };
        let base = match word {
            "trace" | "trc" | "finest" | "finer" | "verbose" | "silly" => Severity::TRACE,
            "debug" | "dbg" | "fine" | "config" => Severity::DEBUG,
            "info" | "inf" | "information" | "informational" | "log" | "audit" => Severity::INFO,
            "notice" => Severity(10),
            "warn" | "warning" | "wrn" => Severity::WARN,
            "error" | "err" | "eror" | "severe" => Severity::ERROR,
            "critical" | "crit" => Severity(18),
            "alert" => Severity(19),
            "fatal" | "emerg" | "emergency" | "panic" | "dpanic" => Severity::FATAL,
            _ => return None,
        };
        Some(Severity(base.0 + step))
    }

    /// Whether this is an error (17 and above, as the data model says).
    pub fn is_error(self) -> bool {
        self >= Severity::ERROR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_name_reads_back() {
        for number in 1..=24 {
            let severity = Severity(number);
            assert_eq!(Severity::from_name(severity.name()), Some(severity));
            assert!(severity.name().to_lowercase().starts_with(severity.level()) && !severity.level().is_empty());
        }
        assert_eq!((Severity::UNSPECIFIED.level(), Severity(25).level()), ("", ""));
        assert_eq!(Severity::from_name("[Warning]"), Some(Severity::WARN));
        assert_eq!(Severity::from_name("hello"), None);
    }
}
