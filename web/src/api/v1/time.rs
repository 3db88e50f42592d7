//! Times on the wire: RFC 3339 or unix nanoseconds in, RFC 3339 with nanoseconds out.

use jiff::Timestamp;
use needle_query::model::UnixNanos;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time: RFC 3339, UTC, always with nine digits of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-03-01T03:00:00.123456789Z")]
pub(crate) struct Time(pub(crate) UnixNanos);

impl From<UnixNanos> for Time {
    fn from(time: UnixNanos) -> Time {
        Time(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timestamp = Timestamp::from_nanosecond(i128::from(self.0.0)).expect("u64 nanoseconds end in the year 2554");
        serializer.collect_str(&format_args!("{timestamp:.9}"))
    }
}

/// Reads a time; the error says what would be one. Times outside 1970 to 2554 become the nearest of them.
pub(crate) fn parse(text: &str) -> Result<UnixNanos, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(UnixNanos).map_err(|_| "unix nanoseconds end at 18446744073709551615".to_owned());
    }
    let timestamp = text.parse::<Timestamp>().or_else(|error| {
        // A bare `+` in a query string means a space: `03:00:00+02:00` arrives as `03:00:00 02:00`.
        let (time, offset) = text.rsplit_once(' ').ok_or(error)?;
        format!("{time}+{offset}").parse::<Timestamp>()
    });
    match timestamp {
        Ok(timestamp) => Ok(UnixNanos(u64::try_from(timestamp.as_nanosecond().max(0)).unwrap_or(u64::MAX))),
        Err(_) => Err("give RFC 3339 with an offset, like 2026-03-01T03:00:00Z, or unix nanoseconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(nanos: u64) -> String {
        serde_json::to_value(Time(UnixNanos(nanos))).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn times_are_written_with_nine_digits() {
        assert_eq!(written(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(written(1_772_334_000_120_000_000), "2026-03-01T03:00:00.120000000Z");
        assert_eq!(written(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn every_spelling_of_a_time_is_read() {
        let three = UnixNanos(1_772_334_000_000_000_000);
        for text in [
            "2026-03-01T03:00:00Z",
            "2026-03-01T03:00:00.000000000Z",
            "2026-03-01T03:00Z",
            "2026-03-01t03:00:00z",
            "2026-03-01 03:00:00Z",
            "2026-03-01T05:00:00+02:00",
            "2026-03-01T05:00:00 02:00",
            "2026-03-01T01:00:00-02:00",
            "1772334000000000000",
        ] {
            assert_eq!(parse(text), Ok(three), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_would_be() {
        for text in ["", "yesterday", "2026-03-01", "2026-03-01T03:00:00", "2026-13-01T00:00:00Z", "-5", "1e9", "99999999999999999999", " "]
        {
            let error = parse(text).expect_err(text);
            assert!(error.contains("nanoseconds"), "{text}: {error}");
        }
    }

    #[test]
    fn times_beyond_the_scale_become_its_ends() {
        assert_eq!(parse("1969-07-20T20:17:40Z"), Ok(UnixNanos::MIN));
        assert_eq!(parse("9999-01-01T00:00:00Z"), Ok(UnixNanos::MAX));
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back(nanos in any::<u64>()) {
            prop_assert_eq!(parse(&written(nanos)), Ok(UnixNanos(nanos)));
            prop_assert_eq!(parse(&nanos.to_string()), Ok(UnixNanos(nanos)));
        }
    }
}
