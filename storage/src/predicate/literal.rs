//! What a text stands for when a field is compared with it.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::model::{Severity, UnixNanos};

/// The value a field is compared with, and what it is beside its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Literal {
    /// As written.
    pub text: String,
    /// As a number, where it is one; a duration for a field that says its unit, in that unit.
    pub number: Option<f64>,
    /// As a length of time, in nanoseconds: `500ms`.
    pub duration_ns: Option<f64>,
    /// As a point in time.
    pub time: Option<UnixNanos>,
    /// As a severity, for [`Field::Severity`](super::Field::Severity): a level word stands for its four numbers.
    pub severity: Option<Severity>,
}

impl Literal {
    /// The literal of a text that may be compared with any value.
    pub fn of(text: &str) -> Literal {
        let number = number(text);
        let duration_ns = if number.is_some() { None } else { duration_ns(text) };
        Literal { number, duration_ns, time: time(text), text: text.to_owned(), severity: None }
    }

    /// Whether it is more than text, so that its order is not that of letters.
    pub(super) fn has_type(&self) -> bool {
        self.number.is_some() || self.duration_ns.is_some() || self.time.is_some()
    }
}

/// A finite number; `inf` and `nan` are words.
pub fn number(text: &str) -> Option<f64> {
    let starts_well = text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|number: &f64| starts_well && number.is_finite())
}

/// `500ms`, `1.5s`, `1m30s`, in nanoseconds. A bare number has no unit and is none, but 0 needs none.
pub fn duration_ns(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|length| *length > 0)?;
        let unit_length = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len() - digits);
        total += number(&rest[..digits])? * unit_ns(rest[digits..digits + unit_length].trim())?;
        rest = &rest[digits + unit_length..];
    }
    total.is_finite().then_some(if negative { -total } else { total })
}

/// The nanoseconds of a unit of time.
pub fn unit_ns(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" | "sec" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3_600e9,
        "d" => 86_400e9,
        _ => return None,
    })
}

/// `2026-11-01T10:00:00.5Z`, with an offset or in UTC; also without seconds, or a date alone for its midnight.
pub fn time(text: &str) -> Option<UnixNanos> {
    let bytes = text.as_bytes();
    // Most values are no times, and their first letters tell.
    if bytes.len() < 10 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let utc = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
        let local = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(local, form).ok());
        time.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
    };
    let (seconds, nanos) = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => (time.timestamp(), time.timestamp_subsec_nanos()),
        Err(_) => utc().map(|time| (time.and_utc().timestamp(), time.and_utc().timestamp_subsec_nanos()))?,
    };
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some(UnixNanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_number_a_length_or_a_point_of_time_or_a_word() {
        let kinds = |text: &str| {
            let literal = Literal::of(text);
            (literal.number, literal.duration_ns, literal.time.map(|time| time.0))
        };
        assert_eq!(kinds("-1.5e3"), (Some(-1500.0), None, None));
        assert_eq!(kinds("0"), (Some(0.0), None, None));
        assert_eq!(kinds("1m30s"), (None, Some(90e9), None));
        assert_eq!(kinds("-5µs"), (None, Some(-5e3), None));
        assert_eq!(kinds("1970-01-01T01:00:00.5+01:00"), (None, None, Some(500_000_000)));
        for text in ["1970-01-02", "1970-01-02T00:00", "1970-01-02 00:00:00", "1970-01-02T00:00Z", "1970-01-02T02:00:00+02:00"] {
            assert_eq!(kinds(text), (None, None, Some(86_400_000_000_000)), "{text}");
        }
        for text in ["", "nan", "inf", "500x", "s", "2026-13-01", "2026-1-1", "1.2.3", "-", "12:30"] {
            assert_eq!(kinds(text), (None, None, None), "{text}");
        }
    }
}
